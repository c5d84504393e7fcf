package web_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/web"
	"github.com/duplibot/duplibot/tools"
)

func TestEveryAnswerIsHardened(t *testing.T) {
	r := newRig(t, nil)
	opened := r.enter(r.waiting())
	for _, res := range []reply{
		get(t, opened.Link), get(t, opened.Link+"x"), post(t, opened.Link, word("BCDF-GHJK", canary)), get(t, "http://"+hostOf(r.web)+"/"),
	} {
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin", "X-Robots-Tag": "noindex, nofollow",
		} {
			if got := res.header.Get(name); got != want {
				t.Errorf("%d: %s is %q, want %q", res.status, name, got, want)
			}
		}
		csp := res.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'", "script-src 'sha256-", "style-src 'sha256-"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%d: the policy %q lacks %q", res.status, csp, part)
			}
		}
		if strings.Contains(csp, "unsafe") || res.header.Get("Set-Cookie") != "" {
			t.Errorf("%d: %v", res.status, res.header)
		}
	}
}

func TestWhatComesFromElsewhereIsRefused(t *testing.T) {
	r := newRig(t, nil)
	a := r.waiting()
	opened := r.enter(a)
	send := func(change func(*http.Request)) reply {
		req := formOf(t, opened.Link, word(opened.Code.Reveal(), canary))
		change(req)
		return do(t, req)
	}
	for name, change := range map[string]func(*http.Request){
		"a form of another page":          func(q *http.Request) { q.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a form of a neighbour":           func(q *http.Request) { q.Header.Set("Sec-Fetch-Site", "same-site") },
		"an old browser, another page":    func(q *http.Request) { q.Header.Del("Sec-Fetch-Site"); q.Header.Set("Origin", "https://evil.example") },
		"an old browser, a hidden origin": func(q *http.Request) { q.Header.Del("Sec-Fetch-Site"); q.Header.Set("Origin", "null") },
	} {
		if res := send(change); res.status != http.StatusForbidden || !strings.Contains(res.body, "not sent from its own page") {
			t.Errorf("%s: %d\n%s", name, res.status, res.body)
		}
	}
	for _, host := range []string{"evil.example", "evil.example:80", "127.0.0.1", "10.0.0.1" + opened.Link[strings.LastIndex(opened.Link, ":"):], ""} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, opened.Link, nil)
		req.Host = host
		if host == "" {
			req.Host = "x"
		}
		if res := do(t, req); res.status != http.StatusMisdirectedRequest || strings.Contains(res.body, "ann") {
			t.Errorf("host %q: %d\n%s", host, res.status, res.body)
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete, "PROPFIND"} {
		req, _ := http.NewRequestWithContext(t.Context(), method, opened.Link, nil)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		if res := do(t, req); res.status == http.StatusOK {
			t.Errorf("%s: %d", method, res.status)
		}
	}
	if got := r.request(a.ID); got.State != tools.StateInput {
		t.Fatalf("the request is %s", got.State)
	}
	// And so that the refusals above mean something:
	send(func(*http.Request) {}).wants(t, http.StatusOK, "Thank you")
}

func TestTooManyRequests(t *testing.T) {
	r := newRig(t, nil)
	opened := r.enter(r.waiting())
	refused := 0
	for range 20 {
		if res := post(t, opened.Link+"x", word("x", "x")); res.status == http.StatusTooManyRequests {
			refused++
			if res.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
	}
	if refused < 3 || refused > 10 {
		t.Errorf("%d of 20 posts were refused", refused)
	}
	get(t, opened.Link).wants(t, http.StatusOK)
	for range 100 {
		get(t, opened.Link)
	}
	get(t, opened.Link).wants(t, http.StatusTooManyRequests, "too many requests came from your address"[1:])
	r.Clock.Add(time.Minute)
	get(t, opened.Link).wants(t, http.StatusOK)
}

func TestASlowClientHoldsNobodyUp(t *testing.T) {
	r := newRig(t, nil)
	opened := r.enter(r.waiting())
	u, _ := url.Parse(opened.Link)
	for range 20 {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-")
	}
	// One after the other they would take longer than the client waits.
	get(t, opened.Link).wants(t, http.StatusOK)
}

func TestOptionsThatWouldLetOthersRead(t *testing.T) {
	r := newRig(t, nil)
	for name, change := range map[string]func(*web.Options){
		"the network in clear":            func(o *web.Options) { o.Listen = "0.0.0.0:8485" },
		"a network address in clear":      func(o *web.Options) { o.Listen = "192.168.1.5:8485" },
		"a URL in clear":                  func(o *web.Options) { o.URL = "http://bot.example" },
		"a URL with a name in it":         func(o *web.Options) { o.URL = "https://ann:secret@bot.example" },
		"no URL":                          func(o *web.Options) { o.URL = "bot.example" },
		"a certificate without its key":   func(o *web.Options) { o.CertFile = "/etc/ssl/x.pem" },
		"a certificate that is not there": func(o *web.Options) { o.CertFile, o.KeyFile = "/nonesuch", "/nonesuch" },
		"a listener without a port":       func(o *web.Options) { o.Listen = "127.0.0.1" },
		"nobody to keep pages":            func(o *web.Options) { o.Pages = nil },
		"no key for codes":                func(o *web.Options) { o.Key = nil },
	} {
		o := web.Options{Desk: r.Desk, Pages: pages{r.DB.Pages}, Registry: r.Registry, Key: key, Listen: "127.0.0.1:8485"}
		if _, err := web.New(o); err != nil {
			t.Fatal(err)
		}
		change(&o)
		if _, err := web.New(o); err == nil {
			t.Errorf("%s was taken", name)
		} else if strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, short := range []int{0, 31} {
		o := web.Options{Desk: r.Desk, Pages: pages{r.DB.Pages}, Registry: r.Registry, Listen: "127.0.0.1:8485",
			Key: func(context.Context) ([]byte, error) { return make([]byte, short), nil }}
		s, err := web.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Enter(t.Context(), r.waiting()); err == nil {
			t.Errorf("a key of %d bytes was taken", short)
		}
	}
}

func key(context.Context) ([]byte, error) { return make([]byte, 32), nil }

func TestLinksMayLeaveForSlackOnlyWhereTheyWork(t *testing.T) {
	r := newRig(t, nil)
	for u, public := range map[string]bool{"": false, "https://bot.example/duplibot": true, "https://localhost:8485": false, "http://127.0.0.1:8485": false} {
		s, err := web.New(web.Options{Desk: r.Desk, Pages: pages{r.DB.Pages}, Registry: r.Registry, Key: key, Listen: "127.0.0.1:8485", URL: u})
		if err != nil {
			t.Fatal(err)
		}
		if s.Public() != public {
			t.Errorf("%q: public is %v", u, s.Public())
		}
	}
}

// behindProxy is a rig with a proxy in front, which has TLS, takes a path away
// and sends its own Host or the browser's.
func behindProxy(t *testing.T, keepHost bool) (*rig, *httptest.Server) {
	t.Helper()
	var behind *url.URL
	proxy := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &httputil.ReverseProxy{Rewrite: func(q *httputil.ProxyRequest) {
			q.SetURL(behind)
			q.SetXForwarded()
			if keepHost {
				q.Out.Host = q.In.Host
			}
		}}
		http.StripPrefix("/duplibot", p).ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return newRig(t, func(o *web.Options) {
		behind = &url.URL{Scheme: "http", Host: o.Listen}
		o.URL = proxy.URL + "/duplibot"
	}), proxy
}

func TestBehindAProxy(t *testing.T) {
	for _, keepHost := range []bool{true, false} {
		t.Run(fmt.Sprintf("host kept %v", keepHost), func(t *testing.T) {
			r, proxy := behindProxy(t, keepHost)
			a := r.waiting()
			opened := r.enter(a)
			if !strings.HasPrefix(opened.Link, proxy.URL+"/duplibot/p/") {
				t.Fatalf("link %s", opened.Link)
			}
			link, _ := r.web.Link(a.ID)
			old := client
			client = proxy.Client()
			defer func() { client = old }()
			page := get(t, link)
			page.wants(t, http.StatusOK, "ann")
			req := formOf(t, action(t, link, page.body), word(opened.Code.Reveal(), canary))
			req.Header.Set("Origin", proxy.URL)
			req.Header.Del("Sec-Fetch-Site")
			do(t, req).wants(t, http.StatusOK, "Thank you")
		})
	}
}

func TestACertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	pool := x509.NewCertPool()
	issue := func(serial int64) {
		cert, keyPEM := selfSigned(t, serial)
		pool.AppendCertsFromPEM(cert)
		if os.WriteFile(keyFile, keyPEM, 0o600) != nil || os.WriteFile(certFile, cert, 0o600) != nil {
			t.Fatal("not written")
		}
	}
	issue(1)
	r := newRig(t, func(o *web.Options) { o.CertFile, o.KeyFile = certFile, keyFile })
	opened := r.enter(r.waiting())
	if !strings.HasPrefix(opened.Link, "https://127.0.0.1:") {
		t.Fatalf("link %s", opened.Link)
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	serial := func() int64 {
		res, err := c.Get(opened.Link)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("status %d", res.StatusCode)
		}
		return res.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Errorf("serial %d", n)
	}
	issue(2)
	os.Chtimes(certFile, time.Now(), time.Now().Add(time.Minute))
	r.Clock.Add(11 * time.Second)
	if n := serial(); n != 2 {
		t.Errorf("after the renewal the serial is %d", n)
	}
	os.WriteFile(certFile, []byte("half a renewal"), 0o600)
	os.Chtimes(certFile, time.Now(), time.Now().Add(2*time.Minute))
	r.Clock.Add(11 * time.Second)
	if n := serial(); n != 2 {
		t.Errorf("after a broken renewal the serial is %d", n)
	}
	old, err := tls.Dial("tcp", strings.Split(opened.Link, "/")[2], &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	if err == nil {
		old.Close()
		t.Error("TLS 1.1 was taken")
	}
}

func selfSigned(t *testing.T, serial int64) (cert, keyPEM []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

func TestOthersAtTheSameAddress(t *testing.T) {
	r := newRig(t, func(o *web.Options) {
		o.Also = map[string]http.Handler{"/slack": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "slack got %s", b)
		})}
	})
	res, err := http.Post("http://"+hostOf(r.web)+"/slack", "text/plain", strings.NewReader("a body"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); string(b) != "slack got a body" {
		t.Errorf("%s", b)
	}
}
