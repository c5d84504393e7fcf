package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"github.com/duplibot/duplibot/adapters/local"
	"github.com/duplibot/duplibot/adapters/mcp"
	"github.com/duplibot/duplibot/config"
	"github.com/duplibot/duplibot/tools"
)

// tendEvery is how often expired requests are swept and lost ones looked at.
const tendEvery = 30 * time.Second

// keepTraces is how long pages and posted messages are remembered.
const keepTraces = 90 * 24 * time.Hour

// serve is the daemon: it alone plans, decides and executes.
func serve(ctx context.Context, cfg *config.Config, log *slog.Logger) (err error) {
	b, err := newBot(cfg, botOptions{Log: log, Pages: cfg.Web != nil})
	if err != nil {
		return err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, b.close(ending))
	}()
	// What everything depends on is tried now, and not at the first call.
	if report := b.ring.Probe(ctx); !report.Usable {
		return tools.Errorf(tools.Unavailable, "the keyring cannot be used: %s; the daemon was not started", report.Detail).WithHint("%s", report.Hint)
	}
	db, err := b.store.DB(ctx)
	if err != nil {
		return err
	}
	if _, err := db.Audit.Append(ctx, tools.Record{Event: tools.EventConfig, Detail: "started: " + b.policy.String() + ", version " + version()}); err != nil {
		return err
	}
	listener, err := local.Listen(cfg.Socket, cfg.SocketGroup)
	if err != nil {
		return err
	}
	defer listener.Close()

	group, ctx := errgroup.WithContext(ctx)
	door, parts, err := b.listeners(ctx, db, group)
	if err != nil {
		return err
	}
	server, err := local.NewServer(local.Options{
		Door: door, Decisions: b.desk, Registry: b.registry, Version: version(),
		Admin: b.admin.calls(), Toolsets: cfg.MCP.Toolsets, Log: log,
	})
	if err != nil {
		return err
	}
	group.Go(func() error { return server.Serve(ctx, listener) })
	group.Go(func() error { b.desk.Tend(ctx, tendEvery); return nil })
	group.Go(func() error { return sweep(ctx, b) })
	group.Go(func() error { return tellSystemd(ctx, b, parts) })
	log.Info("serving", "socket", listener.Path(), "servers", b.servers.names, "policy", b.policy.Version(), "version", version())
	return group.Wait()
}

// serveMCP adds the streamable HTTP transport.
func (b *bot) serveMCP(ctx context.Context, group *errgroup.Group, s *mcp.Server) error {
	h := b.cfg.MCP.HTTP
	o := mcp.HTTPOptions{
		Listen: h.Listen, URL: h.URL, CertFile: h.TLS.CertFile, KeyFile: h.TLS.KeyFile,
		InsecureListen: h.Plaintext, Tokens: tokens{b.store},
	}
	if h.OAuth != nil {
		o.OAuth = &mcp.OAuth{Issuer: h.OAuth.Issuer, Audience: h.OAuth.Audience}
	}
	handler, err := s.NewHTTP(o)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", h.Listen)
	if err != nil {
		return fmt.Errorf("mcp.http.listen: %w", err)
	}
	group.Go(func() error { return handler.Serve(ctx, l) })
	return nil
}

// tokens lets the MCP server look up who a token belongs to.
type tokens struct{ store *lateStore }

func (t tokens) Caller(ctx context.Context, hash string) (tools.Caller, error) {
	db, err := t.store.DB(ctx)
	if err != nil {
		return tools.Caller{}, err
	}
	token, err := db.Tokens.ByHash(ctx, hash)
	if err != nil {
		return tools.Caller{}, err
	}
	// That the use could not be noted must not keep a read from working.
	_ = db.Tokens.Touch(ctx, token)
	return tools.Caller{
		Identity: tools.Identity("mcp:" + token.Name), Person: token.Person, Surface: tools.MCP,
		Ceiling: token.Ceiling, Toolsets: token.Toolsets,
	}, nil
}

func sweep(ctx context.Context, b *bot) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		db, err := b.store.DB(ctx)
		if err == nil {
			err = db.Sweep(ctx, keepTraces)
		}
		if err != nil && ctx.Err() == nil {
			b.log.Error("store not swept", "error", err)
		}
	}
}

// tellSystemd says that the service is ready, and goes on saying that it lives
// for as long as its store can be read.
func tellSystemd(ctx context.Context, b *bot, parts string) error {
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady+"\nSTATUS="+parts); err != nil {
		b.log.Warn("systemd not told", "error", err)
	}
	defer daemon.SdNotify(false, daemon.SdNotifyStopping)
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(every / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if _, err := b.desk.Requests(ctx, tools.Filter{Limit: 1}); err != nil {
				b.log.Error("watchdog not fed: the store cannot be read", "error", err)
				continue
			}
			daemon.SdNotify(false, daemon.SdNotifyWatchdog)
		}
	}
}
