package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// ask reads the one request of a connection. What comes as a secret is kept for
// whoever may hand one over, and passed over for others: memory is not theirs
// to fill.
func (s *Server) ask(ctx context.Context, c *net.UnixConn, caller tools.Caller) (call, error) {
	asked := call{caller: caller}
	if err := readJSON(c, requestFrame, &asked.request); err != nil {
		return call{}, err
	}
	if !asked.Secret {
		return asked, nil
	}
	if asked.Do != doHold || caller.Surface != tools.CLI || s.somebody(ctx, caller) != nil {
		return asked, passOver(c, secretFrame)
	}
	v, err := readSecret(c)
	if err != nil {
		return call{}, fmt.Errorf("read the secret of %s: %w", asked.name(), err)
	}
	asked.secret = v
	return asked, nil
}

// answer runs a call and writes how it went.
func (s *Server) answer(ctx context.Context, c *net.UnixConn, uid int, asked call) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		// A client that cancels, hangs up or says anything else ends the call.
		// The read ends, at the latest, when the connection is closed.
		_, _, _ = readFrame(c, cancelFrame)
		cancel()
	}()
	start := time.Now()
	say := newTeller(c, cancel)
	asked.progress = say.progress
	result, out, err := s.dispatch(ctx, asked)
	say.end()

	a := answer{Secret: !out.Empty()}
	a.Failure = failure(err)
	if a.Failure != nil {
		a.Ask = a.Failure.Ask
	}
	if err != nil && a.Failure.Code == tools.Internal {
		s.Log.Error("call failed", "do", asked.name(), "uid", uid, "error", err)
	}
	if result != nil {
		if a.Result, err = json.Marshal(result); err != nil {
			s.Log.Error("answer not written", "do", asked.name(), "error", err)
			a = answer{Failure: tools.Errorf(tools.Internal, "the daemon could not write its answer down; what was asked may have been done").Because(err)}
		}
	}
	c.SetDeadline(time.Now().Add(takeWithin))
	err = writeJSON(c, answerFrame, a)
	if long := (tooLong{}); errors.As(err, &long) {
		a = answer{Failure: tools.Errorf(tools.Internal, "the answer is %d bytes long and the limit is %d; what was asked was done", long.size, limits[answerFrame]).
			WithHint("ask for less at a time")}
		err = writeJSON(c, answerFrame, a)
	}
	if err == nil && a.Secret {
		err = writeSecret(c, out)
	}
	s.Log.Info("call on the socket", "do", asked.name(), "uid", uid, "surface", asked.caller.Surface, "took", time.Since(start).Round(time.Microsecond),
		"code", tools.CodeOf(orNil(a.Failure)), "delivered", err == nil)
}

func orNil(e *tools.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// failure is err for its reader. Words that were not meant for him stay here.
func failure(err error) *tools.Error {
	if err == nil {
		return nil
	}
	var e *tools.Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, context.Canceled) {
		return tools.Errorf(tools.Canceled, "the call was cancelled").Because(err)
	}
	return tools.Errorf(tools.Internal, "something went wrong inside the daemon").WithHint("its log says what").Because(err)
}

// teller writes progress and beats to a client while its call runs. Only the
// newest progress waits, so that a slow client slows nothing down.
type teller struct {
	c      *net.UnixConn
	wake   chan struct{}
	done   chan struct{}
	ended  chan struct{}
	cancel func()

	mu     sync.Mutex
	newest *tools.Progress
}

func newTeller(c *net.UnixConn, cancel func()) *teller {
	t := &teller{c: c, wake: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{}), cancel: cancel}
	go t.tell()
	return t
}

func (t *teller) progress(p tools.Progress) {
	t.mu.Lock()
	t.newest = &p
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *teller) tell() {
	defer close(t.ended)
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-t.done:
			if t.flush() != nil {
				t.cancel()
			}
			return
		case <-beat.C:
			err = writeFrame(t.c, beatFrame, nil)
		case <-t.wake:
			err = t.flush()
		}
		if err != nil {
			t.cancel()
			return
		}
	}
}

func (t *teller) flush() error {
	t.mu.Lock()
	p := t.newest
	t.newest = nil
	t.mu.Unlock()
	if p == nil {
		return nil
	}
	return writeJSON(t.c, progressFrame, p)
}

// end writes the last progress and leaves the connection to the answer. A
// client that takes nothing is given up here, not while its call runs.
func (t *teller) end() {
	t.c.SetWriteDeadline(time.Now().Add(takeWithin))
	close(t.done)
	<-t.ended
}
