package duplicatitest

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// socket is one client of /notifications.
type socket struct {
	run    *process
	opened time.Time
	known  bool // it has shown a token
	subs   map[string]bool
	order  string // of its backup list
	closed bool

	mu   sync.Mutex
	out  [][]byte
	wake chan struct{}
	end  chan struct{}
}

// closing of a socket that has not shown who it is.
const (
	closeDenied    = websocket.StatusCode(4401)
	socketPatience = 65 * time.Second
	socketMessage  = 4096

	unauthenticated = "User is not authenticated!"
)

var services = map[string]bool{
	"legacystatus": true, "backuplist": true, "serversettings": true, "progress": true, "taskqueue": true,
	"taskcompleted": true, "notifications": true, "remotecontrol": true, "scheduler": true,
}

func socketRoutes(rs *routes, _ *generation) {
	rs.add("", "/notifications", anyone, noBody, try(func(s *Server, c *call) error {
		upgrades := strings.EqualFold(c.r.Header.Get("Upgrade"), "websocket") && c.r.Method == http.MethodGet
		switch {
		case strings.HasSuffix(c.r.URL.Path, "/"):
			return unknownOf("a slash behind the path of the websocket")
		case !upgrades && !s.gen.v2 && !c.user.known:
			return unknownOf("what 2.1 says to a request without a token that opens no websocket")
		case !upgrades:
			c.empty(http.StatusBadRequest)
		case c.query.has("token") && c.r.Header.Get("Authorization") != "":
			return unknownOf("a token in the header and one in the query")
		case c.r.Header.Get("Sec-WebSocket-Protocol") != "":
			return unknownOf("a websocket with subprotocols")
		default:
			c.socket = s.openSocket(c.user.known)
		}
		return nil
	}))
}

// openSocket makes a socket before its client hears that it is open: whatever
// happens from then on befalls it too.
func (s *Server) openSocket(known bool) *socket {
	sock := &socket{run: s.run, opened: s.at, known: known, subs: map[string]bool{}, wake: make(chan struct{}, 1), end: make(chan struct{})}
	s.run.sockets[sock] = true
	if s.closed {
		s.run.closeSockets()
	}
	if known {
		sock.subs["legacystatus"] = true
		sock.send(s.status())
	}
	return sock
}

// forget takes a socket that is over off the list.
func (s *Server) forget(sock *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(sock.run.sockets, sock)
	sock.closed = true
}

// serveSocket talks to a client until either side has enough.
func (s *Server) serveSocket(w http.ResponseWriter, c *call) {
	sock := c.socket
	defer s.forget(sock)
	conn, err := websocket.Accept(w, c.r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has told the client
	}
	conn.SetReadLimit(socketMessage)
	if !s.gen.v2 && !c.user.known { // 2.1 knows no login by message
		conn.Close(closeDenied, unauthenticated)
		return
	}
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	var writer sync.WaitGroup
	writer.Go(func() { sock.write(ctx, conn) })
	if !c.user.known {
		writer.Go(func() { s.awaitToken(ctx, conn, sock) })
	}
	s.readSocket(ctx, conn, sock)
	s.forget(sock)
	cancel()
	conn.CloseNow()
	writer.Wait()
}

// awaitToken closes a socket that says nothing for too long.
func (s *Server) awaitToken(ctx context.Context, conn *websocket.Conn, sock *socket) {
	s.mu.Lock()
	in := s.await(ctx, sock.opened.Add(socketPatience), func() bool { return sock.known || sock.closed }, new(int))
	s.mu.Unlock()
	if !in && ctx.Err() == nil {
		conn.Close(closeDenied, unauthenticated)
	}
}

func (s *Server) readSocket(ctx context.Context, conn *websocket.Conn, sock *socket) {
	for {
		_, raw, err := conn.Read(ctx)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.step()
		denied := s.hear(sock, raw)
		s.changed()
		s.mu.Unlock()
		if denied != "" {
			conn.Close(closeDenied, denied)
			return
		}
	}
}

// hear answers a message. It returns the reason for which a socket that has
// not shown who it is must go.
func (s *Server) hear(sock *socket, raw []byte) (denied string) {
	v, err := parseJSON(raw)
	if err != nil || v.kind != 'o' {
		if !sock.known {
			return "Invalid message format"
		}
		sock.reply("", "", "Invalid message format", false, nil)
		return ""
	}
	in := readObject(v)
	version := in.long("Version", true)
	id, action, service := in.str("Id"), strings.ToLower(in.str("Action")), strings.ToLower(in.str("Service"))
	supported := version != nil && *version == 1
	if !sock.known {
		switch {
		case !supported:
			return "Unsupported API version"
		case !s.socketToken(in.str("Token")):
			return "Invalid token"
		}
		sock.known = true
		sock.send(object{{"Version", 1}, {"Message", "Authenticated successfully"}, {"Success", true}, {"Type", "auth"}})
		return ""
	}
	shown := in.str("Service")
	switch {
	case !supported:
		sock.reply(id, shown, "Unsupported API version", false, nil)
	case action == "ping":
		sock.reply(id, shown, "pong", true, nil)
	case action == "auth":
		sock.reply(id, shown, "Already authenticated", true, nil)
	case action == "status":
		sock.reply(id, shown, "Status request received", true, s.status())
	case action == "sub" || action == "unsub":
		s.subscribe(sock, id, shown, service, action == "sub", in.str("Data"))
	default:
		sock.reply(id, shown, "Unknown action", false, nil)
	}
	return ""
}

// socketToken checks what a first message shows: signature, times and type,
// and not whether the session still lives.
func (s *Server) socketToken(token string) bool {
	for _, t := range s.opts.PreAuthTokens {
		if t == token {
			return true
		}
	}
	claims, err := s.db.jwt.verify(token, s.at)
	return err == nil && (claims.typ == "AccessToken" || claims.typ == "SingleOperationToken" && claims.sop == "websocket")
}

func (s *Server) subscribe(sock *socket, id, shown, service string, on bool, data string) {
	if !services[service] {
		sock.reply(id, shown, "Unknown subscription service", false, nil)
		return
	}
	if !on {
		delete(sock.subs, service)
		sock.reply(id, shown, "Unsubscribed successfully", true, nil)
		return
	}
	sock.subs[service] = true
	if service == "backuplist" {
		sock.order = data
	}
	sock.reply(id, shown, "Subscribed successfully", true, nil)
	if event := s.event(service, sock); event != nil && service != "progress" {
		sock.send(event)
	}
}

func (sock *socket) reply(id, service, message string, ok bool, data any) {
	sock.send(object{
		{"Version", 1}, {"Id", orNil(id)}, {"Service", orNil(service)}, {"Message", message}, {"Success", ok}, {"Data", data}, {"Type", "reply"},
	})
}

// event is what a service has to tell now; nil for nothing.
func (s *Server) event(service string, sock *socket) any {
	var data any
	switch service {
	case "legacystatus":
		return s.status()
	case "backuplist":
		data = s.renderBackups(sock.order, false)
	case "serversettings":
		data = s.shownSettings()
	case "progress":
		if s.run.progress == nil {
			return nil
		}
		data = s.renderProgress()
	case "taskqueue":
		data = s.taskList()
	case "notifications":
		data = s.renderNotifications()
	case "remotecontrol":
		data = remoteStatus()
	default:
		return nil
	}
	return object{{"Type", service}, {"ApiVersion", 1}, {"Data", data}}
}

// publish tells every socket that listens to a service.
func (s *Server) publish(service string) {
	for sock := range s.run.sockets {
		if sock.subs[service] {
			if event := s.event(service, sock); event != nil {
				sock.send(event)
			}
		}
	}
}

func (s *Server) publishTask(t *task) {
	for sock := range s.run.sockets {
		if sock.subs["taskcompleted"] {
			sock.send(object{{"Type", "taskcompleted"}, {"ApiVersion", 1}, {"Data", s.taskState(t, true)}})
		}
	}
}

// send queues a message; it never waits.
func (sock *socket) send(v any) {
	sock.mu.Lock()
	sock.out = append(sock.out, appendJSON(nil, v, true))
	sock.mu.Unlock()
	select {
	case sock.wake <- struct{}{}:
	default:
	}
}

func (sock *socket) write(ctx context.Context, conn *websocket.Conn) {
	for {
		sock.mu.Lock()
		batch := sock.out
		sock.out = nil
		sock.mu.Unlock()
		for _, m := range batch {
			if conn.Write(ctx, websocket.MessageText, m) != nil {
				return
			}
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-sock.wake:
		case <-sock.end:
			conn.CloseNow() // the server is gone, and says nothing about it
			return
		case <-ctx.Done():
			return
		}
	}
}

// closeSockets lets all sockets of a process end with it.
func (p *process) closeSockets() {
	for sock := range p.sockets {
		if !sock.closed {
			sock.closed = true
			close(sock.end)
		}
	}
	p.sockets = map[*socket]bool{}
}
