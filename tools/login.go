package tools

import (
	"time"

	"github.com/duplibot/duplibot/secret"
)

// Login is what somebody logs in to a server with.
type Login struct {
	Password secret.Value // empty takes the server's own database or the reference
	// Pin is the SHA-256 of the server's certificate, "sha256:" and hex, that
	// a person has agreed to; "" changes nothing.
	Pin string
}

// LoggedIn says how a login went.
type LoggedIn struct {
	By         string    // "password", "database"
	Generation string    // "2.3.1", as package duplicati names it
	Version    string    // "2.3.1.0"
	Ends       time.Time // of the session when nobody uses it; zero when the server keeps none
	Stored     string    // which keyring, in words
	Notes      []string
}

// LoggedOut says how a logout went.
type LoggedOut struct {
	Had     bool // there was a stored session
	Refused bool // the server was seen to refuse its old token
	Notes   []string
}

// KeptPassword says where a new password is.
type KeptPassword struct {
	Where     string // "keyring item …"
	Overrides string // the config's reference that it comes before, "" when there is none
	Notes     []string
}
