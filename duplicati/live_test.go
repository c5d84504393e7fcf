package duplicati_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
)

const password = "correct-password"

// keeper is the simplest Tokens: it logs in anew when a token is rejected.
type keeper struct {
	c        *duplicati.Client
	password string

	mu       sync.Mutex
	s        duplicati.Session
	rejected int
}

func (k *keeper) Access(ctx context.Context) (secret.Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.s.Access.Empty() {
		s, err := k.c.Login(ctx, secret.New(k.password), true)
		if err != nil {
			return secret.Value{}, err
		}
		k.s = s
	}
	return k.s.Access, nil
}

func (k *keeper) Rejected(_ context.Context, token secret.Value) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rejected++
	if k.s.Access.Equal(token) {
		k.s = duplicati.Session{}
	}
	return nil
}

// live is a simulated server and a client that is logged in.
type live struct {
	*duplicatitest.Server
	c      *duplicati.Client // logged in
	bare   *duplicati.Client
	tokens *keeper
}

func start(t *testing.T, generation string, change func(*duplicatitest.Options)) *live {
	t.Helper()
	o := duplicatitest.Options{Generation: generation, Password: password}
	if change != nil {
		change(&o)
	}
	l := &live{Server: duplicatitest.Start(t, o)}
	bare, err := duplicati.New(duplicati.Options{URL: l.URL, Now: l.Clock().Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bare.Close)
	l.bare, l.tokens = bare, &keeper{c: bare, password: password}
	l.c = bare.With(l.tokens)
	return l
}

// add configures a backup, as the server's own web page would.
func (l *live) add(t *testing.T, name, schedule string) string {
	t.Helper()
	token, err := l.tokens.Access(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"Backup":{"Name":%q,"TargetURL":"file:///data/dst/%s?auth-password=canary-secret","Sources":["/data/src/%s/"],"Filters":[],
		"Settings":[{"Name":"encryption-module","Value":"aes"},{"Name":"passphrase","Value":"canary-passphrase"},{"Name":"dblock-size","Value":"5mb"}]},"Schedule":%s}`,
		name, name, name, schedule)
	req, _ := http.NewRequest("POST", l.URL+"/api/v1/backups", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	var r struct{ ID string }
	if err := json.Unmarshal(b, &r); err != nil || r.ID == "" {
		t.Fatalf("create backup: %d %s", res.StatusCode, b)
	}
	return r.ID
}

// run runs a backup to its end.
func (l *live) run(t *testing.T, id string) duplicati.Task {
	t.Helper()
	task, err := l.c.Run(context.Background(), id, false)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		got, err := l.c.Task(context.Background(), task)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status.Over() {
			return got
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the task does not end")
	return duplicati.Task{}
}

func everyGeneration(t *testing.T, f func(t *testing.T, g string)) {
	for _, g := range duplicatitest.Generations() {
		t.Run(g, func(t *testing.T) { f(t, g) })
	}
}

func TestASessionIsOpenedRefreshedAndEnded(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		first, err := l.bare.Login(ctx, secret.New(password), true)
		if err != nil {
			t.Fatal(err)
		}
		now := l.Clock().Now()
		if d := first.RefreshEnds.Sub(now); !first.CanRefresh(now) || d < 29*24*time.Hour || first.AccessEnds.Sub(now) > 16*time.Minute {
			t.Fatalf("the refresh token ends in %s, the access token at %s", d, first.AccessEnds)
		}
		second, err := l.bare.Refresh(ctx, first)
		if err != nil || second.Cookie.Equal(first.Cookie) || second.CookieName != first.CookieName {
			t.Fatalf("refresh gave %+v, %v", second, err)
		}
		if g != "2.1" && second.Nonce.Equal(first.Nonce) {
			t.Fatal("the nonce did not change")
		}
		if err := l.bare.ProveRefused(ctx, second); duplicati.KindOf(err) != duplicati.Conflict {
			t.Fatalf("a living session was proved dead: %v", err)
		}
		if err := l.bare.Logout(ctx, second); err != nil {
			t.Fatal(err)
		}
		if err := l.bare.ProveRefused(ctx, second); err != nil {
			t.Fatalf("the session lives on: %v", err)
		}
		third, err := l.bare.Login(ctx, secret.New(password), true)
		if err != nil {
			t.Fatal(err)
		}
		l.Advance(time.Hour) // its access token is dead by itself
		if err := l.bare.ProveRefused(ctx, third); duplicati.KindOf(err) != duplicati.Conflict {
			t.Fatalf("a refresh token that works was proved dead: %v", err)
		}
		if err := l.bare.ProveRefused(ctx, third); err != nil {
			t.Fatalf("the attempt left a session: %v", err)
		}
		l.Advance(31 * 24 * time.Hour)
		if err := l.bare.ProveRefused(ctx, third); duplicati.KindOf(err) != duplicati.Misused {
			t.Fatalf("tokens that ended by themselves prove something: %v", err)
		}
		if _, err := l.bare.Refresh(ctx, second); duplicati.KindOf(err) != duplicati.LoginFailed {
			t.Fatalf("a dead refresh token gave %v", err)
		}
		for _, r := range l.Requests() {
			if strings.Contains(r.Path, "/auth/") && r.Header.Get("Authorization") != "" {
				t.Errorf("%s %s carries Authorization", r.Method, r.Path)
			}
		}
	})
}

func TestASessionThatIsNotRememberedIsShort(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		s, err := l.bare.Login(context.Background(), secret.New(password), false)
		if err != nil {
			t.Fatal(err)
		}
		if g == "2.1" {
			if s.CanRefresh(l.Clock().Now()) || s.CookieName != "" {
				t.Fatalf("2.1 gives no refresh token, but got %+v", s)
			}
			if err := l.bare.Logout(context.Background(), s); duplicati.KindOf(err) != duplicati.Unsupported {
				t.Fatalf("nothing can be ended, but got %v", err)
			}
			return
		}
		if d := s.RefreshEnds.Sub(l.Clock().Now()); d > 2*time.Hour+time.Second || d < time.Hour {
			t.Fatalf("the refresh token ends in %s: the cookie's date was believed", d)
		}
	})
}

func TestAWrongPasswordIsNotAFault(t *testing.T) {
	l := start(t, "", nil)
	if _, err := l.bare.Login(context.Background(), secret.New("wrong"), true); duplicati.KindOf(err) != duplicati.LoginFailed {
		t.Fatalf("got %v", err)
	}
	if _, err := l.bare.Login(context.Background(), secret.Value{}, true); duplicati.KindOf(err) != duplicati.Misused {
		t.Fatalf("got %v", err)
	}
	if _, err := l.bare.SignIn(context.Background(), secret.New("garbage"), true); duplicati.KindOf(err) != duplicati.LoginFailed {
		t.Fatalf("got %v", err)
	}
	l.Restart(duplicatitest.RestartOptions{NoSigninTokens: ptr(true)})
	if _, err := l.bare.SignIn(context.Background(), secret.New("garbage"), true); duplicati.KindOf(err) != duplicati.SigninDisabled {
		t.Fatalf("got %v", err)
	}
}

func ptr[T any](v T) *T { return &v }

func TestADeadTokenIsReplacedOnce(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		for name, kill := range map[string]func(t *testing.T, l *live){
			"expired":     func(t *testing.T, l *live) { l.Advance(20 * time.Minute) },
			"keys reset":  func(t *testing.T, l *live) { l.Restart(duplicatitest.RestartOptions{ResetKeys: true}) },
			"logged out":  func(t *testing.T, l *live) { _ = l.bare.Logout(context.Background(), l.tokens.s) },
			"nothing bad": func(t *testing.T, l *live) {},
		} {
			t.Run(name, func(t *testing.T) {
				l := start(t, g, nil)
				if _, err := l.c.State(context.Background()); err != nil {
					t.Fatal(err)
				}
				kill(t, l)
				l.ForgetRequests()
				if _, err := l.c.State(context.Background()); err != nil {
					t.Fatal(err)
				}
				want := 2
				if name == "nothing bad" {
					want = 1
				}
				if n := l.Count("GET", "/api/v1/serverstate"); n != want || l.tokens.rejected != want-1 {
					t.Errorf("%d calls, %d rejections; want %d and %d", n, l.tokens.rejected, want, want-1)
				}
			})
		}
	})
}

func TestAServerThatRefusesEveryTokenIsAskedTwiceAndNoMore(t *testing.T) {
	l := start(t, "", nil)
	if _, err := l.c.State(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, f := range []duplicatitest.Fault{{Prefix: "/api/v1/serverstate", Status: 401, Header: http.Header{"Content-Type": nil}}, {Prefix: "/api/v1/serverstate", Status: 500, Header: http.Header{"Content-Type": nil}}} {
		remove := l.Inject(f)
		l.ForgetRequests()
		if _, err := l.c.State(context.Background()); duplicati.KindOf(err) != duplicati.NotAuthorized {
			t.Fatalf("got %v", err)
		}
		remove()
	}
	if l.tokens.rejected != 2 {
		t.Fatalf("the tokens were rejected %d times", l.tokens.rejected)
	}
}

func TestARefusalInWordsIsNoDeadSession(t *testing.T) {
	l := start(t, "", nil)
	if _, err := l.c.ForeverToken(context.Background()); duplicati.KindOf(err) != duplicati.ForeverDisabled {
		t.Fatalf("got %v", err)
	}
	l.Restart(duplicatitest.RestartOptions{ForeverTokens: ptr(true)})
	token, err := l.c.ForeverToken(context.Background())
	if err != nil || token.Empty() {
		t.Fatal(err)
	}
	if _, err := l.c.ForeverToken(context.Background()); duplicati.KindOf(err) != duplicati.ForeverUsed {
		t.Fatalf("got %v", err)
	}
	if l.tokens.rejected != 0 {
		t.Fatal("a refusal in words ended the session")
	}
}

func TestALostRefreshIsUncertainAndWorksOnceMore(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		s, err := l.bare.Login(context.Background(), secret.New(password), true)
		if err != nil {
			t.Fatal(err)
		}
		l.Inject(duplicatitest.Fault{Prefix: "/api/v1/auth/refresh", Times: 1, LoseReply: true})
		_, err = l.bare.Refresh(context.Background(), s)
		var e *duplicati.Error
		if !errors.As(err, &e) || !e.Uncertain {
			t.Fatalf("got %v", err)
		}
		if _, err := l.bare.Refresh(context.Background(), s); err != nil {
			t.Fatalf("within 30 s the old pair works: %v", err)
		}
	})
}

func TestABackupRunsAndItsLogTells(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		id := l.add(t, "Photos", "null")
		l.SetOutcome(id, duplicatitest.Outcome{}, duplicatitest.Outcome{Result: duplicatitest.Warns}, duplicatitest.Outcome{Result: duplicatitest.Errs},
			duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk at ftp://bob:canary-secret@nas/x"}, duplicatitest.Outcome{Partial: true})
		want := []duplicati.Verdict{duplicati.Succeeded, duplicati.Warned, duplicati.Erred, duplicati.Fatal, duplicati.Stopped}
		for i, v := range want {
			task := l.run(t, id)
			rows, err := l.c.Log(ctx, id, duplicati.Page{Size: 10})
			if err != nil || len(rows) == 0 || rows[0].Result == nil {
				t.Fatalf("run %d: log %+v, %v", i, rows, err)
			}
			if i == 0 && g == "2.2" || i == 0 && strings.HasPrefix(g, "2.3") {
				// The target carries an option that its module does not know.
				v = rows[0].Result.Verdict()
				if v != duplicati.Warned && v != duplicati.Succeeded {
					t.Errorf("a clean run is %s", v)
				}
			} else if got := rows[0].Result.Verdict(); got != v {
				t.Errorf("run %d is %s, want %s", i, got, v)
			}
			if v == duplicati.Fatal && g != "2.1" && (task.Status != duplicati.Failed || task.Error == "" || strings.Contains(task.Error, "canary")) {
				t.Errorf("the failed task is %+v", task)
			}
			if g == "2.1" && task.Status != duplicati.Ended {
				t.Errorf("on 2.1 a task that ended says %s", task.Status)
			}
		}
		b, err := l.c.Backup(ctx, id)
		if err != nil || b.Facts.NeverRan() || b.Facts.Versions == nil || len(b.Sources) != 1 {
			t.Fatalf("%+v, %v", b, err)
		}
		if v, ok := b.Setting("--passphrase"); !ok || v.Empty() {
			t.Error("the passphrase setting is not found")
		}
		if text := fmt.Sprintf("%+v", b); strings.Contains(text, "canary") {
			t.Errorf("a secret shows: %s", text)
		}
		if rows, err := l.c.ServerLog(ctx, duplicati.Page{}); err != nil || strings.Contains(fmt.Sprint(rows), "canary") {
			t.Errorf("server log: %v, %v", rows, err)
		}
		if list, err := l.c.Notifications(ctx); err != nil || len(list) == 0 || strings.Contains(fmt.Sprint(list), "canary") {
			t.Errorf("notifications: %v, %v", list, err)
		}
	})
}

func TestWhatRunsIsStoppedAndWhatWaitsIsNot(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		big, small := l.add(t, "Big", "null"), l.add(t, "Small", "null")
		l.SetOutcome(big, duplicatitest.Outcome{Hold: true})
		first, err := l.c.Run(ctx, big, false)
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the backup runs", func() bool { s, err := l.c.State(ctx); return err == nil && s.Runs(big) })
		second, err := l.c.Run(ctx, small, false)
		if err != nil {
			t.Fatal(err)
		}
		again, err := l.c.Run(ctx, small, true)
		if err != nil || again != second {
			t.Fatalf("running a waiting backup gave task %d, %v; want %d", again, err, second)
		}
		tasks, err := l.c.Tasks(ctx)
		if err != nil || len(tasks) != 2 || tasks[0].Status != duplicati.Running || tasks[0].Backup != big || tasks[1].Status != duplicati.Waiting || tasks[1].Backup != small {
			t.Fatalf("tasks are %+v, %v", tasks, err)
		}
		if active, err := l.c.IsActive(ctx, small); err != nil || !active {
			t.Fatalf("active: %v, %v", active, err)
		}
		p, err := l.c.Progress(ctx)
		if err != nil || p.Task != first || p.Backup != big || p.Phase == "" {
			t.Fatalf("progress is %+v, %v", p, err)
		}
		if err := l.c.Stop(ctx, second); duplicati.KindOf(err) != duplicati.Conflict {
			t.Fatalf("stopping a waiting task gave %v", err)
		}
		if err := l.c.Abort(ctx, second); duplicati.KindOf(err) != duplicati.Conflict {
			t.Fatalf("aborting a waiting task gave %v", err)
		}
		_, err = l.c.Delete(ctx, big, duplicati.DeleteOptions{})
		var e *duplicati.Error
		if g != "2.1" && (!errors.As(err, &e) || e.Kind != duplicati.Busy || e.Task != first) {
			t.Fatalf("deleting what runs gave %v", err)
		}
		if err := l.c.Stop(ctx, first); err != nil {
			t.Fatal(err)
		}
		until(t, "the task is over", func() bool { task, err := l.c.Task(ctx, first); return err == nil && task.Status.Over() })
		if err := l.c.Stop(ctx, first); duplicati.KindOf(err) != duplicati.Conflict {
			t.Fatalf("stopping an ended task gave %v", err)
		}
		if err := l.c.Stop(ctx, 99999); duplicati.KindOf(err) != duplicati.NotFound {
			t.Fatalf("stopping an unknown task gave %v", err)
		}
	})
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for range 500 {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited in vain until %s", what)
}

func TestStoppingWorksOnAServerWhoseGenerationWasTakenForAnother(t *testing.T) {
	for real, assumed := range map[string]duplicati.Generation{"2.1": duplicati.G231, "2.3.1": duplicati.G21} {
		l := start(t, real, nil)
		ctx := context.Background()
		id := l.add(t, "Big", "null")
		l.SetOutcome(id, duplicatitest.Outcome{Hold: true})
		l.c.Assume(assumed)
		task, err := l.c.Run(ctx, id, false)
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the backup runs", func() bool { s, err := l.c.State(ctx); return err == nil && s.Runs(id) })
		if err := l.c.Stop(ctx, task); err != nil {
			t.Errorf("%s taken for %s: %v", real, assumed, err)
		}
		until(t, "the task is over", func() bool { got, err := l.c.Task(ctx, task); return err == nil && got.Status.Over() })
	}
}

func TestABackupIsDeletedByATask(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		id := l.add(t, "Photos", "null")
		l.run(t, id)
		if shared, err := l.c.DatabaseShared(context.Background(), id); err != nil || shared {
			t.Fatalf("shared: %v, %v", shared, err)
		}
		task, err := l.c.Delete(context.Background(), id, duplicati.DeleteOptions{RemoteFiles: true, LocalDB: true})
		if err != nil || task == 0 {
			t.Fatal(err)
		}
		until(t, "the backup is gone", func() bool {
			_, err := l.c.Backup(context.Background(), id)
			return duplicati.KindOf(err) == duplicati.NotFound
		})
		if _, err := l.c.Delete(context.Background(), id, duplicati.DeleteOptions{}); duplicati.KindOf(err) != duplicati.NotFound {
			t.Fatalf("a second delete gave %v", err)
		}
	})
}

func TestAnOddPauseIsRefusedBeforeItIsSent(t *testing.T) {
	l := start(t, "2.1", nil)
	ctx := context.Background()
	if _, err := l.c.Generation(ctx); err != nil {
		t.Fatal(err)
	}
	for _, o := range []duplicati.PauseOptions{{}, {For: -time.Minute}, {For: time.Millisecond}, {For: 25 * time.Hour}, {For: time.Hour, UntilResumed: true}} {
		if err := l.c.Pause(ctx, o); duplicati.KindOf(err) != duplicati.Misused {
			t.Errorf("%+v gave %v", o, err)
		}
	}
	if err := l.c.Pause(ctx, duplicati.PauseOptions{For: time.Hour, Transfers: true}); duplicati.KindOf(err) != duplicati.Unsupported {
		t.Errorf("2.1 cannot pause transfers, but got %v", err)
	}
	if n := l.Count("POST", "/api/v1/serverstate/pause"); n != 0 {
		t.Fatalf("%d pauses were sent", n)
	}
}

func TestAPauseHasItsEnd(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		if err := l.c.Pause(ctx, duplicati.PauseOptions{For: 90 * time.Minute}); err != nil {
			t.Fatal(err)
		}
		s, err := l.c.State(ctx)
		if d := s.PauseEnds.Sub(l.Clock().Now()); err != nil || !s.Paused || d < 89*time.Minute || d > 91*time.Minute {
			t.Fatalf("%+v, %v", s, err)
		}
		if err := l.c.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		if s, err = l.c.State(ctx); err != nil || s.Paused || !s.PauseEnds.IsZero() {
			t.Fatalf("%+v, %v", s, err)
		}
		if err := l.c.Pause(ctx, duplicati.PauseOptions{UntilResumed: true}); err != nil {
			t.Fatal(err)
		}
		if s, err = l.c.State(ctx); err != nil || !s.Paused || !s.PauseEnds.IsZero() || !s.Idle() {
			t.Fatalf("%+v, %v", s, err)
		}
	})
}

func TestWaitingForAChangeReturnsWithIt(t *testing.T) {
	l := start(t, "", nil)
	ctx := context.Background()
	s, err := l.c.State(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.c.WaitState(ctx, s.EventID, time.Second); duplicati.KindOf(err) != duplicati.Misused {
		t.Fatalf("got %v", err)
	}
	got := make(chan duplicati.State, 1)
	go func() {
		s, _ := l.c.WaitState(ctx, s.EventID, time.Minute)
		got <- s
	}()
	time.Sleep(50 * time.Millisecond)
	if err := l.c.Pause(ctx, duplicati.PauseOptions{UntilResumed: true}); err != nil {
		t.Fatal(err)
	}
	select {
	case s := <-got:
		if !s.Paused {
			t.Fatalf("%+v", s)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the wait does not end")
	}
}

func TestListingVersionsIsRefusedWhereItDoesHarm(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		id, other := l.add(t, "Photos", "null"), l.add(t, "Other", "null")
		refused := func(when string, held bool) {
			t.Helper()
			if _, err := l.c.Versions(ctx, id, held); duplicati.KindOf(err) != duplicati.Harmful {
				t.Errorf("%s: got %v", when, err)
			}
		}
		refused("never ran", true)
		l.run(t, id)
		if g != "2.3.1" {
			refused("nobody holds the server", false)
			refused("said to be held, but it is not paused", true)
		}
		if err := l.c.Pause(ctx, duplicati.PauseOptions{UntilResumed: true}); err != nil {
			t.Fatal(err)
		}
		versions, err := l.c.Versions(ctx, id, true)
		if err != nil || len(versions) != 1 || versions[0].Number != 0 || versions[0].Time.IsZero() {
			t.Fatalf("%+v, %v", versions, err)
		}
		if _, err := l.c.Run(ctx, other, false); err != nil {
			t.Fatal(err)
		}
		if g != "2.3.1" {
			refused("another one waits", true)
		}
		if err := l.c.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		until(t, "it ran", func() bool { s, err := l.c.State(ctx); return err == nil && s.Idle() })
		l.SetOutcome(id, duplicatitest.Outcome{Hold: true})
		if _, err := l.c.Run(ctx, id, false); err != nil {
			t.Fatal(err)
		}
		until(t, "it runs", func() bool { s, err := l.c.State(ctx); return err == nil && s.Runs(id) })
		l.ForgetRequests()
		refused("it runs", true)
		for _, r := range l.Requests() {
			if strings.Contains(r.Path, "filesets") {
				t.Errorf("%s was sent", r.Path)
			}
		}
		l.Finish()
	})
}

func TestAnExportComesBackAsAnImport(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		id := l.add(t, "Photos", "null")
		plain, err := l.c.Export(ctx, id, duplicati.ExportOptions{Secrets: true})
		if err != nil || plain.Encrypted || !strings.Contains(plain.Contents.Reveal(), "canary-passphrase") {
			t.Fatalf("%+v, %v", plain, err)
		}
		sealed, err := l.c.Export(ctx, id, duplicati.ExportOptions{Passphrase: secret.New("export secret"), Secrets: true})
		if err != nil || !sealed.Encrypted {
			t.Fatalf("%+v, %v", sealed, err)
		}
		bare, err := l.c.Export(ctx, id, duplicati.ExportOptions{})
		if err != nil || strings.Contains(bare.Contents.Reveal(), "canary-passphrase") {
			t.Fatalf("%v", err)
		}
		if _, err := l.c.Export(ctx, id, duplicati.ExportOptions{Passphrase: secret.New("  ")}); duplicati.KindOf(err) != duplicati.Misused {
			t.Fatalf("a blank passphrase gave %v", err)
		}
		if _, err := l.c.Export(ctx, "999", duplicati.ExportOptions{}); duplicati.KindOf(err) != duplicati.NotFound {
			t.Fatalf("got %v", err)
		}
		twin, err := l.c.Import(ctx, plain.Contents, duplicati.ImportOptions{})
		if err != nil || twin == id {
			t.Fatalf("%q, %v", twin, err)
		}
		if b, err := l.c.Backup(ctx, twin); err != nil || b.Name != "Photos (1)" {
			t.Fatalf("%q, %v", b.Name, err)
		}
		if _, err := l.c.Import(ctx, sealed.Contents, duplicati.ImportOptions{Passphrase: secret.New("export secret")}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.c.Import(ctx, sealed.Contents, duplicati.ImportOptions{Passphrase: secret.New("wrong")}); duplicati.KindOf(err) != duplicati.WrongPassphrase {
			t.Fatalf("got %v", err)
		}
		if _, err := l.c.Import(ctx, sealed.Contents, duplicati.ImportOptions{}); duplicati.KindOf(err) != duplicati.PassphraseGone {
			t.Fatalf("got %v", err)
		}
		if _, err := l.c.Import(ctx, secret.New("not json"), duplicati.ImportOptions{}); duplicati.KindOf(err) != duplicati.ServerFault {
			t.Fatalf("got %v", err)
		}
		if _, err := l.c.Import(ctx, bare.Contents, duplicati.ImportOptions{Replace: map[string]secret.Value{"color": secret.New("red")}}); !errors.Is(err, duplicati.Misused) && !errors.Is(err, duplicati.Unsupported) {
			t.Fatalf("got %v", err)
		}
		l.ForgetRequests()
		replaced, err := l.c.Import(ctx, bare.Contents, duplicati.ImportOptions{Replace: map[string]secret.Value{
			"settings.passphrase": secret.New("another"), "targeturl": secret.New("file:///data/dst/elsewhere"), "name": secret.New("Elsewhere"),
		}})
		if g == "2.1" || g == "2.2" {
			if duplicati.KindOf(err) != duplicati.Unsupported || !strings.Contains(err.Error(), "2.3.0") {
				t.Fatalf("got %v", err)
			}
			if n := l.Count("POST", "/api/v1/backups/import"); n != 0 {
				t.Fatal("it was sent all the same")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.c.Backup(ctx, replaced)
		if err != nil || b.Name != "Elsewhere" || b.TargetURL.Reveal() != "file:///data/dst/elsewhere" {
			t.Fatalf("%+v, %v", b, err)
		}
	})
}

func TestAPasswordIsChangedAndSettingsAreReadBack(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		if err := l.c.SetPassword(ctx, secret.New(`new "word" é`)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.bare.Login(ctx, secret.New(`new "word" é`), false); err != nil {
			t.Fatal(err)
		}
		if _, err := l.bare.Login(ctx, secret.New(password), false); duplicati.KindOf(err) != duplicati.LoginFailed {
			t.Fatalf("the old one gave %v", err)
		}
		if err := l.c.SetPassword(ctx, secret.Value{}); duplicati.KindOf(err) != duplicati.Misused {
			t.Fatalf("got %v", err)
		}
		if err := l.c.SetSettings(ctx, map[string]*secret.Value{"max-upload-speed": ptr(secret.New("1mb")), "--auth-password": ptr(secret.New("canary-secret"))}); err != nil {
			t.Fatal(err)
		}
		settings, err := l.c.Settings(ctx)
		if err != nil || settings["max-upload-speed"].Reveal() != "1mb" || settings["--auth-password"].Empty() {
			t.Fatalf("%v", err)
		}
		if text := fmt.Sprintf("%+v", settings); strings.Contains(text, "canary") {
			t.Fatal("a default option shows")
		}
	})
}

func TestARememberedGenerationCostsNoQuestion(t *testing.T) {
	l := start(t, "2.3.0", nil)
	l.c.Assume(duplicati.G230)
	id := l.add(t, "Photos", "null")
	if _, err := l.c.Task(context.Background(), 1); duplicati.KindOf(err) != duplicati.NotFound {
		t.Fatal(err)
	}
	if _, err := l.c.Backup(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	if n := l.Count("GET", "/api/v1/systeminfo"); n != 0 {
		t.Fatalf("the server was asked %d times what it is", n)
	}
	l.c.Forget()
	if g, err := l.c.Generation(context.Background()); err != nil || g != duplicati.G230 {
		t.Fatalf("%s, %v", g, err)
	}
	if _, err := l.c.Generation(context.Background()); err != nil || l.Count("GET", "/api/v1/systeminfo") != 1 {
		t.Fatal("it is asked more than once")
	}
}

func TestA20ServerIsRefusedInWords(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login.cgi" {
			io.WriteString(w, `{"Status":"OK","Nonce":"AAAA","Salt":"BBBB"}`)
			return
		}
		w.Header().Set("Location", "/login.html")
		w.WriteHeader(401)
		io.WriteString(w, "Not logged in")
	}))
	defer s.Close()
	c, err := duplicati.New(duplicati.Options{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Login(context.Background(), secret.New("word"), true); duplicati.KindOf(err) != duplicati.Unsupported || !strings.Contains(err.Error(), "2.0") {
		t.Fatalf("got %v", err)
	}
	d, err := duplicati.Diagnose(context.Background(), duplicati.Options{URL: s.URL})
	if err != nil || d.Failure() == nil || d.Failure().Stage != duplicati.StageHealth || !strings.Contains(d.Failure().Words, "2.0") {
		t.Fatalf("%+v, %v", d, err)
	}
}

func TestOneConnectionCarriesManyCalls(t *testing.T) {
	l := start(t, "", nil)
	var hosts sync.Map
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts.Store(r.RemoteAddr, true)
		l.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	c, err := duplicati.New(duplicati.Options{URL: proxy.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	logged := c.With(&keeper{c: c, password: password})
	for range 20 {
		if _, err := logged.State(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	hosts.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Fatalf("21 calls took %d connections", n)
	}
}
