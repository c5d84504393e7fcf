package duplicati_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
)

// fixed is a session that never changes.
type fixed struct{}

func (fixed) Access(context.Context) (secret.Value, error) { return secret.New("an-access-token"), nil }
func (fixed) Rejected(context.Context, secret.Value) error { return nil }

// exchange is one line of a recording.
type exchange struct {
	Label   string
	Request struct {
		Method, Path string
		Body         string
	}
	Response struct {
		Status  int
		Headers [][2]string
		Body    string
		BodyB64 string `json:"body_b64"`
	}
	place string
}

func (e exchange) bytes() []byte {
	if e.Response.BodyB64 != "" {
		b, _ := base64.StdEncoding.DecodeString(e.Response.BodyB64)
		return b
	}
	return []byte(e.Response.Body)
}

// player answers every request with the exchange it holds, and others by path.
type player struct {
	now    exchange
	others map[string]exchange
	calls  atomic.Int64
}

func (p *player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.calls.Add(1)
	e, ok := p.others[r.Method+" "+r.URL.Path]
	if !ok {
		e = p.now
	}
	for _, h := range e.Response.Headers {
		if h[0] != "Content-Length" && h[0] != "Transfer-Encoding" {
			w.Header().Add(h[0], h[1])
		}
	}
	w.WriteHeader(e.Response.Status)
	w.Write(e.bytes())
}

func newPlayer(t testing.TB, g duplicati.Generation) (*player, *duplicati.Client) {
	t.Helper()
	p := &player{}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	c, err := duplicati.New(duplicati.Options{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Assume(g)
	return p, c
}

// idle is a server with nothing to do.
var idle = func() (e exchange) {
	e.Response.Status = 200
	e.Response.Headers = [][2]string{{"Content-Type", "application/json; charset=utf-8"}}
	e.Response.Body = `{"ActiveTask":null,"ProgramState":"Running","SchedulerQueueIds":[],"ProposedSchedule":[],"EstimatedPauseEnd":"0001-01-01T00:00:00Z"}`
	return e
}()
