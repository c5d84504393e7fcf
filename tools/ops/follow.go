package ops

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

// The states of a task that is followed.
const (
	stateWaiting = "waiting"
	stateRunning = "running"
	stateOver    = "over"
	stateLost    = "lost" // the server restarted, and its tasks are gone
)

// follower follows one task of one backup to its end, across expired tokens
// and restarts of the server. Task numbers begin anew at a restart, so that a
// number alone is not believed.
type follower struct {
	o      *operations
	env    tools.Env
	backup duplicati.Backup // as it was before the task began, or when following began
	task   int64

	// mark is the newest row of the backup's log before the task could have
	// written its own; negative when it could not be read.
	mark int64

	last    duplicati.Task // as last seen
	event   int64          // the newest event of the server that was seen
	failing time.Time      // since when nobody answers
}

// look is what one look at a task saw.
type look struct {
	State     string
	Task      duplicati.Task
	Progress  *duplicati.Progress // of a running one, where the server tells
	Ahead     int                 // how many tasks are before a waiting one
	Paused    bool
	PauseEnds time.Time
}

// newFollower notes what is in the log, unless the task is over already.
func (o *operations) newFollower(ctx context.Context, env tools.Env, c *duplicati.Client, b duplicati.Backup) *follower {
	f := &follower{o: o, env: env, backup: b, mark: -1}
	rows, err := c.Log(ctx, b.ID, duplicati.Page{Size: 10})
	if err == nil {
		f.mark = 0
		for _, r := range rows {
			f.mark = max(f.mark, r.ID)
		}
	}
	return f
}

// look asks the server once.
func (f *follower) look(ctx context.Context) (look, error) {
	c, err := f.o.client(ctx, f.env)
	if err != nil {
		return look{}, err
	}
	task, err := c.Task(ctx, f.task)
	gone := errors.Is(err, duplicati.NotFound)
	if err != nil && !gone {
		return look{}, err
	}
	state, err := c.State(ctx)
	if err != nil {
		return look{}, err
	}
	restarted := state.EventID < f.event
	f.event = state.EventID
	if gone || restarted || f.isAnother(task, state) {
		return look{State: stateLost, Task: f.last}, nil
	}
	f.last = task
	seen := look{State: stateWaiting, Task: task, Paused: state.Paused, PauseEnds: state.PauseEnds}
	switch task.Status {
	case duplicati.Waiting:
		seen.Ahead = ahead(state, f.task)
	case duplicati.Running:
		seen.State = stateRunning
		if p, err := c.Progress(ctx); err == nil && p.Task == f.task {
			seen.Progress = &p
		}
	default:
		seen.State = stateOver
	}
	return seen, nil
}

// isAnother reports whether the number now names another task than the one
// that was followed.
func (f *follower) isAnother(now duplicati.Task, state duplicati.State) bool {
	if a := state.Active; a != nil && a.Task == f.task && a.Backup != f.backup.ID {
		return true
	}
	for _, q := range state.Queue {
		if q.Task == f.task && q.Backup != f.backup.ID {
			return true
		}
	}
	switch f.last.Status {
	case duplicati.Running:
		// The time is set anew, a moment later, when the work itself begins.
		return now.Status == duplicati.Waiting ||
			!f.last.Started.IsZero() && !now.Started.IsZero() && now.Started.Sub(f.last.Started).Abs() > slack
	case duplicati.Completed, duplicati.Failed, duplicati.Ended:
		return !now.Status.Over()
	}
	return false
}

func ahead(s duplicati.State, task int64) int {
	n := 0
	if s.Active != nil {
		n++
	}
	for i, q := range s.Queue {
		if q.Task == task {
			return n + i
		}
	}
	return n
}

// follow looks until the task is over or ctx ends, more seldom as time goes
// by. A server that does not answer may be restarting, and is given time.
func (f *follower) follow(ctx context.Context, every time.Duration) (look, error) {
	for pause := min(200*time.Millisecond, every); ; pause = min(pause*2, every) {
		seen, err := f.look(ctx)
		switch {
		case ctx.Err() != nil:
			return look{State: stateRunning, Task: f.last}, ctx.Err()
		case err != nil:
			if err := f.bear(err); err != nil {
				return look{}, err
			}
			f.env.Progress(tools.Progress{Text: f.env.Server + " does not answer; still trying", Done: -1})
		case seen.State == stateOver || seen.State == stateLost:
			return seen, nil
		default:
			f.failing = time.Time{}
			f.env.Progress(f.report(seen))
		}
		select {
		case <-ctx.Done():
			return look{State: stateRunning, Task: f.last}, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// bear decides whether a failed look is one that may pass.
func (f *follower) bear(err error) error {
	now := time.Now()
	if f.failing.IsZero() {
		f.failing = now
	}
	passing := errors.Is(err, duplicati.Unreachable) || errors.Is(err, duplicati.NotDuplicati) || errors.Is(err, duplicati.NotAuthorized) ||
		errors.Is(err, duplicati.ServerFault) || errors.Is(err, duplicati.Unreadable) || tools.CodeOf(err) == tools.Unavailable
	if passing && now.Sub(f.failing) < f.o.Patience {
		return nil
	}
	if passing {
		return tools.Errorf(tools.UnknownOutcome, "%s has not answered for %s; task %d of backup %s may go on there", f.env.Server,
			length(now.Sub(f.failing)), f.task, quote(f.backup.Name)).
			WithHint("when it answers again: result %s%s", byID, f.backup.ID).Because(err)
	}
	return fmt.Errorf("follow task %d: %w", f.task, err)
}

// report is a look as callers are told of it.
func (f *follower) report(l look) tools.Progress {
	p := tools.Progress{Done: -1}
	args := map[string]any{"backup": byID + f.backup.ID, "task": f.task, "server": f.env.Server}
	p.Follow = &tools.Next{Label: "Progress", Operation: "progress", Args: args}
	switch {
	case l.State == stateWaiting && l.Paused:
		p.Text = f.backup.Name + " waits: the server is paused " + pausedWords(l.PauseEnds)
	case l.State == stateWaiting && l.Ahead > 0:
		p.Text = f.backup.Name + " waits behind " + plural(l.Ahead, "task", "tasks")
	case l.State == stateWaiting:
		p.Text = f.backup.Name + " waits for its turn"
	case l.Paused:
		p.Text = f.backup.Name + " is halted: the server is paused " + pausedWords(l.PauseEnds)
	default:
		p.Text = f.backup.Name + " runs"
	}
	if l.State == stateRunning {
		p.Next = []tools.Next{{Label: "Stop", Operation: "stop", Args: args}}
	}
	if d := l.Progress; d != nil {
		p.Stage, p.Done = d.Phase, d.Fraction
		if !l.Paused {
			p.Text = f.backup.Name + ": " + phase(d.Phase)
		}
		if d.TotalFiles > 0 {
			p.Text += fmt.Sprintf(", %d of %d files", d.DoneFiles, d.TotalFiles)
		}
		if d.Left != nil {
			p.ETA = length(*d.Left)
		}
	}
	return p
}

func pausedWords(ends time.Time) string {
	if ends.IsZero() {
		return "until somebody resumes it"
	}
	return "until " + clock(ends)
}
