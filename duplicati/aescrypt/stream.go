package aescrypt

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"github.com/duplibot/duplibot/secret"
)

// Extension is a name and a value in the clear header of a stream. Readers
// skip them; Duplicati writes CREATED_BY, CREATED_DATE and CREATED_TIME.
type Extension struct{ Name, Value string }

// placeholder is the empty extension that leaves room for later edits; writers
// add it after their own.
const placeholder = 128

// Encrypt returns plain as a version 2 stream under password. With no
// extensions the header is minimal; with some, the usual placeholder follows
// them.
func Encrypt(plain []byte, password secret.Value, ext ...Extension) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(magic)
	out.Write([]byte{2, 0})
	for _, e := range ext {
		body := e.Name + "\x00" + e.Value
		if len(body) > 0xffff {
			return nil, fmt.Errorf("encrypt: extension %q is longer than 65535 bytes", e.Name)
		}
		binary.Write(&out, binary.BigEndian, uint16(len(body)))
		out.WriteString(body)
	}
	if len(ext) > 0 {
		binary.Write(&out, binary.BigEndian, uint16(placeholder))
		out.Write(make([]byte, placeholder))
	}
	out.Write([]byte{0, 0})

	var random [blockSize + sessionSize]byte
	rand.Read(random[:])
	iv, session := random[:blockSize], random[blockSize:]
	key := keyV2(password, iv)
	bulkIV, bulkKey := session[:blockSize], session[blockSize:]

	sealed := crypt(cipher.NewCBCEncrypter, key, iv, session)
	out.Write(iv)
	out.Write(sealed)
	out.Write(mac(key, sealed))

	// Version 2 pads with the number of missing bytes, but a whole last block
	// gets no padding; the length byte tells.
	tail := len(plain) % blockSize
	padded := bytes.Clone(plain)
	if tail != 0 {
		missing := blockSize - tail
		padded = append(padded, bytes.Repeat([]byte{byte(missing)}, missing)...)
	}
	body := crypt(cipher.NewCBCEncrypter, bulkKey, bulkIV, padded)
	out.Write(body)
	out.WriteByte(byte(tail))
	out.Write(mac(bulkKey, body))
	return out.Bytes(), nil
}

// Decrypt opens a stream of version 2 or 3. Its errors wrap ErrPassword,
// ErrCorrupt or ErrVersion; no plaintext is returned beside an error.
func Decrypt(stream []byte, password secret.Value) ([]byte, error) {
	if !Is(stream) || len(stream) < 5 {
		return nil, fmt.Errorf("decrypt: %w", ErrCorrupt)
	}
	version := stream[3]
	if version != 2 && version != 3 {
		return nil, fmt.Errorf("decrypt: %w: %d", ErrVersion, version)
	}
	rest, ok := skipExtensions(stream[5:])
	if !ok {
		return nil, fmt.Errorf("decrypt: header: %w", ErrCorrupt)
	}
	rounds := uint32(roundsV2)
	if version == 3 {
		if len(rest) < 4 {
			return nil, fmt.Errorf("decrypt: header: %w", ErrCorrupt)
		}
		rounds = binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		if rounds == 0 || rounds > maxRoundsV3 {
			return nil, fmt.Errorf("decrypt: %w: it asks for %d rounds of key derivation", ErrVersion, rounds)
		}
	}
	if len(rest) < blockSize+sessionSize+macSize {
		return nil, fmt.Errorf("decrypt: header: %w", ErrCorrupt)
	}
	iv, rest := rest[:blockSize], rest[blockSize:]
	sealed, rest := rest[:sessionSize], rest[sessionSize:]
	keyMAC, rest := rest[:macSize], rest[macSize:]

	var key []byte
	signed := sealed
	if version == 2 {
		key = keyV2(password, iv)
	} else {
		var err error
		if key, err = pbkdf2.Key(sha512.New, password.Reveal(), iv, int(rounds), keySize); err != nil {
			return nil, fmt.Errorf("decrypt: derive key: %w", err)
		}
		signed = append(bytes.Clone(sealed), version)
	}
	if !hmac.Equal(keyMAC, mac(key, signed)) {
		return nil, fmt.Errorf("decrypt: %w", ErrPassword)
	}
	session := crypt(cipher.NewCBCDecrypter, key, iv, sealed)
	return openBody(version, session[blockSize:], session[:blockSize], rest)
}

// openBody checks and decrypts what follows the key section.
func openBody(version byte, key, iv, rest []byte) ([]byte, error) {
	if len(rest) < macSize {
		return nil, fmt.Errorf("decrypt: end is missing: %w", ErrCorrupt)
	}
	body, bodyMAC := rest[:len(rest)-macSize], rest[len(rest)-macSize:]
	tail := 0
	if version == 2 {
		if len(body) == 0 {
			return nil, fmt.Errorf("decrypt: end is missing: %w", ErrCorrupt)
		}
		// The length byte is outside the MAC. Made zero, it turns the padding
		// into text, and nothing in the format shows that.
		tail = int(body[len(body)-1])
		if tail >= blockSize {
			return nil, fmt.Errorf("decrypt: length: %w", ErrCorrupt)
		}
		body = body[:len(body)-1]
	}
	if len(body)%blockSize != 0 || !hmac.Equal(bodyMAC, mac(key, body)) {
		return nil, fmt.Errorf("decrypt: %w", ErrCorrupt)
	}
	plain := crypt(cipher.NewCBCDecrypter, key, iv, body)
	missing := 0
	switch {
	case version == 3:
		if len(plain) == 0 {
			return nil, fmt.Errorf("decrypt: padding: %w", ErrCorrupt)
		}
		missing = int(plain[len(plain)-1])
		if missing == 0 || missing > blockSize {
			return nil, fmt.Errorf("decrypt: padding: %w", ErrCorrupt)
		}
	case tail != 0:
		missing = blockSize - tail
	}
	if missing > len(plain) || !padded(plain[len(plain)-missing:], missing) {
		return nil, fmt.Errorf("decrypt: padding: %w", ErrCorrupt)
	}
	return plain[:len(plain)-missing], nil
}

// padded reports whether each byte holds the number of bytes missing.
func padded(end []byte, missing int) bool {
	return subtle.ConstantTimeCompare(end, bytes.Repeat([]byte{byte(missing)}, missing)) == 1
}

func skipExtensions(b []byte) ([]byte, bool) {
	for {
		if len(b) < 2 {
			return nil, false
		}
		n := int(binary.BigEndian.Uint16(b))
		b = b[2:]
		if n == 0 {
			return b, true
		}
		if len(b) < n {
			return nil, false
		}
		b = b[n:]
	}
}

// keyV2 derives the key of version 2: repeated SHA-256 over the previous hash
// and the password in UTF-16LE, begun with the IV padded by zeros.
func keyV2(password secret.Value, iv []byte) []byte {
	var text []byte
	for _, unit := range utf16.Encode([]rune(password.Reveal())) {
		text = binary.LittleEndian.AppendUint16(text, unit)
	}
	buf := make([]byte, keySize+len(text))
	copy(buf, iv)
	copy(buf[keySize:], text)
	for range roundsV2 {
		sum := sha256.Sum256(buf)
		copy(buf, sum[:])
	}
	return buf[:keySize:keySize]
}

// crypt runs AES-256-CBC over whole blocks.
func crypt(mode func(cipher.Block, []byte) cipher.BlockMode, key, iv, in []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for a key that is not 32 bytes long
	}
	out := make([]byte, len(in))
	mode(block, iv).CryptBlocks(out, in)
	return out
}

func mac(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}
