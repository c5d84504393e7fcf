package keyring

import (
	"errors"
	"strings"
	"unicode"
)

// What is wrong with a keyring, for errors.Is. The error around each of them
// says what was found and, after a semicolon, what to do.
var (
	// ErrNotFound: the keyring is open and has no such item.
	ErrNotFound = errors.New("no such item in the keyring")
	// ErrLocked: the keyring is there, and is closed with a password.
	ErrLocked = errors.New("the keyring is locked")
	// ErrUnavailable: there is no such keyring here, or it cannot be reached.
	ErrUnavailable = errors.New("the keyring cannot be used")
	// ErrCorrupt: there is an item, and it is not what was stored.
	ErrCorrupt = errors.New("the keyring's item is damaged")
	// ErrTooLarge: the secret is larger than the keyring takes.
	ErrTooLarge = errors.New("the secret is too large for the keyring")
	// ErrTimeout: the keyring did not answer within the time limit.
	ErrTimeout = errors.New("the keyring does not answer")
)

// quoted makes what another program said fit for one of our sentences: one
// line, no control characters, no semicolon, cut.
func quoted(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == ';':
			return ','
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.TrimSpace(text))
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200]) + "…"
	}
	return "\"" + text + "\""
}
