package cli

import (
	"slices"
	"strings"

	"github.com/duplibot/duplibot/tools"
)

// help shows what there is, or how one command works.
func (r *Run) help(topic string) int {
	a := r.app
	var out []string
	switch op, command := a.find(topic); {
	case topic == "":
		out = a.overview()
	case op != nil:
		out = a.helpOn(op)
	case command != nil && command.Group != hiddenGroup:
		out = []string{"usage: " + a.words(strings.TrimSpace(command.Name+" "+command.Usage)), "", command.Summary + "."}
		if command.Help != "" {
			out = append(out, "")
			out = append(out, wrap(command.Help, 78, "")...)
		}
	default:
		return r.Usage(a.unknown(topic))
	}
	for _, line := range out {
		r.print(line)
	}
	return r.finish(envelope{Status: "done"}, ExitDone)
}

// overview lists everything, by the nouns it is about.
func (a *App) overview() []string {
	out := []string{"usage: " + a.words("COMMAND [OPTIONS]")}
	type entry struct{ name, summary string }
	var order []string
	groups := map[string][]entry{}
	add := func(group, name, summary string) {
		if _, seen := groups[group]; !seen {
			order = append(order, group)
		}
		groups[group] = append(groups[group], entry{name, summary})
	}
	for _, op := range a.registry().All() {
		add(op.Group, op.Name, op.Summary)
	}
	for _, c := range a.commands() {
		group := c.Group
		if group == "" {
			group = "program"
		}
		if group != hiddenGroup {
			add(group, c.Name, c.Summary)
		}
	}
	wide := 0
	for _, list := range groups {
		for _, e := range list {
			wide = max(wide, len(e.name))
		}
	}
	for _, group := range order {
		out = append(out, "", group+":")
		for _, e := range groups[group] {
			out = append(out, "  "+pad(e.name, wide)+"  "+e.summary)
		}
	}
	out = append(out, "", "options of every command:")
	out = append(out, a.globalHelp()...)
	return append(out, "", "How one works: "+a.words("help COMMAND"))
}

func (a *App) globalHelp() []string {
	var rows [][2]string
	for _, g := range a.globals() {
		rows = append(rows, [2]string{strings.TrimSpace("--" + g.name + " " + g.value), g.help})
	}
	return twoColumns(rows)
}

// helpOn is made from an operation's declaration.
func (a *App) helpOn(op *tools.Operation) []string {
	out := wrap("usage: "+a.words(op.Usage(tools.CLI)), 78, "    ")
	out = append(out, "", op.Summary+".")
	if op.Help != "" {
		out = append(out, "")
		out = append(out, wrap(op.Help, 78, "")...)
	}
	var rows [][2]string
	for _, p := range op.Params {
		if !p.On(tools.CLI) {
			continue
		}
		name := "--" + p.Flag
		switch {
		case p.Pos:
			name = strings.ToUpper(p.Name)
		case p.Kind == tools.Number:
			name += " N"
		case p.File:
			name += " FILE"
		case p.Secret:
			name += " [REFERENCE]"
		case p.Kind != tools.Bool && len(p.Enum) == 0:
			name += " " + strings.ToUpper(p.Name)
		}
		rows = append(rows, [2]string{name, terminalHelp(p)})
	}
	out = append(out, "")
	out = append(out, twoColumns(rows)...)
	out = append(append(out, ""), wrap(riskWords[op.Risk], 78, "")...)
	if len(op.Examples) > 0 {
		out = append(out, "", "examples:")
		for _, e := range op.Examples {
			out = append(out, "  "+a.words(e))
		}
	}
	return append(out, "", "The options of every command: "+a.words("help"))
}

// terminalHelp says what a terminal does beside what the declaration says,
// which is said to chats and models too.
func terminalHelp(p tools.Param) string {
	help := p.Help
	if len(p.Enum) > 0 {
		help += " (" + strings.Join(p.Enum, ", ") + ")"
	}
	switch {
	case p.File:
		help += "; here: the path of a file, or - for stdin"
	case p.Secret && p.New:
		help += "; here also a reference such as env:NAME, or typed when left out"
	case p.Secret:
		help += "; here also a reference such as env:NAME, or typed when the value is left out"
	}
	if p.Here {
		help += "; here the current folder"
	}
	if p.Required && !p.Secret && !p.Pos {
		help += " (required)"
	}
	return help
}

var riskWords = map[tools.Risk]string{
	tools.Read:     "It only looks.",
	tools.Change:   "It changes something that can be changed back.",
	tools.Critical: "It is critical: data is lost, or who has access changes. It asks you first, or another person, as the policy says.",
}

// twoColumns lays out names with what they mean.
func twoColumns(rows [][2]string) []string {
	wide := 0
	for _, row := range rows {
		if len(row[0]) <= 28 {
			wide = max(wide, len(row[0]))
		}
	}
	var out []string
	for _, row := range rows {
		lines := wrap(row[1], 76-wide, "")
		first := "  " + pad(row[0], wide) + "  "
		if len(row[0]) > wide {
			out = append(out, "  "+row[0])
			first = strings.Repeat(" ", wide+4)
		}
		for i, line := range lines {
			if i == 0 {
				out = append(out, first+line)
			} else {
				out = append(out, strings.Repeat(" ", wide+4)+line)
			}
		}
	}
	return out
}

// wrap breaks a text into lines of at most n columns where it has blanks.
func wrap(text string, n int, indent string) []string {
	var out []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case columns(line)+1+columns(word) > n:
			out = append(out, line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	return append(out, line)
}

// names lists all commands with their summaries, for completion.
func (a *App) names() []tools.Choice {
	var list []tools.Choice
	for _, op := range a.registry().All() {
		list = append(list, tools.Choice{Value: op.Name, Label: op.Summary})
	}
	for _, c := range a.commands() {
		if c.Group != hiddenGroup {
			list = append(list, tools.Choice{Value: c.Name, Label: c.Summary})
		}
	}
	slices.SortStableFunc(list, func(a, b tools.Choice) int { return strings.Compare(a.Value, b.Value) })
	return list
}
