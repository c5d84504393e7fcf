package slack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// Finding is one thing that was looked at: what was found and, where it is not
// well, what to do.
type Finding struct {
	Tone tools.Tone `json:"tone"` // Good, Notice, Warning or Bad
	What string     `json:"what"`
	Fix  string     `json:"fix,omitempty"`
}

// signatureWithin is how far the clocks may be apart before no signature holds.
const signatureWithin = 5 * time.Minute

// Check tries everything that the adapter needs of Slack. channels are further
// channels that it should know, such as those with a default server.
func Check(ctx context.Context, o Options, channels ...string) []Finding {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := o.tokens(); err != nil {
		return []Finding{{tools.Bad, err.Error(), "copy the tokens again from the app's pages at api.slack.com/apps"}}
	}
	d := &doctor{o: o, api: newAPI(o)}
	if !d.token(ctx) {
		return d.found
	}
	if !o.HTTP {
		d.socket(ctx)
	}
	d.clock()
	for _, id := range d.rooms(channels) {
		d.room(ctx, id)
	}
	if o.ApprovalsChannel == "" {
		d.say(tools.Notice, "no approvals channel is set: cards go to each approver's direct messages", "set slack.approvals_channel")
	}
	if o.DigestAt != "" && o.AlertChannels["other"] == "" {
		d.say(tools.Bad, "the digest has no channel, so the bot does not start", "set slack.alerts.channels.other, or leave slack.alerts.digest out")
	}
	d.groups(ctx)
	return d.found
}

type doctor struct {
	o     Options
	api   *api
	home  workspace
	found []Finding
}

func (d *doctor) say(t tools.Tone, what, fix string) {
	d.found = append(d.found, Finding{t, what, fix})
}

// token checks the bot token and what it was granted.
func (d *doctor) token(ctx context.Context) bool {
	me, err := d.api.whoami(ctx)
	switch {
	case err != nil:
		fix := "see whether this host reaches https://slack.com"
		if fatal(err) != nil {
			fix = "install the app again and set bot_token anew"
		}
		d.say(tools.Bad, "Slack does not take the bot token: "+err.Error(), fix)
		return false
	case me.BotID == "":
		d.say(tools.Bad, "bot_token belongs to a person", "set bot_token to the Bot User OAuth Token")
		return false
	}
	d.home = workspace{Team: me.TeamID, Enterprise: me.EnterpriseID, Bot: me.UserID}
	d.say(tools.Good, fmt.Sprintf("the bot is %s in the workspace %s; people are slack:%s/U…", me.User, me.Team, d.home.principal()), "")
	granted := strings.Split(strings.ReplaceAll(me.Header.Get("X-OAuth-Scopes"), " ", ""), ",")
	missing := 0
	for _, s := range scopes {
		if !slices.Contains(granted, s.name) {
			missing++
			d.say(tools.Bad, fmt.Sprintf("the scope %s is missing: it is for %s", s.name, s.why),
				"add it under OAuth & Permissions, or paste the output of `duplibot slack manifest` into App Manifest, then reinstall the app")
		}
	}
	if missing == 0 {
		d.say(tools.Good, fmt.Sprintf("all %d scopes are granted", len(scopes)), "")
	}
	return true
}

// socket checks the app token by asking for a connection, which is not opened.
func (d *doctor) socket(ctx context.Context) {
	err := d.api.call(ctx, "apps.connections.open", true, func(ctx context.Context) error {
		_, _, err := d.api.client.StartSocketModeContext(ctx)
		return err
	})
	if err == nil {
		d.say(tools.Good, "the app token opens connections", "")
		return
	}
	fix := "see whether this host reaches https://slack.com"
	switch refusal(err) {
	case "missing_scope", "not_allowed_token_type":
		fix = "make an App-Level Token with the scope connections:write under Basic Information and set app_token to it"
	case "invalid_auth", "not_authed", "token_revoked", "account_inactive":
		fix = "the App-Level Token is gone: make a new one under Basic Information and set app_token to it"
	}
	d.say(tools.Bad, "Slack does not take the app token: "+err.Error(), fix)
}

func (d *doctor) clock() {
	skew := d.api.clock.read()
	switch {
	case skew.Abs() > signatureWithin && d.o.HTTP:
		d.say(tools.Bad, fmt.Sprintf("this clock is %s off, so no request of Slack's is taken", skew), "set the clock, by NTP")
	case skew.Abs() > 30*time.Second:
		d.say(tools.Warning, fmt.Sprintf("this clock is %s off", skew), "set the clock, by NTP: expiry and audit go by it")
	default:
		d.say(tools.Good, "the clock agrees with Slack's", "")
	}
}

// rooms are the channels of the config, each once.
func (d *doctor) rooms(more []string) []string {
	all := slices.Concat([]string{d.o.ApprovalsChannel}, slices.Sorted(maps.Values(d.o.AlertChannels)), more)
	var list []string
	for _, id := range all {
		if id != "" && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

func (d *doctor) room(ctx context.Context, id string) {
	c, err := d.api.channel(ctx, id)
	if err != nil {
		fix := "invite the bot there with /invite, and check the ID: it stands at the end of the channel's details"
		if refusal(err) == "missing_scope" {
			fix = "grant channels:read and groups:read"
		}
		d.say(tools.Bad, fmt.Sprintf("channel %s cannot be seen: %s", id, err), fix)
		return
	}
	name := "#" + line(c.Name) + " (" + id + ")"
	switch {
	case shared(d.home, c):
		d.say(tools.Bad, name+" is shared with another workspace; nothing is posted there", "take a channel of this workspace alone")
	case c.IsArchived:
		d.say(tools.Bad, name+" is archived", "take another channel")
	case !c.IsMember:
		d.say(tools.Bad, "the bot is not in "+name, "type /invite @duplibot there")
	default:
		d.say(tools.Good, "the bot may post to "+name, "")
	}
}

func (d *doctor) groups(ctx context.Context) {
	for _, g := range d.o.Groups {
		rest, ok := strings.CutPrefix(string(g.ID), "slack:")
		if !ok {
			continue
		}
		team, id, _ := strings.Cut(rest, "/")
		if team != d.home.Team && team != d.home.principal() {
			d.say(tools.Warning, fmt.Sprintf("group %s is of another workspace than %s", g.ID, d.home.Team), "write it as slack:"+d.home.Team+"/S…")
			continue
		}
		list, err := d.api.members(ctx, id)
		switch {
		case err != nil:
			d.say(tools.Bad, fmt.Sprintf("group %s cannot be read, so it gives nothing: %s", g.ID, err), "check its ID, and the scope usergroups:read")
		case len(list) == 0:
			d.say(tools.Warning, fmt.Sprintf("group %s has no members", g.ID), "add people to it in Slack")
		default:
			d.say(tools.Good, fmt.Sprintf("group %s has %d %s", g.ID, len(list), plural(len(list), "member", "members")), "")
		}
	}
}
