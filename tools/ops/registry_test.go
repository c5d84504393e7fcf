package ops_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/ops"
)

func all() []*tools.Operation {
	return tools.NewRegistry(ops.All(ops.Deps{})...).All()
}

// serverUtil is every command of Duplicati's own client with its options.
var serverUtil = map[string][]string{
	"pause": {"duration"}, "resume": nil, "delete": {"backup", "delete-remote-files", "delete-local-db", "force", "quiet"},
	"list-backups": {"detailed"}, "run": {"backup", "wait", "skip-queue", "poll-interval", "quiet"}, "login": {"password"},
	"change-password": {"new-password"}, "logout": nil, "import": {"file", "passphrase", "import-metadata", "backup-passphrase", "backup-url"},
	"export": {"backups", "encryption-passphrase", "export-passwords", "overwrite", "unencrypted", "destination"},
	"health": nil, "issue-forever-token": nil, "status": nil,
}

func TestEveryCommandOfServerUtilIsThereWithItsOptions(t *testing.T) {
	known := map[string]*tools.Operation{}
	for _, op := range all() {
		known[op.Name] = op
	}
	for command, options := range serverUtil {
		op := known[command]
		if op == nil {
			t.Errorf("%s is missing", command)
			continue
		}
		for _, option := range options {
			if !slices.ContainsFunc(op.Params, func(p tools.Param) bool { return p.Flag == option && p.On(tools.CLI) }) {
				t.Errorf("%s lacks --%s", command, option)
			}
		}
	}
}

func TestTheRisksAreThoseOfTheDesign(t *testing.T) {
	want := map[tools.Risk]string{
		tools.Read:     "list-backups wait progress result status health approval servers",
		tools.Change:   "run stop export pause resume login logout",
		tools.Critical: "import delete change-password issue-forever-token",
	}
	got := map[tools.Risk][]string{}
	for _, op := range all() {
		got[op.Risk] = append(got[op.Risk], op.Name)
		if op.Risk == tools.Critical && !op.HasPlan() {
			t.Errorf("%s is critical and has no plan", op.Name)
		}
		if op.Help == "" || len(op.Examples) == 0 {
			t.Errorf("%s lacks help or examples", op.Name)
		}
		for _, line := range op.Examples {
			words, err := tools.Split(line)
			if err != nil || words[0] != op.Name {
				t.Errorf("example %q: %v", line, err)
				continue
			}
			if _, err := op.ParseArgs(words[1:], tools.CLI); err != nil {
				t.Errorf("example %q: %v", line, err)
			}
		}
	}
	for risk, names := range want {
		g, w := slices.Sorted(slices.Values(got[risk])), slices.Sorted(slices.Values(strings.Fields(names)))
		if !slices.Equal(g, w) {
			t.Errorf("%s: %v, want %v", risk, g, w)
		}
	}
	for _, name := range []string{"delete", "change-password", "import", "pause"} {
		for _, op := range all() {
			if op.Name == name && !op.CanSettle() {
				t.Errorf("%s cannot settle", name)
			}
		}
	}
}

func TestNoListIsNullAndEveryUnitIsNamed(t *testing.T) {
	for _, op := range all() {
		s := op.OutputSchema()
		for name, p := range s.Properties {
			if p.Type == "array" && !slices.Contains(s.Required, name) && name != "changes" {
				t.Errorf("%s: the list %s can be missing", op.Name, name)
			}
			for _, word := range []string{"size", "duration", "elapsed", "left"} {
				if strings.Contains(name, word) && !strings.Contains(name, "bytes") && !strings.Contains(name, "seconds") {
					t.Errorf("%s: %s names no unit", op.Name, name)
				}
			}
		}
	}
}

// listBudget is what a model sees of the core operations: names, descriptions
// and schemas of what goes in.
const listBudget = 16 << 10

func TestTheCoreOperationsCostFewWords(t *testing.T) {
	input, output := 0, 0
	for _, op := range all() {
		in, err := json.Marshal(op.InputSchema(tools.MCP))
		if err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(op.OutputSchema())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-20s %-6s in %5d help %4d out %5d", op.MCPName(), op.Toolset, len(in), len(op.Summary)+len(op.Help), len(out))
		if op.Toolset == "core" {
			input += len(op.MCPName()) + len(op.Summary) + len(op.Help) + len(in)
			output += len(out)
		}
	}
	t.Logf("core: %d bytes of names, descriptions and input, %d of output schemas", input, output)
	if input+output > listBudget {
		t.Errorf("core takes %d bytes of %d", input+output, listBudget)
	}
}
