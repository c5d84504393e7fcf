package duplicatitest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

// The contract: testdata holds every exchange that was recorded with real
// servers, and the fake of the same generation must give the same answers.
//
//   - What a scenario (testdata/GENERATION/scenario.txt) does between the lines
//     happens outside a server: its clock, its restarts, files on disk, how
//     long tasks take and how they end. It holds no answer.
//   - Tokens, nonces and event numbers of the recording are mapped to the
//     fake's; of two that look the same the latest counts.
//   - match_test.go says what agrees with what.
//   - testdata/exceptions.txt names the lines that the fake answers otherwise.
//     A line that holds may not be in it, so that it only ever gets shorter.

// recordings are the servers that were recorded, and in what order.
var recordings = map[string][][]string{
	"2.1.0.5": {
		append(strings.Fields(mainServer), "password_and_tokens", "refresh_without_nonce", "serverutil"),
		{"restart"},
	},
	"2.2.0.3": {
		append(strings.Fields(mainServer), "password_and_tokens", "logs", "serverutil", "websocket"),
		{"restart"},
	},
	"2.3.0.4": {
		append(strings.Fields(mainServer), "password_and_tokens", "logs", "serverutil", "websocket"),
		{"restart"}, {"listing_versions_hangs_the_run"}, {"schedule"},
	},
	"2.3.1-dev": {
		append(strings.Fields(mainServer), "password_and_tokens", "logs", "serverutil", "websocket"),
		{"restart"}, {"schedule"},
	},
}

const mainServer = `unauthenticated login_failures login_refresh_logout reading pause_resume backups success
	queue failing export_import`

// canned are the answers that are catalogues: the fake has them from the
// recordings themselves.
var canned = []string{"/api/v1/systeminfo", "/api/v1/commandline", "/api/v1/backupdefaults"}

func TestContract(t *testing.T) {
	exceptions := readExceptions(t)
	for _, gen := range []string{"2.1.0.5", "2.2.0.3", "2.3.0.4", "2.3.1-dev"} {
		t.Run(gen, func(t *testing.T) {
			var total tally
			for _, files := range recordings[gen] {
				r := newReplay(t, gen, files[0], exceptions)
				for _, file := range files {
					r.play(file)
				}
				total.add(r.tally)
			}
			t.Logf("%s: %d exchanges: %d held, %d canned, %d excepted", gen, total.all(), total.held, total.canned, total.excepted)
		})
	}
	for where := range exceptions {
		t.Errorf("testdata/exceptions.txt: there is no line %s", where)
	}
}

// tally counts lines.
type tally struct{ held, canned, excepted, failed int }

func (t *tally) add(o tally) {
	t.held += o.held
	t.canned += o.canned
	t.excepted += o.excepted
	t.failed += o.failed
}

func (t tally) all() int { return t.held + t.canned + t.excepted + t.failed }

// readExceptions reads "GENERATION/file:line reason" lines.
func readExceptions(t *testing.T) map[string]string {
	raw, err := os.ReadFile("testdata/exceptions.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, line := range strings.Split(string(raw), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		where, reason, _ := strings.Cut(line, " ")
		if reason == "" || out[where] != "" {
			t.Fatalf("testdata/exceptions.txt: %q needs a reason, once", line)
		}
		out[where] = reason
	}
	return out
}

// exchange is a line of a recording.
type exchange struct {
	Label   string
	Request struct {
		Method, Path string
		Headers      [][2]string
		Body         string
		BodyB64      string `json:"body_b64"`
	}
	Response response
	// of a websocket
	Dir, Text, URL, What, Reason string
	Code                         int
	Body                         json.RawMessage
}

type response struct {
	Status  int
	Headers [][2]string
	Body    string
	BodyB64 string `json:"body_b64"`
}

func (r *response) header(name string) []string {
	var out []string
	for _, h := range r.Headers {
		if strings.EqualFold(h[0], name) {
			out = append(out, h[1])
		}
	}
	return out
}

func (r *response) bytes() []byte {
	if r.BodyB64 != "" {
		raw, err := base64.StdEncoding.DecodeString(r.BodyB64)
		if err != nil {
			panic(err)
		}
		return raw
	}
	return []byte(r.Body)
}

// replay is one recorded server, played against a fake.
type replay struct {
	t      *testing.T
	gen    string
	server *duplicatitest.Server
	wire   *httptest.Server
	client *http.Client
	steps  scenario
	words  mapping
	listed map[string]string // of exceptions
	tally
}

func newReplay(t *testing.T, gen, first string, excepted map[string]string) *replay {
	steps := readScenario(t, gen)
	r := &replay{t: t, gen: gen, steps: steps, words: mapping{}, listed: excepted}
	var err error
	r.server, err = duplicatitest.New(steps.start(t, gen, first))
	if err != nil {
		t.Fatal(err)
	}
	r.wire = httptest.NewServer(r.server)
	t.Cleanup(func() {
		r.server.Close()
		r.wire.Close()
	})
	r.client = &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, r.wire.Listener.Addr().String())
			},
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

// play replays a file.
func (r *replay) play(file string) {
	f, err := os.Open(filepath.Join("testdata", r.gen, file+".jsonl"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	if file == "websocket" {
		r.playSocket(file, lines)
		return
	}
	for n := 1; lines.Scan(); n++ {
		var x exchange
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			r.t.Fatalf("%s:%d: %v", file, n, err)
		}
		r.before(file, n)
		got := r.ask(&x)
		diffs := compareResponses(r.words, &x, got)
		r.count(file, n, x.Label+" "+x.Request.Method+" "+x.Request.Path, diffs, isCanned(x.Request.Path))
		r.words.learn(&x.Response, got)
	}
}

// before does what the scenario has before a line.
func (r *replay) before(file string, line int) {
	for _, words := range r.steps[fmt.Sprintf("%s:%d", file, line)] {
		if words[0] == "login" {
			r.login()
		} else if err := act(r.server, words); err != nil {
			r.t.Fatalf("scenario before %s:%d: %v", file, line, err)
		}
	}
}

// login opens a session that the recording only uses.
func (r *replay) login() {
	var x exchange
	x.Request.Method, x.Request.Path = "POST", "/api/v1/auth/login"
	x.Request.Headers = [][2]string{{"Content-Type", "application/json"}}
	x.Request.Body = `{"Password":"correct-password"}`
	var tokens struct{ AccessToken string }
	if err := json.Unmarshal(r.ask(&x).bytes(), &tokens); err != nil {
		r.t.Fatal(err)
	}
	r.words["other"] = tokens.AccessToken
}

func isCanned(path string) bool {
	for _, p := range canned {
		if path == p {
			return true
		}
	}
	return false
}

// count counts a line as held, canned or excepted, or complains.
func (r *replay) count(file string, n int, what string, diffs []string, canned bool) {
	where := fmt.Sprintf("%s/%s:%d", r.gen, file, n)
	_, known := r.listed[where]
	delete(r.listed, where)
	switch {
	case known && len(diffs) == 0:
		r.t.Errorf("%s holds: take it out of testdata/exceptions.txt", where)
	case known:
		r.tally.excepted++
	case len(diffs) > 0:
		r.failed++
		if len(diffs) > 6 {
			diffs = append(diffs[:6], "...")
		}
		if len(what) > 120 {
			what = what[:120]
		}
		r.t.Errorf("%s [%s]\n\t%s", where, what, strings.Join(diffs, "\n\t"))
	case canned:
		r.canned++
	default:
		r.held++
	}
}

// ask sends a recorded request, with the fake's words in it, and lets time
// pass while the server makes it wait.
func (r *replay) ask(x *exchange) *response {
	body := []byte(r.words.translate(x.Request.Body))
	if x.Request.BodyB64 != "" {
		body, _ = base64.StdEncoding.DecodeString(x.Request.BodyB64)
	}
	host := "127.0.0.1"
	path := r.words.translate(x.Request.Path)
	req, err := http.NewRequest(x.Request.Method, "http://server"+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if len(body) == 0 {
		req.Body = http.NoBody
		req.ContentLength = 0
	}
	for _, h := range x.Request.Headers {
		switch strings.ToLower(h[0]) {
		case "host":
			host = h[1]
		case "content-length", "connection", "accept-encoding", "transfer-encoding":
		default:
			req.Header.Add(h[0], r.words.translate(h[1]))
		}
	}
	req.Host = host
	type answer struct {
		res *response
		err error
	}
	done := make(chan answer, 1)
	go func() {
		res, err := r.client.Do(req)
		if err != nil {
			done <- answer{nil, err}
			return
		}
		defer res.Body.Close()
		raw, err := io.ReadAll(res.Body)
		got := &response{Status: res.StatusCode, BodyB64: base64.StdEncoding.EncodeToString(raw)}
		for name, values := range res.Header {
			for _, v := range values {
				got.Headers = append(got.Headers, [2]string{name, v})
			}
		}
		if res.ContentLength >= 0 && res.Header.Get("Content-Length") == "" {
			got.Headers = append(got.Headers, [2]string{"Content-Length", fmt.Sprint(res.ContentLength)})
		}
		done <- answer{got, err}
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for passed := time.Duration(0); passed < 2*time.Hour; {
		select {
		case a := <-done:
			if a.err != nil {
				r.t.Fatalf("%s %s: %v", x.Request.Method, x.Request.Path, a.err)
			}
			return a.res
		case <-tick.C:
			if r.server.Waiting() > 0 {
				r.server.Advance(time.Second)
				passed += time.Second
			}
		}
	}
	r.t.Fatalf("%s %s: no answer in two hours of the server's time", x.Request.Method, x.Request.Path)
	return nil
}
