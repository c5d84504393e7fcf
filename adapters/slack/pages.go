package slack

import (
	"context"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"github.com/duplibot/duplibot/tools"
)

// actPage is a link: Slack tells of its click, and there is nothing to do.
const actPage = "page"

// noPages says how a secret is entered or read where no page can be offered.
func noPages(what string) *tools.Error {
	return tools.Errorf(tools.SecretNeeded, "%s cannot be done from Slack: there is no address that a link from here may lead to", what).
		WithHint("do it at a terminal, or have an administrator set web.url to an https address")
}

// enterMessage gives the requester the link to the page on which he enters what
// the request needs. The code for it goes to his direct messages.
func (a *Adapter) enterMessage(ctx context.Context, r tools.Approval, user string) message {
	what := "entering " + needs(r)
	if a.Pages == nil {
		return failure(noPages(what))
	}
	page, err := a.Pages.Enter(ctx, r)
	if err != nil {
		return failure(a.asError(err))
	}
	title := a.title(r)
	if page.Link == "" {
		return failure(noPages(what))
	}
	if err := a.sendCode(ctx, user, title, page); err != nil {
		return failure(err)
	}
	return linkMessage(title+" waits for "+needs(r)+".", "Enter it on a page", page)
}

// linkMessage has the link as a button and nowhere else: nothing unfurls it.
func linkMessage(text, label string, page Page) message {
	text += " The page opens once, until " + stamp(page.Expires) + ". Its code is in our direct messages. Nothing secret is typed into Slack."
	b := builder{limit: maxBlocks}
	b.say(text)
	button := slack.NewButtonBlockElement(actPage, "", plain(label, maxButton))
	button.URL, button.Style = page.Link, slack.StylePrimary
	b.add(0, slack.NewActionBlock("", button))
	return message{Text: escape(text, maxTopLevel), Blocks: b.blocks}
}

// sendCode sends a page's code to a user's direct messages.
func (a *Adapter) sendCode(ctx context.Context, user, title string, page Page) *tools.Error {
	text := "Code for the page of “" + title + "”: " + page.Code + ". It is good until " + stamp(page.Expires) + "."
	if _, err := a.send(ctx, user, words(tools.Plain, text)); err != nil {
		a.Log.Warn("slack code not sent", "error", err)
		return tools.Errorf(tools.Unavailable, "the code for the page could not be sent to your direct messages; nothing was done").
			WithHint("try again, or do it at a terminal").Retryable()
	}
	return nil
}

// clickEnter gives the requester a new link and code.
func (a *Adapter) clickEnter(ctx context.Context, c click) {
	c.who = a.who.identify(ctx, c.user, c.team, c.channel, true)
	c.replace = false
	r, err := a.desk.Request(ctx, c.action.Value)
	switch {
	case c.who.refusal != nil:
		a.tell(ctx, c.place, failure(c.who.refusal))
	case err != nil:
		a.tell(ctx, c.place, failure(a.asError(err)))
	case !a.isRequester(c.who, r):
		a.tell(ctx, c.place, failure(tools.Errorf(tools.Denied, "only %s, who asked, can enter this; the request still waits", r.Requester)))
	case r.State != tools.StateInput:
		a.cards.mark(r.ID, a.Now())
		a.tell(ctx, c.place, failure(tools.Errorf(tools.AlreadyDecided, "request %s no longer waits for this: it is %s", r.ID, r.State)))
	default:
		a.tell(ctx, c.place, a.enterMessage(ctx, r, c.user))
	}
}

// isRequester reports whether who is the person who asked.
func (a *Adapter) isRequester(who person, r tools.Approval) bool {
	if who.Identity == r.Caller.Identity {
		return true
	}
	for _, id := range a.Identities(r.Requester) {
		if id == who.Identity {
			return true
		}
	}
	return false
}

// clickShow gives the person whose it is a page on which he reads, once, what
// came out. On a card the button has the request's ID and which of its things;
// on an answer it has the thing's own handle.
func (a *Adapter) clickShow(ctx context.Context, c click) {
	c.who = a.who.identify(ctx, c.user, c.team, c.channel, true)
	c.replace = false
	if c.who.refusal != nil {
		a.tell(ctx, c.place, failure(c.who.refusal))
		return
	}
	if a.Pages == nil {
		a.tell(ctx, c.place, failure(noPages("reading it")))
		return
	}
	caller, handle, title := c.who.Caller, c.action.Value, "what was kept"
	if r, err := a.desk.Request(ctx, c.action.Value); err == nil {
		_, index, _ := strings.Cut(c.action.ActionID, ":")
		i, err := strconv.Atoi(index)
		switch {
		case !a.isRequester(c.who, r):
			a.tell(ctx, c.place, failure(tools.Errorf(tools.Denied, "only %s, who asked, can read this", r.Requester)))
			return
		case err != nil || i < 0 || i >= len(r.Kept):
			a.tell(ctx, c.place, failure(tools.Errorf(tools.NotFound, "request %s has kept no such thing", r.ID)))
			return
		}
		// It is kept for the identity that asked, be it this person's at another place.
		caller, handle, title = r.Caller, r.Kept[i].Handle, a.title(r)
	}
	page, err := a.Pages.Show(ctx, caller, handle)
	switch {
	case err != nil:
		a.tell(ctx, c.place, failure(a.asError(err)))
	case page.Link == "":
		a.tell(ctx, c.place, failure(noPages("reading it")))
	default:
		if e := a.sendCode(ctx, c.user, title, page); e != nil {
			a.tell(ctx, c.place, failure(e))
			return
		}
		a.tell(ctx, c.place, linkMessage("It can be read once.", "Read it on a page", page))
	}
}
