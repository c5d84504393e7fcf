package slacktest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// What Socket Mode allows. https://docs.slack.dev/apis/events-api/using-socket-mode
const (
	maxConnections = 10
	maxAckPayload  = 20 << 10 // an acknowledgement's payload of this size or more is dropped without a word
	warningAhead   = 10 * time.Second
	debugReconnect = 360 * time.Second
	ticketLife     = 30 * time.Second
)

type ticket struct {
	born time.Time
}

type socketMode struct {
	tickets     map[string]ticket
	open        []*socket
	opened      int
	next        int
	refuse      string    // reason of the disconnect that greets every new connection
	partitioned time.Time // until then nothing gets through
	dropped     time.Time // until then no websocket is accepted
}

type socket struct {
	id      int
	ws      *websocket.Conn
	writing sync.Mutex
	leaving bool // told to disconnect
}

func (s *Server) connectionsOpen(args) (obj, *apiError) {
	s.seq++
	id := fmt.Sprintf("%08x-%04x", s.clock.now().Unix(), s.seq)
	s.sockets.tickets[id] = ticket{born: s.clock.now()}
	return obj{"url": fmt.Sprintf("ws%s/link/?ticket=%s&app_id=%s", strings.TrimPrefix(s.base, "http"), id, appID)}, nil
}

// admit checks a ticket, which is good once; mu is held.
func (s *Server) admit(r *http.Request) bool {
	id := r.URL.Query().Get("ticket")
	t, ok := s.sockets.tickets[id]
	delete(s.sockets.tickets, id)
	now := s.clock.now()
	return ok && now.Sub(t.born) < ticketLife && r.URL.Query().Get("app_id") == appID &&
		!now.Before(s.sockets.dropped) && !s.closed
}

func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	ok := s.admit(r)
	s.mu.Unlock()
	if !ok {
		http.Error(w, "no such ticket", http.StatusForbidden)
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	ws.SetReadLimit(1 << 20)
	c := &socket{ws: ws}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	s.mu.Lock()
	s.sockets.opened++
	c.id = s.sockets.opened
	refusal := s.sockets.refuse
	if refusal == "" && len(s.sockets.open) >= maxConnections {
		refusal = "too_many_websockets"
	}
	if s.closed || refusal != "" {
		s.mu.Unlock()
		_ = c.write(ctx, obj{"type": "disconnect", "reason": refusal, "debug_info": obj{"host": "applink-slacktest"}})
		_ = ws.Close(websocket.StatusNormalClosure, refusal)
		return
	}
	// The first ping goes out at once: a client counts from it.
	s.work.Go(func() { s.pingLoop(ctx, c) })
	if err := c.write(ctx, obj{"type": "hello", "num_connections": len(s.sockets.open) + 1, "connection_info": obj{"app_id": appID},
		"debug_info": obj{"host": "applink-slacktest", "build_number": 1, "approximate_connection_time": 18060}}); err == nil {
		s.sockets.open = append(s.sockets.open, c)
	}
	s.touch()
	s.mu.Unlock()
	if r.URL.Query().Get("debug_reconnects") == "true" {
		s.clock.after(debugReconnect, func() { s.disconnect("refresh_requested", c) })
	}

	s.readLoop(ctx, c)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(c)
}

// forget takes a connection off the list; mu is held.
func (s *Server) forget(c *socket) {
	s.sockets.open = slices.DeleteFunc(s.sockets.open, func(o *socket) bool { return o == c })
	s.touch()
}

func (c *socket) write(ctx context.Context, frame any) error {
	data, err := json.Marshal(frame)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.ws.Write(ctx, websocket.MessageText, data)
}

func (s *Server) pingLoop(ctx context.Context, c *socket) {
	for {
		pong, cancel := context.WithTimeout(ctx, 2*s.opt.PingEvery)
		err := c.ws.Ping(pong)
		late := pong.Err() == context.DeadlineExceeded
		cancel()
		if err != nil {
			if late {
				s.mu.Lock()
				s.violate("connection %d answered no ping for %s", c.id, 2*s.opt.PingEvery)
				s.mu.Unlock()
			}
			_ = c.ws.CloseNow()
			return
		}
		select {
		case <-time.After(s.opt.PingEvery):
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) readLoop(ctx context.Context, c *socket) {
	defer c.ws.CloseNow()
	for {
		kind, data, err := c.ws.Read(ctx)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.keep(data)
		s.mu.Unlock()
		if kind == websocket.MessageText {
			s.readAck(c, data)
		}
	}
}

func (s *Server) readAck(c *socket, data []byte) {
	var ack struct {
		EnvelopeID string          `json:"envelope_id"`
		Payload    json.RawMessage `json:"payload"`
	}
	err := json.Unmarshal(data, &ack)
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.deliveries[ack.EnvelopeID]
	switch {
	case err != nil:
		s.violate("connection %d sent what is no JSON: %.80q", c.id, data)
		return
	case d == nil:
		s.violate("connection %d acknowledged an unknown envelope %q", c.id, ack.EnvelopeID)
		return
	case len(ack.Payload) >= maxAckPayload:
		s.violate("acknowledgement of %s: a payload of %d bytes is dropped", d.Kind, len(ack.Payload))
		return
	}
	s.acked(d, c.id, ack.Payload)
}

// sendSocket puts an envelope on one connection, each in turn; mu is held. False: there is none.
func (s *Server) sendSocket(frame obj) bool {
	for _, leaving := range []bool{false, true} {
		for range s.sockets.open {
			s.sockets.next++
			c := s.sockets.open[s.sockets.next%len(s.sockets.open)]
			if c.leaving == leaving && c.write(context.Background(), frame) == nil {
				return true
			}
		}
	}
	return false
}

// Connections is how many websockets are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets.open)
}

// Opened is how many websockets were opened so far, refused ones too.
func (s *Server) Opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sockets.opened
}

// WaitConnections waits until exactly n websockets are open.
func (s *Server) WaitConnections(n int) {
	if s.tb != nil {
		s.tb.Helper()
	}
	s.waitOrFail(func() bool { return s.Connections() == n }, func() string { return fmt.Sprintf("wait for %d connections, there are %d", n, s.Connections()) })
}

// Disconnect tells all open connections to leave, with Slack's reason: "warning" (closed ten seconds
// later), "refresh_requested" (closed at once), "too_many_websockets" or "link_disabled" (Socket Mode
// turned off: new connections are told the same until EnableSocketMode).
func (s *Server) Disconnect(reason string) {
	s.mu.Lock()
	if reason == "link_disabled" {
		s.sockets.refuse = reason
	}
	open := slices.Clone(s.sockets.open)
	s.mu.Unlock()
	for _, c := range open {
		s.disconnect(reason, c)
	}
}

// DisconnectOne tells the oldest connection to leave.
func (s *Server) DisconnectOne(reason string) {
	s.mu.Lock()
	open := slices.Clone(s.sockets.open)
	s.mu.Unlock()
	if len(open) > 0 {
		s.disconnect(reason, open[0])
	}
}

func (s *Server) disconnect(reason string, c *socket) {
	s.mu.Lock()
	c.leaving = true
	s.mu.Unlock()
	_ = c.write(context.Background(), obj{"type": "disconnect", "reason": reason, "debug_info": obj{"host": "applink-slacktest"}})
	if reason == "warning" {
		s.clock.after(warningAhead, func() { _ = c.ws.Close(websocket.StatusNormalClosure, "") })
		return
	}
	s.work.Go(func() { _ = c.ws.Close(websocket.StatusNormalClosure, "") })
}

// EnableSocketMode turns Socket Mode on again after link_disabled or RefuseConnections.
func (s *Server) EnableSocketMode() { s.RefuseConnections("") }

// RefuseConnections greets every new connection with a disconnect of this reason, as Slack does when
// there are too many; an empty reason ends that.
func (s *Server) RefuseConnections(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sockets.refuse = reason
}

// DropConnections cuts all websockets without a word and accepts none for d; the Web API goes on.
func (s *Server) DropConnections(d time.Duration) {
	s.mu.Lock()
	s.sockets.dropped = s.clock.now().Add(d)
	s.mu.Unlock()
	s.dropSockets()
}

func (s *Server) dropSockets() {
	s.mu.Lock()
	open := slices.Clone(s.sockets.open)
	for _, c := range open {
		s.forget(c) // a connection that is cut gets nothing more, even before its reader notices
	}
	s.mu.Unlock()
	for _, c := range open {
		_ = c.ws.CloseNow()
	}
}
