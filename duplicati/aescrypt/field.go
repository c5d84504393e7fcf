package aescrypt

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/duplibot/duplibot/secret"
)

var (
	// ErrKeyMissing says that a field is encrypted and no key was given.
	ErrKeyMissing = errors.New("the field is encrypted and there is no key")
	// ErrKeyMismatch says that a field was encrypted with another key.
	ErrKeyMismatch = errors.New("the field is encrypted with another key")
)

const (
	fieldPrefix = "enc-v1:"
	hashLen     = 2 * sha256.Size // in hex digits
)

// EncryptedField reports whether text has the form of an encrypted field, and
// not only its prefix: Duplicati takes a text whose content hash does not fit
// for one that was never encrypted.
func EncryptedField(text string) bool {
	rest, ok := strings.CutPrefix(text, fieldPrefix)
	return ok && len(rest) > 2*hashLen && strings.EqualFold(rest[:hashLen], hexHash(rest[2*hashLen:]))
}

// DecryptField returns what text holds in clear. A text without the prefix is
// returned as it is, and one whose content hash does not fit without the
// prefix, as the server does. Errors are ErrKeyMissing, ErrKeyMismatch and
// those of Decrypt.
func DecryptField(text string, key secret.Value) (string, error) {
	rest, ok := strings.CutPrefix(text, fieldPrefix)
	if !ok {
		return text, nil
	}
	if !EncryptedField(text) {
		return rest, nil
	}
	if key.Empty() {
		return "", ErrKeyMissing
	}
	if !strings.EqualFold(rest[hashLen:2*hashLen], hexHash(key.Reveal())) {
		return "", ErrKeyMismatch
	}
	stream, err := hex.DecodeString(rest[2*hashLen:])
	if err != nil {
		return "", fmt.Errorf("decrypt field: %w", ErrCorrupt)
	}
	plain, err := Decrypt(stream, key)
	if err != nil {
		return "", fmt.Errorf("decrypt field: %w", err)
	}
	return string(plain), nil
}

// EncryptField returns text as Duplicati stores it in an encrypted database.
func EncryptField(text string, key secret.Value) (string, error) {
	if key.Empty() {
		return "", ErrKeyMissing
	}
	stream, err := Encrypt([]byte(text), key)
	if err != nil {
		return "", fmt.Errorf("encrypt field: %w", err)
	}
	body := strings.ToUpper(hex.EncodeToString(stream))
	return fieldPrefix + hexHash(body) + hexHash(key.Reveal()) + body, nil
}

func hexHash(text string) string {
	return fmt.Sprintf("%X", sha256.Sum256([]byte(text)))
}
