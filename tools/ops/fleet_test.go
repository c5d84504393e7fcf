package ops_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/ops"
	"github.com/duplibot/duplibot/tools/toolstest"
)

const password = "correct-password"

// fleet keeps a session per server, as simply as can be: it logs in with the
// password whenever it has no token that works.
type fleet struct {
	mu      sync.Mutex
	at      map[string]*account
	within  time.Duration
	staging error // fails StagePassword
}

type account struct {
	mu       sync.Mutex
	url      string
	client   *duplicati.Client
	bare     *duplicati.Client
	password secret.Value
	staged   secret.Value
	session  duplicati.Session
	logins   int
}

// callWithin is how long a test's call to a server may take.
const callWithin = 10 * time.Second

func newFleet(t testing.TB, within time.Duration, fakes map[string]*duplicatitest.Server) *fleet {
	f := &fleet{at: map[string]*account{}, within: within}
	for name, fake := range fakes {
		bare, err := duplicati.New(duplicati.Options{URL: fake.URL, Timeout: within})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(bare.Close)
		a := &account{url: fake.URL, bare: bare, password: secret.New(password)}
		a.client = bare.With(a)
		f.at[name] = a
	}
	return f
}

// Access is a token that works, or a new login.
func (a *account) Access(ctx context.Context) (secret.Value, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.session.Access.Empty() {
		return a.session.Access, nil
	}
	s, err := a.bare.Login(ctx, a.password, true)
	if err != nil {
		return secret.Value{}, err
	}
	a.logins++
	a.session = s
	return s.Access, nil
}

// Rejected forgets the session.
func (a *account) Rejected(_ context.Context, token secret.Value) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session.Access.Equal(token) {
		a.session = duplicati.Session{}
	}
	return nil
}

// spoil makes the password a wrong one.
func (a *account) spoil() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.password, a.session = secret.New("wrong"), duplicati.Session{}
}

func (f *fleet) account(server string) *account {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at[server]
}

func (f *fleet) Client(_ context.Context, server string) (*duplicati.Client, error) {
	return f.account(server).client, nil
}

func (f *fleet) Login(ctx context.Context, server string, by tools.Login) (tools.LoggedIn, error) {
	a := f.account(server)
	pw := by.Password
	if pw.Empty() {
		pw = a.password
	}
	s, err := a.bare.Login(ctx, pw, true)
	if err != nil {
		return tools.LoggedIn{}, err
	}
	a.mu.Lock()
	a.session = s
	a.mu.Unlock()
	info, err := a.client.Info(ctx)
	return tools.LoggedIn{By: "password", Generation: string(info.Generation), Version: info.Version, Ends: s.RefreshEnds, Stored: "the test's memory"}, err
}

func (f *fleet) Logout(ctx context.Context, server string) (tools.LoggedOut, error) {
	a := f.account(server)
	a.mu.Lock()
	s := a.session
	a.session = duplicati.Session{}
	a.mu.Unlock()
	if s.Access.Empty() {
		return tools.LoggedOut{}, nil
	}
	if err := a.bare.Logout(ctx, s); err != nil {
		return tools.LoggedOut{Had: true}, err
	}
	return tools.LoggedOut{Had: true, Refused: a.bare.ProveRefused(ctx, s) == nil}, nil
}

func (f *fleet) Diagnose(ctx context.Context, server string) (duplicati.Diagnosis, error) {
	return duplicati.Diagnose(ctx, duplicati.Options{URL: f.account(server).url, Timeout: f.within})
}

func (f *fleet) ProvePassword(ctx context.Context, server string, pw secret.Value) error {
	a := f.account(server)
	s, err := a.bare.Login(ctx, pw, true)
	if errors.Is(err, duplicati.LoginFailed) {
		return tools.Errorf(tools.NotLoggedIn, "%s does not accept the password", server).Because(err)
	}
	if err != nil {
		return err
	}
	return a.bare.Logout(ctx, s)
}

func (f *fleet) StagePassword(_ context.Context, server string, pw secret.Value) error {
	if f.staging != nil {
		return f.staging
	}
	f.account(server).staged = pw
	return nil
}

func (f *fleet) KeepPassword(_ context.Context, server string, pw secret.Value) (tools.KeptPassword, error) {
	a := f.account(server)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.password, a.session = pw, duplicati.Session{}
	return tools.KeptPassword{Where: "the test's memory", Overrides: "env:NAS_PASSWORD"}, nil
}

// bench is a gate with every operation over one server or more.
type bench struct {
	*toolstest.Gate
	t     *testing.T
	ann   tools.Caller // who asks
	nas   *duplicatitest.Server
	fleet *fleet
	deps  ops.Deps
}

func theKey(context.Context) ([]byte, error) { return bytes.Repeat([]byte{9}, 32), nil }

func start(t *testing.T, o duplicatitest.Options, opts ...toolstest.Option) *bench {
	t.Helper()
	return startWithin(t, callWithin, o, opts...)
}

func startWithin(t *testing.T, within time.Duration, o duplicatitest.Options, opts ...toolstest.Option) *bench {
	t.Helper()
	o.Password = password
	nas := duplicatitest.Start(t, o)
	b := &bench{t: t, ann: toolstest.AnnAtTerminal, nas: nas, fleet: newFleet(t, within, map[string]*duplicatitest.Server{"nas": nas})}
	b.deps = ops.Deps{Servers: b.fleet, Key: theKey, Poll: 20 * time.Millisecond, Patience: min(3*time.Second, within)}
	opts = append([]toolstest.Option{toolstest.WithOperations(ops.All(b.deps)...), toolstest.WithServers("nas", "nas"),
		toolstest.WithExplain(auth.Explain)}, opts...)
	b.Gate = toolstest.New(t, opts...)
	return b
}

// on runs f against each generation.
func on(t *testing.T, f func(t *testing.T, generation string)) {
	for _, g := range duplicatitest.Generations() {
		t.Run(g, func(t *testing.T) {
			t.Parallel()
			f(t, g)
		})
	}
}

type args = map[string]any

// do runs an operation as Ann at a terminal and wants it done.
func (b *bench) do(operation string, a args) tools.Answer {
	b.t.Helper()
	answer, err := b.Run(b.ann, operation, a)
	if err != nil {
		b.t.Fatalf("%s %v: %v", operation, a, err)
	}
	if answer.Status != tools.Done {
		b.t.Fatalf("%s %v: %s", operation, a, answer.Status)
	}
	return answer
}

// refused wants an error of a code, with words in it.
func (b *bench) refused(operation string, a args, code tools.Code, words ...string) *tools.Error {
	b.t.Helper()
	answer, err := b.Run(b.ann, operation, a)
	return wantError(b.t, answer, err, code, words...)
}

func wantError(t *testing.T, answer any, err error, code tools.Code, words ...string) *tools.Error {
	t.Helper()
	var e *tools.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %+v, %v (%s); want an error of code %s", answer, err, tools.CodeOf(err), code)
	}
	for _, w := range words {
		if !strings.Contains(e.Error(), w) {
			t.Errorf("%q does not say %q", e.Error(), w)
		}
	}
	return e
}

// agreed asks as Ann, and lets Bob agree.
func (b *bench) agreed(operation string, a args) (tools.Approval, error) {
	b.t.Helper()
	return b.Decide(toolstest.BobAtTerminal, b.asked(operation, a).Approval.ID, true)
}

func (b *bench) asked(operation string, a args) tools.Answer {
	b.t.Helper()
	answer, err := b.Run(b.ann, operation, a)
	if err != nil {
		b.t.Fatalf("%s %v: %v", operation, a, err)
	}
	if answer.Status != tools.Pending {
		b.t.Fatalf("%s %v: %s, want pending", operation, a, answer.Status)
	}
	return answer
}

// has wants words in the JSON of a result.
func has(t *testing.T, result []byte, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(string(result), w) {
			t.Errorf("%s\ndoes not hold %s", result, w)
		}
	}
}

// logged is a log that a test can read while it is written.
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

// replaceText changes words of an answer.
func replaceText(old, replaced string) func(int, http.Header, []byte) (int, []byte) {
	return func(status int, _ http.Header, body []byte) (int, []byte) {
		return status, bytes.ReplaceAll(body, []byte(old), []byte(replaced))
	}
}
