package auth

import (
	"context"
	"errors"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

const (
	// renewWithin limits one renewal, the wait for other processes included.
	renewWithin = 2 * time.Minute

	// refreshWithin leaves time for a second try before the server's grace for
	// the previous token (30 s by MaxRefreshTokenDriftSeconds) is over.
	refreshWithin = 12 * time.Second

	askWithin = 5 * time.Second  // for what is good to know
	askEvery  = 10 * time.Minute // the server's version, which an upgrade changes

	offerEvery = 10 * time.Second // what the keyring could not take

	quickly    = 5 * time.Second  // a token refused within this was refused at once
	quickLimit = 3                // after so many of them in a row …
	quickPause = 30 * time.Second // … none is asked for, for so long
)

// flight is a renewal that all who need a token wait for.
type flight struct {
	done  chan struct{}
	token secret.Value
	err   error
}

// Access returns a token that is believed to be good. One renewal at a time is
// under way, and who comes meanwhile waits for it. It goes on when they all
// leave: what a server has rotated must be stored.
func (s *server) Access(ctx context.Context) (secret.Value, error) {
	s.mu.Lock()
	if s.usable(s.known) && (!s.unsaved || s.Now().Before(s.again)) {
		defer s.mu.Unlock()
		return s.known.Access, nil
	}
	f := s.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		s.flight = f
		s.work.Add(1)
		go s.fly(f)
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return secret.Value{}, ctx.Err()
	}
}

func (s *server) fly(f *flight) {
	defer s.work.Done()
	ctx, cancel := context.WithTimeout(context.Background(), renewWithin)
	defer cancel()
	i, err := s.renew(ctx)
	f.token, f.err = i.Access, err
	if err != nil {
		f.token, f.err = secret.Value{}, s.explain(err)
	}
	s.mu.Lock()
	s.flight = nil
	s.mu.Unlock()
	close(f.done)
}

// Rejected says that the server does not take token. The next Access renews.
func (s *server) Rejected(_ context.Context, token secret.Value) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token.Equal(s.known.Access) { // else another call has said so
		s.rejected = token
	}
	return nil
}

// pausing reports whether the server refuses whatever it gives, so that to
// renew would go round in circles and fill its database. It is asked before
// each renewal.
func (s *server) pausing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	refused := !s.known.Access.Empty() && s.known.Access.Equal(s.rejected)
	since := s.Now().Sub(s.got)
	switch {
	case refused && since < quickPause && s.quick >= quickLimit:
		return true
	case refused && since < quickly:
		s.quick++
	default:
		s.quick = 0
	}
	return false
}

// renew finds a token: in the keyring, where another process may have put one;
// else, under the lock of all processes, by a refresh; else by a login.
func (s *server) renew(ctx context.Context) (item, error) {
	if i, ok := s.offerAgain(ctx); ok {
		return i, nil
	}
	if i, ok, err := s.find(ctx); ok || err != nil {
		return i, err
	}
	release, err := s.lock(ctx)
	if err != nil {
		return item{}, err
	}
	defer release()
	i, ok, err := s.find(ctx)
	if err != nil || ok {
		return i, err
	}
	if s.pausing() {
		return item{}, tools.Errorf(tools.Unavailable, "%s refuses the tokens that it has just given; nothing was done", s.Name).
			WithHint("see whether a proxy in front of it drops the header Authorization, and whether its clock is right").Retryable()
	}
	ended := ""
	if !i.Cookie.Empty() {
		next, err := s.refresh(ctx, i)
		if err == nil {
			return s.keep(ctx, next), nil
		}
		if duplicati.KindOf(err) != duplicati.LoginFailed {
			return item{}, err
		}
		ended = "its stored session has ended"
		s.Log.Info("stored session has ended on the server", "server", s.Name)
	}
	c, err := s.with(i.Pin)
	if err != nil {
		return item{}, err
	}
	in, err := s.logIn(ctx, c, secret.Value{}, ended)
	if err != nil {
		return item{}, err
	}
	next := i.next(in.session, s.Now())
	next.By, next.Asked = in.by, time.Time{}
	return s.keep(ctx, next), nil
}

func (s *server) lock(ctx context.Context) (release func(), err error) {
	release, err = s.Locks.Lock(ctx, "session "+s.key)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, tools.Errorf(tools.Busy, "another process has been renewing the session with %s for too long; nothing was done", s.Name).Retryable().Because(err)
	}
	return release, err
}

// find takes up what the keyring has, if calls can be made with it.
func (s *server) find(ctx context.Context) (item, bool, error) {
	i, err := s.load(ctx)
	if err != nil {
		return item{}, false, err
	}
	s.mu.Lock()
	ok := s.usable(i)
	s.mu.Unlock()
	if !ok {
		return i, false, nil
	}
	return i, true, s.adopt(i, false)
}

// offerAgain offers the keyring what it did not take before. Until it does,
// this process goes on with what it has.
func (s *server) offerAgain(ctx context.Context) (item, bool) {
	s.mu.Lock()
	i, waits := s.known, s.unsaved && s.usable(s.known)
	s.again = s.Now().Add(offerEvery)
	s.mu.Unlock()
	if !waits {
		return item{}, false
	}
	release, err := s.lock(ctx)
	if err != nil {
		return i, true
	}
	defer release()
	now, err := s.load(ctx)
	if err != nil {
		return i, true
	}
	if now.Serial > i.Serial {
		return item{}, false
	}
	s.store(ctx, i)
	return i, true
}

// refresh rotates the session. When the answer is lost the server may have
// rotated already, and takes the same pair once more.
func (s *server) refresh(ctx context.Context, i item) (item, error) {
	c, err := s.with(i.Pin)
	if err != nil {
		return item{}, err
	}
	try := func() (duplicati.Session, error) {
		ctx, cancel := context.WithTimeout(ctx, refreshWithin)
		defer cancel()
		return c.Refresh(ctx, i.Session)
	}
	got, err := try()
	var e *duplicati.Error
	if errors.As(err, &e) && e.Uncertain {
		s.Log.Warn("answer to a refresh lost; asking once more", "server", s.Name, "error", err)
		got, err = try()
	}
	if err != nil {
		return item{}, err
	}
	return i.next(got, s.Now()), nil
}

// keep stores a new session, uses it, and asks now and then what the server
// is.
func (s *server) keep(ctx context.Context, i item) item {
	s.store(ctx, i)
	if s.Now().Sub(i.Asked) < askEvery && i.Generation != "" {
		return i
	}
	asked, err := s.ask(ctx, i)
	if err != nil {
		s.Log.Info("server not asked for its version", "server", s.Name, "error", err)
		return i
	}
	s.store(ctx, asked)
	return asked
}

// store saves i and then uses it. A keyring that does not take it is asked
// again later: until then this process has it alone.
func (s *server) store(ctx context.Context, i item) {
	err := s.save(ctx, i)
	if e := s.adopt(i, true); e != nil {
		s.Log.Error("session not taken up", "server", s.Name, "error", e)
	}
	if err == nil {
		return
	}
	s.Log.Error("session not kept in the keyring; another process will have to log in", "server", s.Name, "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsaved, s.again = true, s.Now().Add(offerEvery)
}

// ask returns i with what the server says that it is.
func (s *server) ask(ctx context.Context, i item) (item, error) {
	c, err := s.with(i.Pin)
	if err != nil {
		return i, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	info, err := c.With(fixed{i.Access}).Info(ctx)
	if err != nil {
		return i, err
	}
	i.Generation, i.Version, i.Asked = info.Generation, info.Version, s.Now()
	return i, nil
}

// fixed is one access token.
type fixed struct{ token secret.Value }

func (f fixed) Access(context.Context) (secret.Value, error) { return f.token, nil }
func (f fixed) Rejected(context.Context, secret.Value) error { return nil }
