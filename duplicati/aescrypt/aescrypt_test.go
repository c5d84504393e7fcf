package aescrypt_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/duplicati/aescrypt"
	"github.com/duplibot/duplibot/secret"
)

var exportPassword = secret.New("export secret")

func TestExportsOfRealServersOpen(t *testing.T) {
	var vectors map[string]struct {
		Export struct {
			Sum string `json:"plaintext_sha256"`
		} `json:"export"`
	}
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"2.1.0.5", "2.2.0.3", "2.3.0.4", "2.3.1-dev"} {
		t.Run(version, func(t *testing.T) {
			stream, err := os.ReadFile("testdata/" + version + "-export-encrypted.json.aes")
			if err != nil {
				t.Fatal(err)
			}
			plain, err := aescrypt.Decrypt(stream, exportPassword)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := fmt.Sprintf("%x", sha256.Sum256(plain)), vectors[version].Export.Sum; got != want {
				t.Errorf("plaintext has hash %s, want %s", got, want)
			}
			_, err = aescrypt.Decrypt(stream, secret.New("Export secret"))
			if !errors.Is(err, aescrypt.ErrPassword) {
				t.Errorf("another password: %v, want ErrPassword", err)
			}
		})
	}
}

func TestWhatIsEncryptedOpensAgain(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 31, 32, 33, 4096} {
		for _, word := range []string{"", "correct horse", "pässwörd 🔑"} {
			plain := bytes.Repeat([]byte{'x'}, n)
			stream, err := aescrypt.Encrypt(plain, secret.New(word), aescrypt.Extension{Name: "CREATED_BY", Value: "test"})
			if err != nil {
				t.Fatal(err)
			}
			if !aescrypt.Is(stream) {
				t.Fatal("not recognised as a stream")
			}
			got, err := aescrypt.Decrypt(stream, secret.New(word))
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%d bytes under %q: %v, %d bytes back", n, word, err, len(got))
			}
		}
	}
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	plain := []byte("seventeen letters")
	stream, err := aescrypt.Encrypt(plain, exportPassword)
	if err != nil {
		t.Fatal(err)
	}
	for i := range stream {
		if i == 4 {
			continue // reserved
		}
		if i == len(stream)-33 && stream[i] == 1 {
			continue // length 1 to 0: the format cannot show it
		}
		bad := bytes.Clone(stream)
		bad[i] ^= 0x01
		if got, err := aescrypt.Decrypt(bad, exportPassword); err == nil {
			t.Errorf("byte %d changed: read %q", i, got)
		}
	}
	for i := range stream {
		if _, err := aescrypt.Decrypt(stream[:i], exportPassword); err == nil {
			t.Errorf("cut to %d bytes: no error", i)
		}
	}
}

func TestVersion3IsRead(t *testing.T) {
	plain := []byte("from a newer writer")
	stream := writeV3(plain, "pässwörd", 1000)
	got, err := aescrypt.Decrypt(stream, secret.New("pässwörd"))
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("read %q, %v", got, err)
	}
	if _, err := aescrypt.Decrypt(stream, secret.New("password")); !errors.Is(err, aescrypt.ErrPassword) {
		t.Errorf("another password: %v, want ErrPassword", err)
	}
	bad := bytes.Clone(stream)
	bad[len(bad)-40] ^= 1
	if _, err := aescrypt.Decrypt(bad, secret.New("pässwörd")); !errors.Is(err, aescrypt.ErrCorrupt) {
		t.Errorf("changed payload: %v, want ErrCorrupt", err)
	}
	binary.BigEndian.PutUint32(stream[7:], 1<<31)
	if _, err := aescrypt.Decrypt(stream, secret.New("pässwörd")); !errors.Is(err, aescrypt.ErrVersion) {
		t.Errorf("two thousand million rounds: %v, want ErrVersion at once", err)
	}
}

func TestOtherVersionsAreRefused(t *testing.T) {
	for _, v := range []byte{0, 1, 4, 255} {
		_, err := aescrypt.Decrypt([]byte{'A', 'E', 'S', v, 0, 0, 0}, exportPassword)
		if !errors.Is(err, aescrypt.ErrVersion) {
			t.Errorf("version %d: %v, want ErrVersion", v, err)
		}
	}
	if _, err := aescrypt.Decrypt([]byte(`{"Backup":{}}`), exportPassword); !errors.Is(err, aescrypt.ErrCorrupt) {
		t.Errorf("no stream at all: %v, want ErrCorrupt", err)
	}
}

func TestFields(t *testing.T) {
	key := secret.New("field-encryption-key")
	const word = "file:///backups?auth-password=canary"
	field, err := aescrypt.EncryptField(word, key)
	if err != nil {
		t.Fatal(err)
	}
	if !aescrypt.EncryptedField(field) || strings.Contains(field, "canary") {
		t.Fatalf("not encrypted: %s", field)
	}
	got, err := aescrypt.DecryptField(field, key)
	if err != nil || got != word {
		t.Fatalf("read %q, %v", got, err)
	}
	if _, err := aescrypt.DecryptField(field, secret.Value{}); !errors.Is(err, aescrypt.ErrKeyMissing) {
		t.Errorf("no key: %v, want ErrKeyMissing", err)
	}
	if _, err := aescrypt.DecryptField(field, secret.New("another key")); !errors.Is(err, aescrypt.ErrKeyMismatch) {
		t.Errorf("another key: %v, want ErrKeyMismatch", err)
	}
	for text, want := range map[string]string{
		"":                   "",
		"plain":              "plain",
		"enc-v1:":            "",
		"enc-v1:never was":   "never was",
		field[:len(field)-2]: strings.TrimPrefix(field[:len(field)-2], "enc-v1:"),
	} {
		if got, err := aescrypt.DecryptField(text, key); err != nil || got != want {
			t.Errorf("%q: %q, %v; want it as plain text", text, got, err)
		}
	}
}

// The field is a row of a real server's encrypted database.
func TestAFieldOfARealServerOpens(t *testing.T) {
	field, err := os.ReadFile("testdata/field.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, err := aescrypt.DecryptField(strings.TrimSpace(string(field)), secret.New("field-encryption-key"))
	if want := "file:///backups/photos?auth-username=canary-user&auth-password=canary-secret"; err != nil || got != want {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

func FuzzDecrypt(f *testing.F) {
	stream, err := aescrypt.Encrypt([]byte("seed"), exportPassword)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stream)
	f.Add(writeV3([]byte("seed"), "export secret", 10))
	f.Add([]byte("AES\x02\x00\xff\xff"))
	f.Add([]byte("AES"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 10 && b[3] == 3 {
			b[7], b[8] = 0, 0 // keep the derivation short
		}
		plain, err := aescrypt.Decrypt(b, exportPassword)
		if err != nil && plain != nil {
			t.Fatal("plaintext beside an error")
		}
	})
}

// writeV3 makes a version 3 stream from the format's description.
func writeV3(plain []byte, password string, rounds uint32) []byte {
	iv, session := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 48)
	key, err := pbkdf2.Key(sha512.New, password, iv, int(rounds), 32)
	if err != nil {
		panic(err)
	}
	cbc := func(key, iv, in []byte) []byte {
		block, err := aes.NewCipher(key)
		if err != nil {
			panic(err)
		}
		out := make([]byte, len(in))
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, in)
		return out
	}
	sum := func(key []byte, parts ...[]byte) []byte {
		h := hmac.New(sha256.New, key)
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	n := 16 - len(plain)%16
	body := cbc(session[16:], session[:16], append(bytes.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...))
	sealed := cbc(key, iv, session)

	out := []byte{'A', 'E', 'S', 3, 0, 0, 0}
	out = binary.BigEndian.AppendUint32(out, rounds)
	out = append(out, iv...)
	out = append(out, sealed...)
	out = append(out, sum(key, sealed, []byte{3})...)
	out = append(out, body...)
	return append(out, sum(session[16:], body)...)
}
