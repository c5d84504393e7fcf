package duplicati_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
)

// What comes over a wire from whatever stands at its other end.

// onWire is a server of bare connections: answer writes what it likes once it
// has a request, which it is told the number of. The connection ends with it.
func onWire(t *testing.T, o duplicati.Options, answer func(n int64, c net.Conn, r *http.Request)) *duplicati.Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var n atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.Copy(io.Discard, r.Body)
					answer(n.Add(1), c, r)
				}
			}()
		}
	}()
	o.URL = "http://" + l.Addr().String()
	client, err := duplicati.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	client.Assume(duplicati.G231)
	return client.With(fixed{})
}

const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"

// zipped is a little that becomes much: megabytes of blanks.
func zipped(megabytes int) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	blanks := bytes.Repeat([]byte(" "), 1<<20)
	for range megabytes {
		w.Write(blanks)
	}
	w.Close()
	return b.Bytes()
}

func TestOddAnswersAreSortedAndNoneOfThemIsASuccess(t *testing.T) {
	const good = `{"Status":"OK","ID":7}`
	flood := zipped(20)
	drip := func(c net.Conn, text string) {
		for {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	for _, x := range []struct {
		name      string
		answer    func(c net.Conn)
		want      duplicati.Kind
		uncertain bool
	}{
		{"as it should be", func(c net.Conn) { fmt.Fprintf(c, head+"Content-Length: %d\r\n\r\n%s", len(good), good) }, "", false},
		{"in chunks", func(c net.Conn) {
			fmt.Fprintf(c, head+"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(good), good)
		}, "", false},
		{"without a length", func(c net.Conn) { io.WriteString(c, head+"\r\n"+good) }, "", false},
		{"a byte order mark before it", func(c net.Conn) { io.WriteString(c, head+"\r\n\xef\xbb\xbf"+good) }, "", false},
		{"another type", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"+good) }, "", false},
		{"a byte order mark of UTF-16", func(c net.Conn) { io.WriteString(c, head+"\r\n\xff\xfe{\x00}\x00") }, duplicati.Unreadable, true},
		{"as a page", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"+good) }, duplicati.NotDuplicati, true},
		{"two of them", func(c net.Conn) { io.WriteString(c, head+"\r\n"+good+good) }, duplicati.Unreadable, true},
		{"null", func(c net.Conn) { io.WriteString(c, head+"\r\nnull") }, duplicati.Unreadable, true},
		{"an ID that is none", func(c net.Conn) { io.WriteString(c, head+"\r\n"+`{"Status":"OK","ID":"seven"}`) }, duplicati.Unreadable, true},
		{"cut in the middle, with an end", func(c net.Conn) { io.WriteString(c, head+"\r\n"+good[:9]) }, duplicati.Unreadable, true},
		{"shorter than announced", func(c net.Conn) { io.WriteString(c, head+"Content-Length: 900\r\n\r\n"+good) }, duplicati.Unreachable, true},
		{"a chunk is cut", func(c net.Conn) { io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\n40\r\n"+good) }, duplicati.Unreachable, true},
		{"chunks are garbage", func(c net.Conn) { io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n"+good) }, duplicati.Unreadable, true},
		{"a chunk without end", func(c net.Conn) {
			io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"+good)
		}, duplicati.Unreadable, true},
		{"compressed garbage", func(c net.Conn) { io.WriteString(c, head+"Content-Encoding: gzip\r\n\r\n"+good) }, duplicati.Unreadable, true},
		{"a compressed flood", func(c net.Conn) {
			io.WriteString(c, head+"Content-Encoding: gzip\r\n\r\n")
			c.Write(flood)
		}, duplicati.TooLarge, true},
		{"compressed as nobody asked for", func(c net.Conn) { io.WriteString(c, head+"Content-Encoding: br\r\n\r\n\x8b\x02\x80") }, duplicati.Unreadable, true},
		{"slow for ever", func(c net.Conn) { io.WriteString(c, head+"\r\n"); drip(c, " ") }, duplicati.TimedOut, true},
		{"a head without end", func(c net.Conn) { io.WriteString(c, head); drip(c, "X-Y: "+strings.Repeat("z", 9000)+"\r\n") }, duplicati.NotDuplicati, true},
		{"a head that is none", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nno head\r\n\r\n"+good) }, duplicati.NotDuplicati, true},
		{"another protocol", func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n\r\n") }, duplicati.NotDuplicati, true},
		{"HTTP/2 unasked", func(c net.Conn) { c.Write([]byte("\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80")) }, duplicati.NotDuplicati, true},
		{"nothing", func(c net.Conn) {}, duplicati.Unreachable, true},
		{"a redirect to nowhere", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 302 Found\r\nLocation: ht!tp://%zz?token=hunter2\r\n\r\n")
		}, duplicati.NotDuplicati, true},
		{"no content", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n") }, duplicati.NotDuplicati, true},
		{"a part", func(c net.Conn) { io.WriteString(c, "HTTP/1.1 206 Partial Content\r\n\r\n"+good) }, duplicati.NotDuplicati, true},
		{"a refusal behind a byte order mark", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 404 Not Found\r\n\r\n\xef\xbb\xbf"+`{"Error":"Backup not found","Code":404}`)
		}, duplicati.NotFound, false},
		{"a refusal without end", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"+`{"Code":400,"Error":"`)
			drip(c, strings.Repeat("x", 9000))
		}, duplicati.NotDuplicati, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			client := onWire(t, duplicati.Options{Timeout: 10 * time.Second}, func(_ int64, c net.Conn, _ *http.Request) { x.answer(c) })
			task, err := client.Run(context.Background(), "1", false)
			if x.want == "" {
				if err != nil || task != 7 {
					t.Fatalf("task %d, %v", task, err)
				}
				return
			}
			var e *duplicati.Error
			if !errors.As(err, &e) || e.Kind != x.want || e.Uncertain != x.uncertain || e.Text == "" {
				t.Fatalf("got %v (uncertain: %t), want %s (uncertain: %t)", err, e != nil && e.Uncertain, x.want, x.uncertain)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a secret shows: %v", err)
			}
		})
	}
}

func TestAListWithoutMeasureIsRefused(t *testing.T) {
	client := onWire(t, duplicati.Options{}, func(_ int64, c net.Conn, _ *http.Request) {
		io.WriteString(c, head+"\r\n["+strings.Repeat(`{"Backup":{"ID":"1","Name":"x"}},`, 10_000)+`{"Backup":{"ID":"2","Name":"x"}}]`)
	})
	if list, err := client.Backups(context.Background()); duplicati.KindOf(err) != duplicati.TooLarge {
		t.Errorf("%d backups, %v", len(list), err)
	}
}

func TestACompressedFloodTakesLittleMemory(t *testing.T) {
	flood := zipped(60)
	client := onWire(t, duplicati.Options{}, func(_ int64, c net.Conn, _ *http.Request) {
		io.WriteString(c, head+"Content-Encoding: gzip\r\n\r\n")
		c.Write(flood)
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := client.State(context.Background()); duplicati.KindOf(err) != duplicati.TooLarge {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 100<<20 {
		t.Errorf("it took %d MB", took>>20)
	}
}

// Words that are not Duplicati's are not repeated: among them can be the
// request's own.
func TestWhatRepeatsTheRequestIsNotRepeated(t *testing.T) {
	for status := 400; status < 600; status++ {
		for _, kind := range []string{"text/plain", "text/html", "application/json", "", "application/problem+json"} {
			client := onWire(t, duplicati.Options{}, func(_ int64, c net.Conn, r *http.Request) {
				r.Body = io.NopCloser(strings.NewReader(""))
				fmt.Fprintf(c, "HTTP/1.1 %d Echo\r\n", status)
				if kind != "" {
					fmt.Fprintf(c, "Content-Type: %s\r\n", kind)
				}
				io.WriteString(c, "X-Echo: yes\r\n\r\n")
				if strings.HasSuffix(kind, "json") {
					fmt.Fprintf(c, `{"title":"echo of the request","headers":%q}`, r.Header)
					return
				}
				io.WriteString(c, "echo of the request: ")
				r.Write(c)
			})
			err := client.SetPassword(context.Background(), secret.New("my-own-word"))
			for e := err; e != nil; e = errors.Unwrap(e) {
				if text := fmt.Sprintf("%v %+v", e, e); strings.Contains(text, "an-access-token") || strings.Contains(text, "my-own-word") || strings.Contains(text, "echo") {
					t.Fatalf("%d as %q: %s", status, kind, text)
				}
			}
			var e *duplicati.Error
			if !errors.As(err, &e) || e.Quote || (status >= 500 && status != 503 || status == 500) != e.Uncertain {
				t.Fatalf("%d as %q: %+v", status, kind, e)
			}
			if want := duplicati.NotDuplicati; e.Kind != want {
				t.Errorf("%d as %q: %s", status, kind, e.Kind)
			}
		}
	}
}

func TestDuplicatisOwnWordsAreMarkedAndLoseTheRequest(t *testing.T) {
	const word = `p&ss "wörd" ü/+%`
	for name, echo := range map[string]string{
		"as it is":          word,
		"in a query":        "passphrase is p%26ss+%22w%C3%B6rd%22+%C3%BC%2F%2B%25",
		"in a path":         "p&ss%20%22w%C3%B6rd%22%20%C3%BC%2F+%25",
		"in JSON":           `p\u0026ss \"wörd\" ü/+%`,
		"a token":           "an-access-token",
		"another's token":   "eyJhbGciOiJIUzI1NiJ9.eyJ0eXAiOiJBY2Nlc3NUb2tlbiJ9.c2ln",
		"a header":          "Authorization: Bearer abcdefgh12345678",
		"a cut token":       "eyJhbGciOiJIUzI1NiJ9.eyJ0eX",
		"a proxy's header":  "Proxy-Authorization: Basic Ym9iOmh1bnRlcjI=",
		"a cookie":          "Cookie: RefreshToken_8200=abcdefgh",
		"a storage URL":     "cannot reach ftp://bob:abcdefgh@nas/x",
		"a setting":         `settings.passphrase="abcdefgh"`,
		"invisible letters": "\u202egnp\u200b\u2066abc",
	} {
		_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"Error":%s,"Code":400}`, quoted("it says "+echo+" here"))
		}, duplicati.Options{})
		err := client.SetPassword(context.Background(), secret.New(word))
		var e *duplicati.Error
		if !errors.As(err, &e) || !e.Quote || e.Kind != duplicati.Invalid {
			t.Fatalf("%s: %+v", name, err)
		}
		for _, part := range []string{"wörd", "w%C3%B6rd", "an-access-token", "eyJ", "abcdefgh", "Ym9i", "\u202e", "\u200b", "\u2066"} {
			if strings.Contains(e.Text, part) {
				t.Errorf("%s: %q is in %q", name, part, e.Text)
			}
		}
		if !strings.HasPrefix(e.Text, "it says") || !strings.HasSuffix(e.Text, "here") {
			t.Errorf("%s: too much is gone: %q", name, e.Text)
		}
		if !strings.Contains(err.Error(), `it says "`) {
			t.Errorf("%s: it is not marked: %v", name, err)
		}
	}
}

func TestARefusedImportShowsNothingOfTheFile(t *testing.T) {
	for _, words := range []string{
		`Error converting value "hunter2" to type 'System.Boolean'. Path 'Backup.Settings[1].Value', line 9, position 30.`,
		`Could not convert string to integer: hunter2. Path 'Backup.Filters[0].Order', line 1, position 9.`,
		`Input string 'hunter2' is not a valid number. Path 'Backup.ID', line 1, position 9.`,
		`Could not create an instance of type hunter2. Path 'x', line 1, position 1.`,
	} {
		_, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, `{"Error":%s,"Code":500}`, quoted("Failed to import backup: "+words))
		}, duplicati.Options{})
		_, err := client.Import(context.Background(), secret.New("AES of something"), duplicati.ImportOptions{Passphrase: secret.New("word")})
		var e *duplicati.Error
		if !errors.As(err, &e) || e.Kind != duplicati.ServerFault || e.Uncertain || !strings.HasPrefix(e.Text, "Failed to import backup: ") {
			t.Fatalf("%+v", err)
		}
		if strings.Contains(err.Error(), "hunter2") || !strings.Contains(e.Text, "line") {
			t.Errorf("%s", e.Text)
		}
	}
}

func quoted(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < ' ' || r > '~':
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}

// A proxy that fails with nothing in its answer looks like a server whose
// session is dead.
func TestAnEmptyFailureIsTakenForADeadSessionOnlyIfItIsOne(t *testing.T) {
	for _, x := range []struct {
		name   string
		dead   bool
		sent   int64
		want   duplicati.Kind
		unsure bool
	}{
		{"the session is dead", true, 2, "", false},
		{"the session lives", false, 1, duplicati.ServerFault, true},
	} {
		var runs atomic.Int64
		k := &twoTokens{}
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			old := r.Header.Get("Authorization") == "Bearer first"
			switch {
			case r.Method == "POST":
				runs.Add(1)
				if old {
					w.WriteHeader(http.StatusInternalServerError)
					return
				}
				io.WriteString(w, `{"Status":"OK","ID":7}`)
			case old && x.dead:
				w.WriteHeader(http.StatusInternalServerError)
			default:
				io.WriteString(w, idle.Response.Body)
			}
		}))
		c, err := duplicati.New(duplicati.Options{URL: s.URL})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.With(k).Run(context.Background(), "1", false)
		c.Close()
		s.Close()
		var e *duplicati.Error
		errors.As(err, &e)
		if duplicati.KindOf(err) != x.want || runs.Load() != x.sent || e != nil && e.Uncertain != x.unsure {
			t.Errorf("%s: sent %d times, %+v", x.name, runs.Load(), err)
		}
	}
}

// twoTokens gives "first" until that is rejected, then "second".
type twoTokens struct{ rejected atomic.Bool }

func (k *twoTokens) Access(context.Context) (secret.Value, error) {
	if k.rejected.Load() {
		return secret.New("second"), nil
	}
	return secret.New("first"), nil
}

func (k *twoTokens) Rejected(context.Context, secret.Value) error {
	k.rejected.Store(true)
	return nil
}

func TestAProxyThatFailsProvesNoLogout(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		s, err := l.bare.Login(context.Background(), secret.New(password), true)
		if err != nil {
			t.Fatal(err)
		}
		remove := l.Inject(duplicatitest.Fault{Status: http.StatusInternalServerError, Header: http.Header{"Content-Type": nil}})
		short := s // one without a refresh token, as 2.1 has
		short.Cookie = secret.Value{}
		for _, s := range []duplicati.Session{s, short} {
			if err := l.bare.ProveRefused(context.Background(), s); err == nil {
				t.Error("a session that lives was proved dead")
			}
		}
		remove()
		if err := l.bare.Logout(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		if err := l.bare.ProveRefused(context.Background(), s); err != nil {
			t.Error(err)
		}
	})
}

// A server may close a connection in the very moment in which the next request
// leaves on it.
func TestWhatLeavesOnAClosingConnectionIsSentOnce(t *testing.T) {
	for _, close := range []string{"when the request has come", "in silence, after the answer"} {
		var mu sync.Mutex
		got := make(map[string]int)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		serve := func(c net.Conn) {
			defer c.Close()
			in := bufio.NewReader(c)
			for first := true; ; first = false {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				io.Copy(io.Discard, r.Body)
				mu.Lock()
				got[r.Method]++
				mu.Unlock()
				if !first {
					c.(*net.TCPConn).SetLinger(0) // what came is not answered
					return
				}
				body := `{"Status":"OK","ID":7}`
				if r.Method == "GET" {
					body = idle.Response.Body
				}
				fmt.Fprintf(c, head+"Content-Length: %d\r\n\r\n%s", len(body), body)
				if close != "when the request has come" {
					return
				}
			}
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go serve(c)
			}
		}()
		client, err := duplicati.New(duplicati.Options{URL: "http://" + l.Addr().String()})
		if err != nil {
			t.Fatal(err)
		}
		client.Assume(duplicati.G231)
		c := client.With(fixed{})
		unsure := 0
		const rounds = 50
		for range rounds {
			if _, err := c.State(context.Background()); err != nil {
				t.Errorf("%s: a look was not made again: %v", close, err)
			}
			_, err := c.Run(context.Background(), "1", false)
			var e *duplicati.Error
			switch {
			case err == nil:
			case errors.As(err, &e) && e.Kind == duplicati.Unreachable && e.Uncertain:
				unsure++
			default:
				t.Errorf("%s: %+v", close, err)
			}
		}
		client.Close()
		l.Close()
		mu.Lock()
		if got["POST"] > rounds || got["POST"] < rounds-unsure {
			t.Errorf("%s: %d calls were sent %d times, %d of them with doubt", close, rounds, got["POST"], unsure)
		}
		if close == "when the request has come" && unsure != rounds {
			t.Errorf("%s: %d of %d calls were in doubt: did none of them meet it?", close, unsure, rounds)
		}
		mu.Unlock()
	}
}

// lives logs in at a server, asks, refreshes, subscribes and logs out.
func lives(t *testing.T, o duplicati.Options) {
	t.Helper()
	c, err := duplicati.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := c.Login(ctx, secret.New(password), true)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = c.Refresh(ctx, s); err != nil {
		t.Fatalf("the refresh: %v", err)
	}
	logged := c.With(&keeper{c: c, password: password})
	if _, err := logged.Info(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := logged.Backup(ctx, "a/../b?c"); duplicati.KindOf(err) != duplicati.NotFound {
		t.Errorf("%v", err)
	}
	stream, err := logged.Subscribe(ctx, duplicati.OfState)
	if err != nil {
		t.Fatalf("the websocket: %v", err)
	}
	if e, err := stream.Next(ctx); err != nil || e.State == nil {
		t.Errorf("%+v, %v", e, err)
	}
	stream.Close()
	if err := c.Logout(ctx, s); err != nil {
		t.Fatal(err)
	}
	if err := c.ProveRefused(ctx, s); err != nil {
		t.Error(err)
	}
	if d, err := duplicati.Diagnose(ctx, o); err != nil || !d.Well() {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestAServerIsReachedWhereverItIs(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		fresh := func(o duplicatitest.Options) *duplicatitest.Server {
			o.Generation, o.Password = g, password
			s, err := duplicatitest.New(o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Close)
			return s
		}
		behind := func(h http.Handler) string {
			s := httptest.NewServer(h)
			t.Cleanup(s.Close)
			return s.URL
		}
		t.Run("on IPv6", func(t *testing.T) {
			s := fresh(duplicatitest.Options{})
			if err := s.ListenAt("[::1]:0"); err != nil {
				if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
					t.Fatal(err)
				}
				t.Skipf("this host has no IPv6: %v", err)
			}
			lives(t, duplicati.Options{URL: s.URL})
		})
		t.Run("over TLS", func(t *testing.T) {
			s := fresh(duplicatitest.Options{TLS: true})
			if err := s.Listen(); err != nil {
				t.Fatal(err)
			}
			lives(t, duplicati.Options{URL: s.URL, Insecure: true})
		})
		t.Run("behind a proxy that can HTTP/2", func(t *testing.T) {
			proxy := httptest.NewUnstartedServer(fresh(duplicatitest.Options{}))
			proxy.EnableHTTP2 = true
			proxy.StartTLS()
			t.Cleanup(proxy.Close)
			lives(t, duplicati.Options{URL: proxy.URL, Insecure: true})
		})
		t.Run("below a path", func(t *testing.T) {
			url := behind(http.StripPrefix("/proxy/nas", fresh(duplicatitest.Options{})))
			lives(t, duplicati.Options{URL: url + "/proxy/nas/"})
		})
		t.Run("behind a proxy that names no port", func(t *testing.T) {
			s := fresh(duplicatitest.Options{AllowedHostnames: "nas.example"})
			url := behind(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Host = "nas.example"
				s.ServeHTTP(w, r)
			}))
			lives(t, duplicati.Options{URL: url})
			for _, r := range s.Requests() {
				if r.Path == "/api/v1/auth/refresh" && r.Header.Get("Cookie") != "" && !strings.HasPrefix(r.Header.Get("Cookie"), "RefreshToken_0=") {
					t.Errorf("the cookie was sent as %.20s", r.Header.Get("Cookie"))
				}
			}
		})
	})
}

// A host whose clock is wrong knows how long tokens live all the same.
func TestTokensLiveByTheClockOfTheHostThatUsesThem(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		for _, off := range []time.Duration{0, 3 * time.Hour, -3 * time.Hour, 40 * 24 * time.Hour} {
			l := start(t, g, nil)
			now := func() time.Time { return time.Now().Add(off) }
			c, err := duplicati.New(duplicati.Options{URL: l.URL, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			s, err := c.Login(context.Background(), secret.New(password), true)
			if err != nil {
				t.Fatal(err)
			}
			if left := s.AccessEnds.Sub(now()); left < 14*time.Minute || left > 15*time.Minute {
				t.Errorf("off by %s: the access token has %s", off, left)
			}
			if left := s.RefreshEnds.Sub(now()); left < 29*24*time.Hour || left > 30*24*time.Hour || !s.CanRefresh(now()) {
				t.Errorf("off by %s: the refresh token has %s", off, left)
			}
			c.Close()
		}
	})
}

func TestARestartEndsALongPoll(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		for _, again := range []bool{true, false} {
			l := start(t, g, nil)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := l.c.Pause(ctx, duplicati.PauseOptions{For: time.Hour}); err != nil {
				t.Fatal(err)
			}
			if err := l.c.Resume(ctx); err != nil {
				t.Fatal(err)
			}
			s, err := l.c.State(ctx)
			if err != nil {
				t.Fatal(err)
			}
			type answer struct {
				state duplicati.State
				err   error
			}
			got := make(chan answer, 1)
			go func() {
				s, err := l.c.WaitState(ctx, s.EventID, time.Hour)
				got <- answer{s, err}
			}()
			until(t, "it waits", func() bool { return l.Waiting() > 0 })
			if again {
				l.Restart(duplicatitest.RestartOptions{})
			} else {
				l.Close()
			}
			a := <-got
			switch {
			case again && (a.err != nil || a.state.EventID >= s.EventID):
				// What only looks is asked again, and the new process counts anew.
				t.Errorf("%+v, %v", a.state, a.err)
			case !again && !errors.Is(a.err, duplicati.Unreachable):
				t.Errorf("%+v, %v", a.state, a.err)
			}
		}
	})
}

// A connection over which nothing comes any more, not even the answer to a
// ping, is given up.
func TestAWebsocketThatFallsSilentIsGivenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	t.Parallel()
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	c, err := duplicati.New(duplicati.Options{URL: muted(t, strings.TrimPrefix(s.URL, "http://"))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := c.With(&keeper{c: c, password: password}).Subscribe(ctx, duplicati.OfState)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if _, err := stream.Next(ctx); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if e, err := stream.Next(ctx); !errors.Is(err, duplicati.Unreachable) || time.Since(began) > 40*time.Second {
		t.Errorf("after %s: %+v, %v", time.Since(began), e, err)
	}
}

// muted forwards connections. Those of websockets fall silent half a second
// after they are open, and stay so.
func muted(t *testing.T, to string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	forward := func(from net.Conn) {
		defer from.Close()
		server, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer server.Close()
		var silent atomic.Bool
		go func() {
			b := make([]byte, 64<<10)
			for {
				n, err := server.Read(b)
				if err != nil {
					from.Close()
					return
				}
				if bytes.Contains(b[:n], []byte("101 Switching")) {
					time.AfterFunc(500*time.Millisecond, func() { silent.Store(true) })
				}
				if !silent.Load() {
					from.Write(b[:n])
				}
			}
		}()
		io.Copy(server, from)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go forward(c)
		}
	}()
	return "http://" + l.Addr().String()
}
