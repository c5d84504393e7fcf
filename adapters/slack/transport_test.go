package slack_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

func TestTheSameDeliveryThreeTimesIsOneRun(t *testing.T) {
	r := newRig(t, setup{})
	r.DeliverTimes(3)
	d := r.Slash(r.ann.ID, r.nas.ID, "start Photos")
	d.Acked()
	r.said(r.ann, "started Photos")
	if err := r.Wait(t.Context(), func() bool { return len(d.Acks()) == 3 }); err != nil {
		t.Fatal(err)
	}
	r.DeliverTimes(1)
	r.restart(setup{})
	r.Redeliver(d) // to another process
	if err := r.Wait(t.Context(), func() bool { return len(d.Acks()) == 4 }); err != nil {
		t.Fatal(err)
	}
	r.types(r.ann, "start Mail")
	r.said(r.ann, "started Mail")
	if did := r.gate.World.Did(); !slices.Equal(did, []string{"start nas 1", "start nas 2"}) {
		t.Errorf("done: %v", did)
	}
}

func TestASubmissionDeliveredThreeTimesIsOneRun(t *testing.T) {
	r := newRig(t, setup{})
	r.types(r.ann, "start")
	form := r.WaitModal(r.ann.ID, nil)
	r.DeliverTimes(3)
	d := r.Submit(form, map[string]any{"thing": "Photos"}, r.ann.ID)
	d.Acked()
	if err := r.Wait(t.Context(), func() bool { return len(d.Acks()) == 3 }); err != nil {
		t.Fatal(err)
	}
	r.said(r.ann, "started Photos")
	if did := r.gate.World.Did(); !slices.Equal(did, []string{"start nas 1"}) {
		t.Errorf("done: %v", did)
	}
}

func TestNothingAcknowledgedIsLostWhenBothConnectionsAre(t *testing.T) {
	var hold atomic.Bool
	hold.Store(true)
	release := make(chan struct{})
	world := toolstest.NewWorld()
	r := newRig(t, setup{gate: []toolstest.Option{toolstest.WithOperations(world.Operations()...)}})
	world.Before = func(ctx context.Context, name string) error {
		if hold.Load() {
			<-release
		}
		return nil
	}
	var all []*slacktest.Delivery
	for range 10 {
		all = append(all, r.Slash(r.ann.ID, r.nas.ID, "start Photos"))
	}
	for _, d := range all {
		d.Acked()
	}
	r.Partition(30 * time.Second)
	if err := r.Wait(t.Context(), func() bool { return r.Connections() == 0 }); err != nil {
		t.Fatal(err)
	}
	lost := r.Slash(r.ann.ID, r.nas.ID, "start Mail")
	if _, err := lost.Wait(t.Context()); err == nil {
		t.Error("Slack reached the bot through the partition")
	}
	if h := waitHealth(t, r, func(h slack.Health) bool { return h.Connections == 0 }); h.Well() {
		t.Errorf("it says that it is well: %+v", h)
	}
	r.Advance(30 * time.Second)
	// What the bot says while the network is cut may or may not arrive, so it
	// says it afterwards.
	hold.Store(false)
	close(release)
	r.WaitConnections(2)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.Wait(ctx, func() bool {
		return len(r.Calls("response_url"))+len(r.Calls("chat.postEphemeral")) >= 10
	}); err != nil {
		t.Fatal(err)
	}
	if did := world.Did(); len(did) != 10 || slices.Contains(did, "start nas 2") {
		t.Errorf("done: %v", did)
	}
	r.types(r.ann, "list-things")
	r.said(r.ann, "3 things")
	if h := waitHealth(t, r, func(h slack.Health) bool { return h.Connections == 2 }); h.Reconnects < 2 || h.LastError == "" {
		t.Errorf("the loss is not seen: %+v", h)
	}
}

func waitHealth(t *testing.T, r *rig, ok func(slack.Health) bool) slack.Health {
	t.Helper()
	for range 400 {
		if h := r.bot.Health(); ok(h) {
			return h
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("health: %+v", r.bot.Health())
	return r.bot.Health()
}

func TestOneRefreshedConnectionLeavesTheOther(t *testing.T) {
	r := newRig(t, setup{})
	for _, reason := range []string{"warning", "refresh_requested"} {
		before := r.Opened()
		r.DisconnectOne(reason)
		r.types(r.ann, "list-things")
		if err := r.Wait(t.Context(), func() bool { return r.Opened() > before && r.Connections() == 2 }); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARefusedConnectionIsNotTriedInALoop(t *testing.T) {
	r := newRig(t, setup{})
	r.RefuseConnections("too_many_websockets")
	r.Disconnect("refresh_requested")
	time.Sleep(2 * time.Second)
	if n := len(r.Calls("apps.connections.open")); n > 12 {
		t.Errorf("apps.connections.open was called %d times", n)
	}
	r.RefuseConnections("")
	r.EnableSocketMode()
	r.WaitConnections(2)
}

func TestRetryAfterIsHonoured(t *testing.T) {
	r := newRig(t, setup{})
	r.Fail(slacktest.Fault{Method: "chat.postMessage", Times: 1, Status: 429, RetryAfter: 2})
	began := time.Now()
	r.request(r.ann)
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("posted after %s, before Retry-After", took)
	}
	if calls := r.Calls("chat.postMessage"); len(calls) > 4 {
		t.Errorf("%d calls", len(calls))
	}
}

func TestSlacksRateLimitsAreKept(t *testing.T) {
	r := newRig(t, setup{slack: slacktest.Options{RateLimits: true}})
	for range 4 {
		r.Slash(r.ann.ID, r.nas.ID, "list-things --public").Acked()
	}
	if err := r.Wait(t.Context(), func() bool {
		n := 0
		for _, m := range r.Messages(r.nas.ID) {
			if m.EphemeralTo == "" {
				n++
			}
		}
		return n == 4
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Calls("chat.postMessage") {
		if c.Status == http.StatusTooManyRequests {
			t.Error("a post came too early")
		}
	}
}

func TestAMessageThatMayHaveBeenSentIsNotSentTwice(t *testing.T) {
	r := newRig(t, setup{})
	toCard := func(args map[string]string) bool { return args["channel"] == r.approve.ID }
	r.Fail(slacktest.Fault{Method: "chat.postMessage", Times: 1, Match: toCard, After: true, Reset: true})
	r.types(r.ann, "destroy Photos")
	card := r.WaitMessage(r.approve.ID, slacktest.Offering("approve"))
	r.restart(setup{})
	time.Sleep(300 * time.Millisecond)
	posts := 0
	for _, c := range r.Calls("chat.postMessage") {
		if toCard(c.Args) {
			posts++
		}
	}
	if posts > 1 {
		t.Errorf("the card was posted %d times", posts)
	}
	// The copy that nobody noted down is known from its first click on.
	r.Click(card, "deny", r.bob.ID).Acked()
	if now := r.WaitUpdate(card, slacktest.Saying("Denied:")); len(now.Elements()) != 0 {
		t.Errorf("it offers %v", now.Elements())
	}
}

func TestACardThatSlackDidNotTakeIsPostedLater(t *testing.T) {
	r := newRig(t, setup{})
	c := r.approve
	c.Members = []string{r.ann.ID, r.bob.ID}
	r.SetChannel(c)
	r.types(r.ann, "destroy Photos")
	// Nobody reads the channel for the bot: the approvers get it one by one.
	card := r.WaitMessage(r.DM(r.bob.ID), slacktest.Offering("approve"))
	r.Click(card, "deny", r.bob.ID).Acked()
	r.WaitUpdate(card, slacktest.Saying("Denied:"))
	if r.bot.Health().LastError == "" {
		t.Error("nobody is told that the channel takes no cards")
	}
}

func TestAClickWithoutItsActionDoesNothing(t *testing.T) {
	r := newRig(t, setup{})
	m := r.request(r.ann)
	d := r.Click(m, "approve", r.bob.ID)
	d.Acked()
	r.WaitModal(r.bob.ID, nil)
	r.undone()
}

// httpRig is a bot that Slack calls.
func httpRig(t *testing.T, gate ...toolstest.Option) *rig {
	var handler atomic.Value
	handler.Store(http.NotFoundHandler())
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		handler.Load().(http.HandlerFunc)(w, q)
	}))
	t.Cleanup(front.Close)
	manifest, err := slack.Manifest(slack.ManifestOptions{URL: "https://bot.example/slack"})
	if err != nil {
		t.Fatal(err)
	}
	handler.Store(http.HandlerFunc(http.NotFound))
	r := newRig(t, setup{gate: gate, slack: slacktest.Options{Manifest: manifest, RequestURLs: slacktest.RequestURLs{
		Commands: front.URL, Interactivity: front.URL, Options: front.URL, Events: front.URL}},
		options: func(o *slack.Options) { o.HTTP = true }})
	handler.Store(http.HandlerFunc(r.bot.Handler().ServeHTTP))
	for range 100 { // until the bot knows where it is
		answer, err := http.DefaultClient.Do(r.SignedRequest(front.URL, "application/x-www-form-urlencoded", []byte("ssl_check=1")))
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				break
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return r
}

func TestSignedRequestsDoTheSameAsSocketMode(t *testing.T) {
	r := httpRig(t)
	if err := r.SSLCheck(t.Context()); err != nil {
		t.Error(err)
	}
	if err := r.VerifyURL(t.Context()); err != nil {
		t.Error(err)
	}
	r.types(r.ann, "start")
	form := r.WaitModal(r.ann.ID, nil)
	if got := r.Suggest(form, "thing", r.ann.ID, "Ph"); len(got) != 1 {
		t.Errorf("offered %v", got)
	}
	r.Submit(form, map[string]any{"thing": "Photos"}, r.ann.ID).Acked()
	r.said(r.ann, "started Photos")
	r.OpenHome(r.ann.ID).Acked()
	r.WaitHome(r.ann.ID, nil)
	card := r.request(r.ann)
	r.approveTyping(card, r.bob, "Photos")
	r.WaitUpdate(card, slacktest.Saying("Done:"))
}

type pickIn struct {
	Thing string `json:"thing" jsonschema:"Which one" tool:"pos,complete=things"`
	tools.OnServer
}

func TestAMenuOfAServerThatHangsIsEmptyInTime(t *testing.T) {
	pick := tools.Define(tools.Spec{Name: "pick", Summary: "Pick a thing", Group: "x", Toolset: "core", Risk: tools.Read},
		tools.Handler[pickIn, taskOut]{View: func(o taskOut) tools.View { return o.View },
			Do: func(context.Context, tools.Env, pickIn) (taskOut, error) { return taskOut{}, nil },
			Complete: map[string]func(context.Context, tools.Env, string) ([]tools.Choice, error){
				"thing": func(ctx context.Context, _ tools.Env, _ string) ([]tools.Choice, error) {
					<-ctx.Done()
					time.Sleep(100 * time.Millisecond) // until the connection is let go
					return nil, ctx.Err()
				}}})
	r := httpRig(t, toolstest.WithOperations(pick))
	r.types(r.ann, "pick")
	form := r.WaitModal(r.ann.ID, nil)
	began := time.Now()
	if got := r.Suggest(form, "thing", r.ann.ID, ""); len(got) != 0 {
		t.Errorf("offered %v", got)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Slack does not wait for %s", took)
	}
}

func TestARequestWithoutAGoodSignatureIsRefused(t *testing.T) {
	r := httpRig(t)
	body := []byte("command=%2Fduplicati&text=start+Photos&user_id=U0ANN&team_id=T0001&channel_id=C0NAS&trigger_id=1.2.3")
	const form = "application/x-www-form-urlencoded"
	send := func(change func(*http.Request)) int {
		q := r.SignedRequest("http://bot.example/", form, body)
		change(q)
		w := httptest.NewRecorder()
		r.bot.Handler().ServeHTTP(w, q)
		return w.Code
	}
	stamp := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).Unix()) }
	for name, change := range map[string]func(*http.Request){
		"no signature":         func(q *http.Request) { q.Header.Del("X-Slack-Signature") },
		"another body":         func(q *http.Request) { q.Body = io.NopCloser(strings.NewReader(string(body) + "&x=1")) },
		"an old time":          func(q *http.Request) { q.Header.Set("X-Slack-Request-Timestamp", stamp(-6*time.Minute)) },
		"a time to come":       func(q *http.Request) { q.Header.Set("X-Slack-Request-Timestamp", stamp(6*time.Minute)) },
		"a signature of zeros": func(q *http.Request) { q.Header.Set("X-Slack-Signature", "v0="+strings.Repeat("0", 64)) },
	} {
		if code := send(change); code != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, code)
		}
	}
	huge := r.SignedRequest("http://bot.example/", form, append(body, make([]byte, 2<<20)...))
	w := httptest.NewRecorder()
	r.bot.Handler().ServeHTTP(w, huge)
	if w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a huge body: %d", w.Code)
	}
	// The query is not signed: nothing is read from it.
	q := r.SignedRequest("http://bot.example/?payload=%7B%22type%22%3A%22block_actions%22%7D", form, []byte("x=1"))
	w = httptest.NewRecorder()
	r.bot.Handler().ServeHTTP(w, q)
	if w.Code != http.StatusBadRequest {
		t.Errorf("a payload in the query: %d", w.Code)
	}
	r.undone()
	// A captured request that is sent again within five minutes is one run.
	kept := func() *http.Request { return r.SignedRequest("http://bot.example/", form, body) }
	for range 3 {
		w := httptest.NewRecorder()
		r.bot.Handler().ServeHTTP(w, kept())
		if w.Code != http.StatusOK {
			t.Errorf("a good request: %d", w.Code)
		}
	}
	if err := r.Wait(t.Context(), func() bool { return len(r.gate.World.Did()) > 0 }); err == nil {
		time.Sleep(200 * time.Millisecond)
	}
	if did := r.gate.World.Did(); len(did) != 1 {
		t.Errorf("done: %v", did)
	}
}

func TestATokenThatIsRefusedForGoodEndsTheBotWithWords(t *testing.T) {
	r := newRig(t, setup{})
	r.stop()
	r.Fail(slacktest.Fault{Method: "auth.test", Error: "token_revoked"})
	o := r.options
	bot, err := slack.New(o)
	if err != nil {
		t.Fatal(err)
	}
	err = bot.Run(t.Context(), r.gate.Runner, r.gate.Desk)
	if err == nil || !strings.Contains(err.Error(), "reinstall the app") || strings.Contains(err.Error(), "xoxb-1111") {
		t.Errorf("it said: %v", err)
	}
}

// acknowledged tells how long Slack waited for each of n acknowledgements, in
// order of time, while fifty handlers hang.
func acknowledged(t testing.TB, n int, begin func()) []time.Duration {
	t.Helper()
	world := toolstest.NewWorld()
	release := make(chan struct{})
	var hanging atomic.Int32
	world.Before = func(ctx context.Context, name string) error {
		if name == "start" {
			hanging.Add(1)
			<-release
		}
		return nil
	}
	r := newRig(t, setup{gate: []toolstest.Option{toolstest.WithOperations(world.Operations()...)}})
	t.Cleanup(func() { close(release) })
	for range 50 {
		r.Slash(r.ann.ID, r.nas.ID, "start Photos").Acked()
	}
	for hanging.Load() < 50 {
		time.Sleep(10 * time.Millisecond)
	}
	begin()
	var took []time.Duration
	for range n {
		took = append(took, r.Slash(r.bob.ID, r.nas.ID, "help").Acked().After)
	}
	slices.Sort(took)
	return took
}

func TestFiftyHangingCallsKeepNobodyFromBeingAnswered(t *testing.T) {
	took := acknowledged(t, 500, func() {})
	t.Logf("of 500 acknowledgements, half came within %s, 99 %% within %s, the last after %s",
		took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	if last := took[len(took)-1]; last > 3*time.Second {
		t.Errorf("Slack does not wait for %s", last)
	}
}

func TestWhoFloodsTheBotKeepsNobodyElseOut(t *testing.T) {
	world := toolstest.NewWorld()
	release := make(chan struct{})
	world.Before = func(ctx context.Context, name string) error {
		if name == "start" {
			<-release
		}
		return nil
	}
	r := newRig(t, setup{gate: []toolstest.Option{toolstest.WithOperations(world.Operations()...)}})
	t.Cleanup(func() { close(release) })
	card := r.request(r.ann)
	said := 0
	for range 700 {
		if ack := r.Slash(r.olaf.ID, r.nas.ID, "start Photos").Acked(); strings.Contains(string(ack.Payload), "Too much is under way") {
			said++
		}
	}
	if said < 600 {
		t.Errorf("%d of 700 were told that it is too much", said)
	}
	r.types(r.vera, "list-things")
	r.said(r.vera, "3 things")
	r.Click(card, "deny", r.bob.ID).Acked()
	r.WaitUpdate(card, slacktest.Saying("Denied:"))
	if h := r.bot.Health(); h.Refused != said {
		t.Errorf("%d were refused, and %d are counted", said, h.Refused)
	}
}

func BenchmarkAcknowledgement(b *testing.B) {
	took := acknowledged(b, b.N, b.ResetTimer)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
