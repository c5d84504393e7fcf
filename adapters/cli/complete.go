package cli

import (
	"context"
	"embed"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// completeCommand is what the scripts of completion call with the words up to
// the cursor. It prints one choice a line, with its meaning after a tab, and
// as the last line what the shell is to do: ":files", ":folders" or ":done".
const completeCommand = "__complete"

// completeWithin is how long somebody who has pressed Tab waits.
const completeWithin = 2 * time.Second

const completionHelp = "To use it: for bash, source <(duplibot completion bash) in ~/.bashrc; for zsh, put it into a file _duplibot in a folder of $fpath; for fish, into ~/.config/fish/completions/duplibot.fish."

//go:embed completion
var scripts embed.FS

func completion(_ context.Context, r *Run) int {
	if len(r.Args) != 1 {
		return r.Usage(tools.Errorf(tools.InvalidArgument, "completion takes the name of one shell: bash, zsh or fish"))
	}
	script, err := scripts.ReadFile("completion/" + filepath.Base(r.Args[0]))
	if err != nil {
		return r.Usage(tools.Errorf(tools.InvalidArgument, "there is no completion for that shell").WithHint("known are bash, zsh and fish"))
	}
	text := strings.ReplaceAll(string(script), "PROGRAM", r.app.Name)
	return r.Text(text, map[string]string{"script": text})
}

// choices is what can stand at the cursor.
type choices struct {
	list []tools.Choice
	then string
}

func complete(ctx context.Context, r *Run) int {
	words := r.Args
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	current := ""
	if len(words) > 0 {
		current, words = words[len(words)-1], words[:len(words)-1]
	}
	ctx, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	c := r.at(ctx, words, current)
	if c.then == "" {
		c.then = ":done"
	}
	for _, choice := range c.list {
		// A value with what a terminal would obey could not be typed either.
		if value := choice.Value; strings.HasPrefix(value, current) && value == clean(value) {
			fmt.Fprintf(r.out, "%s\t%s\n", value, clean(choice.Label))
		}
	}
	write(r.out, c.then+"\n")
	return ExitDone
}

// at finds what can stand behind words.
func (r *Run) at(ctx context.Context, words []string, current string) choices {
	a := r.app
	// A value for the option before the cursor. --flag=value is one word.
	flag, before, glued := "", "", false
	if name, value, has := strings.Cut(current, "="); has && strings.HasPrefix(name, "--") {
		flag, before, glued = strings.TrimPrefix(name, "--"), value, true
	} else if n := len(words); n > 0 && strings.HasPrefix(words[n-1], "--") && !strings.Contains(words[n-1], "=") && !strings.HasPrefix(current, "--") {
		flag, before = strings.TrimPrefix(words[n-1], "--"), current
	}
	line, err := a.read(words)
	r.Globals = line.globals
	r.Globals.Completing = true
	for i, word := range line.rest { // an operation's own option by now
		if value, is := strings.CutPrefix(word, "--server="); is {
			r.Globals.Server = value
		} else if word == "--server" && i+1 < len(line.rest) {
			r.Globals.Server = line.rest[i+1]
		}
	}
	if err != nil && line.name != "" && line.op == nil && line.command == nil {
		return choices{}
	}
	if p := ownParam(line.op, flag); flag != "" && p != nil && p.Kind != tools.Bool {
		c := r.values(ctx, line.op, *p, before)
		if glued {
			for i := range c.list {
				c.list[i].Value = "--" + flag + "=" + c.list[i].Value
			}
		}
		return c
	}
	var usage syntax
	if line.command != nil {
		usage = readUsage(line.command.Usage)
	}
	if kinds := find(usage.options, flag); flag != "" && len(kinds) > 0 {
		c := r.kinds(kinds)
		for i := range c.list {
			if glued {
				c.list[i].Value = "--" + flag + "=" + c.list[i].Value
			}
		}
		return c
	}
	if g := findGlobal(flag); flag != "" && g != nil && g.value != "" && !g.optional {
		switch g.name {
		case "config":
			return choices{then: ":files"}
		case "server-datafolder":
			return choices{then: ":folders"}
		case "server":
			return r.anyServer(ctx)
		}
		return choices{}
	}
	switch {
	case strings.HasPrefix(current, "-"):
		return choices{list: a.options(line)}
	case line.name == "":
		return choices{list: a.names()}
	case line.name == "help":
		return choices{list: a.names()}
	case line.op != nil:
		if p, ok := position(line.op, line.rest); ok {
			return r.values(ctx, line.op, p, current)
		}
	case line.command != nil && strings.HasPrefix(line.command.Usage, "ID"):
		return r.waiting(ctx)
	case line.command != nil:
		switch given := usage.given(line.rest); len(given) {
		case 0:
			return r.kinds(usage.words)
		case 1:
			return r.kinds(find(usage.behind, given[0]))
		}
	}
	return choices{}
}

// kinds is what can stand where a usage has these words.
func (r *Run) kinds(words []string) (c choices) {
	for _, word := range words {
		switch {
		case word == "FILE":
			c.then = ":files"
		case word == "FOLDER":
			c.then = ":folders"
		case word == "OPERATION":
			for _, op := range r.app.registry().All() {
				c.list = append(c.list, tools.Choice{Value: op.Name, Label: op.Summary})
			}
		case word == "EVENT":
			for _, e := range events {
				c.list = append(c.list, tools.Choice{Value: string(e)})
			}
		case plainWord.MatchString(word):
			c.list = append(c.list, tools.Choice{Value: word})
		}
	}
	return c
}

// options lists the flags that can still stand.
func (a *App) options(line commandLine) []tools.Choice {
	var list []tools.Choice
	if line.op != nil {
		for _, p := range line.op.Params {
			if p.On(tools.CLI) {
				list = append(list, tools.Choice{Value: "--" + p.Flag, Label: p.Help})
			}
		}
	}
	if line.command != nil {
		for _, o := range readUsage(line.command.Usage).options {
			list = append(list, tools.Choice{Value: "--" + o.name})
		}
	}
	for _, g := range a.globals() {
		if ownParam(line.op, g.name) == nil {
			list = append(list, tools.Choice{Value: "--" + g.name, Label: g.help})
		}
	}
	return list
}

// position is the parameter that the next word by position goes to.
func position(op *tools.Operation, rest []string) (tools.Param, bool) {
	given := 0
	for i := 0; i < len(rest); i++ {
		name, is := strings.CutPrefix(rest[i], "--")
		if !is {
			given++
			continue
		}
		if p := ownParam(op, name); p != nil && p.Kind != tools.Bool {
			i++
		}
	}
	for _, p := range op.Params {
		if !p.Pos || !p.On(tools.CLI) {
			continue
		}
		if given == 0 || p.Rest {
			return p, true
		}
		given--
	}
	return tools.Param{}, false
}

func (r *Run) values(ctx context.Context, op *tools.Operation, p tools.Param, prefix string) choices {
	switch {
	case p.File:
		return choices{then: ":files"}
	case p.Path:
		return choices{then: ":folders"}
	case p.Secret, p.Complete == "" && len(p.Enum) == 0:
		return choices{}
	}
	link, err := r.Connect(ctx)
	if err != nil {
		return choices{}
	}
	list, err := link.Door.Complete(ctx, link.Caller, op.Name, p.Name, prefix, r.Globals.Server)
	if err != nil {
		return choices{}
	}
	return choices{list: list}
}

// anyServer completes --server before a command by any operation that has it.
func (r *Run) anyServer(ctx context.Context) choices {
	for _, op := range r.app.registry().All() {
		if p := ownParam(op, "server"); p != nil {
			return r.values(ctx, op, *p, "")
		}
	}
	return choices{}
}

// waiting completes the IDs of requests.
func (r *Run) waiting(ctx context.Context) choices {
	link, err := r.Connect(ctx)
	if err != nil {
		return choices{}
	}
	requests, err := link.Decisions.Requests(ctx, tools.Filter{States: openStates})
	if err != nil {
		return choices{}
	}
	var list []tools.Choice
	for _, a := range requests {
		list = append(list, tools.Choice{Value: a.ID, Label: a.Operation + " " + a.Plan.Target.String()})
	}
	return choices{list: list}
}
