package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// newToken is what a token shall be.
type newToken struct {
	Person   string   `json:"person"`
	Name     string   `json:"name"`
	Ceiling  string   `json:"ceiling,omitempty"`  // a role; "" is no limit
	Toolsets []string `json:"toolsets,omitempty"` // none is no limit
}

// madeToken is one that was made. The token itself is not kept.
type madeToken struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Person   string     `json:"person"`
	Ceiling  tools.Role `json:"ceiling,omitempty"`
	Toolsets []string   `json:"toolsets,omitempty"`
	Created  time.Time  `json:"created"`
	LastUsed time.Time  `json:"last_used,omitzero"`
	Revoked  time.Time  `json:"revoked,omitzero"`
}

const (
	tokenUsage = "create [--for PERSON] --name NAME [--ceiling viewer|operator|admin] [--toolsets LIST] [--to FILE] | list | revoke NAME"
	tokenHelp  = "A token is shown once, when it is made, or written to a file of mode 0600 by --to. Its assistant may do what its person may, and no more than --ceiling and --toolsets allow. Whatever is critical waits for a person all the same."
)

func token(ctx context.Context, r *Run) int {
	words, got, err := r.Take(nil, []string{"for", "name", "ceiling", "toolsets", "to"})
	verb := ""
	if len(words) > 0 {
		verb = words[0]
	}
	t := newToken{Person: got["for"], Name: got["name"], Ceiling: got["ceiling"]}
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
		return r.Usage(err)
	}
	switch verb {
	case "list":
		return r.listTokens(ctx)
	case "create":
		return r.makeToken(ctx, t, got["to"])
	}
	var gone madeToken
	if _, err := r.admin(ctx, "token-revoke", map[string]string{"name": words[1]}, &gone); err != nil {
		return r.Fail(err)
	}
	return r.Answer(gone, tools.View{Headline: "the token " + gone.Name + " of " + gone.Person + " is revoked; it opens nothing from now on", Tone: tools.Good})
}

func (t *newToken) read(got map[string]string) error {
	if t.Name == "" {
		return tools.Errorf(tools.InvalidArgument, "token create needs --name NAME; nothing was made")
	}
	for name := range strings.SplitSeq(got["toolsets"], ",") {
		if name = strings.TrimSpace(name); name != "" {
			t.Toolsets = append(t.Toolsets, name)
		}
	}
	return nil
}

func (r *Run) makeToken(ctx context.Context, t newToken, to string) int {
	var f *file
	if to != "" {
		path := absolute(to, r.app.Dir)
		var err error
		if f, err = newFile(filepath.Dir(path), filepath.Base(path), false); err != nil {
			return r.Fail(err)
		}
		defer f.discard()
	}
	var made madeToken
	word, err := r.admin(ctx, "token-create", t, &made)
	if err != nil {
		return r.Fail(err)
	}
	whose := fmt.Sprintf("%s's assistant %s has a token", made.Person, made.Name)
	result := map[string]string{"name": made.Name, "person": made.Person}
	view := tools.View{Headline: whose + "; it is shown this once", Tone: tools.Good}
	if f != nil {
		path, err := f.write(word, "")
		if err != nil {
			r.note("the token was made and could not be kept; revoke it: " + r.words("token", "revoke", t.Name))
			return r.Fail(err)
		}
		result["file"] = path
		view.Headline = whose + "; it is in " + path
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

func (r *Run) listTokens(ctx context.Context) int {
	list := []madeToken{}
	if _, err := r.admin(ctx, "token-list", struct{}{}, &list); err != nil {
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
		if t.Ceiling != tools.Nobody {
			limits = append([]string{t.Ceiling.String()}, limits...)
		}
		view.Table.Rows = append(view.Table.Rows, []string{t.Name, t.Person, strings.Join(limits, ", "), day(t.Created), day(t.LastUsed), day(t.Revoked)})
	}
	return r.Answer(list, view)
}
