package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/duplibot/duplibot/adapters/cli"
	"github.com/duplibot/duplibot/adapters/local"
	"github.com/duplibot/duplibot/adapters/mcp"
	"github.com/duplibot/duplibot/config"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

const demoHelp = `Starts a simulated Duplicati server in this process, with five backups, and everything else in a temporary folder. It reads no config, environment or keyring, and every answer says "simulated".

By itself it is a prompt that takes the same lines as a terminal or a slash command, for two people, ann and bob. With -- and a command it runs that one. With --mcp it serves an assistant over stdio. With --listen it is the simulated server alone, empty, for any client.`

// released is the generation of servers that most people have by now.
const released = "2.3.0"

// simulated is what every answer of the demo says.
const simulated = "simulated"

func demoCommand(ctx context.Context, r *cli.Run) int {
	var command []string
	if i := slices.Index(r.Args, "--"); i >= 0 {
		r.Args, command = r.Args[:i], r.Args[i+1:]
	}
	words, got, err := r.Take([]string{"mcp"}, []string{"listen", "generation", "password"})
	o := struct {
		mcp                          bool
		listen, generation, password string
	}{got["mcp"] != "", got["listen"], got["generation"], got["password"]}
	all := strings.Join(duplicatitest.Generations(), ", ")
	switch {
	case err != nil:
	case o.generation != "" && !strings.Contains(", "+all+",", ", "+o.generation+","):
		err = tools.Errorf(tools.InvalidArgument, "--generation takes one of %s; nothing was started", all)
	case len(words) > 0:
		err = tools.Errorf(tools.InvalidArgument, "a command for the demo stands behind --; nothing was started").
			WithHint("duplibot demo -- %s", strings.Join(words, " "))
	case o.listen != "" && (o.mcp || len(command) > 0):
		err = tools.Errorf(tools.InvalidArgument, "--listen takes neither --mcp nor a command; nothing was started")
	case o.listen == "" && o.password != "":
		err = tools.Errorf(tools.InvalidArgument, "--password goes with --listen; nothing was started").WithHint("the demo's own server is logged in to by itself")
	case o.mcp && len(command) > 0:
		err = tools.Errorf(tools.InvalidArgument, "--mcp takes no command; nothing was started")
	}
	if err != nil {
		return r.Usage(err)
	}
	if o.generation == "" {
		o.generation = released
	}
	if o.listen != "" {
		say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
		if err := standalone(ctx, o.listen, o.generation, o.password, say); err != nil {
			return r.Fail(err)
		}
		return cli.ExitDone
	}
	d, err := newDemo(ctx, o.generation, newLog(config.Log{Level: "error"}, os.Stderr))
	if err != nil {
		return r.Fail(err)
	}
	defer d.close(context.WithoutCancel(ctx))
	switch {
	case o.mcp:
		if err := d.serveMCP(ctx); err != nil && !errors.Is(err, context.Canceled) {
			return r.Fail(err)
		}
		return cli.ExitDone
	case len(command) > 0:
		if r.Globals.JSON {
			command = append([]string{"--json"}, command...)
		}
		app, _ := d.app()
		return app.Run(ctx, command)
	}
	return d.prompt(ctx)
}

// app is the terminal of the demo. as makes the calls that follow somebody's.
func (d *demo) app() (app *cli.App, as func(name string) tools.Caller) {
	caller := d.caller(demoPeople[0].Name, tools.CLI)
	app = cli.OS()
	app.Name, app.Version, app.Registry, app.Mark = "duplibot", version(), d.registry, simulated
	app.Env = nil
	app.Connect = func(_ context.Context, g cli.Globals) (*cli.Link, error) {
		if adHoc(g) || g.Config != "" {
			return nil, tools.Errorf(tools.Unsupported, "the demo has its own server and reaches no other; nothing was done").
				WithHint("the same line without demo reaches a real one")
		}
		return &cli.Link{
			Door: d.runner, Decisions: d.desk, Caller: caller,
			Admin: inProcess{calls: d.admin.calls(), caller: caller},
		}, nil
	}
	return app, func(name string) tools.Caller {
		caller = d.caller(name, tools.CLI)
		return caller
	}
}

// prompt takes lines as ann and as bob.
func (d *demo) prompt(ctx context.Context) int {
	app, as := d.app()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go d.desk.Tend(ctx, tendEvery)
	shell := cli.Shell{
		App: app, People: []string{demoPeople[0].Name, demoPeople[1].Name},
		As: func(name string) (tools.Caller, error) { return as(name), nil },
		Hello: []string{
			"This is a simulated Duplicati server with five backups, and nothing here is real.",
			"You are ann. Try, one after the other:",
			"",
			"  list-backups",
			"  run Photos --wait",
			"  delete \"Laptop (new)\"        waits for another person",
			"  approvals                    ann cannot agree to her own request",
			"  as bob",
			"  approve ID                   the ID that approvals shows",
			"  audit",
			"",
			"help lists everything; exit leaves.",
		},
	}
	return shell.Run(ctx)
}

// serveMCP serves an assistant of ann's over stdio. Bob decides at another
// terminal, over a socket in the demo's folder.
func (d *demo) serveMCP(ctx context.Context) error {
	file, err := d.writeConfig()
	if err != nil {
		return err
	}
	listener, err := local.Listen(d.cfg.Socket, "")
	if err != nil {
		return err
	}
	defer listener.Close()
	log := newLog(config.Log{Level: "error"}, os.Stderr)
	bob := d.caller(demoPeople[1].Name, tools.CLI)
	admin := map[string]local.AdminCall{}
	for name, call := range d.admin.calls() {
		admin[name] = func(ctx context.Context, _ tools.Caller, args json.RawMessage) (any, error) {
			return call(ctx, bob, args)
		}
	}
	server, err := local.NewServer(local.Options{
		Door: oneDoor{marked{d.runner}, bob}, Decisions: oneDesk{d.desk, bob}, Registry: d.registry, Version: version(), Admin: admin, Log: log,
	})
	if err != nil {
		return err
	}
	line := "duplibot --config " + file
	o := mcpOptions(marked{d.runner}, d.cfg, d.registry, log)
	o.Where = func(w tools.Waiting) []string {
		return []string{"in another terminal, as bob of the demo: " + line + " approve " + w.ID}
	}
	assistants, err := mcp.New(o)
	if err != nil {
		return err
	}
	d.notify.add(changes{assistants})
	fmt.Fprintf(os.Stderr, "%s: an assistant of ann's is served on stdin and stdout; bob decides in another terminal: %s approvals\n", simulated, line)
	ctx, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx, listener) })
	group.Go(func() error { d.desk.Tend(ctx, tendEvery); return nil })
	group.Go(func() error {
		defer stop()
		return assistants.ServeStdio(ctx, d.caller(demoPeople[0].Name, tools.MCP), os.Stdin, os.Stdout)
	})
	return group.Wait()
}

// writeConfig writes the file by which another terminal finds the demo.
func (d *demo) writeConfig() (string, error) {
	file := filepath.Join(d.folder, "duplibot.yaml")
	text := fmt.Sprintf("servers:\n  nas:\n    url: %s\nsocket: %s\nstore: sqlite:%s\n", d.server.URL, d.cfg.Socket, filepath.Join(d.folder, "unused", "duplibot.db"))
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// oneDoor and oneDesk are a gate that takes everybody for the same person: in
// the demo, whoever comes to the socket is bob.
type oneDoor struct {
	tools.Door
	who tools.Caller
}

func (o oneDoor) Run(ctx context.Context, call tools.Call) (tools.Answer, error) {
	call.Caller = o.who
	return o.Door.Run(ctx, call)
}

func (o oneDoor) Needs(ctx context.Context, call tools.Call) ([]tools.Param, error) {
	call.Caller = o.who
	return o.Door.Needs(ctx, call)
}

func (o oneDoor) Complete(ctx context.Context, _ tools.Caller, operation, param, prefix, server string) ([]tools.Choice, error) {
	return o.Door.Complete(ctx, o.who, operation, param, prefix, server)
}

func (o oneDoor) Operations(ctx context.Context, _ tools.Caller) ([]*tools.Operation, error) {
	return o.Door.Operations(ctx, o.who)
}

type oneDesk struct {
	*tools.Desk
	who tools.Caller
}

func (o oneDesk) Decide(ctx context.Context, d tools.Decision) (tools.Approval, error) {
	d.Caller = o.who
	return o.Desk.Decide(ctx, d)
}

func (o oneDesk) Withdraw(ctx context.Context, id string, _ tools.Caller) (tools.Approval, error) {
	return o.Desk.Withdraw(ctx, id, o.who)
}

func (o oneDesk) Settle(ctx context.Context, id string, _ tools.Caller, tookEffect bool) (tools.Approval, error) {
	return o.Desk.Settle(ctx, id, o.who, tookEffect)
}

func (o oneDesk) MayDecide(ctx context.Context, a tools.Approval, _ tools.Caller) error {
	return o.Desk.MayDecide(ctx, a, o.who)
}

func (o oneDesk) Hold(ctx context.Context, _ tools.Caller, v secret.Value) (tools.Secret, error) {
	return o.Desk.Hold(ctx, o.who, v)
}

func (o oneDesk) Fetch(ctx context.Context, _ tools.Caller, handle string) (secret.Value, error) {
	return o.Desk.Fetch(ctx, o.who, handle)
}

// marked is a gate whose every answer says that it is simulated.
type marked struct{ tools.Door }

func (m marked) Run(ctx context.Context, call tools.Call) (tools.Answer, error) {
	a, err := m.Door.Run(ctx, call)
	var e *tools.Error
	if errors.As(err, &e) {
		said := *e
		said.Message = simulated + ": " + e.Message
		err = &said
	}
	a.View.Notes = append([]string{simulated + ": no real server was asked"}, a.View.Notes...)
	return a, err
}
