//go:build linux

package slack_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// smallDisk is a disk of its own with room for little.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
			t.Fatalf("needs the right to mount a small disk: %v", err)
		}
		t.Skipf("needs the right to mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves no room, and returns what makes room again.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAdversaryFillsTheDisk(t *testing.T) {
	dir := smallDisk(t)
	on := &toolstest.Gate{Path: filepath.Join(dir, "state", "duplibot.db"), World: toolstest.NewWorld(), Vault: toolstest.NewVault(), Clock: &toolstest.Clock{}}
	r := newRig(t, setup{gate: []toolstest.Option{toolstest.After(on)}, options: remindEvery(time.Hour)})
	card := r.request(r.ann)
	mine := r.WaitMessage(r.DM(r.ann.ID), slacktest.Offering("withdraw"))
	empty := fill(t, dir)
	for i := 0; ; i++ { // what is left in the file itself
		if i == 500 {
			t.Fatal("the disk does not fill")
		}
		r.types(r.olaf, "start Photos")
		waitHealth(t, r, func(h slack.Health) bool { return h.Busy == 0 })
		if strings.Contains(r.Transcript(r.nas.ID), "disk") {
			break
		}
	}
	did := len(r.gate.World.Did())

	full := func(channel string, to slacktest.User) {
		t.Helper()
		r.WaitMessage(channel, slacktest.EphemeralFor(to.ID, "disk", "full", "nothing was", "make room"))
	}
	r.types(r.olaf, "start Mail")
	full(r.nas.ID, r.olaf)
	r.types(r.ann, "destroy Mail")
	full(r.nas.ID, r.ann)
	r.approveTyping(card, r.bob, "Photos")
	full(r.approve.ID, r.bob)
	r.Click(mine, "withdraw", r.ann.ID).Acked()
	full(r.DM(r.ann.ID), r.ann)
	r.DeliverTimes(3)
	r.Slash(r.vera.ID, r.nas.ID, "list-things").Acked() // looking goes on, once for each time it is asked
	r.said(r.vera, "3 things")
	r.DeliverTimes(1)
	r.bot.Alert(down())
	waitHealth(t, r, func(h slack.Health) bool { return h.Untold == 1 && h.Busy == 0 })
	answers := 0
	for _, m := range r.Messages(r.nas.ID) {
		if m.EphemeralTo == r.vera.ID {
			answers++
		}
	}
	if answers != 1 {
		t.Errorf("%d answers to one command", answers)
	}
	if n := len(r.gate.World.Did()); n != did {
		t.Errorf("done on a full disk: %v", r.gate.World.Did())
	}
	if n := len(r.alertsIn(r.approve.ID)); n != 1 {
		t.Errorf("%d cards, want the one from before", n)
	}

	empty()
	r.bot.Alert(down())
	r.WaitMessage(r.nas.ID, slacktest.Saying("nas does not answer"), slacktest.Offering("mute"))
	waitHealth(t, r, func(h slack.Health) bool { return h.Untold == 0 })
	r.approveTyping(card, r.bob, "Photos")
	r.WaitUpdate(card, slacktest.Saying("Done:"))
	if done := r.gate.World.Did(); len(done) != did+1 || done[did] != "destroy nas 1" {
		t.Errorf("done once there was room: %v", done[did:])
	}
}
