package slack

import (
	"encoding/json"
	"errors"
	"strings"
)

// scopes are what the bot token needs, with what for. Nothing reads messages.
// https://docs.slack.dev/reference/scopes
var scopes = []struct{ name, why string }{
	{"commands", "the slash command"},
	{"chat:write", "cards, answers and alerts"},
	{"files:write", "what does not fit in a message"},
	{"im:write", "progress, codes and cards in direct messages"},
	{"users:read", "to tell members from guests, bots and strangers"},
	{"usergroups:read", "who is in the groups of the config"},
	{"channels:read", "to post nothing to a channel that is shared with others"},
	{"groups:read", "the same for private channels"},
}

// ManifestOptions say how Slack reaches the bot.
type ManifestOptions struct {
	Name string // default Duplibot
	URL  string // https address of Handler, for HTTP mode; "" is Socket Mode
}

type manifestCommand struct {
	Command     string `json:"command"`
	URL         string `json:"url,omitempty"`
	Description string `json:"description"`
	UsageHint   string `json:"usage_hint"`
	Escape      bool   `json:"should_escape"`
}

// Manifest is the app's manifest as JSON: the least scopes, one command, one
// event. https://docs.slack.dev/reference/app-manifest
func Manifest(o ManifestOptions) ([]byte, error) {
	if o.URL != "" && !strings.HasPrefix(o.URL, "https://") {
		return nil, errors.New("slack calls https addresses only; leave the address out for Socket Mode")
	}
	if o.Name == "" {
		o.Name = "Duplibot"
	}
	type object = map[string]any
	var names []string
	for _, s := range scopes {
		names = append(names, s.name)
	}
	interactivity := object{"is_enabled": true}
	events := object{"bot_events": []string{"app_home_opened", "app_uninstalled"}}
	if o.URL != "" {
		interactivity["request_url"], interactivity["message_menu_options_url"] = o.URL, o.URL
		events["request_url"] = o.URL
	}
	return json.MarshalIndent(object{
		"_metadata": object{"major_version": 2},
		"display_information": object{
			"name": o.Name, "background_color": "#1b3a57",
			"description": "Run and watch Duplicati backups; approve what cannot be taken back",
		},
		"features": object{
			"app_home":       object{"home_tab_enabled": true, "messages_tab_enabled": true, "messages_tab_read_only_enabled": true},
			"bot_user":       object{"display_name": strings.ToLower(o.Name), "always_online": true},
			"slash_commands": []manifestCommand{{Command: command, URL: o.URL, Description: "Run, watch and ask about backups", UsageHint: "help", Escape: true}},
		},
		"oauth_config": object{"scopes": object{"bot": names}},
		"settings": object{
			"interactivity": interactivity, "event_subscriptions": events, "socket_mode_enabled": o.URL == "",
			"org_deploy_enabled": false, "token_rotation_enabled": false,
		},
	}, "", "  ")
}
