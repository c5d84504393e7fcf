package slack

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/duplibot/duplibot/tools"
)

// The actions of cards. A card's buttons carry the request's ID and nothing else.
const (
	actApprove  = "approve"
	actDeny     = "deny"
	actWithdraw = "withdraw"
	actTook     = "took"
	actTookNot  = "took-not"
	actShow     = "show"
	actEnter    = "enter"
)

// role is who a copy of a card is for.
type role int

const (
	roleApprovers role = iota // those who can decide
	roleRequester             // who asked: he can withdraw
	roleConfirm               // who asked and is to confirm
)

// outcomeOf is how a request ended, for who asked: what it was about he knows, and
// its card has it.
func (a *Adapter) outcomeOf(r tools.Approval) message {
	title := a.title(r)
	b := builder{limit: maxBlocks, foot: 2}
	b.say(head(r) + title + "\n" + a.standing(r))
	b.outcome(r)
	b.kept(r.Kept, r.ID)
	b.buttons(r, roleRequester)
	b.foot = 0
	b.aside("Request " + r.ID)
	return message{Text: escape(a.cardText(r, title), maxTopLevel), Blocks: b.blocks}
}

// waiting tells who asked what his request waits for.
func (a *Adapter) waiting(r tools.Approval, next []tools.Next) message {
	said := a.title(r) + " waits for agreement. Nothing was done yet."
	if r.State == tools.StateApproved || r.State == tools.StateExecuting {
		said = a.title(r) + ": " + a.standing(r)
	} else if who := a.Deciders(r); len(who) > 0 {
		said += " It runs once " + strings.Join(who, " or ") + " agrees."
	}
	b := builder{limit: maxBlocks, foot: 3}
	b.say(toned(tools.Notice, said))
	b.until(r)
	b.effects(r)
	b.foot = 0
	b.buttons(r, roleRequester)
	b.next(next)
	b.aside("Request " + r.ID)
	return message{Text: escape(a.title(r)+" waits for agreement.\n"+a.cardText(r, a.title(r)), maxTopLevel), Blocks: b.blocks}
}

// card is a request as people see it, in the state in which it is.
func (a *Adapter) card(ctx context.Context, r tools.Approval, to role) message {
	title := a.title(r)
	b := builder{limit: maxBlocks, foot: 4}
	b.head(head(r) + title)
	if who := a.mentions(r, to); who != "" {
		b.note(markup(who))
	}
	b.say(a.standing(r))
	b.until(r)
	if r.State.Open() {
		b.request(r)
	} else { // how it ended is what a reader looks for
		b.outcome(r)
		b.line()
		b.request(r)
	}
	if to != roleApprovers {
		b.kept(r.Kept, r.ID)
	}
	b.foot = 0
	b.buttons(r, to)
	b.aside(a.print(ctx, r))
	if b.cut {
		b.aside("This is cut; the whole is in the answer of a terminal.")
	}
	return message{Text: escape(a.cardText(r, title), maxTopLevel), Blocks: b.blocks}
}

// head says in a word how the request stands. What was done and came out
// otherwise than it should is not headed as done.
func head(r tools.Approval) string {
	if r.State == tools.StateDone && r.View != nil && r.View.Tone.Worse(tools.Notice) != tools.Notice {
		return "Agreed, see the outcome: "
	}
	if r.State == tools.StatePending && r.Verdict == tools.Confirm {
		return "To be confirmed: "
	}
	return cardHead[r.State]
}

var cardHead = map[tools.State]string{
	tools.StateInput: "To be entered: ", tools.StatePending: "Approval needed: ", tools.StateApproved: "Approved: ",
	tools.StateExecuting: "Under way: ", tools.StateDone: "Done: ", tools.StateFailed: "Failed: ", tools.StateUnknown: "Outcome unknown: ",
	tools.StateSettled: "Settled: ", tools.StateDenied: "Denied: ", tools.StateExpired: "Expired: ", tools.StateWithdrawn: "Withdrawn: ",
	tools.StateChanged: "Changed, so not done: ",
}

// title names the operation and its target.
func (a *Adapter) title(r tools.Approval) string {
	name := r.Operation
	if op, err := a.Registry.Lookup(r.Operation); err == nil {
		name = op.Title()
	}
	return name + " – " + line(r.Plan.Target.String())
}

// mentions calls those who can decide, once: the message is edited later, which
// calls nobody.
func (a *Adapter) mentions(r tools.Approval, to role) string {
	if to != roleApprovers || r.State != tools.StatePending {
		return ""
	}
	var who []string
	for _, g := range a.who.groups {
		if _, approver, err := tools.ParseRoles(g.Roles); err == nil && approver {
			_, id, _ := strings.Cut(string(g.ID), "/")
			who = append(who, usergroup(id))
		}
	}
	if len(who) == 0 {
		for _, name := range a.Deciders(r) {
			if users := a.usersOf(name); len(users) > 0 && len(who) < 5 {
				who = append(who, mention(users[0]))
			}
		}
	}
	return strings.Join(who, " ")
}

// standing says in one sentence how the request stands.
func (a *Adapter) standing(r tools.Approval) string {
	switch r.State {
	case tools.StateInput:
		return fmt.Sprintf("It waits for %s to be entered on a one-time page.", needs(r))
	case tools.StatePending:
		if r.Verdict == tools.Confirm {
			return fmt.Sprintf("It waits for %s to confirm it.", r.Requester)
		}
		left := r.Need - r.Yes()
		return fmt.Sprintf("It waits for %d other %s to agree.", left, plural(left, "person", "people")) + votes(r)
	case tools.StateApproved, tools.StateExecuting:
		return "It is agreed to and under way." + votes(r)
	case tools.StateDone:
		return cmp.Or(strings.TrimPrefix(votes(r), "\n"), "It was agreed to.")
	case tools.StateFailed:
		return "It was agreed to and did not work." + votes(r)
	case tools.StateUnknown:
		return "Nobody can tell yet whether it took effect. It is not repeated. Look at the server, then say what you found." + votes(r)
	case tools.StateSettled:
		return sentence(r.Settlement) + "." + votes(r)
	case tools.StateDenied:
		return "Nothing was done." + votes(r)
	case tools.StateExpired:
		if r.Updated.Before(r.Expires) {
			return "The bot's clock was set back, so nobody can tell how long it has waited. Nothing was done. Ask for it again if it is still wanted."
		}
		return "Nobody agreed in time. Nothing was done."
	case tools.StateWithdrawn:
		return r.Requester + " has withdrawn it. Nothing was done."
	case tools.StateChanged:
		return "What it is about has changed since it was shown. Nothing was done." + votes(r)
	}
	return string(r.State)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// where says from where something was said.
func where(s tools.Surface) string {
	switch s {
	case tools.Slack:
		return "in Slack"
	case tools.CLI:
		return "at a terminal"
	case tools.Web:
		return "on a page"
	}
	return "through an assistant"
}

// needs names what is still to be entered.
func needs(r tools.Approval) string {
	return strings.ReplaceAll(strings.Join(r.Needs, " and "), "_", " ")
}

// until says, by each reader's own clock, how long the request waits.
func (b *builder) until(r tools.Approval) {
	if r.State == tools.StateInput || r.State == tools.StatePending {
		b.note(markup("Until ", date(r.Expires)))
	}
}

// votes lists who said what.
func votes(r tools.Approval) string {
	words := ""
	for _, v := range r.Votes {
		word := "agreed"
		if !v.Yes {
			word = "denied"
		}
		words += fmt.Sprintf("\n%s %s %s, %s", v.Person, word, where(v.Surface), stamp(v.At))
	}
	return words
}

func (b *builder) effects(r tools.Approval) {
	if len(r.Plan.Effects) > 0 {
		b.say("What it does:\n• " + strings.Join(r.Plan.Effects, "\n• "))
	}
}

// request shows what would be done, to what, and who asks.
func (b *builder) request(r tools.Approval) {
	b.effects(r)
	var facts []tools.Fact
	for _, f := range r.Plan.Facts {
		if !f.Hidden {
			facts = append(facts, tools.Fact{Name: sentence(f.Name), Value: f.Value, Tone: f.Tone})
		}
	}
	if len(facts) > 0 {
		b.aside("As " + line(r.Server) + " has it:")
		b.facts(facts)
	}
	b.aside(r.Plan.Notes...)
	by := "Asked by " + r.Requester + " " + where(r.Caller.Surface)
	if r.Caller.Surface == tools.MCP && r.Caller.Client != "" {
		by += fmt.Sprintf(" that calls itself “%s” (unverified)", line(cut(r.Caller.Client, 80)))
	}
	b.aside(by + ", " + stamp(r.Created))
	if r.Reason != "" {
		b.say("What the requester says about it, unverified:\n" + r.Reason)
	}
}

// outcome shows how it ended.
func (b *builder) outcome(r tools.Approval) {
	switch {
	case r.State == tools.StateDone && r.View != nil:
		b.show(*r.View)
	case r.Failure != nil:
		b.say(toned(tools.Bad, r.Failure.Message))
		if r.Failure.Hint != "" {
			b.aside(r.Failure.Hint)
		}
	}
	for _, d := range r.Changes {
		b.say(fmt.Sprintf("%s was “%s” and is “%s”", sentence(line(d.Name)), line(cut(d.Was, 300)), line(cut(d.Is, 300))))
	}
}

// kept offers what came out and is secret on a page.
func (b *builder) kept(list []tools.Kept, id string) {
	var buttons []slack.BlockElement
	for i, k := range list {
		where := "Kept in " + line(k.Where)
		if k.Name != "" {
			where = line(k.Name) + " is kept in " + line(k.Where)
		}
		b.aside(where)
		value := id
		if id == "" {
			value = k.Handle
		}
		if k.Page && value != "" && len(value) < maxValue && len(buttons) < 5 {
			label := "Read it once"
			if k.Name != "" {
				label = "Read once: " + line(k.Name)
			}
			buttons = append(buttons, slack.NewButtonBlockElement(fmt.Sprintf("%s:%d", actShow, i), value, plain(label, maxButton)))
		}
	}
	if len(buttons) > 0 {
		b.add(0, slack.NewActionBlock("", buttons...))
	}
}

// buttons are what this copy's reader can do in this state.
func (b *builder) buttons(r tools.Approval, to role) {
	button := func(action, label string, style slack.Style, confirm string) *slack.ButtonBlockElement {
		e := slack.NewButtonBlockElement(action, r.ID, plain(label, maxButton))
		e.Style = style
		if confirm != "" {
			e.Confirm = slack.NewConfirmationBlockObject(plain("Are you sure?", 100), plain(confirm, 300), plain(label, 30), plain("Back", 30))
		}
		return e
	}
	effect := ""
	if len(r.Plan.Effects) > 0 && r.Plan.Phrase == "" {
		effect = line(r.Plan.Target.String()) + ": " + r.Plan.Effects[0]
	}
	var row []slack.BlockElement
	switch {
	case r.State == tools.StatePending && to == roleApprovers:
		row = append(row, button(actApprove, "Approve", slack.StyleDanger, effect), button(actDeny, "Deny", "", ""))
	case r.State == tools.StatePending && to == roleConfirm:
		row = append(row, button(actApprove, "Confirm", slack.StyleDanger, effect), button(actWithdraw, "Withdraw", "", ""))
	case r.State == tools.StateInput && to != roleApprovers:
		row = append(row, button(actEnter, "Enter it on a page", slack.StylePrimary, ""), button(actWithdraw, "Withdraw", "", ""))
	case r.State == tools.StatePending:
		row = append(row, button(actWithdraw, "Withdraw", "", ""))
	case r.State == tools.StateUnknown && to != roleRequester:
		row = append(row, button(actTook, "It took effect", "", "You have seen at the server that it took effect."),
			button(actTookNot, "It did not", "", "You have seen at the server that it took no effect."))
	}
	if len(row) > 0 {
		b.add(0, slack.NewActionBlock("", row...))
	}
}

// print is the small print: how to find this again, and the heads that show
// later whether a record was cut off.
func (a *Adapter) print(ctx context.Context, r tools.Approval) string {
	parts := []string{"Request " + r.ID, "card " + r.Card(), "rule " + line(r.Rule)}
	if a.AuditHead != nil {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if head, err := a.AuditHead(ctx); err == nil {
			parts = append(parts, "audit "+line(head))
		}
	}
	return strings.Join(parts, " · ")
}

// cardText is the whole card in words.
func (a *Adapter) cardText(r tools.Approval, title string) string {
	lines := []string{head(r) + title, a.standing(r)}
	if r.State == tools.StateInput || r.State == tools.StatePending {
		lines = append(lines, "Until "+stamp(r.Expires))
	}
	if r.State.Open() || r.State == tools.StateUnknown {
		lines = append(lines, r.Plan.Effects...)
		for _, f := range r.Plan.Facts {
			if !f.Hidden {
				lines = append(lines, line(f.Name)+": "+line(f.Value))
			}
		}
	}
	lines = append(lines, "Asked by "+r.Requester+".")
	if r.State == tools.StateDone && r.View != nil {
		lines = append(lines, viewText(*r.View))
	}
	if r.Failure != nil {
		lines = append(lines, r.Failure.Error())
	}
	return strings.Join(append(lines, "Request "+r.ID), "\n")
}
