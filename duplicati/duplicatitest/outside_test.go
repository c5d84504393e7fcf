package duplicatitest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/duplibot/duplibot/duplicati/aescrypt"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
)

func TestFaultsBefallTheRequestsTheyNameAndNoOthers(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	s := c.login()
	c.ForgetRequests()
	bad := duplicatitest.BadGateway()
	bad.Prefix, bad.Skip, bad.Times = "/api/v1/serverstate", 1, 1
	c.Inject(bad)
	var got []int
	for range 3 {
		got = append(got, c.do("GET", "/api/v1/serverstate", "").Status)
	}
	if got[0] != 200 || got[1] != 502 || got[2] != 200 {
		t.Errorf("%v", got)
	}

	remove := c.Inject(duplicatitest.Fault{Method: "POST", Reset: true})
	if _, err := http.DefaultTransport.RoundTrip(c.request("POST", "/api/v1/serverstate/pause", "")); err == nil {
		t.Error("a reset was not felt")
	}
	remove()
	if s := c.state(); s.ProgramState != "Running" {
		t.Error("the server saw a request that was reset")
	}

	c.Inject(duplicatitest.Fault{Method: "POST", LoseReply: true, Times: 1})
	req := c.request("POST", "/api/v1/auth/refresh", `{"Nonce":"`+s.RefreshNonce+`"}`, "Cookie", s.cookie)
	req.Header.Del("Authorization")
	if _, err := http.DefaultTransport.RoundTrip(req); err == nil {
		t.Error("the reply was not lost")
	}
	if r := c.refresh(s); r.Status != 200 {
		t.Errorf("the old pair right after a lost reply: %d", r.Status)
	}
	if n := c.Count("POST", "/api/v1/auth/refresh"); n != 2 {
		t.Errorf("%d refreshes were recorded, want 2", n)
	}

	c.Inject(duplicatitest.Fault{CutReply: 10, Times: 1})
	res, err := http.DefaultTransport.RoundTrip(c.request("GET", "/api/v1/serverstate", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if raw, err := io.ReadAll(res.Body); err == nil || len(raw) != 10 {
		t.Errorf("%d bytes and %v", len(raw), err)
	}

	c.Inject(duplicatitest.Fault{Times: 1, Replace: func(int, http.Header, []byte) (int, []byte) { return 200, []byte(`{"ActiveTask":7}`) }})
	c.do("GET", "/api/v1/serverstate", "").want(t, 200, `{"ActiveTask":7}`)
}

func TestAHangLastsUntilTheClientGivesUpOrTheServerCloses(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	c.Inject(duplicatitest.Fault{Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := http.DefaultTransport.RoundTrip(c.request("GET", "/health", "").WithContext(ctx))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	ended := make(chan error)
	go func() {
		_, err := http.DefaultTransport.RoundTrip(c.request("POST", "/api/v1/auth/login", "{}"))
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	c.Close()
	if err := <-ended; err == nil {
		t.Error("an answer from a closed server")
	}
}

func TestTLSShowsTheCertificateThatCertificateReturns(t *testing.T) {
	c := start(t, duplicatitest.Options{TLS: true})
	pool := x509.NewCertPool()
	pool.AddCert(c.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(c.request("POST", "/api/v1/auth/login", `{"Password":"correct-password"}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if cookie := res.Header.Get("Set-Cookie"); !strings.Contains(cookie, "; secure; samesite=strict") {
		t.Errorf("cookie %s", cookie)
	}
	if _, err := http.DefaultTransport.RoundTrip(c.request("GET", "/health", "")); err == nil {
		t.Error("a client that trusts nobody got through")
	}
}

func TestTheDatabaseFileOpensTheServer(t *testing.T) {
	for _, key := range []string{"", "field-encryption-key"} {
		eachGeneration(t, func(t *testing.T, c *client) {
			c.AddBackup(duplicatitest.Backup{Name: "Photos", Passphrase: "correct horse", TargetURL: "file:///dst?auth-password=canary", Every: "1D", Next: c.Clock().Now().Add(time.Hour)})
			c.login()
			folder := filepath.Join(t.TempDir(), "data #1 50%?")
			if err := c.WriteDatabase(folder, secret.New(key)); err != nil {
				t.Fatal(err)
			}
			file := url.URL{Scheme: "file", OmitHost: true, Path: filepath.Join(folder, duplicatitest.DatabaseName), RawQuery: "mode=ro"}
			db, err := sql.Open("sqlite", file.String())
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			read := func(query string) string {
				t.Helper()
				var stored string
				if err := db.QueryRow(query).Scan(&stored); err != nil {
					t.Fatal(err)
				}
				if aescrypt.EncryptedField(stored) != (key != "") {
					t.Errorf("%s: encrypted %v", query, key == "")
				}
				clear, err := aescrypt.DecryptField(stored, secret.New(key))
				if err != nil {
					t.Fatal(err)
				}
				return clear
			}
			var config struct{ SigningKey string }
			if err := json.Unmarshal([]byte(read(`SELECT Value FROM Option WHERE BackupID=-2 AND Name='jwt-config'`)), &config); err != nil {
				t.Fatal(err)
			}
			if got := read(`SELECT TargetURL FROM Backup WHERE ID=1`); got != "file:///dst?auth-password=canary" {
				t.Errorf("target %q", got)
			}
			if got := read(`SELECT Value FROM Option WHERE BackupID=1 AND Name='passphrase'`); got != "correct horse" {
				t.Errorf("passphrase %q", got)
			}
			var families int
			if err := db.QueryRow(`SELECT count(*) FROM TokenFamily`).Scan(&families); err != nil || families != 1 {
				t.Errorf("%d families, %v", families, err)
			}
			token := mint(config.SigningKey, c.Clock().Now())
			if r := c.do("POST", "/api/v1/auth/signin", `{"SigninToken":"`+token+`","RememberMe":true}`); r.Status != 200 {
				t.Errorf("a token minted from the file: %d %s", r.Status, r.Body)
			}
		})
	}
}

func TestSeedsHaveAPast(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	id := c.AddBackup(duplicatitest.Backup{Runs: []duplicatitest.Run{
		{Ago: 48 * time.Hour},
		{Ago: 24 * time.Hour, Outcome: duplicatitest.Outcome{Result: duplicatitest.Warns, Message: "a file was busy"}},
		{Ago: time.Hour, Outcome: duplicatitest.Outcome{Partial: true}},
	}})
	c.login()
	rows := c.results(id)
	if len(rows) != 3 || !rows[0].PartialBackup || rows[1].ParsedResult != "Warning" || rows[2].ParsedResult != "Success" {
		t.Errorf("%+v", rows)
	}
	if !strings.HasSuffix(rows[1].Warnings[0], ": a file was busy") {
		t.Errorf("warnings %q", rows[1].Warnings)
	}
	if run := c.run(id); run != 2 {
		t.Errorf("the first task is %d: past runs used up IDs", run)
	}
}

func TestCanariesAreWhereServersHoldSecrets(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		canaries := c.PlantCanaries()
		c.login()
		shown := ""
		for _, path := range []string{"backups", "backup/1", "serversettings", "notifications", "logdata/log", "backup/1/log"} {
			shown += c.do("GET", "/api/v1/"+path, "").Body
		}
		seen := 0
		for _, word := range canaries {
			if strings.Contains(shown, word) {
				seen++
			}
		}
		if seen < 5 {
			t.Errorf("only %d of %d can be seen at all", seen, len(canaries))
		}
	})
}

func TestManyClientsAtOnce(t *testing.T) {
	c := start(t, duplicatitest.Options{Clock: duplicatitest.NewClock(), TaskTime: 5 * time.Millisecond})
	ids := []string{c.AddBackup(duplicatitest.Backup{}), c.AddBackup(duplicatitest.Backup{})}
	c.login()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 20 {
				c.do("POST", "/api/v1/backup/"+ids[i%2]+"/run", "")
				c.do("GET", "/api/v1/backups", "")
				c.do("GET", "/api/v1/serverstate", "")
			}
		})
	}
	all.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for c.state().ActiveTask != nil {
		if time.Now().After(deadline) {
			t.Fatal("the queue never ends")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestASocketThatSaysNothingIsClosed(t *testing.T) {
	for range 50 { // whether it is the client or the clock that is faster
		c := start(t, duplicatitest.Options{})
		conn := c.dial("")
		c.Advance(66 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, _, err := conn.Read(ctx)
		cancel()
		var e websocket.CloseError
		if !errors.As(err, &e) || e.Code != 4401 || e.Reason != "User is not authenticated!" {
			t.Fatal(err)
		}
	}
}

func (c *client) dial(query string) *websocket.Conn {
	c.t.Helper()
	conn, _, err := websocket.Dial(c.t.Context(), "ws"+strings.TrimPrefix(c.URL, "http")+"/notifications"+query, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	c.t.Cleanup(func() { conn.CloseNow() })
	return conn
}

func TestASocketEndsWithTheServerAndWithoutACode(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	s := c.login()
	conn := c.dial("?token=" + s.AccessToken)
	if _, raw, err := conn.Read(t.Context()); err != nil || !strings.HasPrefix(string(raw), `{"ActiveTask":null`) {
		t.Fatalf("%s %v", raw, err)
	}
	c.Restart(duplicatitest.RestartOptions{})
	if _, raw, err := conn.Read(t.Context()); err == nil || websocket.CloseStatus(err) != -1 {
		t.Errorf("%s %v", raw, err)
	}
}

func TestARestartCutsOffWhoeverWaits(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	c.login()
	ended := make(chan error, 1)
	req := c.request("GET", "/api/v1/serverstate?longpoll=true&duration=1h&lastEventId="+itoa(c.state().LastEventID), "")
	go func() {
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err == nil {
			res.Body.Close()
		}
		ended <- err
	}()
	for range 1000 {
		if c.Waiting() > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.Restart(duplicatitest.RestartOptions{})
	if err := <-ended; err == nil {
		t.Error("the new process answers what the old one was asked")
	}
	if n := c.Waiting(); n != 0 {
		t.Errorf("%d requests wait", n)
	}
}

func TestARestartEndsEverySocketThatIsOpen(t *testing.T) {
	for range 50 {
		c := start(t, duplicatitest.Options{})
		silent, known := c.dial(""), c.dial("?token="+c.login().AccessToken)
		c.Restart(duplicatitest.RestartOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		for _, conn := range []*websocket.Conn{silent, known} {
			for {
				if _, _, err := conn.Read(ctx); err != nil {
					break
				}
			}
		}
		if ctx.Err() != nil {
			t.Fatal("a socket of the old process lives on")
		}
		cancel()
	}
}

func TestSocketMessagesAreReadWithoutCaseAndAnswered(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	s := c.login()
	conn := c.dial("")
	for _, x := range []struct{ send, want string }{
		{`{"version":1,"token":"` + s.AccessToken + `"}`, `{"Version":1,"Message":"Authenticated successfully","Success":true,"Type":"auth"}`},
		{`{"Version":1,"Id":"a","Action":"PING","Service":""}`, `{"Version":1,"Id":"a","Service":null,"Message":"pong","Success":true,"Data":null,"Type":"reply"}`},
		{`{"Version":2,"Id":"b","Action":"ping"}`, `{"Version":1,"Id":"b","Service":null,"Message":"Unsupported API version","Success":false,"Data":null,"Type":"reply"}`},
		{`{"Version":1,"Id":"c","Action":"Sub","Service":"TaskCompleted"}`, `{"Version":1,"Id":"c","Service":"TaskCompleted","Message":"Subscribed successfully","Success":true,"Data":null,"Type":"reply"}`},
		{`rubbish`, `{"Version":1,"Id":null,"Service":null,"Message":"Invalid message format","Success":false,"Data":null,"Type":"reply"}`},
	} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(x.send)); err != nil {
			t.Fatal(err)
		}
		if _, raw, err := conn.Read(t.Context()); err != nil || string(raw) != x.want {
			t.Errorf("%s: %s %v, want %s", x.send, raw, err, x.want)
		}
	}
}

func TestNoGenerationIsStartedByAWrongName(t *testing.T) {
	for name, ok := range map[string]bool{"": true, "2.3.0": true, "2.3.0.4": true, "2.3.1-dev": true, "2.0": false, "2.3": false, "latest": false} {
		if _, err := duplicatitest.New(duplicatitest.Options{Generation: name}); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
