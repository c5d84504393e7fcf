package duplicatitest_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

func TestRunAnswersWithWhateverTaskTheBackupHas(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	one, two := c.AddBackup(duplicatitest.Backup{}), c.AddBackup(duplicatitest.Backup{})
	c.login()
	first := c.run(one)
	var verify struct{ ID int64 }
	c.do("POST", "/api/v1/backup/"+two+"/verify", "").decode(t, &verify)
	if first != 2 || c.run(one) != first || c.run(two) != verify.ID {
		t.Errorf("tasks %d, %d, %d and %d", first, c.run(one), verify.ID, c.run(two))
	}
}

func TestStopDoesNothingToAWaitingTask(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	one, two := c.AddBackup(duplicatitest.Backup{}), c.AddBackup(duplicatitest.Backup{})
	c.login()
	c.run(one)
	waiting := c.run(two)
	c.do("POST", "/api/v1/task/"+itoa(waiting)+"/abort", "").want(t, 200, "")
	if got := c.task(waiting).Status; got != "Waiting" {
		t.Errorf("it is %s", got)
	}
	var list []task
	c.get("/api/v1/tasks", &list)
	if len(list) != 2 || list[1].Status != "Running" {
		t.Errorf("tasks %+v: a waiting one says Running in the list", list)
	}
	c.Advance(3 * time.Second)
	if got := c.task(waiting).Status; got != "Completed" {
		t.Errorf("then it is %s", got)
	}
	c.do("GET", "/api/v1/tasks", "").want(t, 200, "[]")
}

func TestStoppedAndAbortedRunsSayWhatEachGenerationSays(t *testing.T) {
	type says struct {
		status, parsed       string
		partial, interrupted bool
		rows                 int
	}
	for g, want := range map[string]struct{ stop, abort says }{
		"2.1":   {says{"Completed", "Warning", true, false, 1}, says{"Completed", "", false, false, 0}},
		"2.2":   {says{"Completed", "Warning", true, false, 1}, says{"Failed", "Fatal", false, false, 1}},
		"2.3.0": {says{"Completed", "Warning", true, false, 1}, says{"Failed", "Fatal", false, false, 1}},
		"2.3.1": {says{"Completed", "Warning", true, true, 1}, says{"Failed", "Error", false, true, 1}},
	} {
		for verb, want := range map[string]says{"stop": want.stop, "abort": want.abort} {
			c := start(t, duplicatitest.Options{Generation: g})
			id := c.AddBackup(duplicatitest.Backup{Outcomes: []duplicatitest.Outcome{{Hold: true}}})
			c.login()
			task := c.run(id)
			c.Advance(time.Minute)
			if g == "2.1" && verb == "stop" {
				c.do("POST", "/api/v1/task/"+itoa(task)+"/stop", "").want(t, 404, "")
				verb = "stopaftercurrentfile"
			}
			c.do("POST", "/api/v1/task/"+itoa(task)+"/"+verb, "").want(t, 200, "")
			c.Advance(time.Second)
			got := says{status: c.task(task).Status}
			rows := c.results(id)
			got.rows = len(rows)
			if len(rows) > 0 {
				got.parsed, got.partial, got.interrupted = rows[0].ParsedResult, rows[0].PartialBackup, rows[0].Interrupted
			}
			if got != want {
				t.Errorf("%s %s: %+v, want %+v", g, verb, got, want)
			}
		}
	}
}

func TestAFailedRunIsCompletedOn21(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		id := c.AddBackup(duplicatitest.Backup{Name: "Photos", Outcomes: []duplicatitest.Outcome{
			{Result: duplicatitest.Fails, Message: "the disk is full"}, {},
		}})
		c.login()
		failed := c.run(id)
		c.Advance(2 * time.Second)
		want := task{Status: "Failed", ID: failed, ErrorMessage: "the disk is full"}
		if strings.HasSuffix(t.Name(), "2.1") {
			want = task{Status: "Completed", ID: failed}
		}
		if got := c.task(failed); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if rows := c.results(id); len(rows) != 1 || rows[0].ParsedResult != "Fatal" || len(rows[0].Errors) == 0 {
			t.Errorf("log %+v", rows)
		}
		if !c.state().HasError {
			t.Error("no error is shown")
		}
		c.run(id)
		c.Advance(2 * time.Second)
		var got struct {
			Backup struct{ Metadata map[string]string }
		}
		c.get("/api/v1/backup/"+id, &got)
		if m := got.Backup.Metadata; m["LastErrorMessage"] != "the disk is full" || m["LastBackupDate"] == "" {
			t.Errorf("metadata %v: the error stays although a run has succeeded", m)
		}
	})
}

func TestADeleteWaitsForTheRunBeforeIt(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	one, two := c.AddBackup(duplicatitest.Backup{}), c.AddBackup(duplicatitest.Backup{})
	c.login()
	c.run(one)
	run := c.run(two)
	var deleted struct{ ID int64 }
	c.do("DELETE", "/api/v1/backup/"+two, "").decode(t, &deleted)
	if deleted.ID == run {
		t.Error("a delete has a task of its own")
	}
	c.do("DELETE", "/api/v1/backup/"+one, "").want(t, 500, `{"Status":"failed","Reason":"backup-in-progress","ID":2}`)
	c.Advance(2500 * time.Millisecond)
	if c.task(run).Status != "Completed" || c.task(deleted.ID).Status != "Running" {
		t.Errorf("run %s, delete %s", c.task(run).Status, c.task(deleted.ID).Status)
	}
	c.Advance(time.Second)
	c.do("GET", "/api/v1/backup/"+two, "").want(t, 404, `{"Error":"Backup not found","Code":404}`)
}

func TestTasksWorkFromTheConfigurationAsItWasWhenTheyWereQueued(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	one, two := c.AddBackup(duplicatitest.Backup{}), c.AddBackup(duplicatitest.Backup{Name: "Two"})
	c.login()
	c.run(one)
	queued := c.run(two)
	body := `{"Backup":{"Name":"Two","TargetURL":"file:///other","Sources":["/no/such/"],"Settings":[{"Name":"passphrase","Value":"***************"}]}}`
	c.do("PUT", "/api/v1/backup/"+two, body).want(t, 200, "")
	c.Disk().Remove("/no/such/")
	c.Advance(3 * time.Second)
	if got := c.results(two); c.task(queued).Status != "Completed" || len(got) != 1 || got[0].ParsedResult != "Success" {
		t.Errorf("%+v %+v", c.task(queued), got)
	}
}

func TestListingVersionsWedgesARunOf230AndNothingElse(t *testing.T) {
	for g, want := range map[string]int{"2.1": 500, "2.2": 200, "2.3.0": 200, "2.3.1": 400} {
		c := start(t, duplicatitest.Options{Generation: g, AccessLife: week})
		id := c.AddBackup(duplicatitest.Backup{})
		other := c.AddBackup(duplicatitest.Backup{})
		c.login()
		run := c.run(id)
		c.Advance(100 * time.Millisecond)
		if r := c.do("GET", "/api/v1/backup/"+id+"/filesets", ""); r.Status != want {
			t.Errorf("%s: %d %s, want %d", g, r.Status, r.Body, want)
		}
		c.Advance(time.Hour)
		if status := c.task(run).Status; (status == "Running") != (g == "2.3.0") {
			t.Errorf("%s: the run is %s an hour later", g, status)
		}
		if g != "2.3.0" {
			continue
		}
		next := c.run(other)
		c.do("POST", "/api/v1/task/"+itoa(run)+"/abort", "").want(t, 200, "")
		c.Advance(time.Hour)
		if c.task(run).Status != "Running" || c.task(next).Status != "Waiting" {
			t.Errorf("run %s, next %s: nothing should help", c.task(run).Status, c.task(next).Status)
		}
		c.Restart(duplicatitest.RestartOptions{})
		if s := c.state(); s.ActiveTask != nil || len(s.SchedulerQueueIds) != 0 {
			t.Errorf("after a restart: %+v", s)
		}
	}
}

func TestListingVersionsBeforeTheFirstRunLeavesTraces(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		id := c.AddBackup(duplicatitest.Backup{})
		c.login()
		before := c.state()
		if r := c.do("GET", "/api/v1/backup/"+id+"/filesets", ""); r.Status == 200 {
			t.Errorf("%d %s", r.Status, r.Body)
		}
		if after := c.state(); before.HasError || !after.HasError {
			t.Errorf("HasError before %v, after %v", before.HasError, after.HasError)
		}
		var got struct {
			Backup struct{ Metadata map[string]string }
		}
		c.get("/api/v1/backup/"+id, &got)
		if got.Backup.Metadata["LastErrorMessage"] != "No filesets found on remote target" {
			t.Errorf("metadata %v", got.Backup.Metadata)
		}
	})
}

func TestProgressOutlivesItsTaskButNotARestart(t *testing.T) {
	c := start(t, duplicatitest.Options{AccessLife: week})
	id := c.AddBackup(duplicatitest.Backup{})
	c.login()
	c.do("GET", "/api/v1/progressstate", "").want(t, 404, `{"Error":"No active backup","Code":404}`)
	run := c.run(id)
	c.Advance(500 * time.Millisecond)
	var p struct {
		TaskID             int64
		Phase              string
		ProcessedFileCount int
	}
	c.get("/api/v1/progressstate", &p)
	if p.TaskID != run || p.Phase != "Backup_ProcessingFiles" || p.ProcessedFileCount == 0 {
		t.Errorf("in the middle: %+v", p)
	}
	c.Advance(time.Hour)
	c.get("/api/v1/progressstate", &p)
	if p.TaskID != run || p.Phase != "Backup_Complete" || p.ProcessedFileCount != 5 {
		t.Errorf("an hour later: %+v", p)
	}
	c.Restart(duplicatitest.RestartOptions{})
	c.do("GET", "/api/v1/progressstate", "").want(t, 404, `{"Error":"No active backup","Code":404}`)
}

func TestADatabaseDeletedUnderARunTakesTheRunsTracesWithIt(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		id := c.AddBackup(duplicatitest.Backup{Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		c.login()
		for _, verb := range []string{"run", "verify", "compact", "repair", "vacuum", "createreport", "restore"} {
			path, body := "/api/v1/backup/"+id+"/", ""
			if verb == "restore" {
				body = `{"paths":[],"time":""}`
			}
			var begun struct{ ID int64 }
			c.do("POST", path+verb, body).decode(t, &begun)
			for range 20 {
				c.Advance(20 * time.Millisecond)
				c.do("POST", path+"deletedb", "").want(t, 200, "")
				if r := c.do("GET", "/api/v1/progressstate", ""); r.Status != 200 {
					t.Fatalf("%s: progress %d %s", verb, r.Status, r.Body)
				}
				if r := c.do("GET", path+"log", ""); r.Status != 200 && r.Status != 400 {
					t.Fatalf("%s: log %d %s", verb, r.Status, r.Body)
				}
			}
			c.Advance(time.Minute)
			var task struct{ Status string }
			c.get("/api/v1/task/"+strconv.FormatInt(begun.ID, 10), &task)
			if task.Status != "Completed" {
				t.Errorf("%s: %s", verb, task.Status)
			}
			c.do("GET", path+"log", "").want(t, 200, "[]")
		}
	})
}
