package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

const form = "application/x-www-form-urlencoded"

// posted is what the program answers to a request that is sent as it is.
func posted(t testing.TB, q *http.Request) int {
	t.Helper()
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

// again is the same request once more, to the byte.
func again(q *http.Request, body []byte) *http.Request {
	copied := q.Clone(context.Background())
	copied.Body = io.NopCloser(bytes.NewReader(body))
	return copied
}

// Slack calls the program as it is built: what Slack has signed is done, once,
// and acknowledged in time; anything else is refused and does nothing.
func TestSlackCallsTheProgramOverHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	at := "http://" + address + "/slack"
	h := newHome(t)
	s := slacktest.New(t, slacktest.Options{
		TeamID: "T0001", Manifest: []byte(h.run(t, "slack", "manifest", "--url", "https://backups.example.org/slack")),
		RequestURLs: slacktest.RequestURLs{Commands: at, Interactivity: at, Options: at, Events: at},
	})
	ann := s.AddUser(slacktest.User{ID: "U0ANN", Name: "ann"})
	bob := s.AddUser(slacktest.User{ID: "U0BOB", Name: "bob"})
	everybody := []string{ann.ID, bob.ID, s.BotUserID()}
	nas := s.AddChannel(slacktest.Channel{ID: "C0NAS", Name: "nas", Members: everybody})
	cards := s.AddChannel(slacktest.Channel{ID: "C0CARDS", Name: "approvals", Members: everybody})
	server := h.withServer(t, fmt.Sprintf(`people:
  ann: {identities: ["slack:T0001/U0ANN"], roles: [operator, approver]}
  bob: {identities: ["slack:T0001/U0BOB"], roles: [operator, approver]}
web: {listen: %q}
watch: {off: true}
slack: {mode: http, signing_secret: "env:SLACK_SECRET", bot_token: "env:SLACK_BOT", approvals_channel: C0CARDS, api_url: %q}
`, address, s.APIURL()))
	h.env = append(h.env, "SLACK_SECRET="+s.SigningSecret(), "SLACK_BOT="+s.BotToken())
	serve := func() (end func()) {
		t.Helper()
		end = h.serve(t)
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if s.SSLCheck(t.Context()) == nil {
				return end
			}
			if time.Now().After(deadline) {
				t.Fatal("the program takes no request of Slack's")
			}
		}
	}
	end := serve()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	if err := s.VerifyURL(ctx); err != nil {
		t.Error(err)
	}

	// A command that Slack signs, caught on its way.
	caught := []byte(url.Values{"command": {"/duplicati"}, "text": {"run Photos"}, "user_id": {ann.ID}, "team_id": {"T0001"},
		"channel_id": {nas.ID}, "trigger_id": {"13.37.caught"}}.Encode())
	q := s.SignedRequest(at, form, caught)
	stranger, err := slacktest.Start(slacktest.Options{SigningSecret: "another app's signing secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stranger.Close)
	signedAt := func(d time.Duration) *http.Request {
		s.Advance(d)
		defer s.Advance(-d)
		return s.SignedRequest(at, form, caught)
	}
	unsigned := again(q, caught)
	unsigned.Header.Del("X-Slack-Signature")
	other := bytes.Replace(caught, []byte("Photos"), []byte("Mail"), 1)
	huge := append(append([]byte{}, caught...), make([]byte, 3<<20)...)
	get := again(q, nil)
	get.Method, get.ContentLength = http.MethodGet, 0
	for _, tc := range []struct {
		name string
		q    *http.Request
		want int
	}{
		{"unsigned", unsigned, http.StatusUnauthorized},
		{"signed by another app", stranger.SignedRequest(at, form, caught), http.StatusUnauthorized},
		{"with other words than were signed", func() *http.Request { q := again(q, other); q.ContentLength = int64(len(other)); return q }(), http.StatusUnauthorized},
		{"six minutes old", signedAt(-6 * time.Minute), http.StatusUnauthorized},
		{"of a time to come", signedAt(6 * time.Minute), http.StatusUnauthorized},
		{"huge", s.SignedRequest(at, form, huge), http.StatusRequestEntityTooLarge},
		{"huge and unsigned", func() *http.Request {
			q := s.SignedRequest(at, form, huge)
			q.Header.Del("X-Slack-Signature")
			return q
		}(), http.StatusRequestEntityTooLarge},
		{"a GET", get, http.StatusMethodNotAllowed},
		{"signed and no sense", s.SignedRequest(at, form, []byte("a=b")), http.StatusBadRequest},
		{"a signed payload that is no JSON", s.SignedRequest(at, form, []byte("payload=%7B")), http.StatusBadRequest},
		{"a signed event that is none", s.SignedRequest(at, "application/json", []byte(`[]`)), http.StatusBadRequest},
		{"a payload in the query, which is not signed", s.SignedRequest(at+"?payload=%7B%22type%22%3A%22block_actions%22%7D", form, []byte("a=b")), http.StatusBadRequest},
	} {
		if code := posted(t, tc.q); code != tc.want {
			t.Errorf("a request %s: %d, want %d", tc.name, code, tc.want)
		}
	}
	runs := func() int {
		return server.Count("POST", "/api/v1/backup/1/run") + server.Count("POST", "/api/v1/backup/2/run")
	}
	if n := runs(); n != 0 {
		t.Fatalf("%d runs by requests that were refused", n)
	}

	// Sent as Slack sent it, and then again by whoever caught it.
	for range 3 {
		if code := posted(t, again(q, caught)); code != http.StatusOK {
			t.Errorf("a signed command: %d", code)
		}
	}
	if err := s.Wait(ctx, func() bool { return runs() > 0 }); err != nil {
		t.Fatal(err)
	}
	end()
	end = serve()
	if code := posted(t, again(q, caught)); code != http.StatusOK {
		t.Errorf("a signed command after a restart: %d", code)
	}
	s.Slash(ann.ID, nas.ID, "list-backups").Acked() // is done after what came before
	s.WaitMessage(nas.ID, slacktest.EphemeralFor(ann.ID, "2 backups"))
	if n := runs(); n != 1 {
		t.Errorf("%d runs of one command", n)
	}

	// Events, and one that comes again.
	opened := s.OpenHome(ann.ID)
	opened.Acked()
	s.WaitHome(ann.ID, nil)
	for range 3 {
		s.Redeliver(opened)
	}
	if err := s.Wait(ctx, func() bool { return len(opened.Acks()) == 4 }); err != nil {
		t.Fatal(err)
	}

	// A server that hangs keeps no acknowledgement back.
	s.Slash(ann.ID, nas.ID, "run").Acked()
	menu := s.WaitModal(ann.ID, func(v slacktest.View) bool { _, ok := v.Element("backup"); return ok })
	release := server.Inject(duplicatitest.Fault{Hang: true})
	s.Slash(ann.ID, nas.ID, "list-backups").Acked()
	if offered := s.Suggest(menu, "backup", ann.ID, "Pho"); len(offered) != 0 {
		t.Errorf("offered of a server that hangs: %v", offered)
	}
	release()

	// What cannot be taken back: asked for by one, agreed to by another, done once.
	s.Slash(ann.ID, nas.ID, "delete Mail").Acked()
	card := s.WaitMessage(cards.ID, slacktest.Offering("approve"), slacktest.Saying("Mail"))
	s.Click(card, "approve", ann.ID).Acked()
	s.WaitMessage(cards.ID, slacktest.EphemeralFor(ann.ID, "yourself"))
	end()
	serve()
	click := s.Click(card, "approve", bob.ID)
	click.Acked()
	phrase := s.WaitModal(bob.ID, func(v slacktest.View) bool { _, ok := v.Element("phrase"); return ok })
	typed := s.Submit(phrase, map[string]any{"phrase": "Mail"}, bob.ID)
	typed.Acked()
	s.WaitUpdate(card, slacktest.Saying("Mail", "bob agreed"), slacktest.That("without buttons", func(m slacktest.Message) bool { return len(m.Elements()) == 0 }))
	s.Redeliver(click)
	s.Redeliver(typed)
	if err := s.Wait(ctx, func() bool { return len(click.Acks()) == 2 && len(typed.Acks()) == 2 }); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(ctx, func() bool { m, _ := s.Message(card.Channel, card.TS); return strings.Contains(m.AllText(), "Done:") }); err != nil {
		t.Fatalf("it was not done: %s", s.Transcript(cards.ID))
	}
	if n := server.Count("DELETE", "/api/v1/backup/2"); n != 1 {
		t.Errorf("%d deletes", n)
	}
	if n := len(s.Calls("views.publish")); n != 1 {
		t.Errorf("the Home tab was published %d times for one event", n)
	}
	for _, d := range s.Deliveries() {
		for i, ack := range d.Acks() {
			if i == 0 && ack.After > 3*time.Second {
				t.Errorf("%s was acknowledged after %s", d.Kind, ack.After)
			}
		}
	}
	for _, sent := range s.Sent() {
		if strings.Contains(sent, s.SigningSecret()) || strings.Contains(sent, password) {
			t.Fatalf("a secret was sent to Slack: %.200s", sent)
		}
	}
}
