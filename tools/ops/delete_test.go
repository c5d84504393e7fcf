package ops_test

import (
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// plan is what a person would be shown of a request.
func (b *bench) plan(operation string, a args) tools.Plan {
	b.t.Helper()
	request, err := b.Desk.Request(b.t.Context(), b.asked(operation, a).Approval.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return request.Plan
}

func facts(p tools.Plan) map[string]string {
	m := map[string]string{}
	for _, f := range p.Facts {
		if !f.Hidden {
			m[f.Name] = f.Value
		}
	}
	return m
}

// gone reports whether the server no longer has the backup.
func (b *bench) gone(id string) bool {
	return !strings.Contains(string(b.do("list-backups", nil).Result), `"id":"`+id+`"`)
}

func TestADeletePlanShowsWhatIsAtStake(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", TargetURL: "s3://bucket/photos?auth-username=canary-user&auth-password=canary-word",
			Every: "1D", Next: time.Now().Add(time.Hour), Runs: []duplicatitest.Run{{Ago: 3 * time.Hour}, {Ago: 2 * time.Hour}}})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Copy", TargetURL: "s3://bucket/photos?auth-username=other"})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Mail", TargetURL: "s3://bucket/mail"})
		p := b.plan("delete", args{"backup": "photos", "delete_remote_files": true, "delete_local_db": true})
		if want := (tools.Target{Server: "nas", Kind: "backup", ID: id, Name: "Photos"}); p.Target != want {
			t.Errorf("target %+v", p.Target)
		}
		got := facts(p)
		for name, want := range map[string]string{"versions": "1", "destination": "s3://bucket", "activity": "neither running nor waiting",
			"others at this destination": `"Copy"`, "schedule": "every 1D", "database": ".sqlite", "last success": "UTC", "source": "KiB", "at the destination": "iB"} {
			if !strings.Contains(got[name], want) {
				t.Errorf("%s is %q, want %q in it", name, got[name], want)
			}
		}
		for _, f := range p.Facts {
			if binding := strings.Contains("address destination destination digest database activity others at this destination", f.Name); f.Binding != binding {
				t.Errorf("%s binds: %t", f.Name, f.Binding)
			}
			if strings.Contains(f.Value, "canary") || strings.Contains(f.Value, "photos?") {
				t.Errorf("%s shows %s", f.Name, f.Value)
			}
		}
		effects := strings.Join(p.Effects, "\n")
		for _, want := range []string{"is gone from nas for good", "nobody can bring them back", "other backups keep their files in the same place", "local database is deleted"} {
			if !strings.Contains(effects, want) {
				t.Errorf("%q is not among the effects:\n%s", want, effects)
			}
		}
		if p.Phrase != "Photos" {
			t.Errorf("the phrase is %q", p.Phrase)
		}
		b.nas.ForgetRequests()
		b.plan("delete", args{"backup": "Mail"})
		for _, r := range b.nas.Requests() {
			if r.Method != "GET" || strings.Contains(r.Path, "fileset") {
				t.Errorf("a plan sent %s %s", r.Method, r.Path)
			}
		}
	})
}

func TestADeleteDoesWhatWasAskedAndSeesItDone(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		plain := b.nas.AddBackup(duplicatitest.Backup{Name: "Plain", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		all := b.nas.AddBackup(duplicatitest.Backup{Name: "All", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		a, err := b.agreed("delete", args{"backup": "Plain"})
		if err != nil || a.State != tools.StateDone || a.Exit != 0 || !b.gone(plain) {
			t.Fatalf("%s exit %d %v", a.State, a.Exit, err)
		}
		has(t, a.Result, `"state":"deleted"`, `"remote_files_deleted":false`, `"local_db_deleted":false`)
		a, err = b.agreed("delete", args{"backup": "id:" + all, "delete_remote_files": true, "delete_local_db": true})
		if err != nil || !b.gone(all) {
			t.Fatalf("%s %v", a.State, err)
		}
		has(t, a.Result, `"remote_files_deleted":true`, `"local_db_deleted":true`)
		queries := ""
		for _, r := range b.nas.Requests() {
			if r.Method == "DELETE" {
				queries += r.Path + "\n"
			}
		}
		if !strings.Contains(queries, "delete-remote-files=false") || !strings.Contains(queries, "delete-remote-files=true") || strings.Contains(queries, "force") {
			t.Errorf("sent:\n%s", queries)
		}
	})
}

func TestABackupAtWorkIsNotDeletedWithoutForce(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		mail := b.nas.AddBackup(duplicatitest.Backup{Name: "Mail", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})

		// It begins between the card and the click.
		request := b.asked("delete", args{"backup": "Photos"}).Approval.ID
		b.running("Photos")
		a, err := b.Decide(toolstest.BobAtTerminal, request, true)
		wantError(t, a, err, tools.Busy, "running", "nothing was done")
		b.refused("delete", args{"backup": "Photos"}, tools.Busy, "is running on nas", "force")
		b.do("run", args{"backup": "Mail"})
		b.refused("delete", args{"backup": "Mail"}, tools.Busy, "is waiting on nas")
		if n := b.nas.Count("DELETE", "/api"); n != 0 {
			t.Fatalf("%d deletions were sent", n)
		}

		p := b.plan("delete", args{"backup": "Photos", "force": true})
		stops := "the run that is under way is stopped"
		if g == "2.1" {
			stops = "stops nothing for it"
		}
		if effects := strings.Join(p.Effects, "\n"); facts(p)["activity"] != "running" || !strings.Contains(effects, stops) {
			t.Errorf("%v\n%s", facts(p), effects)
		}
		if g == "2.1" {
			b.nas.SetOutcome(mail, duplicatitest.Outcome{Takes: -1})
			time.AfterFunc(300*time.Millisecond, func() { b.nas.Finish() })
		}
		a, err = b.agreed("delete", args{"backup": "Photos", "force": true})
		if err != nil || a.State != tools.StateDone || !b.gone(id) {
			t.Errorf("%s %v", a.State, err)
		}
		has(t, a.Result, `"state":"deleted"`)
	})
}

func TestARunThatNobodyCanStopIsSaidToBeTheReason(t *testing.T) {
	for _, g := range []string{"2.2", "2.3.0", "2.3.1"} {
		t.Run(g, func(t *testing.T) {
			t.Parallel()
			clock := duplicatitest.NewStandingClock(time.Now())
			b := start(t, duplicatitest.Options{Generation: g, Clock: clock})
			id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
			b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
			b.running("Photos")
			b.nas.Hang()
			request := b.asked("delete", args{"backup": "Photos", "force": true}).Approval.ID
			go func() { // the server gives itself ten seconds
				for range 40 {
					time.Sleep(50 * time.Millisecond)
					b.nas.Advance(time.Second)
				}
			}()
			a, err := b.Decide(toolstest.BobAtTerminal, request, true)
			wantError(t, a, err, tools.Busy, "could not within ten seconds", "nothing was deleted", "restarted")
		})
	}
}

func TestADeleteThatFailsOrWaitsIsNotCalledDone(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		target := "file:///data/dst/Lost"
		lost := b.nas.AddBackup(duplicatitest.Backup{Name: "Lost", TargetURL: target, Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		paused := b.nas.AddBackup(duplicatitest.Backup{Name: "Paused", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		b.nas.Disk().LoseDestination(target)
		a, err := b.agreed("delete", args{"backup": "Lost", "delete_remote_files": true})
		if b.gone(lost) {
			if err != nil || a.State != tools.StateDone {
				t.Errorf("it is gone: %s %v", a.State, err)
			}
		} else {
			wantError(t, a, err, tools.OperationFailed, "still there", "some of its remote files may be gone")
		}

		b.do("pause", args{"duration": "1h"})
		if p := b.plan("delete", args{"backup": "Paused"}); !strings.Contains(strings.Join(p.Effects, "\n"), "the deletion waits until then") {
			t.Errorf("%v", p.Effects)
		}
		a, err = b.agreed("delete", args{"backup": "Paused"})
		if err != nil || a.Exit != 2 || !strings.Contains(a.View.Headline, "not deleted yet") || a.View.Tone != tools.Warning {
			t.Errorf("exit %d %+v %v", a.Exit, a.View, err)
		}
		has(t, a.Result, `"state":"queued"`)
		b.do("resume", nil)
		eventually(t, func() bool { return b.gone(paused) })
	})
}

// Duplicati tells whose files it deletes by the local database. Without one,
// in a folder that others use too, it would take theirs.
func TestADeleteThatCouldTakeTheFilesOfOthersIsRefused(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		one := b.nas.AddBackup(duplicatitest.Backup{Name: "One", TargetURL: "file:///data/shared"})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Two", TargetURL: "file:///data/shared", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		a, err := b.Run(b.ann, "delete", args{"backup": "One", "delete_remote_files": true})
		if g == "2.1" { // does not say whether there is a database
			if err != nil || a.Status != tools.Pending {
				t.Fatalf("%+v %v", a, err)
			}
			return
		}
		wantError(t, a, err, tools.Conflict, "no local database", `"Two"`, "nothing was done")
		if b.gone(one) {
			t.Error("it is gone")
		}
	})
}

func TestARenamedBackupOrAChangedTargetIsNotDeleted(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", TargetURL: "s3://bucket/a?auth-password=canary-one", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		rewrite := func(old, replaced string) func() {
			return b.nas.Inject(duplicatitest.Fault{Method: "GET", Prefix: "/api/v1/backups", Replace: replaceText(old, replaced)})
		}
		for old, change := range map[string][2]string{
			`"Name":"Photos"`: {`"Name":"Pictures"`, "was \"Photos\" and is \"Pictures\""},
			`s3://bucket/a`:   {`s3://other/a`, "destination"},
			`canary-one`:      {`canary-two`, "destination digest was \"as shown\" and is \"different\""},
		} {
			request := b.asked("delete", args{"backup": "1"}).Approval.ID
			remove := rewrite(old, change[0])
			a, err := b.Decide(toolstest.BobAtTerminal, request, true)
			remove()
			e := wantError(t, a, err, tools.Changed, change[1], "nothing was done")
			if a.State != tools.StateChanged || strings.Contains(e.Error(), "canary") {
				t.Errorf("%s: %s", a.State, e)
			}
		}
		if n := b.nas.Count("DELETE", "/api"); n != 0 {
			t.Errorf("%d deletions were sent", n)
		}
	})
}
