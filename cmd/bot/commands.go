package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/duplibot/duplibot/adapters/cli"
	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/config"
	"github.com/duplibot/duplibot/tools"
)

// none refuses words that a command does not take.
func none(r *cli.Run, name string) error {
	words, _, err := r.Take(nil, nil)
	if err == nil && len(words) > 0 {
		err = tools.Errorf(tools.InvalidArgument, "%s takes no words; nothing was done", name).WithHint("duplibot help %s", name)
	}
	return err
}

func serveCommand(ctx context.Context, r *cli.Run) int {
	if err := none(r, "serve"); err != nil {
		return r.Usage(err)
	}
	cfg, _, err := loadConfig(r.Globals.Config)
	if err != nil {
		return r.Fail(err)
	}
	log := newLog(cfg.Log, os.Stderr)
	for _, w := range cfg.Warnings {
		log.Warn("config", "line", w.Line, "key", w.Key, "finding", w.Message)
	}
	if err := serve(ctx, cfg, log); err != nil && !errors.Is(err, context.Canceled) {
		return r.Fail(err)
	}
	return cli.ExitDone
}

func mcpCommand(ctx context.Context, r *cli.Run) int {
	words, got, err := r.Take(nil, []string{"toolsets"})
	if err == nil && len(words) > 0 {
		err = tools.Errorf(tools.InvalidArgument, "mcp takes no words; nothing was done").WithHint("duplibot help mcp")
	}
	if err != nil {
		return r.Usage(err)
	}
	cfg, _, err := loadConfig(r.Globals.Config)
	if err != nil {
		return r.Fail(err)
	}
	if toolsets := got["toolsets"]; toolsets != "" {
		cfg.MCP.Toolsets = strings.FieldsFunc(toolsets, func(c rune) bool { return c == ',' || c == ' ' })
		if err := knownToolsets(cfg.MCP.Toolsets); err != nil {
			return r.Usage(err)
		}
	}
	if err := serveStdio(ctx, r, cfg); err != nil && !errors.Is(err, context.Canceled) {
		return r.Fail(err)
	}
	return cli.ExitDone
}

// serveStdio serves one assistant, as a client of the daemon or by itself.
func serveStdio(ctx context.Context, r *cli.Run, cfg *config.Config) error {
	caller, err := ownCaller(tools.MCP, "")
	if err != nil {
		return err
	}
	if !adHoc(r.Globals) {
		d, err := reachDaemon(ctx, r.Globals.Config, tools.MCP)
		if err != nil {
			return err
		}
		if d != nil {
			caller.SameAccount = false
			log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			s, err := newMCP(d, cfg, operations(), log)
			if err != nil {
				return err
			}
			return s.ServeStdio(ctx, caller, os.Stdin, os.Stdout)
		}
	}
	log := newLog(cfg.Log, os.Stderr)
	o := botOptions{Log: log}
	if adHoc(r.Globals) {
		if o.DataFolder, err = override(cfg, r.Globals); err != nil {
			return err
		}
	}
	b, err := newBot(cfg, o)
	if err != nil {
		return err
	}
	s, err := newMCP(b.runner, cfg, b.registry, log)
	if err != nil {
		return err
	}
	b.notify.add(changes{s})
	err = s.ServeStdio(ctx, caller, os.Stdin, os.Stdout)
	return errors.Join(err, b.close(context.WithoutCancel(ctx)))
}

func configCommand(_ context.Context, r *cli.Run) int {
	words, _, err := r.Take(nil, nil)
	switch {
	case err != nil:
	case len(words) == 1 && words[0] == "example":
		return r.Text(config.Example, map[string]string{"text": config.Example})
	case len(words) >= 1 && len(words) <= 2 && words[0] == "check":
		return checkConfig(r, append(words, r.Globals.Config)[1])
	default:
		err = tools.Errorf(tools.InvalidArgument, "config takes example, or check and a file").WithHint("duplibot help config")
	}
	return r.Usage(err)
}

func checkConfig(r *cli.Run, given string) int {
	path, err := config.Find(given)
	if err == nil && path == "" {
		place, _ := config.UsualPlace()
		err = tools.Errorf(tools.NotFound, "there is no config at %s, and none was named", place).
			WithHint("duplibot config example prints one to start from")
	}
	if err != nil {
		return r.Fail(err)
	}
	cfg, err := config.Load(path, config.Options{})
	var bad *config.Error
	switch {
	case errors.As(err, &bad):
		if r.Globals.JSON {
			return r.Usage(tools.Errorf(tools.InvalidArgument, "the config cannot be used\n%s", bad).Because(bad))
		}
		config.Print(os.Stderr, path, bad.Findings)
		return cli.ExitUsage
	case err != nil:
		return r.Fail(err)
	}
	// What takes the operations to judge: rules, people.
	if _, err := newBot(cfg, botOptions{Idle: true}); err != nil {
		return r.Fail(err)
	}
	if !r.Globals.JSON {
		config.Print(os.Stderr, path, cfg.Warnings)
	}
	return r.Answer(append([]config.Finding{}, cfg.Warnings...), tools.View{Headline: path + " can be used", Tone: tools.Good})
}

func slackCommand(_ context.Context, r *cli.Run) int {
	words, got, err := r.Take(nil, []string{"url", "name"})
	o := slack.ManifestOptions{URL: got["url"], Name: got["name"]}
	switch {
	case err != nil:
	case len(words) != 1 || words[0] != "manifest":
		err = tools.Errorf(tools.InvalidArgument, "slack takes the word manifest and nothing else").WithHint("duplibot help slack")
	case utf8.RuneCountInString(o.Name) > maxAppName || strings.ContainsFunc(o.Name, func(c rune) bool { return !unicode.IsPrint(c) }):
		err = tools.Errorf(tools.InvalidArgument, "Slack takes names of up to %d letters", maxAppName).WithHint("give another --name")
	}
	if err != nil {
		return r.Usage(err)
	}
	text, err := slack.Manifest(o)
	if err != nil {
		return r.Usage(tools.Errorf(tools.InvalidArgument, "%v", err))
	}
	return r.Text(strings.TrimSpace(string(text))+"\n", json.RawMessage(text))
}

// maxAppName is how long Slack lets an app's name be.
const maxAppName = 35

func pingCommand(ctx context.Context, r *cli.Run) int {
	if err := none(r, "ping"); err != nil {
		return r.Usage(err)
	}
	cfg, _, err := loadConfig(r.Globals.Config)
	if err != nil {
		return r.Fail(err)
	}
	d, err := reachSocket(ctx, sockets(cfg, false), tools.CLI)
	if err == nil && d == nil {
		err = tools.Errorf(tools.Unavailable, "no daemon answers here").WithHint("start it: duplibot serve, or its service")
	}
	if err != nil {
		return r.Fail(err)
	}
	who, err := d.Ping(ctx)
	if err != nil {
		return r.Fail(err)
	}
	return r.Answer(map[string]any{"socket": who.Path, "version": who.Version, "uid": who.UID}, tools.View{
		Headline: fmt.Sprintf("a daemon answers at %s", who.Path), Tone: tools.Good,
		Facts: []tools.Fact{{Name: "Version", Value: who.Version}, {Name: "Account", Value: fmt.Sprintf("uid %d", who.UID)}},
	})
}

func versionCommand(_ context.Context, r *cli.Run) int {
	if err := none(r, "version"); err != nil {
		return r.Usage(err)
	}
	return r.Answer(map[string]string{"version": version()}, tools.View{Headline: "duplibot " + version()})
}

func docsCommand(_ context.Context, r *cli.Run) int {
	_, got, err := r.Take([]string{"check"}, nil)
	if err != nil {
		return r.Usage(err)
	}
	if err := writeDocs(".", operations(), got["check"] != "", os.Stdout); err != nil {
		return r.Fail(err)
	}
	return cli.ExitDone
}
