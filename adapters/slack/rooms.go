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

// rooms knows which channels the bot may write to: none that another workspace
// reads too.
type rooms struct {
	a     *Adapter
	mu    sync.Mutex
	known map[string]room
}

type room struct {
	refusal *tools.Error
	at      time.Time
}

func newRooms(a *Adapter) *rooms { return &rooms{a: a, known: map[string]room{}} }

// roomFor is how long what was read of a channel holds.
const roomFor = time.Minute

// mayPost says why nothing may be posted to a channel, nil when it may. A
// channel that another workspace reads is an error of code Denied.
func (r *rooms) mayPost(ctx context.Context, channel string) *tools.Error {
	if strings.HasPrefix(channel, "D") {
		return nil // who reads there has been identified
	}
	r.mu.Lock()
	k, ok := r.known[channel]
	r.mu.Unlock()
	now := r.a.Now()
	if ok && now.Sub(k.at) < roomFor && !now.Before(k.at) {
		return k.refusal
	}
	k = room{refusal: r.ask(ctx, channel), at: now}
	r.mu.Lock()
	r.known[channel] = k
	r.mu.Unlock()
	return k.refusal
}

func (r *rooms) ask(ctx context.Context, channel string) *tools.Error {
	c, err := r.a.api.channel(ctx, channel)
	switch {
	case err != nil && (refusal(err) == "channel_not_found" || refusal(err) == "not_in_channel"):
		return tools.Errorf(tools.NotFound, "the bot is not in that channel").WithHint("invite it there with /invite")
	case err != nil:
		r.a.Log.Warn("slack channel not read", "channel", channel, "error", err)
		return tools.Errorf(tools.Unavailable, "Slack did not say who reads that channel").WithHint("%s", unasked(err)).Retryable()
	case shared(r.a.home, c):
		return tools.Errorf(tools.Denied, "that channel is shared with another workspace")
	case c.IsArchived:
		return tools.Errorf(tools.Conflict, "that channel is archived")
	case !c.IsMember:
		return tools.Errorf(tools.NotFound, "the bot is not in that channel").WithHint("invite it there with /invite")
	}
	return nil
}

// shared reports whether another workspace reads a channel, or is invited to:
// one of the same organisation is another one too.
func shared(home workspace, c *slack.Channel) bool {
	return c.IsShared || c.IsExtShared || c.IsOrgShared || c.IsGlobalShared || c.IsPendingExtShared || len(c.PendingShared) > 0 ||
		slices.ContainsFunc(c.SharedTeamIDs, func(t string) bool { return t != home.Team })
}
