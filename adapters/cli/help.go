package cli

import (
	"slices"
	"strings"

	"github.com/duplibot/duplibot/tools"
)

// help shows what there is, or how one command works.
func (r *Run) help(topic string) int {
	a := r.app
	page, list := textWidth, 1<<10 // where there is no terminal a line is one for grep
	if w := r.width(); w > 0 {
		list = max(w-2, 20) // two columns are two wider
		page = min(page, list)
	}
	var out []string
	switch op, command := a.find(topic); {
	case topic == "":
		out = a.overview(page, list)
	case op != nil:
		out = a.helpOn(op, page)
	case command != nil && command.Group != hiddenGroup:
		out = append(a.usage(strings.TrimSpace(command.Name+" "+command.Usage), page), "")
		out = append(out, wrap(command.Summary+".", page, "")...)
		for paragraph := range strings.SplitSeq(command.Help, "\n\n") {
			if paragraph != "" {
				out = append(out, "")
				out = append(out, wrap(paragraph, page, "")...)
			}
		}
	default:
		return r.Usage(a.unknown(topic))
	}
	for _, line := range out {
		r.print(line)
	}
	return r.finish(envelope{Status: "done"}, ExitDone)
}

// textWidth is how wide help is where there is room.
const textWidth = 78

// glue stands for a blank where no line is to be broken.
const glue = '\ue000'

// usage is a line of usage, broken between options and not within them.
func (a *App) usage(words string, page int) []string {
	depth := 0
	joined := strings.Map(func(r rune) rune {
		switch r {
		case '[':
			depth++
		case ']':
			depth--
		case ' ':
			if depth > 0 {
				return glue
			}
		}
		return r
	}, words)
	lines := wrap("usage: "+a.words(joined), page, "    ")
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, string(glue), " ")
	}
	return lines
}

// overview lists everything, by the nouns it is about.
func (a *App) overview(page, list int) []string {
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
		var rows [][2]string
		for _, e := range groups[group] {
			rows = append(rows, [2]string{pad(e.name, wide), e.summary})
		}
		out = append(out, twoColumns(rows, list)...)
	}
	out = append(out, "", "options of every command:")
	out = append(out, a.globalHelp(page)...)
	return append(out, "", "How one works: "+a.words("help COMMAND"))
}

func (a *App) globalHelp(page int) []string {
	var rows [][2]string
	for _, g := range a.globals() {
		rows = append(rows, [2]string{strings.TrimSpace("--" + g.name + " " + g.value), g.help})
	}
	return twoColumns(rows, page)
}

// helpOn is made from an operation's declaration.
func (a *App) helpOn(op *tools.Operation, page int) []string {
	out := append(a.usage(op.Usage(tools.CLI), page), "")
	out = append(out, wrap(op.Summary+".", page, "")...)
	if op.Help != "" {
		out = append(out, "")
		out = append(out, wrap(op.Help, page, "")...)
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
	if len(rows) > 0 {
		out = append(out, "")
		out = append(out, twoColumns(rows, page)...)
	}
	out = append(append(out, ""), wrap(riskWords[op.Risk], page, "")...)
	if len(op.Examples) > 0 {
		out = append(out, "", "examples:")
		for _, e := range op.Examples {
			out = append(out, "  "+a.words(e))
		}
	}
	return append(append(out, ""), wrap("The options of every command: "+a.words("help"), page, "")...)
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

// twoColumns lays out names with what they mean. What a name is too long for,
// and what there is too little room for, stands below the name.
func twoColumns(rows [][2]string, page int) []string {
	wide := 0
	for _, row := range rows {
		if len(row[0]) <= 28 {
			wide = max(wide, len(row[0]))
		}
	}
	if wide > page/2 {
		wide = 4
	}
	var out []string
	for _, row := range rows {
		lines := wrap(row[1], page-2-wide, "")
		first := "  " + pad(row[0], wide) + "  "
		if len(row[0]) > wide {
			out = append(out, "  "+strings.TrimRight(row[0], " "))
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
