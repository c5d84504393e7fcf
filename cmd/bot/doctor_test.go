package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/duplibot/duplibot/adapters/local"
	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// setUp is a set-up that doctor looks at, with the config as it should be.
type setUp struct {
	t          *testing.T
	dir        string
	url, extra string // of the server nas; more lines of the config
	ofServer   string // more lines of the server
	ring       string // the passphrase of the keyring
	password   string
	store      string
	keyring    string   // the backend, "" for files
	env        []string // more of the environment
	words      []string // what differs from run to run and what stands for it, in turn
}

func newSetUp(t *testing.T) *setUp {
	dir := t.TempDir()
	return &setUp{t: t, dir: dir, ring: keyring.NewPassphrase().Reveal(), password: serverPassword, store: filepath.Join(dir, "state", "duplibot.db")}
}

func (s *setUp) serve(o duplicatitest.Options) *duplicatitest.Server {
	o.Password = serverPassword
	server := duplicatitest.Start(s.t, o)
	s.url = server.URL
	return server
}

func (s *setUp) keyringLine() string {
	if s.keyring != "" {
		return "keyring: {backend: " + s.keyring + "}\n"
	}
	return "keyring: {backend: file, passphrase: \"env:RING_KEY\", folder: \"" + s.dir + "/ring\"}\n"
}

// command is the real program in a home of its own.
func (s *setUp) command(args ...string) *exec.Cmd {
	s.t.Helper()
	text := "servers:\n  nas:\n    url: " + s.url + "\n    password: env:NAS_PASSWORD\n" + s.ofServer +
		s.keyringLine() +
		"store: \"sqlite:" + s.store + "\"\nsocket: \"" + s.dir + "/d.sock\"\n" + s.extra
	path := filepath.Join(s.dir, "duplibot.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), "duplibot", args...)
	cmd.Env = []string{
		"HOME=" + s.dir, "PATH=" + os.Getenv("PATH"), "DBUS_SESSION_BUS_ADDRESS=disabled:", "DUPLIBOT_CONFIG=" + path,
		"RING_KEY=" + s.ring, "NAS_PASSWORD=" + s.password,
	}
	cmd.Env = append(cmd.Env, s.env...)
	return cmd
}

// run runs it.
func (s *setUp) run(args ...string) (stdout string, code int) {
	s.t.Helper()
	cmd := s.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	if errs.Len() > 0 {
		s.t.Errorf("stderr: %s", &errs)
	}
	for _, word := range []string{s.ring, serverPassword} {
		if word != "" && strings.Contains(out.String(), word) {
			s.t.Errorf("a secret was written: %s", &out)
		}
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// daemon serves the set-up's socket with another program's operations.
func (s *setUp) daemon(version string, reg *tools.Registry) {
	s.t.Helper()
	s.serve(duplicatitest.Options{})
	gate := toolstest.New(s.t)
	server, err := local.NewServer(local.Options{Door: gate.Runner, Decisions: gate.Desk, Registry: reg, Version: version, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := local.Listen(filepath.Join(s.dir, "d.sock"), "")
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, l) }()
	s.t.Cleanup(func() { stop(); <-ended })
}

// steady takes out of the words what differs from run to run.
func (s *setUp) steady(text string) string {
	text = strings.ReplaceAll(text, s.dir, "DIR")
	text = strings.NewReplacer(append(s.words, version(), "VERSION")...).Replace(text)
	if own, err := user.Current(); err == nil {
		text = regexp.MustCompile(`(?m)^(\w+ +people +)`+regexp.QuoteMeta(own.Username)+`\b`).ReplaceAllString(text, "${1}ACCOUNT")
	}
	for _, r := range []struct{ form, word string }{
		{`127\.0\.0\.1:\d+`, "HOST:PORT"},
		{`sha256:[0-9a-f]{64}`, "sha256:FINGERPRINT"},
		{`\d+ GiB free`, "N GiB free"},
		{`expires on \d{4}-\d\d-\d\d`, "expires on DATE"},
		{`until \d{4}-\d\d-\d\d`, "until DATE"},
		{`by -?2h[0-9hms]*`, "by 2h"},
		{`no server database in [^;\n"]*`, "no server database in FOLDERS"},
		{`lookup nas\.invalid[^;\n"]*`, "lookup nas.invalid: REASON"},
	} {
		text = regexp.MustCompile(r.form).ReplaceAllString(text, r.word)
	}
	return text
}

// TestDoctorSaysWhatIsWrongAndWhatToDo holds its words on ten set-ups that are
// broken and one that is not.
func TestDoctorSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		code    int
		prepare func(*setUp)
	}{
		"well": {0, func(s *setUp) { s.serve(duplicatitest.Options{}) }},
		"config-misspelt": {1, func(s *setUp) {
			s.serve(duplicatitest.Options{})
			s.extra = "keyrings: {}\n"
		}},
		"keyring-without-passphrase": {1, func(s *setUp) {
			s.serve(duplicatitest.Options{})
			s.ring = ""
		}},
		"keyring-of-another-passphrase": {1, func(s *setUp) {
			s.serve(duplicatitest.Options{})
			s.run("login")
			s.ring = keyring.NewPassphrase().Reveal()
		}},
		"store-damaged": {1, func(s *setUp) {
			s.serve(duplicatitest.Options{})
			if err := os.MkdirAll(filepath.Dir(s.store), 0o700); err != nil {
				s.t.Fatal(err)
			}
			if err := os.WriteFile(s.store, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
				s.t.Fatal(err)
			}
		}},
		"server-name-unknown": {1, func(s *setUp) { s.url = "http://nas.invalid:8200" }},
		"server-not-running": {1, func(s *setUp) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				s.t.Fatal(err)
			}
			s.url = "http://" + l.Addr().String()
			l.Close()
		}},
		"server-certificate-untrusted": {1, func(s *setUp) { s.serve(duplicatitest.Options{TLS: true}) }},
		"server-certificate-changed": {1, func(s *setUp) {
			s.serve(duplicatitest.Options{TLS: true})
			s.ofServer = "    tls: {pins: [\"sha256:" + strings.Repeat("0", 64) + "\"]}\n"
		}},
		"server-behind-a-dead-proxy": {1, func(s *setUp) { s.serve(duplicatitest.Options{}).Inject(duplicatitest.BadGateway()) }},
		"server-hostname-refused": {1, func(s *setUp) {
			// A proxy that passes its own name on.
			s.serve(duplicatitest.Options{AllowedHostnames: "backup.example.org"})
			to, err := url.Parse(s.url)
			if err != nil {
				s.t.Fatal(err)
			}
			proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(to)
				r.Out.Host = "proxy.example.org"
			}})
			s.t.Cleanup(proxy.Close)
			s.url = proxy.URL
		}},
		"server-password-wrong": {1, func(s *setUp) {
			s.serve(duplicatitest.Options{})
			s.password = "not-its-password"
		}},
		"server-clock-wrong": {0, func(s *setUp) {
			s.serve(duplicatitest.Options{}).Advance(2 * time.Hour)
		}},
		"slack-without-tokens": {1, func(s *setUp) {
			s.serve(duplicatitest.Options{})
			s.extra = "slack: {app_token: \"env:NO_APP_TOKEN\", bot_token: \"env:NO_BOT_TOKEN\", approvals_channel: C0APPROVE}\n"
		}},
		"server-2.0": {1, func(s *setUp) {
			old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/login.cgi" {
					io.WriteString(w, `{"Status":"OK","Nonce":"AAAA","Salt":"BBBB"}`)
					return
				}
				w.Header().Set("Location", "/login.html")
				w.WriteHeader(http.StatusUnauthorized)
				io.WriteString(w, "Not logged in")
			}))
			s.t.Cleanup(old.Close)
			s.url = old.URL
		}},
		"slack-scope-missing": {1, func(s *setUp) {
			s.serve(duplicatitest.Options{})
			all := slacktest.New(s.t, slacktest.Options{}).Scopes()
			chat := slacktest.New(s.t, slacktest.Options{Scopes: slices.DeleteFunc(all, func(scope string) bool { return scope == "usergroups:read" })})
			channel := chat.AddChannel(slacktest.Channel{Name: "approvals", Members: []string{chat.BotUserID()}})
			s.env = append(s.env, "APP_TOKEN="+chat.AppToken(), "BOT_TOKEN="+chat.BotToken())
			s.words = append(s.words, channel.ID, "C0APPROVE")
			s.extra = fmt.Sprintf("slack: {app_token: \"env:APP_TOKEN\", bot_token: \"env:BOT_TOKEN\", approvals_channel: %s, api_url: %q}\n", channel.ID, chat.APIURL())
		}},
		"daemon-silent": {1, func(s *setUp) {
			s.serve(duplicatitest.Options{})
			l, err := net.Listen("unix", filepath.Join(s.dir, "d.sock"))
			if err != nil {
				s.t.Fatal(err)
			}
			s.t.Cleanup(func() { l.Close() })
		}},
		"daemon-of-another-version":    {0, func(s *setUp) { s.daemon("9.9", operations()) }},
		"daemon-with-other-operations": {1, func(s *setUp) { s.daemon("9.9", tools.NewRegistry(*operations().All()[0])) }},
		"nobody-approves": {1, func(s *setUp) {
			s.serve(duplicatitest.Options{TLS: true})
			s.ofServer = "    tls: {insecure: true}\n"
			s.password = ""
			s.extra = "people:\n  vera: {identities: [\"mcp:vera\"], roles: [viewer]}\n  olaf: {identities: [\"mcp:olaf\"], roles: [operator]}\n" +
				"mcp: {http: {listen: \"127.0.0.1:8484\"}}\nweb: {listen: \"127.0.0.1:8485\"}\n"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetUp(t)
			c.prepare(s)
			s.doctor(name, c.code)
		})
	}
}

// doctor holds what doctor says and its exit code.
func (s *setUp) doctor(name string, want int) {
	t := s.t
	t.Helper()
	text, code := s.run("doctor")
	if code != want {
		t.Errorf("exit code %d, want %d", code, want)
	}
	path := filepath.Join("testdata", "doctor", name+".golden")
	got := s.steady(text)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	held, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(held), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	text, again := s.run("doctor", "--json")
	var answer struct {
		OK       bool
		Findings []finding
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || again != code || answer.OK != (code == 0) || len(answer.Findings) == 0 {
		t.Errorf("as JSON: %v, exit code %d, %s", err, again, text)
	}
	for _, f := range answer.Findings {
		if f.State == broken && f.Hint == "" {
			t.Errorf("nothing says what to do about: %s", f.Words)
		}
	}
}
