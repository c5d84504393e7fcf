// Package ops declares every operation, one file per noun. All returns them in
// the order in which help and tool lists show them.
package ops

import (
	"context"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
)

// Servers gives clients of the configured servers and keeps their logins. Its
// errors are for readers: *tools.Error, or errors of package duplicati that
// the gate can explain.
type Servers interface {
	// Client is logged in, or logs in by the stored session, the server's own
	// database or the password reference, in this order. It never asks anybody.
	Client(ctx context.Context, server string) (*duplicati.Client, error)
	// Login begins a session and stores it. An empty password takes the
	// database or the reference.
	Login(ctx context.Context, server string, by Login) (LoggedIn, error)
	// Logout ends the stored session and proves that its token is refused.
	Logout(ctx context.Context, server string) (LoggedOut, error)
	// Diagnose looks which part between here and Duplicati is ill.
	Diagnose(ctx context.Context, server string) (duplicati.Diagnosis, error)
	// ProvePassword logs in with password, and out again, to prove that it is
	// the server's. A refused one is an error of code NotLoggedIn.
	ProvePassword(ctx context.Context, server string, password secret.Value) error
	// StagePassword stores a new password and reads it back, before it is set;
	// it counts for nothing until KeepPassword.
	StagePassword(ctx context.Context, server string, password secret.Value) error
	// KeepPassword makes the staged password the server's keyring item, which
	// from then on comes before the config's reference, and renews the session.
	KeepPassword(ctx context.Context, server string) (KeptPassword, error)
}

// Login is what somebody logs in with.
type Login struct {
	Password secret.Value
	// Pin is the SHA-256 of the server's certificate, hex, that a person has
	// agreed to; "" changes nothing.
	Pin string
}

// LoggedIn says how it went.
type LoggedIn struct {
	By         string // "password", "database", "stored session"
	Generation duplicati.Generation
	Version    string
	Ends       time.Time // of the refresh token when it is not used
	Stored     string    // which keyring, in words
	Notes      []string
}

// LoggedOut says how it went.
type LoggedOut struct {
	Had     bool // there was a stored session
	Refused bool // the server was seen to refuse its old token
	Notes   []string
}

// KeptPassword says where a new password is.
type KeptPassword struct {
	Where     string // "keyring item …"
	Overrides string // the config's reference that it comes before, "" when there is none
}
