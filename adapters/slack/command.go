package slack

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"

	"github.com/duplibot/duplibot/tools"
)

// onCommand does what somebody typed after the slash command.
func (a *Adapter) onCommand(ctx context.Context, c slack.SlashCommand) {
	p := &place{channel: c.ChannelID, trigger: c.TriggerID, response: c.ResponseURL, born: a.Now()}
	words, err := tools.Split(typed(c.Text))
	if err == nil {
		words, p.public = withoutFlag(words, "--public")
	}
	team := c.TeamID
	if err != nil || len(words) == 0 || words[0] == "help" || words[0] == "--help" {
		p.who = a.who.identify(ctx, c.UserID, team, c.ChannelID, false)
		a.help(ctx, p, words, err)
		return
	}
	op, _ := a.Registry.Lookup(words[0])
	// What can change something is asked for with today's rights, not with
	// those of half a minute ago.
	p.who = a.who.identify(ctx, c.UserID, team, c.ChannelID, op == nil || op.Risk > tools.Read)
	if op == nil {
		a.unknown(ctx, p, words[0])
		return
	}
	if slices.Contains(words[1:], "--help") {
		a.helpOn(ctx, p, op)
		return
	}
	args, err := op.ParseArgs(words[1:], tools.Slack)
	if err != nil {
		a.tell(ctx, p, failure(a.asError(err)))
		return
	}
	a.call(ctx, p, op, args)
}

// withoutFlag takes a flag of Slack's own out of the words before "--".
func withoutFlag(words []string, flag string) (rest []string, had bool) {
	for i, w := range words {
		if w == "--" {
			return append(rest, words[i:]...), had
		}
		if w == flag || w == "—"+strings.TrimPrefix(flag, "--") {
			had = true
			continue
		}
		rest = append(rest, w)
	}
	return rest, had
}

// unknown names what is near among what this person may run.
func (a *Adapter) unknown(ctx context.Context, p *place, word string) {
	if p.who.refusal != nil {
		a.tell(ctx, p, failure(p.who.refusal))
		return
	}
	_, err := a.Registry.Lookup(word)
	e := a.asError(err)
	names := []string{}
	if ops, err := a.door.Operations(ctx, p.who.Caller); err == nil {
		for _, op := range ops {
			names = append(names, op.Name)
		}
	}
	if near := tools.Nearest(word, names, 3); len(near) > 0 {
		e.WithHint("did you mean %s? %s help lists what you may run", strings.Join(near, " or "), command)
	} else {
		e.WithHint("%s help lists what you may run", command)
	}
	a.tell(ctx, p, failure(e))
}

// call runs an operation for a person, or asks him first for what is missing.
func (a *Adapter) call(ctx context.Context, p *place, op *tools.Operation, args map[string]any) {
	if p.who.refusal != nil {
		// The gate refuses nobody as well, and records it.
		if _, err := a.door.Run(ctx, tools.Call{Operation: op.Name, Args: args, Caller: p.who.Caller}); err == nil {
			a.Log.Error("the gate let nobody in", "operation", op.Name, "identity", p.who.Identity)
		}
		a.tell(ctx, p, failure(p.who.refusal))
		return
	}
	if _, given := args["server"]; !given && !op.Global {
		if server := a.DefaultServer(p.channel); server != "" {
			args["server"] = server
		}
	}
	if missing(op, args) && p.trigger != "" {
		if err := a.openForm(ctx, p, op, args, ""); err == nil {
			return
		}
	}
	w := a.works.begin(p, op, args)
	answer, err := a.door.Run(ctx, tools.Call{Operation: op.Name, Args: args, Caller: p.who.Caller, Progress: w.progress})
	if err != nil {
		e := unmapped(p.who, a.asError(err))
		if e.Code == tools.Ambiguous && args["server"] == nil && !op.Global && p.trigger != "" && a.openForm(ctx, p, op, args, e.Message) == nil {
			w.abandon()
			return
		}
		w.fail(ctx, e)
		return
	}
	a.answered(ctx, p, w, answer)
}

// missing reports whether a required parameter that a person can type is absent.
func missing(op *tools.Operation, args map[string]any) bool {
	return slices.ContainsFunc(op.Params, func(p tools.Param) bool {
		_, given := args[p.Name]
		return p.Required && !given && !p.Secret && p.On(tools.Slack)
	})
}

// answered shows what a call gave back.
func (a *Adapter) answered(ctx context.Context, p *place, w *work, answer tools.Answer) {
	if answer.Status == tools.Pending {
		w.abandon()
		a.pending(ctx, p, answer)
		return
	}
	w.finish(ctx, answer)
}

// pending tells the requester, in place, what his call waits for.
func (a *Adapter) pending(ctx context.Context, p *place, answer tools.Answer) {
	request, err := a.desk.Request(ctx, answer.Approval.ID)
	if err != nil {
		a.tell(ctx, p, viewMessage(answer.View))
		return
	}
	a.cards.asked(request.ID, p)
	m := a.waiting(request, answer.View.Next)
	switch {
	case request.State == tools.StateInput:
		m = a.enterMessage(ctx, request, p.who.User)
	case request.Verdict == tools.Confirm && request.State == tools.StatePending:
		m = a.card(ctx, request, roleConfirm)
	}
	a.tell(ctx, p, m)
}

// onAction does what a button or a menu of ours says.
func (a *Adapter) onAction(ctx context.Context, c slack.InteractionCallback) {
	if len(c.ActionCallback.BlockActions) != 1 || c.ActionCallback.BlockActions[0] == nil {
		a.Log.Warn("slack sent a click without its action")
		return
	}
	action := c.ActionCallback.BlockActions[0]
	p := &place{channel: c.Container.ChannelID, trigger: c.TriggerID, response: c.ResponseURL, born: a.Now(), replace: c.Container.IsEphemeral}
	name, _, _ := strings.Cut(action.ActionID, ":")
	click := click{place: p, action: action, name: name, user: c.User.ID, team: c.User.TeamID, home: c.Container.Type == "view" && c.View.Type == slack.VTHomeTab,
		at: ref{Channel: c.Container.ChannelID, TS: c.Container.MessageTs}}
	if c.Container.IsEphemeral || c.Container.Type != "message" {
		click.at = ref{}
	}
	if do, ok := a.actions()[name]; ok {
		do(ctx, click)
		return
	}
	if name != actPage && c.Container.Type == "message" {
		p.replace = false
		p.who = a.who.identify(ctx, click.user, click.team, p.channel, false)
		a.tell(ctx, p, failure(tools.Errorf(tools.InvalidArgument, "this button is of another version of the bot; nothing was done").WithHint("type the command instead")))
	}
}

// click is somebody's press of a button or choice in a menu.
type click struct {
	*place
	action     *slack.BlockAction
	name       string
	user, team string
	home       bool
	at         ref // the message, where it can be edited
}

// actions are the buttons and menus that are to be answered. What is missing
// here needs no answer: a link that opens, an input of a form.
func (a *Adapter) actions() map[string]func(context.Context, click) {
	return map[string]func(context.Context, click){
		actNext: a.clickNext, actApprove: a.clickApprove, actDeny: a.clickDeny, actWithdraw: a.clickWithdraw,
		actTook: a.clickSettle, actTookNot: a.clickSettle, actShow: a.clickShow, actEnter: a.clickEnter,
		actMute: a.clickMute, actRefresh: a.clickRefresh,
	}
}

// clickNext makes the call that an answer offered.
func (a *Adapter) clickNext(ctx context.Context, c click) {
	call, op, err := a.nextOf(c.action.Value)
	if err != nil {
		a.tell(ctx, c.place, failure(a.asError(err)))
		return
	}
	// An offered call answers beside what offered it.
	c.replace = false
	c.who = a.who.identify(ctx, c.user, c.team, c.channel, true)
	a.call(ctx, c.place, op, call.Args)
	if c.home {
		a.publishHome(ctx, c.who)
	}
}

func (a *Adapter) nextOf(value string) (nextCall, *tools.Operation, error) {
	var call nextCall
	if err := unmarshalStrict(value, &call); err != nil {
		return call, nil, tools.Errorf(tools.InvalidArgument, "this button is of an older version of the bot; nothing was done").WithHint("type the command instead")
	}
	op, err := a.Registry.Lookup(call.Operation)
	if err != nil {
		return call, nil, err
	}
	if call.Args == nil {
		call.Args = map[string]any{}
	}
	return call, op, nil
}

// onEvent does what an event asks for.
func (a *Adapter) onEvent(ctx context.Context, e slackevents.EventsAPIEvent) {
	switch inner := e.InnerEvent.Data.(type) {
	case *slackevents.AppHomeOpenedEvent:
		if inner.Tab == "home" {
			a.publishHome(ctx, a.who.identify(ctx, inner.User, e.TeamID, "", false))
		}
	case *slackevents.AppUninstalledEvent:
		a.health.failed(errors.New("the app was uninstalled from the workspace"))
		a.Log.Error("slack app was uninstalled")
	}
}
