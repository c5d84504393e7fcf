// Package e2e_test drives the program as it is built, with clients that are
// not ours.
package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

// eras are the two ways of the protocol, by a version of each.
var eras = map[string]string{"handshake": "2025-11-25", "stateless": "2026-07-28"}

var bin = struct {
	sync.Once
	folder string
	err    error
}{}

func TestMain(m *testing.M) {
	code := m.Run()
	if bin.folder != "" {
		_ = os.RemoveAll(bin.folder)
	}
	os.Exit(code)
}

// program is the path of the built program, which is called duplibot.
func program(t testing.TB) string {
	t.Helper()
	bin.Do(func() {
		if bin.folder, bin.err = os.MkdirTemp("", "duplibot-e2e-"); bin.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", filepath.Join(bin.folder, "duplibot"), "../cmd/bot")
		if out, err := cmd.CombinedOutput(); err != nil {
			bin.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if bin.err != nil {
		t.Fatal(bin.err)
	}
	return filepath.Join(bin.folder, "duplibot")
}

// home is an account's folder and environment.
type home struct {
	folder string
	env    []string
	config string
}

func newHome(t testing.TB) *home {
	t.Helper()
	folder, err := os.MkdirTemp("", "e2e") // short: a socket's path has a limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return &home{folder: folder, env: []string{
		"PATH=" + filepath.Dir(program(t)) + ":" + os.Getenv("PATH"), "HOME=" + folder, "XDG_CONFIG_HOME=" + filepath.Join(folder, ".config"),
		"XDG_RUNTIME_DIR=" + folder, "TMPDIR=" + folder, "RING_KEY=" + keyring.NewPassphrase().Reveal(), "NAS_PASSWORD=" + password,
	}}
}

const password = "e2e-server-password"

// withServer gives the account a config with a server of two backups.
func (h *home) withServer(t testing.TB, more string) *duplicatitest.Server {
	t.Helper()
	s, err := duplicatitest.New(duplicatitest.Options{Password: password, ForeverTokens: true, TaskTime: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Disk().Write("/data/photos/", 20, 1<<20)
	s.AddBackup(duplicatitest.Backup{Name: "Photos", TargetURL: "file:///mnt/photos", Sources: []string{"/data/photos/"}, Runs: []duplicatitest.Run{{Ago: time.Hour}}})
	s.AddBackup(duplicatitest.Backup{Name: "Mail", TargetURL: "file:///mnt/mail", Sources: []string{"/data/photos/"}})
	h.config = filepath.Join(h.folder, "duplibot.yaml")
	text := fmt.Sprintf("servers:\n  nas:\n    url: %s\n    password: env:NAS_PASSWORD\nkeyring: {backend: file, passphrase: \"env:RING_KEY\", folder: %q}\nstore: %q\nsocket: %q\n%s",
		s.URL, filepath.Join(h.folder, "ring"), "sqlite:"+filepath.Join(h.folder, "state", "duplibot.db"), filepath.Join(h.folder, "d.sock"), more)
	if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h.env = append(h.env, "DUPLIBOT_CONFIG="+h.config)
	return s
}

func (h *home) command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program(t), args...)
	cmd.Env, cmd.Dir = h.env, h.folder
	return cmd
}

func (h *home) run(t testing.TB, args ...string) string {
	t.Helper()
	var errs bytes.Buffer
	cmd := h.command(t, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("duplibot %s: %v\n%s%s", strings.Join(args, " "), err, out, errs.String())
	}
	return string(out)
}

// connect starts the program as a client does and returns what it says beside
// the protocol.
func connect(t *testing.T, cmd *exec.Cmd, version string) (*sdk.ClientSession, *notes) {
	t.Helper()
	said := &notes{}
	cmd.Stderr = said
	s, err := sdk.NewClient(&sdk.Implementation{Name: "e2e", Version: "1"}, nil).
		Connect(context.Background(), &sdk.CommandTransport{Command: cmd}, &sdk.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, said
}

type notes struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}

func call(t *testing.T, s *sdk.ClientSession, tool string, args map[string]any) (*sdk.CallToolResult, string) {
	t.Helper()
	r, err := s.CallTool(context.Background(), &sdk.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	var b strings.Builder
	for _, c := range r.Content {
		if c, ok := c.(*sdk.TextContent); ok {
			b.WriteString(c.Text)
		}
	}
	return r, b.String()
}

// samples are arguments with which each tool of the demo works.
var samples = map[string]map[string]any{
	"duplicati_delete": {"backup": "Laptop (new)"}, "duplicati_export": {"backups": []string{"Photos"}, "unencrypted": true},
	"duplicati_pause": {"duration": "5m"}, "duplicati_result": {"backup": "Photos"}, "duplicati_run": {"backup": "Photos"},
	"duplicati_wait": {"backup": "Photos", "seconds": 1}, "duplicati_progress": {}, "duplicati_stop": {"backup": "Photos"},
	"duplicati_change_password": {"new_password": "generate"}, "duplicati_import": {"file": "page"},
}

func TestAClientListsAndCallsEveryTool(t *testing.T) {
	for era, version := range eras {
		t.Run(era, func(t *testing.T) {
			s, _ := connect(t, newHome(t).command(t, "demo", "--mcp"), version)
			list, err := s.ListTools(context.Background(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(list.Tools) < 15 {
				t.Errorf("%d tools", len(list.Tools))
			}
			for _, tool := range list.Tools {
				r, text := call(t, s, tool.Name, samples[tool.Name]) // the client checks the output schema
				t.Logf("%s: %.100q", tool.Name, text)
				switch out, _ := r.StructuredContent.(map[string]any); {
				case r.IsError:
					// Two cannot work here, and have to say why.
					if !slices.Contains([]string{"duplicati_import", "duplicati_stop"}, tool.Name) || !strings.Contains(text, "hint") && !strings.Contains(text, "Next") {
						t.Errorf("%s: %s", tool.Name, text)
					}
				case *tool.Annotations.DestructiveHint != (out["status"] == "pending") && tool.Name != "duplicati_export":
					t.Errorf("%s is %v: %s", tool.Name, out["status"], text)
				}
				if !strings.Contains(text, "simulated") && !r.IsError {
					t.Errorf("%s does not say that it is simulated: %s", tool.Name, text)
				}
			}
		})
	}
}

var requestID = regexp.MustCompile(`a-[a-z0-9]{8,}`)

// What an assistant asks for is agreed to by a person at another terminal, and
// by nothing that the assistant has.
func TestAPersonAtAnotherTerminalDecides(t *testing.T) {
	for era, version := range eras {
		t.Run(era, func(t *testing.T) {
			h := newHome(t)
			s, said := connect(t, h.command(t, "demo", "--mcp"), version)
			_, text := call(t, s, "duplicati_delete", map[string]any{"backup": "Laptop (new)"})
			id := requestID.FindString(text)
			for _, tool := range []string{"approve", "duplicati_approve", "Approve", "duplicati_decide", "duplicati_confirm"} {
				if r, err := s.CallTool(context.Background(), &sdk.CallToolParams{Name: tool, Arguments: map[string]any{"id": id, "yes": true}}); err == nil && !r.IsError {
					t.Errorf("%s worked", tool)
				}
			}
			for _, word := range []string{"approve", "approved", "yes", "confirm", "phrase", "unattended"} {
				if r, text := call(t, s, "duplicati_delete", map[string]any{"backup": "Laptop (new)", word: true}); !r.IsError {
					t.Errorf("%s: %s", word, text)
				}
			}
			if _, text := call(t, s, "duplicati_list_backups", nil); !strings.Contains(text, "Laptop (new)") {
				t.Fatalf("it is gone: %s", text)
			}
			config := regexp.MustCompile(`--config (\S+)`).FindStringSubmatch(said.String())
			if id == "" || config == nil {
				t.Fatalf("%s\n%s", text, said)
			}
			h.run(t, "--config", config[1], "approve", id, "--yes", "--phrase", "Laptop (new)")
			if _, text := call(t, s, "duplicati_approval", map[string]any{"id": id, "seconds": 30}); !strings.Contains(text, "done") {
				t.Errorf("afterwards: %s", text)
			}
			if _, text := call(t, s, "duplicati_list_backups", nil); strings.Contains(text, "Laptop (new)") {
				t.Errorf("it is still there: %s", text)
			}
		})
	}
}

// blocks are the fenced blocks of a document, by language.
func blocks(t *testing.T, name string) (all [][2]string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(b), -1) {
		all = append(all, [2]string{m[1], m[2]})
	}
	return all
}

// entry is a server as clients write it down.
type entry struct {
	Command string
	Args    []string
	URL     string
	Headers map[string]string
}

// entries are the servers in a block.
func entries(t *testing.T, language, text string) (all []entry) {
	t.Helper()
	switch language {
	case "json":
		var doc map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		for _, key := range []string{"mcpServers", "servers", "context_servers"} {
			var servers map[string]entry
			if doc[key] == nil {
				continue
			}
			if err := json.Unmarshal(doc[key], &servers); err != nil {
				t.Fatalf("%v:\n%s", err, text)
			}
			all = append(all, servers["duplibot"])
		}
		if len(all) == 0 {
			t.Errorf("no server in:\n%s", text)
		}
	case "toml":
		command := regexp.MustCompile(`(?m)^command = "(.*)"$`).FindStringSubmatch(text)
		args := regexp.MustCompile(`(?m)^args = (\[.*\])$`).FindStringSubmatch(text)
		if command == nil || args == nil || !strings.HasPrefix(text, "[mcp_servers.duplibot]\n") {
			t.Fatalf("not understood:\n%s", text)
		}
		e := entry{Command: command[1]}
		if err := json.Unmarshal([]byte(args[1]), &e.Args); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	case "sh":
		if _, words, ok := strings.Cut(text, " -- "); ok {
			f := strings.Fields(words)
			all = append(all, entry{Command: f[0], Args: f[1:]})
		} else if m := regexp.MustCompile(`--transport http duplibot (\S+) --header "Authorization: (.*)"`).FindStringSubmatch(text); m != nil {
			all = append(all, entry{URL: m[1], Headers: map[string]string{"Authorization": m[2]}})
		}
	}
	return all
}

const team = `mcp:
  http: {listen: "127.0.0.1:%d"}
people:
  ann: {identities: ["uid:%d", "mcp:ann-laptop"], roles: [operator, approver]}
`

// serving starts the daemon with HTTP, and returns its address, a token of it and
// the server that it works for.
func (h *home) serving(t testing.TB) (endpoint, token string, server *duplicatitest.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	server = h.withServer(t, fmt.Sprintf(team, port, os.Getuid()))
	cmd := h.command(t, "serve")
	said := &notes{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the daemon said:\n%s", said)
		}
	})
	for range 300 {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = c.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	file := filepath.Join(h.folder, "token")
	h.run(t, "token", "create", "--for", "ann", "--name", "ann-laptop", "--to", file)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d/mcp", port), strings.TrimSpace(string(b)), server
}

type bearing string

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// Every snippet of docs/clients.md is started, or connected to, as the client
// would, and lists its tools.
func TestTheSnippetsForClientsWork(t *testing.T) {
	remote := newHome(t)
	endpoint, token, _ := remote.serving(t)
	tried := map[string]int{}
	for i, b := range blocks(t, "../docs/clients.md") {
		for _, e := range entries(t, b[0], b[1]) {
			t.Run(fmt.Sprintf("%d %s", i, b[0]), func(t *testing.T) {
				var s *sdk.ClientSession
				if e.Command != "" {
					tried["command"]++
					h := newHome(t)
					h.withServer(t, "")
					for i := range e.Args {
						if e.Args[i] == "/etc/duplibot/duplibot.yaml" {
							e.Args[i] = h.config
						}
					}
					if e.Command != "duplibot" {
						t.Fatalf("the command is %q", e.Command)
					}
					s, _ = connect(t, h.command(t, e.Args...), "")
				} else {
					tried["url"]++
					bearer := regexp.MustCompile(`\$(\{[^}]*\}|\w+)`).ReplaceAllLiteralString(e.Headers["Authorization"], token)
					if !strings.HasSuffix(e.URL, "/mcp") || bearer != "Bearer "+token {
						t.Fatalf("%+v", e)
					}
					var err error
					s, err = sdk.NewClient(&sdk.Implementation{Name: "e2e", Version: "1"}, nil).Connect(context.Background(),
						&sdk.StreamableClientTransport{Endpoint: endpoint, HTTPClient: &http.Client{Transport: bearing(bearer)}}, nil)
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
				}
				list, err := s.ListTools(context.Background(), nil)
				if err != nil || len(list.Tools) < 10 {
					t.Fatalf("%d tools, %v", len(list.Tools), err)
				}
				if r, text := call(t, s, "duplicati_list_backups", nil); r.IsError || !strings.Contains(text, "Photos") {
					t.Errorf("answered %s", text)
				}
			})
		}
	}
	if tried["command"] < 8 || tried["url"] < 3 {
		t.Errorf("only %v were tried", tried)
	}
}

// peer prepares a program of the suites that adapters/mcp/conformance installs.
func peer(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	folder, err := filepath.Abs("../adapters/mcp/conformance/node_modules/.bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "node")); err != nil {
		const why = "needs adapters/mcp/conformance/node_modules, installed with npm ci in adapters/mcp/conformance"
		if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, filepath.Join(folder, name), args...)
	cmd.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"), "NO_COLOR=1", "HOME="+t.TempDir())
	return cmd
}

// scenarios are those of the suite that need no tools of its own.
var scenarios = map[string]string{
	"2025-11-25": "server-initialize ping tools-list resources-list prompts-list dns-rebinding-protection server-session-lifecycle",
	"2026-07-28": "tools-list resources-list prompts-list dns-rebinding-protection caching http-header-validation server-stateless",
}

func TestTheConformanceSuitePassesOnTheProgram(t *testing.T) {
	peer(t, "conformance")
	h := newHome(t)
	endpoint, token, _ := h.serving(t)
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	// The suite brings no token.
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: target.Host})
		r.Out.Host = r.In.Host // what the suite says is for the program to judge
		r.Out.Header.Set("Authorization", "Bearer "+token)
	}}
	bringing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An answer that overtakes the end of a body cuts itself off: a proxy
		// of net/http cannot read on once it writes (golang/go#40747).
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(bringing.Close)
	for revision, names := range scenarios {
		for name := range strings.FieldsSeq(names) {
			t.Run(revision+" "+name, func(t *testing.T) {
				results := t.TempDir()
				out, err := peer(t, "conformance", "server", "--url", bringing.URL+"/mcp", "--spec-version", revision, "--scenario", name, "-o", results).CombinedOutput()
				passed, bad, untestable := verdicts(t, results)
				if len(bad) > 0 || passed == 0 || err != nil && !untestable {
					t.Errorf("%v, %v:\n%s", err, bad, tail(out, 3000))
				}
			})
		}
	}
}

// verdicts counts what a run of the suite found, from its files. What needs
// tools that a product does not have says so.
func verdicts(t *testing.T, folder string) (passed int, bad []string, untestable bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*", "checks.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the suite left no results: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []struct{ ID, Status, ErrorMessage string }
		if err := json.Unmarshal(b, &checks); err != nil {
			t.Fatal(err)
		}
		for _, c := range checks {
			switch {
			case c.Status == "SUCCESS":
				passed++
			case strings.HasPrefix(c.ErrorMessage, "Not testable"):
				untestable = true
			case c.Status == "FAILURE" || c.Status == "WARNING":
				bad = append(bad, c.ID+": "+c.ErrorMessage)
			}
		}
	}
	return passed, bad, untestable
}

func TestTheInspectorFindsNothingInTheProgram(t *testing.T) {
	h := newHome(t)
	h.withServer(t, "")
	peer(t, "mcp-inspector")
	script := filepath.Join(h.folder, "start")
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	for _, v := range h.env {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", name, value)
	}
	fmt.Fprintf(&b, "exec %s mcp\n", program(t))
	if err := os.WriteFile(script, []byte(b.String()), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--method", "tools/list", "--strict"},
		{"--method", "tools/call", "--tool-name", "duplicati_status", "--load", "--load-requests", "1000", "--format", "json", "-q"},
	} {
		cmd := peer(t, "mcp-inspector", append([]string{"--cli", script, "-stdio"}, args...)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil || len(bytes.TrimSpace(out)) == 0 {
			t.Errorf("%v: %v\n%s\n%s", args, err, tail(errs.Bytes(), 2000), tail(out, 2000))
		}
		t.Logf("%v: %s", args, tail(out, 300))
	}
}

// A script that replaces a client by a few lines gets lines of the protocol and
// nothing else, and the program ends with its input.
func TestTheProgramSaysNothingButTheProtocol(t *testing.T) {
	h := newHome(t)
	h.withServer(t, "")
	cmd := h.command(t, "mcp")
	cmd.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
no message
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"duplicati_status","arguments":{}}}
`)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var m struct {
			Version string `json:"jsonrpc"`
			ID      json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.Version != "2.0" {
			t.Errorf("on standard output: %.200s", lines.Text())
		}
		ids[string(m.ID)] = true
	}
	if !ids["1"] || !ids["2"] {
		t.Errorf("answered %v: %.2000s", ids, out)
	}
}

func tail(b []byte, n int) string {
	b = bytes.TrimSpace(b)
	return string(b[max(0, len(b)-n):])
}
