package slack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/duplibot/duplibot/tools"
)

// Problem is something that people are told about, from its beginning to its
// end. The same problem has the same Key.
type Problem struct {
	Key      string     // "nas/3/overdue"
	Severity tools.Tone // Bad, Warning, Unclear or Notice
	Server   string
	Backup   string // ID
	Headline string
	Facts    []tools.Fact
	Next     []tools.Next // what can be done: a look at the result, another run
	Ended    bool         // it is over; Headline says how
}

const actMute = "mute"

// muteFor are the choices of the menu.
var muteFor = []struct {
	value, label string
	d            time.Duration
}{
	{"1h", "Mute for an hour", time.Hour}, {"8h", "Mute for eight hours", 8 * time.Hour},
	{"24h", "Mute for a day", 24 * time.Hour}, {"168h", "Mute for a week", 7 * 24 * time.Hour}, {"0", "Do not mute any longer", 0},
}

// problems tells each problem in one message and edits it.
type problems struct {
	a *Adapter

	mu      sync.Mutex
	waiting map[string]Problem // by key, the newest word on each
	wake    chan struct{}
	last    map[string]Problem // what the message of an open problem shows
}

func newProblems(a *Adapter) *problems {
	return &problems{a: a, waiting: map[string]Problem{}, wake: make(chan struct{}, 1), last: map[string]Problem{}}
}

// Alert tells of a problem, or that it is over. It returns at once; told again
// what is known, it changes nothing.
func (a *Adapter) Alert(p Problem) {
	if p.Key == "" {
		return
	}
	a.problems.put(p, true)
}

func (s *problems) put(p Problem, newest bool) {
	s.mu.Lock()
	if _, there := s.waiting[p.Key]; newest || !there {
		s.waiting[p.Key] = p
	}
	s.mu.Unlock()
	if !newest {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *problems) run(ctx context.Context) error {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		s.mu.Lock()
		list := s.waiting
		s.waiting = map[string]Problem{}
		s.mu.Unlock()
		for _, p := range list {
			if err := s.tell(ctx, p); err != nil && ctx.Err() == nil {
				s.a.health.failed(err)
				s.a.Log.Warn("slack alert not told yet", "problem", p.Key, "error", err)
				s.put(p, false) // the next turn tries again, with what is newest by then
			}
		}
		s.remind(ctx)
		s.digest(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.wake:
		}
	}
}

// channel is where problems of a severity are told, "" for nowhere.
func (a *Adapter) alertChannel(severity string) string {
	if c, ok := a.AlertChannels[severity]; ok {
		return c
	}
	return a.AlertChannels["other"]
}

// tell sees to it that one problem has one message and that it is right.
func (s *problems) tell(ctx context.Context, p Problem) error {
	posted, err := s.a.Messages.About(ctx, kindAlert, p.Key)
	if err != nil {
		return err
	}
	if p.Ended {
		return s.over(ctx, p, posted)
	}
	alert, err := s.a.Alerts.See(ctx, Alert{Problem: p.Key, Severity: p.Severity.String(), Server: p.Server, Backup: p.Backup, Summary: line(p.Headline)})
	if err != nil {
		return err
	}
	shows := alertState(p, alert, s.a.Now())
	for _, m := range posted {
		if m.State == shows {
			continue
		}
		if err := s.rewrite(ctx, m, s.a.alertMessage(p, alert), shows); err != nil {
			return err
		}
	}
	s.keep(p)
	channel := s.a.alertChannel(p.Severity.String())
	if len(posted) > 0 || channel == "" || s.a.Now().Before(alert.MutedUntil) {
		return nil
	}
	return s.post(ctx, p, alert, channel, shows)
}

func (s *problems) keep(p Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[p.Key] = p
}

// alertState is what a message shows, short: a problem told a hundred times
// alike is edited never.
func alertState(p Problem, alert Alert, now time.Time) string {
	words := p.Severity.String() + " " + p.Headline
	for _, f := range p.Facts {
		words += "\n" + f.Name + f.Value
	}
	if now.Before(alert.MutedUntil) {
		words += "\nmuted " + stamp(alert.MutedUntil)
	}
	return deliveryKey("", []byte(words))
}

func (s *problems) post(ctx context.Context, p Problem, alert Alert, channel, shows string) error {
	key := fmt.Sprintf("slack/alert/%s/%d", p.Key, alert.Since.UnixMilli())
	first, err := s.a.Deliveries.Begin(ctx, key, 30*24*time.Hour)
	if err != nil || !first {
		return err
	}
	ctx, cancel := whole(ctx)
	defer cancel()
	at, err := s.a.send(ctx, channel, s.a.alertMessage(p, alert))
	switch {
	case errors.Is(err, errMaybeSent):
		s.a.Log.Error("slack alert may not be posted", "problem", p.Key, "error", err)
		return nil
	case err != nil:
		return errors.Join(err, s.a.Deliveries.Release(ctx, key))
	}
	return s.a.Messages.Save(ctx, Message{Kind: kindAlert, Subject: p.Key, Channel: at.Channel, TS: at.TS, State: shows})
}

// rewrite edits a message; one that is gone is forgotten.
func (s *problems) rewrite(ctx context.Context, m Message, to message, shows string) error {
	err := s.a.edit(ctx, ref{Channel: m.Channel, TS: m.TS}, to)
	switch refusal(err) {
	case "message_not_found", "channel_not_found", "cant_update_message", "is_inactive", "edit_window_closed":
		return s.a.Messages.Forget(ctx, m.Channel, m.TS)
	}
	if err != nil {
		return err
	}
	m.State = shows
	return s.a.Messages.Save(ctx, m)
}

// over says in the message that the problem is, and lets it rest: should it come
// again, it is told anew.
func (s *problems) over(ctx context.Context, p Problem, posted []Message) error {
	if _, err := s.a.Alerts.Resolve(ctx, p.Key); err != nil {
		return err
	}
	s.mu.Lock()
	before := s.last[p.Key]
	delete(s.last, p.Key)
	s.mu.Unlock()
	for _, m := range posted {
		v := tools.View{Headline: p.Headline, Tone: tools.Good, Facts: p.Facts, Next: p.Next}
		if before.Headline != "" {
			v.Notes = append(v.Notes, "Before: "+before.Headline)
		}
		v.Notes = append(v.Notes, fmt.Sprintf("It was there from %s to %s.", stamp(m.Posted), stamp(s.a.Now())))
		if err := s.rewrite(ctx, m, viewMessage(v), "over"); err != nil {
			return err
		}
		if err := s.a.Messages.Forget(ctx, m.Channel, m.TS); err != nil {
			return err
		}
	}
	return nil
}

// alertMessage is a problem with what can be done about it.
func (a *Adapter) alertMessage(p Problem, alert Alert) message {
	v := tools.View{Headline: p.Headline, Tone: p.Severity, Facts: p.Facts, Next: p.Next}
	if !alert.Since.IsZero() {
		v.Notes = append(v.Notes, "Since "+stamp(alert.Since))
	}
	if a.Now().Before(alert.MutedUntil) {
		v.Notes = append(v.Notes, "Muted until "+stamp(alert.MutedUntil))
	}
	m := viewMessage(v)
	var options []*slack.OptionBlockObject
	for _, c := range muteFor {
		options = append(options, option(c.value, c.label))
	}
	menu := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plain("Mute until …", maxHeader), actMute, options...)
	id := "problem:" + p.Key
	if len(id) <= 255 && len(m.Blocks) < maxBlocks {
		m.Blocks = append(m.Blocks, slack.NewActionBlock(id, menu))
	}
	return m
}

// clickMute keeps a problem quiet for a time. Who may change things may do that.
func (a *Adapter) clickMute(ctx context.Context, c click) {
	c.replace = false
	c.who = a.who.identify(ctx, c.user, c.team, c.channel, true)
	if c.who.refusal != nil {
		a.tell(ctx, c.place, failure(c.who.refusal))
		return
	}
	if !a.mayChange(ctx, c.who) {
		a.tell(ctx, c.place, failure(tools.Errorf(tools.Denied, "only who may change something on the servers can mute a problem; it was not muted")))
		return
	}
	key := strings.TrimPrefix(c.action.BlockID, "problem:")
	for _, choice := range muteFor {
		if choice.value != c.action.SelectedOption.Value {
			continue
		}
		alert, err := a.Alerts.Mute(ctx, key, a.Now().Add(choice.d))
		if err != nil {
			a.tell(ctx, c.place, failure(a.asError(err)))
			return
		}
		a.Log.Info("slack problem muted", "problem", key, "by", c.who.Identity, "until", alert.MutedUntil)
		a.problems.again(alert)
		said := "It is muted until " + stamp(alert.MutedUntil) + ". When it ends, its message says so."
		if choice.d == 0 {
			said = "It is not muted any longer."
		}
		a.tell(ctx, c.place, words(tools.Plain, said))
		return
	}
}

// again brings a problem's message up to date.
func (s *problems) again(alert Alert) {
	s.mu.Lock()
	p, ok := s.last[alert.Problem]
	s.mu.Unlock()
	if ok {
		s.put(p, true)
	}
}

// mayChange reports whether somebody may ask for anything but looking.
func (a *Adapter) mayChange(ctx context.Context, who person) bool {
	ops, err := a.door.Operations(ctx, who.Caller)
	if err != nil {
		return false
	}
	for _, op := range ops {
		if op.Risk > tools.Read {
			return true
		}
	}
	return false
}
