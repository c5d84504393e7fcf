// Package aescrypt reads and writes AES Crypt streams, the container that
// Duplicati uses for encrypted configuration exports, and the "enc-v1:" text
// that it makes of one for a secret field in its database.
//
// Encrypt writes stream format version 2, as the server does by default.
// Decrypt reads versions 2 and 3. Streams are small (a configuration, a field),
// so both work on bytes in memory.
//
// The formats: https://www.aescrypt.com/aes_stream_format.html
package aescrypt

import "errors"

var (
	// ErrPassword says that the password does not open the stream. A stream
	// whose key section was damaged looks the same.
	ErrPassword = errors.New("wrong password")
	// ErrCorrupt says that bytes were changed or cut off, or that it is no
	// AES Crypt stream at all.
	ErrCorrupt = errors.New("not an intact AES Crypt stream")
	// ErrVersion says that the stream is of a version other than 2 and 3, or
	// asks for more key derivation than a sound writer would.
	ErrVersion = errors.New("AES Crypt stream version not supported")
)

// Sizes and counts of the stream format.
const (
	magic       = "AES"
	blockSize   = 16
	keySize     = 32
	macSize     = 32
	sessionSize = blockSize + keySize // bulk IV and bulk key, encrypted

	roundsV2    = 8192      // fixed in version 2
	maxRoundsV3 = 5_000_000 // a few seconds of work; version 3 lets the file choose
)

// Is reports whether stream begins as an AES Crypt stream does. Duplicati
// decides by the same three bytes.
func Is(stream []byte) bool {
	return len(stream) >= len(magic) && string(stream[:len(magic)]) == magic
}
