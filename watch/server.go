package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

// server is one server and what is known of it.
type server struct {
	o     *Options
	name  string
	nudge chan struct{} // something happened there

	mu       sync.Mutex // one look at a time
	memory   memory
	written  string
	recalled bool
	told     map[string]bool // keys told since the start
	shown    atomic.Pointer[[]Problem]

	info    duplicati.Info
	asked   time.Time // when info was read
	state   duplicati.State
	life    life
	skew    time.Duration // by how much the server's clock was before ours when info was read
	dated   bool          // the dates of its answers are by that clock
	ahead   time.Duration // by how much it is before ours
	list    []duplicati.Backup
	listed  time.Time                         // when list was read
	relists bool                              // it was read by the present look
	pending map[string]*work                  // backups whose log is to be read again, and the task that is over, if one was seen
	noted   int64                             // the newest notification that was seen
	errors  map[string]duplicati.Notification // the newest error of each backup
	settled map[int64]bool                    // tasks that were judged, since the server's start
	locked  time.Time                         // since when one of their logs is in use
	work    *work                             // what runs
	silent  time.Time                         // since when nobody answers
	queued  map[int64]time.Time               // since when tasks are seen waiting
	paused  time.Time                         // since when the server is seen paused
	idle    duplicati.Slot                    // waits first while nothing is at work and nothing is paused
	idling  time.Time                         // since when
	names   sync.Map                          // of backups, for movements

	hearing sync.Mutex
	heard   map[duplicati.Slot]time.Time // what events said is at work, since the last look
}

// life is what tells one process of a server from the next: its numbers grow,
// and begin anew with it.
type life struct {
	event, data, notification int64
	task                      int64     // the newest that was at work for a backup
	since                     time.Time // first seen
	fresh                     bool      // seen now, for the first time or after another one
}

// meet notes in which of its lives the server is. A number that has grown past
// what it was hides a restart; so each of them is looked at.
func (s *server) meet(state duplicati.State, now time.Time) {
	was := s.life
	again := func(slot duplicati.Slot) bool {
		_, known := s.state.Holds(slot.Backup)
		return slot.Backup != "" && slot.Task <= was.task && !known
	}
	is := life{event: state.EventID, data: state.DataID, notification: state.NotificationID, task: was.task, since: was.since, fresh: was.fresh}
	if was.since.IsZero() || is.event < was.event || is.data < was.data || is.notification < was.notification || state.Active != nil && again(*state.Active) {
		is.task, is.since, is.fresh = 0, now, true
	}
	if a := state.Active; a != nil && a.Backup != "" {
		is.task = max(is.task, a.Task)
	}
	s.life = is
}

// compare learns how the server's clock stands to ours. The date of an answer
// tells it each time, unless a proxy in front puts in its own.
func (s *server) compare(date time.Duration, dated bool) {
	s.skew = 0
	if !s.info.Time.IsZero() {
		s.skew = s.info.Time.Sub(s.o.Now())
	}
	s.dated = dated && (date-s.skew).Abs() < 2*time.Minute
}

// theirs is a time of ours by the server's clock.
func (s *server) theirs(t time.Time) time.Time { return t.Add(s.ahead) }

// future reports whether a time of the server's lies before it: its clock was
// wrong then, and is no longer, or has just been set.
func (s *server) future(t time.Time) bool { return t.After(s.theirs(s.o.Now()).Add(time.Minute)) }

// work is a task that was seen at work.
type work struct {
	slot  duplicati.Slot
	since time.Time // first seen
	began time.Time // by the server's clock; zero: it does not say
	moved time.Time // last seen moving
	mark  string    // what moves
	phase string
	lost  bool // the server restarted under it
}

func newServer(o *Options, name string) *server {
	return &server{
		o: o, name: name, heard: make(map[duplicati.Slot]time.Time), nudge: make(chan struct{}, 1), told: make(map[string]bool), pending: make(map[string]*work), queued: make(map[int64]time.Time),
		settled: make(map[int64]bool),
	}
}

// open lists the problems that were there at the last look.
func (s *server) open() []Problem {
	if shown := s.shown.Load(); shown != nil {
		return *shown
	}
	return nil
}

const (
	// relist is how old the list of backups may grow while no event says that
	// it has changed.
	relist = 10 * time.Minute
	// askAgain is how old what a server is may grow: its time zone is a setting.
	askAgain = time.Hour
)

// look asks the server once, and tells what is new.
func (s *server) look(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.recall(ctx); err != nil {
		return err
	}
	now := s.o.Now()
	changed, err := s.ask(ctx, now)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		s.away(err, now)
	default:
		s.silent = time.Time{}
		s.conclude(now)
	}
	s.forgetFlaps(now)
	if changed {
		s.o.Changed(s.name)
	}
	shown := slices.Collect(maps.Values(s.memory.Problems))
	s.shown.Store(&shown)
	return s.keep(ctx)
}

// ask reads what is to be known; an error is one of reaching the server.
func (s *server) ask(ctx context.Context, now time.Time) (changed bool, err error) {
	c, err := s.o.Clients.Client(ctx, s.name)
	if err != nil {
		return false, err
	}
	state, err := c.State(ctx)
	if err != nil {
		return false, err
	}
	read := s.o.Now()
	s.meet(state, now)
	restarted := s.life.fresh && s.list != nil
	if restarted {
		c.Forget() // it may have been an upgrade
	}
	if s.life.fresh || now.Sub(s.asked) >= askAgain {
		if s.info, err = c.Info(ctx); err != nil {
			return false, err
		}
		s.asked = now
		s.compare(state.At.Sub(read), !state.At.IsZero())
	}
	s.ahead = s.skew
	if s.dated && !state.At.IsZero() {
		s.ahead = state.At.Sub(read)
	}
	if s.ahead.Abs() <= time.Minute {
		s.ahead = 0
	}
	changed = s.life.fresh || state.EventID != s.state.EventID
	s.relists = changed || len(s.pending) > 0 || now.Sub(s.listed) >= relist
	if s.relists {
		list, err := c.Backups(ctx)
		if err != nil {
			return false, err
		}
		s.list, s.listed = list, now
	}
	s.follow(state, restarted, now)
	s.life.fresh = false
	if err := s.notifications(ctx, c, state); err != nil {
		return false, err
	}
	if s.work != nil {
		p, err := c.Progress(ctx)
		if err != nil && !errors.Is(err, duplicati.NotFound) {
			return false, err
		}
		s.work.see(p, state.Paused, now)
		if s.work.began.IsZero() && s.info.Generation.Can(duplicati.TellsTaskTimes) {
			if t, err := c.Task(ctx, s.work.slot.Task); err == nil {
				s.work.began = t.Started
			}
		}
	}
	s.state = state
	return changed, s.judge(ctx, c)
}

// follow notes what began and what ended between two looks.
func (s *server) follow(state duplicati.State, restarted bool, now time.Time) {
	if restarted {
		s.noted = 0
		clear(s.settled)
		s.errors = nil
	}
	if w := s.work; w != nil && (restarted || state.Active == nil || *state.Active != w.slot) {
		w.lost = restarted
		if w.slot.Backup != "" {
			s.pending[w.slot.Backup] = w
		}
		s.work = nil
	}
	s.hearing.Lock()
	for slot, since := range s.heard {
		// It began and ended between two looks.
		if _, known := s.pending[slot.Backup]; !known && !s.settled[slot.Task] && slot.Backup != "" && (state.Active == nil || *state.Active != slot) {
			s.pending[slot.Backup] = &work{slot: slot, since: since, lost: restarted}
		}
	}
	clear(s.heard)
	s.hearing.Unlock()
	if state.Active != nil && s.work == nil {
		s.work = &work{slot: *state.Active, since: now, moved: now}
	}
	if !state.Paused {
		s.paused = time.Time{}
	} else if s.paused.IsZero() {
		s.paused = now
	}
	waits := make(map[int64]time.Time, len(state.Queue))
	for _, q := range state.Queue {
		if since, seen := s.queued[q.Task]; seen && !restarted {
			waits[q.Task] = since
		} else {
			waits[q.Task] = now
		}
	}
	s.queued = waits
	switch {
	case state.Paused || state.Active != nil || len(state.Queue) == 0:
		s.idling = time.Time{}
	case s.idling.IsZero() || state.Queue[0] != s.idle:
		s.idling, s.idle = now, state.Queue[0]
	}
}

// notifications looks for backups of which the server has something new to
// say. A run that was stopped changes nothing else that can be seen.
func (s *server) notifications(ctx context.Context, c *duplicati.Client, state duplicati.State) error {
	if state.NotificationID == s.state.NotificationID && s.errors != nil {
		return nil
	}
	list, err := c.Notifications(ctx)
	if err != nil {
		return err
	}
	s.errors = make(map[string]duplicati.Notification)
	newest := s.noted
	for _, n := range list {
		newest = max(newest, n.ID)
		if n.Backup == "" {
			continue
		}
		if n.Type == "Error" && n.ID >= s.errors[n.Backup].ID {
			s.errors[n.Backup] = n
		}
		if _, known := s.pending[n.Backup]; !known && n.ID > s.noted {
			s.pending[n.Backup] = nil
		}
	}
	s.noted = newest
	return nil
}

// hears notes what an event said is at work.
func (s *server) hears(state duplicati.State) {
	if state.Active == nil {
		return
	}
	s.hearing.Lock()
	defer s.hearing.Unlock()
	if _, known := s.heard[*state.Active]; !known {
		s.heard[*state.Active] = s.o.Now()
	}
}

// see notes whether the work moves.
func (w *work) see(p duplicati.Progress, paused bool, now time.Time) {
	if paused {
		w.moved = now // it stands still for a reason
	}
	if p.Task != w.slot.Task {
		return
	}
	w.phase = p.Phase
	if mark := movement(p); mark != w.mark {
		w.mark, w.moved = mark, now
	}
}

// away notes that the server could not be asked. Nothing is concluded about
// its backups.
func (s *server) away(err error, now time.Time) {
	if s.silent.IsZero() {
		s.silent = now
	}
	kind, other := Unreachable, Login
	switch {
	case tools.CodeOf(err) == tools.NotLoggedIn, errors.Is(err, duplicati.NotAuthorized), errors.Is(err, duplicati.LoginFailed):
		kind, other = Login, Unreachable
	}
	p := s.about(kind, "", "", s.silent)
	if kind == Login {
		p.Headline = "nobody can log in to " + s.name + ", so nothing is known of its backups"
	} else {
		p.Headline = s.name + " does not answer, so nothing is known of its backups"
	}
	p.Facts = []tools.Fact{{Name: "Reason", Value: reason(err)}, {Name: "Since", Value: clock(s.silent)}}
	if _, open := s.memory.Problems[p.Key]; open || now.Sub(s.silent) >= s.o.Patience {
		s.returned(&p, now)
		s.begin(p)
		s.end(keyOf(s.name, "", other), now, "it is another problem now", false)
	}
	s.o.Log.Debug("a server could not be asked", "server", s.name, "error", err)
}

// reason is an error in words that may be shown.
func reason(err error) string {
	var own *tools.Error
	var theirs *duplicati.Error
	switch {
	case errors.As(err, &own):
		return own.Message
	case errors.As(err, &theirs) && theirs.Quote:
		return fmt.Sprintf("Duplicati says %q", theirs.Text)
	case errors.As(err, &theirs) && theirs.Text != "":
		return theirs.Text
	case errors.As(err, &theirs):
		return string(theirs.Kind)
	}
	return "it cannot be asked"
}

// begin tells of a problem unless it was told in these words already. Its
// beginning is the first one that was seen.
func (s *server) begin(p Problem) {
	was, open := s.memory.Problems[p.Key]
	if open && was.Since.Before(p.Since) {
		p.Since = was.Since
	}
	if open && s.told[p.Key] && reflect.DeepEqual(was, p) {
		return
	}
	s.memory.Problems[p.Key], s.told[p.Key] = p, true
	delete(s.memory.Ended, p.Key)
	s.o.Tell(p)
}

// end tells that a problem is over, if it was there and is not one that comes
// and goes.
func (s *server) end(key string, now time.Time, why string, lost bool) {
	p, open := s.memory.Problems[key]
	if !open {
		return
	}
	if s.leaves(key, now) {
		p.Headline = s.name + " " + atTimes[p.Kind]
		s.begin(p)
		return
	}
	delete(s.memory.Problems, key)
	delete(s.told, key)
	p.Ended, p.End, p.Lost = now, why, lost
	s.memory.Ended[key] = p
	s.o.Tell(p)
}
