package slacktest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// What Slack grants after a command or click.
// https://docs.slack.dev/interactivity/handling-user-interaction
const (
	triggerLife   = 3 * time.Second
	responseLife  = 30 * time.Minute
	responsePosts = 5
)

type trigger struct {
	user, view string // view: the modal it came from
	born       time.Time
	used       bool
}

// responseURL lets the app answer one command or click without being a member.
type responseURL struct {
	id, channel, user string
	message           string // ts of the message that was clicked
	born              time.Time
	posts             int
}

// newTrigger makes a trigger_id; mu is held.
func (s *Server) newTrigger(user, view string) string {
	s.seq++
	id := fmt.Sprintf("%d.%d.%032x", 3700000000000+s.seq, 3480000000000, s.seq)
	s.triggers[id] = &trigger{user: user, view: view, born: s.clock.now()}
	return id
}

// exchange uses up a trigger; mu is held.
func (s *Server) exchange(id string) (*trigger, *apiError) {
	t, ok := s.triggers[id]
	switch {
	case !ok:
		return nil, refuse("invalid_trigger_id")
	case s.clock.now().Sub(t.born) >= triggerLife:
		return nil, refuse("expired_trigger_id")
	case t.used:
		return nil, refuse("exchanged_trigger_id")
	}
	t.used = true
	return t, nil
}

// newResponse makes a response_url; mu is held.
func (s *Server) newResponse(channel, user, message string) string {
	s.seq++
	r := &responseURL{id: fmt.Sprintf("R%08x", s.seq), channel: channel, user: user, message: message, born: s.clock.now()}
	s.responses[r.id] = r
	return s.base + "/response/" + r.id
}

func (s *Server) serveResponseURL(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return
	}
	a := args{}
	bad := a.takeJSON(body)
	fault := s.takeFault("response_url", a)
	if fault != nil && !fault.After && !s.suffer(w, r, "response_url", a, fault) {
		return
	}
	s.mu.Lock()
	s.keep(body)
	if bad == nil {
		bad = s.respond(r.PathValue("id"), a)
	}
	if fault == nil || !fault.After {
		s.record("response_url", a, bad)
	}
	s.touch()
	s.mu.Unlock()
	if fault != nil && fault.After && !s.suffer(w, r, "response_url", a, fault) {
		return
	}
	if bad != nil {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(bad.status)
		_ = json.NewEncoder(w).Encode(bad.json())
		return
	}
	_, _ = io.WriteString(w, "ok")
}

// respond does what a post to a response_url asks. Slack does not document the answers to a URL that is
// used up or expired; these are what clients report.
func (s *Server) respond(id string, a args) *apiError {
	with := func(status int, bad *apiError) *apiError { bad.status = status; return bad }
	r, ok := s.responses[id]
	switch {
	case !ok:
		return with(http.StatusNotFound, refuse("invalid_url"))
	case s.clock.now().Sub(r.born) >= responseLife:
		return with(http.StatusNotFound, refuse("expired_url"))
	case r.posts >= responsePosts:
		s.violate("response_url: a post beyond the %d that one allows", responsePosts)
		return with(http.StatusNotFound, refuse("used_url"))
	}
	r.posts++
	if bad := s.say("response_url", r, a); bad != nil {
		return with(http.StatusBadRequest, bad)
	}
	return nil
}

// say posts, replaces or deletes as a response_url or an acknowledgement may; mu is held.
func (s *Server) say(by string, r *responseURL, a args) *apiError {
	original := s.find(r.channel, r.message)
	touches := original != nil && original.User == botUserID && !original.Deleted
	if a.flag("delete_original") {
		if !touches {
			return refuse("message_not_found")
		}
		original.Deleted = true
		if a["text"] == "" && a["blocks"] == "" {
			return nil
		}
	}
	says, bad := s.readContent(by, a)
	if bad != nil {
		return bad
	}
	if says.empty() {
		return refuse("no_text")
	}
	switch kind := a["response_type"]; {
	case a.flag("replace_original"):
		if !touches {
			return refuse("message_not_found")
		}
		says.has.text = true // a replacement is whole
		s.edit(original, says)
		return nil
	case kind == "" || kind == "ephemeral":
		m := s.post(by, r.channel, says)
		m.EphemeralTo, m.ThreadTS, m.response = r.user, a["thread_ts"], r.id
	case kind == "in_channel":
		m := s.post(by, r.channel, says)
		m.ThreadTS, m.response = a["thread_ts"], r.id
	default:
		s.violate("%s: response_type %q", by, kind)
		return refuse("invalid_payload")
	}
	return nil
}
