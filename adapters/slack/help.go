package slack

import (
	"context"
	"fmt"
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
	a.reply(ctx, p, overview(ops))
}

// overview lists what a person may run, by noun.
func overview(ops []*tools.Operation) message {
	if len(ops) == 0 {
		return failure(tools.Errorf(tools.NobodyKnown, "nobody in people or groups has your Slack identity, so there is nothing that you may run").
			WithHint("an administrator can add you to people in the config"))
	}
	b := builder{limit: maxBlocks, foot: 1}
	var text []string
	b.say("What you may run here:")
	for _, group := range grouped(ops) {
		lines := []string{sentence(group[0].Group)}
		for _, op := range group {
			lines = append(lines, fmt.Sprintf("%s %s\n    %s", command, op.Usage(tools.Slack), op.Summary))
		}
		b.say(strings.Join(lines, "\n"))
		text = append(text, lines...)
	}
	b.foot = 0
	b.aside("A name with blanks goes in quotes. Leave out what is required and a form opens. Answers are for you alone; --public shows them to the channel. More: " + command + " help OPERATION")
	return message{Text: escape(strings.Join(text, "\n"), maxTopLevel), Blocks: b.blocks}
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
	v := tools.View{Headline: op.Title() + ": " + op.Summary}
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
	lines := []string{command + " " + op.Usage(tools.Slack)}
	for _, example := range op.Examples {
		lines = append(lines, "for example: "+command+" "+example)
	}
	m := viewMessage(v, func(b *builder) { b.say(strings.Join(lines, "\n")) })
	m.Text = escape(strings.Join(lines, "\n")+"\n"+viewText(v), maxTopLevel)
	return m
}

var riskWords = map[tools.Risk]string{
	tools.Read:     "It only looks.",
	tools.Change:   "It changes something that can be changed back.",
	tools.Critical: "It loses data or changes who has access: a person has to agree before it runs.",
}
