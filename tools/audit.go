package tools

import (
	"context"
	"time"
)

// Event is what an audit record records.
type Event string

const (
	EventRefused   Event = "refused"
	EventRequested Event = "requested"
	EventProvided  Event = "provided" // a secret was entered for a request
	EventVoted     Event = "voted"
	EventWithdrawn Event = "withdrawn"
	EventExpired   Event = "expired"
	EventChanged   Event = "changed"
	EventIntent    Event = "intent"
	EventOutcome   Event = "outcome"
	EventUnknown   Event = "unknown"
	EventSettled   Event = "settled"
	EventToken     Event = "token"  // a token for assistants was made or revoked
	EventSecret    Event = "secret" // a word was put into the keyring, or taken out
	EventConfig    Event = "config" // the bot started, with this policy
	EventCut       Event = "cut"    // records that were known from elsewhere were gone when the log went on
)

// Record is one line of the audit log. It holds no secret: of a refused call
// the parameters' names, of others the canonical arguments, in which a secret
// is a handle.
type Record struct {
	Seq       int64     `json:"seq"`
	At        time.Time `json:"at"`
	Event     Event     `json:"event"`
	Operation string    `json:"operation,omitempty"`
	Server    string    `json:"server,omitempty"`
	Target    string    `json:"target,omitempty"`
	Person    string    `json:"person,omitempty"`
	Identity  Identity  `json:"identity,omitempty"`
	Surface   Surface   `json:"surface,omitempty"`
	Client    string    `json:"client,omitempty"`
	Approval  string    `json:"approval,omitempty"`
	Card      string    `json:"card,omitempty"` // hash of what was shown
	Detail    string    `json:"detail,omitempty"`
	Code      Code      `json:"code,omitempty"`
	// SameAccount: the caller could also have edited this log.
	SameAccount bool `json:"same_account,omitempty"`

	Prev string `json:"prev"` // MAC of the record before, hex
	MAC  string `json:"mac"`  // HMAC-SHA256 over this record without MAC, hex
}

// AuditLog is append-only. Append sets Seq, Prev and MAC.
type AuditLog interface {
	Append(ctx context.Context, r Record) (Record, error)
}
