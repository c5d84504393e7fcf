// Package secret holds the one type for words that nobody but their user may
// see, and references to where such words are kept.
//
// A Value prints as "[secret]" whatever prints it: fmt with any verb, slog,
// encoding/json, a %+v of a struct around it. Reveal is the only way out, and
// the word to search for when reviewing where secrets go.
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// masked is what every formatter shows in place of the word.
const masked = "[secret]"

// Value is a secret word. The zero Value is empty. Values are compared with
// Equal; == compares nothing useful.
//
// The word is held by a closure: reflection, and fmt through the unexported
// fields of a struct around it, find a function and not a string.
type Value struct{ word func() string }

// New returns a Value that holds word.
func New(word string) Value {
	if word == "" {
		return Value{}
	}
	return Value{word: func() string { return word }}
}

// Reveal returns the word itself.
func (v Value) Reveal() string {
	if v.word == nil {
		return ""
	}
	return v.word()
}

// Empty reports whether there is no word.
func (v Value) Empty() bool { return v.word == nil }

// Equal compares two words in time that does not depend on where they differ.
func (v Value) Equal(w Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Reveal()), []byte(w.Reveal())) == 1
}

// String returns the mask.
func (v Value) String() string { return masked }

// GoString returns the mask.
func (v Value) GoString() string { return masked }

// Format writes the mask for every verb and flag.
func (v Value) Format(f fmt.State, _ rune) { io.WriteString(f, masked) }

// LogValue returns the mask.
func (v Value) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText returns the mask, so that JSON, YAML and XML hold no secret.
func (v Value) MarshalText() ([]byte, error) { return []byte(masked), nil }

// UnmarshalText refuses: a secret is given by reference and never read from a
// document.
func (v *Value) UnmarshalText([]byte) error {
	return errors.New("a secret cannot be given as text; give a reference such as env:NAME or file:PATH")
}
