package slack_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// once fails the test unless Photos was destroyed, once.
func (r *rig) once() {
	r.t.Helper()
	if did := r.gate.World.Did(); !slices.Equal(did, []string{"destroy nas 1"}) {
		r.t.Errorf("done: %v", did)
	}
}

func TestAdversaryReplaysADecision(t *testing.T) {
	r := newRig(t, setup{})
	card := r.request(r.ann)
	r.Click(card, "approve", r.bob.ID).Acked()
	form := r.WaitModal(r.bob.ID, func(v slacktest.View) bool { _, ok := v.Element("phrase"); return ok })
	d := r.Submit(form, map[string]any{"phrase": "Photos"}, r.bob.ID)
	d.Acked()
	r.WaitUpdate(card, slacktest.Saying("Done:"))
	for range 3 {
		r.Redeliver(d)
	}
	if err := r.Wait(t.Context(), func() bool { return len(d.Acks()) == 4 }); err != nil {
		t.Fatal(err)
	}
	r.Click(card, "approve", r.bob.ID).Acked() // on the state that he still has on his screen
	r.WaitMessage(r.approve.ID, slacktest.EphemeralFor(r.bob.ID, "already"))
	r.once()
}

func TestAdversaryRenamesTheBackupBetweenCardAndClick(t *testing.T) {
	r := newRig(t, setup{})
	card := r.request(r.ann)
	r.gate.World.Change("nas", "1", func(thing *toolstest.Thing) { thing.Name = "Harmless" })
	r.approveTyping(card, r.bob, "Photos")
	r.WaitUpdate(card, slacktest.Saying("nothing was done"))
	r.undone()
}

func TestAdversaryAgreesToHisOwnRequestAsHisSecondIdentity(t *testing.T) {
	people := slices.Clone(toolstest.Usual)
	for i := range people {
		if people[i].Name == "ann" {
			people[i].Identities = append(slices.Clone(people[i].Identities), "slack:T0001/U0ANN2")
		}
	}
	r := newRig(t, setup{people: people})
	second := r.AddUser(slacktest.User{ID: "U0ANN2", Name: "ann2"})
	c := r.approve
	c.Members = append(c.Members, second.ID)
	r.SetChannel(c)
	card := r.request(r.ann)
	r.Click(card, "approve", second.ID).Acked()
	r.WaitMessage(r.approve.ID, slacktest.EphemeralFor(second.ID, "yourself"))
	r.undone()
	r.approveTyping(card, r.bob, "Photos")
	r.WaitUpdate(card, slacktest.Saying("Done:"))
	r.once()
}

func TestAdversaryHasAnUnlinkedSecondAccountInTheApproversGroup(t *testing.T) {
	groups := []tools.Group{{ID: "slack:T0001/S0APPROVE", Roles: []string{"approver"}}}
	r := newRig(t, setup{groups: groups})
	other := r.AddUser(slacktest.User{ID: "U0OTHER", Name: "ann-private"})
	r.AddUserGroup(slacktest.UserGroup{ID: "S0APPROVE", Handle: "approvers", Users: []string{other.ID, r.bob.ID}})
	c := r.approve
	c.Members = append(c.Members, other.ID)
	r.SetChannel(c)
	card := r.request(r.ann)
	r.Click(card, "approve", other.ID).Acked()
	r.WaitMessage(r.approve.ID, slacktest.EphemeralFor(other.ID, "nobody in people"))
	r.undone()
}

func TestAdversaryTypesAnApprovalInEverySpelling(t *testing.T) {
	r := newRig(t, setup{})
	card := r.request(r.ann)
	e, _ := card.Element("approve")
	for _, typed := range []string{"approve " + e.Value, "Approve " + e.Value, "decide " + e.Value + " yes", "confirm " + e.Value, "yes", "destroy Photos --yes",
		"destroy Photos --approved", "destroy Photos --phrase Photos", "run approve " + e.Value} {
		r.types(r.bob, typed)
	}
	r.types(r.bob, "list-things")
	r.said(r.bob, "3 things")
	r.undone()
}

func TestAdversaryStepsTheClockBack(t *testing.T) {
	for name, tc := range map[string]struct {
		steps []time.Duration
		card  string
	}{
		"after it has expired":       {[]time.Duration{9 * time.Hour, -20 * time.Hour}, "Nothing was done"},
		"so that it would live long": {[]time.Duration{-20 * time.Hour}, "clock was set back"},
		"twice":                      {[]time.Duration{-5 * time.Minute, 4 * time.Hour, -3 * time.Hour}, "clock was set back"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, setup{})
			card := r.request(r.ann)
			for _, step := range tc.steps {
				r.gate.Clock.Add(step)
				r.types(r.ann, "make-token") // so that the gate sees the time
				waitHealth(t, r, func(h slack.Health) bool { return h.Busy == 0 })
			}
			r.Click(card, "approve", r.bob.ID).Acked()
			r.WaitMessage(r.approve.ID, slacktest.EphemeralFor(r.bob.ID, "expired"))
			now := r.WaitUpdate(card, slacktest.Saying("Expired:", tc.card))
			if len(now.Elements()) != 0 {
				t.Errorf("it offers %v", now.Elements())
			}
			r.undone()
		})
	}
}

func TestAdversaryAsksAThousandTimes(t *testing.T) {
	r := newRig(t, setup{})
	var all []*slacktest.Delivery
	texts := []string{"destroy 1", "destroy 2", "make-token", "destroy 3", "destroy 1 --server office", "destroy 1 --wait",
		"set-word 1 --word generate", "set-word 2 --word generate"}
	for i := range 1000 {
		all = append(all, r.Slash(r.ann.ID, r.nas.ID, texts[i/2%len(texts)])) // all of them on both connections
	}
	for _, d := range all {
		d.Acked() // each is answered within three seconds, if only to say that it is too much
	}
	r.types(r.vera, "list-things")
	r.said(r.vera, "3 things")
	r.WaitMessage(r.nas.ID, slacktest.EphemeralFor(r.ann.ID, "5 approvals within an hour"))
	waitHealth(t, r, func(h slack.Health) bool { return h.Busy == 0 })
	open, err := r.gate.Desk.Requests(t.Context(), tools.Filter{States: []tools.State{tools.StatePending}})
	if err != nil || len(open) == 0 || len(open) > 5 {
		t.Fatalf("%d requests are open, %v", len(open), err)
	}
	for _, a := range open {
		r.WaitMessage(r.approve.ID, slacktest.Offering("approve"), slacktest.Saying(a.ID))
	}
	cards := map[string]slacktest.Message{}
	for _, m := range r.alertsIn(r.approve.ID) {
		e, _ := m.Element("approve")
		cards[e.Value] = m
	}
	if n := len(r.alertsIn(r.approve.ID)); n != len(open) || len(cards) != n {
		t.Errorf("%d cards of %d requests", n, len(open))
	}
	for _, card := range cards { // those that came between are as good as any
		phrase := ""
		for _, name := range []string{"Photos", "Mail", "Ledger"} {
			if strings.Contains(card.AllText(), "Destroy – thing \""+name) {
				phrase = name
			}
		}
		if phrase == "" {
			r.Click(card, "deny", r.bob.ID).Acked()
			r.WaitUpdate(card, slacktest.Saying("Denied:"))
			continue
		}
		r.approveTyping(card, r.bob, phrase)
		r.WaitUpdate(card, slacktest.That("over", func(m slacktest.Message) bool { return len(m.Elements()) == 0 }))
	}
	done := r.gate.World.Did()
	slices.Sort(done)
	if n := len(done); n == 0 || n > len(cards) || len(slices.Compact(done)) != n {
		t.Errorf("%d cards, done %v", len(cards), r.gate.World.Did())
	}
}

func TestAdversaryWithoutAuditLogGetsNothing(t *testing.T) {
	r := newRig(t, setup{})
	card := r.request(r.ann)
	r.gate.DB.Close()
	r.Click(card, "approve", r.bob.ID).Acked()
	r.WaitMessage(r.approve.ID, slacktest.EphemeralFor(r.bob.ID))
	r.undone()
}
