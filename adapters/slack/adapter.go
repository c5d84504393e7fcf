package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/duplibot/duplibot/tools"
)

// Adapter is the bot in one workspace.
type Adapter struct {
	Options
	api    *api
	door   tools.Door
	desk   tools.Decisions
	health health

	ready chan struct{} // closed once home is known
	home  workspace

	quick *lane // what a person waits for: modals, menus, Home tabs
	calls *lane // calls and decisions, which can take long
	seen  *memory

	who      *people
	channels *rooms
	cards    *cards
	works    *works
	problems *problems

	jobs   sync.WaitGroup // what runs beside the lanes
	jobCtx context.Context
}

// workspace is where the token is at home.
type workspace struct {
	Team, Enterprise, Bot string
}

// principal is the part of an identity that stands before the user's ID.
func (w workspace) principal() string {
	if w.Enterprise != "" {
		return w.Enterprise
	}
	return w.Team
}

// New checks the options. It does not use the network.
func New(o Options) (*Adapter, error) {
	if o.Registry == nil || o.Messages == nil || o.Deliveries == nil || o.Alerts == nil || o.Identities == nil || o.Deciders == nil {
		return nil, errors.New("slack: an incomplete adapter: closed by default")
	}
	if err := o.tokens(); err != nil {
		return nil, err
	}
	if o.DigestAt != "" {
		if _, err := time.Parse("15:04", o.DigestAt); err != nil {
			return nil, fmt.Errorf("slack: the digest's time %q is not like 08:00", o.DigestAt)
		}
		if o.Digest == nil {
			return nil, errors.New("slack: a digest without anybody to ask how the servers are: closed by default")
		}
		if o.AlertChannels["other"] == "" {
			return nil, errors.New("slack: the digest has no channel: set slack.alerts.channels.other, or leave slack.alerts.digest out")
		}
	}
	if o.Connections == 0 {
		o.Connections = 2
	}
	if o.Connections < 1 || o.Connections > 10 {
		return nil, errors.New("slack: connections must be 1 to 10")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.DefaultServer == nil {
		o.DefaultServer = func(string) string { return "" }
	}
	a := &Adapter{Options: o, api: newAPI(o), ready: make(chan struct{}), seen: newMemory()}
	a.quick = newLane("quick", 32, 128)
	a.calls = newLane("calls", 128, 512)
	a.who = newPeople(a)
	a.channels = newRooms(a)
	a.cards = newCards(a)
	a.works = newWorks(a)
	a.problems = newProblems(a)
	return a, nil
}

// tokens refuses tokens of the wrong kind without showing them.
func (o Options) tokens() error {
	if !strings.HasPrefix(o.BotToken.Reveal(), "xoxb-") {
		return errors.New("slack: bot_token must be the Bot User OAuth Token, which begins with xoxb-")
	}
	if o.HTTP && len(o.SigningSecret.Reveal()) < 16 {
		return errors.New("slack: mode http needs signing_secret, from Basic Information of the app")
	}
	if !o.HTTP && !strings.HasPrefix(o.AppToken.Reveal(), "xapp-") {
		return errors.New("slack: app_token must be an App-Level Token with connections:write, which begins with xapp-")
	}
	if o.APIURL == "" {
		return nil
	}
	u, err := url.Parse(o.APIURL)
	if err != nil || u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" && u.Hostname() != "localhost" {
		return errors.New("slack: api_url is for tests and takes a loopback address only")
	}
	return nil
}

// Run works until ctx ends. Before that it returns only what no waiting can
// mend: a token that Slack refuses for good.
func (a *Adapter) Run(ctx context.Context, door tools.Door, desk tools.Decisions) error {
	a.door, a.desk = door, desk
	if err := a.begin(ctx); err != nil {
		return err
	}
	jobCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.jobCtx = jobCtx
	earlier := a.works.shown(ctx) // read before anything new is begun, which is not to be taken for it
	close(a.ready)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.cards.run(ctx) })
	group.Go(func() error { return a.problems.run(ctx) })
	group.Go(func() error { a.works.resume(ctx, earlier); return nil })
	if !a.HTTP {
		for n := range a.Connections {
			group.Go(func() error { return a.listen(ctx, n) })
		}
	}
	err := group.Wait()
	cancel()
	a.quick.wait()
	a.calls.wait()
	a.jobs.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// begin asks Slack who we are, as long as it takes.
func (a *Adapter) begin(ctx context.Context) error {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		me, err := a.api.whoami(ctx)
		if err == nil {
			if me.BotID == "" {
				return errors.New("slack: bot_token belongs to a person and not to the app's bot")
			}
			a.home = workspace{Team: me.TeamID, Enterprise: me.EnterpriseID, Bot: me.UserID}
			a.Log.Info("slack workspace", "team", me.TeamID, "enterprise", me.EnterpriseID, "bot", me.UserID)
			return nil
		}
		if e := fatal(err); e != nil {
			return e
		}
		a.health.failed(err)
		a.Log.Warn("slack cannot be reached", "error", err)
		if pause(ctx, wait) != nil {
			return nil
		}
	}
}

// fatal is an error that no waiting mends, in words; nil for others.
func fatal(err error) error {
	switch code := refusal(err); code {
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired":
		return fmt.Errorf("slack refuses the token (%s): reinstall the app and set the new token", code)
	}
	return nil
}

// background runs f beside the lanes; Run waits for it.
func (a *Adapter) background(f func(ctx context.Context)) {
	a.jobs.Go(func() {
		defer a.recovered("background")
		f(a.jobCtx)
	})
}

// recovered keeps one job's panic from the others and says nothing of what was
// in its hands.
func (a *Adapter) recovered(what string) {
	if v := recover(); v != nil {
		a.Log.Error("slack job panicked", "job", what, "panic", fmt.Sprintf("%T", v))
	}
}

// asError is what a person is told of any error.
func (a *Adapter) asError(err error) *tools.Error {
	var e *tools.Error
	if errors.As(err, &e) {
		return e
	}
	a.Log.Error("slack job failed", "error", err)
	return tools.Errorf(tools.Internal, "something went wrong inside; the log has it")
}
