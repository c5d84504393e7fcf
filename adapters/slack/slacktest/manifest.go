package slacktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// DefaultManifest is the app that Options without a manifest installs.
const DefaultManifest = `{
  "_metadata": {"major_version": 2},
  "display_information": {"name": "Duplibot"},
  "features": {
    "bot_user": {"display_name": "duplibot", "always_online": true},
    "app_home": {"home_tab_enabled": true, "messages_tab_enabled": true, "messages_tab_read_only_enabled": true},
    "slash_commands": [{"command": "/duplicati", "description": "Run the backups", "usage_hint": "help", "should_escape": true}]
  },
  "oauth_config": {"scopes": {"bot": ["commands", "chat:write", "files:write", "usergroups:read", "users:read", "im:write", "channels:read", "groups:read"]}},
  "settings": {
    "interactivity": {"is_enabled": true},
    "event_subscriptions": {"bot_events": ["app_home_opened", "app_uninstalled", "member_left_channel", "subteam_members_changed", "user_change"]},
    "socket_mode_enabled": true, "org_deploy_enabled": false, "token_rotation_enabled": false
  }
}`

type command struct {
	name   string
	escape bool
}

// manifest is what of the app's manifest changes how Slack behaves.
type manifest struct {
	commands []command
	scopes   []string
	events   []string
	home     bool
}

type manifestFile struct {
	Features struct {
		AppHome struct {
			Home bool `json:"home_tab_enabled"`
		} `json:"app_home"`
		Commands []struct {
			Command string `json:"command"`
			Escape  bool   `json:"should_escape"`
			URL     string `json:"url"`
		} `json:"slash_commands"`
	} `json:"features"`
	OAuth struct {
		Scopes struct {
			Bot []string `json:"bot"`
		} `json:"scopes"`
	} `json:"oauth_config"`
	Settings struct {
		Socket        bool `json:"socket_mode_enabled"`
		Interactivity struct {
			Enabled bool   `json:"is_enabled"`
			URL     string `json:"request_url"`
		} `json:"interactivity"`
		Events struct {
			URL string   `json:"request_url"`
			Bot []string `json:"bot_events"`
		} `json:"event_subscriptions"`
	} `json:"settings"`
}

func (m *manifest) read(opt Options) error {
	var f manifestFile
	if err := json.Unmarshal(opt.Manifest, &f); err != nil {
		return err
	}
	if len(f.Features.Commands) == 0 {
		return errors.New("no slash command")
	}
	for _, c := range f.Features.Commands {
		m.commands = append(m.commands, command{c.Command, c.Escape})
	}
	m.scopes, m.events, m.home = f.OAuth.Scopes.Bot, f.Settings.Events.Bot, f.Features.AppHome.Home
	if opt.Scopes != nil {
		m.scopes = opt.Scopes
	}
	return nil
}

func (m *manifest) command(name string) *command {
	i := slices.IndexFunc(m.commands, func(c command) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return &m.commands[i]
}

// botScopes are the scopes that an app like ours may ask for; Slack's schema takes any word, so that a
// misspelt one would only be seen at the installation. https://docs.slack.dev/reference/scopes
var botScopes = []string{
	"app_mentions:read", "channels:history", "channels:join", "channels:manage", "channels:read", "chat:write",
	"chat:write.customize", "chat:write.public", "commands", "files:read", "files:write", "groups:history", "groups:read",
	"groups:write", "im:history", "im:read", "im:write", "mpim:history", "mpim:read", "mpim:write", "reactions:read",
	"reactions:write", "team:read", "usergroups:read", "users.profile:read", "users:read", "users:read.email",
}

// eventScope is the scope that an event of our kind needs. https://docs.slack.dev/reference/events
var eventScope = map[string]string{
	"app_home_opened": "", "app_uninstalled": "", "tokens_revoked": "", "app_mention": "app_mentions:read",
	"member_joined_channel": "channels:read", "member_left_channel": "channels:read", "channel_archive": "channels:read",
	"channel_rename": "channels:read", "channel_shared": "channels:read", "channel_unshared": "channels:read",
	"group_left": "groups:read", "channel_left": "channels:read", "team_join": "users:read",
	"user_change": "users:read", "user_profile_changed": "users:read", "subteam_created": "usergroups:read",
	"subteam_updated": "usergroups:read", "subteam_members_changed": "usergroups:read", "message.im": "im:history",
}

// ValidateManifest checks an app manifest (JSON) by Slack's own schema, and by rules of ours: scopes are
// known words, commands and events have the scope they need, and a URL stands exactly where there is no
// Socket Mode.
func ValidateManifest(manifest []byte) error {
	if err := check(schemas().manifest, manifest); err != nil {
		return err
	}
	var f manifestFile
	if err := json.Unmarshal(manifest, &f); err != nil {
		return err
	}
	scopes := f.OAuth.Scopes.Bot
	for i, scope := range scopes {
		if !slices.Contains(botScopes, scope) {
			return ours(fmt.Sprintf("/oauth_config/scopes/bot/%d", i), "%q is no known scope", scope)
		}
		if slices.Contains(scopes[:i], scope) {
			return ours(fmt.Sprintf("/oauth_config/scopes/bot/%d", i), "%q stands twice", scope)
		}
	}
	if len(f.Features.Commands) > 0 && !slices.Contains(scopes, "commands") {
		return ours("/oauth_config/scopes/bot", "slash commands need the scope commands")
	}
	for i, event := range f.Settings.Events.Bot {
		scope, known := eventScope[event]
		if !known {
			return ours(fmt.Sprintf("/settings/event_subscriptions/bot_events/%d", i), "%q is no known event", event)
		}
		if scope != "" && !slices.Contains(scopes, scope) {
			return ours(fmt.Sprintf("/settings/event_subscriptions/bot_events/%d", i), "%s needs the scope %s", event, scope)
		}
	}
	return f.checkURLs()
}

func (f *manifestFile) checkURLs() error {
	urls := map[string]string{}
	for i, c := range f.Features.Commands {
		urls[fmt.Sprintf("/features/slash_commands/%d/url", i)] = c.URL
	}
	if f.Settings.Interactivity.Enabled {
		urls["/settings/interactivity/request_url"] = f.Settings.Interactivity.URL
	}
	if len(f.Settings.Events.Bot) > 0 {
		urls["/settings/event_subscriptions/request_url"] = f.Settings.Events.URL
	}
	for pointer, url := range urls {
		switch {
		case f.Settings.Socket && url != "":
			return ours(pointer, "a URL has no use with Socket Mode")
		case !f.Settings.Socket && !strings.HasPrefix(url, "https://"):
			return ours(pointer, "an https URL is needed without Socket Mode")
		}
	}
	return nil
}
