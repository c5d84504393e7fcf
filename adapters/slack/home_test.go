package slack_test

import (
	"context"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

type stateIn struct{ tools.OnServer }

type stateOut struct {
	Server string `json:"server"`
}

// stateOp is a read that start pages show.
func stateOp(name string) tools.Operation {
	return tools.Define(tools.Spec{Name: name, Summary: "Tell how a server is", Group: "servers", Toolset: "core", Risk: tools.Read, Home: true},
		tools.Handler[stateIn, stateOut]{
			Do: func(_ context.Context, env tools.Env, _ stateIn) (stateOut, error) {
				if env.Server == "office" {
					return stateOut{}, tools.Errorf(tools.Unavailable, "office does not answer")
				}
				return stateOut{env.Server}, nil
			},
			View: func(o stateOut) tools.View {
				return tools.View{Headline: o.Server + " is well", Tone: tools.Good,
					Table: &tools.Table{Columns: []string{"Backup", "Last run"}, Rows: [][]string{{"Photos", "today"}, {"<!channel>", "never"}}}}
			},
		})
}

func TestTheHomeTabShowsServersAndWhatWaits(t *testing.T) {
	world := toolstest.NewWorld()
	r := newRig(t, setup{gate: []toolstest.Option{toolstest.WithOperations(append(world.Operations(), stateOp("state"), stateOp("other-state"))...)}})
	r.OpenHome(r.bob.ID).Acked()
	first := r.WaitHome(r.bob.ID, func(v slacktest.View) bool {
		return strings.Contains(v.AllText(), "Waiting for you: 0") && strings.Contains(v.AllText(), "nas is well") && strings.Contains(v.AllText(), "Other state")
	})
	if text := first.AllText(); strings.Count(text, "office does not answer") != 1 || strings.Count(text, "2 servers asked") != 2 || !strings.Contains(text, "Server · Backup · Last run\n• nas · Photos · today") {
		t.Errorf("it says\n%s", text)
	}
	r.Slash(r.ann.ID, r.nas.ID, "make-token").Acked()
	card := r.WaitMessage(r.approve.ID, slacktest.Offering("approve"))
	r.OpenHome(r.bob.ID).Acked()
	home := r.WaitHome(r.bob.ID, func(v slacktest.View) bool { _, ok := v.Element("approve"); return ok })
	r.Click(home, "approve", r.bob.ID).Acked()
	r.WaitUpdate(card, slacktest.Saying("Done:"))
	r.WaitHome(r.bob.ID, func(v slacktest.View) bool { return strings.Contains(v.AllText(), "Waiting for you: 0") })

	r.Slash(r.ann.ID, r.nas.ID, "make-token").Acked()
	r.WaitMessage(r.approve.ID, slacktest.Offering("approve"))
	r.OpenHome(r.ann.ID).Acked()
	home = r.WaitHome(r.ann.ID, func(v slacktest.View) bool { _, ok := v.Element("withdraw"); return ok })
	r.Click(home, "withdraw", r.ann.ID).Acked()
	r.WaitHome(r.ann.ID, func(v slacktest.View) bool { return !strings.Contains(v.AllText(), "You asked for") })
	r.Click(r.WaitHome(r.ann.ID, nil), "refresh", r.ann.ID).Acked()

	guest := r.AddUser(slacktest.User{ID: "U0GUEST", IsRestricted: true})
	r.OpenHome(guest.ID).Acked()
	r.WaitHome(guest.ID, func(v slacktest.View) bool { return strings.Contains(v.AllText(), "Guests of this workspace") })
}
