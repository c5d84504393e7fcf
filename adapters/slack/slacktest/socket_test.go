package slacktest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/slack-go/slack/socketmode"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
)

// line is a Socket Mode connection made by hand.
type line struct {
	t  *testing.T
	ws *websocket.Conn
}

func ticket(t *testing.T, r *rig) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.APIURL()+"apps.connections.open", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.AppToken())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct{ URL string }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.URL
}

func dial(t *testing.T, r *rig) *line {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), ticket(t, r), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &line{t, ws}
}

type frame struct {
	Type       string
	Reason     string
	EnvelopeID string `json:"envelope_id"`
	Retry      int    `json:"retry_attempt"`
	Why        string `json:"retry_reason"`
	Num        int    `json:"num_connections"`
}

func (l *line) read() frame {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	_, data, err := l.ws.Read(ctx)
	if err != nil {
		l.t.Fatalf("read: %v", err)
	}
	var f frame
	if err := json.Unmarshal(data, &f); err != nil {
		l.t.Fatal(err)
	}
	return f
}

func (l *line) write(text string) {
	l.t.Helper()
	if err := l.ws.Write(l.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		l.t.Fatal(err)
	}
}

func TestAConnectionIsGreetedAndPingedAtOnce(t *testing.T) {
	r := newRig(t, slacktest.Options{PingEvery: time.Hour})
	pinged := make(chan struct{}, 1)
	ws, _, err := websocket.Dial(t.Context(), ticket(t, r), &websocket.DialOptions{
		OnPingReceived: func(context.Context, []byte) bool { pinged <- struct{}{}; return true }})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	l := &line{t, ws}
	if f := l.read(); f.Type != "hello" || f.Num != 1 {
		t.Errorf("%+v", f)
	}
	ctx := ws.CloseRead(t.Context())
	select {
	case <-pinged:
	case <-ctx.Done():
		t.Error("no ping")
	}
}

func TestATicketIsGoodOnce(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	url := ticket(t, r)
	ws, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if _, res, err := websocket.Dial(t.Context(), url, nil); err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("second use: %v", err)
	}
}

func TestTheEleventhConnectionIsOneTooMany(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	for range 10 {
		dial(t, r).read()
	}
	if f := dial(t, r).read(); f.Type != "disconnect" || f.Reason != "too_many_websockets" {
		t.Errorf("%+v", f)
	}
	if r.Connections() != 10 {
		t.Errorf("%d connections", r.Connections())
	}
}

func TestEachEnvelopeGoesToOneConnectionInTurn(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	lines := []*line{dial(t, r), dial(t, r)}
	for _, l := range lines {
		l.read()
	}
	a, b := r.Slash(r.ann.ID, r.nas.ID, "a"), r.Slash(r.ann.ID, r.nas.ID, "b")
	got := map[string]bool{lines[0].read().EnvelopeID: true, lines[1].read().EnvelopeID: true}
	if !got[a.ID] || !got[b.ID] {
		t.Errorf("got %v", got)
	}
	r.DeliverTimes(2)
	c := r.Slash(r.ann.ID, r.nas.ID, "c")
	for _, l := range lines {
		if f := l.read(); f.EnvelopeID != c.ID {
			t.Errorf("got %+v, want a copy of %s on each connection", f, c.ID)
		}
	}
	r.Redeliver(a)
	r.Redeliver(a)
	for _, l := range lines {
		if f := l.read(); f.EnvelopeID != a.ID {
			t.Errorf("got %+v, want %s again", f, a.ID)
		}
	}
}

func TestWhatNobodyAcknowledgesIsShownToThePerson(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	if _, err := r.Slash(r.ann.ID, r.nas.ID, "a").Wait(t.Context()); !errors.Is(err, slacktest.ErrDispatchFailed) {
		t.Errorf("without a connection: %v", err)
	}
	l := dial(t, r)
	l.read()
	d := r.Slash(r.ann.ID, r.nas.ID, "b")
	l.read()
	r.Advance(3 * time.Second)
	if _, err := d.Wait(t.Context()); !errors.Is(err, slacktest.ErrOperationTimeout) {
		t.Errorf("without an acknowledgement: %v", err)
	}
}

func TestAnEventComesAgainAtOnceThenInAMinuteThenInFive(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	l := dial(t, r)
	l.read()
	d := r.OpenHome(r.ann.ID)
	for i, wait := range []time.Duration{0, 0, time.Minute, 5 * time.Minute} {
		r.Advance(wait)
		if f := l.read(); f.EnvelopeID != d.ID || f.Retry != i || (i > 0) != (f.Why == "http_timeout") {
			t.Fatalf("attempt %d: %+v", i, f)
		}
		r.Advance(3 * time.Second)
	}
	if _, err := d.Wait(t.Context()); !errors.Is(err, slacktest.ErrOperationTimeout) {
		t.Errorf("after the last attempt: %v", err)
	}
}

func TestAcknowledgementsThatSlackDropsAreViolations(t *testing.T) {
	for name, c := range map[string]struct {
		ack  func(id string) string
		want string
	}{
		"too large": {func(id string) string {
			return `{"envelope_id":"` + id + `","payload":{"text":"` + strings.Repeat("x", 20<<10) + `"}}`
		}, "is dropped"},
		"unknown envelope": {func(string) string { return `{"envelope_id":"nobody"}` }, "unknown envelope"},
		"no JSON":          {func(string) string { return `ok` }, "no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, slacktest.Options{})
			l := dial(t, r)
			l.read()
			d := r.Slash(r.ann.ID, r.nas.ID, "a")
			l.write(c.ack(l.read().EnvelopeID))
			if err := r.Wait(t.Context(), func() bool { return len(r.Violations()) == 1 }); err != nil {
				t.Fatal(err)
			}
			if v := r.TakeViolations(); !strings.Contains(v[0], c.want) {
				t.Errorf("%q", v)
			}
			if len(d.Acks()) != 0 {
				t.Error("it counts as an acknowledgement")
			}
		})
	}
}

func TestAClientThatAnswersNoPingIsCutOff(t *testing.T) {
	r := newRig(t, slacktest.Options{PingEvery: 20 * time.Millisecond})
	ws, _, err := websocket.Dial(t.Context(), ticket(t, r), &websocket.DialOptions{
		OnPingReceived: func(context.Context, []byte) bool { return false }})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	for err == nil {
		_, _, err = ws.Read(t.Context())
	}
	r.WaitConnections(0)
	if v := r.TakeViolations(); len(v) != 1 || !strings.Contains(v[0], "answered no ping") {
		t.Errorf("%q", v)
	}
}

func TestSocketModeTurnedOffGreetsWithADisconnect(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	l := dial(t, r)
	l.read()
	r.Disconnect("link_disabled")
	if f := l.read(); f.Reason != "link_disabled" {
		t.Errorf("%+v", f)
	}
	if _, _, err := l.ws.Read(t.Context()); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("it was to be closed properly: %v", err)
	}
	if f := dial(t, r).read(); f.Type != "disconnect" || f.Reason != "link_disabled" {
		t.Errorf("%+v", f)
	}
	r.EnableSocketMode()
	if f := dial(t, r).read(); f.Type != "hello" {
		t.Errorf("%+v", f)
	}
}

func TestANetworkThatIsCutComesBack(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	client := func(c *socketmode.Client, e socketmode.Event) { _ = c.Ack(*e.Request) }
	r.listen(client)
	r.WaitConnections(1)
	r.Partition(30 * time.Second)
	if got := r.call("auth.test"); got.Error != "no answer" {
		t.Errorf("during the cut: %+v", got)
	}
	event := r.OpenHome(r.ann.ID)
	if r.Connections() != 0 {
		t.Error("a connection survived")
	}
	r.Advance(30 * time.Second)
	r.WaitConnections(1)
	r.Advance(6 * time.Minute)
	event.Acked()
}

func TestDroppedConnectionsAreRefusedForATime(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	dial(t, r).read()
	r.DropConnections(30 * time.Second)
	if _, _, err := websocket.Dial(t.Context(), ticket(t, r), nil); err == nil {
		t.Error("a connection was accepted")
	}
	r.Advance(30 * time.Second)
	if f := dial(t, r).read(); f.Type != "hello" {
		t.Errorf("%+v", f)
	}
}
