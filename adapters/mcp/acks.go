package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"

	proto "github.com/mark3labs/mcp-go/mcp"
)

// acks knows which streams of subscriptions/listen have been acknowledged on
// the wire. The acknowledgement must be the first message of a stream
// (2026-07-28, SEP-2575), but the library writes it by another goroutine than
// the answer: where a stream ends at once, it came after that or not at all.
type acks struct {
	mu      sync.Mutex
	written sync.Cond
	streams map[string]int // the stream's ID as JSON -> acknowledgements
}

type acksKey struct{}

func newAcks() *acks {
	a := &acks{streams: map[string]int{}}
	a.written.L = &a.mu
	return a
}

// acksOf is that of the transport behind ctx; nil where it has none.
func acksOf(ctx context.Context) *acks {
	a, _ := ctx.Value(acksKey{}).(*acks)
	return a
}

// saw takes note of a message that has been written.
func (a *acks) saw(p []byte) {
	start := bytes.IndexByte(p, '{') // an event's has words before it
	if start < 0 || !bytes.Contains(p, []byte(proto.MethodNotificationSubscriptionsAcknowledged)) {
		return
	}
	var m struct {
		Method string `json:"method"`
		Params struct {
			Meta struct {
				ID json.RawMessage `json:"io.modelcontextprotocol/subscriptionId"`
			} `json:"_meta"`
		} `json:"params"`
	}
	if err := json.Unmarshal(p[start:], &m); err != nil || m.Method != proto.MethodNotificationSubscriptionsAcknowledged {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.streams[string(m.Params.Meta.ID)]++
	a.written.Broadcast()
}

// have reports whether the stream has been acknowledged and has not ended.
func (a *acks) have(stream any) bool {
	id, _ := json.Marshal(stream)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.streams[string(id)] > 0
}

// end waits until the stream has been acknowledged, or ctx ends, and forgets it.
func (a *acks) end(ctx context.Context, stream any) {
	id, _ := json.Marshal(stream)
	stop := context.AfterFunc(ctx, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.written.Broadcast()
	})
	defer stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.streams[string(id)] == 0 && ctx.Err() == nil {
		a.written.Wait()
	}
	if a.streams[string(id)]--; a.streams[string(id)] <= 0 {
		delete(a.streams, string(id))
	}
}
