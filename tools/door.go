package tools

import (
	"context"

	"github.com/duplibot/duplibot/secret"
)

// Door is how a call gets to the gate: the Runner of this process, or the
// daemon's over its socket. Adapters take a Door.
type Door interface {
	// Run runs a call, or stores it and answers that a person is asked.
	Run(ctx context.Context, call Call) (Answer, error)
	// Operations lists what the caller may see, in the registry's order.
	Operations(ctx context.Context, c Caller) ([]*Operation, error)
	// Needs names the secrets and files that a call lacks.
	Needs(ctx context.Context, call Call) ([]Param, error)
	// Complete offers values for a parameter.
	Complete(ctx context.Context, c Caller, operation, param, prefix, server string) ([]Choice, error)
}

// Decisions is where people's decisions go: the Desk of this process, or the
// daemon's over its socket. An adapter that serves models is never given one.
type Decisions interface {
	Decide(ctx context.Context, d Decision) (Approval, error)
	Withdraw(ctx context.Context, id string, c Caller) (Approval, error)
	Settle(ctx context.Context, id string, c Caller, tookEffect bool) (Approval, error)
	Request(ctx context.Context, id string) (Approval, error)
	Requests(ctx context.Context, f Filter) ([]Approval, error)
	// MayDecide says whether the caller could decide a now, and if not why.
	MayDecide(ctx context.Context, a Approval, c Caller) error
	// Hold keeps a secret or a file that a person at a terminal gave for the
	// call that follows.
	Hold(ctx context.Context, c Caller, v secret.Value) (Secret, error)
	// Fetch gives something that was kept to its requester at a terminal, once.
	Fetch(ctx context.Context, c Caller, handle string) (secret.Value, error)
}

var (
	_ Door      = (*Runner)(nil)
	_ Decisions = (*Desk)(nil)
)
