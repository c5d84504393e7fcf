package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// maxFile is more than any configuration has.
const maxFile = 64 << 20

// give fills in what does not travel as an argument: files are read here, and
// secrets that are lacking are typed here. The gate holds them.
func (r *Run) give(ctx context.Context, op *tools.Operation, call *tools.Call, asked []string) error {
	if err := r.giveFiles(ctx, op, call); err != nil {
		return err
	}
	if err := r.giveReferences(ctx, op, call); err != nil {
		return err
	}
	for _, name := range asked {
		for _, p := range secretParams(op) {
			if p.Name == name {
				if err := r.giveSecret(ctx, op, p, call); err != nil {
					return err
				}
			}
		}
	}
	needs, err := r.link.Door.Needs(ctx, *call)
	if err != nil {
		// The gate says it too, and records the refusal.
		return nil
	}
	generated := false
	for _, p := range needs {
		switch {
		case !lacks(call.Args, p.Name): // "page"
		case p.File:
			return tools.Errorf(tools.InvalidArgument, "%s needs %s; nothing was done", op.Name, strings.ToUpper(p.Name)).
				WithHint("usage: %s", op.Usage(tools.CLI)).Because(errLacking)
		case r.Globals.Generate:
			call.Args[p.Name], generated = string(tools.SecretGenerate), true
		default:
			if err := r.giveSecret(ctx, op, p, call); err != nil {
				return err
			}
		}
	}
	if r.Globals.Generate && !generated {
		return tools.Errorf(tools.InvalidArgument, "%s lacks no secret that could be generated; nothing was done", op.Name)
	}
	return nil
}

// giveOne asks for the operation's one secret that was not given.
func (r *Run) giveOne(ctx context.Context, op *tools.Operation, call *tools.Call) (bool, error) {
	params := secretParams(op)
	if len(params) != 1 || !lacks(call.Args, params[0].Name) {
		return false, nil
	}
	return true, r.giveSecret(ctx, op, params[0], call)
}

// giveSecret has a secret typed, twice where it is a new one.
func (r *Run) giveSecret(ctx context.Context, op *tools.Operation, p tools.Param, call *tools.Call) error {
	what := strings.ReplaceAll(p.Flag, "-", " ")
	word, err := r.typeSecret(ctx, what, p.New)
	if err != nil {
		var e *tools.Error
		if errors.As(err, &e) && e.Code == tools.SecretNeeded && !r.app.Terminal.In {
			e = tools.Errorf(tools.SecretNeeded, "%s needs the %s, which cannot be typed here, as this is no terminal; nothing was done", op.Name, what)
			hint := "refer to it, such as --" + p.Flag + " env:NAME"
			if p.New {
				hint += ", or let the bot make one: --generate"
			}
			return e.WithHint("%s", hint)
		}
		return err
	}
	held, err := r.link.Decisions.Hold(ctx, r.link.Caller, word)
	if err != nil {
		return err
	}
	call.Args[p.Name] = string(held)
	return nil
}

func (r *Run) typeSecret(ctx context.Context, what string, twice bool) (secret.Value, error) {
	for range 3 {
		word, err := r.askSecret(ctx, what)
		if err != nil || !twice {
			return word, err
		}
		again, err := r.askSecret(ctx, what+", once more")
		if err != nil {
			return again, err
		}
		if word.Equal(again) {
			return word, nil
		}
		r.note("the two are not the same")
	}
	return secret.Value{}, tools.Errorf(tools.SecretNeeded, "the two were never the same; nothing was done")
}

// giveFiles reads the files that are named, so that they are read with the
// rights of who named them; - is stdin.
func (r *Run) giveFiles(ctx context.Context, op *tools.Operation, call *tools.Call) error {
	for _, p := range op.Params {
		path, _ := call.Args[p.Name].(string)
		if !p.File || path == "" || path == string(tools.SecretPage) {
			continue
		}
		content, err := r.readFile(path)
		if err != nil {
			return err
		}
		held, err := r.link.Decisions.Hold(ctx, r.link.Caller, content)
		if err != nil {
			return err
		}
		call.Args[p.Name] = string(held)
	}
	return nil
}

// giveReferences finds what references name with the rights of who named them.
func (r *Run) giveReferences(ctx context.Context, op *tools.Operation, call *tools.Call) error {
	if r.link.Resolve == nil {
		return nil
	}
	for _, p := range secretParams(op) {
		text, _ := call.Args[p.Name].(string)
		ref, is := tools.Secret(text).Ref()
		if !is {
			continue
		}
		word, err := r.link.Resolve(ctx, ref)
		if err != nil {
			return err
		}
		held, err := r.link.Decisions.Hold(ctx, r.link.Caller, word)
		if err != nil {
			return err
		}
		call.Args[p.Name] = string(held)
	}
	return nil
}

func (r *Run) readFile(path string) (secret.Value, error) {
	in := r.app.Stdin
	if path != "-" {
		path = absolute(path, r.app.Dir)
		if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
			return secret.Value{}, tools.Errorf(tools.InvalidArgument, "%s is not a regular file; nothing was done", path)
		}
		f, err := os.Open(path)
		if err != nil {
			code := tools.InvalidArgument
			if errors.Is(err, fs.ErrNotExist) {
				code = tools.NotFound
			}
			return secret.Value{}, tools.Errorf(code, "%s cannot be read: %s; nothing was done", path, reason(err)).Because(err)
		}
		defer f.Close()
		in = f
	}
	content, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	switch {
	case err != nil:
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "%s cannot be read: %s; nothing was done", path, reason(err)).Because(err)
	case len(content) > maxFile:
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "%s is larger than 64 MiB; nothing was done", path)
	case len(content) == 0:
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "%s is empty; nothing was done", path)
	}
	return secret.New(string(content)), nil
}
