package store

import (
	"context"
	"database/sql"
	"time"
)

// Messages are what was posted to a chat and has to be edited when its subject
// changes: one for each channel that it went to.
type Messages struct{ db *DB }

// MessageKind is what a message is about.
type MessageKind string

const (
	ApprovalMessage MessageKind = "approval"
	AlertMessage    MessageKind = "alert"
	RunMessage      MessageKind = "run"
)

// Message is one posted message.
type Message struct {
	Kind     MessageKind
	Subject  string // ID of the request, key of the alert, task of the run
	Channel  string
	TS       string // the chat's own name for it, as Slack's "1355517523.000005"
	State    string // what it shows, for approvals a tools.State
	Posted   time.Time
	Repaired time.Time // when it was last edited, zero for never
}

const messageColumns = `kind, subject, channel, ts, state, posted, repaired`

// Save stores that m was posted or, when its channel and TS are known, that it
// now shows another State.
func (s *Messages) Save(ctx context.Context, m Message) error {
	now := millis(s.db.now())
	_, err := s.db.exec(ctx, "store message about "+m.Subject,
		`INSERT INTO messages (`+messageColumns+`) VALUES ($1, $2, $3, $4, $5, $6, 0)
		ON CONFLICT (channel, ts) DO UPDATE SET state = excluded.state, repaired = $6`,
		string(m.Kind), m.Subject, m.Channel, m.TS, m.State, now)
	return err
}

// About lists the messages about one subject, oldest first.
func (s *Messages) About(ctx context.Context, kind MessageKind, subject string) ([]Message, error) {
	return collect(ctx, s.db.reader, "list messages about "+subject, scanMessage,
		`SELECT `+messageColumns+` FROM messages WHERE kind = $1 AND subject = $2 ORDER BY posted, channel, ts`, string(kind), subject)
}

// Outdated lists the cards that show another state than their request is in,
// oldest first: what to repair after a restart.
func (s *Messages) Outdated(ctx context.Context) ([]Message, error) {
	return collect(ctx, s.db.reader, "list outdated messages", scanMessage,
		`SELECT m.kind, m.subject, m.channel, m.ts, m.state, m.posted, m.repaired
		FROM messages m JOIN approvals a ON a.id = m.subject
		WHERE m.kind = 'approval' AND m.state <> a.state ORDER BY m.posted, m.channel, m.ts`)
}

// Forget removes a message that is no longer there.
func (s *Messages) Forget(ctx context.Context, channel, ts string) error {
	_, err := s.db.exec(ctx, "forget a message", `DELETE FROM messages WHERE channel = $1 AND ts = $2`, channel, ts)
	return err
}

func scanMessage(rows *sql.Rows) (Message, error) {
	var m Message
	var posted, repaired int64
	err := rows.Scan(&m.Kind, &m.Subject, &m.Channel, &m.TS, &m.State, &posted, &repaired)
	m.Posted, m.Repaired = instant(posted), instant(repaired)
	return m, err
}
