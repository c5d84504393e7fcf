package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/duplibot/duplibot/tools"
)

// Shell reads the same lines as a terminal or a slash command, one after the
// other, for one of several people. It works on a pipe too, where the lines
// that follow answer its questions.
//
// At a terminal Ctrl-C interrupts the command that runs and not the shell.
type Shell struct {
	App    *App
	People []string // the first one begins
	// As finds who somebody is, for the calls that follow.
	As    func(name string) (tools.Caller, error)
	Hello []string // lines to begin with

	app    App
	who    string
	code   int            // of the last command
	left   bool           // somebody said so
	struck chan os.Signal // Ctrl-C at a terminal
}

// Run reads until the lines end, or one says so, and returns the exit code of
// the last command.
func (s *Shell) Run(ctx context.Context) int {
	s.app, s.who = *s.App, s.People[0]
	s.app.prepare()
	s.app.dialogue = true
	if s.app.Terminal.edit != nil {
		s.app.editor = s.app.Terminal.edit()
	}
	s.app.Connect = s.connect
	s.app.Commands = append(s.commands(), s.App.Commands...)
	r := s.app.newRun(commandLine{})
	for _, line := range s.Hello {
		r.print(line)
	}
	if s.app.Terminal.In {
		// From here on Ctrl-C is for the commands, and no longer for the program.
		signal.Reset(os.Interrupt)
		s.struck = make(chan os.Signal, 1)
		signal.Notify(s.struck, os.Interrupt)
		defer signal.Stop(s.struck)
	}
	again := false
	for ctx.Err() == nil && r.out.err == nil && !s.left {
		line, err := s.app.readLine(ctx, typing{prompt: s.who + "> ", keep: true, tab: func(line string) (int, []string) { return s.tab(ctx, line) }})
		switch {
		case errors.Is(err, errInterrupted) && !again:
			r.note("exit leaves, and so does Ctrl-C once more")
			again = true
			continue
		case errors.Is(err, errInterrupted), errors.Is(err, io.EOF):
			return s.code
		case err != nil && ctx.Err() != nil:
			return ExitInterrupted
		case err != nil:
			return r.Fail(err)
		}
		again = false
		s.line(ctx, r, line)
	}
	return s.code
}

// commands are those of the prompt itself.
func (s *Shell) commands() []Command {
	return []Command{
		{Name: "as", Usage: "NAME", Group: "prompt", Summary: "Go on as " + strings.Join(s.People, " or "), Run: s.as},
		{Name: "exit", Group: "prompt", Summary: "Leave", Run: func(context.Context, *Run) int { s.left = true; return s.code }},
	}
}

// connect is the program's way to the gate, as who is at the prompt.
func (s *Shell) connect(ctx context.Context, g Globals) (*Link, error) {
	link, err := s.App.Connect(ctx, g)
	if err != nil {
		return nil, err
	}
	as := *link
	as.Caller, err = s.As(s.who)
	return &as, err
}

// line does what one line says.
func (s *Shell) line(ctx context.Context, r *Run, line string) {
	words, err := tools.Split(line)
	if len(words) > 0 && (words[0] == "/duplicati" || words[0] == s.app.Name) {
		if words = words[1:]; len(words) == 0 {
			words = []string{"help"}
		}
	}
	switch {
	case err != nil:
		s.code = r.Usage(err)
	case len(words) == 0 || strings.HasPrefix(words[0], "#"):
	case words[0] == "quit":
		s.left = true
	default:
		s.code = s.command(ctx, words)
	}
}

// command runs one command, which Ctrl-C interrupts. Once more, and the
// program ends.
func (s *Shell) command(ctx context.Context, words []string) int {
	if s.struck == nil {
		return s.app.Run(ctx, words)
	}
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	select {
	case <-s.struck: // came before
	default:
	}
	go func() {
		defer close(watched)
		select {
		case <-s.struck:
			signal.Stop(s.struck)
			cancel()
		case <-ctx.Done():
		}
	}()
	defer func() {
		cancel()
		<-watched
		signal.Notify(s.struck, os.Interrupt)
	}()
	return s.app.Run(ctx, words)
}

// as goes on as somebody else.
func (s *Shell) as(_ context.Context, r *Run) int {
	if len(r.Args) == 1 {
		for _, name := range s.People {
			if strings.EqualFold(name, r.Args[0]) {
				s.who = name
				return r.finish(envelope{Status: "done"}, ExitDone)
			}
		}
	}
	return r.Usage(tools.Errorf(tools.NotFound, "as takes the name of a person; you are still %s", s.who).
		WithHint("there are %s", strings.Join(s.People, " and ")))
}

// tab completes a line up to the cursor.
func (s *Shell) tab(ctx context.Context, line string) (begin int, list []string) {
	words, current, begin := partial(line)
	ctx, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	r := s.app.newRun(commandLine{})
	found := r.at(ctx, words, current)
	r.close()
	if len(words) == 1 && words[0] == "as" {
		for _, name := range s.People {
			found.list = append(found.list, tools.Choice{Value: name})
		}
	}
	for _, c := range found.list {
		if strings.HasPrefix(c.Value, current) && c.Value == clean(c.Value) {
			list = append(list, shellWord(c.Value))
		}
	}
	return begin, list
}

// partial takes a line that is still typed apart: the words that are whole,
// and the one that is being typed with the place where it begins.
func partial(line string) (words []string, current string, begin int) {
	whole, err := tools.Split(line)
	for _, quote := range []string{`"`, `'`} {
		if err != nil {
			whole, err = tools.Split(line + quote)
		}
	}
	last, _ := utf8.DecodeLastRuneInString(line)
	if err != nil || len(whole) == 0 || unicode.IsSpace(last) && wholeLine(line) {
		return whole, "", len(line)
	}
	words, current = whole[:len(whole)-1], whole[len(whole)-1]
	for begin = len(line); begin > 0; begin-- {
		if before, err := tools.Split(line[:begin]); err == nil && len(before) == len(words) {
			break
		}
	}
	for begin < len(line) && line[begin] == ' ' {
		begin++
	}
	return words, current, begin
}

func wholeLine(line string) bool {
	_, err := tools.Split(line)
	return err == nil
}
