package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/duplibot/duplibot/adapters/mcp"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/ops"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// product is a rig of the real operations, of which nothing is called.
func product(t testing.TB, toolsets ...string) *rig {
	t.Helper()
	g := toolstest.New(t, toolstest.WithOperations(ops.All(ops.Deps{})...))
	s, err := mcp.New(mcp.Options{Door: g.Runner, Registry: g.Registry, Version: "1.2.3", Toolsets: toolsets})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{g, s}
}

func listTools(t testing.TB, r *rig) []*sdk.Tool {
	t.Helper()
	list, err := r.stdio(t, toolstest.AnnsAssistant, "2026-07-28", nil).ListTools(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return list.Tools
}

// sizes are the bytes of a list: all of it, and what a model is given of it:
// names, descriptions and input schemas. A token is about four of them.
func sizes(t testing.TB, tools []*sdk.Tool) (all, model int) {
	t.Helper()
	for _, tool := range tools {
		b, err := json.Marshal(tool)
		if err != nil {
			t.Fatal(err)
		}
		in, err := json.Marshal(map[string]any{"name": tool.Name, "description": tool.Description, "inputSchema": tool.InputSchema})
		if err != nil {
			t.Fatal(err)
		}
		all, model = all+len(b)+1, model+len(in)+1
	}
	return all, model
}

// Every user of a client pays for a tool list with every request.
func TestToolListsKeepTheirBudget(t *testing.T) {
	doc, err := os.ReadFile("../../docs/mcp.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]struct {
		toolsets   []string
		tools      int
		all, model int
	}{
		"core":       {[]string{"core"}, 20, 26000, 10000},
		"admin":      {[]string{"admin"}, 8, 8000, 4000},
		"everything": {nil, 25, 34000, 14000},
	} {
		t.Run(name, func(t *testing.T) {
			var toolsets []string
			if toolsets = b.toolsets; toolsets == nil {
				toolsets = everyToolset(ops.All(ops.Deps{}))
			}
			list := listTools(t, product(t, toolsets...))
			all, model := sizes(t, list)
			t.Logf("%s: %d tools, %d bytes, of which a model is given %d, about %d tokens", strings.Join(toolsets, "+"), len(list), all, model, model/4)
			row := fmt.Sprintf("| `%s` | %d | %d | %d | %d |\n", strings.Join(toolsets, "`, `"), b.tools, b.all, b.model, b.model/4)
			if !strings.Contains(string(doc), row) {
				t.Errorf("docs/mcp.md lacks the row\n%s", row)
			}
			if len(list) == 0 || len(list) > b.tools || all > b.all || model > b.model {
				t.Errorf("the budget is %d tools, %d bytes, %d for the model", b.tools, b.all, b.model)
			}
		})
	}
}

func everyToolset(all []tools.Operation) []string {
	seen := map[string]bool{}
	var names []string
	for _, op := range all {
		if !seen[op.Toolset] {
			seen[op.Toolset] = true
			names = append(names, op.Toolset)
		}
	}
	return names
}

// What a client sees of each operation changes on purpose or not at all.
func TestTheProductsToolsAreAsTheirSnapshots(t *testing.T) {
	folder := filepath.Join("testdata", "product")
	if *update {
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for _, tool := range listTools(t, product(t, everyToolset(ops.All(ops.Deps{}))...)) {
		got, err := json.MarshalIndent(tool, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(folder, tool.Name+".json")
		seen[file] = true
		if *update {
			if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%v; run with -update", err)
			continue
		}
		if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
			t.Errorf("%s differs from its snapshot (-want +got); run with -update and read the difference:\n%s", tool.Name, diff)
		}
	}
	old, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range old {
		if !seen[file] {
			t.Errorf("%s is of no tool; run with -update", file)
		}
	}
}
