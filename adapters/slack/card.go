package slack

import (
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

// card is a request as people see it, in the state in which it is.
func (a *Adapter) card(ctx context.Context, r tools.Approval, to role) message {
	title := a.title(r)
	b := builder{limit: maxBlocks, foot: 4}
	b.head(cardHead[r.State] + title)
	if who := a.mentions(r, to); who != "" {
		b.note(markup(who))
	}
	b.say(a.standing(r))
	b.request(r)
	b.outcome(r)
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
		return fmt.Sprintf("It waits for %s to be entered on a one-time page, until %s.", strings.Join(r.Needs, " and "), stamp(r.Expires))
	case tools.StatePending:
		if r.Verdict == tools.Confirm {
			return fmt.Sprintf("It waits for %s to confirm it, until %s.", r.Requester, stamp(r.Expires))
		}
		left := r.Need - r.Yes()
		words := fmt.Sprintf("It waits for %d other %s to agree, until %s.", left, persons(left), stamp(r.Expires))
		return words + votes(r)
	case tools.StateApproved, tools.StateExecuting:
		return "It is agreed to and under way." + votes(r)
	case tools.StateDone:
		return "It was done." + votes(r)
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

func persons(n int) string {
	if n == 1 {
		return "person"
	}
	return "people"
}

// votes lists who said what.
func votes(r tools.Approval) string {
	words := ""
	for _, v := range r.Votes {
		word := "agreed"
		if !v.Yes {
			word = "denied"
		}
		words += fmt.Sprintf("\n%s %s, %s, by %s", v.Person, word, stamp(v.At), v.Surface)
	}
	return words
}

// request shows what would be done, to what, and who asks.
func (b *builder) request(r tools.Approval) {
	if len(r.Plan.Effects) > 0 {
		b.say("What it does:\n• " + strings.Join(r.Plan.Effects, "\n• "))
	}
	var facts []tools.Fact
	for _, f := range r.Plan.Facts {
		if !f.Hidden {
			facts = append(facts, tools.Fact{Name: f.Name, Value: f.Value, Tone: f.Tone})
		}
	}
	if len(facts) > 0 {
		b.aside("As " + line(r.Server) + " has it:")
		b.facts(facts)
	}
	b.aside(r.Plan.Notes...)
	by := "Asked by " + r.Requester
	if r.Caller.Surface == tools.MCP {
		by += " through an assistant"
		if r.Caller.Client != "" {
			by += fmt.Sprintf(" that calls itself “%s” (unverified)", line(cut(r.Caller.Client, 80)))
		}
	} else {
		by += " by " + string(r.Caller.Surface)
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
		b.line()
		b.show(*r.View)
	case r.Failure != nil:
		b.line()
		b.say(toned(tools.Bad, r.Failure.Message))
		if r.Failure.Hint != "" {
			b.aside(r.Failure.Hint)
		}
	}
	for _, d := range r.Changes {
		b.say(fmt.Sprintf("%s was “%s” and is “%s”", line(d.Name), line(cut(d.Was, 300)), line(cut(d.Is, 300))))
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
			buttons = append(buttons, slack.NewButtonBlockElement(fmt.Sprintf("%s:%d", actShow, i), value, plain("Read it once", maxButton)))
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
	lines := []string{cardHead[r.State] + title, a.standing(r)}
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
