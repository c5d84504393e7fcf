package watch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/duplibot/duplibot/duplicati"
)

const (
	// slack is by how much times of one event differ between a log and the
	// metadata, which counts whole seconds.
	slack = 5 * time.Second
	// forgotten is for how long servers keep log rows unless told otherwise
	// (log-retention): nothing is said of a run before that whose row is gone.
	forgotten = 30 * 24 * time.Hour
)

// judge reads the logs of those backups of which something has changed.
func (s *server) judge(ctx context.Context, c *duplicati.Client) error {
	locked := false
	for _, b := range s.list {
		was, known := s.memory.Backups[b.ID]
		w, ended := s.pending[b.ID]
		if known && !ended && was.Seen == seen(b) && was.LastRun == lastRun(b) && !(was.Unread && s.relists) || s.state.Runs(b.ID) {
			continue
		}
		if b.Facts.NeverRan() && b.Facts.LastError.IsZero() && b.Facts.LastStarted.IsZero() && !ended && (b.Schedule == nil || b.Schedule.LastRun.IsZero()) {
			was.Seen = seen(b)
			s.memory.Backups[b.ID] = was
			continue
		}
		m, err := s.verdict(ctx, c, b, was)
		if err == nil && w != nil && s.leftNothing(m, was, known, w) {
			m, err = s.without(ctx, c, m, w)
		}
		switch {
		case errors.Is(err, duplicati.DatabaseLocked):
			s.pending[b.ID], locked = w, true // something works on it still; what was known stays
		case errors.Is(err, errTooEarly):
			s.pending[b.ID] = w
		case errors.Is(err, duplicati.NotFound):
			delete(s.pending, b.ID) // deleted meanwhile
		case err != nil:
			return err
		default:
			s.memory.Backups[b.ID] = s.newer(m, was)
			delete(s.pending, b.ID)
			if w != nil {
				if len(s.settled) > 1000 {
					clear(s.settled)
				}
				s.settled[w.slot.Task] = true
			}
		}
	}
	for id := range s.pending {
		if s.backup(id) == nil {
			delete(s.pending, id)
		}
	}
	switch {
	case !locked:
		s.locked = time.Time{}
	case s.locked.IsZero():
		s.locked = s.o.Now()
	}
	return nil
}

// newer is m, or what was judged before with what is newly seen, if m is not
// about a later run: what was told of a run is not undone by a log that never
// knew of it, or no longer does.
func (s *server) newer(m, was mark) mark {
	if was.Verdict == "" || m.Run > was.Run || m.At.After(was.At.Add(slack)) || s.future(was.At) {
		return m
	}
	was.Seen, was.LastRun, was.Row = m.Seen, m.LastRun, max(m.Row, was.Row)
	return was
}

// leftNothing reports whether a task that is over left neither a row nor a note
// behind. Rows have numbers; only where it is not known which were there
// before it, times decide.
func (s *server) leftNothing(m, was mark, known bool, w *work) bool {
	if known {
		return m.Row <= was.Row && m.Seen == was.Seen
	}
	return m.newest.Before(s.theirs(w.since).Add(-slack))
}

// errTooEarly says that a run has only just begun, and will be judged later.
var errTooEarly = errors.New("the run has only just begun")

// ofOneBackup reports whether an error is about the backup that was asked for,
// and not about the server: a broken database of one says nothing of the others.
func ofOneBackup(err error) bool {
	switch duplicati.KindOf(err) {
	case duplicati.ServerFault, duplicati.Invalid, duplicati.TooLarge, duplicati.Unreadable:
		return true
	}
	return false
}

// seen is what the server has noted of a backup's runs. A run that was
// interrupted shows only in its version.
func seen(b duplicati.Backup) string {
	f := b.Facts
	text := fmt.Sprint(f.LastStarted.Unix(), f.LastFinished.Unix(), f.LastError.Unix(), f.LastBackup.Unix())
	for _, n := range []*int64{f.Versions, f.RemoteFiles, f.RemoteBytes} {
		if n != nil {
			text += fmt.Sprint(" ", *n)
		}
	}
	return text
}

func lastRun(b duplicati.Backup) int64 {
	if b.Schedule == nil || b.Schedule.LastRun.IsZero() {
		return 0
	}
	return b.Schedule.LastRun.Unix()
}

// verdict finds how the last run of a backup ended, by its log and by what the
// server has noted.
func (s *server) verdict(ctx context.Context, c *duplicati.Client, b duplicati.Backup, was mark) (mark, error) {
	m := mark{Seen: seen(b), LastRun: lastRun(b), Row: was.Row, Run: was.Run, newest: latest(b.Facts.LastFinished, b.Facts.LastError)}
	run, unreadable, err := m.read(ctx, c, b.ID)
	switch {
	case ofOneBackup(err):
		m.Unread = true
		at := latest(b.Facts.LastFinished, b.Facts.LastStarted)
		if b.Schedule != nil {
			at = latest(at, b.Schedule.LastRun)
		}
		switch {
		case !at.IsZero():
		case was.Unread:
			at = was.At
		default:
			at = s.theirs(s.o.Now())
		}
		m.rule(duplicati.NotKnown, at, "its log cannot be read: "+reason(err), "")
	case err != nil:
		return mark{}, err
	}
	if run != nil {
		m.Verdict, m.At, m.Began, m.Said = run.Verdict(), run.End, run.Begin, firstWords(run)
		m.Warnings, m.Errors = run.WarningCount, run.ErrorCount
	}
	f := b.Facts
	if !unreadable.IsZero() {
		m.rule(duplicati.NotKnown, unreadable, "what it left in the log cannot be read", "")
	}
	// What lies in the future was noted while the server's clock was wrong, and
	// says nothing about what came later.
	believed := func(t time.Time) bool { return m.At.IsZero() || s.future(m.At) || !s.future(t) }
	if f.LastError.After(m.At.Add(slack)) && believed(f.LastError) {
		// A run that throws early leaves no row, only this.
		m.rule(duplicati.Fatal, f.LastError, "the server noted an error, and the log has no result for it", f.LastErrorMessage)
		m.Began = f.LastError
	}
	if n, said := s.errors[b.ID]; said && n.Time.After(m.At.Add(slack)) && believed(n.Time) {
		m.rule(duplicati.Fatal, n.Time, "the server tells of an error, and the log has no result for it", n.Message)
	}
	if sch := b.Schedule; sch != nil && sch.LastRun.After(latest(m.Began, m.At, f.LastStarted).Add(slack)) && believed(sch.LastRun) {
		// The state was read before the list: it may have begun in between.
		if s.theirs(s.o.Now()).Sub(sch.LastRun) < s.o.Patience && !s.future(sch.LastRun) {
			return mark{}, errTooEarly
		}
		if _, holds := s.state.Holds(b.ID); !holds {
			m.rule(duplicati.NotKnown, sch.LastRun, "it began at "+clock(sch.LastRun)+" and left no result in the log", "")
		}
	}
	switch {
	case m.Verdict == "" && f.LastFinished.After(s.theirs(s.o.Now()).Add(-forgotten)),
		m.Verdict != "" && f.LastFinished.After(m.At.Add(slack)) && believed(f.LastFinished):
		m.rule(duplicati.NotKnown, f.LastFinished, "the server notes that it ran, and its log has no row of it", "")
	}
	return m, nil
}

// read finds the newest run in the log, and when a row was written after it
// that cannot be read. Listings and verifications write rows too, so that the
// newest ten need not hold one.
func (m *mark) read(ctx context.Context, c *duplicati.Client, backup string) (run *duplicati.Result, unreadable time.Time, err error) {
	page := duplicati.Page{Size: 10}
	for range 2 {
		rows, err := c.Log(ctx, backup, page)
		if err != nil {
			return nil, unreadable, err
		}
		for _, r := range rows {
			m.Row, m.newest = max(m.Row, r.ID), latest(m.newest, r.Time)
			switch {
			case r.Result != nil && r.Result.IsRun() && !r.Result.DryRun:
				m.Run = r.ID
				return r.Result, unreadable, nil
			case r.Result == nil && r.Type == "Result":
				unreadable = latest(unreadable, r.Time)
			}
		}
		if len(rows) < page.Size {
			break
		}
		page = duplicati.Page{Before: rows[len(rows)-1].ID, Size: 200}
	}
	return nil, unreadable, nil
}

// rule sets a verdict that the log does not give.
func (m *mark) rule(v duplicati.Verdict, at time.Time, why, said string) {
	m.Verdict, m.At, m.Why, m.Said, m.Warnings, m.Errors = v, at, why, nil, 0, 0
	if said != "" {
		m.Said = []string{said}
	}
}

// without judges a task that was seen at work on a backup and left nothing.
func (s *server) without(ctx context.Context, c *duplicati.Client, m mark, w *work) (mark, error) {
	if w.phase != "" && w.phase != "Starting_Operation" && !strings.HasPrefix(w.phase, "Backup_") && !strings.HasPrefix(w.phase, "Sync_") {
		return m, nil // another operation, which need not leave anything
	}
	now := s.theirs(s.o.Now())
	if m.Began = w.began; m.Began.IsZero() {
		m.Began = s.theirs(w.since)
	}
	if w.lost {
		m.rule(duplicati.NotKnown, now, "the server was restarted while it ran, and the log has nothing of it", "")
		return m, nil
	}
	t, err := c.Task(ctx, w.slot.Task)
	switch {
	case err != nil && !errors.Is(err, duplicati.NotFound):
		return mark{}, err
	case err == nil && t.Status == duplicati.Failed:
		m.rule(duplicati.Fatal, now, "", t.Error)
	default:
		m.rule(duplicati.NotKnown, now, fmt.Sprintf("task %d ended and left nothing in the log", w.slot.Task), "")
	}
	return m, nil
}

// firstWords are the first few errors and warnings of a result.
func firstWords(r *duplicati.Result) []string {
	words := append(append([]string{}, r.Errors...), r.Warnings...)
	if len(words) > 3 {
		words = words[:3]
	}
	return words
}
