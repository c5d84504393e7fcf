package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/local"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

func TestProgramsOfTwoVersionsSaySo(t *testing.T) {
	r := newRig(t, nil)
	t.Run("other operations", func(t *testing.T) {
		fewer := tools.NewRegistry(r.World.Operations()[:3]...)
		c := local.NewClient(local.ClientOptions{Path: r.path, Registry: fewer, Version: "1.2.4-dev", Surface: tools.CLI})
		_, err := c.Run(t.Context(), tools.Call{Operation: "start", Args: map[string]any{"thing": "1"}})
		e := want(t, err, tools.Unsupported)
		for _, word := range []string{"1.2.3", "1.2.4-dev", "nothing was done", "restart the daemon"} {
			if !strings.Contains(e.Error(), word) {
				t.Errorf("%q lacks %q", e, word)
			}
		}
		if len(r.World.Did()) != 0 {
			t.Error("it was done all the same")
		}
	})
	t.Run("a client of another protocol", func(t *testing.T) {
		c := r.raw()
		c.say('h', map[string]any{"protocol": 99, "version": "9.0", "novelty": true})
		k, m := c.hear()
		refused, _ := m["refused"].(map[string]any)
		if k != 'w' || refused["code"] != "unsupported" || !strings.Contains(refused["message"].(string), "protocol 99") || m["version"] != "1.2.3" {
			t.Errorf("heard %c %v", k, m)
		}
	})
	t.Run("a daemon of another protocol", func(t *testing.T) {
		path := fakeDaemon(t, func(c net.Conn) {
			local.WriteFrame(c, 'w', []byte(`{"protocol":99,"version":"9.0","novelty":true}`))
		})
		c := local.NewClient(local.ClientOptions{Path: path, Registry: r.Registry, Version: "1.2.3", Surface: tools.CLI})
		_, err := c.Ping(t.Context())
		if e := want(t, err, tools.Unsupported); !strings.Contains(e.Message, "duplibot 9.0 (protocol 99)") {
			t.Error(e)
		}
	})
	t.Run("the same ones fit", func(t *testing.T) {
		d, err := r.client(tools.MCP).Ping(t.Context())
		if err != nil || d.Version != "1.2.3" || d.UID != os.Geteuid() || d.Caller != os.Geteuid() {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

func TestWhatTwoProgramsMustHaveInCommon(t *testing.T) {
	type in struct {
		tools.OnServer
		Thing string `json:"thing" jsonschema:"which one" tool:"pos"`
	}
	type otherWords struct {
		tools.OnServer
		Thing string `json:"thing" jsonschema:"the thing that is meant" tool:"pos"`
	}
	type otherPlace struct {
		tools.OnServer
		Thing string `json:"thing" jsonschema:"which one" tool:"pos,cli"`
	}
	type otherKind struct {
		tools.OnServer
		Thing int `json:"thing" jsonschema:"which one" tool:"pos"`
	}
	type out struct {
		Sizes []struct {
			Bytes int64 `json:"bytes"`
		} `json:"sizes"`
	}
	type otherOut struct {
		Sizes []struct {
			Bytes string `json:"bytes"`
		} `json:"sizes"`
	}
	spec := tools.Spec{Name: "look", Summary: "Look at a thing", Group: "things", Toolset: "core", Risk: tools.Read}
	change := spec
	change.Risk = tools.Change
	words := spec
	words.Summary = "Look at something"
	same := local.DigestOf(operation[in, out](spec))
	for name, c := range map[string]struct {
		op   tools.Operation
		fits bool
	}{
		"the same":                    {operation[in, out](spec), true},
		"other words":                 {operation[in, out](words), true},
		"other words on an argument":  {operation[otherWords, out](spec), true},
		"another risk":                {operation[in, out](change), false},
		"an argument of another kind": {operation[otherKind, out](spec), false},
		"an argument elsewhere":       {operation[otherPlace, out](spec), false},
		"another result":              {operation[in, otherOut](spec), false},
	} {
		if fits := local.DigestOf(c.op) == same; fits != c.fits {
			t.Errorf("%s: fits is %v", name, fits)
		}
	}
}

func operation[In, Out any](spec tools.Spec) tools.Operation {
	return tools.Define(spec, tools.Handler[In, Out]{
		Do:   func(context.Context, tools.Env, In) (out Out, err error) { return out, nil },
		View: func(Out) tools.View { return tools.View{} },
	})
}

// fakeDaemon greets with whatever greet writes and then hangs up.
func fakeDaemon(t *testing.T, greet func(net.Conn)) (path string) {
	t.Helper()
	path = filepath.Join(folder(t), "fake.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			greet(c)
			c.Close()
		}
	}()
	return path
}

func TestAServerSurvivesWhatClientsSend(t *testing.T) {
	r := newRig(t, nil)
	for name, sent := range map[string]string{
		"nothing":                   "",
		"another protocol":          "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"a frame of four gigabytes": "h\xff\xff\xff\xff",
		"half a frame":              "h\x00\x00\x00\x10{\"proto",
		"no JSON":                   "h\x00\x00\x00\x02}{",
		"a request before hello":    "r\x00\x00\x00\x02{}",
	} {
		t.Run(name, func(t *testing.T) {
			c := r.raw()
			io.WriteString(c, sent)
			c.CloseWrite()
			if b, err := io.ReadAll(c); len(b) > 0 && b[0] != 'w' || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("answered %q, %v", b, err)
			}
		})
	}
	for name, sent := range map[string]any{
		"an unknown request":     map[string]any{"do": "sudo"},
		"a body of another type": map[string]any{"do": "run", "body": []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.greeted("cli")
			c.say('r', sent)
			if k, m := c.hear(); k != 'a' || m["failure"].(map[string]any)["code"] != "invalid_argument" {
				t.Errorf("heard %c %v", k, m)
			}
		})
	}
	t.Run("a secret that was promised and does not come", func(t *testing.T) {
		c := r.greeted("cli")
		c.say('r', map[string]any{"do": "hold", "secret": true})
		c.CloseWrite()
		if b, _ := io.ReadAll(c); len(b) != 0 {
			t.Errorf("answered %q", b)
		}
	})
	if _, err := r.client(tools.CLI).Run(t.Context(), tools.Call{Operation: "list-things"}); err != nil {
		t.Errorf("the server was hurt: %v", err)
	}
}

func TestOneAccountCannotTakeAllPlaces(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	var conns []raw
	for range local.MaxClientsUID {
		conns = append(conns, r.greeted("cli"))
	}
	_, err := r.client(tools.CLI).Run(t.Context(), tools.Call{Operation: "list-things"})
	if e := want(t, err, tools.TooMany); !e.Retry {
		t.Errorf("%#v", e)
	}
	for _, c := range conns {
		c.Close()
	}
	for until := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		_, err = r.client(tools.CLI).Run(t.Context(), tools.Call{Operation: "list-things"})
	}
	if err != nil {
		t.Errorf("the places were not given back: %v", err)
	}
}

// TestStrangersFillNoMemory: whoever may only connect can say that a secret
// follows, as large as one can be.
func TestStrangersFillNoMemory(t *testing.T) {
	large := make([]byte, local.MaxSecret)
	for i := range large {
		large[i] = 'x'
	}
	for name, tc := range map[string]struct {
		people  []tools.Person
		surface string
		do      string
	}{
		"nobody":                 {[]tools.Person{{Name: "other", Identities: []tools.Identity{uid(nobody)}, Roles: []string{"admin", "approver"}}}, "cli", "hold"},
		"an assistant":           {people, "mcp", "hold"},
		"a call that takes none": {people, "cli", "ping"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil, toolstest.WithPeople(tc.people))
			frame := &bytes.Buffer{}
			if err := local.WriteFrame(frame, 's', large); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 4 {
				c := r.greeted(tc.surface)
				c.say('r', map[string]any{"do": tc.do, "secret": true})
				if _, err := c.Write(frame.Bytes()); err != nil {
					t.Fatal(err)
				}
				k, m := c.hear()
				if failure, _ := m["failure"].(map[string]any); k != 'a' || (failure == nil) != (tc.do == "ping") {
					t.Errorf("heard %c %v", k, m)
				}
			}
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > local.MaxSecret {
				t.Errorf("it took %d MB of memory", took>>20)
			}
		})
	}
}

func TestAClientThatSaysNothingIsSentAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.raw()
	began := time.Now()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// chatty is an operation that tells more progress than any buffer holds.
func chatty(done chan<- struct{}) tools.Operation {
	type in struct{ tools.OnServer }
	return tools.Define(tools.Spec{Name: "chat", Summary: "Talk much", Group: "things", Toolset: "core", Risk: tools.Change},
		tools.Handler[in, toolstest.Outcome]{
			Do: func(_ context.Context, env tools.Env, _ in) (toolstest.Outcome, error) {
				for range 20_000 {
					env.Progress(tools.Progress{Text: strings.Repeat("word ", 500)})
				}
				close(done)
				return toolstest.Outcome{Done: "chat"}, nil
			},
			View: func(toolstest.Outcome) tools.View { return tools.View{} },
		})
}

func TestAClientThatReadsNothingSlowsNothing(t *testing.T) {
	done := make(chan struct{})
	r := newRig(t, nil, toolstest.WithOperations(chatty(done)))
	c := r.greeted("cli")
	c.say('r', map[string]any{"do": "run", "body": map[string]any{"operation": "chat"}})
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the operation waits for its client")
	}
	for {
		k, m := c.hear()
		if k == 'a' {
			if m["failure"] != nil {
				t.Errorf("ended with %v", m)
			}
			return
		}
	}
}

func TestAClientThatWasStoppedFindsItsAnswer(t *testing.T) {
	t.Parallel()
	folder := folder(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(folder, "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	// Silence for longer than the wait, and then a word: as after SIGCONT.
	time.AfterFunc(300*time.Millisecond, func() { other.Write([]byte("x")) })
	b := make([]byte, 4)
	if n, err := local.Patient(c, 100*time.Millisecond).Read(b); n != 1 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	began := time.Now()
	if _, err := local.Patient(c, 100*time.Millisecond).Read(b); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 3*time.Second {
		t.Errorf("silence ended with %v after %v", err, time.Since(began))
	}
}

func TestStopping(t *testing.T) {
	entered, over := make(chan struct{}), make(chan struct{})
	r := newRig(t, nil)
	var blocked atomic.Bool
	r.World.Before = func(ctx context.Context, _ string) error {
		if blocked.CompareAndSwap(false, true) {
			close(entered)
			<-over
			return ctx.Err()
		}
		return nil
	}
	c := r.client(tools.CLI)
	answered := make(chan error, 1)
	go func() {
		_, err := c.Run(t.Context(), tools.Call{Operation: "start", Args: map[string]any{"thing": "1"}})
		answered <- err
	}()
	<-entered
	idle := r.greeted("cli")
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	if _, err := io.ReadAll(idle); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a client that asks nothing holds the end up")
	}
	var err error
	for until := time.Now().Add(5 * time.Second); !local.Absent(err) && time.Now().Before(until); time.Sleep(time.Millisecond) {
		_, err = c.Run(t.Context(), tools.Call{Operation: "list-things"})
	}
	if want(t, err, tools.Unavailable); !local.Absent(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	close(over)
	if err := <-answered; err != nil {
		t.Errorf("the call that ran was cut off: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stopped with %v", err)
	}
	if did := r.World.Did(); len(did) != 1 {
		t.Errorf("did %v", did)
	}
}

func TestStoppingCancelsWhatDoesNotEndInTime(t *testing.T) {
	entered := make(chan struct{})
	r := newRig(t, func(o *local.Options) { o.Grace = 100 * time.Millisecond })
	r.World.Before = func(ctx context.Context, _ string) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}
	answered := make(chan error, 1)
	go func() {
		_, err := r.client(tools.CLI).Run(t.Context(), tools.Call{Operation: "start", Args: map[string]any{"thing": "1"}})
		answered <- err
	}()
	<-entered
	if err := r.stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	want(t, <-answered, tools.Canceled)
}

func FuzzAServerTakesAnything(f *testing.F) {
	f.Add([]byte("h\x00\x00\x00\x02{}r\x00\x00\x00\x02{}"))
	f.Add([]byte("h\x00\x00\x00\x16{\"protocol\":1,\"x\":[1]}"))
	f.Add([]byte("s\xff\xff\xff\xffc\x00\x00\x00\x00"))
	g := toolstest.New(f, toolstest.WithPeople(people))
	s, err := local.NewServer(local.Options{Door: g.Runner, Decisions: g.Desk, Registry: g.Registry, Version: "1.2.3"})
	if err != nil {
		f.Fatal(err)
	}
	greeting, err := json.Marshal(map[string]any{"protocol": local.Protocol, "registry": local.Digest(s), "surface": "mcp"})
	if err != nil {
		f.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "local")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(dir) })
	l, err := local.Listen(filepath.Join(dir, "s.sock"), "")
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	f.Cleanup(func() { cancel(); <-ended })
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, greeted := range []bool{false, true} {
			c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: l.Path(), Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(20 * time.Second))
			if greeted {
				if err := local.WriteFrame(c, 'h', greeting); err != nil {
					t.Fatal(err)
				}
			}
			c.Write(sent) // it may hang up in the middle
			c.CloseWrite()
			if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("greeted %v: it neither answers nor hangs up", greeted)
			}
			c.Close()
		}
		if did := g.World.Did(); len(did) != 0 {
			t.Errorf("it did %v", did)
		}
	})
}
