package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// Terminal says which of the streams are one.
type Terminal struct {
	In, Out, Err bool
	Width        func() int // in columns; 0 is unknown
	// ReadSecret reads a line without echo and leaves the terminal as it was,
	// when ctx ends too.
	ReadSecret func(ctx context.Context) (string, error)

	edit func() *editor // for a dialogue; nil where lines cannot be edited
}

// OS is the program at the streams of this process.
func OS() *App {
	dir, err := os.Getwd()
	if err != nil {
		dir = string(os.PathSeparator)
	}
	// A pipe that its reader has closed is an error of the write and not the
	// end of the program, which may be in the middle of something.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	is := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	a := &App{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Dir: dir, Env: os.Getenv,
		Terminal: Terminal{
			In: is(os.Stdin), Out: is(os.Stdout), Err: is(os.Stderr),
			Width: func() int {
				for _, f := range []*os.File{os.Stdout, os.Stderr} {
					if w, _, err := term.GetSize(int(f.Fd())); err == nil {
						return w
					}
				}
				return 0
			},
			ReadSecret: func(ctx context.Context) (string, error) { return readSecret(ctx, int(os.Stdin.Fd())) },
		},
	}
	if a.Terminal.In && a.Terminal.Err && os.Getenv("TERM") != "dumb" {
		a.Terminal.edit = func() *editor { return newEditor(os.Stdin, os.Stderr) }
	}
	return a
}

// readSecret gives the terminal its echo back when ctx ends before the line
// does; the reader itself cannot be woken.
func readSecret(ctx context.Context, fd int) (string, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type read struct {
		line []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		done <- read{line, err}
	}()
	select {
	case got := <-done:
		return string(got.line), got.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}

// lines reads lines for as long as somebody waits for them.
type lines struct {
	from    *bufio.Reader
	pending chan read // a read that nobody waits for any more
}

type read struct {
	line string
	err  error
}

func newLines(r io.Reader) *lines { return &lines{from: bufio.NewReader(r)} }

// next returns the next line without its end. A line that was begun when ctx
// ended is the next one's.
func (l *lines) next(ctx context.Context) (string, error) {
	if l.pending == nil {
		ch := make(chan read, 1)
		l.pending = ch
		go func() {
			line, err := l.from.ReadString('\n')
			if err == io.EOF && line != "" {
				err = nil
			}
			ch <- read{strings.TrimRight(line, "\r\n"), err}
		}()
	}
	select {
	case got := <-l.pending:
		l.pending = nil
		return got.line, got.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// canAsk reports whether somebody is there to answer.
func (r *Run) canAsk() bool {
	return (r.app.Terminal.In || r.app.dialogue) && !r.Globals.Completing
}

// readLine reads a line. What comes over a pipe is shown as if it were typed.
func (a *App) readLine(ctx context.Context, t typing) (string, error) {
	if a.editor != nil {
		return a.editor.read(ctx, t)
	}
	write(a.Stderr, t.prompt)
	line, err := a.in.next(ctx)
	switch {
	case err != nil:
		write(a.Stderr, "\n")
	case !a.Terminal.In:
		write(a.Stderr, clean(line)+"\n")
	}
	return line, err
}

// ask puts a question and reads the answer.
func (r *Run) ask(ctx context.Context, question string) (string, error) {
	return r.app.readLine(ctx, typing{prompt: question})
}

// yes asks a question that is answered by yes or no; anything else is no.
func (r *Run) yes(ctx context.Context, question string) (bool, error) {
	answer, err := r.ask(ctx, question+" [y/N] ")
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", err
}

// askSecret has a secret typed without echo.
func (r *Run) askSecret(ctx context.Context, what string) (secret.Value, error) {
	if !r.app.Terminal.In || r.app.Terminal.ReadSecret == nil || r.Globals.Completing {
		return secret.Value{}, tools.Errorf(tools.SecretNeeded, "the %s cannot be typed here, as this is no terminal; nothing was done", what).
			WithHint("refer to it: env:NAME, file:PATH, keyring:ITEM, credential:NAME or pass:ENTRY")
	}
	write(r.app.Stderr, strings.ToUpper(what[:1])+what[1:]+": ")
	var word string
	var err error
	if r.app.editor != nil {
		word, err = r.app.editor.read(ctx, typing{secret: true})
	} else {
		word, err = r.app.Terminal.ReadSecret(ctx)
	}
	write(r.app.Stderr, "\n")
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, errInterrupted) {
			err = tools.Errorf(tools.Canceled, "nothing was typed; nothing was done")
		}
		return secret.Value{}, err
	}
	if word == "" {
		return secret.Value{}, tools.Errorf(tools.SecretNeeded, "the %s is empty; nothing was done", what)
	}
	return secret.New(word), nil
}
