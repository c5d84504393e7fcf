package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/duplibot/duplibot/adapters/mcp"
	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/adapters/web"
	"github.com/duplibot/duplibot/config"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/watch"
)

// slackPath is where Slack's requests come in, in HTTP mode.
const slackPath = "/slack"

// listeners starts what the config names beside the socket. It returns the
// gate that all of them lead to, and says in words what they are.
func (b *bot) listeners(ctx context.Context, db *store.DB, group *errgroup.Group) (door tools.Door, said string, err error) {
	parts := []string{"socket"}
	var pages *web.Server
	var chat *slack.Adapter
	// The pages need the adapter's handler, and the adapter the pages.
	late := &latePages{}
	also := map[string]http.Handler{}
	if b.cfg.Slack != nil {
		o, err := b.slackOptions(ctx, db, late)
		if err != nil {
			return nil, "", err
		}
		if o.Digest, err = b.digest(); err != nil {
			return nil, "", err
		}
		if chat, err = slack.New(o); err != nil {
			return nil, "", err
		}
		if o.HTTP {
			also[slackPath] = chat.Handler()
		}
		b.members.of = chat
		for _, c := range b.cfg.Slack.Channels {
			b.servers.byChannel[c.ID] = c.Server
		}
		b.notify.add(chat)
	}
	door = reporting{b.runner, chat}
	if w := b.cfg.Web; w != nil {
		if pages, err = web.New(web.Options{
			Desk: b.desk, Pages: webPages{db.Pages}, Registry: b.registry, Key: b.keys.Fingerprint,
			Listen: w.Listen, URL: w.URL, CertFile: w.TLS.CertFile, KeyFile: w.TLS.KeyFile,
			Also: also, Log: b.log, Name: func(c tools.Caller) string { return b.people.Who(c).Name },
		}); err != nil {
			return nil, "", err
		}
		late.pages = &slackPages{pages}
		b.admin.code, b.admin.link = pages.Code, pages.Link
		l, err := net.Listen("tcp", w.Listen)
		if err != nil {
			return nil, "", fmt.Errorf("web.listen: %w", err)
		}
		group.Go(func() error { return pages.Serve(ctx, l) })
		parts = append(parts, "pages")
	}
	o := mcpOptions(door, b.cfg, b.registry, b.log)
	if pages != nil {
		o.Pages = pages
	}
	assistants, err := mcp.New(o)
	if err != nil {
		return nil, "", err
	}
	b.notify.add(changes{assistants})
	if b.cfg.MCP.HTTP != nil {
		if err := b.serveMCP(ctx, group, assistants); err != nil {
			return nil, "", err
		}
		parts = append(parts, "MCP over HTTP")
	}
	if chat != nil {
		group.Go(func() error { return chat.Run(ctx, door, b.desk) })
		parts = append(parts, "Slack")
	}
	var watcher *watch.Watcher
	if !b.cfg.Watch.Off && (chat != nil || b.cfg.MCP.HTTP != nil) {
		if watcher, err = watch.New(watch.Options{
			Servers: b.servers.names, Clients: b.sessions, Notes: db.Notes,
			Poll: b.cfg.Watch.Poll, Grace: b.cfg.Watch.Grace, Log: b.log,
			Tell: func(p watch.Problem) {
				if chat != nil {
					chat.Alert(slackProblem(p))
				}
			},
			Changed: func(string) { assistants.Changed("servers", "backups", "results") },
		}); err != nil {
			return nil, "", err
		}
		group.Go(func() error { return watcher.Run(ctx) })
		parts = append(parts, "watching")
	}
	if chat != nil {
		group.Go(func() error { b.settleAlerts(ctx, db, chat, watcher); return nil })
	}
	return door, "serving " + strings.Join(parts, ", "), nil
}

// latePages are the pages once they are there.
type latePages struct{ pages *slackPages }

func (l *latePages) Enter(ctx context.Context, a tools.Approval) (slack.Page, error) {
	if l.pages == nil {
		return slack.Page{}, noPages()
	}
	return l.pages.Enter(ctx, a)
}

func (l *latePages) Show(ctx context.Context, c tools.Caller, handle string) (slack.Page, error) {
	if l.pages == nil {
		return slack.Page{}, noPages()
	}
	return l.pages.Show(ctx, c, handle)
}

func noPages() error {
	return tools.Errorf(tools.Unsupported, "this bot serves no one-time pages; nothing was done").WithHint("set web.listen in the config")
}

// slackOptions reads the tokens that the config refers to.
func (b *bot) slackOptions(ctx context.Context, db *store.DB, pages slack.Pages) (slack.Options, error) {
	c := b.cfg.Slack
	o := slack.Options{
		HTTP: c.Mode == "http", APIURL: c.APIURL, Registry: b.registry, ApprovalsChannel: c.ApprovalsChannel,
		AlertChannels: c.Alerts.Channels, Remind: c.Alerts.Remind, DigestAt: c.Alerts.Digest,
		Groups: groupsOf(b.cfg), Identities: b.identities, Deciders: b.policy.Deciders,
		DefaultServer: func(channel string) string {
			return b.servers.Default(tools.Caller{Surface: tools.Slack, Channel: channel})
		},
		Log: b.log,
	}
	if db != nil {
		o.Messages, o.Deliveries, o.Alerts = slackMessages{db.Messages}, slackDeliveries{db.Deliveries}, slackAlerts{db.Alerts}
		o.AuditHead = func(ctx context.Context) (string, error) {
			head, err := db.Audit.Head(ctx)
			if err != nil || head.Seq == 0 {
				return "", err
			}
			return fmt.Sprintf("record %d, %.12s", head.Seq, head.MAC), nil
		}
	}
	if b.cfg.Web != nil {
		o.Pages = pages
	}
	for _, s := range []struct {
		name string
		ref  secret.Ref
		slot *secret.Value
	}{
		{"app_token", c.AppToken, &o.AppToken},
		{"bot_token", c.BotToken, &o.BotToken},
		{"signing_secret", c.SigningSecret, &o.SigningSecret},
	} {
		if s.ref.IsZero() {
			continue
		}
		v, err := b.refs.Resolve(ctx, s.ref)
		if err != nil {
			return o, fmt.Errorf("slack.%s: %w", s.name, err)
		}
		*s.slot = v
	}
	return o, nil
}

// identities lists how a person of the config is known.
func (b *bot) identities(person string) []tools.Identity {
	for _, p := range b.cfg.People {
		if p.Name != person {
			continue
		}
		ids := make([]tools.Identity, len(p.Identities))
		for i, id := range p.Identities {
			ids[i] = tools.Identity(id)
		}
		return ids
	}
	return nil
}

// newMCP makes the MCP server behind door.
func newMCP(door tools.Door, cfg *config.Config, reg *tools.Registry, log *slog.Logger) (*mcp.Server, error) {
	return mcp.New(mcpOptions(door, cfg, reg, log))
}

func mcpOptions(door tools.Door, cfg *config.Config, reg *tools.Registry, log *slog.Logger) mcp.Options {
	return mcp.Options{
		Door: door, Registry: reg, Version: version(), Toolsets: cfg.MCP.Toolsets, Log: log,
		Where: func(w tools.Waiting) []string {
			at := []string{"at a terminal: duplibot approve " + w.ID}
			if cfg.Slack != nil {
				at = append([]string{"on its card in Slack"}, at...)
			}
			return at
		},
	}
}

// changes tells assistants that requests read differently now.
type changes struct{ *mcp.Server }

func (c changes) Notify(tools.Approval) { c.Changed("requests") }
