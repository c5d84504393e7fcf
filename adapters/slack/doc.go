// Package slack lets people run the registry's operations from Slack and decide
// requests there: one slash command, modals, cards with buttons, a Home tab and
// alerts.
//
//	a, err := slack.New(options)                // no network yet
//	runner, desk, err := tools.New(… Notifier: a, Memberships: a …)
//	err = a.Run(ctx, runner, desk)
//
// Slack is a view; what counts is in the store behind the gate. What Slack tells
// comes by Socket Mode or by signed requests and goes through one dispatcher: it
// is acknowledged first, seen once, and then worked on in a bounded lane.
//
// A person is a user ID with the ID of this workspace or its organisation.
// Everything a server, a person or a model wrote is shown as plain text.
package slack

import (
	"context"
	"log/slog"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// Options are what the adapter works with. Without a signing secret it connects
// by Socket Mode and needs the app token.
type Options struct {
	BotToken      secret.Value // xoxb-…
	AppToken      secret.Value // xapp-…, for Socket Mode
	SigningSecret secret.Value // for requests to Handler, in HTTP mode
	HTTP          bool         // Slack calls Handler; no Socket Mode
	APIURL        string       // another Slack, for tests; it ends in a slash
	Connections   int          // websockets; default 2, at most 10

	Registry   *tools.Registry
	Messages   Messages
	Deliveries Deliveries
	Alerts     Alerts
	Pages      Pages // nil: no one-time pages can be offered

	// ApprovalsChannel is where cards are posted; with none they go to those who
	// can decide, one by one.
	ApprovalsChannel string
	// AlertChannels are where problems are told, by severity ("error", "warning",
	// "notice", "unknown"); "other" is for those that are not named. A problem
	// without a channel is not told.
	AlertChannels map[string]string
	// Remind is after how long an open problem is told again; 0 is never.
	Remind time.Duration
	// DigestAt is the time of day of the daily digest, "08:00" by the clock on the
	// wall where Now is; "" is none.
	DigestAt string
	// Digest asks the servers how they are, for the digest; the open problems stand
	// below. DigestAt needs it: without it no problem would read as all well.
	Digest func(ctx context.Context) (tools.View, error)

	// Groups are the config's groups. Those of Slack are read; those that make
	// approvers are mentioned on cards.
	Groups []tools.Group
	// Identities lists how a person of the config is known, to find his Slack user.
	Identities func(person string) []tools.Identity
	// Deciders names who could decide a request, for cards; the gate's policy knows.
	Deciders func(r tools.Approval) []string
	// DefaultServer is the server meant in a channel, "" for none. May be nil.
	DefaultServer func(channel string) string
	// AuditHead is the place of the newest audit record, in words for a card, so
	// that a cut end of the log shows. May be nil.
	AuditHead func(ctx context.Context) (string, error)

	Log *slog.Logger
	Now tools.Clock
}

// Message is one posted message that is edited when its subject changes.
type Message struct {
	Kind    string // "approval", "alert" or "run"
	Subject string // a request's ID, a problem's key
	Channel string
	TS      string
	State   string // what it shows: a request's state, or what is followed
	Posted  time.Time
}

// The kinds of Message.
const (
	kindApproval = "approval"
	kindAlert    = "alert"
	kindRun      = "run"
)

// Messages remember what was posted.
type Messages interface {
	// Save stores a message or, when its channel and TS are known, its new State.
	Save(ctx context.Context, m Message) error
	About(ctx context.Context, kind, subject string) ([]Message, error)
	// Outdated lists the cards that show another state than their request is in.
	Outdated(ctx context.Context) ([]Message, error)
	Forget(ctx context.Context, channel, ts string) error
}

// Deliveries remember what was seen and what was sent, across restarts.
type Deliveries interface {
	// Begin is true for exactly one of many callers with the same id.
	Begin(ctx context.Context, id string, keep time.Duration) (first bool, err error)
	// Release gives back what was begun and of which nothing was done.
	Release(ctx context.Context, id string) error
}

// Alert is a problem as it is kept.
type Alert struct {
	Problem    string
	Severity   string
	Server     string
	Backup     string
	Summary    string
	Since      time.Time
	MutedUntil time.Time
}

// Alerts are the problems that are there.
type Alerts interface {
	// See notes that the problem is there and returns what is known of it.
	See(ctx context.Context, a Alert) (Alert, error)
	// Resolve notes that it is gone; false when it was not there.
	Resolve(ctx context.Context, problem string) (bool, error)
	Mute(ctx context.Context, problem string, until time.Time) (Alert, error)
	Open(ctx context.Context) ([]Alert, error)
}

// Page is a one-time page: a link, and a code that goes another way.
type Page struct {
	Link    string // "" where no link may leave for Slack
	Code    string
	Expires time.Time
}

// Pages makes one-time pages. A new page for the same thing ends the one before.
type Pages interface {
	// Enter is a page on which the requester enters what a still needs.
	Enter(ctx context.Context, a tools.Approval) (Page, error)
	// Show is a page on which c reads, once, what was kept under handle.
	Show(ctx context.Context, c tools.Caller, handle string) (Page, error)
}
