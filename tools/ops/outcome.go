package ops

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

// outcome is what became of one run, and why that is believed.
type outcome struct {
	Verdict duplicati.Verdict
	Result  *duplicati.Result // the log's, nil when there is none of this run
	Why     string            // in our words, where the log does not speak for itself
	Said    string            // in the server's
}

var verdictTone = map[duplicati.Verdict]tools.Tone{
	duplicati.Succeeded: tools.Good, duplicati.Empty: tools.Warning, duplicati.Warned: tools.Warning, duplicati.Stopped: tools.Warning,
	duplicati.Erred: tools.Bad, duplicati.Fatal: tools.Bad, duplicati.NotKnown: tools.Unclear,
}

var verdictWords = map[duplicati.Verdict]string{
	duplicati.Succeeded: "succeeded", duplicati.Empty: "succeeded and looked at no file", duplicati.Warned: "ended with warnings",
	duplicati.Stopped: "was stopped before its end", duplicati.Erred: "ended with errors", duplicati.Fatal: "failed",
	duplicati.NotKnown: "ended, and nobody can tell how",
}

// exit is the code that the newest ServerUtil ends `run --wait` with. What it
// takes for a success although nobody knows is 2 here.
func (o outcome) exit() int {
	switch o.Verdict {
	case duplicati.Succeeded:
		return 0
	case duplicati.Erred:
		return 3
	case duplicati.Fatal:
		return 4
	case duplicati.Stopped:
		if o.Result != nil && (o.Result.Parsed == "Error" || o.Result.Parsed == "Fatal") {
			return 3
		}
	}
	return 2
}

// slack is by how much a run and the task that it belongs to may differ in
// time.
const slack = 2 * time.Second

// lockedFor is how long the log may be locked by what comes after the run.
const lockedFor = 20 * time.Second

// settle finds what became of the task once it is over.
func (f *follower) settle(ctx context.Context, l look) outcome {
	rows, err := f.log(ctx)
	switch {
	case errors.Is(err, duplicati.DatabaseLocked):
		return f.withoutRow(ctx, l, "its log is in use by another operation")
	case err != nil:
		return f.withoutRow(ctx, l, "its log could not be read")
	}
	row, unreadable := f.row(rows, l)
	switch {
	case row != nil:
		return f.withRow(*row, l)
	case unreadable:
		return outcome{Verdict: duplicati.NotKnown, Why: "the row that this run left in the log cannot be read"}
	case l.State == stateLost:
		return outcome{Verdict: duplicati.NotKnown, Why: "the server was restarted meanwhile, and the log has no row of this run"}
	}
	return f.withoutRow(ctx, l, "the log has no row of this run")
}

// log reads the newest rows; while something else works on the backup, a
// server refuses that, and is asked again.
func (f *follower) log(ctx context.Context) ([]duplicati.LogRow, error) {
	until := time.Now().Add(lockedFor)
	for {
		c, err := f.o.client(ctx, f.env)
		if err != nil {
			return nil, err
		}
		rows, err := c.Log(ctx, f.backup.ID, duplicati.Page{Size: 50})
		if !errors.Is(err, duplicati.DatabaseLocked) || time.Now().After(until) {
			return rows, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(min(time.Second, f.o.Poll)):
		}
	}
}

// row picks the row of this run: the operation and the times must fit, since
// listings and verifications write rows too. unreadable says that there is a
// row which could be it.
func (f *follower) row(rows []duplicati.LogRow, l look) (row *duplicati.Result, unreadable bool) {
	nearest := time.Duration(math.MaxInt64)
	for _, r := range rows { // newest first
		switch {
		case r.Type != "Result" || f.mark >= 0 && r.ID <= f.mark:
		case r.Result == nil:
			unreadable = unreadable || f.fits(r.Time, l)
		case r.Result.IsRun() && f.fits(r.Result.Begin, l):
			// Runs can follow each other closely. Where no times are told, the
			// first one after the mark is meant.
			if d := r.Result.Begin.Sub(l.Task.Started).Abs(); d <= nearest || l.Task.Started.IsZero() {
				row, nearest = r.Result, d
			}
		}
	}
	return row, unreadable && row == nil
}

// fits reports whether a row of time t can be the task's.
func (f *follower) fits(t time.Time, l look) bool {
	began, ended := l.Task.Started, l.Task.Finished
	switch {
	case l.State == stateLost:
		// What a restarted server ran on its own is not this run.
		return !began.IsZero() && !t.Before(began.Add(-slack)) && t.Before(began.Add(time.Minute))
	case began.IsZero():
		return f.mark >= 0 // 2.1 tells no times: what came after the mark
	case !ended.IsZero() && t.After(ended.Add(slack)):
		return false
	}
	return !t.Before(began.Add(-slack))
}

func (f *follower) withRow(r duplicati.Result, l look) outcome {
	o := outcome{Verdict: r.Verdict(), Result: &r}
	if l.Task.Status == duplicati.Failed && (o.Verdict == duplicati.Succeeded || o.Verdict == duplicati.Empty || o.Verdict == duplicati.Warned) {
		o.Verdict, o.Why, o.Said = duplicati.Fatal, "the log tells of no failure, but the task failed", l.Task.Error
	}
	if o.Verdict == duplicati.NotKnown {
		o.Why = "the log calls it " + quote(r.Parsed)
	}
	return o
}

// withoutRow takes the task's word that it failed, and the server's note of an
// error that is new. Nothing else says how it ended.
func (f *follower) withoutRow(ctx context.Context, l look, why string) outcome {
	if l.Task.Status == duplicati.Failed {
		return outcome{Verdict: duplicati.Fatal, Why: "the task failed, and " + why, Said: l.Task.Error}
	}
	c, err := f.o.client(ctx, f.env)
	if err != nil {
		return outcome{Verdict: duplicati.NotKnown, Why: why}
	}
	b, err := c.Backup(ctx, f.backup.ID)
	switch {
	case errors.Is(err, duplicati.NotFound):
		return outcome{Verdict: duplicati.NotKnown, Why: "the backup is no longer there"}
	case err == nil && b.Facts.LastError.After(f.backup.Facts.LastError) && f.mark >= 0:
		return outcome{Verdict: duplicati.Fatal, Why: fmt.Sprintf("%s, and the server noted an error at %s", why, clock(b.Facts.LastError)), Said: b.Facts.LastErrorMessage}
	}
	return outcome{Verdict: duplicati.NotKnown, Why: why}
}
