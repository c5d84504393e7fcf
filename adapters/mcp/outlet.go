package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
)

// outlet is the answer to one call over HTTP, into which its progress goes. The
// library would send progress by whichever stream of the session is free first,
// and a client would hear it in any order.
type outlet struct {
	mu      sync.Mutex
	w       http.ResponseWriter // patient
	header  http.Header         // the library's, until it writes
	stream  bool                // events are written, and not one message
	started bool
	ended   bool
}

// withOutlet gives a call an outlet, where its client reads streams.
func withOutlet(r *http.Request, w http.ResponseWriter) (http.ResponseWriter, *http.Request, func()) {
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		return w, r, func() {}
	}
	o := &outlet{w: w, header: http.Header{}}
	return o, r.WithContext(context.WithValue(r.Context(), senderKey{}, o)), o.end
}

// send writes one message as an event. The answer is a stream from then on.
func (o *outlet) send(message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended || o.started && !o.stream {
		return nil
	}
	if !o.started {
		o.started, o.stream = true, true
		o.w.Header().Set("Content-Type", "text/event-stream")
		o.w.Header().Set("Cache-Control", "no-cache")
		o.w.WriteHeader(http.StatusOK)
	}
	if err := o.event(b); err != nil {
		return err
	}
	o.w.(http.Flusher).Flush()
	return nil
}

func (o *outlet) event(b []byte) error {
	_, err := o.w.Write(append(append([]byte("event: message\ndata: "), bytes.TrimSpace(b)...), "\n\n"...))
	return err
}

// end takes no more progress.
func (o *outlet) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
}

// Header is the library's own, so that it and send do not meet.
func (o *outlet) Header() http.Header { return o.header }

// WriteHeader begins the answer, unless it is a stream already.
func (o *outlet) WriteHeader(status int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begin(status)
}

func (o *outlet) begin(status int) {
	if o.started {
		return
	}
	o.started = true
	o.stream = strings.HasPrefix(o.header.Get("Content-Type"), "text/event-stream")
	for name, values := range o.header {
		o.w.Header()[name] = values
	}
	o.w.WriteHeader(status)
}

// Write passes on what the library writes: events as they are, and a message
// as an event once the answer is a stream.
func (o *outlet) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begin(http.StatusOK)
	if o.stream && bytes.HasPrefix(b, []byte("{")) {
		return len(b), o.event(b)
	}
	return o.w.Write(b)
}

// Flush sends what was written.
func (o *outlet) Flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w.(http.Flusher).Flush()
}
