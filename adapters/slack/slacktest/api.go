package slacktest

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Call is one Web API call, or one post to a response_url (Method "response_url") or upload URL
// (Method "upload").
type Call struct {
	Method string
	Args   map[string]string // values that are not strings are JSON; the token is left out
	At     time.Time
	Status int
	Error  string // Slack's error code, empty when it went well
}

// args are a call's arguments; JSON values stay JSON.
type args map[string]string

func (a args) flag(name string) bool { return a[name] == "true" || a[name] == "1" }

// apiError is a refusal as Slack words it.
type apiError struct {
	code     string
	messages []string // response_metadata.messages, "[ERROR] … [json-pointer:/blocks/0]"
	extra    obj
	status   int // default 200, as nearly all of Slack's refusals
	header   http.Header
}

func refuse(code string, messages ...string) *apiError {
	return &apiError{code: code, messages: messages}
}

// method is what Slack documents of a Web API method: who may call it, how often, in what form.
type method struct {
	call  func(*Server, args) (obj, *apiError)
	token string // kind: bot (default), app, config, any
	scope string // needed scope; methods whose scope depends on the channel check it themselves
	tier  int    // calls a minute are tiers[tier]; 0 has no limit here
	json  bool   // takes application/json; reading methods do not
}

var methods map[string]method

// The table is filled in init because handlers refer to it through the server (apps.manifest.validate).
func init() {
	methods = map[string]method{
		"api.test":                     {call: (*Server).apiTest, token: "none", json: true},
		"auth.test":                    {call: (*Server).authTest, token: "any", json: true},
		"apps.connections.open":        {call: (*Server).connectionsOpen, token: "app", scope: "connections:write", tier: 1, json: true},
		"apps.manifest.validate":       {call: (*Server).manifestValidate, token: "config", tier: 3, json: true},
		"blocks.validate":              {call: (*Server).blocksValidate, token: "any", json: true},
		"chat.postMessage":             {call: (*Server).chatPostMessage, scope: "chat:write", json: true},
		"chat.postEphemeral":           {call: (*Server).chatPostEphemeral, scope: "chat:write", tier: 4, json: true},
		"chat.update":                  {call: (*Server).chatUpdate, scope: "chat:write", tier: 3, json: true},
		"chat.delete":                  {call: (*Server).chatDelete, scope: "chat:write", tier: 3, json: true},
		"chat.getPermalink":            {call: (*Server).chatGetPermalink, tier: 4},
		"conversations.info":           {call: (*Server).conversationsInfo, tier: 3},
		"conversations.members":        {call: (*Server).conversationsMembers, tier: 4},
		"conversations.open":           {call: (*Server).conversationsOpen, tier: 3, json: true},
		"files.completeUploadExternal": {call: (*Server).filesComplete, scope: "files:write", tier: 4, json: true},
		"files.getUploadURLExternal":   {call: (*Server).filesUploadURL, scope: "files:write", tier: 4},
		"usergroups.list":              {call: (*Server).usergroupsList, scope: "usergroups:read", tier: 2},
		"usergroups.users.list":        {call: (*Server).usergroupsUsers, scope: "usergroups:read", tier: 2},
		"users.info":                   {call: (*Server).usersInfo, scope: "users:read", tier: 4},
		"views.open":                   {call: (*Server).viewsOpen, tier: 4, json: true},
		"views.push":                   {call: (*Server).viewsPush, tier: 4, json: true},
		"views.update":                 {call: (*Server).viewsUpdate, tier: 4, json: true},
		"views.publish":                {call: (*Server).viewsPublish, tier: 4, json: true},
	}
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("method")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4<<20))
	if err != nil {
		return
	}
	a, token, bad := readArgs(r, body, methods[name].json)
	s.mu.Lock()
	s.keep(body)
	s.mu.Unlock()

	fault := s.takeFault(name, a)
	if fault != nil && !fault.After && !s.suffer(w, r, name, a, fault) {
		return
	}
	s.mu.Lock()
	reply, refusal := s.answer(name, a, token, bad)
	if fault == nil || !fault.After {
		s.record(name, a, refusal)
	}
	s.touch()
	s.mu.Unlock()
	if fault != nil && fault.After && !s.suffer(w, r, name, a, fault) {
		return
	}
	s.reply(w, methods[name], reply, refusal)
}

// answer checks what Slack checks before it looks at a call, in its order; mu is held.
func (s *Server) answer(name string, a args, token string, bad *apiError) (obj, *apiError) {
	m, known := methods[name]
	switch {
	case !known:
		s.violate("%s: unknown_method", name)
		return nil, refuse("unknown_method")
	case bad != nil:
		s.violate("%s: %s", name, bad.code)
		return nil, bad
	}
	if refusal := s.checkToken(m, token); refusal != nil {
		return nil, refusal
	}
	if refusal := s.throttle(name, m, a); refusal != nil {
		return nil, refusal
	}
	reply, refusal := m.call(s, a)
	return reply, refusal
}

func (s *Server) checkToken(m method, token string) *apiError {
	kind := map[string]string{appToken: "app", botToken: "bot", cfgToken: "config"}[token]
	want := m.token
	if want == "" {
		want = "bot"
	}
	switch {
	case want == "none":
		return nil
	case token == "":
		return refuse("not_authed")
	case kind == "":
		return refuse("invalid_auth")
	case want != "any" && kind != want:
		return refuse("not_allowed_token_type")
	case m.scope != "" && kind == "bot":
		return s.needScope(m.scope)
	}
	return nil
}

// needScope refuses unless the bot token was granted one of the scopes; mu is held.
func (s *Server) needScope(one ...string) *apiError {
	for _, scope := range one {
		if slices.Contains(s.manifest.scopes, scope) {
			return nil
		}
	}
	return &apiError{code: "missing_scope", extra: obj{
		"needed": strings.Join(one, ","), "provided": strings.Join(s.manifest.scopes, ",")}}
}

// readArgs takes a call apart. The token counts in the Authorization header and in a form body, not in
// the query and not inside JSON.
func readArgs(r *http.Request, body []byte, takesJSON bool) (a args, token string, bad *apiError) {
	a = args{}
	for k, v := range r.URL.Query() {
		a[k] = v[0]
	}
	delete(a, "token")
	token, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if r.Method == http.MethodGet {
		return a, token, nil
	}
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return a, token, refuse("invalid_form_data")
		}
		a.take(form)
	case "multipart/form-data":
		form, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(1 << 20)
		if err != nil {
			return a, token, refuse("invalid_form_data")
		}
		a.take(form.Value)
	case "application/json":
		if !takesJSON { // Slack does not read the body, so that every argument is missing
			return a, token, nil
		}
		if len(bytes.TrimSpace(body)) > 0 {
			if bad = a.takeJSON(body); bad != nil {
				return a, token, bad
			}
		}
		delete(a, "token")
	case "":
		if len(body) > 0 {
			return a, token, refuse("missing_post_type")
		}
	default:
		return a, token, refuse("invalid_post_type")
	}
	if form := a["token"]; token == "" {
		token = form
	}
	delete(a, "token")
	return a, token, nil
}

func (a args) take(form map[string][]string) {
	for k, v := range form {
		if len(v) > 0 {
			a[k] = v[0]
		}
	}
}

func (a args) takeJSON(body []byte) *apiError {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		if json.Valid(body) {
			return refuse("json_not_object")
		}
		return refuse("invalid_json")
	}
	for k, v := range fields {
		var text string
		switch {
		case json.Unmarshal(v, &text) == nil:
			a[k] = text
		default:
			a[k] = string(v)
		}
	}
	return nil
}

func (s *Server) reply(w http.ResponseWriter, m method, reply obj, refusal *apiError) {
	status := http.StatusOK
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-OAuth-Scopes", strings.Join(s.Scopes(), ","))
	if m.scope != "" {
		h.Set("X-Accepted-OAuth-Scopes", m.scope)
	}
	if refusal != nil {
		reply = refusal.json()
		maps.Copy(h, refusal.header)
		if refusal.status != 0 {
			status = refusal.status
		}
	} else {
		if reply == nil {
			reply = obj{}
		}
		reply["ok"] = true
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(reply)
}

func (e *apiError) json() obj {
	j := obj{"ok": false, "error": e.code}
	maps.Copy(j, e.extra)
	if len(e.messages) > 0 {
		j["response_metadata"] = obj{"messages": e.messages}
		if e.code == "invalid_blocks" || e.code == "invalid_arguments" {
			j["errors"] = e.messages
		}
	}
	return j
}

func rateLimited(seconds int) *apiError {
	return &apiError{code: "ratelimited", status: http.StatusTooManyRequests,
		header: http.Header{"Retry-After": {strconv.Itoa(seconds)}}}
}

// record notes a call with its outcome; mu is held.
func (s *Server) record(name string, a args, refusal *apiError) {
	c := Call{Method: name, Args: a, At: s.clock.now(), Status: http.StatusOK}
	if refusal != nil {
		c.Error = refusal.code
		if refusal.status != 0 {
			c.Status = refusal.status
		}
	}
	s.log.Debug("call", "method", name, "error", c.Error)
	s.calls = append(s.calls, c)
}

// keep remembers bytes the app sent; mu is held.
func (s *Server) keep(body []byte) {
	if len(body) > 0 {
		s.sent = append(s.sent, body)
	}
}

// Calls are the calls so far, of all methods or of those named, in order.
func (s *Server) Calls(named ...string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var calls []Call
	for _, c := range s.calls {
		if len(named) == 0 || slices.Contains(named, c.Method) {
			calls = append(calls, c)
		}
	}
	return calls
}

// WaitCalls waits until the method was called n times, refused calls included, and returns the calls.
func (s *Server) WaitCalls(n int, method string) []Call {
	if s.tb != nil {
		s.tb.Helper()
	}
	s.waitOrFail(func() bool { return len(s.Calls(method)) >= n },
		func() string { return "wait for " + strconv.Itoa(n) + " calls of " + method })
	return s.Calls(method)
}

// Sent is every body the app sent, over HTTP and the websocket, as it was, and then every text in it
// with form encoding and JSON undone: what a search for a secret goes through.
func (s *Server) Sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, b := range s.sent {
		all = append(all, string(b))
		all = append(all, plain(string(b))...)
		if form, err := url.ParseQuery(string(b)); err == nil {
			for _, values := range form {
				for _, v := range values {
					all = append(append(all, v), plain(v)...)
				}
			}
		}
	}
	return all
}

// plain is every text inside JSON, also inside JSON that is a text.
func plain(text string) []string {
	var walk func(v any) []string
	walk = func(v any) (out []string) {
		switch v := v.(type) {
		case string:
			out = append(append(out, v), plain(v)...)
		case []any:
			for _, e := range v {
				out = append(out, walk(e)...)
			}
		case obj:
			for k, e := range v {
				out = append(append(out, k), walk(e)...)
			}
		}
		return out
	}
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		return walk(decode[any](text))
	}
	return nil
}

// Scopes are what the bot token was granted.
func (s *Server) Scopes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.manifest.scopes)
}

// SetScopes changes what the bot token was granted, as a reinstallation does.
func (s *Server) SetScopes(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manifest.scopes = scopes
}
