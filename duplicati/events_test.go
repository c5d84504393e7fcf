package duplicati_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

var topics = []duplicati.Topic{duplicati.OfState, duplicati.OfProgress, duplicati.OfTasks, duplicati.OfTaskEnds, duplicati.OfNotifications, duplicati.OfBackups}

func TestEventsTellOfARun(t *testing.T) {
	for _, g := range []string{"2.2", "2.3.0", "2.3.1"} {
		t.Run(g, func(t *testing.T) {
			l := start(t, g, nil)
			id := l.add(t, "Photos", "null")
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			s, err := l.c.Subscribe(ctx, topics...)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			task, err := l.c.Run(ctx, id, false)
			if err != nil {
				t.Fatal(err)
			}
			seen := make(map[duplicati.Topic]bool)
			for !seen[duplicati.OfTaskEnds] || !seen[duplicati.OfState] || !seen[duplicati.OfBackups] {
				e, err := s.Next(ctx)
				if err != nil {
					t.Fatalf("after %v: %v", seen, err)
				}
				switch e.Topic {
				case duplicati.OfTaskEnds:
					seen[e.Topic] = e.Task.ID == task && e.Task.Status == duplicati.Completed
				case duplicati.OfState:
					seen[e.Topic] = seen[e.Topic] || e.State.Runs(id)
				case duplicati.OfBackups:
					seen[e.Topic] = len(e.Backups) == 1 && e.Backups[0].Name == "Photos"
				case duplicati.OfProgress:
					seen[e.Topic] = e.Progress.Task == task
				}
			}
			for _, r := range l.Requests() {
				if strings.HasPrefix(r.Path, "/notifications?") {
					t.Errorf("a token went into the URL: %s", r.Path)
				}
			}
		})
	}
}

func TestOn21OnlyTheStateIsPushed(t *testing.T) {
	l := start(t, "2.1", nil)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := l.c.Subscribe(ctx, duplicati.OfState, duplicati.OfProgress); duplicati.KindOf(err) != duplicati.Unsupported {
		t.Fatalf("got %v", err)
	}
	s, err := l.c.Subscribe(ctx, duplicati.OfState)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := l.c.Pause(ctx, duplicati.PauseOptions{UntilResumed: true}); err != nil {
		t.Fatal(err)
	}
	for {
		e, err := s.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if e.State.Paused {
			return
		}
	}
}

func TestASubscriptionWithADeadTokenLogsInOnce(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if _, err := l.c.Generation(ctx); err != nil {
			t.Fatal(err)
		}
		l.Restart(duplicatitest.RestartOptions{ResetKeys: true})
		s, err := l.c.Subscribe(ctx, duplicati.OfState)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if e, err := s.Next(ctx); err != nil || e.State == nil || e.State.Paused {
			t.Fatalf("%+v, %v", e, err)
		}
		if l.tokens.rejected != 1 {
			t.Fatalf("%d rejections", l.tokens.rejected)
		}
	})
}

func TestAServerThatGoesAwayEndsTheSubscription(t *testing.T) {
	l := start(t, "", nil)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := l.c.Subscribe(ctx, duplicati.OfTaskEnds)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l.Restart(duplicatitest.RestartOptions{})
	if e, err := s.Next(ctx); err == nil || ctx.Err() != nil {
		t.Fatalf("got %+v, %v", e, err)
	}
}

func TestWhatOpensNoWebsocketIsSorted(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a page":      func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>")) },
		"bad gateway": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(502) },
	} {
		_, c := serve(t, h, duplicati.Options{})
		if _, err := c.Subscribe(context.Background(), duplicati.OfState); duplicati.KindOf(err) != duplicati.NotDuplicati {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A proxy that lets no websocket through ends no session.
func TestARefusedUpgradeIsNoDeadSession(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		if _, err := l.c.Generation(ctx); err != nil {
			t.Fatal(err)
		}
		for status, header := range map[int]http.Header{401: {"Www-Authenticate": {"Bearer"}, "Content-Type": nil}, 500: {"Content-Type": nil}, 302: {"Location": {"https://login.example.com/?next=x"}}, 403: {"Content-Type": nil}} {
			remove := l.Inject(duplicatitest.Fault{Prefix: "/notifications", Status: status, Header: header})
			_, err := l.c.Subscribe(ctx, duplicati.OfState)
			want := duplicati.NotDuplicati
			if g == "2.1" && status == 500 {
				want = duplicati.NotAuthorized // so it says that the session was ended
			}
			if duplicati.KindOf(err) != want {
				t.Errorf("%d: %v, want %s", status, err, want)
			}
			remove()
		}
		if want := map[bool]int{true: 1}[g == "2.1"]; l.tokens.rejected != want {
			t.Errorf("%d tokens were called dead, want %d", l.tokens.rejected, want)
		}
	})
}

func TestALostSubscriptionShowsNoToken(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		if _, err := l.c.Generation(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, f := range []duplicatitest.Fault{{Reset: true}, duplicatitest.BadGateway(), {Status: 200, Body: "<html>"}} {
			f.Prefix = "/notifications"
			remove := l.Inject(f)
			_, err := l.c.Subscribe(context.Background(), duplicati.OfState)
			remove()
			if err == nil {
				t.Fatalf("%+v made no difference", f)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, "eyJ") || strings.Contains(text, "token=") {
					t.Errorf("a token shows: %s", text)
				}
			}
		}
	})
}
