package duplicati_test

import (
	"context"
	"errors"
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
