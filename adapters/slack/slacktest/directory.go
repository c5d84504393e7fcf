package slacktest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

const teamDomain = "slacktest"

func (s *Server) apiTest(a args) (obj, *apiError) { return obj{"args": a}, nil }

func (s *Server) authTest(args) (obj, *apiError) {
	j := obj{"url": "https://" + teamDomain + ".slack.com/", "team": teamDomain, "user": "duplibot", "team_id": s.opt.TeamID,
		"user_id": botUserID, "bot_id": botID, "is_enterprise_install": false}
	if s.opt.EnterpriseID != "" {
		j["enterprise_id"] = s.opt.EnterpriseID
	}
	return j, nil
}

func (s *Server) manifestValidate(a args) (obj, *apiError) {
	if a["manifest"] == "" {
		return nil, refuse("invalid_arguments", "[ERROR] missing required field: manifest")
	}
	err := ValidateManifest([]byte(a["manifest"]))
	if err == nil {
		return nil, nil
	}
	errors := []obj{{"message": err.Error(), "pointer": "/"}}
	if p, ok := err.(*Problem); ok {
		errors = []obj{{"message": p.Message, "pointer": p.Pointer}}
	}
	return nil, &apiError{code: "invalid_manifest", extra: obj{"errors": errors}}
}

// blocksValidate is Slack's own validator; here it is ours.
func (s *Server) blocksValidate(a args) (obj, *apiError) {
	var err *Problem
	switch {
	case a["view"] != "":
		err = validateView([]byte(a["view"]))
	case a["message"] != "":
		err = validateMessage([]byte(a["message"]))
	case a["blocks"] != "":
		err = validateContent(args{"blocks": a["blocks"]})
	default:
		return nil, refuse("invalid_arguments", "[ERROR] one of blocks, view and message is required")
	}
	if err != nil {
		return nil, &apiError{code: "invalid_blocks", extra: obj{"errors": []obj{{"pointer": err.Pointer, "message": err.Message}}}}
	}
	return nil, nil
}

func (s *Server) usersInfo(a args) (obj, *apiError) {
	u, ok := s.users[a["user"]]
	if !ok {
		return nil, refuse("user_not_found")
	}
	return obj{"user": s.userJSON(u)}, nil
}

func (s *Server) usergroupsList(a args) (obj, *apiError) {
	list := []obj{}
	for _, g := range s.groups {
		if !g.Disabled || a.flag("include_disabled") {
			list = append(list, s.groupJSON(g, a.flag("include_users")))
		}
	}
	slices.SortFunc(list, func(a, b obj) int { return strings.Compare(str(a["id"]), str(b["id"])) })
	return obj{"usergroups": list}, nil
}

func (s *Server) usergroupsUsers(a args) (obj, *apiError) {
	g, ok := s.groups[a["usergroup"]]
	if !ok || g.Disabled && !a.flag("include_disabled") {
		return nil, refuse("no_such_subteam")
	}
	users := g.Users
	if users == nil {
		users = []string{}
	}
	return obj{"users": users}, nil
}

// known finds a conversation that the bot can see, with the scope that reading it takes; mu is held.
func (s *Server) known(a args) (*Channel, *apiError) {
	if s.needScope("channels:read", "groups:read", "im:read", "mpim:read") != nil {
		return nil, s.needScope("channels:read", "groups:read", "mpim:read", "im:read")
	}
	c, ok := s.channels[a["channel"]]
	if !ok || !c.visible() {
		return nil, refuse("channel_not_found")
	}
	scope := "channels:read"
	switch {
	case c.im != "":
		scope = "im:read"
	case c.Private:
		scope = "groups:read"
	}
	return c, s.needScope(scope)
}

func (s *Server) conversationsInfo(a args) (obj, *apiError) {
	c, bad := s.known(a)
	if bad != nil {
		return nil, bad
	}
	return obj{"channel": s.channelJSON(c)}, nil
}

func (s *Server) conversationsMembers(a args) (obj, *apiError) {
	c, bad := s.known(a)
	if bad != nil {
		return nil, bad
	}
	limit := 100
	if raw := a["limit"]; raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 || n > 1000 {
			return nil, refuse("invalid_limit")
		}
		limit = n
	}
	start := 0
	if cursor := a["cursor"]; cursor != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(cursor, "page:"))
		if err != nil || n < 0 || n > len(c.Members) {
			return nil, refuse("invalid_cursor")
		}
		start = n
	}
	members := sortedMembers(c)
	next := ""
	end := min(start+limit, len(members))
	if end < len(members) {
		next = "page:" + strconv.Itoa(end)
	}
	return obj{"members": append([]string{}, members[start:end]...), "response_metadata": obj{"next_cursor": next}}, nil
}

func (s *Server) conversationsOpen(a args) (obj, *apiError) {
	users := strings.Split(a["users"], ",")
	if strings.HasPrefix(a["users"], "[") {
		users = nil
		_ = json.Unmarshal([]byte(a["users"]), &users)
	}
	switch {
	case a["users"] == "" && a["channel"] == "":
		return nil, refuse("users_list_not_supplied")
	case len(users) > 1:
		if bad := s.needScope("mpim:write"); bad != nil {
			return nil, bad
		}
		s.violate("conversations.open: ours: a conversation of several people is not part of this fake")
		return nil, refuse("method_not_supported_for_channel_type")
	}
	if bad := s.needScope("im:write"); bad != nil {
		return nil, bad
	}
	if a["channel"] != "" {
		c, ok := s.channels[a["channel"]]
		if !ok || c.im == "" {
			return nil, refuse("channel_not_found")
		}
		return obj{"channel": obj{"id": c.ID}, "no_op": true, "already_open": true}, nil
	}
	u, ok := s.users[users[0]]
	switch {
	case !ok:
		return nil, refuse("user_not_found")
	case u.Deleted:
		return nil, refuse("user_disabled")
	case u.ID == botUserID:
		return nil, refuse("cannot_dm_bot")
	}
	c := s.openDM(u.ID)
	if a.flag("return_im") {
		return obj{"channel": s.channelJSON(c)}, nil
	}
	return obj{"channel": obj{"id": c.ID}}, nil
}
