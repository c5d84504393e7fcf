package cli_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/cli"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// prompt runs the lines at a prompt for ann and bob on a pipe, and returns
// what is shown of both streams.
func prompt(t *testing.T, term *terminal, lines ...string) (shown string, code int) {
	t.Helper()
	both := &safeBuffer{}
	term.app.Stdin, term.app.Stdout, term.app.Stderr = strings.NewReader(strings.Join(lines, "\n")), both, both
	shell := cli.Shell{App: term.app, People: []string{"ann", "bob"}, Hello: []string{"hello"}, As: func(name string) (tools.Caller, error) {
		return map[string]tools.Caller{"ann": toolstest.AnnAtTerminal, "bob": toolstest.BobAtTerminal}[name], nil
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	code = shell.Run(ctx)
	return both.String(), code
}

func TestThePromptOnAPipeReadsLikeASession(t *testing.T) {
	term := script(t)
	term.app.Mark = "simulated"
	text, code := prompt(t, term,
		"list-things", "", "   ", "# a note", "/duplicati start Mail", "destroy Photos --reason 'it is old'", "approvals", "as nobody", "as", "as BOB", "approvals --json",
		"list-thing", "\"never closed", "‘Photos’", "start “Photos”", "rm -rf /; $(reboot) `x` | cat", "\x1b[31mred\x07", "help as", "help exit", "help destroy", "exit", "list-things")
	golden(t, "prompt", text)
	if code != 0 {
		t.Errorf("exits %d", code)
	}
	term.did("start nas 2", "start nas 1")
}

func TestBobAgreesOnTheSamePipeAndAnnIsRefused(t *testing.T) {
	term := script(t)
	text, _ := prompt(t, term, "destroy Photos")
	id := requestID.FindString(text)
	text, code := prompt(t, term, "approve "+id, "as bob", "approve "+id, "photos", "Photos", "as ann", "approval "+id, "approvals --all")
	wants(t, text,
		"ann> approve "+id+"\nerror: you asked for this yourself; another person must agree; the request still waits",
		"nothing to leave it: photos\nnote: that is not it",
		"nothing to leave it: Photos\ndestroyed Photos", "bob> as ann", "done")
	term.did("destroy nas 1")
	if code != 0 {
		t.Errorf("exits %d", code)
	}
}

func TestThePromptEndsWithItsLinesAndWithItsReader(t *testing.T) {
	term := script(t)
	if text, code := prompt(t, term, "start Fotos"); code != 2 || !strings.HasSuffix(text, "ann> \n") {
		t.Errorf("exits %d: %q", code, text)
	}
	r, w := io.Pipe()
	r.Close()
	term.app.Stdin, term.app.Stdout = endless{}, w // nobody reads
	done := make(chan int, 1)
	shell := cli.Shell{App: term.app, People: []string{"ann"}, Hello: []string{"hello"}, As: func(string) (tools.Caller, error) { return toolstest.AnnAtTerminal, nil }}
	go func() { done <- shell.Run(context.Background()) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on for nobody")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, "list-things\n"), nil }

func TestAPromptThatIsInterruptedEnds(t *testing.T) {
	term := script(t)
	r, w := io.Pipe()
	defer w.Close()
	term.app.Stdin = r
	shell := cli.Shell{App: term.app, People: []string{"ann"}, As: func(string) (tools.Caller, error) { return toolstest.AnnAtTerminal, nil }}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	if code := shell.Run(ctx); code != cli.ExitInterrupted {
		t.Errorf("exits %d", code)
	}
}
