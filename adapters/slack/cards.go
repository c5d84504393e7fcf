package slack

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/duplibot/duplibot/tools"
)

// How cards are kept right.
const (
	sweepEvery  = 30 * time.Second // look for cards that show another state than their request is in
	mendAgain   = 10 * time.Second // after Slack refused or was away
	askedFor    = 24 * time.Hour   // how long it is known where a request was typed
	cardsAtOnce = 4
)

// cards posts a request's card and repairs every copy of it.
type cards struct {
	a *Adapter

	mu    sync.Mutex
	dirty map[string]time.Time // request -> when to see to it
	wake  chan struct{}
	typed map[string]asked
}

// asked is where a request was typed, so that its outcome is told there.
type asked struct {
	place *place
	at    time.Time
}

func newCards(a *Adapter) *cards {
	return &cards{a: a, dirty: map[string]time.Time{}, wake: make(chan struct{}, 1), typed: map[string]asked{}}
}

// Notify takes note that a request begins to wait, is decided or ends. It makes
// the adapter the gate's Notifier and returns at once.
func (a *Adapter) Notify(r tools.Approval) { a.cards.mark(r.ID, time.Time{}) }

// mark says that a request's cards are to be seen to, at a time.
func (c *cards) mark(id string, when time.Time) {
	c.mu.Lock()
	if at, marked := c.dirty[id]; !marked || when.Before(at) {
		c.dirty[id] = when
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// asked remembers where a request was typed.
func (c *cards) asked(id string, p *place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.a.Now()
	for k, v := range c.typed {
		if now.Sub(v.at) > askedFor {
			delete(c.typed, k)
		}
	}
	c.typed[id] = asked{p, now}
}

func (c *cards) placeOf(id string) *place {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.typed[id].place
}

// run sees to the cards until ctx ends, first to those that an earlier process
// left.
func (c *cards) run(ctx context.Context) error {
	c.sweep(ctx, true)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	soon := time.NewTicker(time.Second)
	defer soon.Stop()
	for {
		c.work(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.sweep(ctx, false)
		case <-soon.C:
		case <-c.wake:
		}
	}
}

// due takes the requests whose time has come.
func (c *cards) due() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	now := time.Now()
	for id, when := range c.dirty {
		if !when.After(now) {
			ids = append(ids, id)
			delete(c.dirty, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (c *cards) work(ctx context.Context) {
	var group errgroup.Group
	group.SetLimit(cardsAtOnce)
	for _, id := range c.due() {
		group.Go(func() error {
			defer c.a.recovered("card")
			if err := c.mend(ctx, id); err != nil && ctx.Err() == nil {
				c.a.Log.Warn("slack cards not right yet", "id", id, "error", err)
				c.mark(id, time.Now().Add(mendAgain))
			}
			return nil
		})
	}
	_ = group.Wait() // its functions return no error
}

// sweep marks what shows another state than its request is in and, at the
// start, every request that is open: its cards may never have been posted.
func (c *cards) sweep(ctx context.Context, start bool) {
	list, err := c.a.Messages.Outdated(ctx)
	if err != nil {
		c.a.Log.Error("slack cards not read", "error", err)
	}
	for _, m := range list {
		c.mark(m.Subject, time.Time{})
	}
	if !start {
		return
	}
	open, err := c.a.desk.Requests(ctx, tools.Filter{Limit: 1000, States: []tools.State{
		tools.StateInput, tools.StatePending, tools.StateApproved, tools.StateExecuting, tools.StateUnknown}})
	if err != nil {
		c.a.Log.Error("requests not read", "error", err)
	}
	for _, r := range open {
		c.mark(r.ID, time.Time{})
	}
}

// mend makes every copy of a request's card show the state it is in, posts the
// copies that are missing, and tells the requester how it ended.
func (c *cards) mend(ctx context.Context, id string) error {
	r, err := c.a.desk.Request(ctx, id)
	if err != nil {
		return err
	}
	var failed error
	if r.State.Open() || r.State == tools.StateUnknown {
		failed = c.post(ctx, r)
	}
	list, err := c.a.Messages.About(ctx, kindApproval, id)
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := c.repair(ctx, r, m); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	if !r.State.Open() {
		c.tellOutcome(ctx, r)
	}
	return failed
}

// copyTo is one place where a card belongs.
type copyTo struct {
	to   string // channel or user
	role role
}

// copies are the places where a request's card belongs.
func (c *cards) copies(r tools.Approval) []copyTo {
	var list []copyTo
	requester := c.requester(r)
	switch {
	case r.State == tools.StateInput || r.Verdict == tools.Confirm:
		if requester != "" {
			list = append(list, copyTo{requester, c.roleOf(r)})
		}
	case r.Verdict == tools.Approve:
		if c.a.ApprovalsChannel != "" {
			list = append(list, copyTo{c.a.ApprovalsChannel, roleApprovers})
		} else {
			list = append(list, c.each(r)...)
		}
		if requester != "" && r.Caller.Surface == tools.Slack {
			list = append(list, copyTo{requester, roleRequester})
		}
	}
	return list
}

// roleOf is the requester's role on his own copy.
func (c *cards) roleOf(r tools.Approval) role {
	if r.Verdict == tools.Confirm {
		return roleConfirm
	}
	return roleRequester
}

// requester is the Slack user who asked: the one who typed or, when it came from
// elsewhere, the first that the person has.
func (c *cards) requester(r tools.Approval) string {
	if user, ok := c.a.userOf(r.Caller.Identity); ok {
		return user
	}
	if users := c.a.usersOf(r.Requester); len(users) > 0 {
		return users[0]
	}
	return ""
}

// each are the deciders one by one, where there is no channel for them.
func (c *cards) each(r tools.Approval) []copyTo {
	var list []copyTo
	for _, name := range c.a.Deciders(r) {
		for _, user := range c.a.usersOf(name) {
			if len(list) < 10 {
				list = append(list, copyTo{user, roleApprovers})
			}
		}
	}
	return list
}

// post posts the copies that are not there yet, each once. A channel that takes
// none leaves the deciders' direct messages.
func (c *cards) post(ctx context.Context, r tools.Approval) error {
	var failed error
	for _, to := range c.copies(r) {
		err := c.postOne(ctx, r, to)
		if err == nil {
			continue
		}
		if to.to != c.a.ApprovalsChannel {
			failed = errors.Join(failed, err)
			continue
		}
		c.a.health.failed(err)
		c.a.Log.Error("slack approvals channel takes no card", "channel", to.to, "error", err)
		for _, other := range c.each(r) {
			if err := c.postOne(ctx, r, other); err != nil {
				failed = errors.Join(failed, err)
			}
		}
	}
	return failed
}

func (c *cards) postOne(ctx context.Context, r tools.Approval, to copyTo) error {
	key := "slack/card/" + r.ID + "/" + to.to
	first, err := c.a.Deliveries.Begin(ctx, key, rememberFor)
	if err != nil || !first {
		return err
	}
	ctx, cancel := whole(ctx)
	defer cancel()
	at, err := c.a.send(ctx, to.to, c.a.card(ctx, r, to.role))
	switch {
	case errors.Is(err, errMaybeSent):
		// A second one could be a second card. If this one is there, the first
		// click on it makes it known; if not, the request stands in the Home tab.
		c.a.Log.Error("slack card may not be posted", "id", r.ID, "to", to.to, "error", err)
		return nil
	case err != nil:
		return errors.Join(err, c.a.Deliveries.Release(ctx, key))
	}
	return c.a.Messages.Save(ctx, Message{Kind: kindApproval, Subject: r.ID, Channel: at.Channel, TS: at.TS, State: string(r.State)})
}

// repair edits one copy. One that Slack no longer has is forgotten.
func (c *cards) repair(ctx context.Context, r tools.Approval, m Message) error {
	at := ref{Channel: m.Channel, TS: m.TS}
	err := c.a.edit(ctx, at, c.a.card(ctx, r, c.roleIn(ctx, r, m.Channel)))
	switch refusal(err) {
	case "message_not_found", "channel_not_found", "cant_update_message", "is_inactive", "edit_window_closed":
		return c.a.Messages.Forget(ctx, m.Channel, m.TS)
	}
	if err != nil {
		return err
	}
	m.State = string(r.State)
	return c.a.Messages.Save(ctx, m)
}

// roleIn is whose copy stands in a channel.
func (c *cards) roleIn(ctx context.Context, r tools.Approval, channel string) role {
	if user := c.requester(r); user != "" && strings.HasPrefix(channel, "D") {
		if dm, err := c.a.who.direct(ctx, user); err == nil && dm == channel {
			return c.roleOf(r)
		}
	}
	return roleApprovers
}

// tellOutcome tells the requester, once, how it ended, in the place where he
// typed it. Who asked from elsewhere is told there.
func (c *cards) tellOutcome(ctx context.Context, r tools.Approval) {
	if r.Caller.Surface != tools.Slack || r.State == tools.StateWithdrawn {
		return
	}
	user := c.requester(r)
	if user == "" {
		return
	}
	first, err := c.a.Deliveries.Begin(ctx, "slack/outcome/"+r.ID+"/"+string(r.State), rememberFor)
	if err != nil || !first {
		return
	}
	p := c.placeOf(r.ID)
	if p == nil {
		p = &place{channel: r.Caller.Channel, who: person{User: user, Caller: r.Caller}}
	}
	c.a.tell(ctx, p, c.a.outcomeOf(r))
}
