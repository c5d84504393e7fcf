package slack_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

const team = "T0001"

// rig is a bot with a whole gate in a fake Slack with people in it.
type rig struct {
	*slacktest.Server
	t    testing.TB
	gate *toolstest.Gate
	bot  *slack.Adapter
	stop func()

	ann, bob, vera, olaf slacktest.User
	nas, approve         slacktest.Channel
	pages                *pages
	options              slack.Options
}

type setup struct {
	slack   slacktest.Options
	gate    []toolstest.Option
	people  []tools.Person
	groups  []tools.Group
	options func(*slack.Options)
}

// newRig starts it all. The bot stops with the test.
func newRig(t testing.TB, s setup) *rig {
	t.Helper()
	s.slack.TeamID = team
	manifest, err := slack.Manifest(slack.ManifestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s.slack.Manifest == nil {
		s.slack.Manifest = manifest
	}
	r := &rig{Server: slacktest.New(t, s.slack), t: t, pages: &pages{}}
	r.ann = r.AddUser(slacktest.User{ID: "U0ANN", Name: "ann"})
	r.bob = r.AddUser(slacktest.User{ID: "U0BOB", Name: "bob"})
	r.vera = r.AddUser(slacktest.User{ID: "U0VERA", Name: "vera"})
	r.olaf = r.AddUser(slacktest.User{ID: "U0OLAF", Name: "olaf"})
	everybody := []string{r.ann.ID, r.bob.ID, r.vera.ID, r.olaf.ID, r.BotUserID()}
	r.nas = r.AddChannel(slacktest.Channel{ID: "C0NAS", Name: "nas", Members: everybody})
	r.approve = r.AddChannel(slacktest.Channel{ID: "C0APPROVE", Name: "approvals", Members: everybody})
	r.start(s)
	return r
}

// start makes a gate and a bot, as a process does.
func (r *rig) start(s setup) {
	r.t.Helper()
	if s.people == nil {
		s.people = toolstest.Usual
	}
	late := &lateBot{}
	gate := toolstest.New(r.t, append([]toolstest.Option{
		toolstest.WithPeople(s.people, s.groups...), toolstest.WithPages(),
		toolstest.WithNotifier(late), toolstest.WithMemberships(late),
	}, s.gate...)...)
	o := slack.Options{
		BotToken: secret.New(r.BotToken()), AppToken: secret.New(r.AppToken()), SigningSecret: secret.New(r.SigningSecret()), APIURL: r.APIURL(),
		Registry: gate.Registry, Messages: messages{gate.DB.Messages}, Deliveries: deliveries{gate.DB.Deliveries}, Alerts: alerts{gate.DB.Alerts},
		Pages: r.pages, ApprovalsChannel: r.approve.ID, AlertChannels: map[string]string{"other": r.nas.ID},
		Groups: s.groups, Deciders: gate.Policy.Deciders, Now: gate.Clock.Now,
		Identities: func(name string) []tools.Identity {
			for _, p := range s.people {
				if p.Name == name {
					return p.Identities
				}
			}
			return nil
		},
		Log: slog.New(slog.NewTextHandler(&testLog{t: r.t}, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
	if s.options != nil {
		s.options(&o)
	}
	bot, err := slack.New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	late.set(bot)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- bot.Run(ctx, gate.Runner, gate.Desk) }()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					r.t.Errorf("the bot ended with %v", err)
				}
			case <-time.After(30 * time.Second):
				r.t.Error("the bot did not end")
			}
		})
	}
	r.t.Cleanup(r.stop)
	r.gate, r.bot, r.options = gate, bot, o
	if !o.HTTP {
		r.WaitConnections(2)
	}
}

// restart ends the bot and starts another on the same store.
func (r *rig) restart(s setup) {
	r.t.Helper()
	r.stop()
	s.gate = append(s.gate, toolstest.After(r.gate))
	r.gate.DB.Close()
	r.start(s)
}

// lateBot is the bot for a gate that is made before it.
type lateBot struct {
	mu  sync.Mutex
	bot *slack.Adapter
}

func (l *lateBot) set(b *slack.Adapter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bot = b
}

func (l *lateBot) get() *slack.Adapter {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bot
}

func (l *lateBot) Notify(a tools.Approval) { l.get().Notify(a) }

func (l *lateBot) Groups(ctx context.Context, id tools.Identity) ([]tools.Identity, error) {
	return l.get().Groups(ctx, id)
}

// pages are one-time pages that only have addresses.
type pages struct {
	mu    sync.Mutex
	made  []string
	noWay bool // no link may leave for Slack
}

func (p *pages) page(what string) (slack.Page, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made = append(p.made, what)
	page := slack.Page{Link: "https://bot.example/p/" + fmt.Sprint(len(p.made)), Code: fmt.Sprintf("314-15%d", len(p.made)), Expires: time.Now().Add(10 * time.Minute)}
	if p.noWay {
		page.Link = ""
	}
	return page, nil
}

func (p *pages) Enter(_ context.Context, a tools.Approval) (slack.Page, error) {
	return p.page("enter " + a.ID)
}

func (p *pages) Show(_ context.Context, c tools.Caller, handle string) (slack.Page, error) {
	if handle == "" {
		return slack.Page{}, errors.New("no handle")
	}
	return p.page("show " + string(c.Identity) + " " + handle)
}

// testLog writes to the test's log while the test runs.
type testLog struct {
	t  testing.TB
	mu sync.Mutex
}

func (l *testLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if testing.Verbose() && l.t.Context().Err() == nil {
		l.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

var _ io.Writer = (*testLog)(nil)

// request asks for the toy that destroys Photos and returns its card in the
// approvals channel.
func (r *rig) request(by slacktest.User) slacktest.Message {
	r.t.Helper()
	r.Slash(by.ID, r.nas.ID, "destroy Photos").Acked()
	return r.WaitMessage(r.approve.ID, slacktest.Offering("approve"), slacktest.Saying("Photos"))
}

// approveTyping presses Approve and types the phrase.
func (r *rig) approveTyping(card slacktest.Message, by slacktest.User, phrase string) {
	r.t.Helper()
	r.Click(card, "approve", by.ID).Acked()
	form := r.WaitModal(by.ID, func(v slacktest.View) bool { _, ok := v.Element("phrase"); return ok })
	r.Submit(form, map[string]any{"phrase": phrase}, by.ID).Acked()
}
