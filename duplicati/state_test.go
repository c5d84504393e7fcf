package duplicati_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
)

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
