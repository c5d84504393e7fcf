package cli

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/duplibot/duplibot/tools"
)

// Shell reads the same lines as a terminal or a slash command, one after the
// other, for one of several people. It works on a pipe too, where the lines
// that follow answer its questions.
type Shell struct {
	App    *App
	People []string // the first one begins
	// As finds who somebody is, for the calls that follow.
	As    func(name string) (tools.Caller, error)
	Hello []string // lines to begin with
}

// Run reads until the lines end, or one says so, and returns the exit code of
// the last command.
func (s *Shell) Run(ctx context.Context) int {
	a := *s.App
	a.prepare()
	a.dialogue = true
	connect := a.Connect
	who := s.People[0]
	a.Connect = func(ctx context.Context, g Globals) (*Link, error) {
		link, err := connect(ctx, g)
		if err != nil {
			return nil, err
		}
		as := *link
		if as.Caller, err = s.As(who); err != nil {
			return nil, err
		}
		return &as, nil
	}
	r := &Run{app: &a}
	for _, line := range s.Hello {
		r.print(line)
	}
	code := ExitDone
	for ctx.Err() == nil {
		line, err := r.ask(ctx, who+"> ")
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				return r.Fail(err)
			}
			return code
		}
		words, err := tools.Split(line)
		switch {
		case err != nil:
			code = r.Usage(err)
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
		case words[0] == "exit" || words[0] == "quit":
			return code
		case words[0] == "as":
			who, code = s.as(r, words, who)
		default:
			if words[0] == "/duplicati" || words[0] == a.Name {
				words = words[1:]
			}
			code = a.Run(ctx, words)
			if len(words) == 0 || words[0] == "help" && len(words) == 1 {
				r.print("  as NAME    go on as " + strings.Join(s.People, " or "))
				r.print("  exit       leave")
			}
		}
	}
	return code
}

// as switches the person.
func (s *Shell) as(r *Run, words []string, who string) (string, int) {
	if len(words) == 2 {
		for _, name := range s.People {
			if strings.EqualFold(name, words[1]) {
				return name, ExitDone
			}
		}
	}
	return who, r.Usage(tools.Errorf(tools.NotFound, "as takes the name of a person; you are still %s", who).
		WithHint("there are %s", strings.Join(s.People, ", ")))
}
