package ops_test

import (
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

func (b *bench) running(name string) {
	b.t.Helper()
	b.do("run", args{"backup": name})
	eventually(b.t, func() bool {
		a := b.do("progress", args{"backup": name})
		return read[task](b.t, a).State == "running"
	})
}

func TestStopSaysWhatReallyHappened(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Mail"})
		b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})

		a := b.do("stop", args{"backup": "Photos"})
		if read[task](t, a).State != "idle" || a.View.Tone == tools.Good {
			t.Errorf("nothing ran: %s %s", a.Result, a.View.Headline)
		}

		b.running("Photos")
		b.do("run", args{"backup": "Mail"})
		b.refused("stop", args{"backup": "Mail"}, tools.Conflict, "only waits", "nothing was done")

		a = b.do("stop", args{"backup": "Photos"})
		if r := read[task](t, a); r.State != "over" || r.Outcome != "stopped" || a.Exit != 0 {
			t.Errorf("%+v: %s", r, a.View.Headline)
		}
		b.do("wait", args{"backup": "Mail"})

		b.running("Photos")
		a = b.do("stop", args{"backup": "Photos", "abort": true})
		if r := read[task](t, a); r.State != "over" || r.Outcome == "succeeded" || a.View.Tone == tools.Good {
			t.Errorf("%+v: %s", r, a.View.Headline)
		}

		b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true, HoldStop: true})
		b.running("Photos")
		a = b.do("stop", args{"backup": "Photos", "seconds": 1})
		if r := read[task](t, a); r.State != "stopping" || a.Exit != 2 || a.View.Tone != tools.Warning || !strings.Contains(a.View.Headline, "still at work") {
			t.Errorf("%+v: %s", r, a.View.Headline)
		}
		a = b.do("stop", args{"backup": "Photos", "abort": true, "seconds": 1})
		if r := read[task](t, a); r.State != "stopping" || a.View.Tone != tools.Bad {
			t.Errorf("%+v: %s", r, a.View.Headline)
		}
		b.nas.Finish()
	})
}

func TestResultTellsTheLastRunAndNothingElse(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Never"})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Warns", Runs: []duplicatitest.Run{
			{Ago: 2 * time.Hour}, {Ago: time.Hour, Outcome: duplicatitest.Outcome{Result: duplicatitest.Warns, Message: "a file ran away", Count: 30}}}})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Fails", Runs: []duplicatitest.Run{
			{Ago: 2 * time.Hour}, {Ago: time.Hour, Outcome: duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "the disk ran away"}}}})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Stopped", Runs: []duplicatitest.Run{{Ago: time.Hour, Outcome: duplicatitest.Outcome{Partial: true}}}})
		held := b.nas.AddBackup(duplicatitest.Backup{Name: "Held", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		b.nas.SetOutcome(held, duplicatitest.Outcome{Hold: true})

		has(t, b.do("result", args{"backup": "Never"}).Result, `"never_ran"`, `"warnings":[]`, `"errors":[]`)
		a := b.do("result", args{"backup": "Warns"})
		has(t, a.Result, `"outcome":"warning"`, `a file ran away`, `"warnings_total":30`, `"last_success":"20`)
		if len(a.View.Data) == 0 || a.View.Data[0].Total != 30 || a.View.Tone != tools.Warning {
			t.Errorf("%+v", a.View)
		}
		a = b.do("result", args{"backup": "Fails"})
		has(t, a.Result, `"outcome":"fatal"`, "the disk ran away")
		if a.View.Tone != tools.Bad {
			t.Errorf("%+v", a.View)
		}
		has(t, b.do("result", args{"backup": "Stopped"}).Result, `"outcome":"stopped"`)

		b.running("Held")
		a = b.do("result", args{"backup": "Held"})
		has(t, a.Result, `"running_now":true`, `"last_success":"20`)
		if strings.Contains(string(a.Result), `"outcome":"succeeded"`) == (g == "2.3.1") {
			t.Errorf("while it runs: %s", a.Result)
		}
		if g == "2.3.1" && !strings.HasPrefix(a.View.Headline, "Held runs at the moment") {
			t.Errorf("while it runs: %s", a.View.Headline)
		}
		b.nas.Finish()
	})
}

func TestProgressShowsWhatRunsAndWhatFollows(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Mail"})
		b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
		if a := b.do("progress", nil); read[task](t, a).State != "idle" || a.View.Follow != nil || len(a.View.Next) != 0 {
			t.Errorf("idle: %+v", a.View)
		}
		b.running("Photos")
		a := b.do("progress", nil)
		has(t, a.Result, `"backup":"Photos"`, `"percent":`, `"phase":"`)
		if a.View.Progress == nil || a.View.Follow == nil {
			t.Errorf("%+v", a.View)
		}
		b.do("run", args{"backup": "Mail"})
		a = b.do("progress", args{"backup": "Mail"})
		if r := read[task](t, a); r.State != "waiting" || !strings.Contains(a.View.Headline, "behind 1 task") {
			t.Errorf("%+v: %s", r, a.View.Headline)
		}
		status := b.do("status", nil)
		has(t, status.Result, `"active":{"task":`, `"backup":"Photos"`, `"queue":[{`, `"backup":"Mail"`)
		b.nas.Finish()
		b.refused("progress", args{"task": 3}, tools.InvalidArgument, "backup")
		b.refused("wait", args{"backup": "Mail", "task": 99}, tools.NotFound, "does not know task 99", "result")
	})
}

func TestPauseReadsDurationsAsTheyAreMeant(t *testing.T) {
	b := start(t, duplicatitest.Options{})
	for given, words := range map[string]string{
		"": "for ever", "0": "zero", "0s": "zero", "-5m": "negative", "1h -2h": "negative", "25h": "24 hours", "2D": "24 hours", "1M": "pause 1m",
		"5d": "cannot be read", "1H": "did you mean 1h", "5min": "did you mean 5m", "1.5h": "did you mean 1h30m?", "2.0h": "did you mean 2h?", "m": "cannot be read", "5m30": "cannot be read", "nonsense": "cannot be read",
	} {
		b.refused("pause", args{"duration": given}, tools.InvalidArgument, words, "nothing was done")
	}
	b.refused("pause", args{"duration": "5m", "until_resumed": true}, tools.InvalidArgument, "not both")
	if n := b.nas.Count("POST", "/api/v1/serverstate"); n != 0 {
		t.Errorf("%d calls were sent", n)
	}
}

func TestAPauseIsReadBackAndResumed(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
		b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
		b.running("Photos")
		a := b.do("pause", args{"duration": "1h30m"})
		has(t, a.Result, `"state":"paused"`, `"paused_until":"20`, `"backup":"Photos"`)
		a = b.do("status", nil)
		if !strings.Contains(a.View.Headline, "paused until") || a.View.Tone == tools.Good {
			t.Errorf("%s", a.View.Headline)
		}
		a = b.do("resume", nil)
		has(t, a.Result, `"state":"running"`)
		if !strings.Contains(a.View.Headline, "goes on") {
			t.Errorf("%s", a.View.Headline)
		}
		if a = b.do("resume", nil); !strings.Contains(a.View.Headline, "was not paused") {
			t.Errorf("%s", a.View.Headline)
		}
		b.nas.Finish()

		ended, err := b.agreed("pause", args{"until_resumed": true})
		if err != nil || ended.State != tools.StateDone {
			t.Fatalf("%s %v", ended.State, err)
		}
		a = b.do("status", nil)
		if !strings.Contains(a.View.Headline, "until somebody resumes it") || a.View.Tone != tools.Warning {
			t.Errorf("%s", a.View.Headline)
		}
		b.do("resume", nil)
		if g != "2.1" {
			b.do("pause", args{"duration": "5m", "pause_transfers": true})
		} else {
			b.refused("pause", args{"duration": "5m", "pause_transfers": true}, tools.Unsupported)
		}
	})
}

func TestAPauseWhoseAnswerIsLostIsSettledByLooking(t *testing.T) {
	b := start(t, duplicatitest.Options{})
	id := b.asked("pause", args{"until_resumed": true}).Approval.ID
	b.nas.Inject(duplicatitest.Fault{Method: "POST", Prefix: "/api/v1/serverstate/pause", Times: 1, LoseReply: true})
	a, err := b.Decide(toolstest.BobAtTerminal, id, true)
	if a.State != tools.StateSettled || !strings.Contains(a.Settlement, "took effect") {
		t.Errorf("%s %q, %v", a.State, a.Settlement, err)
	}
}

func TestListBackupsCallsNothingGoodThatIsNot(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		now := time.Now()
		b.nas.AddBackup(duplicatitest.Backup{Name: "Good", Every: "1D", Next: now.Add(time.Hour), Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Never"})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Fails", Runs: []duplicatitest.Run{{Ago: 2 * time.Hour}, {Ago: time.Hour, Outcome: duplicatitest.Outcome{Result: duplicatitest.Fails}}}})
		warns := b.nas.AddBackup(duplicatitest.Backup{Name: "Warns"})
		b.nas.SetOutcome(warns, duplicatitest.Outcome{Result: duplicatitest.Warns})
		b.do("run", args{"backup": "Warns", "wait": true})
		type item struct{ ID, Name, Condition, Activity string }
		type list struct {
			Backups []item
			Total   int
		}
		of := func(a args) map[string]string {
			got := map[string]string{}
			for _, i := range read[list](t, b.do("list-backups", a)).Backups {
				got[i.Name] = strings.Trim(i.Condition+" "+i.Activity, " ")
			}
			return got
		}
		got := of(nil)
		for name, want := range map[string]string{"Good": "ok", "Never": "never_ran", "Fails": "failing", "Warns": "warning"} {
			if got[name] != want {
				t.Errorf("%s is %q, want %q", name, got[name], want)
			}
		}
		if got := of(args{"problems": true}); len(got) != 3 || got["Good"] != "" {
			t.Errorf("problems: %v", got)
		}
		b.do("pause", args{"duration": "12h"})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Late", Every: "1D", Next: now.Add(-3 * time.Hour), Runs: []duplicatitest.Run{{Ago: 27 * time.Hour}}})
		b.Clock.Add(0)
		got = of(nil)
		if got["Late"] != "overdue" && got["Late"] != "late waiting" {
			t.Errorf("what is due and does not run is %q", got["Late"])
		}
		a := b.do("list-backups", args{"detailed": true})
		has(t, a.Result, `"destination":{"scheme":"file"`, `"digest":"`, `"versions":1`)
		if a.View.Tone == tools.Good || len(a.View.Table.Rows) != 5 {
			t.Errorf("%+v", a.View)
		}
	})
}

func TestListBackupsSaysTheSameToPeopleAndPrograms(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Long", Runs: []duplicatitest.Run{{Ago: 5 * time.Hour, Outcome: duplicatitest.Outcome{Takes: 3 * time.Hour}}}})
		a := b.do("list-backups", args{"detailed": true})
		type list struct {
			Backups []struct {
				LastBackup time.Time `json:"last_backup"`
				Detail     struct {
					NewestVersion time.Time `json:"newest_version"`
				}
			}
		}
		long := read[list](t, a).Backups[0]
		if said := a.View.Table.Rows[0][3]; said != long.LastBackup.UTC().Format("2006-01-02 15:04 UTC") {
			t.Errorf("people are told %s, programs %s", said, long.LastBackup)
		}
		// A version is named by when its run began.
		if took := long.LastBackup.Sub(long.Detail.NewestVersion).Round(time.Minute); took != 3*time.Hour {
			t.Errorf("from the newest version to the end of its run it is %s", took)
		}
	})
}

func TestStatusCostsOneRequest(t *testing.T) {
	b := start(t, duplicatitest.Options{})
	b.do("status", nil)
	b.nas.ForgetRequests()
	b.do("status", nil)
	if n := len(b.nas.Requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestHealthNamesTheIllPart(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		a := b.do("health", nil)
		has(t, a.Result, `"healthy":true`, `"stage":"login"`, `"version":"`)
		if a.Exit != 0 {
			t.Errorf("exit %d", a.Exit)
		}
		remove := b.nas.Inject(duplicatitest.BadGateway())
		a = b.do("health", nil)
		has(t, a.Result, `"healthy":false`)
		if a.Exit != 1 || a.View.Tone != tools.Bad || strings.Contains(string(a.Result), `"ill":"login"`) {
			t.Errorf("exit %d: %s", a.Exit, a.Result)
		}
		remove()
		b.do("logout", nil)
		if _, err := b.agreed("change-password", args{"new_password": "photos-passphrase"}); err != nil {
			t.Fatal(err)
		}
		b.do("logout", nil)
		b.fleet.account("nas").spoil()
		a = b.do("health", nil)
		has(t, a.Result, `"ill":"login"`)
		if a.Exit != 1 {
			t.Errorf("exit %d: %s", a.Exit, a.Result)
		}
	})
}

func TestAScheduledRunIsNotLateWhileItRuns(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		id := b.nas.AddBackup(duplicatitest.Backup{
			Name: "Long", Every: "1D", Next: b.nas.Clock().Now().Add(time.Minute), Runs: []duplicatitest.Run{{Ago: 24 * time.Hour}},
			Outcomes: []duplicatitest.Outcome{{Takes: 5 * time.Hour}},
		})
		b.nas.Advance(2 * time.Hour)
		b.Clock.Add(2 * time.Hour)
		has(t, b.do("list-backups", nil).Result, `"id":"`+id+`"`, `"condition":"ok"`, `"activity":"running"`)
	})
}
