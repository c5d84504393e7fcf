package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// Tokens are what AI assistants prove themselves with over HTTP.
type Tokens interface {
	// Make makes a token for a person's assistant and returns it, once.
	Make(ctx context.Context, c tools.Caller, t NewToken) (secret.Value, error)
	List(ctx context.Context, c tools.Caller) ([]Token, error)
	Revoke(ctx context.Context, c tools.Caller, name string) error
}

// NewToken is what a token shall be.
type NewToken struct {
	Person   string
	Name     string
	Ceiling  tools.Role // Nobody is no limit
	Toolsets []string   // nil is no limit
}

// Token is one that was made. The token itself is not kept.
type Token struct {
	Name     string    `json:"name"`
	Person   string    `json:"person"`
	Ceiling  string    `json:"ceiling,omitempty"`
	Toolsets []string  `json:"toolsets,omitempty"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used,omitzero"`
	Revoked  time.Time `json:"revoked,omitzero"`
}

const (
	tokenUsage = "create --for PERSON --name NAME [--role viewer|operator|admin] [--toolsets LIST] [--to FILE] | list | revoke NAME"
	tokenHelp  = "A token is shown once, when it is made, or written to a file of mode 0600 by --to. Its assistant may do what its person may, and no more than --role and --toolsets allow. Whatever is critical waits for a person all the same."
)

func token(ctx context.Context, r *Run) int {
	words, got, err := r.take(nil, []string{"for", "name", "role", "toolsets", "to"})
	verb := ""
	if len(words) > 0 {
		verb = words[0]
	}
	t := NewToken{Person: got["for"], Name: got["name"]}
	switch {
	case err != nil:
	case verb == "create" && len(words) == 1:
		err = t.read(got)
	case verb == "list" && len(words) == 1 && len(got) == 0:
	case verb == "revoke" && len(words) == 2 && len(got) == 0:
	default:
		err = tools.Errorf(tools.InvalidArgument, "token is told to create, list or revoke; nothing was done").WithHint("usage: %s", r.app.words("token "+tokenUsage))
	}
	if err != nil {
		return r.usage(err)
	}
	link, err := r.Connect(ctx)
	switch {
	case err != nil:
		return r.Fail(err)
	case link.Tokens == nil:
		return r.Fail(notHere("the list of tokens"))
	case verb == "list":
		return r.listTokens(ctx, link)
	case verb == "create":
		return r.makeToken(ctx, link, t, got["to"])
	}
	if err := link.Tokens.Revoke(ctx, link.Caller, words[1]); err != nil {
		return r.Fail(err)
	}
	return r.Answer(map[string]string{"revoked": words[1]}, tools.View{Headline: "the token " + words[1] + " is revoked; it opens nothing from now on", Tone: tools.Good})
}

func (t *NewToken) read(got map[string]string) error {
	if t.Person == "" || t.Name == "" {
		return tools.Errorf(tools.InvalidArgument, "token create needs --for PERSON and --name NAME; nothing was made")
	}
	if role := got["role"]; role != "" {
		ceiling, approver, err := tools.ParseRoles([]string{role})
		if err != nil || approver {
			return tools.Errorf(tools.InvalidArgument, "--role is one of viewer, operator, admin; nothing was made")
		}
		t.Ceiling = ceiling
	}
	for name := range strings.SplitSeq(got["toolsets"], ",") {
		if name = strings.TrimSpace(name); name != "" {
			t.Toolsets = append(t.Toolsets, name)
		}
	}
	return nil
}

func (r *Run) makeToken(ctx context.Context, link *Link, t NewToken, to string) int {
	var f *file
	if to != "" {
		path := absolute(to, r.app.Dir)
		var err error
		if f, err = newFile(filepath.Dir(path), filepath.Base(path), false); err != nil {
			return r.Fail(err)
		}
		defer f.discard()
	}
	word, err := link.Tokens.Make(ctx, link.Caller, t)
	if err != nil {
		return r.Fail(err)
	}
	result := map[string]string{"name": t.Name, "person": t.Person}
	view := tools.View{Headline: fmt.Sprintf("%s's assistant %s has a token; it is shown this once", t.Person, t.Name), Tone: tools.Good}
	if f != nil {
		path, err := f.write(word, "")
		if err != nil {
			r.note("the token was made and could not be kept; revoke it: " + r.app.words("token", "revoke", t.Name))
			return r.Fail(err)
		}
		result["file"] = path
		view.Headline = fmt.Sprintf("%s's assistant %s has a token; it is in %s", t.Person, t.Name, path)
		return r.Answer(result, view)
	}
	// The one place where a secret is printed: there is no other way to it.
	result["token"] = word.Reveal()
	if r.Globals.JSON {
		return r.Answer(result, view)
	}
	r.Show(view)
	r.print("")
	r.print(word.Reveal())
	return ExitDone
}

func (r *Run) listTokens(ctx context.Context, link *Link) int {
	list, err := link.Tokens.List(ctx, link.Caller)
	if err != nil {
		return r.Fail(err)
	}
	view := tools.View{Headline: fmt.Sprintf("%d %s", len(list), plural(len(list), "token", "tokens"))}
	if len(list) > 0 {
		view.Table = &tools.Table{Columns: []string{"Name", "Person", "Limited to", "Made", "Last used", "Revoked"}}
	}
	day := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Local().Format("2006-01-02 15:04")
	}
	for _, t := range list {
		limits := append([]string{}, t.Toolsets...)
		if t.Ceiling != "" {
			limits = append([]string{t.Ceiling}, limits...)
		}
		view.Table.Rows = append(view.Table.Rows, []string{t.Name, t.Person, strings.Join(limits, ", "), day(t.Created), day(t.LastUsed), day(t.Revoked)})
	}
	if list == nil {
		list = []Token{}
	}
	return r.Answer(list, view)
}
