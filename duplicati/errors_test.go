package duplicati_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
)

// serve is a server of one handler, and a client of it with a session.
func serve(t *testing.T, h http.HandlerFunc, o duplicati.Options) (*httptest.Server, *duplicati.Client) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	o.URL = s.URL
	c, err := duplicati.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Assume(duplicati.G231)
	return s, c.With(fixed{})
}

func TestEveryShapeOfRefusalIsSorted(t *testing.T) {
	for _, c := range []struct {
		name        string
		status      int
		contentType string
		header      [2]string
		body        string
		want        duplicati.Kind
		uncertain   bool
	}{
		{"v1 error", 404, "application/json", [2]string{}, `{"Error":"Backup not found","Code":404}`, duplicati.NotFound, false},
		{"v1 error with a help id", 400, "application/json", [2]string{}, `{"Error":"in use","Code":400,"HelpId":"DatabaseLocked"}`, duplicati.DatabaseLocked, false},
		{"in another language", 400, "application/json", [2]string{}, `{"Error":"wird verwendet","Code":400,"HelpId":"DatabaseLocked"}`, duplicati.DatabaseLocked, false},
		{"refused delete", 500, "application/json", [2]string{}, `{"Status":"failed","Reason":"backup-in-progress","ID":20}`, duplicati.Busy, false},
		{"delete that could not stop it", 500, "application/json", [2]string{}, `{"Status":"failed","Reason":"backup-unstoppable","ID":4}`, duplicati.Unstoppable, false},
		{"failed delete", 500, "application/json", [2]string{}, `{"Status":"error","Reason":"no disk","ID":null}`, duplicati.ServerFault, true},
		{"unexpected exception", 500, "application/json", [2]string{}, `{"Error":"An error occurred","Code":500}`, duplicati.ServerFault, true},
		{"host name", 403, "application/json", [2]string{}, `{"Error":"Invalid hostname: x","Code":403}`, duplicati.HostnameRefused, false},
		{"agent's key", 403, "text/plain", [2]string{}, `Invalid PreSharedKey`, duplicati.Invalid, false},
		{"name clash", 409, "application/json", [2]string{}, `{"Error":"There already exists","Code":409}`, duplicati.Conflict, false},
		{"bad request without words", 400, "", [2]string{}, ``, duplicati.Invalid, false},
		{"unknown route", 404, "", [2]string{}, ``, duplicati.Unsupported, false},
		{"wrong verb", 405, "", [2]string{}, ``, duplicati.Unsupported, false},
		{"expired token", 401, "", [2]string{"WWW-Authenticate", `Bearer error="invalid_token"`}, ``, duplicati.NotAuthorized, false},
		{"dead session", 500, "", [2]string{}, ``, duplicati.NotAuthorized, false},
		{"proxy's own login", 401, "text/plain", [2]string{"WWW-Authenticate", `Basic realm="nas"`}, `no`, duplicati.NotDuplicati, false},
		{"proxy's login page", 401, "text/html", [2]string{}, `<html>log in</html>`, duplicati.NotDuplicati, false},
		{"gateway page", 502, "text/html", [2]string{}, `<html><title>502 Bad Gateway</title></html>`, duplicati.NotDuplicati, true},
		{"gateway timeout", 504, "", [2]string{}, ``, duplicati.NotDuplicati, true},
		{"maintenance page", 503, "text/html; charset=utf-8", [2]string{}, `<html>`, duplicati.NotDuplicati, false},
		{"html that calls itself json", 500, "application/json", [2]string{}, "\n <!doctype html>", duplicati.NotDuplicati, true},
		{"redirect", 302, "", [2]string{"Location", "https://login.example.com/x?token=hunter2"}, ``, duplicati.NotDuplicati, false},
		{"https port", 400, "text/plain", [2]string{}, `Client sent an HTTP request to an HTTPS server.`, duplicati.WantsTLS, false},
		{"page as success", 200, "text/html", [2]string{}, `<html>welcome</html>`, duplicati.NotDuplicati, true},
		{"nothing as success", 200, "", [2]string{}, ``, duplicati.Unreadable, true},
		{"wrong json as success", 200, "application/json", [2]string{}, `[1,2]`, duplicati.Unreadable, true},
		{"json that says nothing", 200, "application/json", [2]string{}, `{}`, duplicati.Unreadable, true},
		{"torn json", 200, "application/json", [2]string{}, `{"Status":"OK","ID":`, duplicati.Unreadable, true},
		{"a teapot", 418, "text/plain", [2]string{}, `short and stout`, duplicati.NotDuplicati, false},
		{"a proxy's policy", 403, "text/plain", [2]string{}, `forbidden by policy`, duplicati.NotDuplicati, false},
		{"another API", 404, "application/json", [2]string{}, `{"detail":"Not Found"}`, duplicati.NotDuplicati, false},
		{"too large", 413, "", [2]string{}, ``, duplicati.Invalid, false},
		{"a login in words", 401, "text/plain", [2]string{}, `Unauthorized`, duplicati.NotDuplicati, false},
		{"a failure in words", 500, "text/plain", [2]string{}, `upstream failed`, duplicati.NotDuplicati, true},
		{"a failure of another API", 500, "application/json", [2]string{}, `{"message":"failed"}`, duplicati.NotDuplicati, true},
		{"a failure nobody knows", 520, "", [2]string{}, ``, duplicati.ServerFault, true},
		{"a refusal as success", 200, "application/json", [2]string{}, `{"Error":"Backup not found","Code":404}`, duplicati.Unreadable, true},
		{"a refusal as redirect", 302, "application/json", [2]string{}, `{"Error":"x","Code":404}`, duplicati.NotDuplicati, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if c.contentType != "" {
					w.Header().Set("Content-Type", c.contentType)
				} else {
					w.Header()["Content-Type"] = nil
				}
				if c.header[0] != "" {
					w.Header().Set(c.header[0], c.header[1])
				}
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}, duplicati.Options{})
			_, err := client.Run(context.Background(), "1", false)
			var e *duplicati.Error
			if !errors.As(err, &e) || e.Kind != c.want || e.Uncertain != c.uncertain {
				t.Fatalf("got %#v (%v), want kind %q, uncertain %v", e, err, c.want, c.uncertain)
			}
			if !errors.Is(err, c.want) || e.Op != "run backup" || e.Path != "/api/v1/backup/1/run" {
				t.Errorf("got %+v", e)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "an-access-token") {
				t.Errorf("a secret shows: %v", err)
			}
		})
	}
}

func TestARefusedImportHasCreatedNothing(t *testing.T) {
	body := `{"Error":"Failed to import backup: Missing passphrase","Code":500}`
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		io.WriteString(w, body)
	}, duplicati.Options{})
	var e *duplicati.Error
	if _, err := client.Import(context.Background(), secret.New("{}"), duplicati.ImportOptions{}); !errors.As(err, &e) || e.Uncertain || e.Kind != duplicati.ServerFault {
		t.Fatalf("got %#v", e)
	}
	body = `{"Error":"An error occurred","Code":500}`
	if _, err := client.Import(context.Background(), secret.New("{}"), duplicati.ImportOptions{}); !errors.As(err, &e) || !e.Uncertain {
		t.Fatalf("got %#v", e)
	}
}

func TestARefusedDeleteNamesTheTaskInItsWay(t *testing.T) {
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		io.WriteString(w, `{"Status":"failed","Reason":"backup-in-progress","ID":20}`)
	}, duplicati.Options{})
	_, err := client.Delete(context.Background(), "3", duplicati.DeleteOptions{})
	var e *duplicati.Error
	if !errors.As(err, &e) || e.Task != 20 {
		t.Fatalf("got %v", err)
	}
}

func TestAnAnswerWithoutEndIsCutOff(t *testing.T) {
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := strings.Repeat(" ", 1<<20)
		for {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	}, duplicati.Options{})
	if _, err := client.State(context.Background()); duplicati.KindOf(err) != duplicati.TooLarge {
		t.Fatalf("got %v", err)
	}
}

func TestWhatIsNotReachedIsSorted(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	junk, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer junk.Close()
	go func() {
		for {
			c, err := junk.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 1)) // what comes before the request is nothing but a broken connection
			io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n\r\n")
			c.Close()
		}
	}()
	for _, c := range []struct {
		name, url string
		want      duplicati.Kind
	}{
		{"nothing listens", closed.URL, duplicati.Refused},
		{"no such name", "http://no-such-host.invalid:8200", duplicati.NoAddress},
		{"https to an http port", strings.Replace(plain.URL, "http", "https", 1), duplicati.NotTLS},
		{"http to an https port", strings.Replace(secure.URL, "https", "http", 1), duplicati.WantsTLS},
		{"unknown authority", secure.URL, duplicati.Untrusted},
		{"another protocol", "http://" + junk.Addr().String(), duplicati.NotDuplicati},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := duplicati.New(duplicati.Options{URL: c.url, Timeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.With(fixed{}).Run(context.Background(), "1", false)
			if duplicati.KindOf(err) != c.want {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if c.want != duplicati.NotDuplicati && !errors.Is(err, duplicati.Unreachable) {
				t.Errorf("%v is not unreachable", err)
			}
		})
	}
}

func TestAServerThatHangsIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) { <-release }, duplicati.Options{Timeout: 50 * time.Millisecond})
	t.Cleanup(func() { close(release) })
	_, err := client.Run(context.Background(), "1", false)
	var e *duplicati.Error
	if !errors.As(err, &e) || e.Kind != duplicati.TimedOut || !e.Uncertain {
		t.Fatalf("got %#v", e)
	}
	if _, err := client.State(context.Background()); !errors.As(err, &e) || e.Kind != duplicati.TimedOut || e.Uncertain {
		t.Fatalf("reading can be repeated, but got %#v", e)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := client.State(ctx); duplicati.KindOf(err) != duplicati.Canceled || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestWhatMayHaveBeenDoneIsNotRepeated(t *testing.T) {
	var calls atomic.Int64
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	}, duplicati.Options{})
	_, err := client.Run(context.Background(), "1", false)
	var e *duplicati.Error
	if !errors.As(err, &e) || !e.Uncertain || e.Kind != duplicati.Unreachable {
		t.Fatalf("got %v", err)
	}
	if n := calls.Load(); n != 1 {
		t.Fatalf("the server was asked %d times", n)
	}
}

func TestARequestThatNeverLeftIsNotUncertain(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	client, err := duplicati.New(duplicati.Options{URL: closed.URL})
	if err != nil {
		t.Fatal(err)
	}
	var e *duplicati.Error
	if _, err := client.With(fixed{}).Run(context.Background(), "1", false); !errors.As(err, &e) || e.Uncertain {
		t.Fatalf("got %#v", e)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var followed atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { followed.Store(true) }))
	defer other.Close()
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path+"?a=b", http.StatusTemporaryRedirect)
	}, duplicati.Options{})
	_, err := client.State(context.Background())
	var e *duplicati.Error
	if !errors.As(err, &e) || e.Kind != duplicati.NotDuplicati || e.Location != other.URL {
		t.Fatalf("got %#v", e)
	}
	if followed.Load() {
		t.Fatal("the token went to another server")
	}
}

func TestTheProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	var used atomic.Bool
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { used.Store(true) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	client, err := duplicati.New(duplicati.Options{URL: "http://no-such-host.invalid:8200"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.With(fixed{}).State(context.Background()); duplicati.KindOf(err) != duplicati.NoAddress || used.Load() {
		t.Fatalf("got %v, proxy used: %v", err, used.Load())
	}
}

func TestServerTextsLoseTheirURLsAndSecrets(t *testing.T) {
	_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		io.WriteString(w, `{"Error":"cannot reach ftp://bob:hunter2@nas/x?auth-password=hunter2 with --auth-password=hunter2, passphrase: \"hunter2\" and my-own-word\u0000\u001b[31m`+strings.Repeat("x", 5000)+`","Code":400}`)
	}, duplicati.Options{})
	err := client.SetPassword(context.Background(), secret.New("my-own-word"))
	var e *duplicati.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if strings.Contains(e.Text, "hunter2") || strings.Contains(e.Text, "my-own-word") || strings.ContainsAny(e.Text, "\x00\x1b") || len(e.Text) > 1000 {
		t.Fatalf("the text is %q", e.Text)
	}
	if !strings.Contains(e.Text, "cannot reach ftp://nas/…") {
		t.Errorf("too much is gone: %q", e.Text)
	}
}

func TestAWrongURLIsRefusedWithoutRepeatingIt(t *testing.T) {
	for _, u := range []string{
		"", "nas:8200", "ftp://nas", "http://", "http://bob:hunter2@nas:8200", "http://nas:8200/?password=hunter2", "http://nas:8200/#hunter2", "http://na s/hunter2", "http://[::1/hunter2",
	} {
		_, err := duplicati.New(duplicati.Options{URL: u})
		if duplicati.KindOf(err) != duplicati.Misused {
			t.Errorf("%q gave %v", u, err)
		} else if strings.Contains(fmt.Sprintf("%+v", err), "hunter2") {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
	for given, want := range map[string][2]string{
		"http://NAS:8200/":             {"http://nas:8200", "http://nas:8200"},
		"https://nas.lan":              {"https://nas.lan", "https://nas.lan:443"},
		"https://nas.lan/duplicati/":   {"https://nas.lan/duplicati", "https://nas.lan:443"},
		"http://[::1]:8200":            {"http://[::1]:8200", "http://[::1]:8200"},
		" http://[2001:DB8::1]/a%20b ": {"http://[2001:db8::1]/a%20b", "http://[2001:db8::1]:80"},
	} {
		c, err := duplicati.New(duplicati.Options{URL: given})
		if err != nil || c.URL() != want[0] || c.Origin() != want[1] {
			t.Errorf("%q is %v %v (%v)", given, c.URL(), c.Origin(), err)
		}
	}
}

func TestAServerBelowAPathIsCalledThere(t *testing.T) {
	var path atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { path.Store(r.URL.EscapedPath()) }))
	defer s.Close()
	c, err := duplicati.New(duplicati.Options{URL: s.URL + "/my%20nas/"})
	if err != nil {
		t.Fatal(err)
	}
	c.With(fixed{}).Backup(context.Background(), "a/../b?c")
	if got := path.Load(); got != "/my%20nas/api/v1/backup/a%2F..%2Fb%3Fc" {
		t.Fatalf("the server was called at %v", got)
	}
}

func TestAnAnswerWithoutAVersionIsNoServer(t *testing.T) {
	for _, body := range []string{`{"hello":"x"}`, `{"ServerVersion":""}`, `{"ServerVersion":"soon"}`, `{"ServerVersion":"2.x.0"}`} {
		_, client := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }, duplicati.Options{})
		if info, err := client.Info(context.Background()); !errors.Is(err, duplicati.Unreadable) {
			t.Errorf("%s: %+v, %v", body, info, err)
		}
	}
}
