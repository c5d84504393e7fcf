package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// AdminCall is a call of the daemon that is no operation: the audit log,
// tokens, an explanation of the policy. It decides itself whether c may make
// it. A result that is a secret.Value, or a Confidential, brings its secret to
// the client as such; everywhere else in a result a secret is masked. An error
// that is no *tools.Error reaches the client without its words.
type AdminCall func(ctx context.Context, c tools.Caller, args json.RawMessage) (any, error)

// Confidential is the result of an AdminCall that holds a secret beside what
// everybody may see.
type Confidential struct {
	Result any
	Secret secret.Value
}

// Options is what a Server is made of. Door, Decisions, Registry and Version
// are required.
type Options struct {
	Door      tools.Door
	Decisions tools.Decisions
	Registry  *tools.Registry
	Version   string               // of this program
	Admin     map[string]AdminCall // by name; for clients of surface cli alone
	Toolsets  []string             // what clients of surface mcp are limited to; nil is no limit
	Grace     time.Duration        // for running calls at the end; 0 is 20 seconds
	Log       *slog.Logger
}

// Limits of a Server.
const (
	maxClients    = 256
	maxClientsUID = 64               // of one account
	greetWithin   = 5 * time.Second  // for hello
	askWithin     = 30 * time.Second // for the request and its secret after it
	takeWithin    = 30 * time.Second // for the client to take its answer
	beatEvery     = 10 * time.Second
	endWithin     = 5 * time.Second // for cancelled calls to end
)

// Server answers the clients of a Listener.
type Server struct {
	Options
	digest string

	mu      sync.Mutex
	clients map[int]int // connections by uid
	total   int
}

// NewServer makes one.
func NewServer(o Options) (*Server, error) {
	if o.Door == nil || o.Decisions == nil || o.Registry == nil {
		return nil, errors.New("local: an incomplete server: closed by default")
	}
	if o.Grace == 0 {
		o.Grace = 20 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{Options: o, digest: digest(o.Registry), clients: map[int]int{}}, nil
}

// Serve answers clients until ctx ends. Then it takes no more, gives running
// calls their Grace to end by themselves, cancels the rest, and returns nil,
// or an error when some did not end even so. It closes l.
func (s *Server) Serve(ctx context.Context, l *Listener) error {
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var running sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	var failed error
	for {
		c, err := l.AcceptUnix()
		if ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			break
		}
		if errors.Is(err, net.ErrClosed) {
			failed = fmt.Errorf("the socket %s was closed: %w", l.Path(), err)
			break
		}
		if err != nil {
			// Too many open files, for one: what is connected goes on.
			s.Log.Warn("client not accepted", "error", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		running.Go(func() {
			defer c.Close()
			s.serve(ctx, calls, c)
		})
	}
	return errors.Join(failed, s.drain(&running, cancel))
}

func (s *Server) drain(running *sync.WaitGroup, cancel func()) error {
	ended := make(chan struct{})
	go func() { running.Wait(); close(ended) }()
	for _, within := range []time.Duration{s.Grace, endWithin} {
		select {
		case <-ended:
			return nil
		case <-time.After(within):
			cancel()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Errorf("%d calls on the socket did not end", s.total)
}

// serve greets a client and answers its one call, which may go on when serving
// ends; a client that has not asked by then is sent away.
func (s *Server) serve(serving, calls context.Context, c *net.UnixConn) {
	uid, err := peer(c)
	if err != nil {
		s.Log.Error("client's uid not known", "error", err)
		return
	}
	c.SetDeadline(time.Now().Add(greetWithin))
	goOn := context.AfterFunc(serving, func() { c.SetReadDeadline(time.Now()) })
	defer goOn()
	if !s.enter(uid) {
		s.Log.Debug("too many clients", "uid", uid) // who waits asks ten times a second
		full := tools.Errorf(tools.TooMany, "the daemon has as many clients as it takes; nothing was done").
			WithHint("try again in a moment").Retryable()
		if err := s.welcome(c, uid, full); err != nil {
			s.Log.Debug("client not told", "uid", uid, "error", err)
		}
		return
	}
	defer s.leave(uid)
	var h hello
	if err := readJSON(c, helloFrame, &h); err != nil {
		s.Log.Warn("client refused", "uid", uid, "why", "no hello", "error", err)
		return
	}
	caller, refused := s.caller(uid, h)
	if err := s.welcome(c, uid, refused); err != nil || refused != nil {
		if refused != nil {
			s.Log.Warn("client refused", "uid", uid, "why", refused.Message)
		}
		return
	}
	c.SetDeadline(time.Now().Add(askWithin))
	asked, err := s.ask(calls, c, caller)
	if err != nil {
		// A client that only wanted to be greeted hangs up here.
		s.Log.Debug("client asked nothing", "uid", uid, "error", err)
		return
	}
	if !goOn() {
		stopping := tools.Errorf(tools.Unavailable, "the daemon is stopping; nothing was done").
			WithHint("try again when it is back").Retryable()
		if err := writeJSON(c, answerFrame, answer{Failure: stopping}); err != nil {
			s.Log.Debug("client not told", "uid", uid, "error", err)
		}
		return
	}
	c.SetDeadline(time.Time{})
	s.answer(calls, c, uid, asked)
}

func (s *Server) welcome(c *net.UnixConn, uid int, refused *tools.Error) error {
	return writeJSON(c, welcomeFrame, welcome{Protocol: protocol, Version: s.Version, Registry: s.digest, UID: uid, Refused: refused})
}

// caller builds who calls: the identity is the kernel's word, the rest is the
// client's and cannot widen anything.
func (s *Server) caller(uid int, h hello) (tools.Caller, *tools.Error) {
	if e := h.differ(welcome{Protocol: protocol, Version: s.Version, Registry: s.digest}); e != nil {
		return tools.Caller{}, e
	}
	if h.Surface != tools.CLI && h.Surface != tools.MCP {
		return tools.Caller{}, tools.Errorf(tools.InvalidArgument, "a client of the socket is of surface cli or mcp; nothing was done")
	}
	caller := tools.Caller{
		Identity: tools.Identity("uid:" + strconv.Itoa(uid)), Surface: h.Surface,
		Client: label(h.Client), Channel: label(h.Channel),
		// This account and root can open the store itself.
		SameAccount: uid == os.Geteuid() || uid == 0,
	}
	if h.Surface == tools.MCP {
		caller.Toolsets = slices.Clone(s.Toolsets)
	}
	return caller, nil
}

// label is a client's word on itself, short and on one line.
func label(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if r := []rune(s); len(r) > 80 {
		return string(r[:80])
	}
	return s
}

func (s *Server) enter(uid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= maxClients || s.clients[uid] >= maxClientsUID {
		return false
	}
	s.total++
	s.clients[uid]++
	return true
}

func (s *Server) leave(uid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.clients[uid]--; s.clients[uid] == 0 {
		delete(s.clients, uid)
	}
}
