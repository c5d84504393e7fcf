package slacktest_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack/socketmode"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
)

// acking is a rig whose app acknowledges everything and does nothing by itself.
func acking(t *testing.T, opt slacktest.Options) *rig {
	t.Helper()
	r := newRig(t, opt)
	r.listen(func(c *socketmode.Client, e socketmode.Event) { _ = c.Ack(*e.Request) })
	r.WaitConnections(1)
	return r
}

func field(t *testing.T, d *slacktest.Delivery, name string) string {
	t.Helper()
	var payload map[string]any
	if err := json.Unmarshal(d.Payload, &payload); err != nil {
		t.Fatal(err)
	}
	text, _ := payload[name].(string)
	return text
}

func modal(title string) string {
	return `{"type":"modal","callback_id":"c","title":{"type":"plain_text","text":"` + title + `"},"submit":{"type":"plain_text","text":"Go"},"blocks":[
	{"type":"input","block_id":"i","label":{"type":"plain_text","text":"L"},"element":{"type":"plain_text_input","action_id":"w"}},
	{"type":"actions","elements":[{"type":"button","action_id":"more","text":{"type":"plain_text","text":"More"}}]}]}`
}

func TestATriggerIsGoodForThreeSecondsAndOnce(t *testing.T) {
	r := acking(t, slacktest.Options{})
	trigger := field(t, r.Slash(r.ann.ID, r.nas.ID, "a"), "trigger_id")
	if got := r.call("views.open", "trigger_id", trigger, "view", modal("A")); !got.OK {
		t.Fatal(got.Error)
	}
	if got := r.call("views.open", "trigger_id", trigger, "view", modal("A")); got.Error != "exchanged_trigger_id" {
		t.Errorf("second use: %q", got.Error)
	}
	late := field(t, r.Slash(r.ann.ID, r.nas.ID, "b"), "trigger_id")
	r.Advance(3 * time.Second)
	if got := r.call("views.open", "trigger_id", late, "view", modal("A")); got.Error != "expired_trigger_id" {
		t.Errorf("after three seconds: %q", got.Error)
	}
}

func TestModalsStackThreeHighAndKnowTheirHash(t *testing.T) {
	r := acking(t, slacktest.Options{})
	first := r.call("views.open", "trigger_id", field(t, r.Slash(r.ann.ID, r.nas.ID, "a"), "trigger_id"), "view", modal("1"))
	if got := r.call("views.update", "view_id", first.View.ID, "hash", "old", "view", modal("x")); got.Error != "hash_conflict" {
		t.Errorf("stale hash: %q", got.Error)
	}
	if got := r.call("views.update", "view_id", first.View.ID, "hash", first.View.Hash, "view", modal("1b")); !got.OK {
		t.Errorf("update: %q", got.Error)
	}
	if got := r.call("views.push", "trigger_id", field(t, r.Slash(r.ann.ID, r.nas.ID, "a"), "trigger_id"), "view", modal("x")); got.Error != "invalid_trigger_id" {
		t.Errorf("push with a trigger from outside a modal: %q", got.Error)
	}
	push := func() reply {
		top, _ := r.Modal(r.ann.ID)
		return r.call("views.push", "trigger_id", field(t, r.Click(top, "more", r.ann.ID), "trigger_id"), "view", modal("top"))
	}
	if a, b, c := push(), push(), push(); !a.OK || !b.OK || c.Error != "push_limit_reached" {
		t.Errorf("pushes: %q %q %q", a.Error, b.Error, c.Error)
	}
	r.TakeViolations()
	for _, title := range []string{"top", "top", "1b"} {
		top, ok := r.Modal(r.ann.ID)
		if !ok || top.Title != title {
			t.Fatalf("on top is %q, want %q", top.Title, title)
		}
		r.Submit(top, map[string]any{"w": "word"}, r.ann.ID).Acked()
	}
	if _, open := r.Modal(r.ann.ID); open {
		t.Error("a modal is still open")
	}
	if got := r.call("views.update", "view_id", first.View.ID, "view", modal("x")); got.Error != "not_found" {
		t.Errorf("update of a closed modal: %q", got.Error)
	}
}

func TestWhatWasTypedStaysWhenAModalIsUpdated(t *testing.T) {
	r := acking(t, slacktest.Options{})
	v := r.call("views.open", "trigger_id", field(t, r.Slash(r.ann.ID, r.nas.ID, "a"), "trigger_id"), "view", modal("1"))
	open := r.WaitModal(r.ann.ID, nil)
	r.Choose(open, "w", r.ann.ID, "typed").Acked()
	r.call("views.update", "view_id", v.View.ID, "view", modal("2"))
	d := r.Submit(r.WaitModal(r.ann.ID, nil), nil, r.ann.ID)
	if !strings.Contains(string(d.Payload), `"value":"typed"`) {
		t.Errorf("%s", d.Payload)
	}
	d.Acked()
}

func TestAResponseURLTakesFivePostsInHalfAnHour(t *testing.T) {
	r := acking(t, slacktest.Options{})
	outside := r.AddChannel(slacktest.Channel{Name: "outside", Private: true, Members: []string{r.ann.ID}})
	post := func(to, body string) reply {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(body))
		return r.do(req)
	}
	to := field(t, r.Slash(r.ann.ID, outside.ID, "a"), "response_url")
	for i := range 5 {
		if got := post(to, `{"text":"`+strconv.Itoa(i)+`","response_type":"in_channel"}`); got.Status != 200 {
			t.Fatalf("post %d: %+v", i, got)
		}
	}
	if got := post(to, `{"text":"6"}`); got.Status != 404 || got.Error != "used_url" {
		t.Errorf("sixth: %+v", got)
	}
	if v := r.TakeViolations(); len(v) != 1 {
		t.Errorf("violations: %q", v)
	}
	late := field(t, r.Slash(r.ann.ID, outside.ID, "a"), "response_url")
	r.Advance(30 * time.Minute)
	if got := post(late, `{"text":"x"}`); got.Status != 404 || got.Error != "expired_url" {
		t.Errorf("after half an hour: %+v", got)
	}
}

func TestAClickOnAnEphemeralMessageCanOnlyBeAnsweredByItsURL(t *testing.T) {
	r := acking(t, slacktest.Options{})
	r.call("chat.postEphemeral", "channel", r.nas.ID, "user", r.ann.ID, "text", "sure?",
		"blocks", `[{"type":"actions","elements":[{"type":"button","action_id":"yes","text":{"type":"plain_text","text":"Yes"}}]}]`)
	asked := r.WaitMessage(r.nas.ID, slacktest.EphemeralFor(r.ann.ID, "sure?"))
	d := r.Click(asked, "yes", r.ann.ID)
	if strings.Contains(string(d.Payload), `"message":`) || !strings.Contains(string(d.Payload), `"is_ephemeral":true`) {
		t.Errorf("%s", d.Payload)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, field(t, d, "response_url"), strings.NewReader(`{"replace_original":true,"text":"done"}`))
	if got := r.do(req); got.Status != 200 {
		t.Fatalf("%+v", got)
	}
	if now := r.WaitUpdate(asked, slacktest.Saying("done")); len(now.Elements()) != 0 || now.EphemeralTo != r.ann.ID {
		t.Errorf("%+v", now)
	}
}

func TestEscapedCommandsCarryMentionsThatCannotBeTyped(t *testing.T) {
	r := acking(t, slacktest.Options{})
	hidden := r.AddChannel(slacktest.Channel{Name: "hidden", Private: true})
	d := r.Slash(r.ann.ID, r.nas.ID, "run @ann #nas #hidden <@U1> & https://nas.lan/x @nobody")
	want := "run <@" + r.ann.ID + "|ann> <#" + r.nas.ID + "|nas> <#" + hidden.ID + "|> &lt;@U1&gt; &amp; <https://nas.lan/x> @nobody"
	if got := field(t, d, "text"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAGridWorkspaceNamesItsOrganisation(t *testing.T) {
	r := acking(t, slacktest.Options{EnterpriseID: "E0GRID"})
	if d := r.Slash(r.ann.ID, r.nas.ID, "a"); field(t, d, "enterprise_id") != "E0GRID" {
		t.Errorf("%s", d.Payload)
	}
	r.call("chat.postMessage", "channel", r.nas.ID, "text", "x", "blocks", `[{"type":"actions","elements":[{"type":"button","action_id":"a","text":{"type":"plain_text","text":"A"}}]}]`)
	stranger := r.AddUser(slacktest.User{Name: "eve", TeamID: "T0OTHER"})
	d := r.Click(r.WaitMessage(r.nas.ID, slacktest.Offering("a")), "a", stranger.ID)
	if p := string(d.Payload); !strings.Contains(p, `"enterprise":{"id":"E0GRID"`) || !strings.Contains(p, `"team_id":"T0OTHER"`) {
		t.Errorf("%s", p)
	}
}

func TestHTTPModeSignsRequestsAndRetriesEvents(t *testing.T) {
	r := newRig(t, slacktest.Options{SigningSecret: "8f742231b10e8888abcd99yyyzzz85a5"})
	app := newHTTPApp(t, r)
	r.SetRequestURLs(slacktest.RequestURLs{Commands: app.url, Interactivity: app.url, Options: app.url, Events: app.url})

	if err := r.VerifyURL(t.Context()); err != nil {
		t.Error(err)
	}
	if err := r.SSLCheck(t.Context()); err != nil {
		t.Error(err)
	}
	app.answer(http.StatusOK, "plain words")
	r.Slash(r.ann.ID, r.nas.ID, "status").Acked()
	r.WaitMessage(r.nas.ID, slacktest.EphemeralFor(r.ann.ID, "plain words"))

	app.answer(http.StatusInternalServerError, "")
	if _, err := r.Slash(r.ann.ID, r.nas.ID, "status").Wait(t.Context()); err != slacktest.ErrHTTPClient {
		t.Errorf("a 500 for a command: %v", err)
	}
	event := r.OpenHome(r.ann.ID)
	if got := app.next(func(req seen) bool { return req.retry == "1" }); got.reason != "http_error" {
		t.Errorf("%+v", got)
	}
	if err := r.Wait(t.Context(), func() bool { return event.Failures() == 2 }); err != nil {
		t.Fatal(err)
	}
	app.answer(http.StatusOK, "")
	r.Advance(time.Minute)
	app.next(func(req seen) bool { return req.retry == "2" })
	event.Acked()
}

func TestAKeptRequestIsSignedForItsOwnMoment(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	app := newHTTPApp(t, r)
	send := func(change func(*http.Request)) int {
		req := r.SignedRequest(app.url, "application/json", []byte(`{"type":"event_callback"}`))
		change(req)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"as it is":       {func(*http.Request) {}, 200},
		"another body":   {func(q *http.Request) { q.Body = http.NoBody; q.ContentLength = 0 }, 401},
		"no signature":   {func(q *http.Request) { q.Header.Del("X-Slack-Signature") }, 401},
		"another moment": {func(q *http.Request) { q.Header.Set("X-Slack-Request-Timestamp", "1531420618") }, 401},
	} {
		if got := send(c.change); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	r.Advance(-6 * time.Minute)
	if got := send(func(*http.Request) {}); got != 401 {
		t.Errorf("six minutes old: %d", got)
	}
}
