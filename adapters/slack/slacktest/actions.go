package slacktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Slash lets a user type the app's command with text, as "/duplicati run photos" is typed with
// "run photos". In a text, "@name" of a user and "#name" of a channel are what the client would turn into
// mentions.
func (s *Server) Slash(user, channel, text string) *Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slash(s.manifest.commands[0].name, user, channel, text)
}

// SlashCommand is Slash with a command by name, for apps with more than one.
func (s *Server) SlashCommand(command, user, channel, text string) *Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slash(command, user, channel, text)
}

func (s *Server) slash(command, user, channel, text string) *Delivery {
	u, c := s.actor(user), s.channel(channel)
	cmd := s.manifest.command(command)
	if cmd == nil {
		s.fail("%s is no command of the app's manifest", command)
	}
	if cmd.escape {
		text = s.escape(text)
	}
	name := c.Name
	switch {
	case c.im != "":
		name = "directmessage"
	case c.Private:
		name = "privategroup"
	}
	url := s.newResponse(channel, user, "")
	payload := obj{
		"token": "verification-token", "team_id": u.TeamID, "team_domain": teamDomain, "channel_id": c.ID, "channel_name": name,
		"user_id": u.ID, "user_name": u.Name, "command": command, "text": text, "api_app_id": appID,
		"is_enterprise_install": "false", "response_url": url, "trigger_id": s.newTrigger(user, ""),
	}
	if s.opt.EnterpriseID != "" {
		payload["enterprise_id"], payload["enterprise_name"] = s.opt.EnterpriseID, "Grid"
	}
	r := s.responses[url[strings.LastIndex(url, "/")+1:]]
	return s.deliver("slash_commands", payload, func(answer json.RawMessage) {
		if len(answer) == 0 {
			return
		}
		a := args{}
		if bad := a.takeJSON(answer); bad != nil {
			s.violate("acknowledgement of %s: %s", command, bad.code)
			return
		}
		if bad := s.say("ack", r, a); bad != nil {
			s.violate("acknowledgement of %s: %s", command, bad.code)
		}
	})
}

var (
	userMention    = regexp.MustCompile(`(^|\s)@([\w.-]+)`)
	channelMention = regexp.MustCompile(`(^|\s)#([\w.-]+)`)
	link           = regexp.MustCompile(`https?://[^\s<>]+`)
)

// escape does what should_escape promises: mentions and links become markup that cannot be typed. That
// & < > are escaped too is Slack's habit with text and not written down for commands.
func (s *Server) escape(text string) string {
	text = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
	text = userMention.ReplaceAllStringFunc(text, func(m string) string {
		lead, name, _ := strings.Cut(m, "@")
		for _, u := range s.users {
			if u.Name == name {
				return fmt.Sprintf("%s<@%s|%s>", lead, u.ID, u.Name)
			}
		}
		return m
	})
	text = channelMention.ReplaceAllStringFunc(text, func(m string) string {
		lead, name, _ := strings.Cut(m, "#")
		for _, c := range s.channels {
			if c.Name != name || c.im != "" {
				continue
			}
			if c.Private {
				return fmt.Sprintf("%s<#%s|>", lead, c.ID)
			}
			return fmt.Sprintf("%s<#%s|%s>", lead, c.ID, c.Name)
		}
		return m
	})
	return link.ReplaceAllString(text, "<$0>")
}

// actor is who acts; a mistake of the test otherwise. mu is held.
func (s *Server) actor(user string) *User {
	u, ok := s.users[user]
	if !ok {
		s.fail("there is no user %q", user)
	}
	return u
}

func (s *Server) channel(id string) *Channel {
	c, ok := s.channels[id]
	if !ok {
		s.fail("there is no channel %q", id)
	}
	return c
}

// Surface is what has elements to use: a Message or a View, as the person saw it. A click on an older
// state of it is sent as it is, for the app to refuse.
type Surface interface {
	Elements() []Element
	interaction(s *Server, user string) obj
}

// Click presses the button with this action_id. Where several have it, ClickValue tells them apart.
func (s *Server) Click(on Surface, actionID, user string) *Delivery {
	if s.tb != nil {
		s.tb.Helper()
	}
	return s.act(on, s.pointAt(on, actionID, ""), user)
}

// ClickValue presses the button with this action_id and value.
func (s *Server) ClickValue(on Surface, actionID, value, user string) *Delivery {
	if s.tb != nil {
		s.tb.Helper()
	}
	return s.act(on, s.pointAt(on, actionID, value), user)
}

// pointAt finds the one element that a person means.
func (s *Server) pointAt(on Surface, actionID, value string) Element {
	if s.tb != nil {
		s.tb.Helper()
	}
	var found []Element
	for _, e := range on.Elements() {
		if e.ActionID == actionID && (value == "" || e.Value == value) {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		s.fail("%d elements with the action_id %q %s", len(found), actionID, value)
	}
	return found[0]
}

// Choose uses a menu, checkboxes or a picker: values are option values, IDs, dates or typed text.
func (s *Server) Choose(on Surface, actionID, user string, values ...string) *Delivery {
	if s.tb != nil {
		s.tb.Helper()
	}
	return s.act(on, s.pointAt(on, actionID, ""), user, values...)
}

func (s *Server) act(on Surface, e Element, user string, values ...string) *Delivery {
	if s.tb != nil {
		s.tb.Helper()
	}
	if e.Type == "external_select" || e.Type == "multi_external_select" {
		for _, v := range values {
			s.lookUp(on, e, user, v)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	chosen, err := s.choose(e, values)
	if err != nil {
		s.fail("%s: %v", e.ActionID, err)
	}
	action := maps.Clone(chosen)
	action["action_id"], action["block_id"] = e.ActionID, e.BlockID
	action["action_ts"] = s.ts()
	if e.Type == "button" {
		maps.Copy(action, pick(e.Raw, "text", "value", "style", "url"))
	}
	if placeholder := e.Raw["placeholder"]; placeholder != nil {
		action["placeholder"] = placeholder
	}
	if e.Type != "button" && e.Type != "overflow" {
		s.remember(on, e, user, chosen)
	}
	payload := on.interaction(s, user)
	payload["type"], payload["actions"] = "block_actions", []obj{action}
	d := s.deliver("interactive", payload, nil)
	return d
}

func pick(o obj, keys ...string) obj {
	out := obj{}
	for _, k := range keys {
		if v, ok := o[k]; ok {
			out[k] = v
		}
	}
	return out
}

// remember keeps what a person chose, in a view or, for himself alone, on a message; mu is held.
func (s *Server) remember(on Surface, e Element, user string, chosen obj) {
	with := func(typed map[string]obj) map[string]obj {
		typed = maps.Clone(typed)
		if typed == nil {
			typed = map[string]obj{}
		}
		typed[e.key()] = chosen
		return typed
	}
	switch on := on.(type) {
	case View:
		if v := s.views[on.ID]; v != nil {
			v.typed = with(v.typed)
		}
	case Message:
		s.picked[on.pickedBy(user)] = with(s.picked[on.pickedBy(user)])
	}
}

func (m Message) pickedBy(user string) string { return m.Channel + " " + m.TS + " " + user }

// context is what every interaction carries; mu is held.
func (s *Server) context(user, view string) obj {
	u := s.actor(user)
	j := obj{
		"user":       obj{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": u.TeamID},
		"api_app_id": appID, "token": "verification-token", "trigger_id": s.newTrigger(user, view),
		"team": obj{"id": s.opt.TeamID, "domain": teamDomain}, "enterprise": nil, "is_enterprise_install": false,
	}
	if s.opt.EnterpriseID != "" {
		j["enterprise"] = obj{"id": s.opt.EnterpriseID, "name": "Grid"}
		j["team"] = obj{"id": s.opt.TeamID, "domain": teamDomain, "enterprise_id": s.opt.EnterpriseID, "enterprise_name": "Grid"}
	}
	return j
}

func (m Message) interaction(s *Server, user string) obj {
	if m.EphemeralTo != "" && m.EphemeralTo != user {
		s.fail("%s cannot see this message, it is only for %s", user, m.EphemeralTo)
	}
	c := s.channel(m.Channel)
	name := c.Name
	if c.im != "" {
		name = "directmessage"
	} else if c.Private {
		name = "privategroup"
	}
	j := s.context(user, "")
	j["container"] = obj{"type": "message", "message_ts": m.TS, "channel_id": m.Channel, "is_ephemeral": m.EphemeralTo != ""}
	j["channel"] = obj{"id": m.Channel, "name": name}
	j["response_url"] = s.newResponse(m.Channel, user, m.TS)
	j["state"] = obj{"values": s.state(m.Blocks, s.picked[m.pickedBy(user)])}
	if m.EphemeralTo == "" { // Slack does not send an ephemeral message back
		j["message"] = s.messageJSON(&m)
	}
	return j
}

func (v View) interaction(s *Server, user string) obj {
	if v.User != user {
		s.fail("%s cannot see this view, it is %s's", user, v.User)
	}
	current := s.views[v.ID]
	if current == nil || !current.Open {
		s.fail("the view %q is closed", v.Title)
	}
	j := s.context(user, v.ID)
	j["container"] = obj{"type": "view", "view_id": v.ID}
	j["view"] = s.viewJSON(current)
	return j
}

// Suggest types query into an external select and returns what the app offers.
func (s *Server) Suggest(on Surface, actionID, user, query string) []Option {
	if s.tb != nil {
		s.tb.Helper()
	}
	var list []Option
	for _, o := range s.suggest(on, s.pointAt(on, actionID, ""), user, query) {
		text, _ := o["text"].(obj)
		list = append(list, Option{Text: str(text["text"]), Value: str(o["value"])})
	}
	return list
}

// Option is one line of a menu.
type Option struct{ Text, Value string }

func (s *Server) suggest(on Surface, e Element, user, query string) []obj {
	if n, ok := e.Raw["min_query_length"].(float64); ok && utf8.RuneCountInString(query) < int(n) {
		return nil
	}
	var offered []obj
	d := s.askOptions(on, e, user, query, &offered)
	d.Acked()
	s.mu.Lock()
	defer s.mu.Unlock()
	return offered
}

func (s *Server) askOptions(on Surface, e Element, user, query string, offered *[]obj) *Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	payload := on.interaction(s, user)
	delete(payload, "trigger_id")
	delete(payload, "response_url")
	maps.Copy(payload, obj{"type": "block_suggestion", "action_id": e.ActionID, "block_id": e.BlockID, "value": query})
	return s.deliver("interactive", payload, func(answer json.RawMessage) {
		if err := validateOptions(answer); err != nil {
			s.violate("options for %s: %v", e.ActionID, err)
			return
		}
		reply := decode[obj](string(answer))
		*offered = objects(reply["options"])
		for _, g := range objects(reply["option_groups"]) {
			*offered = append(*offered, objects(g["options"])...)
		}
		s.offered[e.key()] = append(s.offered[e.key()], *offered...)
	})
}

// lookUp makes sure that an option was offered before it is chosen: a person types, then picks.
func (s *Server) lookUp(on Surface, e Element, user, value string) {
	s.mu.Lock()
	have := slices.ContainsFunc(s.offered[e.key()], func(o obj) bool { return str(o["value"]) == value })
	s.mu.Unlock()
	if have {
		return
	}
	query := value
	if n, ok := e.Raw["min_query_length"].(float64); !ok || n == 0 {
		query = "" // the menu opens with suggestions for nothing
	}
	s.suggest(on, e, user, query)
}
