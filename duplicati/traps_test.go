package duplicati_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
)

// What of a server's ways would mislead who does not know them.

func TestAChangedPasswordEndsNoSession(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, func(o *duplicatitest.Options) { o.ForeverTokens = true })
		ctx := context.Background()
		s, err := l.bare.Login(ctx, secret.New(password), true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.c.ForeverToken(ctx); err != nil {
			t.Fatal(err)
		}
		if err := l.c.SetPassword(ctx, secret.New("another")); err != nil {
			t.Fatal(err)
		}
		if _, err := l.c.State(ctx); err != nil || l.tokens.rejected != 0 {
			t.Errorf("the session that changed it: %v, rejected %d times", err, l.tokens.rejected)
		}
		if err := l.bare.ProveRefused(ctx, s); duplicati.KindOf(err) != duplicati.Conflict {
			t.Errorf("another session: %v", err)
		}
	})
}

// minted is a sign-in token that somebody made whose clock is off.
func minted(key string, from time.Time) secret.Value {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	text := part(`{"alg":"HS256","typ":"JWT"}`) + "." + part(fmt.Sprintf(
		`{"typ":"SigninToken","sid":"server-cli","nbf":%d,"exp":%d,"iss":"https://duplicati","aud":"https://duplicati"}`, from.Unix(), from.Add(5*time.Minute).Unix()))
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return secret.New(text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil)))
}

func TestASignInTokenOfAClockThatIsOffIsRefused(t *testing.T) {
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	everyGeneration(t, func(t *testing.T, g string) {
		clock := duplicatitest.NewStandingClock(time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC))
		l := start(t, g, func(o *duplicatitest.Options) { o.SigningKey, o.Clock = key, clock })
		for off, want := range map[time.Duration]duplicati.Kind{
			-6 * time.Minute: duplicati.LoginFailed, -4 * time.Minute: "", 0: "", 5 * time.Second: "", 6 * time.Second: duplicati.LoginFailed, time.Hour: duplicati.LoginFailed,
		} {
			if _, err := l.bare.SignIn(context.Background(), minted(key, clock.Now().Add(off)), false); duplicati.KindOf(err) != want {
				t.Errorf("off by %s: %v, want %q", off, err, want)
			}
		}
	})
}

func TestRunOfABackupWhoseDeletionWaitsIsThatDeletion(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		busy, id := l.add(t, "Busy", "null"), l.add(t, "Photos", "null")
		l.SetOutcome(busy, duplicatitest.Outcome{Hold: true})
		if _, err := l.c.Run(ctx, busy, false); err != nil {
			t.Fatal(err)
		}
		first, err := l.c.Delete(ctx, id, duplicati.DeleteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		second, err := l.c.Delete(ctx, id, duplicati.DeleteOptions{})
		if err != nil || second == first {
			t.Fatalf("a second deletion is task %d, the first %d: %v", second, first, err)
		}
		if task, err := l.c.Run(ctx, id, false); err != nil || task != first {
			t.Errorf("run gave task %d, %v; the deletion is %d", task, err, first)
		}
		if err := l.c.Stop(ctx, first); duplicati.KindOf(err) != duplicati.Conflict {
			t.Errorf("a deletion that waits: %v", err)
		}
		l.Finish()
		until(t, "both are over", func() bool {
			task, err := l.c.Task(ctx, second)
			return err == nil && task.Status.Over()
		})
		if task, err := l.c.Task(ctx, second); err != nil || task.Status == duplicati.Failed {
			t.Errorf("the second deletion: %+v, %v", task, err)
		}
		if _, err := l.c.Backup(ctx, id); duplicati.KindOf(err) != duplicati.NotFound {
			t.Errorf("%v", err)
		}
		if tasks, err := l.c.Tasks(ctx); err != nil || len(tasks) != 0 {
			t.Errorf("an idle server has the tasks %+v, %v", tasks, err)
		}
	})
}

func TestProgressAndTasksOfBeforeAreNotTakenForTheNext(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		id := l.add(t, "Photos", "null")
		if _, err := l.c.Progress(ctx); duplicati.KindOf(err) != duplicati.NotFound {
			t.Errorf("before the first task: %v", err)
		}
		done := l.run(t, id)
		if p, err := l.c.Progress(ctx); err != nil || p.Task != done.ID || p.Backup != id {
			t.Errorf("after it: %+v, %v", p, err)
		}
		l.Restart(duplicatitest.RestartOptions{})
		if _, err := l.c.Progress(ctx); duplicati.KindOf(err) != duplicati.NotFound {
			t.Errorf("after a restart: %v", err)
		}
		if _, err := l.c.Task(ctx, done.ID); duplicati.KindOf(err) != duplicati.NotFound {
			t.Errorf("the task of before: %v", err)
		}
		if again := l.run(t, l.add(t, "Other", "null")); again.ID != done.ID {
			t.Errorf("IDs begin anew: %d, before %d", again.ID, done.ID)
		}
	})
}

func TestAPauseOutlivesARestartWhereTheServerStoresIt(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		clock := duplicatitest.NewStandingClock(time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC))
		l := start(t, g, func(o *duplicatitest.Options) { o.Clock = clock })
		ctx := context.Background()
		if err := l.c.Pause(ctx, duplicati.PauseOptions{For: 2 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		end := clock.Now().Add(2 * time.Hour)
		l.Restart(duplicatitest.RestartOptions{Off: 30 * time.Minute})
		s, err := l.c.State(ctx)
		if g == "2.1" {
			if err != nil || s.Paused {
				t.Errorf("%+v, %v", s, err)
			}
			return
		}
		if err != nil || !s.Paused || !s.PauseEnds.Equal(end) {
			t.Errorf("%+v, %v; want a pause until %s", s, err, end)
		}
		l.Advance(2 * time.Hour)
		if s, err := l.c.State(ctx); err != nil || s.Paused {
			t.Errorf("after its end: %+v, %v", s, err)
		}
	})
}

func TestTheListOfAWebsocketShowsNoCredentials(t *testing.T) {
	for _, g := range []string{"2.2", "2.3.0", "2.3.1"} {
		l := start(t, g, nil)
		l.add(t, "Photos", "null")
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		s, err := l.c.Subscribe(ctx, duplicati.OfBackups, duplicati.OfNotifications, duplicati.OfTasks)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for {
			e, err := s.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if text := fmt.Sprintf("%+v %#v %v", e, e, e.Backups); strings.Contains(text, "canary") {
				t.Errorf("%s: %s", g, text)
			}
			if e.Topic == duplicati.OfBackups {
				if !strings.Contains(e.Backups[0].TargetURL.Reveal(), "canary") {
					t.Errorf("%s: the server sends no credentials, so that this proves nothing", g)
				}
				break
			}
		}
	}
}

func TestEveryCallAsksForEnglishWords(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		id := l.add(t, "Photos", "null")
		l.ForgetRequests()
		l.run(t, id)
		_, _ = l.c.Export(ctx, id, duplicati.ExportOptions{})
		_, _ = l.c.Import(ctx, secret.New("rubbish"), duplicati.ImportOptions{})
		_ = l.c.Pause(ctx, duplicati.PauseOptions{For: time.Minute})
		s, err := l.bare.Login(ctx, secret.New(password), true)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = l.bare.Refresh(ctx, s)
		if len(l.Requests()) < 6 {
			t.Errorf("only %d calls were made", len(l.Requests()))
		}
		for _, r := range l.Requests() {
			if r.Header.Get("X-UI-Language") != "en-US" {
				t.Errorf("%s %s asks for %q", r.Method, r.Path, r.Header.Get("X-UI-Language"))
			}
		}
	})
}

func TestNamesAreFreeText(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		for _, name := range []string{
			"Clean/../evil \\ name", "../..", "..", "/etc/passwd", `C:\evil`, "line\nbreak", "<x> & *bold* _it_ `code`", "@channel", "<!channel>", "1", "ünï \u202ecod\u200be", "a;b=c", `"quoted"`, "%2e%2e%2f", strings.Repeat("long ", 50),
		} {
			id := l.AddBackup(duplicatitest.Backup{Name: name})
			b, err := l.c.Backup(ctx, id)
			if err != nil || b.Name != name {
				t.Errorf("%q is read back as %q, %v", name, b.Name, err)
			}
			x, err := l.c.Export(ctx, id, duplicati.ExportOptions{})
			if err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			if strings.ContainsAny(x.Name, "/\\\x00\n\u202e") || x.Name == ".." || x.Name == "." {
				t.Errorf("%q is exported as %q", name, x.Name)
			}
		}
	})
}
