package slacktest

import (
	"fmt"
	"maps"
	"slices"
)

// View is a modal or a Home tab as it stands.
type View struct {
	ID, Hash, Type  string
	User            string
	CallbackID      string
	ExternalID      string
	PrivateMetadata string
	Title           string
	Blocks          []obj
	Open            bool              // a modal that is on somebody's screen, or the newest Home tab
	Versions        int               // how often it was opened or updated
	Errors          map[string]string // block_id -> what response_action errors shows under it

	raw      obj
	root     string
	previous string
	typed    map[string]obj // block_id/action_id -> what the person has chosen so far
}

const maxStack = 3 // modals on top of each other

// View is a view as it is now.
func (s *Server) View(id string) (View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.views[id]; v != nil {
		return *v, true
	}
	return View{}, false
}

// Modal is the view on top of a user's screen.
func (s *Server) Modal(user string) (View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stack := s.stacks[user]; len(stack) > 0 {
		return *s.views[stack[len(stack)-1]], true
	}
	return View{}, false
}

// Home is the Home tab that was published for a user.
func (s *Server) Home(user string) (View, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.views[s.homes[user]]; v != nil {
		return *v, true
	}
	return View{}, false
}

// WaitModal waits until a modal is on the user's screen that match likes; nil likes all.
func (s *Server) WaitModal(user string, match func(View) bool) View {
	if s.tb != nil {
		s.tb.Helper()
	}
	return s.waitView("modal", user, s.Modal, match)
}

// WaitHome waits until a Home tab is published for the user that match likes; nil likes all.
func (s *Server) WaitHome(user string, match func(View) bool) View {
	if s.tb != nil {
		s.tb.Helper()
	}
	return s.waitView("Home tab", user, s.Home, match)
}

func (s *Server) waitView(what, user string, look func(string) (View, bool), match func(View) bool) View {
	if s.tb != nil {
		s.tb.Helper()
	}
	var found View
	s.waitOrFail(func() bool {
		v, ok := look(user)
		if ok && (match == nil || match(v)) {
			found = v
			return true
		}
		return false
	}, func() string {
		v, ok := look(user)
		return fmt.Sprintf("wait for a %s of %s; there is one: %v\n%s", what, user, ok, v.AllText())
	})
	return found
}

// AllText is the title and every text in the view, a line each.
func (v View) AllText() string { return Message{Text: v.Title, Blocks: v.Blocks}.AllText() }

// Elements are the interactive elements in order.
func (v View) Elements() []Element { return elements(v.Blocks) }

// Element finds an interactive element by its action_id.
func (v View) Element(actionID string) (Element, bool) { return findElement(v.Elements(), actionID) }

// readView decodes and validates the view argument; mu is held.
func (s *Server) readView(where string, a args, kinds ...string) (obj, *apiError) {
	if a["view"] == "" {
		return nil, refuse("invalid_arguments", "[ERROR] missing required field: view [json-pointer:/view]")
	}
	if len(a["view"]) > 250_000 {
		return nil, refuse("view_too_large")
	}
	if err := validateView([]byte(a["view"])); err != nil {
		s.violate("%s: %v", where, err)
		return nil, err.under("/view").refusal("invalid_arguments")
	}
	raw := decode[obj](a["view"])
	if !slices.Contains(kinds, str(raw["type"])) {
		s.violate("%s: a view of type %v", where, raw["type"])
		return nil, refuse("invalid_arguments", fmt.Sprintf("[ERROR] invalid view type %v [json-pointer:/view/type]", raw["type"]))
	}
	return raw, nil
}

// show puts content into a view; mu is held.
func (s *Server) show(v *View, raw obj) {
	s.seq++
	title, _ := raw["title"].(obj)
	v.raw = raw
	v.Blocks = s.named(objects(raw["blocks"]))
	v.Hash = fmt.Sprintf("%d.%08x", s.clock.now().Unix(), s.seq)
	v.Type, v.Title = str(raw["type"]), str(title["text"])
	v.CallbackID, v.PrivateMetadata, v.ExternalID = str(raw["callback_id"]), str(raw["private_metadata"]), str(raw["external_id"])
	v.Open, v.Errors = true, nil
	v.Versions++
	kept := map[string]obj{}
	for _, e := range elements(v.Blocks) { // what was typed stays where the IDs stay
		if old, ok := v.typed[e.key()]; ok {
			kept[e.key()] = old
		}
	}
	v.typed = kept
	s.views[v.ID] = v
}

func (e Element) key() string { return e.BlockID + "/" + e.ActionID }

// externalTaken says whether another open view has this external_id; mu is held.
func (s *Server) externalTaken(raw obj, except string) bool {
	id := str(raw["external_id"])
	if id == "" {
		return false
	}
	for _, v := range s.views {
		if v.ExternalID == id && v.Open && v.ID != except {
			return true
		}
	}
	return false
}

func (s *Server) viewsOpen(a args) (obj, *apiError) {
	raw, bad := s.readView("views.open", a, "modal")
	if bad != nil {
		return nil, bad
	}
	t, bad := s.exchange(a["trigger_id"])
	if bad != nil {
		return nil, bad
	}
	if s.externalTaken(raw, "") {
		return nil, refuse("duplicate_external_id")
	}
	s.closeStack(t.user)
	v := s.stackView(t.user, raw)
	return obj{"view": s.viewJSON(v)}, nil
}

// stackView puts a new modal on top; mu is held.
func (s *Server) stackView(user string, raw obj) *View {
	v := &View{ID: s.id("V"), User: user, Type: "modal"}
	v.root = v.ID
	if stack := s.stacks[user]; len(stack) > 0 {
		v.previous = stack[len(stack)-1]
		v.root = s.views[stack[0]].ID
	}
	s.show(v, raw)
	s.stacks[user] = append(s.stacks[user], v.ID)
	return v
}

// closeStack takes all modals off a screen; mu is held.
func (s *Server) closeStack(user string) {
	for _, id := range s.stacks[user] {
		s.views[id].Open = false
	}
	delete(s.stacks, user)
}

// pop takes the top modal off; mu is held.
func (s *Server) pop(user string) {
	stack := s.stacks[user]
	if len(stack) == 0 {
		return
	}
	s.views[stack[len(stack)-1]].Open = false
	s.stacks[user] = stack[:len(stack)-1]
}

func (s *Server) viewsPush(a args) (obj, *apiError) {
	raw, bad := s.readView("views.push", a, "modal")
	if bad != nil {
		return nil, bad
	}
	t, bad := s.exchange(a["trigger_id"])
	if bad != nil {
		return nil, bad
	}
	switch {
	case t.view == "" || len(s.stacks[t.user]) == 0:
		return nil, refuse("invalid_trigger_id")
	case len(s.stacks[t.user]) >= maxStack:
		s.violate("views.push: a stack over %d", maxStack)
		return nil, refuse("push_limit_reached")
	case s.externalTaken(raw, ""):
		return nil, refuse("duplicate_external_id")
	}
	return obj{"view": s.viewJSON(s.stackView(t.user, raw))}, nil
}

func (s *Server) viewsUpdate(a args) (obj, *apiError) {
	raw, bad := s.readView("views.update", a, "modal", "home")
	if bad != nil {
		return nil, bad
	}
	v := s.views[a["view_id"]]
	if id := a["external_id"]; v == nil && id != "" {
		for _, other := range s.views {
			if other.ExternalID == id && other.Open {
				v = other
			}
		}
	}
	switch {
	case v == nil || !v.Open:
		return nil, refuse("not_found")
	case a["hash"] != "" && a["hash"] != v.Hash:
		return nil, refuse("hash_conflict")
	case s.externalTaken(raw, v.ID):
		return nil, refuse("duplicate_external_id")
	case str(raw["type"]) != v.Type:
		return nil, refuse("invalid_arguments", "[ERROR] a view cannot change its type [json-pointer:/view/type]")
	}
	s.show(v, raw)
	return obj{"view": s.viewJSON(v)}, nil
}

func (s *Server) viewsPublish(a args) (obj, *apiError) {
	if !s.manifest.home {
		return nil, refuse("not_enabled")
	}
	raw, bad := s.readView("views.publish", a, "home")
	if bad != nil {
		return nil, bad
	}
	u, ok := s.users[a["user_id"]]
	if !ok || u.Deleted {
		return nil, refuse("user_not_found")
	}
	v := s.views[s.homes[u.ID]]
	if v == nil {
		v = &View{ID: s.id("V"), User: u.ID, Type: "home"}
		v.root = v.ID
		s.homes[u.ID] = v.ID
	} else if a["hash"] != "" && a["hash"] != v.Hash {
		return nil, refuse("hash_conflict")
	}
	s.show(v, raw)
	return obj{"view": s.viewJSON(v)}, nil
}

// viewJSON is a view as payloads and answers carry it; mu is held.
func (s *Server) viewJSON(v *View) obj {
	j := obj{"private_metadata": "", "callback_id": "", "external_id": "", "title": nil, "close": nil, "submit": nil,
		"clear_on_close": false, "notify_on_close": false}
	maps.Copy(j, v.raw)
	maps.Copy(j, obj{"id": v.ID, "team_id": s.opt.TeamID, "hash": v.Hash, "root_view_id": v.root, "previous_view_id": nil,
		"app_id": appID, "bot_id": botID, "app_installed_team_id": s.opt.TeamID, "state": obj{"values": s.state(v.Blocks, v.typed)}})
	if v.previous != "" {
		j["previous_view_id"] = v.previous
	}
	return j
}
