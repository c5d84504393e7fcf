package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// The exit codes that are not an operation's own. See the package comment.
const (
	ExitDone        = 0
	ExitUsage       = 1
	ExitFailed      = 2
	ExitPending     = 5
	ExitInterrupted = 130
)

// App is the program at a terminal.
type App struct {
	Name    string // "duplibot"
	Version string

	Registry *tools.Registry
	// Operations makes the registry when it is first needed, in the place of
	// Registry: a command of the program may need none.
	Operations func() *tools.Registry
	// Connect finds the way to the gate: the daemon's socket, or a gate of this
	// process. It is called once, when a command first needs it.
	Connect func(context.Context, Globals) (*Link, error)
	// Commands are the program's others: serve, mcp, doctor.
	Commands []Command

	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       Terminal
	Dir            string              // the current folder
	Env            func(string) string // os.Getenv
	Now            func() time.Time    // nil is time.Now
	Poll           time.Duration       // between looks at a request that waits; 0 is a second
	Mark           string              // a word that every answer carries, such as "simulated"

	in       *lines
	editor   *editor // reads in the place of in, nil for none
	dialogue bool    // stdin answers questions though it is no terminal: a Shell
}

// Link is the way to a gate.
type Link struct {
	Door      tools.Door
	Decisions tools.Decisions
	Caller    tools.Caller // with Surface CLI

	// Resolve finds the word of a reference as this account, where the gate
	// works as another one; nil: the gate finds it.
	Resolve func(context.Context, secret.Ref) (secret.Value, error)

	Admin Admin        // nil: the records cannot be reached from here
	Close func() error // may be nil
}

// Admin makes the calls that are no operations, of this process or of the
// daemon: audit, audit-verify, explain, token-create, token-list,
// token-revoke, page-code. Arguments and result are as JSON has them; what is
// secret comes beside the result.
type Admin interface {
	Admin(ctx context.Context, name string, args, out any) (secret.Value, error)
}

// admin makes such a call.
func (r *Run) admin(ctx context.Context, name string, args, out any) (secret.Value, error) {
	link, err := r.Connect(ctx)
	if err != nil {
		return secret.Value{}, err
	}
	if link.Admin == nil {
		return secret.Value{}, tools.Errorf(tools.Unsupported, "this cannot be reached from here; nothing was done").
			WithHint("run it under the account of the bot")
	}
	return link.Admin.Admin(ctx, name, args, out)
}

// Command is a command that is no operation.
type Command struct {
	Name    string
	Usage   string // after the name: "ID [--phrase TEXT]"
	Summary string // one imperative line
	Help    string
	Group   string // under which help lists it; "" is "program"
	// Raw gets all that stands behind the name as it is. Otherwise the global
	// options are taken out, wherever they stand.
	Raw bool
	// Own lists global options that mean something else here: "password".
	Own []string
	Run func(context.Context, *Run) int
}

// Run is one command at work.
type Run struct {
	Args    []string // without the command's name and the global options
	Globals Globals

	app  *App
	out  *output
	name string
	link *Link
	said []string // in JSON mode: the lines that would have been printed
	// quiet says that nothing is told on the way.
	quiet bool
}

// Run runs one command line and returns the exit code.
func (a *App) Run(ctx context.Context, args []string) int {
	a.prepare()
	line, err := a.read(args)
	r := a.newRun(line)
	defer r.close()
	if err != nil {
		// Whoever reads JSON gets it, wherever the mistake was.
		r.Globals.JSON = r.Globals.JSON || slices.Contains(args, "--json")
		return r.arrived(r.Usage(err))
	}
	return r.arrived(r.run(ctx, line))
}

func (a *App) newRun(line commandLine) *Run {
	return &Run{app: a, out: &output{w: a.Stdout}, Args: line.rest, Globals: line.globals, name: line.name}
}

func (r *Run) run(ctx context.Context, line commandLine) int {
	for _, n := range line.globals.notes {
		r.note(n)
	}
	switch {
	case line.version:
		r.print(r.app.Name + " " + r.app.Version)
		return r.finish(envelope{Status: "done"}, ExitDone)
	case line.help || line.name == "":
		return r.help(line.name)
	}
	if line.globals.typed {
		word, err := r.askSecret(ctx, "server password")
		if err != nil {
			return r.Fail(err)
		}
		r.Globals.Typed = word
	}
	if line.command != nil {
		return line.command.Run(ctx, r)
	}
	return r.operate(ctx, line.op, line.asked)
}

func (a *App) prepare() {
	if a.Now == nil {
		a.Now = time.Now
	}
	if a.Env == nil {
		a.Env = func(string) string { return "" }
	}
	if a.Poll == 0 {
		a.Poll = time.Second
	}
	if a.in == nil {
		a.in = newLines(a.Stdin)
	}
}

func (a *App) registry() *tools.Registry {
	if a.Registry == nil {
		a.Registry = a.Operations()
	}
	return a.Registry
}

// commands are ours and then the program's.
func (a *App) commands() []Command { return append(slices.Clone(peoplesCommands), a.Commands...) }

func (a *App) command(name string) *Command {
	for _, c := range a.commands() {
		if c.Name == name {
			return &c
		}
	}
	return nil
}

// unknown is the error for a command that there is not.
func (a *App) unknown(name string) error {
	var names []string
	for _, op := range a.registry().All() {
		names = append(names, op.Name)
	}
	for _, c := range a.commands() {
		names = append(names, c.Name)
	}
	e := tools.Errorf(tools.UnknownOperation, "there is no such command; nothing was done")
	if nameLike.MatchString(name) {
		e.Message = fmt.Sprintf("there is no command %q; nothing was done", name)
	}
	if near := tools.Nearest(name, names, 2); len(near) > 0 {
		return e.WithHint("did you mean %s? All of them: %s", strings.Join(near, " or "), a.words("help"))
	}
	return e.WithHint("all of them: %s", a.words("help"))
}

// Connect finds the way to the gate.
func (r *Run) Connect(ctx context.Context) (*Link, error) {
	if r.link != nil {
		return r.link, nil
	}
	link, err := r.app.Connect(ctx, r.Globals)
	if err != nil {
		return nil, err
	}
	r.link = link
	return link, nil
}

func (r *Run) close() {
	if r.link != nil && r.link.Close != nil {
		if err := r.link.Close(); err != nil {
			r.note("the connection did not close well: " + err.Error())
		}
	}
}

// Fail tells an error and returns the exit code for it.
func (r *Run) Fail(err error) int {
	e := asError(err)
	code := ExitFailed
	switch e.Code {
	case tools.Internal:
		code = ExitUsage
	case tools.Canceled:
		code = ExitInterrupted
	}
	return r.failed(e, code)
}

func asError(err error) *tools.Error {
	var e *tools.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled):
		return tools.Errorf(tools.Canceled, "interrupted; nothing was done")
	}
	return tools.Errorf(tools.Internal, "%s", err.Error())
}

// Usage tells what is wrong with the command line, and returns the exit code
// for that.
func (r *Run) Usage(err error) int {
	var e *tools.Error
	if !errors.As(err, &e) {
		e = tools.Errorf(tools.InvalidArgument, "%s", err.Error())
	}
	return r.failed(e, ExitUsage)
}

// namedServer is how a hint names the server of a command line that is proposed.
var namedServer = regexp.MustCompile(`--server [A-Za-z0-9._-]*[A-Za-z0-9]`)

func (r *Run) failed(e *tools.Error, code int) int {
	if r.Globals.HostURL != "" && namedServer.MatchString(e.Hint) {
		here := *e
		here.Hint = namedServer.ReplaceAllLiteralString(e.Hint, "--hosturl "+shellWord(r.Globals.HostURL))
		e = &here
	}
	if r.Globals.JSON {
		return r.finish(envelope{Status: "error", Error: e, Exceptions: []string{e.Message}}, code)
	}
	r.line("error", e.Message)
	if e.Hint != "" {
		r.line("hint", e.Hint)
	}
	return code
}
