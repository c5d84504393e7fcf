package mcp_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/duplibot/duplibot/adapters/mcp"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
)

// storeTokens is the bridge that the program has over the store.
type storeTokens struct{ t *store.Tokens }

func (s storeTokens) Caller(ctx context.Context, hash string) (tools.Caller, error) {
	t, err := s.t.ByHash(ctx, hash)
	if err != nil {
		return tools.Caller{}, err
	}
	if err := s.t.Touch(ctx, t); err != nil {
		return tools.Caller{}, err
	}
	return tools.Caller{Identity: tools.Identity("mcp:" + t.Name), Surface: tools.MCP, Ceiling: t.Ceiling, Toolsets: t.Toolsets}, nil
}

// The tokens that a served rig knows.
const (
	annToken  = "ann-token-canary"
	veraToken = "vera-token-canary"
)

func (r *rig) tokens(t testing.TB) mcp.Tokens {
	t.Helper()
	for name, token := range map[string]string{"ann-laptop": annToken, "vera-laptop": veraToken} {
		sum := sha256.Sum256([]byte(token))
		if err := r.DB.Tokens.Create(context.Background(), store.Token{ID: name, Name: name, Person: strings.Split(name, "-")[0], Hash: hex.EncodeToString(sum[:])}); err != nil {
			t.Fatal(err)
		}
	}
	return storeTokens{r.DB.Tokens}
}

// serve listens on a free port and returns the endpoint.
func (r *rig) serve(t testing.TB, change func(*mcp.HTTPOptions)) string {
	t.Helper()
	o := mcp.HTTPOptions{Listen: "127.0.0.1:0", Tokens: r.tokens(t)}
	if change != nil {
		change(&o)
	}
	h, err := r.s.NewHTTP(o)
	if err != nil {
		t.Fatal(err)
	}
	return listen(t, h)
}

func listen(t testing.TB, h *mcp.HTTP) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("the server ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the server does not end")
		}
	})
	return "http://" + l.Addr().String() + "/mcp"
}

type bearing struct{ token string }

func (b bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// dial connects the official client over HTTP.
func dial(t testing.TB, url, token, version string, options *sdk.ClientOptions) *sdk.ClientSession {
	t.Helper()
	session, err := sdk.NewClient(&sdk.Implementation{Name: "go-sdk", Version: "1.8.0"}, options).Connect(context.Background(),
		&sdk.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: bearing{token}}},
		&sdk.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// post sends one message as it is.
func post(t testing.TB, url, token, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`

func TestATokenIsItsPersonsAssistant(t *testing.T) {
	for era, version := range eras {
		t.Run(era, func(t *testing.T) {
			r := newRig(t, nil)
			url := r.serve(t, nil)
			ann, vera := dial(t, url, annToken, version, nil), dial(t, url, veraToken, version, nil)
			if res := call(t, ann, "duplicati_start", map[string]any{"thing": "1"}); res.IsError {
				t.Errorf("ann: %s", text(res))
			}
			if res := call(t, vera, "duplicati_start", map[string]any{"thing": "1"}); !res.IsError || !strings.Contains(text(res), "Error denied") {
				t.Errorf("vera: %s", text(res))
			}
			if _, err := r.DB.Tokens.Revoke(context.Background(), "ann-laptop"); err != nil {
				t.Fatal(err)
			}
			if _, err := ann.CallTool(context.Background(), &sdk.CallToolParams{Name: "duplicati_list_things"}); err == nil {
				t.Error("a revoked token still calls")
			}
			if got := strings.Join(r.World.Did(), ","); got != "start nas 1" {
				t.Errorf("did %s", got)
			}
		})
	}
}

func TestTheGuardRefuses(t *testing.T) {
	r := newRig(t, nil)
	url := r.serve(t, func(o *mcp.HTTPOptions) { o.Origins = []string{"https://page.example"} })
	at := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/mcp")
	for _, tc := range []struct {
		name, token, body string
		header            []string
		want              int
		says              string
	}{
		{name: "no token", want: 401, says: "token is needed"},
		{name: "an unknown token", token: "guess", want: 401, says: "not known"},
		{name: "a foreign host", token: annToken, header: []string{"Host", "evil.example"}, want: 421},
		{name: "a foreign host with our port", token: annToken, header: []string{"Host", "evil.example:80"}, want: 421},
		{name: "a foreign origin", token: annToken, header: []string{"Origin", "http://evil.example"}, want: 403},
		{name: "the origin null", token: annToken, header: []string{"Origin", "null"}, want: 403},
		{name: "a page on another port", token: annToken, header: []string{"Origin", "http://127.0.0.1:1"}, want: 403},
		{name: "our own origin", token: annToken, header: []string{"Origin", "http://" + at}, want: 200},
		{name: "a named page", token: annToken, header: []string{"Origin", "https://page.example"}, want: 200},
		{name: "localhost", token: annToken, header: []string{"Host", "localhost:1234"}, want: 200},
		{name: "no JSON", token: annToken, body: "{", want: 400},
		{name: "a session that never was", token: annToken, body: `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, header: []string{"Mcp-Session-Id", "GUESS"}, want: 404},
		{name: "no session", token: annToken, body: `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, want: 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := tc.body
			if body == "" {
				body = initialize
			}
			res, got := post(t, url, tc.token, body, tc.header...)
			if res.StatusCode != tc.want || !strings.Contains(got, tc.says) {
				t.Errorf("got %d %s, want %d", res.StatusCode, got, tc.want)
			}
			if challenge := res.Header.Get("WWW-Authenticate"); (res.StatusCode == 401) != strings.HasPrefix(challenge, "Bearer ") {
				t.Errorf("challenge %q", challenge)
			}
			if strings.Contains(got, "canary") {
				t.Errorf("the answer holds the token: %s", got)
			}
		})
	}
	if strings.Contains(r.Log.String(), "canary") {
		t.Error("a token is in the log")
	}
}

func TestASessionIsItsCallersAlone(t *testing.T) {
	r := newRig(t, nil)
	url := r.serve(t, nil)
	res, _ := post(t, url, annToken, initialize)
	id := res.Header.Get("Mcp-Session-Id")
	if id == "" {
		t.Fatal("no session was begun")
	}
	list := `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`
	if res, body := post(t, url, veraToken, list, "Mcp-Session-Id", id); res.StatusCode != 404 {
		t.Errorf("another caller's session: %d %s", res.StatusCode, body)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		req, _ := http.NewRequest(method, url, nil)
		req.Header.Set("Authorization", "Bearer "+veraToken)
		req.Header.Set("Mcp-Session-Id", id)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 404 {
			t.Errorf("%s of another caller's session: %d", method, res.StatusCode)
		}
	}
	// One caller's cancellation reaches no other's call.
	if res, body := post(t, url, annToken, list, "Mcp-Session-Id", id); res.StatusCode != 200 || !strings.Contains(body, "duplicati_start") {
		t.Errorf("the owner's own: %d %s", res.StatusCode, body)
	}
}

func TestABindThatOthersReachNeedsTLSOrIsAskedForByName(t *testing.T) {
	r := newRig(t, nil)
	tokens := r.tokens(t)
	for _, tc := range []struct {
		name string
		o    mcp.HTTPOptions
		says string
	}{
		{"loopback", mcp.HTTPOptions{Listen: "127.0.0.1:0"}, ""},
		{"loopback of 6", mcp.HTTPOptions{Listen: "[::1]:0"}, ""},
		{"all interfaces", mcp.HTTPOptions{Listen: "0.0.0.0:8484", Hosts: []string{"bot.lan"}}, "in clear"},
		{"every interface", mcp.HTTPOptions{Listen: ":8484", Hosts: []string{"bot.lan"}}, "in clear"},
		{"a name", mcp.HTTPOptions{Listen: "bot.lan:8484"}, "in clear"},
		{"asked for by name", mcp.HTTPOptions{Listen: "0.0.0.0:8484", Hosts: []string{"bot.lan"}, InsecureListen: true}, ""},
		{"without a name", mcp.HTTPOptions{Listen: "0.0.0.0:8484", InsecureListen: true}, "under which names"},
		{"behind a proxy", mcp.HTTPOptions{Listen: "0.0.0.0:8484", URL: "https://bot.example/mcp"}, ""},
		{"a proxy in clear", mcp.HTTPOptions{Listen: "0.0.0.0:8484", URL: "http://bot.example/mcp"}, "https"},
		{"half a certificate", mcp.HTTPOptions{Listen: "127.0.0.1:0", CertFile: "x"}, "needs its key"},
		{"a certificate that is not there", mcp.HTTPOptions{Listen: "127.0.0.1:0", CertFile: "x", KeyFile: "y"}, "certificate"},
		{"no port", mcp.HTTPOptions{Listen: "127.0.0.1"}, "port"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.o.Tokens = tokens
			_, err := r.s.NewHTTP(tc.o)
			if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
	if _, err := r.s.NewHTTP(mcp.HTTPOptions{Listen: "127.0.0.1:0"}); err == nil {
		t.Error("a server that anybody may call was made")
	}
}

func TestAThousandInitializeLeaveNoGrowth(t *testing.T) {
	r := newRig(t, nil)
	url := r.serve(t, func(o *mcp.HTTPOptions) { o.Limits.Rate, o.Limits.Burst = 1e6, 1e6 })
	var heap [3]uint64
	for round := range heap {
		for range 1000 {
			if res, body := post(t, url, annToken, initialize); res.StatusCode != 200 {
				t.Fatalf("%d %s", res.StatusCode, body)
			}
		}
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heap[round] = m.HeapAlloc
	}
	t.Logf("heap after each thousand: %d kB, %d kB, %d kB", heap[0]>>10, heap[1]>>10, heap[2]>>10)
	// Unlimited they take 10 kB each: 20 MB for the two rounds.
	if heap[2] > heap[0]+1<<20 {
		t.Errorf("2000 more sessions took %d kB", (heap[2]-heap[0])>>10)
	}
}

func TestABodyOf100MiBIsRefused(t *testing.T) {
	r := newRig(t, nil)
	url := r.serve(t, nil)
	for _, length := range []int64{100 << 20, -1} {
		sent := &counting{r: io.LimitReader(zeros{}, 100<<20)}
		req, _ := http.NewRequest(http.MethodPost, url, sent)
		req.ContentLength = length
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+annToken)
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			res.Body.Close()
			if res.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("answered %d", res.StatusCode)
			}
		}
		if n := sent.n.Load(); n > 16<<20 {
			t.Errorf("took %d MiB of it", n>>20)
		}
	}
	if res, _ := post(t, url, annToken, initialize); res.StatusCode != 200 {
		t.Errorf("afterwards: %d", res.StatusCode)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type counting struct {
	r io.Reader
	n atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func TestSlowClientsAreLetGoAndHarmNobody(t *testing.T) {
	r := newRig(t, nil)
	url := r.serve(t, func(o *mcp.HTTPOptions) { o.Limits.Read = 500 * time.Millisecond })
	at := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/mcp")
	starts := []string{
		"POST /mcp HTTP/1.1\r\nHost: " + at + "\r\nX-",
		"POST /mcp HTTP/1.1\r\nHost: " + at + "\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{",
		"POST /mcp HTTP/1.1\r\nHost: " + at + "\r\nAuthorization: Bearer " + veraToken + "\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{",
	}
	var wg sync.WaitGroup
	for i := range 150 {
		wg.Go(func() {
			c, err := net.Dial("tcp", at)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			fmt.Fprint(c, starts[i%len(starts)])
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := io.Copy(io.Discard, bufio.NewReader(c)); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("a connection was not let go: %v", err)
			}
		})
	}
	ann := dial(t, url, annToken, "2026-07-28", nil)
	for range 20 {
		start := time.Now()
		if res := call(t, ann, "duplicati_list_things", nil); res.IsError {
			t.Error(text(res))
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("a call took %s meanwhile", took)
		}
	}
	wg.Wait()
}

func Test500ParallelCallsHarmNobody(t *testing.T) {
	r := newRig(t, nil)
	url := r.serve(t, nil)
	r.World.Before = func(ctx context.Context, _ string) error {
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
		return nil
	}
	one := `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"duplicati_list_things","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
	header := []string{"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "duplicati_list_things"}
	var served, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 500 {
		wg.Go(func() {
			res, body := post(t, url, veraToken, fmt.Sprintf(one, i), header...)
			switch {
			case res.StatusCode == 200 && strings.Contains(body, `"done"`):
				served.Add(1)
			case res.StatusCode == 429 && res.Header.Get("Retry-After") != "":
				refused.Add(1)
			default:
				t.Errorf("answered %d %s", res.StatusCode, body)
			}
		})
	}
	ann := dial(t, url, annToken, "2026-07-28", nil)
	var worst time.Duration
	for range 10 {
		start := time.Now()
		if res := call(t, ann, "duplicati_list_things", nil); res.IsError {
			t.Error(text(res))
		}
		worst = max(worst, time.Since(start))
	}
	wg.Wait()
	t.Logf("%d served, %d refused; another caller waited at most %s", served.Load(), refused.Load(), worst)
	if served.Load() == 0 || worst > 5*time.Second {
		t.Error("the crowd harmed somebody")
	}
}

func TestTheServerEndsWithWhatIsInWork(t *testing.T) {
	r := newRig(t, nil)
	h, err := r.s.NewHTTP(mcp.HTTPOptions{Listen: "127.0.0.1:0", Tokens: r.tokens(t)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- h.Serve(ctx, l) }()
	began := make(chan struct{})
	r.World.Before = func(context.Context, string) error {
		close(began)
		time.Sleep(300 * time.Millisecond)
		return nil
	}
	ann := dial(t, "http://"+l.Addr().String()+"/mcp", annToken, "2026-07-28", nil)
	answered := make(chan *sdk.CallToolResult, 1)
	go func() {
		res, err := ann.CallTool(context.Background(), &sdk.CallToolParams{Name: "duplicati_start", Arguments: map[string]any{"thing": "1"}})
		if err != nil {
			t.Error(err)
		}
		answered <- res
	}()
	<-began
	cancel()
	if res := <-answered; res == nil || res.IsError {
		t.Error("the call in work got no answer")
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
