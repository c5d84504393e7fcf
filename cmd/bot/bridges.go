package main

import (
	"context"
	"time"

	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/adapters/web"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/watch"
)

// Adapters may not import the store, and the store may not import them: these
// few lines stand between.

type slackMessages struct{ *store.Messages }

func (m slackMessages) Save(ctx context.Context, s slack.Message) error {
	return m.Messages.Save(ctx, store.Message{Kind: store.MessageKind(s.Kind), Subject: s.Subject, Channel: s.Channel, TS: s.TS, State: s.State})
}

func (m slackMessages) About(ctx context.Context, kind, subject string) ([]slack.Message, error) {
	return posted(m.Messages.About(ctx, store.MessageKind(kind), subject))
}

func (m slackMessages) Outdated(ctx context.Context) ([]slack.Message, error) {
	return posted(m.Messages.Outdated(ctx))
}

func posted(list []store.Message, err error) ([]slack.Message, error) {
	out := make([]slack.Message, len(list))
	for i, m := range list {
		out[i] = slack.Message{Kind: string(m.Kind), Subject: m.Subject, Channel: m.Channel, TS: m.TS, State: m.State, Posted: m.Posted}
	}
	return out, err
}

type slackDeliveries struct{ *store.Deliveries }

func (d slackDeliveries) Begin(ctx context.Context, id string, keep time.Duration) (bool, error) {
	_, first, err := d.Deliveries.Begin(ctx, id, keep)
	return first, err
}

type slackAlerts struct{ *store.Alerts }

func (a slackAlerts) See(ctx context.Context, p slack.Alert) (slack.Alert, error) {
	now, _, err := a.Alerts.See(ctx, store.Alert{Problem: p.Problem, Severity: p.Severity, Server: p.Server, Backup: p.Backup, Summary: p.Summary})
	return slackAlert(now), err
}

func (a slackAlerts) Resolve(ctx context.Context, problem string) (bool, error) {
	_, resolved, err := a.Alerts.Resolve(ctx, problem)
	return resolved, err
}

func (a slackAlerts) Mute(ctx context.Context, problem string, until time.Time) (slack.Alert, error) {
	now, err := a.Alerts.Mute(ctx, problem, until)
	return slackAlert(now), err
}

func (a slackAlerts) Open(ctx context.Context) ([]slack.Alert, error) {
	list, err := a.Alerts.Open(ctx, "")
	out := make([]slack.Alert, len(list))
	for i, p := range list {
		out[i] = slackAlert(p)
	}
	return out, err
}

func slackAlert(a store.Alert) slack.Alert {
	return slack.Alert{Problem: a.Problem, Severity: a.Severity, Server: a.Server, Backup: a.Backup, Summary: a.Summary, Since: a.Since, MutedUntil: a.MutedUntil}
}

// slackPages offers one-time pages in Slack. A link leaves for Slack only when
// it is https, or leads to this host.
type slackPages struct{ *web.Server }

func (p slackPages) Enter(ctx context.Context, a tools.Approval) (slack.Page, error) {
	o, err := p.Server.Enter(ctx, a)
	return p.page(o), err
}

func (p slackPages) Show(ctx context.Context, c tools.Caller, handle string) (slack.Page, error) {
	o, err := p.Server.Show(ctx, c, handle)
	return p.page(o), err
}

func (p slackPages) page(o web.Opened) slack.Page {
	if !p.Public() {
		o.Link = ""
	}
	return slack.Page{Link: o.Link, Code: o.Code.Reveal(), Expires: o.Expires}
}

// slackProblem is a watcher's problem as Slack tells it.
func slackProblem(p watch.Problem) slack.Problem {
	out := slack.Problem{
		Key: p.Key, Severity: toneOf(p.Severity), Server: p.Server, Backup: p.Backup,
		Headline: p.Headline, Facts: p.Facts, Said: p.Said, Next: p.Next, Ended: p.Over(), Lost: p.Lost,
	}
	if p.Over() && p.End != "" {
		out.Headline = p.End
	}
	return out
}

func toneOf(severity string) tools.Tone {
	for _, t := range []tools.Tone{tools.Bad, tools.Warning, tools.Notice, tools.Unclear} {
		if t.String() == severity {
			return t
		}
	}
	return tools.Unclear
}

// webPages keeps one-time pages in the store.
type webPages struct{ *store.Pages }

func (p webPages) Create(ctx context.Context, page web.Page) error {
	return p.Pages.Create(ctx, store.Page{
		ID: page.ID, Approval: page.Approval, Slot: page.Slot, Kind: store.PageKind(page.Kind), Link: page.Link, Code: page.Code,
		Person: page.Person, Created: page.Created, Expires: page.Expires,
	})
}

func (p webPages) ByLink(ctx context.Context, link string) (web.Page, error) {
	return webPage(p.Pages.ByLink(ctx, link))
}

func (p webPages) Use(ctx context.Context, link, code string) (web.Page, error) {
	return webPage(p.Pages.Use(ctx, link, code))
}

func (p webPages) Of(ctx context.Context, approval string) ([]web.Page, error) {
	list, err := p.Pages.Of(ctx, approval)
	out := make([]web.Page, len(list))
	for i, page := range list {
		out[i], _ = webPage(page, nil)
	}
	return out, err
}

func (p webPages) Close(ctx context.Context, approval string) error {
	_, err := p.Pages.Close(ctx, approval)
	return err
}

func webPage(p store.Page, err error) (web.Page, error) {
	return web.Page{
		ID: p.ID, Approval: p.Approval, Slot: p.Slot, Kind: web.Kind(p.Kind), Link: p.Link, Code: p.Code,
		Person: p.Person, Created: p.Created, Expires: p.Expires, Used: p.Used, Tries: p.Tries,
	}, err
}
