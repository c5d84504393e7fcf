package keyring

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/duplibot/duplibot/secret"
)

const keyBytes = 32

// NewPassphrase returns a new key for the file backend, of 32 random bytes.
func NewPassphrase() secret.Value {
	key := make([]byte, keyBytes)
	rand.Read(key) // never fails, it says
	return secret.New(base64.StdEncoding.EncodeToString(key))
}

// normalised returns the key that a passphrase writes down, so that hex and
// base64, with and without padding or a newline at the end, are the same key.
//
// The file format stretches its passphrase by 8,192 rounds of PBKDF2, which is
// next to nothing for a word that a person can remember. Such words are not
// stretched further here but refused: whoever can read the files can try
// passwords for as long as he likes, and a service can keep 32 bytes.
func normalised(passphrase secret.Value) (string, error) {
	text := strings.TrimRight(passphrase.Reveal(), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%w: no passphrase was given for its files; set keyring.passphrase to a reference to 32 random bytes, made by: openssl rand -base64 32", ErrLocked)
	}
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString,
		base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		key, err := decode(text)
		if err == nil && len(key) >= keyBytes && random(text) {
			return hex.EncodeToString(key), nil
		}
	}
	return "", fmt.Errorf("%w: its passphrase is not a key: it must be 32 random bytes or more as hex or base64; make one by: openssl rand -base64 32", ErrLocked)
}

// random reports whether text can be random bytes in hex or base64, and not
// words that happen to consist of the same characters. Of random keys it
// misses fewer than one in a billion.
func random(text string) bool {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	if _, err := hex.DecodeString(text); err == nil {
		return len(seen) >= 8
	}
	return len(seen) >= 16 && strings.ToLower(text) != text && strings.ToUpper(text) != text
}
