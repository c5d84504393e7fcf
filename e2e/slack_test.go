package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
)

// The whole way from a slash command to an approved delete, with the program
// as it is built, in a Slack and with a server that run here.
func TestADeleteIsAskedForAndAgreedToInSlack(t *testing.T) {
	s := slacktest.New(t, slacktest.Options{TeamID: "T0001"})
	ann := s.AddUser(slacktest.User{ID: "U0ANN", Name: "ann"})
	bob := s.AddUser(slacktest.User{ID: "U0BOB", Name: "bob"})
	eve := s.AddUser(slacktest.User{ID: "U0EVE", Name: "eve", IsRestricted: true})
	everybody := []string{ann.ID, bob.ID, eve.ID, s.BotUserID()}
	nas := s.AddChannel(slacktest.Channel{ID: "C0NAS", Name: "nas", Members: everybody})
	cards := s.AddChannel(slacktest.Channel{ID: "C0CARDS", Name: "approvals", Members: everybody})

	h := newHome(t)
	server := h.withServer(t, fmt.Sprintf(`people:
  ann: {identities: ["slack:T0001/U0ANN", "uid:%d"], roles: [operator, approver]}
  bob: {identities: ["slack:T0001/U0BOB"], roles: [operator, approver]}
slack: {app_token: "env:SLACK_APP", bot_token: "env:SLACK_BOT", approvals_channel: C0CARDS, api_url: %q, alerts: {channels: {other: C0NAS}}}
`, os.Getuid(), s.APIURL()))
	canaries := append(server.PlantCanaries(), password)
	h.env = append(h.env, "SLACK_APP="+s.AppToken(), "SLACK_BOT="+s.BotToken())
	start := func() (end func()) {
		end = h.serve(t)
		s.WaitConnections(2)
		return end
	}
	end := start()

	s.Slash(ann.ID, nas.ID, "list-backups").Acked()
	s.WaitMessage(nas.ID, slacktest.EphemeralFor(ann.ID, "Photos"))
	s.Slash(ann.ID, nas.ID, "run").Acked() // the backup is chosen in a form
	form := s.WaitModal(ann.ID, func(v slacktest.View) bool { _, ok := v.Element("backup"); return ok })
	offered := s.Suggest(form, "backup", ann.ID, "Pho")
	if len(offered) != 1 {
		t.Fatalf("offered: %+v", offered)
	}
	s.Submit(form, map[string]any{"backup": offered[0].Value}, ann.ID).Acked()
	run := s.WaitMessage(s.DM(ann.ID), slacktest.Saying("Photos"), slacktest.That("its progress", func(m slacktest.Message) bool { return m.By == "chat.postMessage" }))
	s.WaitUpdate(run, slacktest.That("its end in the same message", func(m slacktest.Message) bool {
		return len(m.Edits) > 0 && !strings.Contains(m.AllText(), "░")
	}))

	s.Slash(ann.ID, nas.ID, "delete Mail").Acked()
	card := s.WaitMessage(cards.ID, slacktest.Offering("approve"), slacktest.Saying("Mail"))
	end() // the bot is restarted between the card and the click
	start()
	for user, why := range map[string]string{ann.ID: "yourself", eve.ID: "guests"} {
		s.Click(card, "approve", user).Acked()
		s.WaitMessage(cards.ID, slacktest.EphemeralFor(user, why))
	}
	if n := server.Count("DELETE", "/api/v1/backup/2"); n != 0 {
		t.Fatalf("%d deletes before anybody agreed", n)
	}
	s.Click(card, "approve", bob.ID).Acked()
	phrase := s.WaitModal(bob.ID, func(v slacktest.View) bool { _, ok := v.Element("phrase"); return ok })
	s.Submit(phrase, map[string]any{"phrase": "Mail"}, bob.ID).Acked()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Wait(ctx, func() bool {
		m, _ := s.Message(card.Channel, card.TS)
		return strings.Contains(m.AllText(), "Done:") && len(m.Elements()) == 0
	}); err != nil {
		t.Fatalf("the card is not repaired: %s", s.Transcript(cards.ID))
	}
	if n := server.Count("DELETE", "/api/v1/backup/2"); n != 1 {
		t.Errorf("%d deletes", n)
	}
	for _, sent := range s.Sent() {
		for _, c := range canaries {
			if strings.Contains(sent, c) {
				t.Fatalf("a secret was sent to Slack: %.200s", sent)
			}
		}
	}
}
