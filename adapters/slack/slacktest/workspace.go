package slacktest

import (
	"cmp"
	"slices"
	"strings"
)

type obj = map[string]any

// User is a person, a guest, a bot or a stranger. Empty fields are filled in.
type User struct {
	ID, Name, RealName, Email string
	TeamID                    string // another team than the workspace's: a Slack Connect stranger
	Deleted                   bool   // deactivated
	IsBot                     bool
	IsRestricted              bool // a guest
	IsUltraRestricted         bool // a guest of one channel
}

// Channel is a conversation. The bot is in it only when Members says so.
type Channel struct {
	ID, Name string
	Private  bool
	Archived bool
	Members  []string
	// SharedWith names other teams: with Slack Connect the channel is_ext_shared, with OrgShared it is
	// shared between workspaces of one organisation.
	SharedWith []string
	OrgShared  bool
	// PendingShare is an invitation to another workspace that is not accepted yet.
	PendingShare bool

	im string // the person of a direct message
}

// UserGroup is a group that can be mentioned and can approve.
type UserGroup struct {
	ID, Handle string
	Users      []string
	Disabled   bool
}

// AddUser adds a person and returns it with its ID.
func (s *Server) AddUser(u User) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.ID == "" {
		u.ID = s.id("U")
	}
	u.TeamID = cmp.Or(u.TeamID, s.opt.TeamID)
	u.Name = cmp.Or(u.Name, strings.ToLower(u.ID))
	u.RealName = cmp.Or(u.RealName, u.Name)
	s.users[u.ID] = &u
	return u
}

// SetUser replaces a person: deactivates, makes a guest.
func (s *Server) SetUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u.TeamID = cmp.Or(u.TeamID, s.opt.TeamID)
	s.users[u.ID] = &u
}

// AddChannel adds a channel and returns it with its ID.
func (s *Server) AddChannel(c Channel) Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ID == "" {
		c.ID = s.id("C")
	}
	c.Name = cmp.Or(c.Name, strings.ToLower(c.ID))
	s.channels[c.ID] = &c
	return c
}

// SetChannel replaces a channel: invites, kicks, archives, shares.
func (s *Server) SetChannel(c Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels[c.ID] = &c
}

// AddUserGroup adds a user group and returns it with its ID.
func (s *Server) AddUserGroup(g UserGroup) UserGroup {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.ID == "" {
		g.ID = s.id("S")
	}
	g.Handle = cmp.Or(g.Handle, strings.ToLower(g.ID))
	s.groups[g.ID] = &g
	return g
}

// SetUserGroup replaces a group, as when somebody leaves it.
func (s *Server) SetUserGroup(g UserGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups[g.ID] = &g
}

// DM is the direct message channel between the bot and a user; it is opened if it is not yet.
func (s *Server) DM(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.openDM(user).ID
}

// openDM finds or opens the direct message with a user; mu is held.
func (s *Server) openDM(user string) *Channel {
	for _, c := range s.channels {
		if c.im == user {
			return c
		}
	}
	c := &Channel{ID: s.id("D"), im: user, Private: true, Members: []string{botUserID, user}}
	s.channels[c.ID] = c
	return c
}

func (c *Channel) has(user string) bool { return slices.Contains(c.Members, user) }

// visible says whether the bot can know that a channel exists.
func (c *Channel) visible() bool { return !c.Private || c.has(botUserID) }

func (s *Server) userJSON(u *User) obj {
	j := obj{
		"id": u.ID, "team_id": u.TeamID, "name": u.Name, "real_name": u.RealName, "deleted": u.Deleted,
		"profile": obj{"real_name": u.RealName, "display_name": u.Name, "email": u.Email, "team": u.TeamID},
		"is_bot":  u.IsBot, "is_app_user": false, "updated": s.clock.now().Unix(),
	}
	if !u.Deleted { // Slack leaves these out for a deactivated user
		j["is_admin"], j["is_owner"], j["is_primary_owner"] = false, false, false
		j["is_restricted"], j["is_ultra_restricted"] = u.IsRestricted || u.IsUltraRestricted, u.IsUltraRestricted
		j["tz"], j["tz_offset"] = "Europe/Berlin", 3600
	}
	if u.TeamID != s.opt.TeamID {
		j["is_stranger"] = true
	}
	if s.opt.EnterpriseID != "" && u.TeamID == s.opt.TeamID {
		j["enterprise_user"] = obj{"id": u.ID, "enterprise_id": s.opt.EnterpriseID, "teams": []string{s.opt.TeamID}}
	}
	return j
}

func (s *Server) channelJSON(c *Channel) obj {
	if c.im != "" {
		return obj{"id": c.ID, "created": s.clock.now().Unix(), "is_im": true, "is_org_shared": false, "user": c.im,
			"context_team_id": s.opt.TeamID, "is_archived": c.Archived, "is_user_deleted": s.users[c.im].Deleted}
	}
	external := len(c.SharedWith) > 0 && !c.OrgShared
	return obj{
		"id": c.ID, "name": c.Name, "name_normalized": c.Name, "created": s.clock.now().Unix(),
		"is_channel": !c.Private, "is_group": c.Private, "is_im": false, "is_mpim": false, "is_private": c.Private,
		"is_archived": c.Archived, "is_general": false, "is_member": c.has(botUserID),
		"is_shared": len(c.SharedWith) > 0, "is_ext_shared": external, "is_org_shared": c.OrgShared && len(c.SharedWith) > 0,
		"is_pending_ext_shared": c.PendingShare, "pending_shared": []string{}, "pending_connected_team_ids": []string{},
		"shared_team_ids": append([]string{s.opt.TeamID}, c.SharedWith...), "context_team_id": s.opt.TeamID,
		"creator": botUserID, "num_members": len(c.Members),
	}
}

func (s *Server) groupJSON(g *UserGroup, withUsers bool) obj {
	deleted := int64(0)
	if g.Disabled {
		deleted = s.clock.now().Unix()
	}
	j := obj{"id": g.ID, "team_id": s.opt.TeamID, "is_usergroup": true, "name": g.Handle, "handle": g.Handle,
		"description": "", "is_external": false, "date_delete": deleted, "auto_type": nil, "user_count": len(g.Users)}
	if withUsers {
		j["users"] = g.Users
	}
	return j
}
