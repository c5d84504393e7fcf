package auth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/ops"
)

var _ ops.Servers = (*auth.Sessions)(nil)

func TestACallWithAStoredSessionIsOneRequest(t *testing.T) {
	for _, generation := range duplicatitest.Generations() {
		t.Run(generation, func(t *testing.T) {
			s := duplicatitest.Start(t, duplicatitest.Options{Generation: generation, Password: password})
			a := newAccount(t)
			in := login(t, a.sessions(bare(s)))
			if in.By != "password" || in.Generation != generation || in.Version == "" || in.Ends.Before(time.Now().Add(29*24*time.Hour)) || !strings.Contains(in.Stored, "file") {
				t.Errorf("got %+v", in)
			}
			s.ForgetRequests()
			later := a.sessions(bare(s))
			c, err := later.Client(t.Context(), "nas")
			if err != nil {
				t.Fatal(err)
			}
			if c.Known() != duplicati.Generation(generation) {
				t.Errorf("the generation that was stored is %q", c.Known())
			}
			works(t, later)
			if got := s.Requests(); len(got) != 1 {
				t.Errorf("%d requests, want one: %+v", len(got), got)
			}
		})
	}
}

func TestFiftyCallsAtTheEndOfATokenRefreshOnce(t *testing.T) {
	clock := duplicatitest.NewStandingClock(time.Now())
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password, Clock: clock})
	a := newAccount(t)
	a.clock = clock.Now
	all := a.sessions(bare(s))
	login(t, all)
	s.Advance(16 * time.Minute)
	s.ForgetRequests()
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if err := state(context.Background(), all); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	counts(t, s, 0, 1)
	for _, r := range s.Requests() {
		if strings.HasPrefix(r.Path, "/api/v1/auth/") && r.Header.Get("Authorization") != "" {
			t.Errorf("%s carried a token, and a dead one there is a 500", r.Path)
		}
	}
}

func TestAnotherProcessesSessionIsTakenUp(t *testing.T) {
	clock := duplicatitest.NewStandingClock(time.Now())
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password, Clock: clock})
	a := newAccount(t)
	a.clock = clock.Now
	one, two := a.sessions(bare(s)), a.sessions(bare(s))
	login(t, one)
	works(t, two)
	for range 5 {
		s.Advance(15 * time.Minute)
		works(t, one)
		works(t, two)
		s.Advance(15 * time.Minute)
		works(t, two)
		works(t, one)
	}
	counts(t, s, 1, 10)
}

func TestADeadSessionIsRenewedOnceAndNotInALoop(t *testing.T) {
	t.Run("the family was ended: 500 with nothing in it", func(t *testing.T) {
		s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
		a := newAccount(t)
		all := a.sessions(nas(t, s))
		works(t, all)
		other := newAccount(t)
		other.dir, other.key = a.dir, a.key // another machine with a copy of the session
		endOnServer(t, other, s)
		s.ForgetRequests()
		works(t, all)
		counts(t, s, 1, 1)
		if n := s.Count("GET", "/api/v1/serverstate"); n != 2 {
			t.Errorf("the call was made %d times, want 2", n)
		}
	})
	t.Run("the server has a new signing key: 401", func(t *testing.T) {
		s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
		all := newAccount(t).sessions(nas(t, s))
		works(t, all)
		s.Restart(duplicatitest.RestartOptions{ResetKeys: true})
		s.ForgetRequests()
		works(t, all)
		counts(t, s, 1, 1)
	})
	t.Run("nothing but a person can log in again", func(t *testing.T) {
		s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
		all := newAccount(t).sessions(bare(s))
		login(t, all)
		s.Restart(duplicatitest.RestartOptions{ResetKeys: true})
		refused(t, state(t.Context(), all), tools.NotLoggedIn, "its stored session has ended", "nothing was done", "duplibot login --server nas")
		counts(t, s, 1, 1)
	})
	t.Run("a restart alone ends no session", func(t *testing.T) {
		s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
		all := newAccount(t).sessions(bare(s))
		login(t, all)
		s.Restart(duplicatitest.RestartOptions{})
		works(t, all)
		counts(t, s, 1, 0)
	})
}

// endOnServer ends the account's session behind its back.
func endOnServer(t *testing.T, a *account, s *duplicatitest.Server) {
	t.Helper()
	var copied keyring.Ring = &overlay{Ring: a.ring()}
	if out, err := a.sessionsOn(copied, bare(s)).Logout(t.Context(), "nas"); err != nil || !out.Refused {
		t.Fatalf("%+v, %v", out, err)
	}
}

// overlay is a copy of a ring whose changes do not reach it.
type overlay struct{ keyring.Ring }

func (*overlay) Put(context.Context, string, secret.Value) error { return nil }
func (*overlay) Delete(context.Context, string) error            { return nil }

func TestAServerThatRefusesWhatItGivesIsNotAskedInCircles(t *testing.T) {
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	all := newAccount(t).sessions(nas(t, s))
	// A proxy that drops the header Authorization.
	s.Inject(duplicatitest.Fault{Prefix: "/api/v1/serverstate", Status: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": {"Bearer"}, "Content-Type": {"text/plain"}}})
	for range 20 {
		if err := state(t.Context(), all); err == nil {
			t.Fatal("the call got through")
		}
	}
	refused(t, state(t.Context(), all), tools.Unavailable, "refuses the tokens that it has just given", "Authorization")
	if n := s.Count("POST", loginPath) + refreshes(s); n > 5 {
		t.Errorf("%d new sessions for 21 calls", n)
	}
}

func TestALostAnswerToARefreshLosesNoSession(t *testing.T) {
	for name, fault := range map[string]duplicatitest.Fault{
		"before its answer":       {LoseReply: true, Times: 1},
		"in the middle of it":     {CutReply: 20, Times: 1},
		"before it saw a request": {Reset: true, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			clock := duplicatitest.NewStandingClock(time.Now())
			s := duplicatitest.Start(t, duplicatitest.Options{Password: password, Clock: clock})
			a := newAccount(t)
			a.clock = clock.Now
			all := a.sessions(bare(s))
			login(t, all)
			s.Advance(20 * time.Minute)
			fault.Method, fault.Prefix = "POST", refreshPath
			s.Inject(fault)
			works(t, all)
			s.Advance(20 * time.Minute)
			works(t, a.sessions(bare(s)))
			if n := s.Count("POST", loginPath); n != 1 {
				t.Errorf("%d logins, want the first alone", n)
			}
		})
	}
}

func TestAServerThatIsAwayEndsNoSession(t *testing.T) {
	clock := duplicatitest.NewStandingClock(time.Now())
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password, Clock: clock})
	a := newAccount(t)
	a.clock = clock.Now
	all := a.sessions(nas(t, s))
	works(t, all)
	s.Advance(20 * time.Minute)
	bad := duplicatitest.BadGateway()
	heal := s.Inject(bad)
	e := refused(t, state(t.Context(), all), tools.Unavailable, "nas")
	if !e.Retry {
		t.Error("it does not say that asking again can help")
	}
	heal()
	works(t, all)
	if n := s.Count("POST", loginPath); n != 1 {
		t.Errorf("%d logins, want the first alone", n)
	}
}

func TestACallerWhoLeavesStopsNoRefresh(t *testing.T) {
	clock := duplicatitest.NewStandingClock(time.Now())
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password, Clock: clock})
	a := newAccount(t)
	a.clock = clock.Now
	all := a.sessions(bare(s))
	login(t, all)
	s.Advance(20 * time.Minute)
	s.Inject(duplicatitest.Fault{Prefix: refreshPath, Delay: 300 * time.Millisecond, Times: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := state(ctx, all); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	works(t, all)
	counts(t, s, 1, 1)
}

// failing is a ring whose writes of sessions can fail.
type failing struct {
	keyring.Ring
	down atomic.Bool
	puts atomic.Int32
}

func (f *failing) Put(ctx context.Context, key string, value secret.Value) error {
	f.puts.Add(1)
	if f.down.Load() {
		return errors.Join(keyring.ErrUnavailable, errors.New("the disk is full"))
	}
	return f.Ring.Put(ctx, key, value)
}

func TestATokenThatCannotBeStoredIsUsedAndOfferedAgain(t *testing.T) {
	clock := duplicatitest.NewStandingClock(time.Now())
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password, Clock: clock})
	a := newAccount(t)
	a.clock = clock.Now
	ring := &failing{Ring: a.ring()}
	all := a.sessionsOn(ring, bare(s))
	login(t, all)
	s.Advance(20 * time.Minute)
	ring.down.Store(true)
	works(t, all)
	if !strings.Contains(a.log.String(), "session not kept in the keyring") {
		t.Error("nobody is told")
	}
	puts := ring.puts.Load()
	for range 10 {
		works(t, all)
	}
	if ring.puts.Load() != puts {
		t.Error("each call asks a keyring that is down")
	}
	ring.down.Store(false)
	s.Advance(time.Minute)
	works(t, all)
	works(t, a.sessions(bare(s))) // finds it
	counts(t, s, 1, 1)
}

func TestALoginThatCannotBeStoredIsNone(t *testing.T) {
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	a := newAccount(t)
	ring := &failing{Ring: a.ring()}
	ring.down.Store(true)
	_, err := a.sessionsOn(ring, bare(s)).Login(t.Context(), "nas", tools.Login{Password: secret.New(password)})
	refused(t, err, tools.Unavailable, "keyring")
	if n := s.Count("POST", logoutPath); n != 1 {
		t.Error("the session that nobody can find again was not ended")
	}
}

func TestALockedKeyringIsSaidAndNothingIsAsked(t *testing.T) {
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	a := newAccount(t)
	a.ring() // made with one passphrase
	ring := keyring.Later(func(ctx context.Context) (keyring.Ring, error) {
		return keyring.Open(ctx, keyring.Config{Backend: keyring.File, Dir: a.dir + "/ring", Passphrase: keyring.NewPassphrase()})
	})
	refused(t, state(t.Context(), a.sessionsOn(ring, nas(t, s))), tools.Unavailable, "locked", "another passphrase", "give the passphrase they were made with")
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests, though no session could be kept", n)
	}
}

func TestASessionOfAnotherServerIsNotSent(t *testing.T) {
	one := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	two := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	a := newAccount(t)
	login(t, a.sessions(bare(one)))
	moved := bare(two) // the configuration says another address for the same name
	refused(t, state(t.Context(), a.sessions(moved)), tools.NotLoggedIn, "no stored session")
	if n := len(two.Requests()); n != 0 {
		t.Errorf("the other server got %d requests", n)
	}
}

func TestAnItemThatIsNoSessionCountsAsNone(t *testing.T) {
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	a := newAccount(t)
	key, err := keyring.ServerKey(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, junk := range []string{"{}", "junk", `{"form":99,"cookie":"x"}`} {
		if err := a.ring().Put(t.Context(), key, secret.New(junk)); err != nil {
			t.Fatal(err)
		}
		works(t, a.sessions(nas(t, s)))
	}
	counts(t, s, 3, 0)
}

func TestNobodyIsAskedForAServerThatIsNone(t *testing.T) {
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	all := newAccount(t).sessions(bare(s))
	_, err := all.Client(t.Context(), "nsa")
	refused(t, err, tools.NotFound, `"nsa"`, "nas")
	for _, err := range []error{
		second(all.Login(t.Context(), "x", tools.Login{})), second(all.Logout(t.Context(), "x")), second(all.Diagnose(t.Context(), "x")),
		all.ProvePassword(t.Context(), "x", secret.New("p")), all.StagePassword(t.Context(), "x", secret.New("p")), second(all.KeepPassword(t.Context(), "x", secret.New("p"))),
	} {
		refused(t, err, tools.NotFound)
	}
}

func second[T any](_ T, err error) error { return err }

func TestWrongSessionsAreRefusedAtStart(t *testing.T) {
	a := newAccount(t)
	ring := a.ring()
	for name, o := range map[string]auth.Options{
		"nothing":  {},
		"twice":    {Ring: ring, Locks: a.locks(), References: auth.NewReferences(ring), Servers: []auth.Server{{Name: "a", URL: "http://a"}, {Name: "a", URL: "http://b"}}},
		"no name":  {Ring: ring, Locks: a.locks(), References: auth.NewReferences(ring), Servers: []auth.Server{{URL: "http://a"}}},
		"no URL":   {Ring: ring, Locks: a.locks(), References: auth.NewReferences(ring), Servers: []auth.Server{{Name: "a", URL: "http://ann:hunter2@a"}}},
		"no pin":   {Ring: ring, Locks: a.locks(), References: auth.NewReferences(ring), Servers: []auth.Server{{Name: "a", URL: "https://a", TLS: auth.TLS{Pins: []string{"hunter2"}}}}},
		"no roots": {Ring: ring, Locks: a.locks(), References: auth.NewReferences(ring), Servers: []auth.Server{{Name: "a", URL: "https://a", TLS: auth.TLS{CAFile: "/none"}}}},
	} {
		if _, err := auth.New(o); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
