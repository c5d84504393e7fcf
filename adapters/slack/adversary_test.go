package slack_test

import (
	"slices"
	"testing"

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

func TestAdversaryWithoutAuditLogGetsNothing(t *testing.T) {
	r := newRig(t, setup{})
	card := r.request(r.ann)
	r.gate.DB.Close()
	r.Click(card, "approve", r.bob.ID).Acked()
	r.WaitMessage(r.approve.ID, slacktest.EphemeralFor(r.bob.ID))
	r.undone()
}
