package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	proto "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/duplibot/duplibot/tools"
)

// guard is what a request passes before the library sees it: the host's name,
// the page it comes from, who calls, how much he may, what he sends.
type guard struct {
	*HTTP
	hosts    []string
	sessions *sessions
	budgets  *budgets
	bearer   *bearer
}

func (h *HTTP) routes(hosts []string, sessions *sessions) (http.Handler, error) {
	b, err := newBearer(h)
	if err != nil {
		return nil, err
	}
	g := &guard{HTTP: h, hosts: hosts, sessions: sessions, budgets: newBudgets(h.o.Limits), bearer: b}
	mux := http.NewServeMux()
	mux.HandleFunc(h.o.Path, g.serve)
	if h.o.OAuth != nil {
		metadata := server.NewProtectedResourceMetadataHandler(b.metadata())
		mux.Handle(server.WellKnownProtectedResourcePath, metadata)
		mux.Handle(server.WellKnownProtectedResourcePath+h.o.Path, metadata)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// For the body, read or not; without it a refused request could
			// hold its connection. A recorder in a test has no deadlines.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.o.Limits.Read))
		}
		if !g.hostFits(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, nil, proto.INVALID_REQUEST, "this server does not go by the name in the Host header")
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// hostFits refuses names that a page could have made resolve to us.
func (g *guard) hostFits(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return slices.Contains(g.hosts, strings.ToLower(strings.Trim(host, "[]")))
}

// originFits refuses web pages that are not ours and not named. Programs send
// no Origin.
func (g *guard) originFits(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	if len(origins) > 1 {
		return false
	}
	if slices.Contains(g.o.Origins, origins[0]) {
		return true
	}
	u, err := url.Parse(origins[0])
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

func (g *guard) serve(w http.ResponseWriter, r *http.Request) {
	if !g.originFits(r) {
		refuse(w, http.StatusForbidden, nil, proto.INVALID_REQUEST, "requests from this origin are not allowed")
		return
	}
	if g.cors(w, r) {
		return
	}
	c, ok := g.bearer.proves(w, r)
	if !ok {
		return
	}
	ctx := withCaller(r.Context(), c)
	switch r.Method {
	case http.MethodPost:
		g.post(w, r.WithContext(ctx), c)
	case http.MethodGet, http.MethodDelete:
		if !isModern(r) && !g.sessions.owns(string(c.Identity), r.Header.Get(server.HeaderKeySessionID)) {
			refuse(w, http.StatusNotFound, nil, proto.INVALID_REQUEST, "there is no such session")
			return
		}
		if r.Method == http.MethodDelete {
			g.streams.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		g.stream(w, r.WithContext(ctx), c)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		refuse(w, http.StatusMethodNotAllowed, nil, proto.INVALID_REQUEST, "this method is not known here")
	}
}

func isModern(r *http.Request) bool {
	return proto.IsModernProtocol(r.Header.Get(proto.HeaderProtocolVersion))
}

// message is what the guard must know of a message.
type message struct {
	ID     json.RawMessage `json:"id"`
	Method proto.MCPMethod `json:"method"`
	Params struct {
		Name string `json:"name"`
		Meta *struct {
			Capabilities map[string]json.RawMessage `json:"io.modelcontextprotocol/clientCapabilities"`
		} `json:"_meta"`
	} `json:"params"`
}

func (g *guard) post(w http.ResponseWriter, r *http.Request, c tools.Caller) {
	b := g.budgets.of(string(c.Identity))
	defer g.budgets.done(b)
	if wait := b.take(); wait > 0 {
		g.tooMany(w, wait, "too many requests")
		return
	}
	if !b.enter(&b.calls, g.o.Limits.Concurrent) {
		g.tooMany(w, time.Second, "too many requests are in work")
		return
	}
	inWork := true
	leave := func() {
		if inWork {
			b.leave(&b.calls)
			inWork = false
		}
	}
	defer leave()

	body, ok := g.read(w, r)
	if !ok {
		return
	}
	var m message
	_ = json.Unmarshal(body, &m) // what is no message, the library answers
	r.Body = io.NopCloser(bytes.NewReader(body))
	switch m.Method {
	case proto.MethodToolsCall:
		if g.lacks(w, r, m, c) {
			return
		}
	case proto.MethodSubscriptionsListen:
		leave()
		g.stream(w, r, c)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), g.o.Limits.Call)
	defer cancel()
	out, r, end := withOutlet(r.WithContext(ctx), &patient{w, g.o.Limits.Write})
	defer end()
	g.streams.ServeHTTP(out, r)
}

// read takes a body that arrives in time and is not too long.
func (g *guard) read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, g.o.Limits.Body))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		refuse(w, http.StatusRequestEntityTooLarge, nil, proto.INVALID_REQUEST, "the message is longer than "+strconv.FormatInt(g.o.Limits.Body, 10)+" bytes")
		return nil, false
	case err != nil:
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusRequestTimeout, nil, proto.INVALID_REQUEST, "the message did not arrive whole")
		return nil, false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, true
}

// lacks refuses a call for which the client lacks a capability, or the token a
// scope. The first is the protocol's -32021 with status 400 (2026-07-28,
// SEP-2575), the second OAuth's step-up challenge.
func (g *guard) lacks(w http.ResponseWriter, r *http.Request, m message, c tools.Caller) bool {
	if op := g.s.byTool[m.Params.Name]; op != nil && g.bearer.stepUp(w, r, m.ID, op, c) {
		return true
	}
	if g.o.Requires == nil || !isModern(r) || m.Params.Meta == nil {
		return false
	}
	missing := map[string]any{}
	for _, name := range g.o.Requires(m.Params.Name) {
		if _, declared := m.Params.Meta.Capabilities[name]; !declared {
			missing[name] = struct{}{}
		}
	}
	if len(missing) == 0 {
		return false
	}
	writeError(w, http.StatusBadRequest, m.ID, proto.JSONRPCErrorDetails{
		Code: proto.MISSING_REQUIRED_CLIENT_CAPABILITY, Message: "the client lacks a capability that this tool needs",
		Data: map[string]any{"requiredCapabilities": missing},
	})
	return true
}

// stream serves what stays open: as long as the client reads, within its limit.
func (g *guard) stream(w http.ResponseWriter, r *http.Request, c tools.Caller) {
	b := g.budgets.of(string(c.Identity))
	defer g.budgets.done(b)
	if !b.enter(&b.streams, g.o.Limits.Streams) {
		g.tooMany(w, 10*time.Second, "too many streams are open")
		return
	}
	defer b.leave(&b.streams)
	out := &telling{&patient{w, g.o.Limits.Write}, newAcks()}
	g.streams.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), acksKey{}, out.acks)))
}

// telling is a stream that takes note of its acknowledgement.
type telling struct {
	*patient
	acks *acks
}

func (t *telling) Write(b []byte) (int, error) {
	defer t.acks.saw(b)
	return t.patient.Write(b)
}

func (g *guard) tooMany(w http.ResponseWriter, wait time.Duration, why string) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(wait.Seconds()+0.999))))
	refuse(w, http.StatusTooManyRequests, nil, proto.INTERNAL_ERROR, why+"; try again later")
}

// cors answers a browser's question for pages that the config names.
func (g *guard) cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(g.o.Origins, origin) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Vary", "Origin")
	w.Header().Set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate, Retry-After")
	if r.Method != http.MethodOptions {
		return false
	}
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name, Last-Event-ID")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// refuse answers with an error that is also a JSON-RPC message.
func refuse(w http.ResponseWriter, status int, id json.RawMessage, code int, text string) {
	writeError(w, status, id, proto.JSONRPCErrorDetails{Code: code, Message: text})
}

func writeError(w http.ResponseWriter, status int, id json.RawMessage, e proto.JSONRPCErrorDetails) {
	if len(id) == 0 {
		id = json.RawMessage("null")
	}
	b, err := json.Marshal(struct {
		Version string                    `json:"jsonrpc"`
		ID      json.RawMessage           `json:"id"`
		Error   proto.JSONRPCErrorDetails `json:"error"`
	}{proto.JSONRPC_VERSION, id, e})
	if err != nil {
		status, b = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// patient gives the client a time to take each piece that is written, however
// long the whole takes.
type patient struct {
	http.ResponseWriter
	within time.Duration
}

func (p *patient) Write(b []byte) (int, error) {
	p.extend()
	return p.ResponseWriter.Write(b)
}

// Flush sends what was written.
func (p *patient) Flush() {
	p.extend()
	_ = http.NewResponseController(p.ResponseWriter).Flush()
}

func (p *patient) extend() {
	_ = http.NewResponseController(p.ResponseWriter).SetWriteDeadline(time.Now().Add(p.within))
}

// Unwrap is for http.ResponseController.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }
