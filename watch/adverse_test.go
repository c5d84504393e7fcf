package watch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/watch"
)

// What goes wrong around the servers and the bot: nothing that happens to a
// backup is lost by it, told twice, or called over.

// longLogin is for tests in which hours pass: a login is work.
func longLogin(o *duplicatitest.Options) { o.AccessLife = 30 * 24 * time.Hour }

func (p *post) client() *duplicati.Client {
	c, _ := p.o.Clients.Client(context.Background(), "nas")
	return c
}

// ask makes a request that no operation of ours makes.
func (p *post) ask(method, path string) {
	p.t.Helper()
	token, err := p.keeper.Access(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequest(method, p.URL+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %v, %v", method, path, res, err)
	}
	res.Body.Close()
}

func TestTheBrokenLogOfOneBackupHidesNoOther(t *testing.T) {
	for name, answer := range map[string]duplicatitest.Fault{
		"a failure": {Status: 500, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"Error":"An error occurred","Code":500}`},
		"a refusal": {Status: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"Error":"database disk image is malformed","Code":400,"HelpId":"x"}`},
		"no JSON":   {Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: `[{"ID":`},
	} {
		t.Run(name, func(t *testing.T) {
			everyGeneration(t, func(t *testing.T, g string) {
				p := station(t, g, nil)
				broken := p.AddBackup(duplicatitest.Backup{Name: "Broken", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
				good := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
				answer.Prefix = "/api/v1/backup/" + broken + "/log"
				mend := p.Inject(answer)
				p.want("at first", "+nas/"+broken+"/unknown")
				if x := p.last(); !strings.Contains(fmt.Sprint(x.Facts), "its log cannot be read") {
					t.Errorf("%+v", x)
				}
				p.SetOutcome(good, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"})
				p.run(good)
				p.want("another one failed", "+nas/"+good+"/failed")
				p.Advance(11 * time.Minute)
				p.want("it is read again, and still broken", "")
				p.restartBot()
				p.want("after a restart", "+nas/"+broken+"/unknown +nas/"+good+"/failed")
				mend()
				p.Advance(11 * time.Minute)
				p.want("mended", "-nas/"+broken+"/unknown")
			})
		})
	}
}

func TestALogThatCanBeReadAgainIsNotTakenForTheRunItDoesNotHave(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
		p.SetOutcome(id, duplicatitest.Outcome{}, duplicatitest.Outcome{Hold: true, HoldStop: true})
		p.run(id)
		p.want("after a good run", "")
		mend := p.Inject(duplicatitest.Fault{Prefix: "/api/v1/backup/" + id + "/log", Status: 500, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"Error":"An error occurred","Code":500}`})
		p.Advance(10 * time.Minute)
		p.run(id)
		p.want("while the next one runs", "")
		p.Restart(duplicatitest.RestartOptions{})
		p.want("it was cut, and the log cannot be read", "+nas/"+id+"/unknown")
		mend()
		p.Advance(11 * time.Minute)
		p.look()
		if open := p.open(); open != "nas/"+id+"/unknown" {
			t.Errorf("the log has the run before: open is %q", open)
		}
	})
}

func TestALogThatIsInUseIsReadLater(t *testing.T) {
	p := station(t, "", nil)
	id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
	p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"})
	p.want("at first", "")
	p.run(id)
	p.Inject(duplicatitest.Fault{Prefix: "/api/v1/backup/" + id + "/log", Times: 2, Status: 400, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"Error":"in use","Code":400,"HelpId":"DatabaseLocked"}`})
	p.want("its log is in use", "")
	p.want("and still is", "")
	p.want("it is free", "+nas/"+id+"/failed")
}

func TestWhatIsUnknownStaysSoUntilALaterRun(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		for _, runsBefore := range [][]duplicatitest.Run{nil, {{Ago: time.Hour}}} {
			p := station(t, g, longLogin)
			id := p.AddBackup(duplicatitest.Backup{Name: "Photos", TargetURL: "file:///data/dst?auth-password=x", Runs: runsBefore})
			p.want("at first", map[bool]string{true: "", false: "+nas/" + id + "/warned"}[g == "2.1" || runsBefore == nil])
			open := p.open()
			p.SetOutcome(id, duplicatitest.Outcome{Hold: true, HoldStop: true})
			p.run(id)
			p.want("while it runs", "")
			p.Restart(duplicatitest.RestartOptions{})
			want := "+nas/" + id + "/unknown"
			if open != "" {
				want += " -" + open
			}
			p.want("the server was killed", want)
			// Each of these makes the watcher look at the log again, and none of
			// them is a run.
			for what, happen := range map[string]func(){
				"a verification":                 func() { p.ask("POST", "/api/v1/backup/"+id+"/verify"); p.Advance(time.Minute) },
				"a restart of the bot":           func() { p.restartBot() },
				"a restart of the server":        func() { p.Restart(duplicatitest.RestartOptions{}) },
				"a deleted database":             func() { p.ask("POST", "/api/v1/backup/"+id+"/deletedb") },
				"an hour":                        func() { p.Advance(time.Hour) },
				"a restart of both, and an hour": func() { p.Restart(duplicatitest.RestartOptions{Off: time.Hour}); p.restartBot() },
			} {
				happen()
				p.look()
				if !strings.Contains(p.open(), "nas/"+id+"/unknown") {
					t.Fatalf("%s ended it: %s is open, told %+v", what, p.open(), p.told)
				}
			}
			p.SetOutcome(id, duplicatitest.Outcome{})
			p.run(id)
			if got := p.look(); !strings.Contains(got, "-nas/"+id+"/unknown") {
				t.Errorf("after a run: told %q, open is %q", got, p.open())
			}
		}
	})
}

func TestAnEndThatWasNotPassedOnIsToldAfterARestart(t *testing.T) {
	p := station(t, "", nil)
	id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
	p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"}, duplicatitest.Outcome{})
	p.run(id)
	p.want("failed", "+nas/"+id+"/failed")
	p.run(id)
	p.want("well", "-nas/"+id+"/failed")
	end := p.last()
	p.restartBot()
	p.want("after a restart", "-nas/"+id+"/failed")
	if x := p.last(); !x.Ended.Equal(end.Ended) || x.End != end.End {
		t.Errorf("told %+v, before %+v", x, end)
	}
	p.want("and no more", "")
	p.Inject(duplicatitest.Fault{Reset: true, Times: 100})
	p.restartBot()
	p.want("while the server is away", "-nas/"+id+"/failed")
	p.Advance(8 * 24 * time.Hour)
	p.restartBot()
	p.want("a week later", "")

	p = station(t, "", nil)
	id = p.AddBackup(duplicatitest.Backup{Name: "Photos"})
	p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"}, duplicatitest.Outcome{}, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"})
	for range 3 {
		p.run(id)
		p.look()
	}
	p.restartBot()
	p.want("it came back meanwhile", "+nas/"+id+"/failed")
}

// A problem of which nothing is left at the server is let go, and not called
// well.
func TestAnEndOfWhichNothingIsKnownIsNotAGoodOne(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos"}) // and never ran
		key := "nas/" + id + "/failed"
		text, err := json.Marshal(map[string]any{"problems": map[string]watch.Problem{key: {
			Key: key, Kind: watch.Failed, Severity: "error", Server: "nas", Backup: id, Name: "Photos", Headline: "Photos on nas failed", Since: morning,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.o.Notes.Write(t.Context(), "watch/nas", string(text)); err != nil {
			t.Fatal(err)
		}
		p.want("after a restart", "-"+key)
		if x := p.last(); !x.Lost {
			t.Errorf("told as a good end: %+v", x)
		}
		p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"}, duplicatitest.Outcome{})
		p.run(id)
		p.want("failed", "+"+key)
		p.run(id)
		p.want("well", "-"+key)
		if x := p.last(); x.Lost {
			t.Errorf("a good end is told as one of which nothing is known: %+v", x)
		}
	})
}

// A new process counts from the beginning, and can have counted further than
// the old one by the next look.
func TestARestartThatNoNumberShowsAtFirstSightIsSeen(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		first, other := p.AddBackup(duplicatitest.Backup{Name: "Photos"}), p.AddBackup(duplicatitest.Backup{Name: "Music"})
		p.SetOutcome(first, duplicatitest.Outcome{})
		for range 3 {
			p.run(first)
			p.look()
		}
		p.SetOutcome(first, duplicatitest.Outcome{Hold: true, HoldStop: true})
		p.run(first)
		p.want("while it runs", "")
		p.Restart(duplicatitest.RestartOptions{})
		for range 60 {
			if err := p.client().Pause(context.Background(), duplicati.PauseOptions{For: time.Hour}); err != nil {
				t.Fatal(err)
			}
			if err := p.client().Resume(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if g != "2.1" { // there, pauses are no data, whose number tells; elsewhere the task's does
			p.SetOutcome(other, duplicatitest.Outcome{Hold: true, HoldStop: true})
			p.run(other)
		}
		p.want("after it", "+nas/"+first+"/unknown")
		if x := p.last(); !strings.Contains(fmt.Sprint(x.Facts), "the server was restarted while it ran") {
			t.Errorf("%+v", x.Facts)
		}
	})
}

// A server that has just been started has not yet begun what it missed.
func TestAServerThatHasJustBeenStartedIsNotCalledLate(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos", Every: "1D", Next: morning.Add(time.Hour)})
		thaw := p.freeze()
		p.Advance(3 * time.Hour)
		p.want("both have just been started", "")
		p.Advance(time.Minute)
		p.want("a minute later", "")
		p.Advance(2 * time.Minute)
		p.want("it has had its time", "+nas/"+id+"/overdue")
		thaw()
		p.Advance(time.Minute)
		p.want("it begins", "-nas/"+id+"/overdue")
	})
}

// Nor has one that was at work until now.
func TestABackupThatRanOverItsNextTimeIsNotCalledLateAtOnce(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos", Every: "6h", Next: morning.Add(time.Hour), Outcomes: []duplicatitest.Outcome{
			{Takes: 8 * time.Hour}, {Hold: true, HoldStop: true},
		}})
		p.want("at first", "")
		p.Advance(9*time.Hour + time.Minute) // the next run is at work, but this is before the scheduler began it
		began := p.Inject(duplicatitest.Fault{Method: "GET", Prefix: "/api/v1/serverstate", Replace: func(status int, _ http.Header, body []byte) (int, []byte) {
			return status, regexp.MustCompile(`"ActiveTask":\{[^}]*\}`).ReplaceAll(body, []byte(`"ActiveTask":null`))
		}})
		p.want("it has just ended", "")
		p.Advance(40 * time.Minute)
		p.want("it has had its time", "+nas/"+id+"/overdue")
		began()
		p.want("it begins", "-nas/"+id+"/overdue")
	})
}

func TestAWrongClockMakesNobodyLate(t *testing.T) {
	for _, off := range []time.Duration{26 * time.Hour, 90 * time.Minute, -90 * time.Minute, -26 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			everyGeneration(t, func(t *testing.T, g string) {
				p := station(t, g, longLogin)
				p.o.Now = func() time.Time { return p.clock.Now().Add(off) } // the bot's
				p.restartBot()
				id := p.AddBackup(duplicatitest.Backup{Name: "Photos", Every: "1D", Next: morning.Add(2 * time.Hour), Runs: []duplicatitest.Run{{Ago: 22 * time.Hour}}})
				for range 50 {
					p.want("at "+p.clock.Now().String(), "")
					p.Advance(time.Hour)
				}
				p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"})
				p.run(id)
				p.want("a failure", "+nas/"+id+"/failed")
				p.SetOutcome(id, duplicatitest.Outcome{Hold: true, HoldStop: true})
				p.run(id)
				p.want("a run", "")
				p.Restart(duplicatitest.RestartOptions{})
				p.want("it was cut", "+nas/"+id+"/unknown -nas/"+id+"/failed")
				p.SetOutcome(id, duplicatitest.Outcome{})
				p.run(id)
				p.want("a success", "-nas/"+id+"/unknown")
				p.freeze()
				p.Advance(26 * time.Hour)
				if got := p.look(); got != "+nas/"+id+"/overdue" {
					t.Errorf("late: told %q", got)
				}
			})
		})
	}
}

func TestAServerWhoseClockJumpsIsJudgedByIt(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		ours := morning
		p.o.Now = func() time.Time { return ours }
		p.restartBot()
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos", Every: "1D", Next: morning.Add(2 * time.Hour), Runs: []duplicatitest.Run{{Ago: 22 * time.Hour}}})
		p.want("at first", "")
		p.freeze()
		p.Advance(3 * time.Hour)
		ours = ours.Add(3 * time.Minute)
		p.want("by its clock it is late", "+nas/"+id+"/overdue")
	})
}

// A proxy in front can put its own date into every answer.
func TestAProxyWithAWrongClockMakesNobodyLateOrEarly(t *testing.T) {
	for _, off := range []time.Duration{-50 * 365 * 24 * time.Hour, 3 * time.Hour} {
		everyGeneration(t, func(t *testing.T, g string) {
			p := station(t, g, nil)
			id := p.AddBackup(duplicatitest.Backup{Name: "Photos", Every: "1D", Next: morning.Add(2 * time.Hour), Runs: []duplicatitest.Run{{Ago: 22 * time.Hour}}})
			stands := false // as if its scheduler started nothing
			for _, path := range []string{"/api/v1/serverstate", "/api/v1/backups"} {
				var said []byte
				p.Inject(duplicatitest.Fault{Method: "GET", Prefix: path, Replace: func(status int, header http.Header, body []byte) (int, []byte) {
					header.Set("Date", p.clock.Now().Add(off).Format(http.TimeFormat))
					if status != http.StatusOK {
						return status, body
					}
					if said == nil || !stands {
						said = body
					}
					return status, said
				}})
			}
			for range 5 {
				p.want("at "+p.clock.Now().String(), "")
				p.Advance(20 * time.Minute)
			}
			stands = true
			p.want("at "+p.clock.Now().String(), "")
			p.Advance(time.Hour)
			p.want("late", "+nas/"+id+"/overdue")
		})
	}
}

// A server whose clock was ahead for a time has notes of the future.
func TestNotesOfTheFutureHideNothingOfToday(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos", Every: "1D", Next: morning.Add(time.Hour)})
		p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"})
		p.want("at first", "")
		p.Advance(365 * 24 * time.Hour) // its clock jumps, and it works by that
		if got := p.look(); !strings.Contains(got, "+nas/"+id+"/failed") {
			t.Fatalf("a year ahead: told %q", got)
		}
		thaw := p.freeze()
		p.Advance(-365 * 24 * time.Hour)
		p.Advance(2 * time.Hour)
		p.want("back again, it does not begin what is planned in a year", "+nas/"+id+"/overdue")
		thaw()
		p.Advance(time.Minute)
		p.look()
		if open := p.open(); open != "nas/"+id+"/failed" {
			t.Errorf("it began anew, and failed: open is %q", open)
		}
		p.SetOutcome(id, duplicatitest.Outcome{})
		p.run(id)
		if got := p.look(); !strings.Contains(got, "-nas/"+id+"/failed") {
			t.Errorf("after a success: told %q, open is %q", got, p.open())
		}
		p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"})
		p.run(id)
		if got := p.look(); !strings.Contains(got, "+nas/"+id+"/failed") {
			t.Errorf("after a failure: told %q, open is %q", got, p.open())
		}
	})
}

func TestAnotherTimeZoneIsNoticed(t *testing.T) {
	p := station(t, "", nil)
	zone := "Europe/Berlin"
	p.Inject(duplicatitest.Fault{Method: "GET", Prefix: "/api/v1/systeminfo", Replace: func(status int, h http.Header, body []byte) (int, []byte) {
		return inZone(zone)(status, h, body)
	}})
	p.Advance(time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC).Sub(morning))
	next := time.Date(2026, 10, 24, 0, 30, 0, 0, time.UTC)
	id := p.AddBackup(duplicatitest.Backup{Name: "Photos", Every: "1D", Next: next})
	p.freeze()
	p.want("at first", "")
	zone = "UTC"
	p.Advance(2 * time.Hour)
	p.want("it is late", "+nas/"+id+"/overdue")
	p.Advance(time.Date(2026, 10, 25, 2, 0, 0, 0, time.UTC).Sub(p.clock.Now()))
	p.look()
	if x := p.last(); !x.Since.Equal(next) || !strings.Contains(x.Headline, "2026-10-25 00:30 UTC") {
		// By Berlin's calendar it would be 01:30 UTC, and not due yet.
		t.Errorf("%s since %s", x.Headline, x.Since)
	}
}

func TestARunThatNeverEndsIsToldAlthoughItMoves(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, longLogin)
		p.SetOutcome("", duplicatitest.Outcome{Hold: true})
		moved := 0
		p.Inject(duplicatitest.Fault{Method: "GET", Prefix: "/api/v1/progressstate", Replace: func(status int, _ http.Header, body []byte) (int, []byte) {
			moved++
			return status, regexp.MustCompile(`"ProcessedFileSize":\d+`).ReplaceAll(body, fmt.Appendf(nil, `"ProcessedFileSize":%d`, moved))
		}})
		id := p.AddBackup(duplicatitest.Backup{Name: "Big", Every: "1D", Next: morning.Add(time.Hour)})
		once := p.AddBackup(duplicatitest.Backup{Name: "By hand"})
		p.want("at first", "")
		p.Advance(2 * time.Hour)
		p.want("it runs", "")
		for range 23 {
			p.Advance(time.Hour)
			if got := p.look(); got != "" {
				t.Fatalf("on the first day: told %q", got)
			}
		}
		p.Advance(2 * time.Hour)
		p.want("past its next time", "+nas/"+id+"/long")
		begun := morning.Add(time.Hour)
		if g == "2.1" {
			begun = begun.Add(time.Hour) // it does not say; this is when it was seen
		}
		if x := p.last(); x.Severity != "warning" || !x.Since.Equal(begun) {
			t.Errorf("%+v", x)
		}
		p.want("once", "")
		p.restartBot()
		p.want("after a restart of the bot", "+nas/"+id+"/long")
		p.Advance(30 * time.Hour)
		p.want("a day later", "")
		p.SetOutcome(id, duplicatitest.Outcome{})
		p.run(once)
		p.Finish()
		p.Advance(time.Minute)
		if got := p.look(); !strings.Contains(got, "-nas/"+id+"/long") {
			t.Errorf("at its end: told %q", got)
		}
		for range 60 {
			p.Advance(30 * time.Minute)
			if got := p.look(); got != "" {
				t.Fatalf("one without a schedule has no next time: told %q", got)
			}
		}
		if s, err := p.client().State(context.Background()); err != nil || !s.Runs(once) {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

func TestFiveHundredBackupsAreWatchedWithFewRequests(t *testing.T) {
	p := station(t, "", nil)
	const many = 500
	for i := range many {
		b := duplicatitest.Backup{Name: fmt.Sprintf("Backup %d", i), Runs: []duplicatitest.Run{{Ago: time.Hour}}}
		if i%2 == 0 {
			b.Every, b.Next = "1D", morning.Add(time.Duration(i)*time.Minute+12*time.Hour)
		}
		p.AddBackup(b)
	}
	began := time.Now()
	p.want("at first", "")
	t.Logf("the first look took %s", time.Since(began))
	p.ForgetRequests()
	p.restartBot()
	began = time.Now()
	p.want("after a restart", "")
	if n := p.Count("", "/"); n > 4 {
		t.Errorf("a look after a restart took %d requests", n)
	}
	t.Logf("the look after a restart took %s", time.Since(began))
	p.SetOutcome("77", duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"})
	p.run("77")
	p.run("78")
	p.ForgetRequests()
	p.want("one failed, one did not", "+nas/77/failed")
	if n := p.Count("", "/"); n > 6 {
		t.Errorf("it took %d requests: %v", n, p.Requests())
	}
	p.ForgetRequests()
	p.want("nothing new", "")
	if n := p.Count("", "/"); n != 1 {
		t.Errorf("a quiet look took %d requests", n)
	}
	// The scheduler stops, and all that have a schedule are late.
	thaw := p.freeze()
	p.Advance(40 * time.Hour)
	told := strings.Fields(p.look())
	if len(told) != many/2+1 {
		t.Errorf("%d problems were told, want %d late ones and the scheduler", len(told), many/2)
	}
	p.want("once each", "")
	thaw()
	p.Advance(time.Hour)
	for range 3 {
		p.look()
		p.Advance(time.Minute)
	}
	if open := p.open(); open != "nas/77/failed" && open != "" {
		t.Errorf("afterwards %s is open", open)
	}
}
