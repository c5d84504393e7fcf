package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	Said     []string     // the server's own words
	Next     []tools.Next // what can be done: a look at the result, another run
	Ended    bool         // it is over; Headline says how
	Lost     bool         // with Ended: nobody can tell how
}

const actMute = "mute"

// muteFor are the choices of the menu.
var muteFor = []struct {
	value, label string
	d            time.Duration
}{
	{"1h", "Mute for an hour", time.Hour}, {"8h", "Mute for 8 hours", 8 * time.Hour},
	{"24h", "Mute for a day", 24 * time.Hour}, {"168h", "Mute for a week", 7 * 24 * time.Hour}, {"0", "Unmute", 0},
}

// shown is what a problem's message shows. It is kept as the State of the message:
// what is told again alike is not edited, and a bot that is restarted knows what
// stands there.
type shown struct {
	Problem Problem   `json:"problem"`
	Since   time.Time `json:"since"`
	Muted   time.Time `json:"muted,omitzero"` // until when; zero when it is not, or no longer
}

func (a *Adapter) shows(p Problem, alert Alert) (shown, string, error) {
	s := shown{Problem: p, Since: alert.Since}
	if a.Now().Before(alert.MutedUntil) {
		s.Muted = alert.MutedUntil
	}
	state, err := json.Marshal(s)
	return s, string(state), err
}

// showed reads the State of a message.
func showed(m Message) (s shown, ok bool) {
	return s, json.Unmarshal([]byte(m.State), &s) == nil
}

// problems tells each problem in one message and edits it.
type problems struct {
	a *Adapter

	mu      sync.Mutex
	waiting map[string]Problem // by key, the newest word on each
	wake    chan struct{}
	untold  int // how many could not be told at the last turn

	digesting atomic.Bool
}

func newProblems(a *Adapter) *problems {
	return &problems{a: a, waiting: map[string]Problem{}, wake: make(chan struct{}, 1)}
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
	if newest {
		s.turn()
	}
}

// turn makes run look at once.
func (s *problems) turn() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *problems) behind() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.untold
}

func (s *problems) run(ctx context.Context) error {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		s.mu.Lock()
		list := s.waiting
		s.waiting = map[string]Problem{}
		s.mu.Unlock()
		untold := 0
		// What is there comes before what is over: a backup that fails no longer and
		// warns instead is not well again.
		inOrder := slices.SortedFunc(maps.Values(list), func(a, b Problem) int {
			if a.Ended == b.Ended {
				return strings.Compare(a.Key, b.Key)
			}
			if a.Ended {
				return 1
			}
			return -1
		})
		for _, p := range inOrder {
			if err := s.tell(ctx, p); err != nil && ctx.Err() == nil {
				untold++
				s.a.health.failed(err)
				s.a.Log.Warn("slack alert not told yet", "problem", p.Key, "error", err)
				s.put(p, false) // the next turn tries again, with what is newest by then
			}
		}
		s.mu.Lock()
		s.untold = untold
		s.mu.Unlock()
		s.tend(ctx)
		s.digest()
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
	now, state, err := s.a.shows(p, alert)
	if err != nil {
		return err
	}
	for _, m := range posted {
		if m.State == state {
			continue
		}
		if err := s.rewrite(ctx, m, s.a.alertMessage(now), state); err != nil {
			return err
		}
	}
	channel := s.a.alertChannel(p.Severity.String())
	if len(posted) > 0 || channel == "" || !now.Muted.IsZero() {
		return nil
	}
	return s.post(ctx, now, channel, state)
}

func (s *problems) post(ctx context.Context, now shown, channel, state string) error {
	key := fmt.Sprintf("slack/alert/%s/%d", now.Problem.Key, now.Since.UnixMilli())
	first, err := s.a.Deliveries.Begin(ctx, key, 30*24*time.Hour)
	if err != nil || !first {
		return err
	}
	ctx, cancel := whole(ctx)
	defer cancel()
	at, err := s.a.send(ctx, channel, s.a.alertMessage(now))
	switch {
	case errors.Is(err, errMaybeSent):
		s.a.Log.Error("slack alert may not be posted", "problem", now.Problem.Key, "error", err)
		return nil
	case err != nil:
		return errors.Join(err, s.a.Deliveries.Release(ctx, key))
	}
	return s.a.Messages.Save(ctx, Message{Kind: kindAlert, Subject: now.Problem.Key, Channel: at.Channel, TS: at.TS, State: state})
}

// rewrite edits a message; one that is gone is forgotten.
func (s *problems) rewrite(ctx context.Context, m Message, to message, state string) error {
	err := s.a.edit(ctx, ref{Channel: m.Channel, TS: m.TS}, to)
	switch refusal(err) {
	case "message_not_found", "channel_not_found", "cant_update_message", "is_inactive", "edit_window_closed":
		return s.a.Messages.Forget(ctx, m.Channel, m.TS)
	}
	if err != nil {
		return err
	}
	m.State = state
	return s.a.Messages.Save(ctx, m)
}

// over says in the message that the problem is, and lets it rest: should it come
// again, it is told anew.
func (s *problems) over(ctx context.Context, p Problem, posted []Message) error {
	if _, err := s.a.Alerts.Resolve(ctx, p.Key); err != nil {
		return err
	}
	others, err := s.a.Alerts.Open(ctx)
	if err != nil {
		return err
	}
	for _, m := range posted {
		was, known := showed(m)
		since := m.Posted
		v := tools.View{Headline: p.Headline, Tone: tools.Good, Facts: p.Facts, Next: p.Next}
		if known {
			v.Headline, since = "Over: "+was.Problem.Headline, was.Since
			v.Notes = append(v.Notes, p.Headline)
		}
		times := "It was there from %s to %s."
		switch {
		case p.Lost:
			v.Tone, times = tools.Unclear, "It was noticed %s, and let go %s."
		case slices.ContainsFunc(others, func(o Alert) bool { return o.Server == p.Server && o.Backup == p.Backup }):
			v.Tone = tools.Notice
		}
		v.Notes = append(v.Notes, fmt.Sprintf(times, stamp(since), stamp(s.a.Now())))
		if err := s.rewrite(ctx, m, viewMessage(v), "over"); err != nil {
			return err
		}
		if err := s.a.Messages.Forget(ctx, m.Channel, m.TS); err != nil {
			return err
		}
	}
	return nil
}

// tend keeps the messages of open problems right as time goes by: a mute is set
// or ends, a reminder is due.
func (s *problems) tend(ctx context.Context) {
	open, err := s.a.Alerts.Open(ctx)
	if err != nil {
		s.unread(ctx, err)
		return
	}
	for _, alert := range open {
		posted, err := s.a.Messages.About(ctx, kindAlert, alert.Problem)
		if err != nil {
			s.unread(ctx, err)
			return
		}
		for _, m := range posted {
			was, known := showed(m)
			now, state, err := s.a.shows(was.Problem, alert)
			if !known || err != nil || now.Muted.Equal(was.Muted) {
				continue
			}
			if err := s.rewrite(ctx, m, s.a.alertMessage(now), state); err != nil {
				s.a.Log.Warn("slack alert not edited yet", "problem", alert.Problem, "error", err)
			}
		}
		s.remind(ctx, alert, posted)
	}
}

func (s *problems) unread(ctx context.Context, err error) {
	if ctx.Err() == nil {
		s.a.Log.Error("slack problems not read", "error", err)
	}
}

// alertMessage is a problem with what can be done about it.
func (a *Adapter) alertMessage(s shown) message {
	p := s.Problem
	v := tools.View{Headline: p.Headline, Tone: p.Severity, Facts: p.Facts, Next: p.Next}
	v.Notes = append(v.Notes, "Noticed "+stamp(s.Since))
	if !s.Muted.IsZero() {
		v.Notes = append(v.Notes, "Muted until "+stamp(s.Muted))
	}
	if len(p.Said) > 0 {
		v.Data = []tools.Quote{{Source: p.Server, Lines: p.Said}}
	}
	m := viewMessage(v)
	id := "problem:" + p.Key
	// Without reminders and a digest there is nothing that a mute would keep quiet.
	if a.Remind <= 0 && a.DigestAt == "" || len(id) > 255 || len(m.Blocks) >= maxBlocks {
		return m
	}
	var options []*slack.OptionBlockObject
	for _, c := range muteFor {
		options = append(options, option(c.value, c.label))
	}
	menu := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plain("Mute", maxHeader), actMute, options...)
	m.Blocks = append(m.Blocks, slack.NewActionBlock(id, menu))
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
		a.problems.turn()
		said := "It is muted until " + stamp(alert.MutedUntil) + ": no reminder comes before then. Its message still says when it is over."
		if choice.d == 0 {
			said = "It is not muted any longer."
		}
		a.tell(ctx, c.place, words(tools.Plain, said))
		return
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
