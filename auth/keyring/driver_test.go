package keyring_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/secret"
)

// The library looks for the session bus when a program starts, and only then.
// So whatever needs a bus of its own runs in a copy of the test program, which
// takes one request a line and answers each with a line.

const driverVar = "DUPLIBOT_TEST_RING_DRIVER"

func TestMain(m *testing.M) {
	if os.Getenv(driverVar) != "" {
		drive(os.Stdin, os.Stdout)
		return
	}
	os.Exit(m.Run())
}

type request struct {
	Op, Key, Value string
	Config         struct {
		Backend keyring.Backend
		Dir     string
		Key     string
		Timeout time.Duration
	}
}

type reply struct {
	Value  string
	Keys   []string
	Report keyring.Report
	Kinds  []string // the sentinels that the error wraps
	Error  string
}

var kinds = map[string]error{
	"not found": keyring.ErrNotFound, "locked": keyring.ErrLocked, "unavailable": keyring.ErrUnavailable,
	"corrupt": keyring.ErrCorrupt, "too large": keyring.ErrTooLarge, "timeout": keyring.ErrTimeout,
}

func drive(in io.Reader, out io.Writer) {
	ctx := context.Background()
	var r keyring.Ring
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q request
		if requests.Decode(&q) != nil {
			return
		}
		var a reply
		var value secret.Value
		var err error
		switch q.Op {
		case "open":
			r, err = keyring.Open(ctx, keyring.Config{Backend: q.Config.Backend, Dir: q.Config.Dir, Passphrase: secret.New(q.Config.Key), Timeout: q.Config.Timeout})
		case "get":
			value, err = r.Get(ctx, q.Key)
		case "fresh":
			value, err = r.Fresh(ctx, q.Key)
		case "put":
			err = r.Put(ctx, q.Key, secret.New(q.Value))
		case "fill": // put for ever, for those who come with a kill
			for i := 0; err == nil; i++ {
				err = r.Put(ctx, q.Key, secret.New(strings.Repeat(fmt.Sprintf("%04d", i%10000), 500)))
			}
		case "delete":
			err = r.Delete(ctx, q.Key)
		case "list":
			a.Keys, err = r.List(ctx, q.Key)
		case "probe":
			a.Report = r.Probe(ctx)
		case "crowd":
			err = crowd(ctx, r)
		case "foreign":
			value, err = keyring.Foreign(ctx, q.Key, q.Config.Timeout)
		}
		a.Value = value.Reveal()
		if err != nil {
			a.Error = err.Error()
			for kind, e := range kinds {
				if errors.Is(err, e) {
					a.Kinds = append(a.Kinds, kind)
				}
			}
		}
		if replies.Encode(a) != nil {
			return
		}
	}
}

// crowd has eight goroutines use one ring at once.
func crowd(ctx context.Context, r keyring.Ring) error {
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			key, word := fmt.Sprintf("crowd-%d", i), strings.Repeat(fmt.Sprint(i), 900)
			for range 5 {
				if errs[i] = r.Put(ctx, key, secret.New(word)); errs[i] != nil {
					return
				}
				got, err := r.Fresh(ctx, key)
				if err != nil || got.Reveal() != word {
					errs[i] = fmt.Errorf("read another one's secret, or %w", err)
					return
				}
				if _, errs[i] = r.List(ctx, "crowd-"); errs[i] != nil {
					return
				}
			}
			errs[i] = r.Delete(ctx, key)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// driver is such a copy.
type driver struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startDriver starts one with these variables over the environment.
func startDriver(t *testing.T, env ...string) *driver {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), driverVar+"=1"), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &driver{t: t, cmd: cmd, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() != -1 { // -1: we killed it
			t.Errorf("the copy of the test program: %v (66 is a data race)", err)
		}
	})
	return d
}

func (d *driver) send(q request) {
	d.t.Helper()
	if err := json.NewEncoder(d.in).Encode(q); err != nil {
		d.t.Fatal(err)
	}
}

func (d *driver) ask(q request) reply {
	d.t.Helper()
	d.send(q)
	line, err := d.out.ReadBytes('\n')
	if err != nil {
		d.t.Fatalf("%s: no answer: %v", q.Op, err)
	}
	var a reply
	if err := json.Unmarshal(line, &a); err != nil {
		d.t.Fatal(err)
	}
	return a
}

func (d *driver) do(op, key, value string) reply {
	d.t.Helper()
	return d.ask(request{Op: op, Key: key, Value: value})
}

func (d *driver) open(backend keyring.Backend, limit time.Duration) reply {
	d.t.Helper()
	q := request{Op: "open"}
	q.Config.Backend, q.Config.Timeout = backend, limit
	return d.ask(q)
}

// ok fails the test unless a is an answer without error.
func (d *driver) ok(a reply) reply {
	d.t.Helper()
	if a.Error != "" {
		d.t.Fatal(a.Error)
	}
	return a
}

// refused fails the test unless a is an error of this kind and no other, which
// says these words.
func (d *driver) refused(a reply, kind string, words ...string) {
	d.t.Helper()
	if !slices.Equal(a.Kinds, []string{kind}) {
		d.t.Fatalf("got %v %q, want an error of kind %q", a.Kinds, a.Error, kind)
	}
	for _, w := range words {
		if !strings.Contains(a.Error, w) {
			d.t.Errorf("the error %q does not say %q", a.Error, w)
		}
	}
}

// programs skips the test where one of them is not installed, unless the
// environment says that all are.
func programs(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
			t.Fatalf("the program %s is not installed", name)
		}
		t.Skipf("needs the program %s: this test is about the real one", name)
	}
}
