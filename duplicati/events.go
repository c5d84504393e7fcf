package duplicati

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/duplibot/duplibot/secret"
)

// Topic is a kind of event.
type Topic string

// The topics. 2.1 knows only OfState.
const (
	OfState         Topic = "legacystatus"
	OfBackups       Topic = "backuplist"
	OfProgress      Topic = "progress" // about once a second while something runs
	OfTasks         Topic = "taskqueue"
	OfTaskEnds      Topic = "taskcompleted"
	OfNotifications Topic = "notifications"
)

// Event is something that happened: Topic says which field is set. Tasks of
// OfTasks have no status but Waiting and Running, and no backup.
type Event struct {
	Topic         Topic
	State         *State
	Backups       []Backup
	Progress      *Progress
	Tasks         []Task
	Task          *Task
	Notifications []Notification
}

// Stream is an open subscription. Close it.
type Stream struct {
	conn  *websocket.Conn
	gen   Generation
	early []Event

	stop context.CancelFunc
	done sync.WaitGroup
}

const (
	handshakeTime = 15 * time.Second
	pingEvery     = 20 * time.Second
	pingTime      = 10 * time.Second
	frameLimit    = usualLimit

	closeUnauthorized websocket.StatusCode = 4401
)

// Subscribe opens the server's websocket and asks for topics. After it, the
// server sends the present state of each, but of progress and the ends of
// tasks. On 2.1 only OfState can be asked for (Unsupported).
func (c *Client) Subscribe(ctx context.Context, topics ...Topic) (*Stream, error) {
	const op = "subscribe to events"
	g, err := c.Generation(ctx)
	if err != nil {
		return nil, err
	}
	if len(topics) == 0 {
		return nil, refuse(op, Misused, "no topic was asked for")
	}
	if !g.Can(Subscribes) && (len(topics) != 1 || topics[0] != OfState) {
		return nil, c.need(ctx, op, Subscribes)
	}
	if c.tokens == nil {
		return nil, refuse(op, NotAuthorized, "there is no session; nothing was sent")
	}
	token, err := c.tokens.Access(ctx)
	if err != nil {
		return nil, err
	}
	s, err := c.subscribe(ctx, op, g, token, topics)
	if KindOf(err) != NotAuthorized {
		return s, err
	}
	if err := c.tokens.Rejected(ctx, token); err != nil {
		return nil, err
	}
	next, again := c.tokens.Access(ctx)
	if again != nil {
		return nil, again
	}
	if next.Equal(token) {
		return nil, err
	}
	return c.subscribe(ctx, op, g, next, topics)
}

func (c *Client) subscribe(ctx context.Context, op string, g Generation, token secret.Value, topics []Topic) (*Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	k := call{op: op, method: http.MethodGet, path: "/notifications", bearer: token, secrets: []secret.Value{token}}
	if !g.Can(Subscribes) {
		k.query = url.Values{"token": {token.Reveal()}} // 2.1 takes it nowhere else
	}
	u := c.base.JoinPath(k.path)
	u.RawQuery = k.query.Encode()
	//nolint:bodyclose // the library replaces it by what it has read
	conn, res, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		HTTPClient: c.http, HTTPHeader: http.Header{"User-Agent": {c.agent}}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, k.handshake(ctx, res, err)
	}
	conn.SetReadLimit(frameLimit)
	s := &Stream{conn: conn, gen: g}
	hello := s.first
	if g.Can(Subscribes) {
		hello = func(ctx context.Context, k call) error { return s.greet(ctx, k, token, topics) }
	}
	if err := hello(ctx, k); err != nil {
		conn.CloseNow()
		return nil, err
	}
	alive, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Add(1)
	go s.ping(alive)
	return s, nil
}

// handshake sorts a refused upgrade. No generation refuses one because of the
// token, but 2.1 with the empty 500 of a session that was ended: tokens are
// looked at once the websocket is open.
func (k call) handshake(ctx context.Context, res *http.Response, err error) error {
	if res != nil && res.StatusCode != http.StatusSwitchingProtocols {
		e := k.failure(&reply{status: res.StatusCode, header: res.Header})
		if res.StatusCode == http.StatusOK || e.Kind == NotAuthorized && (k.query == nil || res.StatusCode != http.StatusInternalServerError) {
			e.Kind, e.Text = NotDuplicati, "what answered opens no websocket; a proxy in front must let it through"
		}
		return e
	}
	return k.transport(ctx, err, false)
}

// first waits for what 2.1 sends at once: its state, or the end to whom it does
// not know.
func (s *Stream) first(ctx context.Context, k call) error {
	_, b, err := s.conn.Read(ctx)
	if err != nil {
		return k.stream(ctx, err)
	}
	if e, ok := s.event(b); ok {
		s.early = append(s.early, e)
	}
	return nil
}

// greet logs in by the first message and subscribes.
func (s *Stream) greet(ctx context.Context, k call, token secret.Value, topics []Topic) error {
	if err := s.send(ctx, map[string]any{"Version": 1, "Token": token.Reveal()}); err != nil {
		return k.stream(ctx, err)
	}
	if err := s.reply(ctx, k, "auth", ""); err != nil {
		return err
	}
	for _, t := range topics {
		if err := s.send(ctx, map[string]any{"Version": 1, "Id": string(t), "Action": "sub", "Service": string(t)}); err != nil {
			return k.stream(ctx, err)
		}
		if err := s.reply(ctx, k, "reply", string(t)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stream) send(ctx context.Context, message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return s.conn.Write(ctx, websocket.MessageText, b)
}

// reply waits for the answer to a message; events that come before it are kept.
func (s *Stream) reply(ctx context.Context, k call, kind, id string) error {
	for {
		_, b, err := s.conn.Read(ctx)
		if err != nil {
			return k.stream(ctx, err)
		}
		var r struct {
			Type, Id, Message string
			Success           *bool
		}
		if json.Unmarshal(b, &r) == nil && r.Type == kind && r.Id == id && r.Success != nil {
			if !*r.Success {
				return &Error{Op: k.op, Method: k.method, Path: k.path, Kind: Unsupported, Text: "the server refuses the subscription"}
			}
			return nil
		}
		if e, ok := s.event(b); ok {
			s.early = append(s.early, e)
		}
	}
}

// stream sorts what broke an open websocket.
func (k call) stream(ctx context.Context, err error) error {
	if websocket.CloseStatus(err) == closeUnauthorized {
		return &Error{Op: k.op, Method: k.method, Path: k.path, Kind: NotAuthorized, Text: "the server does not accept the access token"}
	}
	return k.transport(ctx, err, false)
}

// Next waits for the next event. After an error the stream is dead. A silent
// connection is noticed by pings within half a minute.
func (s *Stream) Next(ctx context.Context) (Event, error) {
	if len(s.early) > 0 {
		e := s.early[0]
		s.early = s.early[1:]
		return e, nil
	}
	for {
		_, b, err := s.conn.Read(ctx)
		if err != nil {
			return Event{}, call{op: "wait for events", method: http.MethodGet, path: "/notifications"}.stream(ctx, err)
		}
		if e, ok := s.event(b); ok {
			return e, nil
		}
	}
}

// event reads a frame; ok is false for what is none that was asked for.
func (s *Stream) event(frame []byte) (Event, bool) {
	var f struct {
		Type string
		Data json.RawMessage
	}
	if json.Unmarshal(frame, &f) != nil {
		return Event{}, false
	}
	e := Event{Topic: Topic(f.Type)}
	ok := false
	switch e.Topic {
	case OfState, "": // bare, and without a type on 2.1
		var w wireState
		var state State
		if json.Unmarshal(frame, &w) == nil {
			state, ok = w.state()
		}
		e.Topic, e.State = OfState, &state
	case OfBackups:
		var list []wireEntry
		if json.Unmarshal(f.Data, &list) == nil {
			var err error
			e.Backups, err = call{}.backups(list)
			ok = err == nil
		}
	case OfProgress:
		var w wireProgress
		var p Progress
		if json.Unmarshal(f.Data, &w) == nil {
			p, ok = w.progress()
		}
		e.Progress = &p
	case OfTasks:
		var list []wireTask
		if ok = json.Unmarshal(f.Data, &list) == nil; ok {
			e.Tasks = tasksOf(list, State{})
		}
	case OfTaskEnds:
		var w wireTask
		var t Task
		if json.Unmarshal(f.Data, &w) == nil {
			t, ok = w.task(s.gen)
		}
		e.Task = &t
	case OfNotifications:
		var list []wireNotification
		if ok = json.Unmarshal(f.Data, &list) == nil; ok {
			e.Notifications = notifications(list)
		}
	}
	return e, ok
}

// ping finds out that the other side is gone, which a TCP connection may not
// tell for hours.
func (s *Stream) ping(ctx context.Context) {
	defer s.done.Done()
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		limit, cancel := context.WithTimeout(ctx, pingTime)
		err := s.conn.Ping(limit)
		cancel()
		if err != nil {
			s.conn.CloseNow()
			return
		}
	}
}

// Close ends the subscription.
func (s *Stream) Close() {
	s.stop()
	s.conn.CloseNow()
	s.done.Wait()
}
