//go:build linux

package local_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/local"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// job is what a process of its own is to do at the socket.
type job struct {
	Path    string
	Surface tools.Surface
	Do      string
	Run     string
	Args    map[string]any
	ID      string
	Phrase  string
}

// said is what it found.
type said struct {
	Answer   tools.Answer
	Approval *tools.Approval
	Requests []tools.Approval
	Daemon   local.Daemon
	Failure  *tools.Error
}

// TestClientProcess is the body of such a process.
func TestClientProcess(t *testing.T) {
	given := os.Getenv("LOCAL_TEST_CLIENT")
	if given == "" {
		t.Skip("is run by other tests, as another account")
	}
	var j job
	if err := json.Unmarshal([]byte(given), &j); err != nil {
		t.Fatal(err)
	}
	c := local.NewClient(local.ClientOptions{
		Path: j.Path, Registry: tools.NewRegistry(toolstest.NewWorld().Operations()...), Version: "1.2.3", Surface: j.Surface,
	})
	var s said
	var err error
	switch ctx := t.Context(); j.Do {
	case "ping":
		s.Daemon, err = c.Ping(ctx)
	case "run":
		s.Answer, err = c.Run(ctx, tools.Call{Operation: j.Run, Args: j.Args, Caller: tools.Caller{Identity: uid(0)}})
	case "decide":
		var a tools.Approval
		if a, err = c.Decide(ctx, tools.Decision{ID: j.ID, Yes: true, Phrase: j.Phrase, How: "typed"}); a.ID != "" {
			s.Approval = &a
		}
	case "requests":
		s.Requests, err = c.Requests(ctx, tools.Filter{})
	case "hold":
		_, err = c.Hold(ctx, tools.Caller{}, secret.New("x"))
	}
	if err != nil {
		s.Failure = err.(*tools.Error)
	}
	b, _ := json.Marshal(s)
	fmt.Printf("SAID %s\n", b)
}

// as has another account do a job at the rig's socket.
func (r *rig) as(account, gid int, j job) said {
	r.t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
			r.t.Fatal("needs root, to act as another account")
		}
		r.t.Skip("needs root, to act as another account")
	}
	if j.Path == "" {
		j.Path = r.path
	}
	given, err := json.Marshal(j)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.CommandContext(r.t.Context(), program(r.t), "-test.run=^TestClientProcess$", "-test.v")
	cmd.Env = []string{"LOCAL_TEST_CLIENT=" + string(given), "USER=root", "LOGNAME=root"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(account), Gid: uint32(gid)}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
	_, line, found := strings.Cut(string(out), "SAID ")
	line, _, _ = strings.Cut(line, "\n")
	var s said
	if err := json.Unmarshal([]byte(line), &s); err != nil || !found {
		r.t.Fatalf("%v\n%s", err, out)
	}
	return s
}

// program is this test's program where every account can run it.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(folder(t), "program")
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnotherAccountIsWhoTheKernelSays(t *testing.T) {
	r := newRig(t, nil)
	if os.Geteuid() == 0 {
		os.Chmod(r.path, 0o666)
	}
	id := r.pending()
	a, _ := r.Desk.Request(t.Context(), id)

	t.Run("a stranger gets nothing, whatever USER says", func(t *testing.T) {
		for _, j := range []job{
			{Surface: tools.CLI, Do: "run", Run: "list-things"},
			{Surface: tools.CLI, Do: "run", Run: "start", Args: map[string]any{"thing": "1"}},
			{Surface: tools.CLI, Do: "decide", ID: id, Phrase: a.Plan.Phrase},
			{Surface: tools.CLI, Do: "requests"},
			{Surface: tools.CLI, Do: "hold"},
		} {
			s := r.as(stranger, stranger, j)
			if s.Failure == nil || s.Failure.Code != tools.NobodyKnown && s.Failure.Code != tools.Denied {
				t.Errorf("%s %s: %+v", j.Do, j.Run, s)
			}
			if len(s.Requests) > 0 || s.Approval != nil {
				t.Errorf("%s told a stranger %+v", j.Do, s)
			}
		}
	})
	t.Run("an assistant of the other one cannot agree", func(t *testing.T) {
		if s := r.as(nobody, nobody, job{Surface: tools.MCP, Do: "decide", ID: id, Phrase: a.Plan.Phrase}); s.Failure == nil || s.Failure.Code != tools.Denied {
			t.Errorf("%+v", s)
		}
	})
	t.Run("the other one agrees, and it runs once", func(t *testing.T) {
		s := r.as(nobody, nobody, job{Surface: tools.CLI, Do: "decide", ID: id, Phrase: a.Plan.Phrase})
		if s.Failure != nil || s.Approval.State != tools.StateDone {
			t.Fatalf("%+v", s)
		}
		if did := r.World.Did(); len(did) != 1 || did[0] != "destroy nas 1" {
			t.Errorf("did %v", did)
		}
		if s = r.as(nobody, nobody, job{Surface: tools.CLI, Do: "decide", ID: id, Phrase: a.Plan.Phrase}); s.Failure == nil || s.Failure.Code != tools.AlreadyDecided {
			t.Errorf("again: %+v", s)
		}
	})
	t.Run("the record says between which accounts a boundary lies", func(t *testing.T) {
		r.as(nobody, nobody, job{Surface: tools.CLI, Do: "run", Run: "start", Args: map[string]any{"thing": "2"}})
		seen := map[bool]bool{}
		for _, rec := range r.Records(t) {
			if rec.Identity == uid(stranger) {
				continue
			}
			seen[rec.SameAccount] = true
			if rec.SameAccount != (rec.Identity == uid(os.Geteuid())) {
				t.Errorf("recorded %+v", rec)
			}
		}
		if len(seen) != 2 {
			t.Errorf("seen %v", seen)
		}
	})
}

func TestWhoMayUseTheSocketAtAll(t *testing.T) {
	r := newRig(t, nil)
	s := r.as(nobody, nobody, job{Surface: tools.CLI, Do: "ping"})
	if s.Failure == nil || s.Failure.Code != tools.Denied || !strings.Contains(s.Failure.Message, "this account (uid 65534) may not use") || !strings.Contains(s.Failure.Hint, "its own account and root only") {
		t.Errorf("%+v", s.Failure)
	}
	if len(r.Records(t)) != 0 || strings.Contains(r.log.String(), "65534") {
		t.Error("it got further than the socket")
	}
	path := filepath.Join(folder(t), "s.sock")
	l, err := local.Listen(path, "nogroup")
	if err != nil {
		t.Fatal(err)
	}
	srv, err := local.NewServer(local.Options{Door: r.Runner, Decisions: r.Desk, Registry: r.Registry, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- srv.Serve(ctx, l) }()
	if s = r.as(stranger, nobody, job{Path: path, Surface: tools.CLI, Do: "ping"}); s.Failure != nil || s.Daemon.Caller != stranger || s.Daemon.UID != 0 {
		t.Errorf("a member of the group: %+v", s)
	}
	if s = r.as(stranger, stranger, job{Path: path, Surface: tools.CLI, Do: "ping"}); s.Failure == nil || s.Failure.Code != tools.Denied || !strings.Contains(s.Failure.Hint, "usermod -aG nogroup") {
		t.Errorf("somebody outside the group: %+v", s)
	}
	// A service's folder lets in its group alone: nobody else sees the socket.
	if err := errors.Join(os.Chown(filepath.Dir(path), 0, nobody), os.Chmod(filepath.Dir(path), 0o750)); err != nil {
		t.Fatal(err)
	}
	if s = r.as(stranger, nobody, job{Path: path, Surface: tools.CLI, Do: "ping"}); s.Failure != nil {
		t.Errorf("a member of the group, who may enter the folder: %+v", s)
	}
	if s = r.as(stranger, stranger, job{Path: path, Surface: tools.CLI, Do: "ping"}); s.Failure == nil || s.Failure.Code != tools.Denied || !strings.Contains(s.Failure.Hint, "usermod -aG nogroup") {
		t.Errorf("somebody who may not enter the folder: %+v", s)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestDaemonProcess is the body of a daemon that another test kills. It says
// what it does on its standard output.
func TestDaemonProcess(t *testing.T) {
	path := os.Getenv("LOCAL_TEST_DAEMON")
	if path == "" {
		t.Skip("is run, and killed, by another test")
	}
	g := toolstest.New(t, toolstest.WithPeople(people))
	g.World.Before = func(ctx context.Context, operation string) error {
		fmt.Printf("DOES %s\n", operation)
		<-ctx.Done()
		return ctx.Err()
	}
	s, err := local.NewServer(local.Options{Door: g.Runner, Decisions: g.Desk, Registry: g.Registry, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := local.Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("READY")
	s.Serve(t.Context(), l)
}

// daemon starts one at path and returns what it says.
func daemon(t *testing.T, path string) (*exec.Cmd, <-chan string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestDaemonProcess$", "-test.v")
	cmd.Env = append(os.Environ(), "LOCAL_TEST_DAEMON="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			if strings.HasPrefix(scan.Text(), "DOES ") || scan.Text() == "READY" {
				lines <- scan.Text()
			}
		}
	}()
	hear(t, lines, "READY")
	return cmd, lines
}

func hear(t *testing.T, lines <-chan string, want string) {
	t.Helper()
	select {
	case got := <-lines:
		if got != want {
			t.Fatalf("the daemon said %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("the daemon did not say %q", want)
	}
}

func TestADaemonKilledInTheMiddleOfACall(t *testing.T) {
	t.Parallel()
	path := filepath.Join(folder(t), "s.sock")
	registry := tools.NewRegistry(toolstest.NewWorld().Operations()...)
	c := local.NewClient(local.ClientOptions{Path: path, Registry: registry, Version: "1.2.3", Surface: tools.CLI})
	for _, test := range []struct {
		call tools.Call
		code tools.Code
	}{
		{tools.Call{Operation: "start", Args: map[string]any{"thing": "1"}}, tools.UnknownOutcome},
		{tools.Call{Operation: "list-things"}, tools.Unavailable},
	} {
		t.Run(test.call.Operation, func(t *testing.T) {
			d, lines := daemon(t, path)
			failed := make(chan error, 1)
			go func() {
				_, err := c.Run(context.Background(), test.call)
				failed <- err
			}()
			hear(t, lines, "DOES "+test.call.Operation)
			d.Process.Kill()
			e := want(t, <-failed, test.code)
			if e.Retry != (test.code == tools.Unavailable) {
				t.Errorf("%#v", e)
			}
			d.Wait()

			_, err := c.Run(t.Context(), test.call)
			if e := want(t, err, tools.Unavailable); !strings.Contains(e.Message, "no longer there; nothing was done") {
				t.Error(e)
			}
			// The next daemon takes the stale socket over, and finds nothing sent again.
			_, lines = daemon(t, path)
			if d, err := c.Ping(t.Context()); err != nil || d.Version != "1.2.3" {
				t.Fatalf("%+v, %v", d, err)
			}
			select {
			case line := <-lines:
				t.Errorf("the new daemon %s", line)
			case <-time.After(200 * time.Millisecond):
			}
		})
	}
}

func TestADaemonThatHangs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(folder(t), "s.sock")
	d, _ := daemon(t, path)
	freeze(t, d.Process)
	c := local.NewClient(local.ClientOptions{Path: path, Registry: tools.NewRegistry(toolstest.NewWorld().Operations()...), Version: "1.2.3", Surface: tools.CLI})
	began := time.Now()
	_, err := c.Run(t.Context(), tools.Call{Operation: "start", Args: map[string]any{"thing": "1"}})
	if e := want(t, err, tools.Unavailable); !strings.Contains(e.Message, "does not answer; nothing was done") || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(began), e)
	}
}

// freeze stops a process, and waits until each of its threads stands still.
func freeze(t *testing.T, p *os.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid))
		if err != nil {
			t.Fatal(err)
		}
		running := false
		for _, path := range threads {
			stat, err := os.ReadFile(path)
			_, state, _ := strings.Cut(string(stat), ") ")
			running = running || err == nil && !strings.HasPrefix(state, "T")
		}
		if !running {
			return
		}
	}
	t.Fatal("it does not stop")
}
