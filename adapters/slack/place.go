package slack

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// A response_url takes five posts within thirty minutes; the last post is kept
// for the outcome. https://docs.slack.dev/interactivity/handling-user-interaction
const (
	responsePosts = 5
	responseLife  = 29 * time.Minute
)

// place is where somebody typed or clicked, and where the answer goes.
type place struct {
	who     person
	channel string
	trigger string // to open a modal, within three seconds
	public  bool   // the answer is for the channel
	// replace says that the click was on an answer only he sees: what comes now
	// takes its place.
	replace bool

	mu       sync.Mutex
	response string // response_url
	posts    int
	born     time.Time
}

// spend takes one of the posts that a response_url allows.
func (p *place) spend(now time.Time) (url string, replace bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.response == "" || p.posts >= responsePosts || now.Sub(p.born) > responseLife {
		return "", false
	}
	p.posts++
	replace, p.replace = p.replace, false
	return p.response, replace
}

// tell shows m to the person alone: in place, as long as Slack allows, else in
// the channel if he is there, else in his direct messages.
func (a *Adapter) tell(ctx context.Context, p *place, m message) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), retryWithin)
	defer cancel()
	if m.Rest != "" {
		m = a.attached(ctx, p.who.User, m)
	}
	if url, replace := p.spend(a.Now()); url != "" {
		err := a.api.respond(ctx, url, m, replace)
		if err == nil || errors.Is(err, errMaybeSent) {
			return
		}
		a.Log.Info("slack answer goes another way", "error", err)
	}
	if p.channel != "" && !strings.HasPrefix(p.channel, "D") {
		err := a.api.ephemeral(ctx, p.channel, p.who.User, m)
		if err == nil || errors.Is(err, errMaybeSent) {
			return
		}
	}
	if p.who.refusal != nil {
		return // nobody gets no direct messages
	}
	if _, err := a.send(ctx, p.who.User, m); err != nil {
		a.Log.Warn("slack answer lost", "user", p.who.User, "error", err)
	}
}

// attached puts the rest of a long answer into the person's direct messages,
// since what only he sees in a channel has no thread.
func (a *Adapter) attached(ctx context.Context, user string, m message) message {
	channel, err := a.who.direct(ctx, user)
	if err == nil {
		err = a.api.upload(ctx, ref{Channel: channel}, "answer.txt", cutBytes(m.Rest))
	}
	if err != nil {
		a.Log.Warn("slack file not sent", "error", err)
		m.append(section("The file with the rest could not be sent."))
	}
	m.Rest = ""
	return m
}

func cutBytes(s string) string {
	if len(s) <= maxUploadBytes {
		return s
	}
	return strings.ToValidUTF8(s[:maxUploadBytes], "") + "\n(cut here)"
}

// send posts m to a channel, or to a user's direct messages when a user ID is
// given, with its rest in a thread. A channel that others read gets nothing.
func (a *Adapter) send(ctx context.Context, to string, m message) (ref, error) {
	if strings.HasPrefix(to, "U") || strings.HasPrefix(to, "W") {
		channel, err := a.who.direct(ctx, to)
		if err != nil {
			return ref{}, err
		}
		to = channel
	}
	if e := a.channels.mayPost(ctx, to); e != nil {
		return ref{}, e
	}
	at, err := a.api.post(ctx, to, "", m)
	if err == nil && m.Rest != "" {
		if err := a.api.upload(ctx, at, "answer.txt", cutBytes(m.Rest)); err != nil {
			a.Log.Warn("slack file not sent", "error", err)
		}
	}
	return at, err
}

// edit changes a posted message. In a channel that others have come to read, it
// takes away what stood there.
func (a *Adapter) edit(ctx context.Context, at ref, m message) error {
	if e := a.channels.mayPost(ctx, at.Channel); e != nil && e.Code == tools.Denied {
		m = words(tools.Notice, "This channel is shared with another workspace now, so nothing is shown here any more.")
	}
	return a.api.update(ctx, at, m)
}

// reply answers where p says: to the channel when that was asked for, and to
// the person where it cannot be.
func (a *Adapter) reply(ctx context.Context, p *place, m message) {
	if !p.public {
		a.tell(ctx, p, m)
		return
	}
	_, err := a.send(ctx, p.channel, m)
	if err == nil || errors.Is(err, errMaybeSent) {
		return
	}
	why := a.asError(err)
	m.append(section("Only you see this: " + why.Error() + "."))
	a.tell(ctx, p, m)
}
