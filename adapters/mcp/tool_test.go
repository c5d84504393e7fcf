package mcp_test

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

var update = flag.Bool("update", false, "rewrite the snapshots in testdata")

func TestToolsAreAsTheirSnapshots(t *testing.T) {
	r := newRig(t, nil)
	s := r.stdio(t, toolstest.AnnsAssistant, "2025-11-25", nil)
	list, err := s.ListTools(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Tools) != len(r.Registry.All()) {
		t.Errorf("%d tools for %d operations", len(list.Tools), len(r.Registry.All()))
	}
	for _, tool := range list.Tools {
		got, err := json.MarshalIndent(tool, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", "tools", tool.Name+".json")
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%v; run with -update", err)
		}
		if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
			t.Errorf("%s differs from its snapshot (-want +got); run with -update and read the difference:\n%s", tool.Name, diff)
		}
	}
}

func TestHintsFollowTheRisk(t *testing.T) {
	r := newRig(t, nil)
	s := r.stdio(t, toolstest.AnnsAssistant, "2026-07-28", nil)
	list, err := s.ListTools(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	byTool := map[string]*tools.Operation{}
	for _, op := range r.Registry.All() {
		byTool[op.MCPName()] = op
	}
	previous := ""
	for _, tool := range list.Tools {
		op := byTool[tool.Name]
		a := tool.Annotations
		if a == nil || a.DestructiveHint == nil || a.OpenWorldHint == nil || a.Title == "" || tool.Title == "" {
			t.Errorf("%s lacks a hint or a title: %+v", tool.Name, a)
			continue
		}
		if a.ReadOnlyHint != (op.Risk == tools.Read) || *a.DestructiveHint != (op.Risk == tools.Critical) ||
			a.IdempotentHint != (op.Risk == tools.Read || op.Idempotent) || *a.OpenWorldHint {
			t.Errorf("%s of risk %s has the hints %+v", tool.Name, op.Risk, a)
		}
		in, _ := json.Marshal(tool.InputSchema)
		if !strings.Contains(string(in), `"additionalProperties":false`) {
			t.Errorf("%s: the input schema is open: %s", tool.Name, in)
		}
		out, ok := tool.OutputSchema.(map[string]any)
		if !ok || out["type"] != "object" || out["oneOf"] != nil || out["anyOf"] != nil {
			t.Errorf("%s: the output schema is no plain object: %v", tool.Name, tool.OutputSchema)
		}
		if tool.Name <= previous {
			t.Errorf("%s comes after %s", tool.Name, previous)
		}
		previous = tool.Name
	}
}

func TestAListShowsWhatItsCallerMayUse(t *testing.T) {
	for _, tc := range []struct {
		name   string
		caller tools.Caller
		policy tools.PolicyConfig
		want   string
	}{
		{name: "an operator", caller: toolstest.AnnsAssistant, want: "bring destroy list_things make_token read_log request set_word start watch_things"},
		{name: "a viewer", caller: toolstest.VerasAssistant, want: "list_things read_log request watch_things"},
		{name: "a ceiling", caller: tools.Caller{Identity: "mcp:ann-laptop", Ceiling: tools.Viewer}, want: "list_things read_log request watch_things"},
		{name: "a token's toolsets", caller: tools.Caller{Identity: "mcp:ann-laptop", Toolsets: []string{"admin"}}, want: "bring make_token set_word"},
		{name: "a token without toolsets", caller: tools.Caller{Identity: "mcp:ann-laptop", Toolsets: []string{}}},
		{name: "read only", caller: toolstest.AnnsAssistant, policy: tools.PolicyConfig{ReadOnly: true}, want: "list_things read_log request watch_things"},
		{name: "a stranger", caller: tools.Caller{Identity: "mcp:somebody"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, nil, toolstest.WithPolicy(tc.policy))
			s := r.stdio(t, tc.caller, "2026-07-28", nil)
			list, err := s.ListTools(context.Background(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, tool := range list.Tools {
				names = append(names, strings.TrimPrefix(tool.Name, "duplicati_"))
			}
			if got := strings.Join(names, " "); got != tc.want {
				t.Errorf("listed %s, want %s", got, tc.want)
			}
			if strings.Contains(tc.want, "destroy") {
				return
			}
			res := call(t, s, "duplicati_destroy", map[string]any{"thing": "1"})
			if !res.IsError || len(r.World.Did()) != 0 || len(r.Heard.All()) != 0 {
				t.Errorf("a hidden tool answered %s and did %v", text(res), r.World.Did())
			}
		})
	}
}
