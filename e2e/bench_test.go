package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

// BenchmarkStatus calls the tool of the built program in turns with a bare
// request for the same data. over-ms is what the median call takes more.
func BenchmarkStatus(b *testing.B) {
	b.Run("stdio", func(b *testing.B) {
		h := newHome(b)
		bare := bareRequest(b, h.withServer(b, ""))
		cmd := h.command(b, "mcp")
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
		out := bufio.NewReaderSize(pipe, 1<<20)
		ask := func(message string) {
			if _, err := io.WriteString(in, message+"\n"); err != nil {
				b.Fatal(err)
			}
			line, err := out.ReadBytes('\n')
			if err != nil || bytes.Contains(line, []byte(`"error"`)) || bytes.Contains(line, []byte(`"isError":true`)) {
				b.Fatalf("%v: %s", err, line)
			}
		}
		ask(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`)
		inTurns(b, func() { ask(statusCall) }, bare, 0)
	})
	b.Run("http", func(b *testing.B) {
		h := newHome(b)
		endpoint, token, server := h.serving(b)
		bare := bareRequest(b, server)
		session := ""
		ask := func(message string) {
			req, err := http.NewRequest(http.MethodPost, endpoint, strings.NewReader(message))
			if err != nil {
				b.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Accept", "application/json, text/event-stream")
			req.Header.Set("Authorization", "Bearer "+token)
			if session != "" {
				req.Header.Set("Mcp-Session-Id", session)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK || bytes.Contains(body, []byte(`"isError":true`)) {
				b.Fatalf("%v, %s: %s", err, resp.Status, body)
			}
			session = resp.Header.Get("Mcp-Session-Id")
		}
		ask(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`)
		id := session
		inTurns(b, func() { session = id; ask(statusCall) }, bare, 100)
	})
}

const statusCall = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"duplicati_status","arguments":{}}}`

// bareRequest logs in and returns what asks for the state of the server.
func bareRequest(b *testing.B, s *duplicatitest.Server) func() {
	b.Helper()
	resp, err := http.Post(s.URL+"/api/v1/auth/login", "application/json", strings.NewReader(fmt.Sprintf(`{"Password":%q}`, password)))
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	var login struct{ AccessToken string }
	if err := json.NewDecoder(resp.Body).Decode(&login); err != nil || login.AccessToken == "" {
		b.Fatalf("no token, %v", err)
	}
	return func() {
		req, err := http.NewRequest(http.MethodGet, s.URL+"/api/v1/serverstate", nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+login.AccessToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			b.Fatalf("%s, %v", resp.Status, err)
		}
	}
}

// inTurns runs call and bare after one another and reports their medians. It
// pauses after every rest of them, if that is not 0, to stay within the rate of
// a token.
func inTurns(b *testing.B, call, bare func(), rest int) {
	for range 10 { // connections, and the login
		call()
		bare()
	}
	var called, asked []time.Duration
	timed := func(f func()) time.Duration {
		began := time.Now()
		f()
		return time.Since(began)
	}
	for b.Loop() {
		called, asked = append(called, timed(call)), append(asked, timed(bare))
		if rest > 0 && len(called)%rest == 0 {
			time.Sleep(2500 * time.Millisecond)
			call() // not measured: what has slept is slow
			bare()
		}
	}
	median := func(all []time.Duration) float64 {
		slices.Sort(all)
		return float64(all[len(all)/2].Microseconds()) / 1000
	}
	b.ReportMetric(median(called), "call-ms")
	b.ReportMetric(median(asked), "bare-ms")
	b.ReportMetric(median(called)-median(asked), "over-ms")
}
