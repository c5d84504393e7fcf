//go:build unix

package main

import (
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

// struck starts a command, sends it a signal once the server is at work for
// it, and lets the server finish then.
func (s *setUp) struck(server *duplicatitest.Server, cmd *exec.Cmd, signal syscall.Signal) (text string, code int) {
	s.t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	begun := server.Count("POST", "/api/v1/backup/") + server.Count("DELETE", "/api/v1/backup/")
	for end := time.Now().Add(30 * time.Second); server.Count("POST", "/api/v1/backup/")+server.Count("DELETE", "/api/v1/backup/") == begun; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("the server was never asked:\n%s", &out)
		}
	}
	if err := cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	_ = cmd.Wait() // the code says it
	return out.String(), cmd.ProcessState.ExitCode()
}

// A terminal that is closed, or a connection that breaks, is an interrupt like
// Ctrl-C and no kill: what was begun is recorded, and what was agreed to is
// waited for.
func TestAClosedTerminalLosesNothing(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			s := newSetUp(t)
			server := s.serve(duplicatitest.Options{TaskTime: 2 * time.Second})
			server.AddBackup(duplicatitest.Backup{Name: "Photos"})
			server.AddBackup(duplicatitest.Backup{Name: "Mail"})
			if text, code := s.run("login"); code != 0 {
				t.Fatalf("exit code %d: %s", code, text)
			}
			text, code := s.struck(server, s.command("run", "Photos", "--wait"), signal)
			if code != 130 || !strings.Contains(text, "goes on there") {
				t.Errorf("run: exit code %d\n%s", code, text)
			}
			text, code = s.struck(server, s.command("delete", "Mail", "--yes"), signal)
			if code != 0 || !strings.Contains(text, "Mail is deleted") {
				t.Errorf("delete: exit code %d\n%s", code, text)
			}
			log, _ := s.run("audit", "--event", "outcome")
			for _, want := range []string{"canceled", "done"} {
				if !strings.Contains(log, want) {
					t.Errorf("no outcome %q in\n%s", want, log)
				}
			}
		})
	}
}

func TestWhatNohupHasTurnedOffStaysOff(t *testing.T) {
	for _, c := range []struct {
		how    string
		signal syscall.Signal
	}{{"trap '' HUP", syscall.SIGHUP}, {"trap '' INT", syscall.SIGINT}} {
		t.Run(c.how, func(t *testing.T) {
			t.Parallel()
			s := newSetUp(t)
			server := s.serve(duplicatitest.Options{TaskTime: time.Second})
			server.AddBackup(duplicatitest.Backup{Name: "Photos"})
			cmd := s.command()
			cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", c.how + "; exec duplibot run Photos --wait"}
			text, code := s.struck(server, cmd, c.signal)
			if code != 0 || !strings.Contains(text, "Photos succeeded") {
				t.Errorf("exit code %d\n%s", code, text)
			}
		})
	}
}
