package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/duplibot/duplibot/adapters/mcp"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// childVar makes a test binary serve on its standard input and output, with
// the store at this path.
const childVar = "DUPLIBOT_MCP_TEST_STORE"

// TestChild is no test: it is the server of those that need a process.
func TestChild(t *testing.T) {
	path := os.Getenv(childVar)
	if path == "" {
		t.Skip("serves as a process for other tests")
	}
	w := toolstest.NewWorld()
	w.Before = func(context.Context, string) error {
		time.Sleep(20 * time.Millisecond) // the TypeScript client drops progress that comes together with the answer
		return nil
	}
	g := toolstest.New(t, toolstest.After(&toolstest.Gate{Path: path, World: w, Vault: toolstest.NewVault(), Clock: &toolstest.Clock{}}),
		toolstest.WithOperations(reads(w)...), toolstest.WithPages())
	s, err := mcp.New(mcp.Options{Door: g.Runner, Registry: g.Registry, Version: "1.2.3", Toolsets: []string{"core", "admin"}, Pages: pages{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ServeStdio(context.Background(), toolstest.AnnsAssistant, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0) // before package testing writes to stdout
}

// process is a command that serves on stdio, over a store that decisions can
// be made in meanwhile.
func process(t testing.TB) (command string, r *rig) {
	t.Helper()
	w := toolstest.NewWorld()
	path := filepath.Join(t.TempDir(), "state", "duplibot.db")
	r = newRig(t, nil, toolstest.After(&toolstest.Gate{Path: path, World: w, Vault: toolstest.NewVault(), Clock: &toolstest.Clock{}}), toolstest.WithOperations(reads(w)...))
	command = filepath.Join(t.TempDir(), "serve")
	script := fmt.Sprintf("#!/bin/sh\n%s=%s TMPDIR=%s exec %s -test.run='^TestChild$'\n", childVar, path, t.TempDir(), os.Args[0])
	if err := os.WriteFile(command, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return command, r
}

func TestAProcessOnStdioKeepsItsOutputForTheProtocol(t *testing.T) {
	for era, version := range eras {
		t.Run(era, func(t *testing.T) {
			command, r := process(t)
			cmd := exec.Command(command)
			s, err := sdk.NewClient(&sdk.Implementation{Name: "go-sdk", Version: "1"}, nil).
				Connect(context.Background(), &sdk.CommandTransport{Command: cmd}, &sdk.ClientSessionOptions{ProtocolVersion: version})
			if err != nil {
				t.Fatal(err)
			}
			id := content(t, call(t, s, "duplicati_destroy", map[string]any{"thing": "1"}), "approval", "id").(string)
			if _, err := r.Decide(toolstest.BobAtTerminal, id, true); err != nil {
				t.Fatal(err)
			}
			if how := call(t, s, "duplicati_request", map[string]any{"id": id}); !strings.Contains(fmt.Sprint(how.StructuredContent), "done") {
				t.Errorf("afterwards: %v", how.StructuredContent)
			}
			start := time.Now()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %s to end after its input", took)
			}
		})
	}
	t.Run("every line is a message", func(t *testing.T) {
		command, _ := process(t)
		cmd := exec.Command(command)
		cmd.Stdin = strings.NewReader(strings.Join([]string{
			initialize, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "no message", `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"duplicati_read_log","arguments":{"lines":3}}}`,
			`{"jsonrpc":"2.0","id":3,"method":"` + strings.Repeat("x", 2<<20) + `"}`, `{"jsonrpc":"2.0","id":4,"method":"ping"}`,
		}, "\n") + "\n")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		ids := map[string]bool{}
		for line := range strings.Lines(string(out)) {
			var m struct {
				Version string          `json:"jsonrpc"`
				ID      json.RawMessage `json:"id"`
			}
			if err := json.Unmarshal([]byte(line), &m); err != nil || m.Version != "2.0" {
				t.Errorf("on stdout: %.200q", line)
			}
			ids[string(m.ID)] = true
		}
		for _, id := range []string{"1", "2", "4", "null"} {
			if !ids[id] {
				t.Errorf("nothing answers %s: %.2000s", id, out)
			}
		}
	})
}

func TestTheTypeScriptClientTellsTheApprovalStory(t *testing.T) {
	for _, era := range []string{"legacy", "2026-07-28"} {
		for _, transport := range []string{"stdio", "http"} {
			t.Run(transport+" "+era, func(t *testing.T) {
				var r *rig
				var target string
				if transport == "stdio" {
					target, r = process(t)
				} else {
					r = newRig(t, func(o *mcp.Options) { o.Pages = pages{} }, toolstest.WithPages())
					target = r.serve(t, nil)
				}
				cmd := peer(t, "node", "story.mjs", transport, target, era)
				cmd.Dir = peerFolder
				cmd.Env = append(cmd.Env, "TOKEN="+annToken)
				cmd.Stderr = os.Stderr
				in, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				tellStory(t, r, in, bufio.NewScanner(out))
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func tellStory(t *testing.T, r *rig, in io.Writer, lines *bufio.Scanner) {
	heard := map[string]string{}
	for lines.Scan() {
		var step struct {
			Step  string
			Value json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &step); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		heard[step.Step] = string(step.Value)
		if step.Step == "pending" {
			var pending struct{ Approval struct{ ID string } }
			if err := json.Unmarshal(step.Value, &pending); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Decide(toolstest.BobAtTerminal, pending.Approval.ID, true); err != nil {
				t.Error(err)
			}
			fmt.Fprintln(in, "agreed")
		}
	}
	for step, want := range map[string]string{
		"tools": "duplicati_destroy", "resources": "duplicati://requests", "started": `"status":"done","progress":[20`, "failed": `"isError":true`,
		"secret": `"mode":"url"`, "pending": `"status":"pending"`, "after": `"state":"done"`,
	} {
		if !strings.Contains(heard[step], want) {
			t.Errorf("%s: %s, want %s", step, heard[step], want)
		}
	}
	if got := strings.Join(r.World.Did(), ","); !strings.HasSuffix(got, "destroy nas 1") || strings.Count(got, "destroy") != 1 {
		t.Errorf("did %s", got)
	}
}

func TestTheInspectorFindsNothingAndBearsLoad(t *testing.T) {
	command, _ := process(t)
	r := newRig(t, nil)
	h, err := r.s.NewHTTP(mcp.HTTPOptions{Listen: "127.0.0.1:0", Tokens: r.tokens(t), Limits: unlimited})
	if err != nil {
		t.Fatal(err)
	}
	url := behind(t, h)
	inspect := func(t *testing.T, args ...string) string {
		t.Helper()
		cmd := peer(t, "mcp-inspector", append([]string{"--cli"}, args...)...)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%v: %v\n%s\n%s", args, err, errs.String(), tail(out, 2000))
		}
		return string(out)
	}
	for name, at := range map[string][]string{
		"stdio": {command, "-stdio"}, "http handshake": {url, "--transport", "http", "--protocol-era", "legacy"}, "http stateless": {url, "--transport", "http", "--protocol-era", "modern"},
	} {
		t.Run(name, func(t *testing.T) {
			if out := inspect(t, append(at, "--method", "tools/list", "--strict")...); !strings.Contains(out, "duplicati_destroy") {
				t.Errorf("listed %s", out)
			}
			if out := inspect(t, append(at, "--method", "resources/read", "--uri", "duplicati://things")...); !strings.Contains(out, "office") {
				t.Errorf("read %s", out)
			}
			if out := inspect(t, append(at, "--method", "prompts/get", "--prompt-name", "daily-check")...); !strings.Contains(out, "Read only") {
				t.Errorf("prompted %s", out)
			}
			out := inspect(t, append(at, "--method", "tools/call", "--tool-name", "duplicati_list_things", "--load", "--load-requests", "1000", "--format", "json", "-q")...)
			t.Logf("%s", strings.TrimSpace(out))
			if !strings.Contains(out, "1000") {
				t.Errorf("load: %s", out)
			}
		})
	}
}
