package slack_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/tools"
)

func down() slack.Problem {
	return slack.Problem{Key: "nas/unreachable", Severity: tools.Bad, Server: "nas", Headline: "nas does not answer <!channel>",
		Next: []tools.Next{{Label: "Look", Operation: "list-things"}, {Label: "Run again", Operation: "start", Args: map[string]any{"thing": "Photos"}}}}
}

// alertsIn are the posted messages of a channel.
func (r *rig) alertsIn(channel string) (list []slacktest.Message) {
	for _, m := range r.Messages(channel) {
		if m.By == "chat.postMessage" {
			list = append(list, m)
		}
	}
	return list
}

func TestAHundredFailingPollsAndARestartAreOneMessage(t *testing.T) {
	r := newRig(t, setup{options: remindEvery(time.Hour)})
	for range 50 {
		r.bot.Alert(down())
	}
	m := r.WaitMessage(r.nas.ID, slacktest.Saying("nas does not answer"), slacktest.Offering("mute"))
	if strings.Contains(m.Text, "<!") {
		t.Errorf("it calls everybody: %s", m.Text)
	}
	r.restart(setup{options: remindEvery(time.Hour)})
	for range 50 {
		r.bot.Alert(down())
	}
	over := down()
	over.Ended, over.Headline = true, "nas answers again"
	time.Sleep(200 * time.Millisecond)
	r.bot.Alert(over)
	now := r.WaitUpdate(m, slacktest.Saying("✅ Over: nas does not answer", "nas answers again"))
	if _, offered := now.Element("mute"); offered {
		t.Error("what is over can be muted")
	}
	if len(now.Edits) != 1 {
		t.Errorf("it was edited %d times, want once, for its end", len(now.Edits))
	}
	if list := r.alertsIn(r.nas.ID); len(list) != 1 {
		t.Errorf("%d messages, want one", len(list))
	}
	r.bot.Alert(down())
	if err := r.Wait(t.Context(), func() bool { return len(r.alertsIn(r.nas.ID)) == 2 }); err != nil {
		t.Error("the same problem at another time is not told")
	}
}

func TestABackupThatFailsNoLongerAndWarnsInsteadIsNotWellAgain(t *testing.T) {
	r := newRig(t, setup{})
	failed := slack.Problem{Key: "nas/1/failed", Severity: tools.Bad, Server: "nas", Backup: "1", Headline: "Photos on nas failed"}
	r.bot.Alert(failed)
	m := r.WaitMessage(r.nas.ID, slacktest.Saying("Photos on nas failed"))
	failed.Ended, failed.Headline = true, "it ran again and ended otherwise"
	r.bot.Alert(slack.Problem{Key: "nas/1/warned", Severity: tools.Warning, Server: "nas", Backup: "1", Headline: "Photos on nas ended with warnings"})
	r.bot.Alert(failed)
	m = r.WaitUpdate(m, slacktest.Saying("Over: Photos on nas failed", "it ran again and ended otherwise"))
	if strings.Contains(m.AllText(), "✅") {
		t.Errorf("it is shown as well again:\n%s", m.AllText())
	}
}

func TestAProblemIsMutedAndRunAgainByThoseWhoMay(t *testing.T) {
	r := newRig(t, setup{options: remindEvery(time.Hour)})
	r.bot.Alert(down())
	m := r.WaitMessage(r.nas.ID, slacktest.Offering("mute"))
	r.Choose(m, "mute", r.vera.ID, "1h").Acked()
	r.said(r.vera, "it was not muted")
	r.Choose(m, "mute", r.olaf.ID, "1h").Acked()
	r.said(r.olaf, "muted until")
	m = r.WaitUpdate(m, slacktest.Saying("Muted until"))
	r.Click(m, "next:1", r.olaf.ID).Acked()
	r.said(r.olaf, "started Photos")
}

func TestDoctorNamesEachScopeChannelAndToken(t *testing.T) {
	r := newRig(t, setup{})
	found := func(o slack.Options) string { return fmt.Sprint(slack.Check(t.Context(), o, r.nas.ID)) }
	if all := found(r.options); strings.Contains(all, "missing") || !strings.Contains(all, "may post to #nas") {
		t.Errorf("a good set-up: %s", all)
	}
	c := r.nas
	c.Members = []string{r.ann.ID}
	r.SetChannel(c)
	if all := found(r.options); !strings.Contains(all, "the bot is not in #nas") {
		t.Errorf("without the bot in its channel: %s", all)
	}
	o := r.options
	o.DigestAt, o.AlertChannels = "08:00", map[string]string{"error": r.nas.ID}
	if all := found(o); !strings.Contains(all, "the digest has no channel") {
		t.Errorf("a digest without a channel: %s", all)
	}
	o = r.options
	o.BotToken, o.AppToken = o.AppToken, o.BotToken
	if all := found(o); !strings.Contains(all, "begins with xoxb-") || strings.Contains(all, "xapp-1-A0") {
		t.Errorf("tokens the wrong way round: %s", all)
	}
	poor := newRig(t, setup{slack: slacktest.Options{Scopes: []string{"commands", "chat:write", "users:read", "im:write", "channels:read"}}})
	all := fmt.Sprint(slack.Check(t.Context(), poor.options))
	for _, scope := range []string{"files:write", "usergroups:read", "groups:read"} {
		if !strings.Contains(all, "the scope "+scope+" is missing") {
			t.Errorf("%s is not named: %s", scope, all)
		}
	}
}

func TestAScopeThatIsTakenAwayIsNamedToWhoTypes(t *testing.T) {
	r := newRig(t, setup{})
	without := func(scope string) {
		var rest []string
		for _, s := range r.Scopes() {
			if s != scope {
				rest = append(rest, s)
			}
		}
		r.SetScopes(rest...)
	}
	all := r.Scopes()
	without("channels:read")
	r.types(r.ann, "list-things --public")
	r.said(r.ann, "3 things", "Only you see this", "lacks a scope", "duplibot doctor")
	r.SetScopes(all...)
	without("users:read")
	r.types(r.olaf, "start Photos")
	r.said(r.olaf, "could not be asked who you are", "nothing was done", "lacks a scope", "duplibot doctor")
	r.undone()
}

func TestTheManifestHoldsToSlacksOwnSchema(t *testing.T) {
	for _, url := range []string{"", "https://bot.example/slack"} {
		text, err := slack.Manifest(slack.ManifestOptions{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		if err := slacktest.ValidateManifest(text); err != nil {
			t.Errorf("for %q: %v", url, err)
		}
		for _, needless := range []string{":history", "chat:write.public", "users:read.email", "admin"} {
			if strings.Contains(string(text), needless) {
				t.Errorf("it asks for %s", needless)
			}
		}
	}
}
