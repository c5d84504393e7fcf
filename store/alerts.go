package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// Alerts are problems that people are told about, each once from its beginning
// to its end.
type Alerts struct{ db *DB }

// Alert is one problem.
type Alert struct {
	Problem    string    `json:"problem"`  // its key: the same problem has the same, "nas/3/overdue"
	Severity   string    `json:"severity"` // the caller's word
	Server     string    `json:"server"`
	Backup     string    `json:"backup,omitempty"` // ID
	Summary    string    `json:"summary"`
	Since      time.Time `json:"since"` // when it was first seen, this time
	LastSeen   time.Time `json:"last_seen"`
	MutedUntil time.Time `json:"muted_until,omitzero"`
	Resolved   time.Time `json:"resolved,omitzero"`
}

// Muted reports whether people asked not to be told at that time.
func (a Alert) Muted(now time.Time) bool { return now.Before(a.MutedUntil) }

const alertColumns = `problem, severity, server, backup, summary, since, last_seen, muted_until, resolved`

// See notes that the problem is there now, and returns it with what was known
// of it before. was is zero when it is new or had been resolved: then it
// begins anew, and a mute of the time before does not hold.
func (s *Alerts) See(ctx context.Context, a Alert) (now, was Alert, err error) {
	err = s.db.write(ctx, "store alert "+a.Problem, func(tx *sql.Tx) error {
		if was, err = alert(ctx, tx, a.Problem); err != nil {
			return err
		}
		if !was.Resolved.IsZero() {
			was = Alert{}
		}
		now = a
		now.LastSeen = trim(s.db.now())
		now.Since, now.MutedUntil, now.Resolved = was.Since, was.MutedUntil, time.Time{}
		if was.Problem == "" {
			now.Since = now.LastSeen
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO alerts (`+alertColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)
			ON CONFLICT (problem) DO UPDATE SET severity = $2, server = $3, backup = $4, summary = $5,
				since = $6, last_seen = $7, muted_until = $8, resolved = 0`,
			now.Problem, now.Severity, now.Server, now.Backup, now.Summary,
			millis(now.Since), millis(now.LastSeen), millis(now.MutedUntil))
		return err
	})
	if err != nil {
		return Alert{}, Alert{}, err
	}
	return now, was, nil
}

// Resolve notes that the problem is gone. resolved is false, with no error,
// when it was not there.
func (s *Alerts) Resolve(ctx context.Context, problem string) (a Alert, resolved bool, err error) {
	n, err := s.db.exec(ctx, "resolve alert "+problem,
		`UPDATE alerts SET resolved = $1 WHERE problem = $2 AND resolved = 0`, millis(s.db.now()), problem)
	if err != nil {
		return Alert{}, false, err
	}
	a, err = alert(ctx, s.db.reader, problem)
	return a, n == 1 && err == nil, err
}

// Mute keeps an open problem quiet until then; a past time ends that. One that
// is not open is an Error of code NotFound.
func (s *Alerts) Mute(ctx context.Context, problem string, until time.Time) (Alert, error) {
	n, err := s.db.exec(ctx, "mute alert "+problem,
		`UPDATE alerts SET muted_until = $1 WHERE problem = $2 AND resolved = 0`, millis(until), problem)
	if err != nil {
		return Alert{}, err
	}
	if n == 0 {
		return Alert{}, tools.Errorf(tools.NotFound, "this problem is not there, or no longer; nothing was muted")
	}
	return alert(ctx, s.db.reader, problem)
}

// Open lists the problems that are there, of one server or, when server is
// empty, of all, oldest first.
func (s *Alerts) Open(ctx context.Context, server string) ([]Alert, error) {
	return collect(ctx, s.db.reader, "list alerts", scanAlert,
		`SELECT `+alertColumns+` FROM alerts WHERE resolved = 0 AND ($1 = '' OR server = $1) ORDER BY since, problem`, server)
}

// alert reads one, the zero Alert when there is none.
func alert(ctx context.Context, q queryer, problem string) (Alert, error) {
	list, err := collect(ctx, q, "read alert "+problem, scanAlert,
		`SELECT `+alertColumns+` FROM alerts WHERE problem = $1`, problem)
	if err != nil || len(list) == 0 {
		return Alert{}, err
	}
	return list[0], nil
}

func scanAlert(rows *sql.Rows) (Alert, error) {
	var a Alert
	var since, lastSeen, muted, resolved int64
	err := rows.Scan(&a.Problem, &a.Severity, &a.Server, &a.Backup, &a.Summary, &since, &lastSeen, &muted, &resolved)
	a.Since, a.LastSeen, a.MutedUntil, a.Resolved = instant(since), instant(lastSeen), instant(muted), instant(resolved)
	return a, err
}
