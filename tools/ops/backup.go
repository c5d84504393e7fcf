package ops

import (
	"context"
	"strings"
	"unicode"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

// byID before a word says that it is an ID: for the rare backup whose name is
// another one's ID.
const byID = "id:"

// pick finds the backup that is meant by its ID or its exact name, in upper or
// lower case.
func pick(list []duplicati.Backup, server, given string) (duplicati.Backup, error) {
	var id, exact, folded []duplicati.Backup
	word, onlyID := strings.CutPrefix(given, byID)
	for _, b := range list {
		switch {
		case b.ID == word:
			id = append(id, b)
		case onlyID:
		case b.Name == given:
			exact = append(exact, b)
		case strings.EqualFold(b.Name, given):
			folded = append(folded, b)
		}
	}
	named := exact
	if len(named) == 0 {
		named = folded
	}
	switch {
	case len(id) == 1 && len(named) == 0:
		return id[0], nil
	case len(id) == 0 && len(named) == 1:
		return named[0], nil
	case len(id)+len(named) > 1:
		var which []string
		for _, b := range append(id, named...) {
			which = append(which, quote(b.Name)+" ("+byID+b.ID+")")
		}
		return duplicati.Backup{}, tools.Errorf(tools.Ambiguous, "%s has more than one backup that %s can mean; nothing was done", server, quote(given)).
			WithHint("give one of: %s", strings.Join(which, ", "))
	}
	return duplicati.Backup{}, unknownBackup(list, server, given)
}

func unknownBackup(list []duplicati.Backup, server, given string) *tools.Error {
	e := tools.Errorf(tools.NotFound, "%s has no backup of the ID or name %s; nothing was done", server, quote(given))
	if len(list) == 0 {
		return e.WithHint("it has no backups at all")
	}
	names := make([]string, len(list))
	for i, b := range list {
		names[i] = b.Name
	}
	if near := tools.Nearest(given, names, 3); len(near) > 0 {
		for i := range near {
			near[i] = quote(near[i])
		}
		return e.WithHint("did you mean %s?", strings.Join(near, " or "))
	}
	const shown = 10
	var words []string
	for _, b := range list[:min(shown, len(list))] {
		words = append(words, quote(b.Name)+" ("+b.ID+")")
	}
	if len(list) > shown {
		words = append(words, "and more: list-backups shows all "+plural(len(list), "backup", "backups"))
	}
	return e.WithHint("there are: %s", strings.Join(words, ", "))
}

// quote puts somebody else's word into a sentence of ours: short, and on one
// line.
func quote(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return `"` + cut(s, 80) + `"`
}

// nameOf is the name of a backup by its ID, the ID itself when it is gone.
func nameOf(list []duplicati.Backup, id string) string {
	for _, b := range list {
		if b.ID == id {
			return b.Name
		}
	}
	return id
}

// completeBackups offers the backups of a server.
func (o *operations) completeBackups(ctx context.Context, env tools.Env, _ string) ([]tools.Choice, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return nil, err
	}
	list, err := c.Backups(ctx)
	if err != nil {
		return nil, err
	}
	taken := map[string]int{} // what a name or an ID could mean
	for _, b := range list {
		taken[b.Name]++
		taken[b.ID]++
	}
	choices := make([]tools.Choice, 0, len(list))
	for _, b := range list {
		choice := tools.Choice{Value: b.ID, Label: b.Name + " (" + b.ID + ")"}
		switch {
		case easy(b.Name) && taken[b.Name] == 1:
			choice.Value = b.Name
		case taken[b.ID] > 1:
			choice.Value = byID + b.ID
		}
		choices = append(choices, choice)
	}
	return choices, nil
}

// easy reports whether a person would rather give the name than the ID.
func easy(name string) bool {
	return name != "" && len(name) <= 60 && !strings.HasPrefix(name, byID) && !strings.HasPrefix(name, "-") && printable(name)
}

func printable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return strings.TrimSpace(s) == s
}

type complete = map[string]func(context.Context, tools.Env, string) ([]tools.Choice, error)

// destination is what of a storage URL leaves the bot.
type destination struct {
	Scheme string `json:"scheme"`
	Host   string `json:"host,omitempty"`
	Digest string `json:"digest"`
}

func destinationOf(d duplicati.Destination) destination {
	return destination{Scheme: d.Scheme, Host: d.Host, Digest: d.Digest}
}
