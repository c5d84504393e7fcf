package cli

import (
	"context"
	"io"
	"strings"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

const (
	secretUsage = "set NAME [-] | list | remove NAME"
	secretHelp  = "Keeps a word in the bot's keyring under a name that the config can refer to, as keyring:NAME. It is typed twice without echo, or read from stdin with -. No command shows it again."
)

func secrets(ctx context.Context, r *Run) int {
	words, _, err := r.Take(nil, nil)
	verb, name := "", ""
	if len(words) > 0 {
		verb = words[0]
	}
	if len(words) > 1 {
		name = words[1]
	}
	piped := verb == "set" && len(words) == 3 && words[2] == "-"
	switch {
	case err != nil:
	case verb == "list" && len(words) == 1, verb == "remove" && len(words) == 2, verb == "set" && (len(words) == 2 || piped):
	default:
		err = tools.Errorf(tools.InvalidArgument, "secret is told to set, list or remove; nothing was done").WithHint("usage: %s", r.app.words("secret "+secretUsage))
	}
	if err != nil {
		return r.Usage(err)
	}
	switch verb {
	case "list":
		names := []string{}
		if _, err := r.admin(ctx, "secret-list", struct{}{}, &names); err != nil {
			return r.Fail(err)
		}
		view := tools.View{Headline: "the keyring has no words to refer to"}
		if len(names) > 0 {
			view = tools.View{Headline: "words that the config can refer to", Table: &tools.Table{Columns: []string{"Reference"}}}
		}
		for _, n := range names {
			view.Table.Rows = append(view.Table.Rows, []string{"keyring:" + n})
		}
		return r.Answer(names, view)
	case "remove":
		if _, err := r.admin(ctx, "secret-remove", map[string]string{"name": name}, nil); err != nil {
			return r.Fail(err)
		}
		return r.Answer(map[string]string{"removed": name}, tools.View{Headline: "keyring:" + name + " is gone", Tone: tools.Good})
	}
	link, err := r.Connect(ctx)
	if err != nil {
		return r.Fail(err)
	}
	word, err := r.newWord(ctx, name, piped)
	if err != nil {
		return r.Fail(err)
	}
	held, err := link.Decisions.Hold(ctx, link.Caller, word)
	if err != nil {
		return r.Fail(err)
	}
	if _, err := r.admin(ctx, "secret-set", map[string]string{"name": name, "held": string(held)}, nil); err != nil {
		return r.Fail(err)
	}
	return r.Answer(map[string]string{"stored": name}, tools.View{Headline: "stored; the config refers to it as keyring:" + name, Tone: tools.Good})
}

// newWord has a word typed twice, or reads it whole from stdin.
func (r *Run) newWord(ctx context.Context, name string, piped bool) (secret.Value, error) {
	if !piped {
		word, err := r.typeSecret(ctx, "word for keyring:"+name, true)
		if tools.CodeOf(err) == tools.SecretNeeded && !r.app.Terminal.In {
			err = tools.Errorf(tools.SecretNeeded, "the word cannot be typed here, as this is no terminal; nothing was stored").
				WithHint("read it from stdin: %s", r.words("secret set", shellWord(name), "-"))
		}
		return word, err
	}
	const largest = 64 << 10
	text, err := io.ReadAll(io.LimitReader(r.app.Stdin, largest+1))
	word := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case err != nil:
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "stdin cannot be read: %s; nothing was stored", reason(err)).Because(err)
	case len(text) > largest:
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "stdin holds more than 64 KiB; nothing was stored")
	case word == "":
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "stdin is empty; nothing was stored")
	}
	return secret.New(word), nil
}
