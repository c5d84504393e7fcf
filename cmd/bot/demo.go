package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/config"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// demoPassword is the simulated server's.
const demoPassword = "demo-password"

// demoPeople are the demo's. They are one account, so every record says so.
var demoPeople = []config.Person{
	{Name: "ann", Identities: []string{"demo:ann"}, Roles: []string{"operator", "approver"}},
	{Name: "bob", Identities: []string{"demo:bob"}, Roles: []string{"operator", "approver"}},
}

// demo is a bot with a simulated server and everything else in a temporary
// folder. It reads no config, environment or keyring.
type demo struct {
	*bot
	server *duplicatitest.Server
	folder string
}

func newDemo(ctx context.Context, generation string, log *slog.Logger) (d *demo, err error) {
	d = &demo{}
	defer func() {
		if err != nil {
			d.close(ctx)
		}
	}()
	if d.folder, err = os.MkdirTemp("", "duplibot-demo-"); err != nil {
		return d, err
	}
	if d.server, err = duplicatitest.New(duplicatitest.Options{Generation: generation, Password: demoPassword, ForeverTokens: true, NoScheduler: true}); err != nil {
		return d, err
	}
	furnish(d.server)
	if err = d.server.Listen(); err != nil {
		return d, err
	}
	password := filepath.Join(d.folder, "password")
	if err = os.WriteFile(password, []byte(demoPassword), 0o600); err != nil {
		return d, err
	}
	ref, err := secret.ParseRef("file:" + password)
	if err != nil {
		return d, err
	}
	exports := filepath.Join(d.folder, "exports")
	if err = os.Mkdir(exports, 0o700); err != nil {
		return d, err
	}
	cfg := &config.Config{
		Socket:        filepath.Join(d.folder, "duplibot.sock"),
		Servers:       []config.Server{{Name: "nas", URL: d.server.URL, Password: ref}},
		DefaultServer: "nas",
		Store:         config.Store{Path: filepath.Join(d.folder, "state", "duplibot.db")},
		People:        demoPeople,
		Folders:       config.Folders{Import: exports, Export: exports},
		MCP:           config.MCP{Toolsets: []string{"core", "admin"}},
	}
	ring, err := keyring.Open(ctx, keyring.Config{Backend: keyring.File, Dir: filepath.Join(d.folder, "keyring"), Passphrase: keyring.NewPassphrase()})
	if err != nil {
		return d, err
	}
	d.bot, err = newBot(cfg, botOptions{Log: log, Ring: ring})
	return d, err
}

func (d *demo) close(ctx context.Context) error {
	var err error
	if d.bot != nil {
		err = d.bot.close(ctx)
	}
	if d.server != nil {
		d.server.Close()
	}
	if d.folder != "" {
		err = errors.Join(err, os.RemoveAll(d.folder))
	}
	return err
}

// caller is one of the demo's people at surface.
func (d *demo) caller(name string, surface tools.Surface) tools.Caller {
	return tools.Caller{Identity: tools.Identity("demo:" + name), Surface: surface, SameAccount: true, Channel: "demo"}
}

// standalone serves the simulated server to any client, with nothing in it,
// until it is interrupted.
func standalone(ctx context.Context, listen, generation, password string, say func(format string, args ...any)) error {
	s, err := duplicatitest.New(duplicatitest.Options{Generation: generation, Password: password, ForeverTokens: true})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.ListenAt(listen); err != nil {
		return tools.Errorf(tools.InvalidArgument, "cannot listen at %q: %v; nothing was started", listen, err).
			WithHint("--listen takes an address such as 127.0.0.1:8200")
	}
	say("simulated Duplicati at %s, with nothing in it; Ctrl-C ends it", s.URL)
	<-ctx.Done()
	return nil
}
