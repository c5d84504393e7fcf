package tools_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/tools"
)

type size string

func (size) Values() []string { return []string{"small", "large"} }

type demoIn struct {
	Backup string       `json:"backup" jsonschema:"Name or ID of the backup" tool:"pos,complete=backups"`
	Names  []string     `json:"names,omitempty" jsonschema:"More names" tool:"rest"`
	Wait   bool         `json:"wait,omitempty" jsonschema:"Wait for the end"`
	Count  int          `json:"count,omitempty" jsonschema:"How many"`
	Size   size         `json:"size,omitempty" jsonschema:"How large"`
	Key    tools.Secret `json:"key,omitempty" jsonschema:"The passphrase"`
	Folder string       `json:"folder,omitempty" jsonschema:"Where to" tool:"cli"`
	tools.OnServer
}

type demoOut struct {
	Items []string `json:"items"`
}

func demoOp() tools.Operation {
	return tools.Define(tools.Spec{Name: "demo-op", Summary: "Show how it is", Group: "demo", Toolset: "core", Risk: tools.Change},
		tools.Handler[demoIn, demoOut]{
			Do:   func(context.Context, tools.Env, demoIn) (demoOut, error) { return demoOut{Items: []string{}}, nil },
			View: func(demoOut) tools.View { return tools.View{Headline: "done"} },
		})
}

func TestTheInputStructIsTheSchema(t *testing.T) {
	op := demoOp()
	b, err := json.Marshal(op.InputSchema(tools.MCP))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"object","required":["backup"],"properties":{"backup":{"description":"Name or ID of the backup","type":"string"},"names":{"type":"array","description":"More names","items":{"type":"string"}},"wait":{"description":"Wait for the end","type":"boolean"},"count":{"description":"How many","type":"integer"},"size":{"description":"How large","type":"string","enum":["small","large"]},"key":{"description":"The passphrase","type":"string"},"server":{"description":"Name of the server; may be left out where one is the default","type":"string"}},"additionalProperties":false}`
	var g, w any
	json.Unmarshal(b, &g)
	json.Unmarshal([]byte(want), &w)
	gs, _ := json.Marshal(g)
	ws, _ := json.Marshal(w)
	if string(gs) != string(ws) {
		t.Errorf("schema\n got %s\nwant %s", b, want)
	}
	if i, j := strings.Index(string(b), `"backup":{`), strings.Index(string(b), `"server":{`); i < 0 || j < i {
		t.Errorf("the fields are not in the order of the struct: %s", b)
	}
	if _, cli := op.InputSchema(tools.CLI).Properties["folder"]; !cli {
		t.Error("a terminal's parameter is missing at the terminal")
	}
}

func TestOneGrammar(t *testing.T) {
	op := demoOp()
	for _, tc := range []struct{ line, want, code string }{
		{line: `photos`, want: `{"backup":"photos"}`},
		{line: `"My photos" --wait`, want: `{"backup":"My photos","wait":true}`},
		{line: `“My photos” —wait`, want: `{"backup":"My photos","wait":true}`},
		{line: `--wait photos a b`, want: `{"backup":"photos","names":["a","b"],"wait":true}`},
		{line: `photos --count=3 --no-wait`, want: `{"backup":"photos","count":"3","wait":false}`},
		{line: `photos --wait true`, want: `{"backup":"photos","wait":true}`},
		{line: `-- --odd`, want: `{"backup":"--odd"}`},
		{line: `photos --names x --names y`, want: `{"backup":"photos","names":["x","y"]}`},
		{line: `photos --wiat`, code: "did you mean --wait"},
		{line: `photos --count`, code: "needs a value"},
		{line: `photos --count 1 --count 2`, code: "given twice"},
		{line: `"photos`, code: "opened and not closed"},
		{line: `photos --hunter2!secret`, code: "no option --…"},
	} {
		t.Run(tc.line, func(t *testing.T) {
			words, err := tools.Split(tc.line)
			var args map[string]any
			if err == nil {
				args, err = op.ParseArgs(words, tools.CLI)
			}
			if tc.code != "" {
				if err == nil || !strings.Contains(err.Error(), tc.code) {
					t.Fatalf("got %v, %v; want an error with %q", args, err, tc.code)
				}
				return
			}
			got, _ := json.Marshal(args)
			if err != nil || string(got) != tc.want {
				t.Errorf("got %s, %v; want %s", got, err, tc.want)
			}
		})
	}
}

func TestAWrongDeclarationPanics(t *testing.T) {
	do := func(context.Context, tools.Env, demoIn) (demoOut, error) { return demoOut{}, nil }
	view := func(demoOut) tools.View { return tools.View{} }
	good := tools.Spec{Name: "x", Summary: "Do it", Group: "demo", Toolset: "core", Risk: tools.Change}
	for name, f := range map[string]func(){
		"no risk": func() { s := good; s.Risk = 0; tools.Define(s, tools.Handler[demoIn, demoOut]{Do: do, View: view}) },
		"no view": func() { tools.Define(good, tools.Handler[demoIn, demoOut]{Do: do}) },
		"critical no plan": func() {
			s := good
			s.Risk = tools.Critical
			tools.Define(s, tools.Handler[demoIn, demoOut]{Do: do, View: view})
		},
		"bad name": func() {
			s := good
			s.Name = "Bad_Name"
			tools.Define(s, tools.Handler[demoIn, demoOut]{Do: do, View: view})
		},
		"no server": func() {
			tools.Define(good, tools.Handler[struct {
				A string `json:"a" jsonschema:"a"`
			}, demoOut]{Do: func(context.Context, tools.Env, struct {
				A string `json:"a" jsonschema:"a"`
			}) (demoOut, error) {
				return demoOut{}, nil
			}, View: view})
		},
		"twice": func() {
			op := tools.Define(good, tools.Handler[demoIn, demoOut]{Do: do, View: view})
			tools.NewRegistry(op, op)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("the declaration was accepted")
				}
			}()
			f()
		})
	}
}
