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
	for _, b := range s.list {
		was, known := s.memory.Backups[b.ID]
		w, ended := s.pending[b.ID]
		if known && was.Seen == seen(b) && !ended || s.state.Runs(b.ID) {
			continue
		}
		if b.Facts.NeverRan() && b.Facts.LastError.IsZero() && b.Facts.LastStarted.IsZero() && !ended && (b.Schedule == nil || b.Schedule.LastRun.IsZero()) {
			s.memory.Backups[b.ID] = mark{Seen: seen(b)}
			continue
		}
		m, err := s.verdict(ctx, c, b, w)
		switch {
		case errors.Is(err, duplicati.DatabaseLocked):
			s.pending[b.ID] = w // something works on it still; what was known stays
		case errors.Is(err, duplicati.NotFound):
			delete(s.pending, b.ID) // deleted meanwhile
		case err != nil:
			return err
		default:
			s.memory.Backups[b.ID] = m
			delete(s.pending, b.ID)
		}
	}
	for id := range s.pending {
		if s.backup(id) == nil {
			delete(s.pending, id)
		}
	}
	return nil
}

// seen is what the server has noted of a backup's runs.
func seen(b duplicati.Backup) string {
	times := []time.Time{b.Facts.LastStarted, b.Facts.LastFinished, b.Facts.LastError}
	if b.Schedule != nil {
		times = append(times, b.Schedule.LastRun)
	}
	var text strings.Builder
	for _, t := range times {
		fmt.Fprintf(&text, "%d ", t.Unix())
	}
	return text.String()
}

// verdict finds how the last run of a backup ended. w is the task that was
// seen at work on it and is over, nil when none was.
func (s *server) verdict(ctx context.Context, c *duplicati.Client, b duplicati.Backup, w *work) (mark, error) {
	rows, err := c.Log(ctx, b.ID, duplicati.Page{Size: 50})
	if err != nil {
		return mark{}, err
	}
	m := mark{Seen: seen(b)}
	var newest time.Time // of any row
	unreadable := false
	for _, r := range rows {
		newest = latest(newest, r.Time)
		switch {
		case r.Result == nil:
			unreadable = unreadable || r.Type == "Result"
			continue
		case !r.Result.IsRun() || r.Result.DryRun:
			continue
		}
		m.Verdict, m.At, m.Began = r.Result.Verdict(), r.Result.End, r.Result.Begin
		m.Warnings, m.Errors = r.Result.WarningCount, r.Result.ErrorCount
		m.Said = firstWords(r.Result)
		break
	}
	f := b.Facts
	unknown := func(at time.Time, why string) { m = mark{Seen: m.Seen, Verdict: duplicati.NotKnown, At: at, Began: m.Began, Why: why} }
	if unreadable {
		unknown(newest, "what it left in the log cannot be read")
	}
	if f.LastError.After(m.At.Add(slack)) {
		// A run that throws early leaves no row, only this.
		m = mark{Seen: m.Seen, Verdict: duplicati.Fatal, At: f.LastError, Began: f.LastError, Said: nonEmpty(f.LastErrorMessage)}
	}
	if sch := b.Schedule; sch != nil && sch.LastRun.After(latest(m.Began, m.At, f.LastStarted).Add(slack)) {
		if _, holds := s.state.Holds(b.ID); !holds {
			unknown(sch.LastRun, "it began at "+clock(sch.LastRun)+" and left no result: was the server switched off?")
		}
	}
	if m.Verdict == "" && f.LastFinished.After(s.o.Now().Add(-forgotten)) {
		unknown(f.LastFinished, "the server notes that it ran, and its log has no row of it")
	}
	if w != nil && latest(newest, f.LastError, f.LastFinished).Before(w.since.Add(-slack)) {
		return s.without(ctx, c, m, w)
	}
	return m, nil
}

// without judges a task that left nothing in the log.
func (s *server) without(ctx context.Context, c *duplicati.Client, m mark, w *work) (mark, error) {
	if w.phase != "" && !strings.HasPrefix(w.phase, "Backup_") && !strings.HasPrefix(w.phase, "Sync_") && w.phase != "Starting_Operation" {
		return m, nil // it was another operation, which need not leave any
	}
	lost := mark{Seen: m.Seen, Verdict: duplicati.NotKnown, At: s.o.Now(), Began: w.since, Why: fmt.Sprintf("task %d ended and left nothing in the log", w.slot.Task)}
	if w.lost {
		lost.Why = "the server was restarted while it ran, and the log has nothing of it"
		return lost, nil
	}
	t, err := c.Task(ctx, w.slot.Task)
	switch {
	case errors.Is(err, duplicati.NotFound):
	case err != nil:
		return mark{}, err
	case t.Status == duplicati.Failed:
		lost.Verdict, lost.Why, lost.Said = duplicati.Fatal, "", nonEmpty(t.Error)
	}
	return lost, nil
}

// firstWords are the first few errors and warnings of a result.
func firstWords(r *duplicati.Result) []string {
	words := append(append([]string{}, r.Errors...), r.Warnings...)
	if len(words) > 3 {
		words = words[:3]
	}
	return words
}

func nonEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}
