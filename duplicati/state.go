package duplicati

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// State is what a server does at the moment.
type State struct {
	Paused    bool
	PauseEnds time.Time // zero: not paused, or without end
	Active    *Slot     // nil: nothing runs. A paused server keeps its task here
	Queue     []Slot    // what waits, next first; tasks that belong to no backup are not in it
	Next      []Due

	HasWarning bool // notifications that nobody dismissed
	HasError   bool

	At time.Time // by the server's clock, in whole seconds; zero: it does not say

	EventID        int64 // grows with each change; falls when the server restarts
	DataID         int64
	NotificationID int64

	Update string // a version that could be installed
}

// Slot is a task and the backup it is for, "" for none.
type Slot struct {
	Task   int64
	Backup string
}

// Due is when a backup will run by its schedule. While a due run waits, it is
// the time after that.
type Due struct {
	Backup string
	Time   time.Time
}

// Holds reports whether the backup runs or waits, and its task.
func (s State) Holds(backup string) (task int64, ok bool) {
	if s.Active != nil && s.Active.Backup == backup {
		return s.Active.Task, true
	}
	for _, q := range s.Queue {
		if q.Backup == backup {
			return q.Task, true
		}
	}
	return 0, false
}

// Runs reports whether the backup runs now.
func (s State) Runs(backup string) bool { return s.Active != nil && s.Active.Backup == backup }

// Idle reports whether nothing runs and nothing waits.
func (s State) Idle() bool { return s.Active == nil && len(s.Queue) == 0 }

type wireSlot struct {
	Item1 int64
	Item2 identifier
}

type wireState struct {
	ActiveTask        *wireSlot
	SchedulerQueueIds []wireSlot
	ProposedSchedule  []struct {
		Item1 identifier
		Item2 stamp
	}
	ProgramState             *string
	EstimatedPauseEnd        stamp
	HasWarning, HasError     bool
	LastEventID              int64
	LastDataUpdateID         int64
	LastNotificationUpdateID int64
	UpdatedVersion           *string
}

func (w wireState) state() (State, bool) {
	if w.ProgramState == nil {
		return State{}, false
	}
	s := State{
		// An unknown state is not taken for a running one.
		Paused: *w.ProgramState != "Running", PauseEnds: time.Time(w.EstimatedPauseEnd),
		HasWarning: w.HasWarning, HasError: w.HasError,
		EventID: w.LastEventID, DataID: w.LastDataUpdateID, NotificationID: w.LastNotificationUpdateID,
	}
	if w.ActiveTask != nil {
		s.Active = &Slot{Task: w.ActiveTask.Item1, Backup: string(w.ActiveTask.Item2)}
	}
	for _, q := range w.SchedulerQueueIds {
		s.Queue = append(s.Queue, Slot{Task: q.Item1, Backup: string(q.Item2)})
	}
	for _, d := range w.ProposedSchedule {
		s.Next = append(s.Next, Due{Backup: string(d.Item1), Time: time.Time(d.Item2)})
	}
	if w.UpdatedVersion != nil {
		s.Update = printable(*w.UpdatedVersion)
	}
	return s, true
}

// State asks what the server does.
func (c *Client) State(ctx context.Context) (State, error) {
	return c.state(ctx, call{op: "read server state", method: http.MethodGet, path: "/api/v1/serverstate", auth: true})
}

// WaitState returns when the server's EventID is no longer after, also when it
// fell, or when wait is over: 10 seconds to an hour. Each one that waits holds
// a thread of the server.
func (c *Client) WaitState(ctx context.Context, after int64, wait time.Duration) (State, error) {
	const op = "wait for the server's state"
	if wait < 10*time.Second || wait > time.Hour {
		return State{}, refuse(op, Misused, "a server waits between ten seconds and an hour; nothing was sent")
	}
	return c.state(ctx, call{
		op: op, method: http.MethodGet, path: "/api/v1/serverstate", auth: true, timeout: wait + c.timeout,
		query: url.Values{"longpoll": {"true"}, "lastEventId": {strconv.FormatInt(after, 10)}, "duration": {FormatDuration(wait)}},
	})
}

func (c *Client) state(ctx context.Context, k call) (State, error) {
	var w wireState
	r, err := c.answer(ctx, k, &w)
	if err != nil {
		return State{}, err
	}
	s, ok := w.state()
	if !ok {
		return State{}, k.unreadable("the answer is no server state")
	}
	if at, err := http.ParseTime(r.header.Get("Date")); err == nil {
		s.At = at
	}
	return s, nil
}

// PauseOptions say how long a server pauses.
type PauseOptions struct {
	For          time.Duration // whole seconds, up to 24 hours
	UntilResumed bool          // instead of For
	Transfers    bool          // halt transfers under way too (2.2)
}

// Pause holds the server, its running task included, which stays active. It
// refuses what the server would understand differently: zero and negative
// times mean for ever there, and after more than 24 hours it starts again
// whatever it shows.
func (c *Client) Pause(ctx context.Context, o PauseOptions) error {
	const op = "pause server"
	query := url.Values{}
	switch {
	case o.UntilResumed && o.For != 0:
		return refuse(op, Misused, "either a duration or until it is resumed, not both; nothing was sent")
	case o.UntilResumed:
	case o.For < time.Second:
		return refuse(op, Misused, "the server would pause for ever: give at least one second; nothing was sent")
	case o.For > 24*time.Hour:
		return refuse(op, Misused, "the server would start again after 24 hours whatever it shows; nothing was sent")
	default:
		query.Set("duration", FormatDuration(o.For))
	}
	if o.Transfers {
		if err := c.need(ctx, op, PausesTransfers); err != nil {
			return err
		}
		query.Set("pauseTransfers", "true")
	}
	return c.do(ctx, call{op: op, method: http.MethodPost, path: "/api/v1/serverstate/pause", query: query, auth: true}, nil)
}

// Resume ends a pause. On a server that is not paused it does nothing.
func (c *Client) Resume(ctx context.Context) error {
	return c.do(ctx, call{op: "resume server", method: http.MethodPost, path: "/api/v1/serverstate/resume", auth: true}, nil)
}
