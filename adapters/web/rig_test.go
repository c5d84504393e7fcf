package web_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/web"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// rig is a gate with pages, served at a real port.
type rig struct {
	*toolstest.Gate
	t    *testing.T
	web  *web.Server
	log  *safeBuffer
	stop func() // ends the server, once
	at   string // its address
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newRig(t *testing.T, change func(*web.Options), opts ...toolstest.Option) *rig {
	t.Helper()
	r := &rig{t: t, log: &safeBuffer{}}
	r.Gate = toolstest.New(t, append([]toolstest.Option{toolstest.WithPages()}, opts...)...)
	r.serve("127.0.0.1:0", change)
	return r
}

// restart ends the server and starts another one, which knows nothing of the
// first, at the same address.
func (r *rig) restart() {
	r.t.Helper()
	r.stop()
	r.serve(r.at, nil)
}

func (r *rig) serve(addr string, change func(*web.Options)) {
	r.t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		r.t.Fatal(err)
	}
	o := web.Options{
		Desk: r.Desk, Pages: pages{r.DB.Pages}, Registry: r.Registry, Listen: l.Addr().String(), Now: r.Clock.Now,
		Key: func(context.Context) ([]byte, error) { return bytes.Repeat([]byte{9}, 32), nil },
		Log: slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	if r.web, err = web.New(o); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func(s *web.Server) { ended <- s.Serve(ctx, l) }(r.web)
	r.at = l.Addr().String()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("the server ended with %v", err)
		}
	})
	r.t.Cleanup(r.stop)
}

// waiting is a request of ann's assistant that waits for a word.
func (r *rig) waiting() tools.Approval {
	r.t.Helper()
	return r.ask(toolstest.AnnsAssistant, "set-word", map[string]any{"thing": "1", "word": "page"})
}

func (r *rig) ask(c tools.Caller, operation string, args map[string]any) tools.Approval {
	r.t.Helper()
	answer, err := r.Run(c, operation, args)
	if err != nil || answer.Approval == nil {
		r.t.Fatalf("%s: %+v, %v", operation, answer, err)
	}
	return r.request(answer.Approval.ID)
}

func (r *rig) request(id string) tools.Approval {
	r.t.Helper()
	a, err := r.Desk.Request(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func (r *rig) enter(a tools.Approval) web.Opened {
	r.t.Helper()
	opened, err := r.web.Enter(r.t.Context(), a)
	if err != nil {
		r.t.Fatal(err)
	}
	return opened
}

// kept is a request of ann's that is done and has kept a token.
func (r *rig) kept() tools.Approval {
	r.t.Helper()
	a := r.ask(toolstest.AnnsAssistant, "make-token", nil)
	done, err := r.Decide(toolstest.BobInSlack, a.ID, true)
	if err != nil || len(done.Kept) != 1 {
		r.t.Fatalf("kept %+v, %v", done.Kept, err)
	}
	return done
}

// client is a browser without script, styles or cookies.
var client = &http.Client{Timeout: 40 * time.Second}

type reply struct {
	status int
	header http.Header
	body   string
}

func do(t *testing.T, req *http.Request) reply {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

func get(t *testing.T, link string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, req)
}

// formOf is what a page's form sends: fields, and a file where the value
// begins with "file:".
func formOf(t *testing.T, link string, fields map[string]string) *http.Request {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, value := range fields {
		if content, file := strings.CutPrefix(value, "file:"); file {
			part, _ := w.CreateFormFile(name, "things.json")
			io.WriteString(part, content)
			continue
		}
		w.WriteField(name, value)
	}
	w.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, link, &b)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return req
}

func post(t *testing.T, link string, fields map[string]string) reply {
	t.Helper()
	return do(t, formOf(t, link, fields))
}

// word is a filled-in form.
func word(code, value string) map[string]string {
	return map[string]string{"code": code, "give.word": value, "give.word.again": value}
}

// action is where a page's form goes, as a browser resolves it.
func action(t *testing.T, from, body string) string {
	t.Helper()
	_, rest, found := strings.Cut(body, `action="`)
	if !found {
		t.Fatalf("no form in:\n%s", body)
	}
	rest, _, _ = strings.Cut(rest, `"`)
	base, err := url.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	to, err := base.Parse(rest)
	if err != nil {
		t.Fatal(err)
	}
	return to.String()
}

func (r reply) wants(t *testing.T, status int, words ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("status %d, want %d:\n%s", r.status, status, r.body)
	}
	for _, w := range words {
		if !strings.Contains(r.body, w) {
			t.Errorf("the page lacks %q:\n%s", w, r.body)
		}
	}
}
