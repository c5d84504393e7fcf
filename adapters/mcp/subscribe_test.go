package mcp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/duplibot/duplibot/adapters/mcp"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// listenTo asks to hear of notifications, by their names in the filter.
func listenTo(id any, filter string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%v,"method":"subscriptions/listen","params":{"notifications":%s,"_meta":{`+
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`, id, filter)
}

// A stream that has nothing to tell ends at once, and says before that what
// became of the wish. It is asked for often: the two come from two goroutines.
func TestAStreamIsAcknowledgedBeforeItEnds(t *testing.T) {
	const streams = 300
	const acknowledged, result = `"method":"notifications/subscriptions/acknowledged"`, `"result":`
	odd := []any{`"a<b>&\u2028\"é\ud800"`, "1152921504606846977", "1.50", "-0.0", "1e30", `""`}
	ids := func(n int) any {
		if n < len(odd) {
			return odd[n]
		}
		return n
	}
	t.Run("http", func(t *testing.T) {
		url := newRig(t, nil).serve(t, func(o *mcp.HTTPOptions) { o.Limits = unlimited })
		for n := range streams {
			id := ids(n)
			_, body := post(t, url, annToken, listenTo(id, `{"toolsListChanged":true}`),
				"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")
			if at := strings.Index(body, acknowledged); at < 0 || at > strings.Index(body, result) {
				t.Fatalf("stream %v: %s", id, body)
			}
		}
	})
	t.Run("stdio", func(t *testing.T) {
		in, ask := io.Pipe()
		answers, out := io.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- newRig(t, nil).s.ServeStdio(context.Background(), toolstest.AnnsAssistant, in, out) }()
		lines := bufio.NewScanner(answers)
		for n := range streams {
			id := ids(n)
			if _, err := io.WriteString(ask, listenTo(id, `{"toolsListChanged":true}`)+"\n"); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{acknowledged, result} {
				if !lines.Scan() || !strings.Contains(lines.Text(), want) {
					t.Fatalf("stream %v: %s, instead of %s", id, lines.Text(), want)
				}
			}
		}
		_ = ask.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// However much changes while a stream begins, it begins with its
// acknowledgement.
func TestAStreamBeginsWithItsAcknowledgement(t *testing.T) {
	r := newRig(t, nil)
	url := r.serve(t, func(o *mcp.HTTPOptions) { o.Limits = unlimited })
	ctx, cancel := context.WithCancel(context.Background())
	var changing sync.WaitGroup
	changing.Go(func() {
		for ctx.Err() == nil {
			r.s.Changed("requests")
			runtime.Gosched()
		}
	})
	defer changing.Wait()
	defer cancel()
	for id := range 300 {
		ctx, hangUp := context.WithCancel(ctx)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(listenTo(id, `{"resourceSubscriptions":["duplicati://requests"]}`)))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"Authorization": "Bearer " + annToken, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
			"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen",
		} {
			req.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var heard []string
		for lines := bufio.NewScanner(res.Body); len(heard) < 2 && lines.Scan(); {
			if line, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				heard = append(heard, line)
			}
		}
		hangUp()
		_ = res.Body.Close()
		if len(heard) < 2 || !strings.Contains(heard[0], "notifications/subscriptions/acknowledged") || !strings.Contains(heard[1], "notifications/resources/updated") {
			t.Fatalf("stream %d: %q", id, heard)
		}
	}
}
