package slack_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// said waits for what only this person sees in the channel.
func (r *rig) said(to slacktest.User, parts ...string) slacktest.Message {
	r.t.Helper()
	return r.WaitMessage(r.nas.ID, slacktest.EphemeralFor(to.ID, parts...))
}

func (r *rig) types(by slacktest.User, text string) {
	r.t.Helper()
	r.Slash(by.ID, r.nas.ID, text).Acked()
}

func TestHelpListsWhatThisPersonMayRun(t *testing.T) {
	r := newRig(t, setup{})
	r.types(r.vera, "help")
	m := r.said(r.vera, "After /duplicati you may type", "• list-things – List the things")
	if strings.Contains(m.AllText(), "destroy") {
		t.Errorf("a viewer is shown what she may not run:\n%s", m.AllText())
	}
	r.types(r.ann, "")
	r.said(r.ann, "• destroy THING – Destroy a thing for ever")
	r.types(r.ann, "help destroy")
	r.said(r.ann, "Destroy a thing for ever", "/duplicati destroy THING [--wait]", "a person has to agree")
	r.types(r.ann, "destroy --help")
	r.types(r.ann, "help make-token")
	m = r.said(r.ann, "Make a token")
	if strings.Contains(m.AllText(), "--overwrite") {
		t.Errorf("help lists an option of the terminal:\n%s", m.AllText())
	}
	r.AddUser(slacktest.User{ID: "U0NEW", Name: "nina"})
	r.Slash("U0NEW", r.nas.ID, "help").Acked()
	r.WaitMessage(r.nas.ID, slacktest.EphemeralFor("U0NEW", "nobody in people or groups", "you are slack:T0001/U0NEW here"))
	r.Slash("U0NEW", r.nas.ID, "start Photos").Acked()
	r.WaitMessage(r.nas.ID, slacktest.EphemeralFor("U0NEW", "start is refused", "you are slack:T0001/U0NEW here"))
}

type exampleIn struct {
	Thing  string `json:"thing" jsonschema:"Which one" tool:"pos"`
	Folder string `json:"folder,omitempty" jsonschema:"Where to" tool:"path"`
	tools.OnServer
}

func TestHelpGivesNoExampleThatIsForATerminal(t *testing.T) {
	op := tools.Define(tools.Spec{Name: "fetch", Summary: "Fetch it", Group: "x", Toolset: "core", Risk: tools.Read,
		Examples: []string{"fetch Photos", "fetch Photos --folder ~/here", "fetch Photos --timeout 2h"}},
		tools.Handler[exampleIn, taskOut]{View: func(o taskOut) tools.View { return o.View },
			Do: func(context.Context, tools.Env, exampleIn) (taskOut, error) { return taskOut{}, nil }})
	r := newRig(t, setup{gate: []toolstest.Option{toolstest.WithOperations(op)}})
	r.types(r.ann, "help fetch")
	if text := r.said(r.ann, "For example: /duplicati fetch Photos").AllText(); strings.Contains(text, "folder") || strings.Contains(text, "timeout") {
		t.Errorf("it says\n%s", text)
	}
}

func TestWhatIsMistypedIsAnsweredWithWhatIsNear(t *testing.T) {
	r := newRig(t, setup{})
	for _, tc := range []struct{ text, want string }{
		{"lst-things", "did you mean list-things?"},
		{"list-things --lnog", "did you mean --long"},
		{"start “Photos", "a quote is opened and not closed"},
		{"start Fotos", "Photos"},
		{"list-things --server nsa", "did you mean nas"},
	} {
		r.types(r.ann, tc.text)
		r.said(r.ann, tc.want)
	}
	r.undone()
}

func TestAnAnswerIsForOnePersonUnlessItIsToBePublic(t *testing.T) {
	r := newRig(t, setup{})
	r.types(r.ann, "list-things")
	m := r.said(r.ann, "3 things", "Photos")
	if m.By != "response_url" {
		t.Errorf("it came by %s", m.By)
	}
	r.types(r.ann, "list-things --public")
	r.WaitMessage(r.nas.ID, slacktest.That("3 things for all", func(m slacktest.Message) bool {
		return m.EphemeralTo == "" && strings.Contains(m.AllText(), "3 things")
	}))
}

func TestNothingIsPostedWhereAnotherWorkspaceReads(t *testing.T) {
	r := newRig(t, setup{})
	shared := r.AddChannel(slacktest.Channel{ID: "C0SHARED", Name: "with-partner", Members: []string{r.ann.ID, r.BotUserID()}, SharedWith: []string{"T0666"}})
	invited := r.AddChannel(slacktest.Channel{ID: "C0INVITED", Name: "soon", Members: []string{r.ann.ID, r.BotUserID()}, PendingShare: true})
	outside := r.AddChannel(slacktest.Channel{ID: "C0OUT", Name: "out", Members: []string{r.ann.ID}})
	private := r.AddChannel(slacktest.Channel{ID: "C0PRIVATE", Name: "private", Private: true, Members: []string{r.ann.ID}})
	for _, tc := range []struct{ channel, why string }{
		{shared.ID, "shared with another workspace"}, {invited.ID, "shared with another workspace"},
		{outside.ID, "the bot is not in that channel"}, {private.ID, "the bot is not in that channel"},
	} {
		r.Slash(r.ann.ID, tc.channel, "list-things --public").Acked()
		r.WaitMessage(tc.channel, slacktest.EphemeralFor(r.ann.ID, "3 things", tc.why))
		for _, m := range r.Messages(tc.channel) {
			if m.EphemeralTo == "" {
				t.Errorf("posted to %s: %s", tc.channel, m.Text)
			}
		}
	}
}

func TestACardInAChannelThatIsSharedLaterIsTakenAway(t *testing.T) {
	r := newRig(t, setup{})
	card := r.request(r.ann)
	c := r.approve
	c.SharedWith = []string{"T0666"}
	r.SetChannel(c)
	r.gate.Clock.Add(2 * 60e9)
	r.Click(card, "deny", r.bob.ID).Acked()
	r.WaitUpdate(card, slacktest.That("without a word about it", func(m slacktest.Message) bool {
		return !strings.Contains(m.AllText(), "Photos") && strings.Contains(m.AllText(), "shared with another workspace")
	}))
}

func TestAMissingParameterOpensAForm(t *testing.T) {
	r := newRig(t, setup{gate: []toolstest.Option{toolstest.WithServers("", "nas", "office")}, options: func(o *slack.Options) {
		o.DefaultServer = func(channel string) string { return map[string]string{"C0NAS": "office"}[channel] }
	}})
	r.types(r.ann, "start")
	form := r.WaitModal(r.ann.ID, nil)
	if got := r.Suggest(form, "thing", r.ann.ID, ""); len(got) != 1 || got[0].Value != "Ledger" {
		t.Errorf("offered for the channel's server: %+v", got)
	}
	r.Choose(form, "server", r.ann.ID, "nas").Acked()
	if got := r.Suggest(form, "thing", r.ann.ID, "pho"); len(got) != 1 || got[0].Value != "Photos" {
		t.Errorf("offered for the chosen server: %+v", got)
	}
	r.Submit(form, map[string]any{"thing": "Photos"}, r.ann.ID).Acked()
	r.said(r.ann, "started Photos")
	if did := r.gate.World.Did(); !slices.Equal(did, []string{"start nas 1"}) {
		t.Errorf("done: %v", did)
	}
}

func TestAServerThatIsNotNamedOpensAFormWithTheReason(t *testing.T) {
	r := newRig(t, setup{gate: []toolstest.Option{toolstest.WithServers("", "nas", "office")}})
	r.types(r.ann, "start Photos")
	form := r.WaitModal(r.ann.ID, func(v slacktest.View) bool { return strings.Contains(v.AllText(), "everal servers are set up") })
	r.Submit(form, map[string]any{"server": "nas"}, r.ann.ID).Acked()
	r.said(r.ann, "started Photos")
}

func TestEachOperationsFormIsTakenBySlack(t *testing.T) {
	r := newRig(t, setup{})
	for _, op := range r.gate.Registry.All() {
		asks := slices.ContainsFunc(op.Params, func(p tools.Param) bool { return p.Required && !p.Secret })
		if !asks {
			continue
		}
		r.types(r.ann, op.Name)
		form := r.WaitModal(r.ann.ID, func(v slacktest.View) bool { return v.Title == op.Title() })
		for _, p := range op.Params {
			e, shown := form.Element(p.Name)
			if shown != p.On(tools.Slack) {
				t.Errorf("%s: the form shows %s: %v", op.Name, p.Name, shown)
			}
			if p.Secret && !p.File && strings.Contains(e.Type, "text_input") {
				t.Errorf("%s: the secret %s can be typed", op.Name, p.Name)
			}
		}
	}
}

func TestASecretIsNeverTypedIntoSlack(t *testing.T) {
	r := newRig(t, setup{})
	r.types(r.ann, "set-word Photos")
	link := r.said(r.ann, "waits for word", "Nothing secret is typed into Slack")
	code := r.WaitMessage(r.DM(r.ann.ID), slacktest.Saying("Code for the page", "314-15"))
	r.OpenHome(r.ann.ID).Acked()
	r.WaitHome(r.ann.ID, func(v slacktest.View) bool {
		return strings.Contains(v.AllText(), "Waiting for you: 1") && strings.Contains(v.AllText(), "waits for word to be entered")
	})
	e, _ := link.Element("page")
	if e.Raw["url"] != "https://bot.example/p/1" || strings.Contains(code.AllText(), "bot.example") || strings.Contains(link.AllText(), "314-15") {
		t.Errorf("link and code do not go two ways: %v\n%s", e.Raw, code.AllText())
	}
	mine := r.WaitMessage(r.DM(r.ann.ID), slacktest.Offering("enter"))
	r.Click(mine, "enter", r.ann.ID).Acked()
	r.WaitMessage(r.DM(r.ann.ID), slacktest.EphemeralFor(r.ann.ID, "waits for word"))
	r.WaitMessage(r.DM(r.ann.ID), slacktest.Saying("314-152"))

	for _, typed := range []string{"set-word Photos hunter2-canary!", "set-word Photos --word hunter2-canary!", "set-word Photos --word env:WORD", "set-word Photos --word held:h1", "set-word Photos --word exec:cat", "bring ../../etc/passwd"} {
		r.types(r.ann, typed)
	}
	r.said(r.ann, "a secret cannot be referred to from here")
	for _, sent := range r.Sent() {
		if strings.Contains(sent, "hunter2") {
			t.Fatalf("what was typed by mistake was sent: %s", sent)
		}
	}
	r.undone()
}

func TestNoLinkLeavesForSlackThatMustNot(t *testing.T) {
	r := newRig(t, setup{})
	r.pages.noWay = true
	r.types(r.ann, "set-word Photos")
	r.said(r.ann, "no address that a link from here may lead to", "terminal")
	for _, sent := range r.Sent() {
		if strings.Contains(sent, "314-15") {
			t.Fatalf("a code without its page was sent: %s", sent)
		}
	}
}

func TestWhatIsKeptIsReadOnAPageByWhoAsked(t *testing.T) {
	r := newRig(t, setup{})
	r.types(r.ann, "make-token")
	card := r.WaitMessage(r.approve.ID, slacktest.Offering("approve"))
	r.Click(card, "approve", r.bob.ID).Acked()
	r.WaitUpdate(card, slacktest.Saying("Done:"))
	mine := r.WaitMessage(r.DM(r.ann.ID), slacktest.Saying("Done:", "Read once: nas-token.txt"), slacktest.Offering("show:0"))
	r.Click(mine, "show:0", r.ann.ID).Acked()
	r.WaitMessage(r.DM(r.ann.ID), slacktest.EphemeralFor(r.ann.ID, "It can be read once"))
	r.WaitMessage(r.DM(r.ann.ID), slacktest.Saying("Code for the page", "314-151"))
	if made := r.pages.made; len(made) != 1 || !strings.HasPrefix(made[0], "show slack:T0001/U0ANN ") {
		t.Errorf("pages: %v", made)
	}
	if now, _ := r.Message(card.Channel, card.TS); len(now.Elements()) != 0 {
		t.Errorf("the channel's card offers %v", now.Elements())
	}
	r.noCanary()
}

// noCanary fails the test when anything that the bot sent holds a secret.
func (r *rig) noCanary() {
	r.t.Helper()
	for _, sent := range r.Sent() {
		if strings.Contains(sent, "canary") {
			r.t.Fatalf("a secret was sent: %.300s", sent)
		}
	}
}

func TestNextStepsAreButtonsThatTheGateRules(t *testing.T) {
	r := newRig(t, setup{})
	r.types(r.olaf, "list-things --public")
	m := r.WaitMessage(r.nas.ID, slacktest.Offering("next:0"), slacktest.That("for all", func(m slacktest.Message) bool { return m.EphemeralTo == "" }))
	r.Click(m, "next:0", r.vera.ID).Acked()
	r.said(r.vera, "vera is viewer and start needs operator")
	r.undone()
	r.Click(m, "next:0", r.olaf.ID).Acked()
	r.said(r.olaf, "started Photos")
}

func TestGridPeopleAreKnownByTheirOrganisation(t *testing.T) {
	people := []tools.Person{{Name: "ann", Identities: []tools.Identity{"slack:E0GRID/U0ANN"}, Roles: []string{"operator"}},
		{Name: "bob", Identities: []tools.Identity{"slack:T0001/U0BOB"}, Roles: []string{"operator"}}}
	r := newRig(t, setup{people: people, slack: slacktest.Options{EnterpriseID: "E0GRID"}})
	r.types(r.ann, "start Photos")
	r.said(r.ann, "started Photos")
	r.types(r.bob, "start Photos")
	r.said(r.bob, "nobody in people or groups has this identity")
}
