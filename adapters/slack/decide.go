package slack

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/duplibot/duplibot/tools"
)

// decider identifies who clicked, from the beginning, and answers whoever is
// nobody. The gate records what is refused.
func (a *Adapter) decider(ctx context.Context, c click) bool {
	c.who = a.who.identify(ctx, c.user, c.team, c.channel, true)
	if c.who.refusal == nil {
		return true
	}
	if c.name == actApprove || c.name == actDeny {
		_, err := a.desk.Decide(ctx, tools.Decision{ID: c.action.Value, Caller: c.who.Caller, Yes: c.name == actApprove, How: "click"})
		if err == nil {
			a.Log.Error("the gate let nobody decide", "id", c.action.Value, "identity", c.who.Identity)
		}
	}
	c.replace = false
	a.tell(ctx, c.place, failure(c.who.refusal))
	return false
}

// known remembers a copy of a card that was not known: the answer to its post
// was lost, or the store is younger than it.
func (a *Adapter) known(ctx context.Context, c click, r tools.Approval) {
	if c.at.TS == "" {
		return
	}
	list, err := a.Messages.About(ctx, kindApproval, r.ID)
	if err != nil {
		return
	}
	for _, m := range list {
		if m.Channel == c.at.Channel && m.TS == c.at.TS {
			return
		}
	}
	if err := a.Messages.Save(ctx, Message{Kind: kindApproval, Subject: r.ID, Channel: c.at.Channel, TS: c.at.TS, State: string(r.State)}); err != nil {
		a.Log.Error("slack card not remembered", "id", r.ID, "error", err)
	}
}

// clickApprove takes a yes, or asks for the phrase first.
func (a *Adapter) clickApprove(ctx context.Context, c click) {
	r, err := a.desk.Request(ctx, c.action.Value)
	if err != nil {
		c.replace = false
		a.tell(ctx, c.place, failure(a.asError(err)))
		return
	}
	a.known(ctx, c, r)
	if r.Plan.Phrase == "" || r.State != tools.StatePending {
		if a.decider(ctx, c) {
			a.decide(ctx, c.place, r.ID, true, "", c.home)
		}
		return
	}
	// The trigger lives three seconds and asking Slack who clicked takes some of
	// them: the modal comes first and says what it is for afterwards.
	id, err := a.openModal(ctx, c.trigger, loading("Approve"))
	if err != nil {
		c.replace = false
		a.tell(ctx, c.place, failure(tools.Errorf(tools.Timeout, "Slack did not open the form in time; nothing was done").WithHint("click again").Retryable()))
		return
	}
	if !a.decider(ctx, c) {
		a.changeModal(ctx, id, closing("Approve", c.who.refusal))
		return
	}
	if err := a.desk.MayDecide(ctx, r, c.who.Caller); err != nil {
		// Decide says the same and records it.
		_, err = a.desk.Decide(ctx, tools.Decision{ID: r.ID, Caller: c.who.Caller, Yes: true, How: "click"})
		e := a.asError(err)
		a.changeModal(ctx, id, closing("Approve", e))
		c.replace = false
		a.tell(ctx, c.place, failure(e))
		return
	}
	a.changeModal(ctx, id, a.phraseForm(r, c))
}

// phraseForm asks to type what is about to be lost.
func (a *Adapter) phraseForm(r tools.Approval, c click) slack.ModalViewRequest {
	meta, _ := json.Marshal(phraseMeta{ID: r.ID, Channel: c.channel, Home: c.home})
	b := builder{limit: maxViewBlocks, view: true, foot: 1}
	b.head(a.title(r))
	b.request(r)
	b.foot = 0
	input := slack.NewPlainTextInputBlockElement(nil, phraseID)
	input.MaxLength = maxText
	b.add(0, slack.NewInputBlock(phraseID, plain("Type “"+r.Plan.Phrase+"” to agree", maxField),
		plain("Letter for letter. It cannot be taken back.", maxField), input))
	return slack.ModalViewRequest{Type: slack.VTModal, CallbackID: phraseID, Title: plain("Approve", maxTitle), Submit: plain("Approve", maxTitle),
		Close: plain("Back", maxTitle), PrivateMetadata: string(meta), Blocks: slack.Blocks{BlockSet: b.blocks}}
}

const phraseID = "phrase"

// phraseMeta is what the form remembers: no authority, the gate asks again.
type phraseMeta struct {
	ID      string `json:"id"`
	Channel string `json:"c,omitempty"`
	Home    bool   `json:"h,omitempty"`
}

// submitPhrase holds a wrong phrase against the form and decides with a right one.
func (a *Adapter) submitPhrase(ctx context.Context, c slack.InteractionCallback) (any, func(context.Context)) {
	var meta phraseMeta
	if err := json.Unmarshal([]byte(c.View.PrivateMetadata), &meta); err != nil {
		return nil, nil
	}
	phrase := ""
	if c.View.State != nil {
		phrase = c.View.State.Values[phraseID][phraseID].Value
	}
	p := &place{channel: meta.Channel, born: a.Now()}
	rest := func(ctx context.Context) {
		p.who = a.who.identify(ctx, c.User.ID, c.User.TeamID, meta.Channel, true)
		a.decide(ctx, p, meta.ID, true, phrase, meta.Home)
	}
	r, err := a.desk.Request(ctx, meta.ID)
	if err == nil && r.State == tools.StatePending && phrase != r.Plan.Phrase {
		return slack.NewErrorsViewSubmissionResponse(map[string]string{phraseID: "This is not it; nothing was done and the request still waits."}), rest
	}
	return nil, rest
}

// decide gives a person's word to the desk and tells him what came of it where
// the card itself does not show it.
func (a *Adapter) decide(ctx context.Context, p *place, id string, yes bool, phrase string, home bool) {
	how := "click"
	if phrase != "" {
		how = "typed"
	}
	d := tools.Decision{ID: id, Caller: p.who.Caller, Yes: yes, Phrase: phrase, How: how,
		Progress: func(tools.Progress) { a.cards.mark(id, time.Now().Add(editEvery)) }}
	r, err := a.desk.Decide(ctx, d)
	a.cards.mark(id, time.Time{})
	var e *tools.Error
	replace := p.replace
	switch {
	case err == nil && replace:
		a.tell(ctx, p, a.card(ctx, r, roleRequester))
	case err == nil && r.State == tools.StatePending:
		a.tell(ctx, p, words(tools.Notice, "Your word is counted; the request waits for more."))
	case err == nil:
	case p.who.refusal != nil:
		p.replace = false
		a.tell(ctx, p, failure(p.who.refusal))
	case errors.As(err, &e) && replace && e.Code == tools.AlreadyDecided:
		a.tell(ctx, p, a.card(ctx, r, roleRequester))
	case errors.As(err, &e) && e.Code == tools.WrongPhrase && phrase != "":
		// The form has said so.
	default:
		p.replace = false
		a.tell(ctx, p, failure(a.unread(p.who, unmapped(p.who, a.asError(err)))))
	}
	if home {
		a.publishHome(ctx, p.who)
	}
}

// unmapped says to somebody whom the config does not name how it would name him.
func unmapped(who person, e *tools.Error) *tools.Error {
	if e.Code != tools.NobodyKnown || who.refusal != nil {
		return e
	}
	said := *e
	return said.WithHint("you are %s here: an administrator can add that to people in the config", who.Identity)
}

// unread adds, where a right may come from a group that Slack did not show,
// that this is why.
func (a *Adapter) unread(who person, e *tools.Error) *tools.Error {
	if !who.GroupsUnread || e.Code != tools.Denied && e.Code != tools.NobodyKnown {
		return e
	}
	said := *e
	hint := "a Slack user group could not be read just now, so nothing that it gives counts; try again in a minute"
	if said.Hint != "" {
		hint = said.Hint + ". " + sentence(hint)
	}
	return said.WithHint("%s", hint)
}

func (a *Adapter) clickDeny(ctx context.Context, c click) {
	if a.decider(ctx, c) {
		a.shown(ctx, c)
		a.decide(ctx, c.place, c.action.Value, false, "", c.home)
	}
}

// shown makes known the copy that was clicked on.
func (a *Adapter) shown(ctx context.Context, c click) {
	if r, err := a.desk.Request(ctx, c.action.Value); err == nil {
		a.known(ctx, c, r)
	}
}

// clickWithdraw takes the requester's own request back.
func (a *Adapter) clickWithdraw(ctx context.Context, c click) {
	if !a.decider(ctx, c) {
		return
	}
	a.shown(ctx, c)
	r, err := a.desk.Withdraw(ctx, c.action.Value, c.who.Caller)
	a.after(ctx, c, r, err)
}

// clickSettle takes an approver's word on what became of an unknown request.
func (a *Adapter) clickSettle(ctx context.Context, c click) {
	if !a.decider(ctx, c) {
		return
	}
	a.shown(ctx, c)
	r, err := a.desk.Settle(ctx, c.action.Value, c.who.Caller, c.name == actTook)
	a.after(ctx, c, r, err)
}

// after shows what came of a click that is no decision.
func (a *Adapter) after(ctx context.Context, c click, r tools.Approval, err error) {
	a.cards.mark(strings.TrimSpace(c.action.Value), time.Time{})
	switch {
	case err != nil:
		c.replace = false
		a.tell(ctx, c.place, failure(a.asError(err)))
	case c.replace:
		a.tell(ctx, c.place, a.card(ctx, r, roleRequester))
	}
	if c.home {
		a.publishHome(ctx, c.who)
	}
}
