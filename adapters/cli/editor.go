package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// errInterrupted is Ctrl-C while a line is typed: nothing has begun by it.
var errInterrupted = errors.Join(errors.New("interrupted while a line was typed"), context.Canceled)

// editor reads lines at a real terminal, with history, the arrow keys and
// completion by Tab. The terminal is in raw mode only meanwhile.
type editor struct {
	in, out *os.File
	line    *term.Terminal
	past    history
	struck  bool // Ctrl-C came in
	mute    bool // what is typed is a secret
}

func newEditor(in, out *os.File) *editor {
	e := &editor{in: in, out: out}
	e.renew()
	return e
}

// renew forgets a line that was left in the middle.
func (e *editor) renew() {
	e.line = term.NewTerminal(e, "")
	e.line.History = &e.past
	e.struck = false
}

func (e *editor) Read(p []byte) (int, error) {
	n, err := e.in.Read(p)
	e.struck = e.struck || bytes.IndexByte(p[:n], 3) >= 0
	return n, err
}

func (e *editor) Write(p []byte) (int, error) {
	if e.mute {
		return len(p), nil
	}
	return e.out.Write(p)
}

// typing is how a line is to be read.
type typing struct {
	prompt string
	keep   bool // in the history
	secret bool
	// tab offers what can stand at the end of a line, and says where in it
	// that would begin.
	tab func(line string) (begin int, choices []string)
}

// read returns io.EOF for Ctrl-D, and errInterrupted for Ctrl-C.
func (e *editor) read(ctx context.Context, t typing) (string, error) {
	before, err := term.MakeRaw(int(e.in.Fd()))
	if err != nil {
		return "", err
	}
	defer func() { _ = term.Restore(int(e.in.Fd()), before) }()
	if w, h, err := term.GetSize(int(e.out.Fd())); err == nil && w > 0 {
		if err := e.line.SetSize(w, h); err != nil {
			return "", err
		}
	}
	e.line.SetPrompt(t.prompt)
	e.mute, e.past.off = t.secret, !t.keep
	e.line.AutoCompleteCallback = e.completer(t.tab)
	done := make(chan read, 1)
	go func() {
		if t.secret {
			line, err := e.line.ReadPassword("")
			done <- read{line, err}
			return
		}
		line, err := e.line.ReadLine()
		done <- read{line, err}
	}()
	select {
	case got := <-done:
		e.mute = false
		if got.err == nil {
			return got.line, nil
		}
		struck := e.struck
		e.renew()
		write(e.out, "\r\n")
		if struck {
			return "", errInterrupted
		}
		return "", got.err
	case <-ctx.Done(): // the program ends; the reader cannot be woken
		return "", ctx.Err()
	}
}

// completer inserts what is certain, and lists what is not.
func (e *editor) completer(tab func(string) (int, []string)) func(string, int, rune) (string, int, bool) {
	if tab == nil {
		return nil
	}
	return func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		begin, choices := tab(line[:pos])
		if len(choices) == 0 {
			return line, pos, true
		}
		sure := choices[0]
		for _, c := range choices {
			for !strings.HasPrefix(c, sure) {
				_, last := utf8.DecodeLastRuneInString(sure)
				sure = sure[:len(sure)-last]
			}
		}
		switch typed := line[begin:pos]; {
		case len(choices) == 1:
			sure += " "
		case len(sure) <= len(typed):
			io.WriteString(e.line, strings.Join(choices, "  ")+"\n")
			return line, pos, true
		}
		return line[:begin] + sure + line[pos:], begin + len(sure), true
	}
}

// history is what was typed at the prompt, the newest first. Answers to
// questions are not kept.
type history struct {
	lines []string
	off   bool
}

// historyLines is how many lines are kept.
const historyLines = 100

func (h *history) Add(line string) {
	if h.off || strings.TrimSpace(line) == "" || len(h.lines) > 0 && h.lines[0] == line {
		return
	}
	h.lines = append([]string{line}, h.lines[:min(len(h.lines), historyLines-1)]...)
}

func (h *history) Len() int        { return len(h.lines) }
func (h *history) At(i int) string { return h.lines[i] }
