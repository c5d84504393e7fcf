package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// console is a program at a terminal of the kernel's, as a person has it.
type console struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	shown  safeBuffer
	seen   int // how much of shown was waited for
	closed chan struct{}
}

func newConsole(t *testing.T, kind string, args ...string) *console {
	t.Helper()
	return startConsole(t, exec.Command(program(t, kind, "TERM=xterm", "HOLD="+os.Getenv("HOLD")), args...))
}

// startConsole starts any program at a terminal.
func startConsole(t *testing.T, cmd *exec.Cmd) *console {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	must(err)
	must(unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	must(err)
	must(unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}))
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	must(err)
	c := &console{t: t, master: master, cmd: cmd, closed: make(chan struct{})}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = slave, slave, slave
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(c.cmd.Start())
	slave.Close()
	go func() {
		defer close(c.closed)
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			c.shown.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		c.cmd.Process.Kill()
		c.cmd.Wait()
		<-c.closed
		master.Close()
	})
	return c
}

// see waits until the words are shown, behind what was seen before.
func (c *console) see(words ...string) {
	c.t.Helper()
	for _, w := range words {
		end := time.Now().Add(30 * time.Second)
		for {
			text := c.shown.String()
			if at := strings.Index(text[c.seen:], w); at >= 0 {
				c.seen += at + len(w)
				break
			}
			if time.Now().After(end) {
				c.t.Fatalf("%q is not shown in\n%q", w, text[c.seen:])
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
}

func (c *console) keys(text string) {
	c.t.Helper()
	if _, err := c.master.WriteString(text); err != nil {
		c.t.Fatal(err)
	}
}

// echoes reports whether the terminal shows what is typed.
func (c *console) echoes() bool {
	state, err := unix.IoctlGetTermios(int(c.master.Fd()), unix.TCGETS)
	if err != nil {
		c.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// ends waits for the end and checks exit code and echo.
func (c *console) ends(code int) {
	c.t.Helper()
	c.cmd.Wait()
	if got := ended(c.cmd); got != code {
		c.t.Errorf("exits %d, want %d\n%q", got, code, c.shown.String())
	}
	if !c.echoes() {
		c.t.Error("the terminal is left without echo")
	}
}

const enter = "\r"

func TestAtARealTerminalTheWorstIsTyped(t *testing.T) {
	c := newConsole(t, "solo", "destroy", "Photos")
	c.see(`destroy: thing "Photos" (1) on nas`, "Type  ", "to do it, nothing to leave it: ")
	c.keys("photos" + enter)
	c.see("that is not it", "nothing to leave it: ")
	c.keys("Photos" + enter)
	c.see("destroyed Photos")
	c.ends(0)
}

func TestAtARealTerminalCtrlCAndCtrlDLeaveAQuestion(t *testing.T) {
	c := newConsole(t, "solo", "destroy", "Photos")
	c.see("nothing to leave it: ")
	c.keys("\x03")
	c.see("interrupted; nothing was done")
	c.ends(130)

	c = newConsole(t, "solo", "destroy", "Photos")
	c.see("nothing to leave it: ")
	c.keys("\x04")
	c.see("not confirmed; nothing was done")
	c.ends(2)
}

func TestAtARealTerminalASecretIsNotShownAndCtrlCBringsTheEchoBack(t *testing.T) {
	c := newConsole(t, "solo", "set-word", "Photos")
	c.see("Word: ")
	until(t, func() bool { return !c.echoes() })
	c.keys("typed-canary" + enter)
	c.see("Do it? [y/N] ")
	c.keys("y" + enter)
	c.see("set the word of Photos")
	c.ends(0)
	if strings.Contains(c.shown.String(), "canary") {
		t.Errorf("it is shown: %q", c.shown.String())
	}

	c = newConsole(t, "solo", "set-word", "Photos")
	c.see("Word: ")
	until(t, func() bool { return !c.echoes() })
	c.keys("typed-\x03")
	c.see("interrupted; nothing was done")
	c.ends(130)
}

func TestAtARealTerminalProgressIsOneLineThatIsTakenAway(t *testing.T) {
	c := newConsole(t, "solo", "start", "Photos")
	c.see("\r[########################] 100%  step 5 of 5", "\r", "started Photos", "next: duplibot list-things")
	c.ends(0)
}

// The two minutes of a newcomer, by hand.
func TestThePromptForTwoPeopleAtARealTerminal(t *testing.T) {
	c := newConsole(t, "shell")
	c.see("hello", "ann> ")
	c.keys("list-th\t" + enter) // Tab completes it
	c.see("list-things ", "3 things", "Photos", "ann> ")
	c.keys("start 'Ph\t" + enter)
	c.see("started Photos", "ann> ")
	c.keys("destroy Photos" + enter)
	c.see("waits for agreement", "it runs once they agree", "ann> ")
	c.keys("\x1b[A" + enter) // the same line again, from the history
	c.see("destroy Photos", "waits for agreement", "ann> ")
	c.keys("approve \t" + enter)
	c.see("you asked for this yourself", "ann> ")
	c.keys("as nobody" + enter)
	c.see("as takes the name of a person; you are still ann", "there are ann and bob", "ann> ")
	c.keys("as b\t" + enter)
	c.see("bob> ")
	c.keys("approve \t" + enter)
	c.see("asked by ann", "nothing to leave it: ")
	c.keys("\x03") // leaves the question and not the prompt
	c.see("interrupted; the request still waits", "bob> ")
	c.keys("approve \t" + enter)
	c.see("nothing to leave it: ")
	c.keys("Photos" + enter)
	c.see("destroyed Photos", "bob> ")
	c.keys("\x03")
	c.see("exit leaves, and so does Ctrl-C once more", "bob> ")
	c.keys("\"open" + enter)
	c.see("a quote is opened and not closed", "bob> ")
	c.keys(enter + "   " + enter + "# nothing" + enter)
	c.see("bob> ", "bob> ", "bob> ")
	c.keys("\x1b[A" + enter) // the history has lines that say something
	c.see("# nothing", "bob> ")
	c.keys("exit" + enter)
	c.ends(1) // of the last command, the one with the open quote
}

func TestCtrlCAtThePromptEndsTheCommandAndNotThePrompt(t *testing.T) {
	t.Setenv("HOLD", "1")
	c := newConsole(t, "shell")
	c.see("ann> ")
	c.keys("start Photos" + enter)
	c.see("holding")
	c.keys("\x03")
	c.see("interrupted; what was begun at the server goes on there", "ann> ")
	c.keys("destroy Photos --wait-approval" + enter)
	c.see("waiting; interrupt it whenever you like")
	c.keys("\x03")
	c.see("the request still waits", "ann> ")
	c.keys("set-word Photos" + enter)
	c.see("Word: ")
	c.keys("typed-canary\x03")
	c.see("interrupted; nothing was done", "ann> ")
	c.keys("set-word Photos" + enter)
	c.see("Word: ")
	c.keys("typed-canary" + enter)
	c.see("waits for agreement", "ann> ")
	c.keys("\x04")
	c.ends(5)
	if strings.Contains(c.shown.String(), "canary") {
		t.Errorf("it is shown: %q", c.shown.String())
	}
}

func TestCompletionWorksInRealShells(t *testing.T) {
	duplibot := program(t, "usual", "RENAME='My photos'")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "things.json"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PATH="+filepath.Dir(duplibot)+":"+os.Getenv("PATH"), "HOME="+dir, "TERM=xterm", "PS1=ready> ", "PROMPT=ready> ", "ZDOTDIR="+dir)
	for _, shell := range []struct {
		name  string
		args  []string
		setup string
	}{
		{"bash", []string{"--norc", "--noprofile", "-i"}, "bind 'set enable-bracketed-paste off'; source <(duplibot completion bash)"},
		{"zsh", []string{"-f", "-i"}, "PROMPT='ready> '; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D; source <(duplibot completion zsh)"},
	} {
		t.Run(shell.name, func(t *testing.T) {
			cmd := exec.Command(needs(t, shell.name), shell.args...)
			cmd.Env, cmd.Dir = env, dir
			c := startConsole(t, cmd)
			c.keys(shell.setup + "; echo set''up" + enter)
			c.see("setup", "ready> ")
			for _, l := range []struct{ typed, want string }{
				{"list-t\t", "3 things"},
				{"start My\t", "started My photos"},
				{"start Ma\t --server n\t --no-c\t", "started Mail"},
				{"start Led\t", "has no thing"}, // is on another server
				{"start --server office Led\t", "started Ledger"},
				{"start --server=of\t Ledger", "started Ledger"},
				{"bring th\t", "waits for agreement"},
				{"set-word Ma\t --word photos-passphrase --rea\t because", "waits for agreement"},
				{"completion ba\t | grep -c compre''ply=; echo do''ne", "done"},
				{"hel\t list-th\t", "List the things."},
			} {
				c.keys("duplibot " + l.typed + enter)
				c.see(l.want, "ready> ")
			}
		})
	}
	t.Run("fish", func(t *testing.T) {
		fish := needs(t, "fish")
		for _, l := range []struct{ typed, want string }{
			{"duplibot list-t", "list-things\tList the things"},
			{"duplibot start M", "My photos\tMy photos (1)\nMail\tMail (2)"},
			{"duplibot start --server office L", "Ledger\tLedger (1)"},
			{"duplibot start --server=of", "--server=office\toffice"},
			{"duplibot start --no-c", "--no-color\tNo colours"},
			{"duplibot bring th", "things.json"},
			{"duplibot completion z", "zsh"},
		} {
			cmd := exec.Command(fish, "--no-config", "-c", "duplibot completion fish | source; complete -C '"+l.typed+"'")
			cmd.Env, cmd.Dir = env, dir
			out, err := cmd.CombinedOutput()
			got, want := strings.Split(strings.TrimSpace(string(out)), "\n"), strings.Split(l.want, "\n")
			slices.Sort(got)
			slices.Sort(want)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%q: %q, want %q, %v", l.typed, got, want, err)
			}
		}
	})
}
