package main

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/duplibot/duplibot/adapters/cli"
	"github.com/duplibot/duplibot/adapters/local"
	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/config"
	"github.com/duplibot/duplibot/tools"
)

// connect finds the way to a gate: a daemon's, or one in this process when no
// daemon serves, or when the command line names a server by itself.
func connect(ctx context.Context, g cli.Globals) (*cli.Link, error) {
	if !adHoc(g) {
		d, err := reachDaemon(ctx, g.Config, tools.CLI)
		if err != nil {
			return nil, err
		}
		if d != nil {
			caller, err := ownCaller(tools.CLI, "")
			caller.SameAccount = false
			return &cli.Link{Door: d, Decisions: d, Caller: caller, Admin: d, Resolve: auth.NewReferences(nil).Resolve}, err
		}
	}
	b, err := ownBot(ctx, g)
	if err != nil {
		return nil, err
	}
	caller, err := ownCaller(tools.CLI, "")
	if err != nil {
		return nil, err
	}
	return &cli.Link{
		Door: b.runner, Decisions: &recovering{Desk: b.desk}, Caller: caller,
		Admin: inProcess{calls: b.admin.calls(), caller: caller},
		Close: func() error { return b.close(context.WithoutCancel(ctx)) },
	}, nil
}

// adHoc reports whether the command line says how to reach a server. That is
// done with this account's own rights and never asked of a daemon.
func adHoc(g cli.Globals) bool {
	return g.HostURL != "" || !g.Password.IsZero() || !g.Typed.Empty() || g.Insecure || len(g.HostCert) > 0 ||
		g.DataFolder != "" || g.Portable || !g.SettingsKey.IsZero()
}

// loadConfig reads the config that is meant; without a file it is Default.
// named reports whether somebody named the file.
func loadConfig(given string) (cfg *config.Config, named bool, err error) {
	path, err := config.Find(given)
	if err != nil {
		return nil, false, err
	}
	if path == "" {
		cfg, err = config.Default()
	} else {
		cfg, err = config.Load(path, config.Options{})
	}
	var bad *config.Error
	switch {
	case errors.As(err, &bad):
		return nil, path != "", badConfig(bad)
	case path == "":
		return cfg, false, err
	}
	return cfg, given != "" || os.Getenv(config.Variable) != "", err
}

// badConfig says the first thing that is wrong, and where the rest is said.
func badConfig(bad *config.Error) error {
	var wrong []config.Finding
	for _, f := range bad.Findings {
		if !f.Warning {
			wrong = append(wrong, f)
		}
	}
	sep := ": "
	if bad.Path == config.NoFile {
		return tools.Errorf(tools.InvalidArgument, "there is no config, and nothing can be done without: %s; nothing was done", wrong[0].Message).WithHint("%s", wrong[0].Hint).Because(bad)
	}
	if wrong[0].Line > 0 {
		sep = ":"
	}
	e := tools.Errorf(tools.InvalidArgument, "the config cannot be used: %s%s%s; nothing was done", bad.Path, sep, wrong[0]).Because(bad)
	if len(wrong) > 1 {
		return e.WithHint("%d more things are wrong with it: duplibot config check %s", len(wrong)-1, bad.Path)
	}
	return e.WithHint("duplibot config check %s", bad.Path)
}

// sockets lists where a daemon that goes with the config can be. A file that
// somebody named is used in this process unless it names a socket: a daemon
// that happens to run here may have other servers.
func sockets(cfg *config.Config, named bool) []string {
	switch {
	case cfg.Path == "":
		return config.SocketPlaces()
	case named && cfg.Line("socket") == 0:
		return nil
	}
	return []string{cfg.Socket}
}

// reachDaemon returns a client of the daemon, nil where none runs. A socket
// that is there and cannot be used is an error: to work around it would be to
// work around the daemon's account.
func reachDaemon(ctx context.Context, given string, surface tools.Surface) (*local.Client, error) {
	cfg, named, err := loadConfig(given)
	if err != nil {
		return nil, err
	}
	return reachSocket(ctx, sockets(cfg, named), surface)
}

// reachSocket is reachDaemon for the sockets at paths.
func reachSocket(ctx context.Context, paths []string, surface tools.Surface) (*local.Client, error) {
	for _, path := range paths {
		d := local.NewClient(local.ClientOptions{Path: path, Registry: operations(), Version: version(), Surface: surface})
		_, err := d.Ping(ctx)
		if err == nil {
			return d, nil
		}
		if !local.Absent(err) {
			return nil, err
		}
	}
	return nil, nil
}

// ownBot is a gate in this process.
func ownBot(ctx context.Context, g cli.Globals) (*bot, error) {
	cfg, _, err := loadConfig(g.Config)
	if err != nil {
		return nil, err
	}
	o := botOptions{}
	if adHoc(g) {
		if o.DataFolder, err = override(cfg, g); err != nil {
			return nil, err
		}
	}
	b, err := newBot(cfg, o)
	if err != nil || g.Typed.Empty() {
		return b, err
	}
	// As ServerUtil does: a password on the command line logs in anew.
	if _, err := b.sessions.Login(ctx, cfg.DefaultServer, tools.Login{Password: g.Typed}); err != nil {
		return nil, errors.Join(err, b.close(ctx))
	}
	return b, nil
}

// override makes the server of the command line the only one, and returns the
// folder of its database where one is given.
func override(cfg *config.Config, g cli.Globals) (folder string, err error) {
	if g.Portable && g.DataFolder == "" {
		return "", tools.Errorf(tools.InvalidArgument, "where a portable Duplicati has its database cannot be known from here; nothing was done").
			WithHint("--server-datafolder FOLDER, which is the folder data beside its program")
	}
	var s config.Server
	if g.HostURL != "" {
		if s, err = config.AdHoc(g.HostURL); err != nil {
			return "", tools.Errorf(tools.InvalidArgument, "--hosturl: %v; nothing was done", err)
		}
		if g.Server != "" {
			return "", tools.Errorf(tools.InvalidArgument, "--hosturl and --server both say which server is meant; nothing was done").WithHint("leave one of them out")
		}
	} else {
		name := g.Server
		if name == "" {
			name = cfg.DefaultServer
		}
		known, ok := cfg.Server(name)
		if !ok {
			return "", tools.Errorf(tools.InvalidArgument, "no server is meant; nothing was done").WithHint("--hosturl URL or --server NAME")
		}
		s = known
	}
	if !g.Password.IsZero() {
		s.Password = g.Password
	}
	if g.Insecure || len(g.HostCert) > 0 {
		s.TLS.Insecure, s.TLS.Pins = g.Insecure, nil
	}
	for _, text := range g.HostCert {
		pin, ok := config.Pin(text)
		if !ok {
			return "", tools.Errorf(tools.InvalidArgument, "--host-cert takes the 40 hex digits of a SHA-1, or sha256: and 64 of them; nothing was done")
		}
		s.TLS.Pins = append(s.TLS.Pins, pin)
	}
	if g.DataFolder != "" {
		s.Database.Use, folder = true, g.DataFolder
	}
	if !g.SettingsKey.IsZero() {
		s.DatabaseKey = g.SettingsKey
	}
	cfg.Servers, cfg.DefaultServer = []config.Server{s}, s.Name
	for i := range cfg.Secrets {
		cfg.Secrets[i].Servers = nil
	}
	return folder, nil
}

// recovering looks after what a process that was killed has left, before the
// first look at requests. A daemon does so at its start.
type recovering struct {
	*tools.Desk

	once sync.Once
	err  error
}

func (r *recovering) recover(ctx context.Context) error {
	r.once.Do(func() { r.err = r.Desk.Recover(ctx) })
	return r.err
}

func (r *recovering) Request(ctx context.Context, id string) (tools.Approval, error) {
	if err := r.recover(ctx); err != nil {
		return tools.Approval{}, err
	}
	return r.Desk.Request(ctx, id)
}

func (r *recovering) Requests(ctx context.Context, f tools.Filter) ([]tools.Approval, error) {
	if err := r.recover(ctx); err != nil {
		return nil, err
	}
	return r.Desk.Requests(ctx, f)
}
