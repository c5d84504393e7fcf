package slack_test

import (
	"strings"
	"testing"

	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// hostile are names that a backup can have and that a message must survive.
var hostile = map[string]string{
	"calls everybody":    "<!channel> <!here> <@U0BOB> <https://evil.example|Photos>",
	"3001 characters":    strings.Repeat("n", 3001),
	"right to left":      "\u202egnp.sotohP\u202c \u05d0\u05d1\u05d2 \u200b\u2066x\u2069",
	"emoji":              strings.Repeat("👩‍👩‍👧‍👦", 400),
	"backticks":          "```*_~`Photos`~_*```",
	"newlines":           "a\nb\r\n\n\u2028c\x00\x1b[31m",
	"nothing to be seen": "\u200b\u202e",
	"ampersands":         strings.Repeat("&<>", 1500),
	"no UTF-8":           "a\xff\xfeb",
}

// The fake holds each message, form and Home tab to a schema made of Slack's
// own types and fails the test for what Slack would refuse.
func TestNoNameMakesAMessageThatSlackRefuses(t *testing.T) {
	for what, name := range hostile {
		t.Run(what, func(t *testing.T) {
			world := toolstest.NewWorld()
			world.Change("nas", "1", func(thing *toolstest.Thing) { thing.Name = name })
			r := newRig(t, setup{gate: []toolstest.Option{toolstest.WithOperations(append(world.Operations(), stateOp("state"))...)}})
			r.types(r.ann, "list-things --public")
			r.WaitMessage(r.nas.ID, slacktest.Saying("3 things"))
			r.types(r.ann, "start 1")
			r.said(r.ann, "started")
			r.types(r.ann, "start "+strings.ReplaceAll(strings.ToValidUTF8(name, "?"), "\x00", "")+"x")
			r.types(r.ann, "start")
			form := r.WaitModal(r.ann.ID, nil)
			r.Suggest(form, "thing", r.ann.ID, "")
			r.types(r.ann, "destroy 1")
			card := r.WaitMessage(r.approve.ID, slacktest.Offering("approve"))
			r.Click(card, "approve", r.bob.ID).Acked()
			r.WaitModal(r.bob.ID, func(v slacktest.View) bool { _, ok := v.Element("phrase"); return ok })
			r.OpenHome(r.bob.ID).Acked()
			r.WaitHome(r.bob.ID, func(v slacktest.View) bool { return strings.Contains(v.AllText(), "Waiting for you: 1") })
			r.bot.Alert(slack.Problem{Key: "k/" + name, Severity: tools.Warning, Server: "nas", Headline: name,
				Facts: []tools.Fact{{Name: name, Value: name}}, Next: []tools.Next{{Label: name, Operation: "start", Args: map[string]any{"thing": name}}}})
			r.WaitMessage(r.nas.ID, slacktest.Saying("Noticed "))
			r.Click(card, "deny", r.bob.ID).Acked()
			r.WaitUpdate(card, slacktest.Saying("Denied:"))
			for _, m := range r.Messages("") {
				for _, call := range []string{"<!channel>", "<!here>", "<@U0BOB>", "<https://evil"} {
					if m.By != "user" && strings.Contains(m.Text, call) {
						t.Errorf("markup of somebody else in the text: %.300s", m.Text)
					}
				}
			}
		})
	}
}
