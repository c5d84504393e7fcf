package duplicatitest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

const password = "correct-password"

// week is for access tokens of tests in which hours pass.
const week = 7 * 24 * time.Hour

// start is a server whose clock stands and whose tasks take a second.
func start(t *testing.T, o duplicatitest.Options) *client {
	t.Helper()
	if o.Clock == nil {
		o.Clock = duplicatitest.NewStandingClock(time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)) // a Monday
	}
	if o.TaskTime == 0 {
		o.TaskTime = time.Second
	}
	o.Password = password
	return &client{t: t, Server: duplicatitest.Start(t, o)}
}

// eachGeneration runs a test against all of them.
func eachGeneration(t *testing.T, test func(t *testing.T, c *client)) {
	for _, g := range duplicatitest.Generations() {
		t.Run(g, func(t *testing.T) {
			c := start(t, duplicatitest.Options{Generation: g})
			test(t, c)
		})
	}
}

// client is a plain HTTP client of a fake, and the fake.
type client struct {
	*duplicatitest.Server
	t     *testing.T
	token string
}

// reply is an answer, read to its end.
type reply struct {
	Status int
	Header http.Header
	Body   string
}

func (r *reply) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.Body), into); err != nil {
		t.Fatalf("%d %q: %v", r.Status, r.Body, err)
	}
}

func (c *client) request(method, path, body string, headers ...string) *http.Request {
	c.t.Helper()
	req, err := http.NewRequest(method, c.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body == "" {
		req.Body = http.NoBody
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		switch headers[i] {
		case "Host":
			req.Host = headers[i+1]
		default:
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	return req
}

func (c *client) send(req *http.Request) *reply {
	c.t.Helper()
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return &reply{res.StatusCode, res.Header, string(raw)}
}

func (c *client) do(method, path, body string, headers ...string) *reply {
	c.t.Helper()
	return c.send(c.request(method, path, body, headers...))
}

// get reads an answer of 200.
func (c *client) get(path string, into any) {
	c.t.Helper()
	r := c.do("GET", path, "")
	if r.Status != http.StatusOK {
		c.t.Fatalf("GET %s: %d %s", path, r.Status, r.Body)
	}
	r.decode(c.t, into)
}

// session is what a login gives.
type session struct {
	AccessToken  string
	RefreshNonce string
	cookie       string
}

func (r *reply) session(t *testing.T) session {
	t.Helper()
	var s session
	r.decode(t, &s)
	s.cookie, _, _ = strings.Cut(r.Header.Get("Set-Cookie"), ";")
	return s
}

// login opens a session and uses its token from now on.
func (c *client) login() session {
	c.t.Helper()
	c.token = ""
	s := c.do("POST", "/api/v1/auth/login", `{"Password":"`+password+`","RememberMe":true}`).session(c.t)
	c.token = s.AccessToken
	return s
}

// refresh asks for a new pair, without the bearer token.
func (c *client) refresh(s session) *reply {
	c.t.Helper()
	req := c.request("POST", "/api/v1/auth/refresh", `{"Nonce":"`+s.RefreshNonce+`"}`, "Cookie", s.cookie)
	req.Header.Del("Authorization")
	return c.send(req)
}

// want checks the status and the body of an answer.
func (r *reply) want(t *testing.T, status int, body string) {
	t.Helper()
	if r.Status != status || r.Body != body {
		t.Errorf("%d %q, want %d %q", r.Status, r.Body, status, body)
	}
}

// run queues a run and returns its task's ID.
func (c *client) run(id string) int64 {
	c.t.Helper()
	var started struct{ ID int64 }
	c.do("POST", "/api/v1/backup/"+id+"/run", "").decode(c.t, &started)
	return started.ID
}

// task is a TaskState.
type task struct {
	Status       string
	ID           int64
	ErrorMessage string
}

func (c *client) task(id int64) task {
	c.t.Helper()
	var t task
	c.do("GET", "/api/v1/task/"+itoa(id), "").decode(c.t, &t)
	return t
}

func itoa(n int64) string {
	raw, _ := json.Marshal(n)
	return string(raw)
}

// state is what tests read of ServerStatus.
type state struct {
	ActiveTask *struct {
		Item1 int64
		Item2 string
	}
	ProgramState      string
	SchedulerQueueIds []struct{ Item1 int64 }
	ProposedSchedule  []struct{ Item1, Item2 string }
	HasError          bool
	EstimatedPauseEnd string
	LastEventID       int64
}

func (c *client) state() state {
	c.t.Helper()
	var s state
	c.get("/api/v1/serverstate", &s)
	return s
}

// result is what tests read of a result in a backup's log.
type result struct {
	MainOperation, ParsedResult string
	PartialBackup, Interrupted  bool
	Warnings, Errors            []string
}

// results reads a backup's log, newest first.
func (c *client) results(id string) []result {
	c.t.Helper()
	var rows []struct{ Message string }
	c.get("/api/v1/backup/"+id+"/log", &rows)
	var out []result
	for _, row := range rows {
		var r result
		if err := json.Unmarshal([]byte(row.Message), &r); err != nil {
			c.t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}
