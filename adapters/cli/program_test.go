//go:build unix

package cli_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/cli"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// programVariable makes of TestTheProgram a program of its own: "usual" for
// the usual people, "solo" for one, "shell" for the prompt.
const programVariable = "DUPLIBOT_CLI_TEST_PROGRAM"

// TestTheProgram is no test: the tests below start it, as a shell does.
func TestTheProgram(t *testing.T) {
	kind := os.Getenv(programVariable)
	if kind == "" {
		return
	}
	people := toolstest.Usual
	if kind == "solo" {
		people = toolstest.Solo
	}
	gate := toolstest.New(t, toolstest.WithPeople(people))
	gate.World.Before = func(ctx context.Context, operation string) error {
		switch operation {
		case "start": // goes on until it is interrupted
			if os.Getenv("HOLD") != "" {
				os.Stderr.WriteString("holding\n")
				<-ctx.Done()
				return ctx.Err()
			}
		case "destroy":
			if os.Getenv("HOLD") != "" {
				os.Stderr.WriteString("holding\n")
				time.Sleep(2 * time.Second)
			}
		}
		return nil
	}
	if name := os.Getenv("RENAME"); name != "" {
		gate.World.Change("nas", "1", func(t *toolstest.Thing) { t.Name = name })
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	app := cli.OS()
	app.Name, app.Version, app.Registry = "duplibot", "1.0", gate.Registry
	app.Poll = 20 * time.Millisecond
	app.Connect = func(context.Context, cli.Globals) (*cli.Link, error) {
		return &cli.Link{Door: gate.Runner, Decisions: gate.Desk, Caller: toolstest.AnnAtTerminal}, nil
	}
	if kind == "shell" {
		shell := cli.Shell{App: app, People: []string{"ann", "bob"}, Hello: []string{"hello"}, As: func(name string) (tools.Caller, error) {
			return map[string]tools.Caller{"ann": toolstest.AnnAtTerminal, "bob": toolstest.BobAtTerminal}[name], nil
		}}
		os.Exit(shell.Run(ctx))
	}
	os.Exit(app.Run(ctx, flag.Args()))
}

// program writes a program duplibot of the given kind into a folder for PATH.
func program(t *testing.T, kind string, env ...string) (path string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path = filepath.Join(dir, "duplibot")
	script := "#!/bin/sh\n" + programVariable + "=" + kind + " TMPDIR='" + t.TempDir() + "' " + strings.Join(env, " ") +
		" exec '" + self + "' -test.run='^TestTheProgram$' -- \"$@\"\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// needs skips a test that needs a part that is not installed here.
func needs(t *testing.T, part string) string {
	t.Helper()
	path, err := exec.LookPath(part)
	if err != nil {
		lacks(t, part)
	}
	return path
}

// lacks skips a test, and fails it where nothing may be skipped.
func lacks(t *testing.T, part string) {
	t.Helper()
	if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
		t.Fatalf("%s is required and not installed", part)
	}
	t.Skipf("%s is not installed", part)
}

// ended is the exit code of cmd, or 128 and the signal that ended it.
func ended(cmd *exec.Cmd) int {
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return cmd.ProcessState.ExitCode()
}

// sh runs a line of sh.
func sh(t *testing.T, line string, env ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), ended(cmd)
}

func TestStreamsThatAreClosedOrFullAreNoReasonToHangOrToLoseAnything(t *testing.T) {
	duplibot := program(t, "solo")
	for _, c := range []struct {
		name, line string
		code       int
		want       []string
	}{
		{"stdin is closed", duplibot + " destroy Photos <&-", 5, []string{"nobody can be asked here"}},
		{"stdin is closed and --yes stands there", duplibot + " destroy Photos --yes <&-", 0, []string{"destroyed Photos"}},
		{"stdin is empty", duplibot + " destroy Photos </dev/null", 5, []string{"nobody can be asked here"}},
		{"a secret is needed and nobody can type it", duplibot + " set-word Photos </dev/null", 2, []string{"cannot be typed here"}},
		{"stdout is closed", duplibot + " list-things >&-", 0, nil},
		{"stdout is full", duplibot + " list-things >/dev/full", 1, []string{"the answer could not be written: no space left on device"}},
		{"stdout is full and an error is told", duplibot + " start Fotos --json >/dev/full", 2, []string{"the answer could not be written"}},
		{"stderr is closed", duplibot + " start Photos 2>&-", 0, []string{"started Photos"}},
		{"the reader of the list leaves", "{ " + duplibot + " list-things; echo code $? >&2; } | true", 0, []string{"code 0"}},
		{"the reader of notes and answers leaves", "{ " + duplibot + " start Photos 2>&1; echo code $? >&3; } 3>&2 | true", 0, []string{"code 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.Contains(c.line, "/dev/full") {
				if _, err := os.Stat("/dev/full"); err != nil {
					lacks(t, "/dev/full")
				}
			}
			stdout, stderr, code := sh(t, c.line)
			if code != c.code {
				t.Errorf("exits %d, want %d", code, c.code)
			}
			wants(t, stdout+stderr, c.want...)
		})
	}
}

// What is kept for the caller is written though nobody reads stdout.
func TestAPipeThatBreaksLosesNothingThatWasMade(t *testing.T) {
	duplibot, dir := program(t, "solo"), t.TempDir()
	_, stderr, _ := sh(t, "cd "+dir+"; { "+duplibot+" make-token --yes --folder out; echo code $? >&2; } | true")
	wants(t, stderr, "code 0")
	content, err := os.ReadFile(filepath.Join(dir, "out", "nas-token.txt"))
	if err != nil || !strings.HasPrefix(string(content), "generated-canary") {
		t.Errorf("%q, %v", content, err)
	}
}

// interrupted starts a command that holds, and strikes it n times.
func interrupted(t *testing.T, n int, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(program(t, "solo", "HOLD=1"), args...)
	var out safeBuffer
	var errs safeBuffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return strings.Contains(errs.String(), "holding") })
	for i := range n {
		if i > 0 {
			until(t, func() bool { return strings.Contains(errs.String(), "once more ends this program") })
		}
		cmd.Process.Signal(os.Interrupt)
	}
	cmd.Wait()
	return out.String(), errs.String(), ended(cmd)
}

func until(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come about")
		}
	}
}

func TestAnInterruptEndsTheProgramAndSaysWhatGoesOn(t *testing.T) {
	_, stderr, code := interrupted(t, 1, "start", "Photos")
	if code != cli.ExitInterrupted {
		t.Errorf("exits %d", code)
	}
	wants(t, stderr, "duplibot: note: interrupted; what was begun at the server goes on there")

	stdout, _, code := interrupted(t, 1, "start", "Photos", "--json")
	if code != cli.ExitInterrupted || !strings.Contains(stdout, `"ExitCode": 130`) || strings.Count(stdout, `"Command"`) != 1 {
		t.Errorf("exits %d and prints\n%s", code, stdout)
	}
}

func TestWhatWasAgreedToIsWaitedForAndASecondInterruptEnds(t *testing.T) {
	stdout, stderr, code := interrupted(t, 1, "destroy", "Photos", "--yes")
	if code != 0 {
		t.Errorf("exits %d", code)
	}
	wants(t, stderr+stdout, "it was agreed to and is being done", "destroyed Photos")
	if _, stderr, code := interrupted(t, 2, "destroy", "Photos", "--yes"); code != 128+int(syscall.SIGINT) {
		t.Errorf("exits %d\n%s", code, stderr)
	}
}
