// Duplibot runs Duplicati servers from a terminal, from Slack and from AI
// assistants. This is the program: what it wires together is in bot.go.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/duplibot/duplibot/adapters/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), ending()...)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(program().Run(ctx, os.Args[1:]))
}

// ending are the signals that end a command in good order. A terminal that is
// closed is one of them: what a person has agreed to is still waited for. What
// nohup or a shell's & has turned off stays so.
func ending() []os.Signal {
	signals := []os.Signal{syscall.SIGTERM}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
}

// program is the terminal with all commands.
func program() *cli.App {
	app := cli.OS()
	app.Name, app.Version = "duplibot", version()
	app.Operations = operations // for help and completion; calls go to a gate's own
	app.Connect = connect
	app.Commands = []cli.Command{
		{Name: "serve", Summary: "Serve Slack, assistants, pages and this host's accounts until stopped", Run: serveCommand,
			Help: "The daemon. It alone plans, decides and executes; commands and assistants of this host reach it over its unix socket, and the kernel says who they are. What it serves besides stands in the config."},
		{Name: "mcp", Usage: "[--toolsets LIST]", Summary: "Serve an AI assistant over stdio", Run: mcpCommand,
			Help: "For the config of an assistant: it starts this command and speaks MCP with it. Where a daemon serves, it is asked; otherwise this process works by itself, as this account."},
		{Name: "demo", Usage: "[--generation G] [-- COMMAND … | --mcp | --listen ADDRESS --password WORD]", Summary: "Try everything on a simulated server", Run: demoCommand, Own: []string{"password"},
			Help: demoHelp},
		{Name: "doctor", Summary: "Look at everything that is set up, and say what to do about what is wrong", Run: doctorCommand},
		{Name: "config", Usage: "example | check [FILE]", Summary: "Print a config to start from, or check one", Run: configCommand},
		{Name: "slack", Usage: "manifest [--url https://…] [--name NAME]", Summary: "Print the manifest from which Slack makes the app", Run: slackCommand,
			Help: "Paste it at api.slack.com/apps under “From a manifest”. With --url Slack calls that address; without, the bot connects to Slack (Socket Mode) and needs no public address."},
		{Name: "ping", Summary: "Ask whether the daemon is there", Run: pingCommand,
			Help: "Exits with 0 when a daemon answers at the socket, and with 2 otherwise. Nothing is asked of a Duplicati server."},
		{Name: "version", Summary: "Print the version", Run: versionCommand},
		{Name: "docs", Usage: "[--check]", Summary: "Write the generated tables of docs/, or check them", Run: docsCommand, Group: "hidden"},
	}
	return app
}
