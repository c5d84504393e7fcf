package secret

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// Ref says where a secret is kept: "env:NAME", "file:PATH", "keyring:ITEM",
// "credential:NAME" (a systemd credential) or "pass:ENTRY". A Ref holds no
// secret and may be shown. The zero Ref refers to nothing.
type Ref struct{ scheme, name string }

// ErrBadRef is what ParseRef's errors wrap.
var ErrBadRef = errors.New("not a secret reference")

// schemes names each kind of reference with the form its name must have.
var schemes = map[string]func() *regexp.Regexp{
	"env":        form(`^[A-Za-z_][A-Za-z0-9_]*$`),
	"file":       form(`^.+$`),
	"keyring":    form(`^[a-z0-9][a-z0-9._-]{0,120}$`),
	"credential": form(`^[A-Za-z0-9][A-Za-z0-9._-]*$`),
	"pass":       form(`^[A-Za-z0-9][A-Za-z0-9._/@+-]*$`),
}

// form is compiled when it is first used: a program that starts reads few.
func form(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// ParseRef reads "scheme:name". Its errors never repeat the text: what was
// given in the place of a reference may be the secret itself.
func ParseRef(text string) (Ref, error) {
	if text == "" {
		return Ref{}, nil
	}
	scheme, name, _ := strings.Cut(text, ":")
	shape, known := schemes[scheme]
	if !known {
		return Ref{}, fmt.Errorf("%w: it must begin with env:, file:, keyring:, credential: or pass:", ErrBadRef)
	}
	if !shape().MatchString(name) || strings.Contains(name, "..") && scheme != "file" {
		return Ref{}, fmt.Errorf("%w: the name after %s: is not of the form that %s names have", ErrBadRef, scheme, scheme)
	}
	return Ref{scheme: scheme, name: name}, nil
}

// Scheme is the word before the colon, or "" for the zero Ref.
func (r Ref) Scheme() string { return r.scheme }

// Name is the part after the colon.
func (r Ref) Name() string { return r.name }

// IsZero reports whether r refers to nothing.
func (r Ref) IsZero() bool { return r.scheme == "" }

// String returns the reference as it is written in a config file.
func (r Ref) String() string {
	if r.IsZero() {
		return ""
	}
	return r.scheme + ":" + r.name
}

// MarshalText writes the reference.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a reference.
func (r *Ref) UnmarshalText(text []byte) error {
	ref, err := ParseRef(string(text))
	if err != nil {
		return err
	}
	*r = ref
	return nil
}
