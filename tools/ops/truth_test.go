package ops_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/tools"
)

// row is what a log answers, as far as these tests write it.
type row struct {
	ID, OperationID, Timestamp int64
	Type, Message              string
	Exception                  any
}

// rewriteLog changes what the log of every backup answers.
func (b *bench) rewriteLog(change func([]row) []row) (remove func()) {
	return b.nas.Inject(duplicatitest.Fault{Method: "GET", Prefix: "/api/v1/backup/", Replace: func(status int, h http.Header, body []byte) (int, []byte) {
		var rows []row
		if status != http.StatusOK || json.Unmarshal(body, &rows) != nil {
			return status, body // not a log
		}
		out, err := json.Marshal(change(rows))
		if err != nil {
			b.t.Error(err)
		}
		return status, out
	}})
}

// A log that says nothing of this run, or nothing that can be read, makes no
// success of it, whatever older rows say.
func TestALogThatCannotBeBelievedIsNoSuccess(t *testing.T) {
	newest := func(change func(*row)) func([]row) []row {
		return func(rows []row) []row {
			if len(rows) > 1 {
				change(&rows[0])
			}
			return rows
		}
	}
	field := func(name string, value any) func(*row) {
		return func(r *row) {
			var m map[string]any
			if json.Unmarshal([]byte(r.Message), &m) != nil {
				return
			}
			m[name] = value
			if b, err := json.Marshal(m); err == nil {
				r.Message = string(b)
			}
		}
	}
	for name, e := range map[string]struct {
		change func([]row) []row
		why    string
		want   string
	}{
		"the row is no JSON":              {newest(func(r *row) { r.Message = r.Message[:len(r.Message)/2] }), "cannot be read", "unknown"},
		"the row is empty":                {newest(func(r *row) { r.Message = "" }), "cannot be read", "unknown"},
		"the row is another operation's":  {newest(field("MainOperation", "Compact")), "no row of this run", "unknown"},
		"the row is a listing's":          {newest(field("MainOperation", "ListFilesets")), "no row of this run", "unknown"},
		"the row has an unknown word":     {newest(field("ParsedResult", "Splendid")), "Splendid", "unknown"},
		"the row has the word Unknown":    {newest(field("ParsedResult", "Unknown")), "Unknown", "unknown"},
		"the row says it was interrupted": {newest(field("Interrupted", true)), "", "stopped"},
		"the row says it is partial":      {newest(field("PartialBackup", true)), "", "stopped"},
		"the row began before the task":   {newest(field("BeginTime", "2020-01-01T00:00:00Z")), "no row of this run", "unknown"},
		"there is only an older row":      {func(rows []row) []row { return rows[max(0, len(rows)-1):] }, "no row of this run", "unknown"},
		"there are no rows":               {func([]row) []row { return []row{} }, "no row of this run", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, func(t *testing.T, g string) {
				if g == "2.1" && name == "the row began before the task" {
					return // it tells no times of tasks: that the row is new says whose it is
				}
				b := start(t, duplicatitest.Options{Generation: g})
				b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Minute}}})
				b.rewriteLog(e.change)
				a := b.do("run", args{"backup": "Photos", "wait": true})
				got := read[task](t, a)
				if got.Outcome != e.want || !strings.Contains(got.Why, e.why) || a.Exit != 2 || a.View.Tone == tools.Good {
					t.Errorf("%+v, exit %d, %s; want %s because of %q", got, a.Exit, a.View.Headline, e.want, e.why)
				}
			})
		})
	}
}

// Whoever lists versions writes a row of that on top of the run's.
func TestAListingDuringTheRunDoesNotHideIt(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Minute}}})
		b.nas.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Errs})
		b.rewriteLog(func(rows []row) []row {
			if len(rows) < 2 {
				return rows
			}
			listing := rows[0]
			listing.ID += 5
			listing.Message = strings.NewReplacer(`"MainOperation":"Backup"`, `"MainOperation":"List"`, `"ParsedResult":"Error"`, `"ParsedResult":"Success"`).Replace(listing.Message)
			return append([]row{listing}, rows...)
		})
		if a := b.do("run", args{"backup": "Photos", "wait": true}); read[task](t, a).Outcome != "error" || a.Exit != 3 {
			t.Errorf("%s, exit %d", a.Result, a.Exit)
		}
	})
}

// post sends what this program itself never sends.
func (b *bench) post(path string) {
	b.t.Helper()
	a := b.fleet.account("nas")
	token, err := a.Access(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, a.url+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: %s", path, res.Status)
	}
}

// A server answers run with the task of whatever of that backup runs already.
func TestTheEndOfAnotherTaskIsNotTakenForTheRuns(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		b := start(t, duplicatitest.Options{Generation: g})
		id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Minute}}})
		b.nas.SetOutcome("", duplicatitest.Outcome{Hold: true})
		b.post(fmt.Sprintf("/api/v1/backup/%s/verify", id))
		eventually(t, func() bool { return strings.Contains(string(b.do("status", nil).Result), `"active":{`) })
		done := make(chan tools.Answer)
		go func() { done <- b.do("run", args{"backup": "Photos", "wait": true}) }()
		eventually(t, func() bool {
			return b.nas.Count("POST", "/api/v1/backup/"+id+"/run") == 1 && b.nas.Count("GET", "/api/v1/task/") > 0
		})
		b.nas.Finish()
		a := <-done
		got := read[task](t, a)
		if got.Started == nil || *got.Started || got.Outcome != "unknown" || a.Exit != 2 || a.View.Tone == tools.Good {
			t.Errorf("%+v, exit %d: %s %v", got, a.Exit, a.View.Headline, a.View.Notes)
		}
	})
}

// An abort is a failure to every server. Only 2.3.1 says besides that somebody
// wanted it, and calls it an error and not fatal.
func TestARunThatSomebodyElseStopsOrAbortsIsNoSuccess(t *testing.T) {
	for _, abort := range []bool{false, true} {
		t.Run(fmt.Sprintf("abort %t", abort), func(t *testing.T) {
			on(t, func(t *testing.T, g string) {
				b := start(t, duplicatitest.Options{Generation: g})
				id := b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Minute}}})
				b.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
				done := make(chan tools.Answer)
				go func() { done <- b.do("run", args{"backup": "Photos", "wait": true}) }()
				eventually(t, func() bool { return b.nas.Count("GET", "/api/v1/progressstate") > 1 })
				b.do("stop", args{"backup": "Photos", "abort": abort})
				a := <-done
				got := read[task](t, a)
				want, exit := "stopped", 2
				switch {
				case abort && g == "2.3.1":
					exit = 3
				case abort:
					want, exit = "fatal", 4
				}
				if got.Outcome != want || a.Exit != exit || a.View.Tone == tools.Good {
					t.Errorf("%+v, exit %d; want %s, exit %d", got, a.Exit, want, exit)
				}
			})
		})
	}
}
