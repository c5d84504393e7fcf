package slack_test

import (
	"slices"
	"testing"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
)

func TestARequestIsApprovedByAnotherPersonAndRunsOnce(t *testing.T) {
	r := newRig(t, setup{})
	card := r.request(r.ann)
	r.WaitMessage(r.nas.ID, slacktest.EphemeralFor(r.ann.ID, "waits"))
	mine := r.WaitMessage(r.DM(r.ann.ID), slacktest.Offering("withdraw"))
	r.approveTyping(card, r.bob, "Photos")
	r.WaitUpdate(card, slacktest.Saying("Done:", "bob agreed", "destroyed Photos"))
	r.WaitUpdate(mine, slacktest.Saying("Done:", "destroyed Photos"))
	r.WaitMessage(r.nas.ID, slacktest.EphemeralFor(r.ann.ID, "Done:", "destroyed Photos"))
	if did := r.gate.World.Did(); !slices.Equal(did, []string{"destroy nas 1"}) {
		t.Errorf("done: %v", did)
	}
	now, _ := r.Message(card.Channel, card.TS)
	if _, offered := now.Element("approve"); offered {
		t.Error("the card still has its button")
	}
}
