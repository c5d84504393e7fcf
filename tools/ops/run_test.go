package ops_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// task is the part of an answer that these tests look at.
type task struct {
	Task    int64  `json:"task"`
	State   string `json:"state"`
	Outcome string `json:"outcome"`
	Why     string `json:"why"`
	Message string `json:"server_message"`
	Started *bool  `json:"started"`
}

func read[T any](t *testing.T, a tools.Answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(a.Result, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRunWithWaitTellsHowThatRunWent(t *testing.T) {
	type ends struct {
		how     duplicatitest.Outcome
		outcome string
		exit    int
		older   string // on 2.1, where it differs
	}
	for name, e := range map[string]ends{
		"it succeeds":                   {duplicatitest.Outcome{}, "succeeded", 0, ""},
		"it warns":                      {duplicatitest.Outcome{Result: duplicatitest.Warns}, "warning", 2, ""},
		"it has errors":                 {duplicatitest.Outcome{Result: duplicatitest.Errs}, "error", 3, ""},
		"it fails":                      {duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "disk on fire"}, "fatal", 4, ""},
		"it is stopped":                 {duplicatitest.Outcome{Partial: true}, "stopped", 2, ""},
		"the destination lost files":    {duplicatitest.Outcome{Result: duplicatitest.LosesDestination}, "fatal", 4, ""},
		"it leaves no row":              {duplicatitest.Outcome{Result: duplicatitest.Vanishes}, "unknown", 2, ""},
		"it is over at the first look":  {duplicatitest.Outcome{Takes: -1}, "succeeded", 0, ""},
		"it warns and is over at once":  {duplicatitest.Outcome{Result: duplicatitest.Warns, Takes: -1}, "warning", 2, ""},
		"it is over before, and vanish": {duplicatitest.Outcome{Result: duplicatitest.Vanishes, Takes: -1}, "unknown", 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, func(t *testing.T, g string) {
				b := start(t, duplicatitest.Options{Generation: g})
				// A success before, which must not be taken for this run.
				id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Minute}}})
				b.nas.SetOutcome(id, e.how)
				a := b.do("run", args{"backup": "photos", "wait": true})
				got := read[task](t, a)
				if got.Outcome != e.outcome || a.Exit != e.exit || got.State != "over" {
					t.Errorf("%+v, exit %d; want %s, exit %d", got, a.Exit, e.outcome, e.exit)
				}
				if (a.View.Tone == tools.Good) != (e.outcome == "succeeded") {
					t.Errorf("the view is %s: %s", a.View.Tone, a.View.Headline)
				}
			})
		})
	}
}

func TestASourceFolderThatIsGoneIsNoSuccess(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Minute}}})
		b.nas.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.LosesSource})
		a := b.do("run", args{"backup": "Photos", "wait": true})
		if got := read[task](t, a); got.Outcome == "succeeded" || a.Exit == 0 || a.View.Tone == tools.Good {
			t.Errorf("%+v, exit %d, %s", got, a.Exit, a.View.Headline)
		}
	})
}

func TestRunWithoutWaitAnswersAtOnceWithATask(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
		b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
		a := b.do("run", args{"backup": "Photos"})
		got := read[task](t, a)
		if got.Task == 0 || got.Started == nil || !*got.Started || got.Outcome != "" || a.Exit != 0 {
			t.Fatalf("%+v, exit %d", got, a.Exit)
		}
		var next []string
		for _, n := range a.View.Next {
			next = append(next, n.Operation)
		}
		if s := strings.Join(next, " "); !strings.Contains(s, "wait") || !strings.Contains(s, "progress") || !strings.Contains(s, "stop") {
			t.Errorf("what comes next: %s", s)
		}
		if a.View.Follow == nil || a.View.Follow.Operation != "progress" {
			t.Errorf("follow %+v", a.View.Follow)
		}

		again := b.do("run", args{"backup": "Photos"})
		if r := read[task](t, again); *r.Started || r.Task != got.Task {
			t.Errorf("a second run: %+v", r)
		}

		waited := b.do("wait", args{"backup": "Photos", "task": got.Task, "seconds": 1})
		if r := read[task](t, waited); r.State != "running" || waited.Exit != 2 {
			t.Errorf("a wait that is over first: %+v, exit %d", r, waited.Exit)
		}
		if notes := strings.Join(waited.View.Notes, " "); !strings.Contains(notes, "the time to wait is over, and the backup goes on") {
			t.Errorf("a wait that is over first says %q", notes)
		}
		// What a button or a model would call next works as it stands.
		b.do(a.View.Follow.Operation, a.View.Follow.Args)
		b.nas.Finish()
		waited = b.do("wait", args{"backup": "Photos", "task": got.Task})
		r := read[task](t, waited)
		// 2.1 tells no times, and nobody looked before the end.
		want := map[bool]string{true: "unknown", false: "succeeded"}[g == "2.1"]
		if r.State != "over" || r.Outcome != want || strings.Contains(strings.Join(waited.View.Notes, " "), "the time to wait is over") {
			t.Errorf("after the end: %+v, %q", r, waited.View.Notes)
		}
	})
}

func TestAWaitThatSeesTheEndKnowsItOnEveryServer(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
		b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
		b.do("run", args{"backup": "Photos"})
		var seen []tools.Progress
		done := make(chan tools.Answer)
		go func() {
			a, err := b.Runner.Run(context.Background(), tools.Call{Operation: "wait", Args: args{"backup": "Photos"}, Caller: toolstest.AnnsAssistant,
				Progress: func(p tools.Progress) {
					seen = append(seen, p)
					if len(seen) == 2 {
						b.nas.Finish()
					}
				}})
			if err != nil {
				t.Error(err)
			}
			done <- a
		}()
		a := <-done
		if r := read[task](t, a); r.Outcome != "succeeded" || a.Exit != 0 {
			t.Errorf("%+v, exit %d", r, a.Exit)
		}
		if len(seen) < 2 || !strings.Contains(seen[0].Text, "Photos") || seen[0].Follow == nil || len(seen[0].Next) == 0 {
			t.Errorf("progress %+v", seen)
		}
	})
}

func TestRunSurvivesATokenThatExpires(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g, AccessLife: time.Minute})
		id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
		b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
		done := make(chan tools.Answer)
		go func() { done <- b.do("run", args{"backup": "Photos", "wait": true}) }()
		eventually(t, func() bool { return b.nas.Count("GET", "/api/v1/progressstate") > 1 })
		b.nas.Advance(20 * time.Minute)
		calls := b.nas.Count("GET", "/api/v1/task/")
		eventually(t, func() bool { return b.nas.Count("GET", "/api/v1/task/") > calls+3 })
		b.nas.Finish()
		if a := <-done; read[task](t, a).Outcome != "succeeded" {
			t.Errorf("%s", a.Result)
		}
		if n := b.fleet.account("nas").logins; n < 2 {
			t.Errorf("%d logins: the token did not expire", n)
		}
	})
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for range 500 {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("it did not come about within five seconds")
}

func TestARestartOfTheServerIsNoSuccess(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		other := b.nas.AddBackup(duplicatitest.Backup{Name: "Mail"})
		b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
		done := make(chan tools.Answer)
		go func() { done <- b.do("run", args{"backup": "Photos", "wait": true}) }()
		eventually(t, func() bool { return b.nas.Count("GET", "/api/v1/progressstate") > 1 })
		b.nas.Restart(duplicatitest.RestartOptions{})
		// The number is given to another task at once.
		b.nas.SetOutcome(other, duplicatitest.Outcome{Hold: true})
		if _, err := b.Run(toolstest.BobAtTerminal, "run", args{"backup": other}); err != nil {
			t.Error(err)
		}
		select {
		case a := <-done:
			if r := read[task](t, a); r.Outcome != "unknown" || r.State != "lost" || a.Exit != 2 || !strings.Contains(r.Why, "restarted") {
				t.Errorf("%+v, exit %d", r, a.Exit)
			}
		case <-time.After(5 * time.Second):
			t.Error("it still waits for a task that is another's now")
		}
		b.nas.Finish()
	})
}

func TestAServerOutOfReachIsGivenTime(t *testing.T) {
	b := start(t, duplicatitest.Options{})
	id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
	done := make(chan tools.Answer)
	go func() { done <- b.do("run", args{"backup": "Photos", "wait": true}) }()
	eventually(t, func() bool { return b.nas.Count("GET", "/api/v1/progressstate") > 1 })
	remove := b.nas.Inject(duplicatitest.BadGateway())
	time.Sleep(200 * time.Millisecond)
	remove()
	remove = b.nas.Inject(duplicatitest.Fault{Reset: true})
	time.Sleep(200 * time.Millisecond)
	remove()
	b.nas.Finish()
	if a := <-done; read[task](t, a).Outcome != "succeeded" {
		t.Errorf("%s", a.Result)
	}

	b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
	failed := make(chan error)
	go func() {
		_, err := b.Run(toolstest.AnnAtTerminal, "run", args{"backup": "Photos", "wait": true})
		failed <- err
	}()
	calls := b.nas.Count("GET", "/api/v1/progressstate")
	eventually(t, func() bool { return b.nas.Count("GET", "/api/v1/progressstate") > calls })
	b.nas.Inject(duplicatitest.BadGateway())
	wantError(t, nil, <-failed, tools.UnknownOutcome, "has not answered", "may go on", "result")
}

func TestWhoStopsWaitingStopsNoBackup(t *testing.T) {
	b := start(t, duplicatitest.Options{})
	id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
	for _, operation := range []string{"run", "wait"} {
		ctx, cancel := context.WithCancel(context.Background())
		failed := make(chan error)
		a := args{"backup": "Photos"}
		if operation == "run" {
			a["wait"] = true
		}
		calls := b.nas.Count("GET", "/api/v1/progressstate")
		go func() {
			_, err := b.Runner.Run(ctx, tools.Call{Operation: operation, Args: a, Caller: toolstest.AnnsAssistant})
			failed <- err
		}()
		eventually(t, func() bool { return b.nas.Count("GET", "/api/v1/progressstate") > calls })
		cancel()
		wantError(t, nil, <-failed, tools.Canceled, "the waiting was stopped", "goes on as task", "stop")
	}
	a := b.do("run", args{"backup": "Photos", "wait": true, "timeout": "1s"})
	if r := read[task](t, a); r.State != "running" || *r.Started || a.Exit != 2 {
		t.Errorf("after the timeout: %+v, exit %d", r, a.Exit)
	}
	if n := b.nas.Count("POST", "/api/v1/task/"); n != 0 {
		t.Errorf("%d calls to stop it", n)
	}
}

func TestAPausedServerIsSaidToBeTheReason(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
		b.do("pause", args{"duration": "1h"})
		a := b.do("run", args{"backup": "Photos"})
		if !strings.Contains(a.View.Headline, "paused until") || a.View.Tone != tools.Notice {
			t.Errorf("%s: %s", a.View.Tone, a.View.Headline)
		}
		b.do("resume", nil)
	})
}

func TestALostAnswerToRunIsNotCalledAFailure(t *testing.T) {
	b := start(t, duplicatitest.Options{})
	b.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	b.nas.Inject(duplicatitest.Fault{Method: "POST", Prefix: "/api/v1/backup/", Times: 1, LoseReply: true})
	b.refused("run", args{"backup": "Photos"}, tools.UnknownOutcome, "may have begun", "progress")
	if n := b.nas.Count("POST", "/api/v1/backup/"); n != 1 {
		t.Errorf("it was sent %d times", n)
	}
	b.nas.Inject(duplicatitest.Fault{Method: "POST", Prefix: "/api/v1/backup/", Times: 1, Reset: true})
	_, err := b.Run(toolstest.AnnAtTerminal, "run", args{"backup": "Photos"})
	if code := tools.CodeOf(err); code != tools.UnknownOutcome && code != tools.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestAListingAfterTheRunIsNotTakenForIt(t *testing.T) {
	for _, g := range []string{"2.2", "2.3.0", "2.3.1"} {
		t.Run(g, func(t *testing.T) {
			b := start(t, duplicatitest.Options{Generation: g})
			id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Minute, Outcome: duplicatitest.Outcome{Result: duplicatitest.Warns}}}})
			c, err := b.fleet.Client(context.Background(), "nas")
			if err != nil {
				t.Fatal(err)
			}
			b.do("pause", args{"duration": "1h"})
			if _, err := c.Versions(context.Background(), id, true); err != nil {
				t.Fatal(err)
			}
			b.do("resume", nil)
			a := b.do("result", args{"backup": "Photos"})
			has(t, a.Result, `"outcome":"warning"`)
			b.nas.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Errs})
			if got := read[task](t, b.do("run", args{"backup": "Photos", "wait": true})); got.Outcome != "error" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestABackupIsFoundByIDOrExactName(t *testing.T) {
	b := start(t, duplicatitest.Options{TaskTime: -1})
	first := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	second := b.nas.AddBackup(duplicatitest.Backup{Name: first})
	b.nas.AddBackup(duplicatitest.Backup{Name: "Photos 2021"})
	b.nas.AddBackup(duplicatitest.Backup{Name: "MAIL"})
	b.nas.AddBackup(duplicatitest.Backup{Name: "mail"})
	b.do("run", args{"backup": "photos"})
	b.do("run", args{"backup": "mail"}) // exactly so
	b.do("run", args{"backup": "id:" + second})
	b.refused("run", args{"backup": first}, tools.Ambiguous, "more than one", "id:"+first, "id:"+second)
	b.refused("run", args{"backup": "Mail"}, tools.Ambiguous, `"MAIL"`, `"mail"`)
	b.refused("run", args{"backup": "Fotos"}, tools.NotFound, "nothing was done", `did you mean "Photos"`)
	b.refused("run", args{"backup": "Photo"}, tools.NotFound, "nothing was done")
	b.refused("run", args{"backup": "zzzzzzzz"}, tools.NotFound, "there are")
	if n := b.nas.Count("POST", "/api/v1/backup/"); n != 3 {
		t.Errorf("%d runs", n)
	}
}
