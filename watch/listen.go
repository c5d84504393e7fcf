package watch

import (
	"context"
	"errors"
	"time"

	"github.com/duplibot/duplibot/duplicati"
)

// settleTime lets the events of one happening come together before a look.
const settleTime = 300 * time.Millisecond

// A log that is in use just after a run is free again soon, and is read every
// few seconds for a while.
const (
	retryLocked = 2 * time.Second
	lockedFor   = 30 * time.Second
)

// run looks again and again: after each event, and when nothing is heard.
func (s *server) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("looking at a server did not work", "server", s.name, "error", err)
		}
		wait := s.o.Poll
		if s.soon() {
			wait = min(wait, retryLocked)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.nudge:
			pause(ctx, settleTime)
			select {
			case <-s.nudge:
			default:
			}
		}
		timer.Stop()
	}
}

func (s *server) soon() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.locked.IsZero() && s.o.Now().Sub(s.locked) < lockedFor
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// listen keeps a websocket open, and asks more and more seldom for one that
// does not come about. Polling goes on meanwhile.
func (s *server) listen(ctx context.Context) {
	const first, longest = time.Second, 5 * time.Minute
	wait := first
	for ctx.Err() == nil {
		began := time.Now()
		err := s.hear(ctx)
		if ctx.Err() != nil {
			return
		}
		s.o.Log.Debug("a websocket ended", "server", s.name, "error", err)
		if time.Since(began) > time.Minute {
			wait = first
		}
		s.wake() // the server may be gone
		pause(ctx, wait)
		wait = min(2*wait, longest)
	}
}

func (s *server) wake() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

// hear subscribes and listens until that breaks.
func (s *server) hear(ctx context.Context) error {
	c, err := s.o.Clients.Client(ctx, s.name)
	if err != nil {
		return err
	}
	stream, err := c.Subscribe(ctx, duplicati.OfState, duplicati.OfProgress, duplicati.OfTaskEnds)
	if errors.Is(err, duplicati.Unsupported) {
		stream, err = c.Subscribe(ctx, duplicati.OfState)
	}
	if err != nil {
		return err
	}
	defer stream.Close()
	for {
		e, err := stream.Next(ctx)
		if err != nil {
			return err
		}
		if e.State != nil {
			s.hears(*e.State)
		}
		if e.Topic != duplicati.OfProgress {
			s.wake()
			continue
		}
		name, _ := s.names.Load(e.Progress.Backup)
		text, _ := name.(string)
		s.o.Moved(Movement{Server: s.name, Backup: e.Progress.Backup, Name: text, Progress: *e.Progress})
	}
}
