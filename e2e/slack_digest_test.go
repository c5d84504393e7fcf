package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

// serve starts the daemon and returns what ends it.
func (h *home) serve(t testing.TB) (end func()) {
	t.Helper()
	said := &notes{}
	daemon := h.command(t, "serve")
	daemon.Stdout, daemon.Stderr = said, said
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if !ended {
			ended = true
			_ = daemon.Process.Signal(syscall.SIGTERM)
			if err := daemon.Wait(); err != nil {
				t.Errorf("serve: %v\n%s", err, said)
			}
		}
	}
	t.Cleanup(func() {
		end()
		if t.Failed() {
			t.Logf("the bot said:\n%s", said)
		}
	})
	return end
}

// edit changes the config.
func (h *home) edit(t testing.TB, old, with string) {
	t.Helper()
	text, err := os.ReadFile(h.config)
	if err != nil || !strings.Contains(string(text), old) {
		t.Fatalf("the config has no %q: %v", old, err)
	}
	if err := os.WriteFile(h.config, []byte(strings.Replace(string(text), old, with, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The summary is of what the servers say now, at the time of the host's own
// clock, and comes once however often the bot is started.
func TestTheDailySummarySaysHowEachServerIs(t *testing.T) {
	const zone = "Asia/Kathmandu" // a quarter of an hour beside every other one
	place, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	s := slacktest.New(t, slacktest.Options{TeamID: "T0001"})
	ann := s.AddUser(slacktest.User{ID: "U0ANN", Name: "ann"})
	alerts := s.AddChannel(slacktest.Channel{ID: "C0ALERTS", Name: "alerts", Members: []string{ann.ID, s.BotUserID()}})
	h := newHome(t)
	server := h.withServer(t, fmt.Sprintf(`people:
  ann: {identities: ["slack:T0001/U0ANN"], roles: [operator, approver]}
slack: {app_token: "env:SLACK_APP", bot_token: "env:SLACK_BOT", api_url: %q, alerts: {channels: {other: C0ALERTS}, digest: %q, remind: 24h}}
`, s.APIURL(), time.Now().In(place).Format("15:04")))
	h.edit(t, "servers:\n", "servers:\n  attic: {url: \"http://127.0.0.1:9\", password: \"env:NAS_PASSWORD\"}\n")
	h.env = append(h.env, "SLACK_APP="+s.AppToken(), "SLACK_BOT="+s.BotToken(), "TZ="+zone)
	server.AddBackup(duplicatitest.Backup{Name: "Ledger <!channel>", TargetURL: "file:///mnt/ledger", Sources: []string{"/data/photos/"},
		Runs: []duplicatitest.Run{{Ago: time.Hour, Outcome: duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "disk full"}}}})

	end := h.serve(t)
	m := s.WaitMessage(alerts.ID, slacktest.Saying("Daily summary"))
	for _, want := range []string{"⛔ Daily summary: 2 of 2 servers need a look", "nas\n⛔ 2 of 3 backups need a look: Mail (never ran), Ledger <!channel> (failing)", "attic\n❔ attic cannot be reached"} {
		if !strings.Contains(m.BlockText(), want) {
			t.Errorf("it does not say %q:\n%s", want, m.BlockText())
		}
	}
	if strings.Contains(m.Text, "<!") {
		t.Errorf("it calls everybody: %s", m.Text)
	}
	alert := s.WaitMessage(alerts.ID, slacktest.Saying("Ledger", "failed"), slacktest.Offering("mute"))
	end()
	end = h.serve(t)
	s.WaitConnections(2)
	end()

	// Its server is no longer in the config: nobody can tell how it is now.
	h.edit(t, "  nas:\n", "  nas2:\n")
	h.serve(t)
	s.WaitUpdate(alert, slacktest.Saying("❔ Over: Ledger <!channel> on nas failed", "nobody watches this any longer"))
	digests := 0
	for _, m := range s.Messages(alerts.ID) {
		if strings.Contains(m.Text, "Daily summary") {
			digests++
		}
	}
	if digests != 1 {
		t.Errorf("%d summaries in one day:\n%s", digests, s.Transcript(alerts.ID))
	}
}
