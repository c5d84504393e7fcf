package auth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
)

const password = "correct-password"

// account is what one OS account has: a keyring, locks, and as many processes
// as a test wants.
type account struct {
	t     *testing.T
	dir   string
	key   secret.Value
	log   *logged
	clock func() time.Time
}

func newAccount(t *testing.T) *account {
	t.Helper()
	return &account{t: t, dir: t.TempDir(), key: keyring.NewPassphrase(), log: &logged{}, clock: time.Now}
}

// ring opens the account's keyring as another process would: without memory of
// what others have read.
func (a *account) ring() keyring.Ring {
	a.t.Helper()
	r, err := keyring.Open(a.t.Context(), keyring.Config{Backend: keyring.File, Dir: filepath.Join(a.dir, "ring"), Passphrase: a.key})
	if err != nil {
		a.t.Fatal(err)
	}
	return r
}

func (a *account) locks() *store.Locks {
	a.t.Helper()
	l, err := store.OpenLocks(filepath.Join(a.dir, "locks"))
	if err != nil {
		a.t.Fatal(err)
	}
	return l
}

// sessions is a new process's.
func (a *account) sessions(servers ...auth.Server) *auth.Sessions {
	a.t.Helper()
	return a.sessionsOn(a.ring(), servers...)
}

func (a *account) sessionsOn(ring keyring.Ring, servers ...auth.Server) *auth.Sessions {
	a.t.Helper()
	s, err := auth.New(auth.Options{
		Servers: servers, Ring: ring, Locks: a.locks(), References: auth.NewReferences(ring),
		Now: a.clock, Timeout: 5 * time.Second, Log: slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			a.t.Error(err)
		}
	})
	return s
}

// logged is a log that a test can read.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// nas is the server as a configuration has it that refers to its password.
func nas(t *testing.T, s *duplicatitest.Server) auth.Server {
	t.Helper()
	t.Setenv("NAS_PASSWORD", password)
	return auth.Server{Name: "nas", URL: s.URL, Password: ref(t, "env:NAS_PASSWORD")}
}

// bare is the server as one that only a login at a terminal opens.
func bare(s *duplicatitest.Server) auth.Server { return auth.Server{Name: "nas", URL: s.URL} }

func ref(t *testing.T, text string) secret.Ref {
	t.Helper()
	r, err := secret.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// login logs in as somebody at a terminal does.
func login(t *testing.T, s *auth.Sessions) tools.LoggedIn {
	t.Helper()
	in, err := s.Login(t.Context(), "nas", tools.Login{Password: secret.New(password)})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// state makes the cheapest call that needs a session.
func state(ctx context.Context, s *auth.Sessions) error {
	c, err := s.Client(ctx, "nas")
	if err != nil {
		return err
	}
	if _, err = c.State(ctx); err != nil {
		if e := auth.Explain(err, "nas"); e != nil { // as the gate does
			return e
		}
	}
	return err
}

func works(t *testing.T, s *auth.Sessions) {
	t.Helper()
	if err := state(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

// refused fails the test unless err is for readers, has the code, and says all
// the words.
func refused(t *testing.T, err error, code tools.Code, words ...string) *tools.Error {
	t.Helper()
	var e *tools.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v (%s), want an error of code %s", err, tools.CodeOf(err), code)
	}
	for _, w := range words {
		if !strings.Contains(e.Error(), w) {
			t.Errorf("%q does not say %q", e.Error(), w)
		}
	}
	return e
}

const (
	loginPath   = "/api/v1/auth/login"
	signinPath  = "/api/v1/auth/signin"
	refreshPath = "/api/v1/auth/refresh"
	logoutPath  = "/api/v1/auth/refresh/logout"
)

// refreshes counts without logouts, whose path begins with the same words.
func refreshes(s *duplicatitest.Server) int {
	return s.Count("POST", refreshPath) - s.Count("POST", logoutPath)
}

func counts(t *testing.T, s *duplicatitest.Server, logins, renewed int) {
	t.Helper()
	if l, r := s.Count("POST", loginPath), refreshes(s); l != logins || r != renewed {
		t.Errorf("%d logins and %d refreshes, want %d and %d", l, r, logins, renewed)
	}
}
