package duplicati_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
)

// wire is where the exchanges recorded from real servers are.
const wire = "duplicatitest/testdata"

var recorded = map[string]duplicati.Generation{
	"2.1.0.5": duplicati.G21, "2.2.0.3": duplicati.G22, "2.3.0.4": duplicati.G230, "2.3.1-dev": duplicati.G231,
}

// lines calls f for each line of a recording that is an HTTP exchange.
func lines(t *testing.T, version string, f func(exchange)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(wire, version, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings of %s in %s (%v)", version, wire, err)
	}
	for _, name := range files {
		if base := filepath.Base(name); base == "websocket.jsonl" || base == "serverutil-output.jsonl" {
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		scan := bufio.NewScanner(file)
		scan.Buffer(nil, 16<<20)
		for n := 1; scan.Scan(); n++ {
			e := exchange{place: filepath.Base(name) + ":" + strconv.Itoa(n)}
			if err := json.Unmarshal(scan.Bytes(), &e); err != nil {
				t.Fatalf("%s %s: %v", version, e.place, err)
			}
			f(e)
		}
		if err := scan.Err(); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
}

var session = duplicati.Session{CookieName: "RefreshToken_8200", Cookie: secret.New("cookie"), Nonce: secret.New("nonce"), Access: secret.New("access")}

// endpoint is how the client asks for what a recorded request asked for.
type endpoint struct {
	method string
	path   *regexp.Regexp
	call   func(ctx context.Context, c *duplicati.Client, id string) error
}

func on(method, path string, call func(context.Context, *duplicati.Client, string) error) endpoint {
	return endpoint{method, regexp.MustCompile("^/api/v1/" + path + "$"), call}
}

func number(id string) int64 { n, _ := strconv.ParseInt(id, 10, 64); return n }

var endpoints = []endpoint{
	on("POST", "auth/login", func(ctx context.Context, c *duplicati.Client, _ string) error {
		s, err := c.Login(ctx, secret.New("word"), true)
		return sound(s, err)
	}),
	on("POST", "auth/signin", func(ctx context.Context, c *duplicati.Client, _ string) error {
		s, err := c.SignIn(ctx, secret.New("token"), true)
		return sound(s, err)
	}),
	on("POST", "auth/refresh", func(ctx context.Context, c *duplicati.Client, _ string) error {
		s, err := c.Refresh(ctx, session)
		return sound(s, err)
	}),
	on("POST", "auth/refresh/logout", func(ctx context.Context, c *duplicati.Client, _ string) error { return c.Logout(ctx, session) }),
	on("POST", "auth/issue-forever-token", func(ctx context.Context, c *duplicati.Client, _ string) error {
		_, err := c.ForeverToken(ctx)
		return err
	}),
	on("POST", "auth/issuetoken/(.+)", func(ctx context.Context, c *duplicati.Client, use string) error {
		_, err := c.IssueToken(ctx, duplicati.SingleUse(use))
		return err
	}),
	on("GET", "systeminfo", func(ctx context.Context, c *duplicati.Client, _ string) error { _, err := c.Info(ctx); return err }),
	on("GET", "serverstate", func(ctx context.Context, c *duplicati.Client, _ string) error { _, err := c.State(ctx); return err }),
	on("POST", "serverstate/pause", func(ctx context.Context, c *duplicati.Client, _ string) error {
		return c.Pause(ctx, duplicati.PauseOptions{UntilResumed: true})
	}),
	on("POST", "serverstate/resume", func(ctx context.Context, c *duplicati.Client, _ string) error { return c.Resume(ctx) }),
	on("GET", "backups", func(ctx context.Context, c *duplicati.Client, _ string) error { _, err := c.Backups(ctx); return err }),
	on("GET", "backup/([^/]+)", func(ctx context.Context, c *duplicati.Client, id string) error {
		_, err := c.Backup(ctx, id)
		return err
	}),
	on("GET", "backup/([^/]+)/isactive", func(ctx context.Context, c *duplicati.Client, id string) error {
		_, err := c.IsActive(ctx, id)
		return err
	}),
	on("GET", "backup/([^/]+)/isdbusedelsewhere", func(ctx context.Context, c *duplicati.Client, id string) error {
		_, err := c.DatabaseShared(ctx, id)
		return err
	}),
	on("GET", "backup/([^/]+)/log", func(ctx context.Context, c *duplicati.Client, id string) error {
		rows, err := c.Log(ctx, id, duplicati.Page{})
		for _, r := range rows {
			if r.Type == "Result" && (r.Result == nil || r.Result.Operation == "" || r.Result.Begin.IsZero() || r.Result.End.IsZero() || r.Result.Verdict() == duplicati.NotKnown) {
				return errors.New("a result row was not understood")
			}
		}
		return err
	}),
	on("POST", "backup/([^/]+)/run", func(ctx context.Context, c *duplicati.Client, id string) error {
		_, err := c.Run(ctx, id, false)
		return err
	}),
	on("DELETE", "backup/([^/]+)", func(ctx context.Context, c *duplicati.Client, id string) error {
		_, err := c.Delete(ctx, id, duplicati.DeleteOptions{})
		return err
	}),
	on("POST", "backups/import", func(ctx context.Context, c *duplicati.Client, _ string) error {
		_, err := c.Import(ctx, secret.New("{}"), duplicati.ImportOptions{})
		return err
	}),
	on("GET", "tasks", func(ctx context.Context, c *duplicati.Client, _ string) error { _, err := c.Tasks(ctx); return err }),
	on("GET", "task/([0-9]+)", func(ctx context.Context, c *duplicati.Client, id string) error {
		_, err := c.Task(ctx, number(id))
		return err
	}),
	on("GET", "progressstate", func(ctx context.Context, c *duplicati.Client, _ string) error { _, err := c.Progress(ctx); return err }),
	on("GET", "serversettings", func(ctx context.Context, c *duplicati.Client, _ string) error { _, err := c.Settings(ctx); return err }),
	on("PATCH", "serversettings", func(ctx context.Context, c *duplicati.Client, _ string) error { return c.SetSettings(ctx, nil) }),
	on("PUT", "serversetting/server-passphrase", func(ctx context.Context, c *duplicati.Client, _ string) error {
		return c.SetPassword(ctx, secret.New("word"))
	}),
	on("GET", "notifications", func(ctx context.Context, c *duplicati.Client, _ string) error {
		_, err := c.Notifications(ctx)
		return err
	}),
	on("DELETE", "notification/([0-9]+)", func(ctx context.Context, c *duplicati.Client, id string) error { return c.Dismiss(ctx, number(id)) }),
	on("GET", "logdata/log", func(ctx context.Context, c *duplicati.Client, _ string) error {
		_, err := c.ServerLog(ctx, duplicati.Page{})
		return err
	}),
}

// sound checks what a session must hold.
func sound(s duplicati.Session, err error) error {
	switch {
	case err != nil:
		return err
	case s.Access.Empty() || s.AccessEnds.IsZero():
		return errors.New("a session without an access token")
	case s.Cookie.Empty() != (s.CookieName == "") || s.Cookie.Empty() != s.RefreshEnds.IsZero():
		return errors.New("a refresh token in part")
	}
	return nil
}

// kinds are what each status may be taken for.
var kinds = map[int][]duplicati.Kind{
	400: {duplicati.Invalid, duplicati.DatabaseLocked},
	401: {duplicati.NotAuthorized, duplicati.LoginFailed, duplicati.SigninDisabled, duplicati.ForeverDisabled, duplicati.ForeverUsed},
	403: {duplicati.HostnameRefused},
	404: {duplicati.NotFound, duplicati.Unsupported},
	405: {duplicati.Unsupported},
	409: {duplicati.Conflict},
	415: {duplicati.Invalid},
	500: {duplicati.ServerFault, duplicati.NotAuthorized, duplicati.Busy, duplicati.Unstoppable, duplicati.WrongPassphrase, duplicati.PassphraseGone},
}

func TestEveryRecordedAnswerIsUnderstood(t *testing.T) {
	for version, g := range recorded {
		t.Run(version, func(t *testing.T) {
			p, anonymous := newPlayer(t, g)
			c := anonymous.With(fixed{})
			seen := make(map[string]int)
			lines(t, version, func(e exchange) {
				u, err := url.Parse(e.Request.Path)
				if err != nil {
					t.Fatal(err)
				}
				for _, end := range endpoints {
					m := end.path.FindStringSubmatch(u.Path)
					if end.method != e.Request.Method || m == nil || e.Request.Method == "POST" && u.Path == "/api/v1/backups/import" && strings.Contains(e.Label, "not direct") {
						continue
					}
					seen[end.method+" "+end.path.String()]++
					p.now, p.others = e, nil
					if u.Path == "/api/v1/tasks" {
						p.others = map[string]exchange{"GET /api/v1/serverstate": idle}
						if e.Response.Status != 200 {
							p.others = nil
						}
					}
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
					err := end.call(ctx, c, m[len(m)-1])
					cancel()
					c.Assume(g)
					check(t, version, e, err)
				}
			})
			for _, end := range endpoints {
				if seen[end.method+" "+end.path.String()] == 0 {
					t.Errorf("no recorded exchange of %s %s", end.method, end.path)
				}
			}
		})
	}
}

func check(t *testing.T, version string, e exchange, err error) {
	t.Helper()
	place := version + " " + e.place + " " + e.Request.Method + " " + e.Request.Path
	if e.Response.Status == 200 {
		if err != nil {
			t.Errorf("%s: %v", place, err)
		}
		return
	}
	var failure *duplicati.Error
	if !errors.As(err, &failure) {
		t.Errorf("%s was answered with %d, and the client said %v", place, e.Response.Status, err)
		return
	}
	fits := false
	for _, k := range kinds[e.Response.Status] {
		fits = fits || failure.Kind == k
	}
	if !fits || failure.Status != e.Response.Status {
		t.Errorf("%s: %d %q was taken for %d %s", place, e.Response.Status, e.Response.Body, failure.Status, failure.Kind)
	}
	if strings.Contains(failure.Error(), "?") || strings.Contains(failure.Error(), "token=") {
		t.Errorf("%s: the error shows a query: %s", place, failure.Error())
	}
}
