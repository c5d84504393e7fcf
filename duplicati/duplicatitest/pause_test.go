package duplicatitest_test

import (
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

func TestAPauseStopsTheRunningTaskToo(t *testing.T) {
	c := start(t, duplicatitest.Options{AccessLife: week})
	id := c.AddBackup(duplicatitest.Backup{})
	c.login()
	run := c.run(id)
	c.Advance(500 * time.Millisecond)
	c.do("POST", "/api/v1/serverstate/pause?duration=1h", "").want(t, 200, "")
	c.Advance(59 * time.Minute)
	if s := c.state(); s.ProgramState != "Paused" || s.ActiveTask == nil || c.task(run).Status != "Running" {
		t.Errorf("paused: %+v, %s", s, c.task(run).Status)
	}
	c.Advance(2 * time.Minute)
	if s := c.state(); s.ProgramState != "Running" || c.task(run).Status != "Completed" {
		t.Errorf("after the pause: %+v, %s", s, c.task(run).Status)
	}
}

func TestAPauseEndsAfterADayWhateverItSays(t *testing.T) {
	c := start(t, duplicatitest.Options{AccessLife: week})
	c.login()
	c.do("POST", "/api/v1/serverstate/pause?duration=3D", "").want(t, 200, "")
	if end := c.state().EstimatedPauseEnd; end != "2026-03-05T08:00:00Z" {
		t.Errorf("it says %s", end)
	}
	c.Advance(24*time.Hour + time.Second)
	if s := c.state(); s.ProgramState != "Running" {
		t.Errorf("after a day: %+v", s)
	}
}

func TestDurationsThatArePausesForEver(t *testing.T) {
	for text, want := range map[string]int{
		"": 200, "0": 200, "0s": 200, "%20": 200, "-5m": 200, "1D%20-2D": 200, "5d": 400, "1H": 400, "1.5h": 400, "5min": 400, "5m30": 400, "m": 400,
		"99999999999999999999": 400, "9999999999m": 400,
	} {
		c := start(t, duplicatitest.Options{})
		c.login()
		r := c.do("POST", "/api/v1/serverstate/pause?duration="+text, "")
		if r.Status != want {
			t.Errorf("%q: %d %s, want %d", text, r.Status, r.Body, want)
		}
		c.Advance(10 * time.Minute)
		if s := c.state(); want == 200 && (s.ProgramState != "Paused" || s.EstimatedPauseEnd != "0001-01-01T00:00:00Z") {
			t.Errorf("%q: %+v", text, s)
		}
	}
}

func TestALongPollReturnsWithTheNextEvent(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	c.login()
	at := c.state().LastEventID
	answer := make(chan *reply)
	go func() {
		answer <- c.do("GET", "/api/v1/serverstate?longpoll=true&duration=1m&lastEventId="+itoa(at), "")
	}()
	select {
	case r := <-answer:
		t.Fatalf("it returned at once: %s", r.Body)
	case <-time.After(50 * time.Millisecond):
	}
	c.do("POST", "/api/v1/serverstate/pause", "").want(t, 200, "")
	var s state
	(<-answer).decode(t, &s)
	if s.LastEventID == at {
		t.Errorf("event %d again", at)
	}
}

func TestAMissedTimeRunsOnceWhenTheServerIsBack(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	now := c.Clock().Now()
	id := c.AddBackup(duplicatitest.Backup{Every: "1D", Next: now.Add(time.Hour)})
	c.login()
	c.Restart(duplicatitest.RestartOptions{Off: 5 * 24 * time.Hour})
	c.login()
	s := c.state()
	if s.ActiveTask == nil || s.ActiveTask.Item2 != id {
		t.Fatalf("%+v: nothing runs", s)
	}
	c.Advance(2 * time.Second)
	if rows := c.results(id); len(rows) != 1 {
		t.Errorf("%d runs, want one", len(rows))
	}
	if s := c.state(); len(s.ProposedSchedule) != 1 || s.ProposedSchedule[0].Item2 != "2026-03-07T09:00:00Z" {
		t.Errorf("next %+v", s.ProposedSchedule)
	}
}

func TestATimeInThePastOnAForbiddenDayWaitsForTheNextAllowedOne(t *testing.T) {
	c := start(t, duplicatitest.Options{}) // on a Monday
	id := c.AddBackup(duplicatitest.Backup{
		Every: "1D", Next: c.Clock().Now().Add(-time.Hour), Days: []time.Weekday{time.Wednesday},
	})
	c.login()
	s := c.state()
	if s.ActiveTask != nil || s.ProposedSchedule[0].Item2 != "2026-03-04T07:00:00Z" {
		t.Errorf("%+v", s)
	}
	var got struct{ Schedule struct{ Time string } }
	c.get("/api/v1/backup/"+id, &got)
	if got.Schedule.Time != "2026-03-02T07:00:00Z" {
		t.Errorf("Time %s: it stays in the past", got.Schedule.Time)
	}
}

func TestADueRunWaitsWhilePausedAndLooksOverdue(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	c.login()
	c.do("POST", "/api/v1/serverstate/pause", "").want(t, 200, "")
	id := c.AddBackup(duplicatitest.Backup{Every: "6h", Next: c.Clock().Now().Add(time.Minute)})
	c.Advance(10 * time.Minute)
	s := c.state()
	if len(s.SchedulerQueueIds) != 1 || s.ProposedSchedule[0].Item2 != "2026-03-02T14:01:00Z" {
		t.Errorf("%+v", s)
	}
	var got struct {
		Schedule struct{ Time, LastRun string }
	}
	c.get("/api/v1/backup/"+id, &got)
	if got.Schedule.Time != "2026-03-02T08:01:00Z" || got.Schedule.LastRun != "0001-01-01T00:00:00Z" {
		t.Errorf("%+v", got.Schedule)
	}
	c.do("POST", "/api/v1/serverstate/resume", "").want(t, 200, "")
	c.get("/api/v1/backup/"+id, &got)
	if s := c.state(); s.ActiveTask == nil || got.Schedule.Time != "2026-03-02T08:01:00Z" || got.Schedule.LastRun != "0001-01-01T00:00:00Z" {
		t.Errorf("while it runs: %+v", got.Schedule)
	}
	c.Advance(10 * time.Second)
	c.get("/api/v1/backup/"+id, &got)
	if got.Schedule.Time != "2026-03-02T14:01:00Z" || got.Schedule.LastRun != "2026-03-02T08:10:00Z" {
		t.Errorf("once it has run: %+v", got.Schedule)
	}
}

func TestARunOverItsNextTimeIsFollowedByAnother(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		now := c.Clock().Now()
		id := c.AddBackup(duplicatitest.Backup{Every: "1D", Next: now.Add(time.Hour), Outcomes: []duplicatitest.Outcome{{Takes: 60 * time.Hour}, {}}})
		c.login()
		c.Advance(50 * time.Hour)
		c.login()
		if s := c.state(); s.ActiveTask == nil || len(s.SchedulerQueueIds) != 0 || s.ProposedSchedule[0].Item2 != "2026-03-05T09:00:00Z" {
			t.Errorf("two days later: %+v", s)
		}
		c.Advance(12 * time.Hour) // it is over, and the time it ran over is made up for, once
		c.login()
		var got struct {
			Schedule struct{ Time, LastRun string }
		}
		c.get("/api/v1/backup/"+id, &got)
		if rows := c.results(id); len(rows) != 2 || got.Schedule.LastRun != "2026-03-04T21:00:00Z" || got.Schedule.Time != "2026-03-05T09:00:00Z" {
			t.Errorf("%d runs, %+v", len(rows), got.Schedule)
		}
	})
}

func TestAWeeklyBackupOfAForbiddenDayRunsOnTheNextAllowedOne(t *testing.T) {
	c := start(t, duplicatitest.Options{AccessLife: 5 * week}) // on a Monday
	c.AddBackup(duplicatitest.Backup{Every: "1W", Next: c.Clock().Now().Add(time.Hour), Days: []time.Weekday{time.Thursday}})
	c.login()
	if s := c.state(); s.ProposedSchedule[0].Item2 != "2026-03-05T09:00:00Z" {
		t.Errorf("%+v", s.ProposedSchedule)
	}
	c.Advance(4 * 24 * time.Hour)
	if rows := c.results("1"); len(rows) != 1 {
		t.Errorf("%d runs", len(rows))
	}
}

func TestARunThatTheServerWasSwitchedOffUnderBeginsAnew(t *testing.T) {
	c := start(t, duplicatitest.Options{TaskTime: time.Hour, AccessLife: week})
	id := c.AddBackup(duplicatitest.Backup{Every: "1D", Next: c.Clock().Now().Add(time.Hour)})
	c.login()
	c.Advance(90 * time.Minute)
	c.Restart(duplicatitest.RestartOptions{})
	if s := c.state(); s.ActiveTask == nil || s.ActiveTask.Item1 != 2 || s.ActiveTask.Item2 != id {
		t.Errorf("%+v", s)
	}
}
