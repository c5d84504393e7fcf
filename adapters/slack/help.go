package slack

import (
	"context"
	"strings"

	"github.com/duplibot/duplibot/tools"
)

// command is the one slash command that the app has.
const command = "/duplicati"

// help answers "help", "help OPERATION", nothing, and what could not be read.
func (a *Adapter) help(ctx context.Context, p *place, words []string, unread error) {
	if p.who.refusal != nil {
		a.tell(ctx, p, failure(p.who.refusal))
		return
	}
	if unread != nil {
		a.tell(ctx, p, failure(a.asError(unread)))
		return
	}
	if len(words) > 1 {
		op, err := a.Registry.Lookup(words[1])
		if err != nil {
			a.unknown(ctx, p, words[1])
			return
		}
		a.helpOn(ctx, p, op)
		return
	}
	ops, err := a.door.Operations(ctx, p.who.Caller)
	if err != nil {
		a.tell(ctx, p, failure(a.asError(err)))
		return
	}
	a.reply(ctx, p, overview(p.who, ops))
}

// overview lists what a person may run, by noun.
func overview(who person, ops []*tools.Operation) message {
	if len(ops) == 0 {
		return failure(unmapped(who, tools.Errorf(tools.NobodyKnown, "nobody in people or groups has your Slack identity, so there is nothing that you may run")))
	}
	b := builder{limit: maxBlocks, foot: 1}
	text := []string{"After " + command + " you may type:"}
	b.say(text[0])
	for _, group := range grouped(ops) {
		lines := []string{sentence(group[0].Group)}
		for _, op := range group {
			lines = append(lines, "• "+brief(op)+" – "+op.Summary)
		}
		b.say(strings.Join(lines, "\n"))
		text = append(text, lines...)
	}
	b.foot = 0
	b.aside("Options and examples of one: "+command+" help "+ops[0].Name,
		"Leave out what is required and a form opens. A name with blanks goes in quotes.",
		"Answers are for you alone; --public shows them to the channel.")
	return message{Text: escape(strings.Join(text, "\n"), maxTopLevel), Blocks: b.blocks}
}

// brief is an operation with what it is about, and without its options.
func brief(op *tools.Operation) string {
	words := op.Name
	for _, p := range op.Params {
		if !p.Pos || !p.On(tools.Slack) {
			continue
		}
		word := strings.ToUpper(p.Name)
		if p.Rest {
			word += "…"
		}
		if !p.Required || p.Secret {
			word = "[" + word + "]"
		}
		words += " " + word
	}
	return words
}

// grouped keeps the registry's order, group by group.
func grouped(ops []*tools.Operation) [][]*tools.Operation {
	var groups [][]*tools.Operation
	at := map[string]int{}
	for _, op := range ops {
		i, ok := at[op.Group]
		if !ok {
			i = len(groups)
			at[op.Group] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], op)
	}
	return groups
}

// helpOn explains one operation.
func (a *Adapter) helpOn(ctx context.Context, p *place, op *tools.Operation) {
	if p.who.refusal != nil {
		a.tell(ctx, p, failure(p.who.refusal))
		return
	}
	a.reply(ctx, p, helpMessage(op))
}

func helpMessage(op *tools.Operation) message {
	v := tools.View{Headline: op.Title() + ": " + op.Summary + "\n\n" + command + " " + op.Usage(tools.Slack)}
	for _, example := range op.Examples {
		// One that is for terminals would be refused here.
		words, err := tools.Split(example)
		if err == nil && len(words) > 0 && words[0] == op.Name {
			_, err = op.ParseArgs(words[1:], tools.Slack)
		}
		if err == nil {
			v.Headline += "\nFor example: " + command + " " + example
		}
	}
	if op.Help != "" {
		v.Notes = append(v.Notes, op.Help)
	}
	v.Notes = append(v.Notes, riskWords[op.Risk])
	v.Table = &tools.Table{Columns: []string{"Parameter", "What it is"}}
	for _, param := range op.Params {
		if !param.On(tools.Slack) {
			continue
		}
		name := "--" + param.Flag
		if param.Pos {
			name = strings.ToUpper(param.Name)
		}
		words := param.Help
		if len(param.Enum) > 0 {
			words += ": " + strings.Join(param.Enum, ", ")
		}
		if param.Required && !param.Secret {
			words += " (required)"
		}
		v.Table.Rows = append(v.Table.Rows, []string{name, words})
	}
	return viewMessage(v)
}

var riskWords = map[tools.Risk]string{
	tools.Read:     "It only looks.",
	tools.Change:   "It changes something that can be changed back.",
	tools.Critical: "It loses data or changes who has access: a person has to agree before it runs.",
}
