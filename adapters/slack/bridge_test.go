package slack_test

import (
	"context"
	"time"

	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/store"
)

// The adapter may not import the store and the store may not import the adapter:
// these few lines stand between them, here and in the binary.

type messages struct{ *store.Messages }

func (m messages) Save(ctx context.Context, s slack.Message) error {
	return m.Messages.Save(ctx, store.Message{Kind: store.MessageKind(s.Kind), Subject: s.Subject, Channel: s.Channel, TS: s.TS, State: s.State})
}

func (m messages) About(ctx context.Context, kind, subject string) ([]slack.Message, error) {
	return posted(m.Messages.About(ctx, store.MessageKind(kind), subject))
}

func (m messages) Outdated(ctx context.Context) ([]slack.Message, error) {
	return posted(m.Messages.Outdated(ctx))
}

func posted(list []store.Message, err error) ([]slack.Message, error) {
	var out []slack.Message
	for _, m := range list {
		out = append(out, slack.Message{Kind: string(m.Kind), Subject: m.Subject, Channel: m.Channel, TS: m.TS, State: m.State, Posted: m.Posted})
	}
	return out, err
}

type deliveries struct{ *store.Deliveries }

func (d deliveries) Begin(ctx context.Context, id string, keep time.Duration) (bool, error) {
	_, first, err := d.Deliveries.Begin(ctx, id, keep)
	return first, err
}

type alerts struct{ *store.Alerts }

func (a alerts) See(ctx context.Context, p slack.Alert) (slack.Alert, error) {
	now, _, err := a.Alerts.See(ctx, store.Alert{Problem: p.Problem, Severity: p.Severity, Server: p.Server, Backup: p.Backup, Summary: p.Summary})
	return alert(now), err
}

func (a alerts) Resolve(ctx context.Context, problem string) (bool, error) {
	_, resolved, err := a.Alerts.Resolve(ctx, problem)
	return resolved, err
}

func (a alerts) Mute(ctx context.Context, problem string, until time.Time) (slack.Alert, error) {
	now, err := a.Alerts.Mute(ctx, problem, until)
	return alert(now), err
}

func (a alerts) Open(ctx context.Context) ([]slack.Alert, error) {
	list, err := a.Alerts.Open(ctx, "")
	var out []slack.Alert
	for _, p := range list {
		out = append(out, alert(p))
	}
	return out, err
}

func alert(a store.Alert) slack.Alert {
	return slack.Alert{Problem: a.Problem, Severity: a.Severity, Server: a.Server, Backup: a.Backup, Summary: a.Summary, Since: a.Since, MutedUntil: a.MutedUntil}
}
