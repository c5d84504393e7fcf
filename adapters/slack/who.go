package slack

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/duplibot/duplibot/tools"
)

// outsider begins the identity of somebody who is nobody to the bot although
// Slack knows him: a guest, a bot, a stranger. No config can name it.
const outsider = "slack-outsider:"

// freshFor is how long somebody is taken to be who he was for looking and
// asking. For a decision everything is read again.
const freshFor = 30 * time.Second

// person is who acts. With a refusal he is nobody, and it says why.
type person struct {
	tools.Caller
	User    string // Slack's ID
	refusal *tools.Error
}

type people struct {
	a      *Adapter
	groups []tools.Group // of this Slack

	mu    sync.Mutex
	known map[string]knownPerson
	dms   map[string]string // user -> direct message channel
}

type knownPerson struct {
	person
	at time.Time
}

func newPeople(a *Adapter) *people {
	p := &people{a: a, known: map[string]knownPerson{}, dms: map[string]string{}}
	for _, g := range a.Options.Groups {
		if strings.HasPrefix(string(g.ID), "slack:") {
			p.groups = append(p.groups, g)
		}
	}
	return p
}

// identify finds out who the user with this ID is; team is the workspace that
// Slack says he acts from, "" when it says none. fresh asks Slack in any case.
func (p *people) identify(ctx context.Context, user, team, channel string, fresh bool) person {
	p.mu.Lock()
	k, ok := p.known[user]
	p.mu.Unlock()
	now := p.a.Now()
	if fresh || !ok || now.Sub(k.at) > freshFor || now.Before(k.at) {
		k = knownPerson{person: p.ask(ctx, user, team), at: now}
		p.mu.Lock()
		p.known[user] = k
		p.mu.Unlock()
	}
	k.Channel = channel
	return k.person
}

// ask reads the user and, beside it, his groups.
func (p *people) ask(ctx context.Context, user, team string) person {
	home := p.a.home
	who := person{User: user, Caller: tools.Caller{Surface: tools.Slack, Client: "Slack"}}
	nobody := func(format string, args ...any) person {
		who.Identity = tools.Identity(outsider + team + "/" + user)
		who.refusal = tools.Errorf(tools.NobodyKnown, format+"; nothing was done", args...)
		return who
	}
	if !idForm.MatchString(user) {
		return nobody("Slack did not say who you are")
	}
	var groups []tools.Identity
	unread := false
	var reading sync.WaitGroup
	reading.Go(func() { groups, unread = p.memberships(ctx, user) })
	u, err := p.a.api.user(ctx, user)
	reading.Wait()
	switch {
	case err != nil && refusal(err) == "user_not_found":
		return nobody("you are not a member of this workspace")
	case err != nil:
		p.a.Log.Warn("slack user not read", "user", user, "error", err)
		e := nobody("Slack could not be asked who you are")
		e.refusal = e.refusal.WithHint("%s", unasked(err)).Retryable()
		return e
	case u.Deleted:
		return nobody("this Slack account is deactivated")
	case u.IsBot || u.IsWorkflowBot || u.IsConnectorBot || user == home.Bot || user == "USLACKBOT":
		return nobody("bots and workflows are nobody here")
	case !ours(home, u) || u.IsStranger:
		return nobody("people of another workspace are nobody here")
	case u.IsRestricted || u.IsUltraRestricted:
		return nobody("guests of this workspace are nobody here")
	}
	who.Identity = tools.Identity("slack:" + home.principal() + "/" + user)
	who.Groups, who.GroupsUnread = groups, unread
	return who
}

// ours reports whether a user belongs to this workspace or its organisation.
func ours(home workspace, u *slack.User) bool {
	if u.TeamID == home.Team {
		return true
	}
	return home.Enterprise != "" && (u.Enterprise.EnterpriseID == home.Enterprise || u.TeamID == home.Enterprise)
}

// memberships lists the config's groups that a user is in. A group that cannot
// be read, or is no longer there, makes unread true.
func (p *people) memberships(ctx context.Context, user string) (in []tools.Identity, unread bool) {
	var mu sync.Mutex
	var reading sync.WaitGroup
	for _, g := range p.groups {
		reading.Go(func() {
			member, err := p.inGroup(ctx, g.ID, user)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				p.a.Log.Warn("slack user group not read", "group", g.ID, "error", err)
				unread = true
			}
			if member {
				in = append(in, g.ID)
			}
		})
	}
	reading.Wait()
	slices.Sort(in)
	return in, unread
}

func (p *people) inGroup(ctx context.Context, group tools.Identity, user string) (bool, error) {
	team, id, _ := strings.Cut(strings.TrimPrefix(string(group), "slack:"), "/")
	if team != p.a.home.Team && team != p.a.home.principal() {
		return false, nil // a group of another workspace
	}
	list, err := p.a.api.members(ctx, id)
	return slices.Contains(list, user), err
}

// Groups reads afresh which of the config's groups an identity of this Slack is
// in. It makes the adapter the gate's Memberships.
func (a *Adapter) Groups(ctx context.Context, id tools.Identity) ([]tools.Identity, error) {
	select {
	case <-a.ready:
	default:
		return nil, tools.Errorf(tools.Unavailable, "Slack has not been reached yet, so its groups are not known").Retryable()
	}
	user, ok := a.userOf(id)
	if !ok {
		return nil, nil
	}
	who := a.who.ask(ctx, user, a.home.Team)
	switch {
	case who.refusal != nil:
		return nil, who.refusal
	case who.GroupsUnread:
		return who.Groups, tools.Errorf(tools.Unavailable, "a Slack user group could not be read").Retryable()
	}
	return who.Groups, nil
}

// userOf is the Slack user of an identity of this workspace.
func (a *Adapter) userOf(id tools.Identity) (string, bool) {
	principal, user, ok := strings.Cut(strings.TrimPrefix(string(id), "slack:"), "/")
	if !ok || !strings.HasPrefix(string(id), "slack:") || principal != a.home.principal() || !idForm.MatchString(user) {
		return "", false
	}
	return user, true
}

// usersOf are the Slack users of a person of the config.
func (a *Adapter) usersOf(name string) []string {
	var users []string
	for _, id := range a.Identities(name) {
		if user, ok := a.userOf(id); ok {
			users = append(users, user)
		}
	}
	return users
}

// direct is the direct message channel with a user.
func (p *people) direct(ctx context.Context, user string) (string, error) {
	p.mu.Lock()
	channel := p.dms[user]
	p.mu.Unlock()
	if channel != "" {
		return channel, nil
	}
	channel, err := p.a.api.direct(ctx, user)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	p.dms[user] = channel
	p.mu.Unlock()
	return channel, nil
}
