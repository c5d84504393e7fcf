package slacktest

import (
	"fmt"
	"maps"
	"slices"
)

// OpenHome lets a user open the app's Home tab.
func (s *Server) OpenHome(user string) *Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.actor(user)
	if !s.manifest.home {
		s.fail("the app has no Home tab in its manifest")
	}
	event := obj{"type": "app_home_opened", "user": u.ID, "channel": s.openDM(u.ID).ID, "tab": "home"}
	if v := s.views[s.homes[u.ID]]; v != nil {
		event["view"] = s.viewJSON(v)
	}
	return s.event(event)
}

// Event sends any event that the manifest subscribes to; its type and fields are the caller's.
func (s *Server) Event(event map[string]any) *Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.event(event)
}

// event wraps an event as the Events API does; mu is held.
func (s *Server) event(event obj) *Delivery {
	kind := str(event["type"])
	if !slices.Contains(s.manifest.events, kind) {
		s.fail("the app's manifest does not subscribe to %q", kind)
	}
	s.seq++
	now := s.clock.now()
	full := obj{"event_ts": s.ts()}
	maps.Copy(full, event)
	return s.deliver("events_api", obj{
		"token": "verification-token", "team_id": s.opt.TeamID, "api_app_id": appID, "type": "event_callback",
		"event": full, "event_id": fmt.Sprintf("Ev%08X", s.seq), "event_time": now.Unix(),
		"authorizations":        []obj{{"enterprise_id": nil, "team_id": s.opt.TeamID, "user_id": botUserID, "is_bot": true, "is_enterprise_install": false}},
		"is_ext_shared_channel": false, "event_context": fmt.Sprintf("4-%08x", s.seq),
	}, nil)
}
