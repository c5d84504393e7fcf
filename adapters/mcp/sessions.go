package mcp

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"time"

	proto "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/duplibot/duplibot/tools"
)

// sessions are those of clients before 2026-07-28. A session belongs to the
// caller who began it: its ID is a name, not a right.
type sessions struct {
	each, all int
	now       tools.Clock
	end       func(id string) // ends one in the library too

	mu   sync.Mutex
	byID map[string]*session
}

type session struct {
	owner string
	used  time.Time
}

func newSessions(l Limits, now tools.Clock) *sessions {
	return &sessions{each: l.Sessions, all: l.AllSessions, now: now, byID: map[string]*session{}}
}

// owns reports whether the session is there and the owner's.
func (s *sessions) owns(owner, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byID[id]
	if found == nil || found.owner != owner {
		return false
	}
	found.used = s.now()
	return true
}

// begin makes a session. Over a limit, the one that was used least recently
// ends: clients that are killed and started again never end theirs.
func (s *sessions) begin(owner string) string {
	id := rand.Text()
	s.mu.Lock()
	s.byID[id] = &session{owner: owner, used: s.now()}
	old := s.oldest(func(e *session) bool { return e.owner == owner }, s.each)
	if old == "" {
		old = s.oldest(func(*session) bool { return true }, s.all)
	}
	s.mu.Unlock()
	if old != "" {
		s.end(old)
	}
	return id
}

// oldest is the least recently used of those that fit when there are more
// than limit.
func (s *sessions) oldest(fits func(*session) bool, limit int) string {
	n, old := 0, ""
	for id, e := range s.byID {
		if !fits(e) {
			continue
		}
		if n++; old == "" || e.used.Before(s.byID[old].used) {
			old = id
		}
	}
	if n <= limit {
		return ""
	}
	return old
}

// ResolveSessionIdManager binds sessions to the caller of r. Without one it is
// the library's own sweep that asks.
func (s *sessions) ResolveSessionIdManager(r *http.Request) server.SessionIdManager {
	if r == nil {
		return owned{s, ""}
	}
	c, _ := r.Context().Value(callerKey{}).(tools.Caller)
	return owned{s, string(c.Identity)}
}

// owned is the sessions of one owner.
type owned struct {
	s     *sessions
	owner string
}

var errNoSession = errors.New("there is no such session")

func (o owned) Generate() string { return o.s.begin(o.owner) }

func (o owned) Validate(id string) (bool, error) {
	if !o.s.owns(o.owner, id) {
		return false, errNoSession
	}
	return false, nil
}

// Terminate forgets a session. The guard has seen that it is the caller's.
func (o owned) Terminate(id string) (bool, error) {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	delete(o.s.byID, id)
	return false, nil
}

// endSession ends a session as its client's DELETE would.
func (h *HTTP) endSession(id string) {
	header := http.Header{}
	header.Set(server.HeaderKeySessionID, id)
	header.Set(proto.HeaderProtocolVersion, proto.LATEST_LEGACY_PROTOCOL_VERSION)
	h.streams.Handle(nowhere{http.Header{}}, &server.HTTPRequest{Method: http.MethodDelete, Header: header, Context: context.Background()})
}

// nowhere takes the answer to a request that nobody made.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}
func (n nowhere) Flush()                      {}
func (n nowhere) CanStream() bool             { return false }
