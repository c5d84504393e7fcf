package slack_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// wall is a bot whose clock stands where a test puts it, and that is told when to
// look at it.
type wall struct {
	*rig
	setup setup
	turns atomic.Int64 // how often it began to look
	asked atomic.Int64 // how often it asked how the servers are
}

// seen counts the looks: each begins with what the bot was last told.
type seen struct {
	slack.Alerts
	turns *atomic.Int64
}

const nothing = "nothing/at/all"

func (s seen) Resolve(ctx context.Context, problem string) (bool, error) {
	if problem == nothing {
		s.turns.Add(1)
	}
	return s.Alerts.Resolve(ctx, problem)
}

// well is what servers say that have nothing to tell.
func well(context.Context) (tools.View, error) {
	return tools.View{Headline: "8 backups on 2 servers", Tone: tools.Good,
		Facts: []tools.Fact{{Name: "nas", Value: "5 backups, all well", Tone: tools.Good}, {Name: "office", Value: "3 backups, all well", Tone: tools.Good}}}, nil
}

func newWall(t *testing.T, now time.Time, change func(*slack.Options)) *wall {
	t.Helper()
	before := toolstest.New(t)
	before.Clock.Add(now.Sub(before.Clock.Now()))
	before.DB.Close()
	w := &wall{}
	w.setup = setup{gate: []toolstest.Option{toolstest.After(before)}, options: func(o *slack.Options) {
		clock := o.Now
		o.Now = func() time.Time { return clock().In(now.Location()) }
		o.Alerts, o.Digest = seen{o.Alerts, &w.turns}, func(ctx context.Context) (tools.View, error) {
			w.asked.Add(1)
			return well(ctx)
		}
		change(o)
	}}
	w.rig = newRig(t, w.setup)
	w.look()
	return w
}

// look lets the bot look at everything once.
func (w *wall) look() {
	w.t.Helper()
	for range 2 { // when it begins to look again it has ended the look before
		before := w.turns.Load()
		w.bot.Alert(slack.Problem{Key: nothing, Ended: true})
		deadline := time.Now().Add(30 * time.Second) // it posts once a second
		for w.turns.Load() == before {
			if time.Now().After(deadline) {
				w.t.Fatal("the bot does not look")
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// at puts the clock to a time and lets the bot look at it.
func (w *wall) at(when time.Time) {
	w.t.Helper()
	w.gate.Clock.Add(when.Sub(w.gate.Clock.Now()))
	w.look()
}

func (w *wall) again() {
	w.t.Helper()
	w.restart(w.setup)
	w.look()
}

// until waits for what Slack has when it comes true.
func (w *wall) until(what string, cond func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.Wait(ctx, cond); err != nil {
		w.t.Fatalf("wait for %s; there are:\n%s", what, w.Transcript(w.nas.ID))
	}
}

// digests waits until there are n, and fails the test when there are more.
func (w *wall) digests(n int) (list []slacktest.Message) {
	w.t.Helper()
	count := func() int {
		list = nil
		for _, m := range w.alertsIn(w.nas.ID) {
			if strings.Contains(m.Text, "Daily summary") {
				list = append(list, m)
			}
		}
		return len(list)
	}
	if w.until(fmt.Sprintf("%d digests", n), func() bool { return count() >= n }); count() > n {
		w.t.Fatalf("%d digests, want %d:\n%s", len(list), n, w.Transcript(w.nas.ID))
	}
	return list
}

func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func daily(at string) func(*slack.Options) {
	return func(o *slack.Options) { o.DigestAt = at }
}

func TestTheDigestComesOnceADayByTheClockOnTheWall(t *testing.T) {
	day := func(d, hour, minute int) time.Time { return time.Date(2027, 3, d, hour, minute, 0, 0, berlin(t)) }
	w := newWall(t, day(26, 7, 30), daily("08:00"))
	for _, step := range []struct {
		what string
		when time.Time
		want int
	}{
		{"a minute before", day(26, 7, 59), 0},
		{"at its time", day(26, 8, 0), 1},
		{"again", day(26, 8, 1), 1},
		{"the clock was stepped back", day(26, 7, 59), 1},
		{"and comes to the time a second time", day(26, 8, 0), 1},
		{"the bot was away at the time, for half an hour", day(27, 8, 30), 2},
		{"summer time began this night: it is not yet eight", day(28, 7, 59), 2},
		{"and now it is", day(28, 8, 0), 3},
		{"an hour later, when it would have been eight", day(28, 9, 0), 3},
		{"the bot was away for too long", day(29, 9, 1), 3},
		{"the next day", day(30, 8, 0), 4},
	} {
		w.at(step.when)
		time.Sleep(50 * time.Millisecond) // the servers are asked beside the look
		if n := w.asked.Load(); n != int64(step.want) {
			t.Fatalf("%s: the servers were asked %d times, want %d", step.what, n, step.want)
		}
		w.digests(step.want)
	}
	w.again()
	w.again()
	w.at(day(30, 8, 59))
	w.at(day(31, 8, 0))
	m := w.digests(5)[4]
	if want := "Daily summary: all well, 8 backups on 2 servers"; !strings.HasPrefix(m.Text, want) || !strings.Contains(m.BlockText(), "✅ "+want) {
		t.Errorf("it says %s", m.AllText())
	}
	if m.Channel != w.nas.ID || strings.Contains(m.AllText(), "open") {
		t.Errorf("with nothing to tell it says in %s: %s", m.Channel, m.AllText())
	}
}

func TestAnHourThatTheClocksLeaveOutOrGiveTwiceHasOneDigest(t *testing.T) {
	for name, night := range map[string]time.Time{
		"left out": time.Date(2027, 3, 28, 0, 30, 0, 0, berlin(t)), "given twice": time.Date(2027, 10, 31, 0, 30, 0, 0, berlin(t)),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWall(t, night, daily("02:30"))
			for step := range 25 {
				w.at(night.Add(time.Duration(step) * 15 * time.Minute))
			}
			w.digests(1)
			w.at(night.AddDate(0, 0, 1).Add(2 * time.Hour))
			w.digests(2)
		})
	}
}

func TestADigestThatIsDueBeforeMidnightStillComesAfterIt(t *testing.T) {
	w := newWall(t, time.Date(2027, 5, 1, 12, 0, 0, 0, time.UTC), daily("23:45"))
	w.at(time.Date(2027, 5, 2, 0, 20, 0, 0, time.UTC))
	w.digests(1)
	w.at(time.Date(2027, 5, 2, 23, 45, 0, 0, time.UTC))
	w.digests(2)
}

func TestTheDigestNamesWhatIsOpenTheWorstFirst(t *testing.T) {
	eight := time.Date(2027, 5, 1, 8, 0, 0, 0, time.UTC)
	w := newWall(t, eight.Add(-2*time.Hour), daily("08:00"))
	for key, severity := range map[string]tools.Tone{"warned": tools.Warning, "failed": tools.Bad, "unknown": tools.Unclear} {
		w.bot.Alert(slack.Problem{Key: "nas/1/" + key, Severity: severity, Server: "nas", Headline: "Photos " + key})
		w.WaitMessage(w.nas.ID, slacktest.Saying("Photos "+key))
	}
	m := w.WaitMessage(w.nas.ID, slacktest.Saying("Photos warned"))
	w.Choose(m, "mute", w.olaf.ID, "24h").Acked()
	w.WaitUpdate(m, slacktest.Saying("Muted until"))
	w.at(eight)
	text := w.digests(1)[0].BlockText()
	last := -1
	for _, want := range []string{"⛔ Daily summary: 8 backups on 2 servers", "3 problems are open:\n⛔ Photos failed (noticed 2027-05-01 06:", "❔ Photos unknown", "⚠️ Photos warned (noticed 2027-05-01 06:0", "muted until 2027-05-02 06:"} {
		i := strings.Index(text, want)
		if i <= last {
			t.Errorf("%q is not there, or not in its place:\n%s", want, text)
		}
		last = i
	}
	if strings.Contains(text, "summary: all well") {
		t.Errorf("it says that all is well:\n%s", text)
	}
}

func TestADigestThatCannotAskSaysSoAndKeepsNoAlertBack(t *testing.T) {
	hang := make(chan struct{})
	eight := time.Date(2027, 5, 1, 8, 0, 0, 0, time.UTC)
	answer := func(ctx context.Context) (tools.View, error) {
		select {
		case <-hang:
			return tools.View{}, tools.Errorf(tools.Unavailable, "no server answers")
		case <-ctx.Done():
			return tools.View{Headline: "1 of 2 servers needs a look", Tone: tools.Unclear, Facts: []tools.Fact{{Name: "attic", Value: "it took too long", Tone: tools.Unclear}}}, nil
		}
	}
	w := newWall(t, eight.Add(-time.Hour), func(o *slack.Options) { o.DigestAt, o.Digest = "08:00", answer })
	w.at(eight)
	w.bot.Alert(down())
	began := time.Now()
	w.WaitMessage(w.nas.ID, slacktest.Saying("nas does not answer"))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("an alert waits %s for a digest", took)
	}
	over := down()
	over.Ended = true
	w.bot.Alert(over)
	if text := w.digests(1)[0].BlockText(); !strings.Contains(text, "❔ Daily summary: 1 of 2 servers needs a look") || strings.Contains(text, "all well") {
		t.Errorf("of a server that hangs it says\n%s", text)
	}
	close(hang)
	w.at(eight.AddDate(0, 0, 1))
	if text := w.digests(2)[1].BlockText(); !strings.Contains(text, "❔ Daily summary: how the servers are cannot be told: no server answers") {
		t.Errorf("when it cannot ask it says\n%s", text)
	}
}

func TestADigestThatSlackDidNotTakeComesLaterAndNeverTwice(t *testing.T) {
	eight := time.Date(2027, 5, 1, 8, 0, 0, 0, time.UTC)
	w := newWall(t, eight.Add(-time.Hour), daily("08:00"))
	members := w.nas.Members
	c := w.nas
	c.Members = []string{w.ann.ID}
	w.SetChannel(c)
	w.at(eight)
	w.digests(0)
	c.Members = members
	w.SetChannel(c)
	w.at(eight.Add(2 * time.Minute)) // the refusal is remembered for one
	w.digests(1)

	// Slack has taken it, and its answer is lost.
	w.Fail(slacktest.Fault{Method: "chat.postMessage", Times: 1, After: true, Reset: true})
	w.at(eight.AddDate(0, 0, 1))
	w.digests(2)
	w.again()
	w.at(eight.AddDate(0, 0, 1).Add(time.Minute))
	w.at(eight.AddDate(0, 0, 2))
	w.digests(3)
}

func TestADigestHasAPlaceAndSomethingToSay(t *testing.T) {
	r := newRig(t, setup{})
	for name, change := range map[string]func(*slack.Options){
		"nobody to ask": func(o *slack.Options) { o.Digest = nil },
		"no channel":    func(o *slack.Options) { o.AlertChannels = map[string]string{"error": r.nas.ID} },
		"no time":       func(o *slack.Options) { o.DigestAt = "eight" },
	} {
		o := r.options
		o.DigestAt, o.Digest = "08:00", well
		change(&o)
		if _, err := slack.New(o); err == nil {
			t.Errorf("%s: the bot starts", name)
		}
	}
}

func TestNoNameMakesADigestOrAReminderThatSlackRefuses(t *testing.T) {
	eight := time.Date(2027, 5, 1, 8, 0, 0, 0, time.UTC)
	facts := []tools.Fact{}
	for _, name := range hostile {
		facts = append(facts, tools.Fact{Name: name, Value: name, Tone: tools.Bad})
	}
	w := newWall(t, eight.Add(-3*time.Hour), func(o *slack.Options) {
		o.DigestAt, o.Remind = "08:00", time.Hour
		o.Digest = func(context.Context) (tools.View, error) {
			return tools.View{Headline: hostile["calls everybody"], Tone: tools.Bad, Facts: facts}, nil
		}
	})
	for what, name := range hostile {
		w.bot.Alert(slack.Problem{Key: "nas/" + what, Severity: tools.Bad, Server: name, Headline: name})
	}
	w.until("all are told", func() bool { return len(w.alertsIn(w.nas.ID)) == len(hostile) })
	w.at(eight.Add(30 * time.Minute))
	w.digests(1)
	w.reminded(len(hostile))
	for _, m := range w.Messages("") {
		for _, call := range []string{"<!channel>", "<!here>", "<@U0BOB>", "<https://evil"} {
			if strings.Contains(m.Text, call) {
				t.Errorf("markup of somebody else in the text: %.300s", m.Text)
			}
		}
	}
}

// reminders are the replies to problems.
func (r *rig) reminders() (list []slacktest.Message) {
	for _, m := range r.alertsIn(r.nas.ID) {
		if m.ThreadTS != "" && len(m.Files) == 0 {
			list = append(list, m)
		}
	}
	return list
}

func (w *wall) reminded(n int) {
	w.t.Helper()
	if w.until(fmt.Sprintf("%d reminders", n), func() bool { return len(w.reminders()) >= n }); len(w.reminders()) > n {
		w.t.Fatalf("%d reminders, want %d:\n%s", len(w.reminders()), n, w.Transcript(w.nas.ID))
	}
}

func remindEvery(d time.Duration) func(*slack.Options) {
	return func(o *slack.Options) { o.Remind = d }
}

func TestAnOpenProblemIsToldAgainInItsThreadOnceEachTime(t *testing.T) {
	began := time.Date(2027, 5, 1, 8, 0, 0, 0, time.UTC)
	w := newWall(t, began, remindEvery(24*time.Hour))
	w.bot.Alert(down())
	m := w.WaitMessage(w.nas.ID, slacktest.Saying("nas does not answer"))
	hour := func(h float64) time.Time { return began.Add(time.Duration(h * float64(time.Hour))) }
	for _, step := range []struct {
		what string
		when time.Time
		want int
	}{
		{"before a day", hour(23.9), 0},
		{"after a day", hour(24.1), 1},
		{"soon after", hour(24.2), 1},
		{"the clock was stepped back", hour(1), 1},
		{"and comes to the time again", hour(24.1), 1},
		{"after two days", hour(48.1), 2},
		{"the bot was away for a week", hour(24*9 + 1), 3},
	} {
		w.at(step.when)
		if w.reminded(step.want); t.Failed() {
			t.Fatal(step.what)
		}
	}
	w.again()
	w.bot.Alert(down()) // whoever watches tells it again after a restart
	w.look()
	w.reminded(3)
	first := w.reminders()[0]
	if first.ThreadTS != m.TS || !first.Broadcast || !strings.Contains(first.Text, "Still so: nas does not answer") || !strings.Contains(first.Text, "Noticed 2027-05-01 08:0") {
		t.Errorf("the reminder: in %s of %s, shown in the channel: %v: %s", first.ThreadTS, m.TS, first.Broadcast, first.Text)
	}
	over := down()
	over.Ended = true
	w.bot.Alert(over)
	w.look()
	w.at(hour(24*12 + 1))
	w.at(hour(24 * 40))
	w.reminded(3)
	if n := len(w.alertsIn(w.nas.ID)); n != 4 {
		t.Errorf("%d messages, want the problem and three reminders", n)
	}
}

func TestARareReminderIsStillOneForEachTime(t *testing.T) {
	began := time.Date(2027, 5, 1, 8, 0, 0, 0, time.UTC)
	w := newWall(t, began, remindEvery(60*24*time.Hour))
	w.bot.Alert(down())
	w.WaitMessage(w.nas.ID, slacktest.Saying("nas does not answer"))
	for _, days := range []int{61, 92, 119} {
		w.at(began.AddDate(0, 0, days))
		w.reminded(1)
	}
	w.at(began.AddDate(0, 0, 121))
	w.reminded(2)
}

func TestAMutedProblemSaysSoAndIsQuietUntilItsTime(t *testing.T) {
	began := time.Date(2027, 5, 1, 8, 0, 0, 0, time.UTC)
	w := newWall(t, began, remindEvery(time.Hour))
	w.bot.Alert(down())
	m := w.WaitMessage(w.nas.ID, slacktest.Offering("mute"))
	before := m.BlockText()
	// Nobody tells the problem anew to the bot that is started: its server may be away.
	w.again()
	w.Choose(m, "mute", w.vera.ID, "8h").Acked()
	w.said(w.vera, "it was not muted")
	w.Choose(m, "mute", w.olaf.ID, "8h").Acked()
	w.said(w.olaf, "muted until 2027-05-01 16:0", "no reminder comes before then")
	m = w.WaitUpdate(m, slacktest.Saying("nas does not answer", "Muted until 2027-05-01 16:0", "Noticed 2027-05-01 08:0"))
	if _, offered := m.Element("next:1"); !offered {
		t.Errorf("it has lost its buttons: %v", m.Elements())
	}
	w.at(began.Add(7 * time.Hour))
	w.again()
	w.reminded(0)
	w.at(began.Add(8*time.Hour + 10*time.Minute))
	w.reminded(1)
	if m = w.WaitUpdate(m, slacktest.That("no longer muted", func(m slacktest.Message) bool { return !strings.Contains(m.AllText(), "Muted") })); m.BlockText() != before {
		t.Errorf("it was\n%s\nand is\n%s", before, m.BlockText())
	}
	w.Choose(m, "mute", w.olaf.ID, "168h").Acked()
	w.WaitUpdate(m, slacktest.Saying("Muted until"))
	w.Choose(m, "mute", w.olaf.ID, "0").Acked()
	w.said(w.olaf, "not muted any longer")
	w.WaitUpdate(m, slacktest.That("no longer muted", func(m slacktest.Message) bool { return !strings.Contains(m.AllText(), "Muted") }))
}

func TestWhatAnEndedProblemWasIsSaidByABotThatWasRestarted(t *testing.T) {
	began := time.Date(2027, 5, 1, 8, 0, 0, 0, time.UTC)
	w := newWall(t, began, remindEvery(0))
	w.bot.Alert(down())
	m := w.WaitMessage(w.nas.ID, slacktest.Saying("nas does not answer"))
	if _, offered := m.Element("mute"); offered {
		t.Error("a mute is offered where nothing is told again")
	}
	w.at(began.Add(3 * time.Hour))
	w.again()
	over := down()
	over.Ended, over.Headline = true, "nas answers again"
	w.bot.Alert(over)
	m = w.WaitUpdate(m, slacktest.Saying("✅ Over: nas does not answer", "nas answers again", "It was there from 2027-05-01 08:0", "to 2027-05-01 11:0"))
	if strings.Contains(m.Text, "<!") {
		t.Errorf("it calls everybody: %s", m.Text)
	}

	lost := down()
	w.bot.Alert(lost)
	m = w.WaitMessage(w.nas.ID, slacktest.Saying("⛔ nas does not answer"))
	lost.Ended, lost.Lost, lost.Headline = true, true, "nobody watches nas any longer"
	w.bot.Alert(lost)
	if m = w.WaitUpdate(m, slacktest.Saying("❔ Over: nas does not answer", "nobody watches nas any longer")); strings.Contains(m.AllText(), "✅") {
		t.Errorf("what nobody knows is shown as good:\n%s", m.AllText())
	}
}

func TestAlertsThatCannotBePostedShowInTheHealth(t *testing.T) {
	r := newRig(t, setup{})
	c := r.nas
	c.Members = []string{r.ann.ID}
	r.SetChannel(c)
	r.bot.Alert(down())
	waitHealth(t, r, func(h slack.Health) bool {
		return h.Untold == 1 && strings.Contains(h.LastError, "not in that channel")
	})
}
