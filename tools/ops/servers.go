// Package ops declares every operation, one file per noun. All returns them in
// the order in which help and tool lists show them.
package ops

import (
	"context"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
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
	Login(ctx context.Context, server string, by tools.Login) (tools.LoggedIn, error)
	// Logout ends the stored session and proves that its token is refused.
	Logout(ctx context.Context, server string) (tools.LoggedOut, error)
	// Diagnose looks which part between here and Duplicati is ill.
	Diagnose(ctx context.Context, server string) (duplicati.Diagnosis, error)
	// ProvePassword logs in with password, and out again, to prove that it is
	// the server's. A refused one is an error of code NotLoggedIn.
	ProvePassword(ctx context.Context, server string, password secret.Value) error
	// StagePassword stores a new password and reads it back, before it is set;
	// it counts for nothing until KeepPassword.
	StagePassword(ctx context.Context, server string, password secret.Value) error
	// KeepPassword makes a password that was proven the server's keyring item,
	// which from then on comes before the config's reference, and renews the
	// session.
	KeepPassword(ctx context.Context, server string, password secret.Value) (tools.KeptPassword, error)
}
