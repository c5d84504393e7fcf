package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/adapters/cli"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// What must hold of every operation there is.

func TestEveryOperationIsExplained(t *testing.T) {
	term := unreached(t)
	overview := term.run(0, "help")
	for _, op := range operations(t) {
		wants(t, overview, "\n  "+op.Name+" ", op.Summary)
		help := term.run(0, "help", op.Name)
		wants(t, help, "usage: duplibot "+op.Name, op.Summary+".", "examples:")
		for _, p := range op.Params {
			name := "--" + p.Flag
			if p.Pos {
				name = strings.ToUpper(p.Name)
			}
			if has := strings.Contains(help, "\n  "+name); has != p.On(tools.CLI) {
				t.Errorf("help of %s has %s: %v", op.Name, name, has)
			}
		}
		for _, line := range strings.Split(help, "\n") {
			if len([]rune(line)) > 80 {
				t.Errorf("%s: %d columns: %q", op.Name, len([]rune(line)), line)
			}
		}
		for _, alias := range []string{"--help", "-h", "-?", "--usage"} {
			if again := term.run(0, op.Name, alias); again != help {
				t.Errorf("%s %s prints\n%s", op.Name, alias, again)
			}
		}
	}
}

func TestGlobalOptionsStandBeforeAndBehindEveryOperation(t *testing.T) {
	options := []string{"--hosturl", "https://nas:8200/", "--host-cert=AB,CD", "--server-datafolder", "/data", "--portable-mode", "--reason", "because of it", "--yes"}
	for _, op := range operations(t) {
		term := unreached(t)
		var needed []string
		for _, p := range op.Params {
			if p.Required && p.Pos && !p.File {
				needed = append(needed, "1")
			}
		}
		var seen []cli.Globals
		for _, args := range [][]string{
			append(append(slices.Clone(options), op.Name), needed...),
			append(append([]string{op.Name}, needed...), options...),
			append(append([]string{op.Name}, options...), needed...),
		} {
			wants(t, term.run(1, args...), "connected")
			seen = append(seen, term.seen)
		}
		for _, g := range seen {
			if fmt.Sprintf("%+v", g) != fmt.Sprintf("%+v", seen[0]) || g.HostURL == "" || !g.Yes || !g.Portable || g.Reason != "because of it" || len(g.HostCert) != 2 {
				t.Errorf("%s: %+v", op.Name, seen)
				break
			}
		}
	}
}

func TestAnOptionThatThereIsNotIsRefusedAndTheNearOneNamed(t *testing.T) {
	term := unreached(t)
	for _, op := range operations(t) {
		for _, p := range op.Params {
			if !p.On(tools.CLI) || p.Pos || len(p.Flag) < 5 {
				continue
			}
			wrong := p.Flag[:2] + p.Flag[3:]
			text := term.run(1, op.Name, "--"+wrong)
			wants(t, text, op.Name+" has no option --"+wrong+"; nothing was done", "did you mean --", "Known are --")
		}
		wants(t, term.run(1, op.Name, "--jsno"), "did you mean --json?")
		wants(t, term.run(1, op.Name, "--zzzzzzzzzz"), "Known are ", "duplibot help")
		// What does not look like an option may be anything.
		if text := term.run(1, op.Name, "--my secret=xyzzy"); strings.Contains(text, "my secret") || strings.Contains(text, "xyzzy") {
			t.Errorf("%s repeats it:\n%s", op.Name, text)
		}
	}
	wants(t, term.run(1, "aprove", "x"), "did you mean approve?")
	wants(t, term.run(1, "approve", "x", "--phrse", "y"), "approve has no option --phrse", "did you mean --phrase?")
	wants(t, term.run(1, "audit", "--folow"), "did you mean --follow?")
	wants(t, term.run(1, "run", "-wait", "Photos"), "options begin with two dashes; nothing was done", "did you mean --wait?")
	wants(t, term.run(1, "run", "-w", "Photos"), "run has no option -w; nothing was done")
}

func TestNoOptionTakesAnotherOneForItsValue(t *testing.T) {
	term := unreached(t)
	for _, op := range operations(t) {
		for _, p := range op.Params {
			if p.Kind == tools.Bool || !p.On(tools.CLI) || p.Secret && !p.File {
				continue
			}
			wants(t, term.run(1, op.Name, "--"+p.Flag, "--yes"), "--"+p.Flag+" needs a value; nothing was done")
			wants(t, term.run(1, op.Name, "--"+p.Flag), "--"+p.Flag+" needs a value; nothing was done")
		}
	}
	wants(t, term.run(1, "status", "--reason", "--yes"), "--reason needs a value", "--reason=VALUE")
	wants(t, term.run(1, "status", "--reason=--yes"), "connected")
	if term.seen.Yes || term.seen.Reason != "--yes" {
		t.Errorf("%+v", term.seen)
	}
	wants(t, term.run(1, "approve", "ID", "--phrase"), "--phrase needs a value")
	for _, args := range [][]string{
		{"--server", "a", "--server", "b", "status"}, {"--server", "a", "status", "--server", "b"},
		{"status", "--reason", "a", "--reason", "b"}, {"run", "Photos", "--timeout", "1h", "--timeout=2h"},
	} {
		wants(t, term.run(1, args...), "is given twice; nothing was done")
	}
	wants(t, term.run(1, "status", "--json=perhaps"), "true or false")
	term.run(1, "status", "--no-json", "--no-yes")
	if term.seen.JSON || term.seen.Yes {
		t.Errorf("%+v", term.seen)
	}
}

// No operation takes a secret as an argument, wherever it is typed.
func TestAPasswordTypedByMistakeIsNowhere(t *testing.T) {
	for _, op := range operations(t) {
		o := newTerminal(t, "", toolstest.WithPeople(toolstest.Solo))
		o.app.Registry = tools.NewRegistry(*op)
		gate := toolstest.New(t, toolstest.WithOperations(*op), toolstest.WithPeople(toolstest.Solo), toolstest.WithServers("nas", "nas"))
		o.app.Connect = func(context.Context, cli.Globals) (*cli.Link, error) {
			return &cli.Link{Door: gate.Runner, Decisions: gate.Desk, Caller: o.caller}, nil
		}
		const word = "hunter2-Canary!"
		for _, p := range op.Params {
			if !p.Secret || p.File {
				continue
			}
			args := []string{op.Name}
			for _, q := range op.Params {
				if q.Pos && q.Required && !q.Secret {
					args = append(args, "Photos")
				}
			}
			for _, typed := range [][]string{{"--" + p.Flag, word}, {"--" + p.Flag + "=" + word}} {
				for _, more := range [][]string{nil, {"--json"}, {"--yes"}} {
					o.out.b.Reset()
					o.err.b.Reset()
					code := o.app.Run(context.Background(), append(append(slices.Clone(args), typed...), more...))
					if text := o.out.String() + o.err.String(); code == 0 || strings.Contains(text, word) {
						t.Errorf("%s --%s exits %d and prints\n%s", op.Name, p.Flag, code, text)
					}
				}
			}
		}
		records, _ := json.Marshal(gate.Records(t))
		if strings.Contains(string(records), word) {
			t.Errorf("%s: the audit log has it: %s", op.Name, records)
		}
	}
	term := unreached(t)
	for _, args := range [][]string{
		{"change-password", "a", word}, {"--password=" + word, "status"}, {"status", "--password", word}, {"--settings-encryption-key", word, "status"},
		{"--password", word, "status"}, {"--password", "hunter2", "status"}, {"run", "--password", "hunter2", "Photos"},
		{"status", "--pass=" + word}, {"status", "--my-password", word}, {"--" + word},
	} {
		if text := term.run(1, args...); strings.Contains(text, word) || strings.Contains(text, "hunter2") {
			t.Errorf("%q repeats it:\n%s", args, text)
		}
	}
}

const word = "hunter2 Canary!"

func TestJSONIsOneObjectWhateverHappens(t *testing.T) {
	term := script(t)
	for _, c := range []struct {
		code   int
		status string
		args   []string
	}{
		{0, "done", []string{"list-things"}},
		{0, "done", []string{"list-things", "--server", "all"}},
		{0, "done", []string{"help"}},
		{0, "done", []string{"help", "start"}},
		{0, "done", []string{"--version"}},
		{0, "done", []string{"completion", "bash"}},
		{0, "done", []string{"approvals"}},
		{0, "done", []string{}},
		{1, "error", []string{"strat"}},
		{1, "error", []string{"start", "--wiat"}},
		{1, "error", []string{"--cofnig", "x"}},
		{1, "error", []string{"start", "Photos", "-w"}},
		{1, "error", []string{"approve"}},
		{1, "error", []string{"completion", "tcsh"}},
		{1, "error", []string{"help", "nonsense"}},
		{1, "error", []string{"start"}},
		{2, "error", []string{"start", "Fotos"}},
		{2, "error", []string{"approve", "a-222222222222"}},
		{2, "error", []string{"audit"}},
		{5, "pending", []string{"destroy", "Photos"}},
	} {
		o := term.object(c.code, c.args...)
		if *o.ExitCode != c.code || *o.Success != (c.code == 0) || o.Status != c.status {
			t.Errorf("%q: %+v", c.args, o)
		}
		if isError := c.status == "error"; isError != (o.Error != nil) || isError != (len(o.Exceptions) > 0) {
			t.Errorf("%q: %+v", c.args, o)
		}
		if term.err.String() != "" {
			t.Errorf("%q says beside it %q", c.args, term.err)
		}
	}
}
