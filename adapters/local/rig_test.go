package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/local"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// nobody is the uid that another person's processes have here; stranger is in
// nobody's list of people.
const (
	nobody   = 65534
	stranger = 4242
)

func uid(n int) tools.Identity { return tools.Identity(fmt.Sprintf("uid:%d", n)) }

// people: whoever runs the tests, and another account.
var people = []tools.Person{
	{Name: "me", Identities: []tools.Identity{uid(os.Geteuid()), "slack:T1/U1"}, Roles: []string{"admin", "approver"}},
	{Name: "other", Identities: []tools.Identity{uid(nobody)}, Roles: []string{"operator", "approver"}},
}

// rig is a gate behind a socket.
type rig struct {
	*toolstest.Gate
	t    *testing.T
	path string
	log  *safeBuffer
	stop func() error
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// folder is a new one that every account can look into.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "local")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func newRig(t *testing.T, change func(*local.Options), opts ...toolstest.Option) *rig {
	t.Helper()
	r := &rig{t: t, path: filepath.Join(folder(t), local.SocketName), log: &safeBuffer{}}
	r.Gate = toolstest.New(t, append([]toolstest.Option{toolstest.WithPeople(people)}, opts...)...)
	r.serve(change)
	return r
}

func (r *rig) serve(change func(*local.Options)) {
	r.t.Helper()
	o := local.Options{
		Door: r.Runner, Decisions: r.Desk, Registry: r.Registry, Version: "1.2.3", Grace: 2 * time.Second,
		Log: slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	s, err := local.NewServer(o)
	if err != nil {
		r.t.Fatal(err)
	}
	l, err := local.Listen(r.path, "")
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	r.t.Cleanup(func() {
		if err := r.stop(); err != nil {
			r.t.Errorf("the server ended with %v", err)
		}
	})
}

func (r *rig) client(s tools.Surface) *local.Client {
	return local.NewClient(local.ClientOptions{Path: r.path, Registry: r.Registry, Version: "1.2.3", Surface: s, Name: "test/1", Channel: "pts/7"})
}

// pending asks for thing 1 to be destroyed and returns the request.
func (r *rig) pending() string {
	r.t.Helper()
	a, err := r.client(tools.CLI).Run(r.t.Context(), tools.Call{Operation: "destroy", Args: map[string]any{"thing": "1"}})
	if err != nil || a.Approval == nil {
		r.t.Fatalf("no request: %+v, %v", a, err)
	}
	return a.Approval.ID
}

// raw is a connection on which a test says what it wants.
type raw struct {
	*net.UnixConn
	t *testing.T
}

func (r *rig) raw() raw {
	r.t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: r.path, Net: "unix"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return raw{c, r.t}
}

func (c raw) say(k byte, v any) {
	c.t.Helper()
	payload, ok := v.([]byte)
	if !ok {
		payload, _ = json.Marshal(v)
	}
	if err := local.WriteFrame(c, k, payload); err != nil {
		c.t.Fatal(err)
	}
}

func (c raw) hear() (byte, map[string]any) {
	c.t.Helper()
	k, payload, err := local.ReadFrame(c)
	if err != nil {
		c.t.Fatalf("nothing was heard: %v", err)
	}
	m := map[string]any{}
	json.Unmarshal(payload, &m)
	return k, m
}

// greeted has been welcomed as a client of surface.
func (r *rig) greeted(surface string) raw {
	r.t.Helper()
	c := r.raw()
	s, err := local.NewServer(local.Options{Door: r.Runner, Decisions: r.Desk, Registry: r.Registry})
	if err != nil {
		r.t.Fatal(err)
	}
	c.say('h', map[string]any{"protocol": local.Protocol, "version": "1.2.3", "registry": local.Digest(s), "surface": surface})
	if k, m := c.hear(); k != 'w' || m["refused"] != nil {
		r.t.Fatalf("not welcomed: %c %v", k, m)
	}
	return c
}

func want(t *testing.T, err error, code tools.Code) *tools.Error {
	t.Helper()
	e, ok := err.(*tools.Error)
	if !ok || e.Code != code {
		t.Fatalf("got %#v, want an error of code %s", err, code)
	}
	return e
}
