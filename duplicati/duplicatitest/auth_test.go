package duplicatitest_test

import (
	"encoding/base64"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

func TestOnePreviousPairIsGoodForThirtySecondsOnce(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		first := c.login()
		if r := c.refresh(first); r.Status != 200 {
			t.Fatalf("refresh: %d %s", r.Status, r.Body)
		}
		c.Advance(30 * time.Second)
		second := c.refresh(first)
		if second.Status != 200 {
			t.Fatalf("the previous pair after 30 s: %d %s", second.Status, second.Body)
		}
		if r := c.refresh(first); r.Status != 401 {
			t.Errorf("the previous pair a third time: %d", r.Status)
		}
		if r := c.refresh(second.session(t)); r.Status != 401 {
			t.Errorf("the family lives on: %d", r.Status)
		}
	})
}

func TestAPreviousPairKillsTheSessionAfterThirtySeconds(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	first := c.login()
	next := c.refresh(first).session(t)
	c.token = next.AccessToken
	c.Advance(31 * time.Second)
	c.refresh(first).want(t, 401, `{"Error":"Failed to refresh token","Code":401}`)
	c.do("GET", "/api/v1/serverstate", "").want(t, 500, "")
	c.do("GET", "/health", "").want(t, 500, "")
	c.do("POST", "/api/v1/auth/login", `{"Password":"correct-password"}`).want(t, 500, "")
	c.token = ""
	c.do("GET", "/health", "").want(t, 200, "Healthy")
}

func TestAWrongNonceKeepsTheSession(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	s := c.login()
	wrong := s
	wrong.RefreshNonce = "d3Jvbmc="
	c.refresh(wrong).want(t, 401, `{"Error":"Failed to refresh token","Code":401}`)
	if r := c.refresh(s); r.Status != 200 {
		t.Errorf("the right nonce after it: %d", r.Status)
	}
}

func TestOfTwoRefreshesAtOnceTheLaterCookieLives(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	s := c.login()
	replies := make([]*reply, 2)
	var both sync.WaitGroup
	for i := range replies {
		both.Go(func() { replies[i] = c.refresh(s) })
	}
	both.Wait()
	for _, r := range replies {
		if r.Status != 200 {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
	}
	c.Advance(31 * time.Second)
	alive := 0
	for _, r := range replies {
		if c.refresh(r.session(t)).Status == 200 {
			alive++
		}
	}
	if alive > 1 {
		t.Errorf("%d of the two cookies live, want at most one", alive)
	}
}

func TestAccessTokensEndAfterFifteenMinutesAndFiveSecondsOfGrace(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	c.login()
	c.Advance(15*time.Minute + 5*time.Second)
	if r := c.do("GET", "/api/v1/serverstate", ""); r.Status != 200 {
		t.Errorf("within the skew: %d", r.Status)
	}
	c.Advance(time.Second)
	r := c.do("GET", "/api/v1/serverstate", "")
	r.want(t, 401, "")
	want := `Bearer error="invalid_token", error_description="The token expired at '03/02/2026 08:15:00'"`
	if got := r.Header.Get("WWW-Authenticate"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestShortSessionsLiveTwoHoursAlthoughTheCookieSaysThirtyDays(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	r := c.do("POST", "/api/v1/auth/login", `{"Password":"correct-password"}`)
	if !strings.Contains(r.Header.Get("Set-Cookie"), "expires=Wed, 01 Apr 2026 08:00:00 GMT") {
		t.Errorf("cookie %q", r.Header.Get("Set-Cookie"))
	}
	s := r.session(t)
	c.Advance(2*time.Hour - time.Second)
	again := c.refresh(s)
	if again.Status != 200 {
		t.Fatalf("before two hours are over: %d", again.Status)
	}
	c.Advance(2*time.Hour + 6*time.Second)
	if r := c.refresh(again.session(t)); r.Status != 401 {
		t.Errorf("after two hours without: %d", r.Status)
	}
}

func TestTheCookieIsNamedForThePortOfTheHostHeader(t *testing.T) {
	c := start(t, duplicatitest.Options{AllowedHostnames: "nas.example"})
	for host, want := range map[string]string{
		"127.0.0.1:8200": "RefreshToken_8200=", "nas.example": "RefreshToken_0=", "[::1]:443": "RefreshToken_443=", "localhost": "RefreshToken_0=",
	} {
		r := c.do("POST", "/api/v1/auth/login", `{"Password":"correct-password"}`, "Host", host)
		cookie := r.Header.Get("Set-Cookie")
		name, _, _ := strings.Cut(host, ":")
		if strings.HasPrefix(host, "[") {
			name = "[::1]"
		}
		if !strings.HasPrefix(cookie, want) || !strings.Contains(cookie, "; domain="+name+"; path=/api/v1/auth/refresh") {
			t.Errorf("Host %s: %s", host, cookie)
		}
	}
	s := c.login()
	other := c.request("POST", "/api/v1/auth/refresh", `{"Nonce":"`+s.RefreshNonce+`"}`, "Cookie", s.cookie, "Host", "127.0.0.1")
	other.Header.Del("Authorization")
	c.send(other).want(t, 401, `{"Error":"Authorization failed due to missing cookie.","Code":401}`)
}

func TestLogoutNeedsTheNonceButNeverSaysSo(t *testing.T) {
	for _, g := range duplicatitest.Generations() {
		c := start(t, duplicatitest.Options{Generation: g})
		s := c.login()
		logout := c.request("POST", "/api/v1/auth/refresh/logout", "", "Cookie", s.cookie)
		logout.Header.Del("Authorization")
		c.send(logout).want(t, 200, `{"success":true}`)
		status := c.do("GET", "/api/v1/serverstate", "").Status
		if want := map[bool]int{true: 500, false: 200}[g == "2.1"]; status != want {
			t.Errorf("%s: after a logout without nonce %d, want %d", g, status, want)
		}
	}
}

func TestAResetOfTheSigningKeyEndsEveryTokenInAPlain401(t *testing.T) {
	c := start(t, duplicatitest.Options{ForeverTokens: true})
	s := c.login()
	forever := c.do("POST", "/api/v1/auth/issue-forever-token", "").session(t)
	c.Restart(duplicatitest.RestartOptions{})
	c.token = forever.AccessToken
	if r := c.do("GET", "/api/v1/serverstate", ""); r.Status != 200 {
		t.Errorf("a forever token after a restart: %d", r.Status)
	}
	c.Restart(duplicatitest.RestartOptions{ResetKeys: true})
	for _, token := range []string{s.AccessToken, forever.AccessToken} {
		c.token = token
		r := c.do("GET", "/api/v1/serverstate", "")
		if r.Status != 401 || !strings.Contains(r.Header.Get("WWW-Authenticate"), "The signature key was not found") {
			t.Errorf("%d %s", r.Status, r.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestPreAuthTokensAreGoodEverywhereAndOnlyInTheirCasing(t *testing.T) {
	c := start(t, duplicatitest.Options{PreAuthTokens: []string{"synology-token"}})
	for header, want := range map[string]int{"PreAuth synology-token": 200, "preauth synology-token": 401, "PreAuth other-token1": 401} {
		if r := c.do("GET", "/api/v1/serverstate", "", "Authorization", header); r.Status != want {
			t.Errorf("%s: %d, want %d", header, r.Status, want)
		}
	}
	if r := c.do("GET", "/api/v1/serverstate?token=synology-token", ""); r.Status != 200 {
		t.Errorf("in the query: %d", r.Status)
	}
}

func TestExportTokensAreForOneOperationAndOneMinute(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	id := c.AddBackup(duplicatitest.Backup{Name: "Photos"})
	c.login()
	var issued struct{ Token string }
	c.do("POST", "/api/v1/auth/issuetoken/export", "").decode(t, &issued)
	c.token = ""
	path := "/api/v1/backup/" + id + "/export?token=" + issued.Token
	for range 2 { // it can be used again
		if r := c.do("GET", path, ""); r.Status != 200 {
			t.Errorf("export: %d %s", r.Status, r.Body)
		}
	}
	c.do("GET", "/api/v1/bugreport/1?token="+issued.Token, "").want(t, 401, `{"Error":"Invalid operation","Code":401}`)
	c.Advance(66 * time.Second)
	c.do("GET", path, "").want(t, 500, `{"Error":"An error occurred","Code":500}`)
}

func TestTheSigningKeyIsTheTextAndNotItsBytes(t *testing.T) {
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	c := start(t, duplicatitest.Options{SigningKey: key})
	now := c.Clock().Now()
	token := mint(key, now)
	r := c.do("POST", "/api/v1/auth/signin", `{"SigninToken":"`+token+`","RememberMe":false}`)
	if r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	raw, _ := base64.StdEncoding.DecodeString(key)
	c.do("POST", "/api/v1/auth/signin", `{"SigninToken":"`+mint(string(raw), now)+`"}`).want(t, 401, `{"Error":"Failed to sign in","Code":401}`)
	c.Advance(5*time.Minute + 6*time.Second)
	c.do("POST", "/api/v1/auth/signin", `{"SigninToken":"`+token+`"}`).want(t, 401, `{"Error":"Signin token expired","Code":401}`)
}
