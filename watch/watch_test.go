package watch_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/watch"
)

const password = "correct-password"

// login is a client that logs in when it must, and the only one there is.
type login struct {
	c  *duplicati.Client
	mu sync.Mutex
	s  duplicati.Session
}

func (l *login) Access(ctx context.Context) (secret.Value, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.s.Access.Empty() {
		s, err := l.c.Login(ctx, secret.New(password), true)
		if err != nil {
			return secret.Value{}, err
		}
		l.s = s
	}
	return l.s.Access, nil
}

func (l *login) Rejected(context.Context, secret.Value) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.s = duplicati.Session{}
	return nil
}

type clients map[string]*duplicati.Client

func (c clients) Client(_ context.Context, server string) (*duplicati.Client, error) {
	if client, ok := c[server]; ok {
		return client, nil
	}
	return nil, tools.Errorf(tools.NotFound, "there is no server %s", server)
}

// post is a server that is watched, and what was told of it.
type post struct {
	*duplicatitest.Server
	t      *testing.T
	w      *watch.Watcher
	o      watch.Options
	clock  *duplicatitest.Clock
	keeper *login

	mu   sync.Mutex
	told []watch.Problem
}

var morning = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC) // a Tuesday

func station(t *testing.T, generation string, change func(*duplicatitest.Options)) *post {
	t.Helper()
	p := &post{t: t, clock: duplicatitest.NewStandingClock(morning)}
	o := duplicatitest.Options{Generation: generation, Password: password, Clock: p.clock, TaskTime: -1}
	if change != nil {
		change(&o)
	}
	p.Server = duplicatitest.Start(t, o)
	bare, err := duplicati.New(duplicati.Options{URL: p.URL, Now: p.clock.Now, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bare.Close)
	db, err := store.Open(context.Background(), store.Options{Path: filepath.Join(t.TempDir(), "store", "d.db"), AuditKey: func(context.Context) (secret.Value, error) {
		return secret.New(strings.Repeat("k", store.KeySize)), nil
	}, Now: p.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	p.keeper = &login{c: bare}
	p.o = watch.Options{
		Servers: []string{"nas"}, Clients: clients{"nas": bare.With(p.keeper)}, Notes: db.Notes, Now: p.clock.Now,
		Tell: func(x watch.Problem) { p.mu.Lock(); p.told = append(p.told, x); p.mu.Unlock() },
		Log:  slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	p.restartBot()
	return p
}

// restartBot is the bot stopped and started: only the store lives on.
func (p *post) restartBot() {
	p.t.Helper()
	w, err := watch.New(p.o)
	if err != nil {
		p.t.Fatal(err)
	}
	p.w = w
}

// look looks once and returns what was told: "+nas/3/failed" began or changed,
// "-nas/3/failed" ended.
func (p *post) look() string {
	p.t.Helper()
	p.mu.Lock()
	p.told = nil
	p.mu.Unlock()
	if err := p.w.Look(context.Background(), "nas"); err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, x := range p.told {
		sign := "+"
		if x.Over() {
			sign = "-"
		}
		out = append(out, sign+x.Key)
		for _, word := range append([]string{x.Headline, x.End}, x.Said...) {
			if strings.Contains(word, "canary") {
				p.t.Errorf("a secret is told: %s", word)
			}
		}
		if x.Headline == "" || x.Over() != (x.End != "") || x.Since.IsZero() || x.Server != "nas" {
			p.t.Errorf("a problem in part: %+v", x)
		}
	}
	return strings.Join(out, " ")
}

func (p *post) want(when, want string) {
	p.t.Helper()
	if got := p.look(); got != want {
		p.t.Errorf("%s: told %q, want %q", when, got, want)
	}
}

func (p *post) last() watch.Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told[len(p.told)-1]
}

func (p *post) run(id string) {
	p.t.Helper()
	c, _ := p.o.Clients.Client(context.Background(), "nas")
	if _, err := c.Run(context.Background(), id, false); err != nil {
		p.t.Fatal(err)
	}
	p.Advance(time.Minute)
}

func everyGeneration(t *testing.T, f func(t *testing.T, g string)) {
	for _, g := range duplicatitest.Generations() {
		t.Run(g, func(t *testing.T) { f(t, g) })
	}
}

func TestEachWayARunEndsIsToldOnceAndUntilItIsOver(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
		p.want("before the first run", "")
		for _, step := range []struct {
			outcome duplicatitest.Outcome
			kind    watch.Kind
		}{
			{duplicatitest.Outcome{}, ""},
			{duplicatitest.Outcome{Result: duplicatitest.Warns}, watch.Warned},
			{duplicatitest.Outcome{Result: duplicatitest.Errs}, watch.Failed},
			{duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk at ftp://bob:canary@nas/x"}, watch.Failed},
			{duplicatitest.Outcome{Partial: true}, watch.Stopped},
			{duplicatitest.Outcome{}, ""},
		} {
			before := p.open()
			p.SetOutcome(id, step.outcome)
			p.run(id)
			var want []string
			key := "nas/" + id + "/" + string(step.kind)
			if step.kind != "" {
				want = append(want, "+"+key)
			}
			if before != "" && before != key {
				want = append(want, "-"+before)
			}
			p.want(fmt.Sprintf("%+v", step.outcome), strings.Join(want, " "))
			p.want("a second look", "")
		}
	})
}

func (p *post) open() string {
	var keys []string
	for _, x := range p.w.Problems("") {
		keys = append(keys, x.Key)
	}
	return strings.Join(keys, " ")
}

func TestARunThatLeavesNothingIsUnknownAndNotGreen(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
		p.want("at first", "")
		p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Vanishes, Hold: true})
		p.run(id)
		p.want("while it runs", "")
		p.Finish()
		p.Advance(time.Minute)
		p.want("after it", "+nas/"+id+"/unknown")
		if x := p.last(); x.Severity != "unknown" {
			t.Errorf("the severity is %s", x.Severity)
		}
		p.SetOutcome(id, duplicatitest.Outcome{}, duplicatitest.Outcome{Result: duplicatitest.Vanishes})
		p.run(id)
		p.want("after a good one", "-nas/"+id+"/unknown")
		p.run(id)
		p.want("after one that left no row beside that of the good one", "+nas/"+id+"/unknown")
		p.restartBot()
		p.want("after a restart", "+nas/"+id+"/unknown")
	})
}

func TestASourceThatIsGoneIsTold(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
		p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.LosesSource})
		p.want("at first", "")
		p.run(id)
		if got := p.look(); !strings.HasPrefix(got, "+nas/"+id+"/") {
			t.Fatalf("told %q", got)
		}
		t.Log(p.last().Headline, p.last().Facts, p.last().Said)
	})
}

func TestASuccessWithNothingInItIsTold(t *testing.T) {
	p := station(t, "", nil)
	p.Disk().Write("/data/src/Photos/", 0, 0)
	id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
	p.run(id)
	p.want("after the run", "+nas/"+id+"/empty")
}

func TestAnOverdueBackupIsToldAndEndsWhenItBegins(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos", Every: "1D", Next: morning.Add(2 * time.Hour), Runs: []duplicatitest.Run{{Ago: 22 * time.Hour}}})
		p.want("before it is due", "")
		// A scheduler that starts nothing: the server says that it runs.
		thaw := p.freeze()
		p.Advance(2*time.Hour + 10*time.Minute)
		p.want("within the grace", "")
		p.Advance(25 * time.Minute)
		p.want("beyond it", "+nas/"+id+"/overdue")
		if x := p.last(); !x.Since.Equal(morning.Add(2*time.Hour)) || !strings.Contains(x.Headline, "10:00 UTC") {
			t.Errorf("%+v", x)
		}
		p.want("again", "")
		p.restartBot()
		p.want("after a restart of the bot it is the same problem", "+nas/"+id+"/overdue")
		p.want("and no more", "")
		thaw()
		p.Advance(time.Minute)
		if got := p.look(); !strings.Contains(got, "-nas/"+id+"/overdue") {
			t.Errorf("after it ran: told %q", got)
		}
	})
}

// freeze lets the server say for ever what it says now: its scheduler starts
// nothing.
func (p *post) freeze() (thaw func()) {
	p.t.Helper()
	said := make(map[string][]byte)
	var mu sync.Mutex
	var removes []func()
	for _, path := range []string{"/api/v1/serverstate", "/api/v1/backups"} {
		removes = append(removes, p.Inject(duplicatitest.Fault{Method: "GET", Prefix: path, Replace: func(status int, _ http.Header, body []byte) (int, []byte) {
			mu.Lock()
			defer mu.Unlock()
			if status != http.StatusOK {
				return status, body
			}
			if said[path] == nil {
				said[path] = body
			}
			return status, said[path]
		}}))
	}
	c, _ := p.o.Clients.Client(context.Background(), "nas")
	if _, err := c.State(context.Background()); err != nil {
		p.t.Fatal(err)
	}
	if _, err := c.Backups(context.Background()); err != nil {
		p.t.Fatal(err)
	}
	return func() {
		for _, remove := range removes {
			remove()
		}
	}
}

func TestAPauseWithJobsDueIsTold(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos", Every: "1D", Next: morning.Add(time.Hour)})
		c, _ := p.o.Clients.Client(context.Background(), "nas")
		if err := c.Pause(context.Background(), duplicati.PauseOptions{UntilResumed: true}); err != nil {
			t.Fatal(err)
		}
		p.want("paused, with nothing to do", "")
		p.Advance(time.Hour + 10*time.Minute)
		p.want("a job waits within the grace", "")
		p.Advance(25 * time.Minute)
		p.want("a job waits", "+nas/paused")
		if x := p.last(); !x.Since.Equal(morning.Add(time.Hour)) || x.Severity != "warning" || !strings.Contains(x.Headline, "until somebody resumes it") {
			t.Errorf("%+v", x)
		}
		p.restartBot()
		p.want("after a restart", "+nas/paused")
		if err := c.Resume(context.Background()); err != nil {
			t.Fatal(err)
		}
		p.Advance(time.Minute)
		p.want("resumed", "-nas/paused")
		_ = id
	})
}

func TestARunThatHangsIsTold(t *testing.T) {
	p := station(t, "2.3.0", func(o *duplicatitest.Options) { o.TaskTime = 10 * time.Minute })
	first, second := p.AddBackup(duplicatitest.Backup{Name: "Big"}), p.AddBackup(duplicatitest.Backup{Name: "Small"})
	p.SetOutcome(first, duplicatitest.Outcome{Hold: true})
	p.run(first)
	if !p.Hang() {
		t.Fatal("nothing is at work")
	}
	p.run(second)
	p.want("at first", "")
	for range 6 {
		p.Advance(10 * time.Minute)
		p.want("within the time", "")
	}
	p.Advance(20 * time.Minute)
	p.want("beyond it", "+nas/stuck")
	p.restartBot()
	p.want("after a restart", "+nas/stuck")
	p.want("once", "")
	p.Restart(duplicatitest.RestartOptions{})
	got := p.look()
	if !strings.Contains(got, "-nas/stuck") || !strings.Contains(got, "+nas/"+first+"/unknown") {
		t.Errorf("after the server was killed: told %q", got)
	}
}

func TestASilentServerIsToldOnceAndConcludesNothing(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
		p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"})
		p.run(id)
		p.want("at first", "+nas/"+id+"/failed")
		remove := p.Inject(duplicatitest.BadGateway())
		p.want("silent", "")
		p.Advance(3 * time.Minute)
		p.want("beyond the patience", "+nas/unreachable")
		for i := range 100 {
			if i == 50 {
				p.restartBot()
				p.want("after a restart of the bot", "+nas/unreachable")
			}
			p.Advance(time.Minute)
			p.want("once more", "")
		}
		if n := len(p.w.Problems("nas")); n != 2 {
			t.Errorf("%d problems are open, want the silence and the failure from before it", n)
		}
		remove()
		got := p.look()
		if !strings.Contains(got, "-nas/unreachable") || strings.Contains(got, "-nas/"+id) {
			t.Errorf("back again: told %q", got)
		}
		p.want("and no more", "")
	})
}

func TestAShortSilenceIsNotTold(t *testing.T) {
	p := station(t, "", nil)
	p.want("at first", "")
	remove := p.Inject(duplicatitest.Fault{Reset: true})
	p.want("silent", "")
	p.Advance(time.Minute)
	remove()
	p.want("back", "")
}

func TestAServerThatLetsNobodyInIsAnotherProblemThanASilentOne(t *testing.T) {
	p := station(t, "", nil)
	p.want("at first", "")
	remove := p.Inject(duplicatitest.Fault{Reset: true})
	p.look()
	p.Advance(5 * time.Minute)
	p.want("silent", "+nas/unreachable")
	remove()
	remove = p.Inject(duplicatitest.Fault{Prefix: "/api/v1/", Status: 401, Header: http.Header{"Content-Type": nil}})
	p.want("refused", "+nas/login -nas/unreachable")
	remove()
	p.want("back", "-nas/login")
}

func TestADeletedBackupTakesItsProblemsAlong(t *testing.T) {
	p := station(t, "", nil)
	id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
	p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"})
	p.run(id)
	p.want("failed", "+nas/"+id+"/failed")
	c, _ := p.o.Clients.Client(context.Background(), "nas")
	if _, err := c.Delete(context.Background(), id, duplicati.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.Advance(time.Minute)
	p.want("deleted", "-nas/"+id+"/failed")
	if x := p.last(); x.End != "the backup was deleted" {
		t.Errorf("%+v", x)
	}
}

func TestALookAtAQuietServerCostsOneRequest(t *testing.T) {
	p := station(t, "", nil)
	for range 5 {
		p.AddBackup(duplicatitest.Backup{Every: "1D", Next: morning.Add(20 * time.Hour), Runs: []duplicatitest.Run{{Ago: 4 * time.Hour}}})
	}
	p.want("at first", "")
	p.ForgetRequests()
	p.Advance(time.Minute)
	p.want("again", "")
	if n := p.Count("", "/"); n != 1 {
		t.Errorf("it cost %d requests: %v", n, p.Requests())
	}
}

func TestAQueueOfWhichNothingStartsIsTold(t *testing.T) {
	p := station(t, "", nil)
	id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
	remove := p.Inject(duplicatitest.Fault{Method: "GET", Prefix: "/api/v1/serverstate", Replace: func(status int, _ http.Header, _ []byte) (int, []byte) {
		return status, fmt.Appendf(nil, `{"ActiveTask":null,"ProgramState":"Running","SchedulerQueueIds":[{"Item1":7,"Item2":%q}],"ProposedSchedule":[],"EstimatedPauseEnd":"0001-01-01T00:00:00Z","LastEventID":5}`, id)
	}})
	p.want("at first", "")
	p.Advance(3 * time.Minute)
	p.want("beyond the patience", "+nas/stuck")
	remove()
	p.want("after it", "-nas/stuck")
}

func TestASchedulerThatStartsNothingIsTold(t *testing.T) {
	p := station(t, "", nil)
	for range 3 {
		p.AddBackup(duplicatitest.Backup{Every: "1D", Next: morning.Add(time.Hour)})
	}
	thaw := p.freeze()
	p.want("at first", "")
	p.Advance(2 * time.Hour)
	p.want("later", "+nas/1/overdue +nas/2/overdue +nas/3/overdue +nas/stuck")
	thaw()
	p.Advance(time.Minute)
	p.want("after it", "-nas/1/overdue -nas/2/overdue -nas/3/overdue -nas/stuck")
}

func TestARunThatAServerWasSwitchedOffUnderIsJudgedByTheOneThatFollows(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		for _, seen := range []bool{false, true} {
			p := station(t, g, func(o *duplicatitest.Options) { o.TaskTime = time.Hour })
			id := p.AddBackup(duplicatitest.Backup{Name: "Photos", Every: "1D", Next: morning.Add(time.Hour), Outcomes: []duplicatitest.Outcome{
				{}, {Result: duplicatitest.Fails, Message: "no disk"}, {},
			}})
			p.want("at first", "")
			p.Advance(70 * time.Minute) // it began
			began := ""
			if seen {
				p.want("while it runs", "")
				began = "+nas/" + id + "/unknown"
			}
			p.Restart(duplicatitest.RestartOptions{}) // and begins anew
			p.look()
			p.Advance(30 * time.Minute)
			if got := p.look(); got != "" || began != "" && p.open() != "" {
				t.Errorf("after the restart: told %q, open is %q", got, p.open())
			}
			p.Advance(40 * time.Minute)
			p.want("it failed", "+nas/"+id+"/failed")
			p.Advance(25 * time.Hour)
			p.want("after the next one", "-nas/"+id+"/failed")
		}
	})
}

func TestARunThatWasAbortedBetweenTwoLooksIsNotMissed(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, nil)
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		p.want("at first", "")
		p.SetOutcome(id, duplicatitest.Outcome{Hold: true})
		p.run(id)
		c, _ := p.o.Clients.Client(context.Background(), "nas")
		state, err := c.State(context.Background())
		if err != nil || state.Active == nil {
			t.Fatal(state, err)
		}
		if err := c.Abort(context.Background(), state.Active.Task); err != nil {
			t.Fatal(err)
		}
		p.Advance(time.Minute)
		got := p.look()
		if !strings.HasPrefix(got, "+nas/"+id+"/") {
			t.Fatalf("told %q", got)
		}
	})
}

func TestAPauseAndAQueueThatMovesAreNotTakenForAStandstill(t *testing.T) {
	p := station(t, "", func(o *duplicatitest.Options) { o.TaskTime = 3 * time.Hour })
	first, second := p.AddBackup(duplicatitest.Backup{Name: "Big"}), p.AddBackup(duplicatitest.Backup{Name: "Small"})
	p.run(first)
	p.run(second)
	p.want("one runs, one waits", "")
	c, _ := p.o.Clients.Client(context.Background(), "nas")
	if err := c.Pause(context.Background(), duplicati.PauseOptions{For: 3 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	for range 16 {
		p.Advance(10 * time.Minute)
		if got := p.look(); strings.Contains(got, "stuck") {
			t.Fatalf("while it is paused: told %q", got)
		}
	}
	if err := c.Resume(context.Background()); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		p.Advance(10 * time.Minute)
		if got := p.look(); strings.Contains(got, "stuck") {
			t.Fatalf("after it: told %q", got)
		}
	}
	if open := p.open(); open != "" {
		t.Errorf("at the end, %s is open", open)
	}
}

func TestAServerThatComesAndGoesIsOneProblem(t *testing.T) {
	p := station(t, "", nil)
	p.want("at first", "")
	away := func(long time.Duration) {
		remove := p.Inject(duplicatitest.Fault{Reset: true})
		defer remove()
		p.look()
		p.Advance(long)
		p.look()
	}
	away(5 * time.Minute)
	began := p.last().Since
	p.want("it answers again, and nobody knows that it will not stay so", "-nas/unreachable")

	p.Advance(4 * time.Minute)
	remove := p.Inject(duplicatitest.Fault{Reset: true})
	p.want("silent again", "")
	p.Advance(3 * time.Minute)
	p.want("the same problem as before", "+nas/unreachable")
	if x := p.last(); !x.Since.Equal(began) || !strings.Contains(fmt.Sprint(x.Facts), "once since") {
		t.Errorf("%+v", x)
	}
	remove()
	p.want("it answers", "+nas/unreachable")
	if x := p.last(); x.Over() || !strings.Contains(x.Headline, "comes and goes; at the moment it answers") {
		t.Errorf("%+v", x)
	}
	for i := range 50 {
		p.Advance(4 * time.Minute)
		if i == 25 {
			p.restartBot()
			p.want("after a restart of the bot", "+nas/unreachable")
		}
		away(3 * time.Minute)
		p.mu.Lock()
		for _, x := range p.told {
			if x.Over() || !x.Since.Equal(began) {
				t.Errorf("round %d: told %+v", i, x)
			}
		}
		p.mu.Unlock()
		p.look()
	}
	if x := p.last(); !strings.Contains(fmt.Sprint(x.Facts), "51 times since") {
		t.Errorf("%+v", x.Facts)
	}
	for range 5 {
		p.Advance(5 * time.Minute)
		p.want("well, and not for long", "")
	}
	p.Advance(6 * time.Minute)
	p.want("well for long", "-nas/unreachable")
	if x := p.last(); x.End != "the server answers again" {
		t.Errorf("%+v", x)
	}
	p.Advance(31 * time.Minute)
	p.want("quiet", "")
	away(5 * time.Minute)
	if x := p.last(); x.Since.Equal(began) || strings.Contains(fmt.Sprint(x.Facts), "Came back") {
		t.Errorf("long after, it is another problem: %+v", x)
	}
}

func TestLateIsMeasuredByTheServersCalendar(t *testing.T) {
	// In Berlin the clocks go back on 2026-10-25 at 03:00, and forward on
	// 2027-03-28 at 02:00. The server waits over the change: what is due is the
	// newest 02:30 there, and not a multiple of 24 hours.
	for name, c := range map[string]struct{ next, look, due string }{
		"before the clocks go back":      {"2026-10-24T00:30:00Z", "2026-10-25T00:40:00Z", "2026-10-24T00:30:00Z"},
		"on the day, which has 25 hours": {"2026-10-24T00:30:00Z", "2026-10-25T05:00:00Z", "2026-10-25T01:30:00Z"},
		"the day after, not yet due":     {"2026-10-24T00:30:00Z", "2026-10-26T01:50:00Z", "2026-10-25T01:30:00Z"},
		"the day after, due":             {"2026-10-24T00:30:00Z", "2026-10-26T02:10:00Z", "2026-10-26T01:30:00Z"},
		"the hour that does not exist":   {"2027-03-27T01:30:00Z", "2027-03-28T02:10:00Z", "2027-03-28T01:30:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			at := func(text string) time.Time {
				v, err := time.Parse(time.RFC3339, text)
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			p := station(t, "", nil)
			p.Inject(duplicatitest.Fault{Method: "GET", Prefix: "/api/v1/systeminfo", Replace: inZone("Europe/Berlin")})
			p.Advance(at(c.next).Add(-12 * time.Hour).Sub(morning))
			id := p.AddBackup(duplicatitest.Backup{Name: "Photos", Every: "1D", Next: at(c.next), Runs: []duplicatitest.Run{{Ago: 12 * time.Hour}}})
			p.want("at first", "")
			p.freeze()
			p.Advance(at(c.look).Sub(p.clock.Now()))
			p.want("later", "+nas/"+id+"/overdue")
			if x := p.last(); !x.Since.Equal(at(c.due)) {
				t.Errorf("due at %v, want %s", x.Since, c.due)
			}
		})
	}
}

// inZone lets a server say that it is in a zone.
func inZone(name string) func(int, http.Header, []byte) (int, []byte) {
	return func(status int, _ http.Header, body []byte) (int, []byte) {
		return status, regexp.MustCompile(`"ServerTimeZone":"[^"]*"`).ReplaceAll(body, []byte(`"ServerTimeZone":"`+name+`"`))
	}
}

func TestABackupThatRunsOverAChangeOfTheClocksIsNeverLate(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		p := station(t, g, longLogin)
		p.Inject(duplicatitest.Fault{Method: "GET", Prefix: "/api/v1/systeminfo", Replace: inZone("Europe/Berlin")})
		p.Advance(time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC).Sub(morning))
		p.AddBackup(duplicatitest.Backup{Name: "Photos", Every: "1D", Next: time.Date(2026, 10, 24, 0, 30, 0, 0, time.UTC)})
		for range 3 * 24 {
			p.Advance(time.Hour)
			p.want("at "+p.clock.Now().String(), "")
		}
	})
}
