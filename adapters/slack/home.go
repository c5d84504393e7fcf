package slack

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/slack-go/slack"

	"github.com/duplibot/duplibot/tools"
)

const (
	actRefresh = "refresh"
	homeWithin = 20 * time.Second // to ask the servers
	homeCards  = 5                // requests shown in full length
)

// publishHome shows somebody what waits for him and how the servers are.
func (a *Adapter) publishHome(ctx context.Context, who person) {
	ctx, cancel := context.WithTimeout(ctx, homeWithin+callWithin)
	defer cancel()
	blocks := a.homeBlocks(ctx, who)
	if err := a.api.publish(ctx, who.User, blocks); err != nil {
		a.Log.Warn("slack home not published", "user", who.User, "error", err)
	}
}

func (a *Adapter) homeBlocks(ctx context.Context, who person) []slack.Block {
	b := builder{limit: maxViewBlocks, view: true, foot: 3}
	ops, err := a.door.Operations(ctx, who.Caller)
	switch {
	case who.refusal != nil:
		b.say(sentence(who.refusal.Message))
		return b.blocks
	case err != nil:
		b.say(a.asError(err).Error())
		return b.blocks
	case len(ops) == 0:
		return overview(who, nil).Blocks
	}
	a.homeRequests(ctx, &b, who)
	a.homeStates(ctx, &b, who, ops)
	b.foot = 0
	b.line()
	b.add(0, slack.NewActionBlock("", slack.NewButtonBlockElement(actRefresh, "", plain("Look again", maxButton))))
	b.note(markup("As of ", date(a.Now())))
	return b.blocks
}

// homeRequests are the requests that wait for this person, then his own.
func (a *Adapter) homeRequests(ctx context.Context, b *builder, who person) {
	open, err := a.desk.Requests(ctx, tools.Filter{States: []tools.State{tools.StateInput, tools.StatePending, tools.StateUnknown}, Limit: 200})
	if err != nil {
		b.say("The requests cannot be read: " + a.asError(err).Error())
		return
	}
	var waiting, own []tools.Approval
	decides := map[string]bool{}
	for _, r := range open {
		switch mine := a.isRequester(who, r); {
		case r.State == tools.StatePending && a.desk.MayDecide(ctx, r, who.Caller) == nil:
			decides[r.ID] = true
			waiting = append(waiting, r)
		case mine && r.State == tools.StateInput:
			waiting = append(waiting, r)
		case mine:
			own = append(own, r)
		}
	}
	b.head(fmt.Sprintf("Waiting for you: %d", len(waiting)))
	for i, r := range waiting {
		if i == homeCards {
			b.aside(fmt.Sprintf("and %d more; decide these first", len(waiting)-i))
			break
		}
		a.homeRequest(b, r, decides[r.ID])
	}
	if len(own) > 0 {
		b.head("You asked for")
	}
	for _, r := range own[:min(len(own), homeCards)] {
		a.homeRequest(b, r, false)
	}
}

func (a *Adapter) homeRequest(b *builder, r tools.Approval, decides bool) {
	b.say(a.title(r) + "\n" + a.standing(r))
	b.until(r)
	if decides {
		b.request(r)
	}
	to := roleRequester
	if decides {
		to = roleApprovers
		if r.Verdict == tools.Confirm {
			to = roleConfirm
		}
	}
	b.buttons(r, to)
	b.line()
}

// homeStates are the reads that their declarations put on start pages, of all
// servers, each with what it found.
func (a *Adapter) homeStates(ctx context.Context, b *builder, who person, ops []*tools.Operation) {
	ctx, cancel := context.WithTimeout(ctx, homeWithin)
	defer cancel()
	said := map[tools.Fact]bool{}
	for _, op := range ops {
		if !op.Home {
			continue
		}
		args := map[string]any{}
		if !op.Global {
			args["server"] = "all"
		}
		b.head(op.Title())
		answer, err := a.door.Run(ctx, tools.Call{Operation: op.Name, Args: args, Caller: who.Caller})
		if err != nil {
			b.say(toned(tools.Unclear, sentence(a.asError(err).Error())))
			continue
		}
		// A server that does not answer says so to the first question.
		answer.View.Facts = slices.DeleteFunc(answer.View.Facts, func(f tools.Fact) bool { return said[f] })
		for _, f := range answer.View.Facts {
			said[f] = true
		}
		b.show(answer.View)
		b.next(answer.View.Next)
	}
	if b.cut {
		b.aside("There is more than fits here; " + command + " help lists what to ask.")
	}
}

// clickRefresh publishes the Home tab anew.
func (a *Adapter) clickRefresh(ctx context.Context, c click) {
	a.publishHome(ctx, a.who.identify(ctx, c.user, c.team, "", true))
}
