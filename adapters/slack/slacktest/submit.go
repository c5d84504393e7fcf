package slacktest

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Submit fills a modal in and presses its submit button. values are by action_id: a string for what is
// typed or picked, a []string for several. An input without an entry keeps what it has.
func (s *Server) Submit(v View, values map[string]any, user string) *Delivery {
	if s.tb != nil {
		s.tb.Helper()
	}
	for actionID, value := range values {
		e, ok := v.Element(actionID)
		if !ok {
			s.fail("the modal %q has no %q", v.Title, actionID)
		}
		list, several := value.([]string)
		if !several {
			list = []string{fmt.Sprint(value)}
		}
		if e.Type == "external_select" || e.Type == "multi_external_select" {
			for _, one := range list {
				s.lookUp(v, e, user, one)
			}
		}
		s.mu.Lock()
		chosen, err := s.choose(e, list)
		if err == nil {
			s.remember(v, e, user, chosen)
		}
		s.mu.Unlock()
		if err != nil {
			s.fail("%s: %v", actionID, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	payload := v.interaction(s, user)
	delete(payload, "container")
	current := s.views[v.ID]
	if current.raw["submit"] == nil {
		s.fail("the modal %q has no submit button", v.Title)
	}
	for _, b := range current.Blocks {
		e := elements([]obj{b})
		if b["type"] != "input" || b["optional"] == true || len(e) == 0 {
			continue
		}
		entry, ok := current.typed[e[0].key()]
		if !ok {
			entry = initial(e[0])
		}
		if !filled(entry) {
			s.fail("the modal %q cannot be submitted: %s is empty", v.Title, e[0].ActionID)
		}
	}
	payload["type"], payload["response_urls"] = "view_submission", []obj{}
	id := v.ID
	return s.deliver("interactive", payload, func(answer json.RawMessage) { s.submitted(id, user, answer) })
}

// submitted does what the acknowledgement of a submission says. An empty one closes the modal and shows
// the one below; mu is held.
func (s *Server) submitted(id, user string, answer json.RawMessage) {
	v := s.views[id]
	if len(answer) == 0 {
		s.pop(user)
		return
	}
	var reply struct {
		Action string            `json:"response_action"`
		View   json.RawMessage   `json:"view"`
		Errors map[string]string `json:"errors"`
	}
	if err := json.Unmarshal(answer, &reply); err != nil {
		s.violate("acknowledgement of a submission: %v", err)
		return
	}
	switch reply.Action {
	case "clear":
		s.closeStack(user)
	case "errors":
		s.showErrors(v, reply.Errors)
	case "update", "push":
		raw, bad := s.readView("response_action "+reply.Action, args{"view": string(reply.View)}, "modal")
		switch {
		case bad != nil: // noted by readView; the person sees "trouble connecting"
		case reply.Action == "update":
			s.show(v, raw)
		case len(s.stacks[user]) >= maxStack:
			s.violate("response_action push: a stack over %d", maxStack)
		default:
			s.stackView(user, raw)
		}
	default:
		s.violate("acknowledgement of a submission: response_action %q", reply.Action)
	}
}

// showErrors puts a text under each input. A key that is no input's block_id makes Slack show "trouble
// connecting" instead of the reason; mu is held.
func (s *Server) showErrors(v *View, errors map[string]string) {
	if len(errors) == 0 {
		s.violate("response_action errors without errors")
	}
	for block, text := range errors {
		found := slices.ContainsFunc(v.Blocks, func(b obj) bool { return b["type"] == "input" && b["block_id"] == block })
		if !found || text == "" {
			s.violate("response_action errors: %q is no input of the modal, or its text is empty", block)
		}
	}
	v.Errors = errors
}

// CloseModal presses cancel on a modal. The app is told when the view asked for it; the delivery is nil
// otherwise.
func (s *Server) CloseModal(v View, user string) *Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	payload := v.interaction(s, user)
	delete(payload, "container")
	delete(payload, "trigger_id")
	current := s.views[v.ID]
	cleared := current.raw["clear_on_close"] == true
	if cleared {
		s.closeStack(user)
	} else {
		s.pop(user)
	}
	s.touch()
	if current.raw["notify_on_close"] != true {
		return nil
	}
	payload["type"], payload["is_cleared"] = "view_closed", cleared
	return s.deliver("interactive", payload, nil)
}
