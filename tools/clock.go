package tools

import (
	"context"
	"fmt"
	"time"
)

// clockSlack is by how much a clock may go back, as when it is set right by a
// little. By more, nobody can tell how long a request has waited.
const clockSlack = time.Minute

// wall is the time of the day, without the monotonic reading that would hide
// that the clock was set.
func (g *gate) wall() time.Time { return g.Now().Round(0) }

// now is the time, never earlier than what was read before.
func (g *gate) now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.wall(); now.After(g.floor) {
		g.floor = now
	}
	return g.floor
}

// at is the time where the end of a request depends on it, never earlier than
// what any process has noted on this store. wentBack says that the clock stood
// so far before that, that all requests which were open have expired; the time
// counts anew from where it stands now.
func (g *gate) at(ctx context.Context, seen ...time.Time) (now time.Time, wentBack bool) {
	read := g.wall()
	latest := g.seen(ctx, read, seen)
	if !read.Before(latest.Add(-clockSlack)) {
		return g.now(), false
	}
	ctx = context.WithoutCancel(ctx)
	release, err := g.Locks.Lock(ctx, "clock")
	if err != nil {
		g.Log.Error("the clock was set back, and requests were not ended", "error", err)
		return latest, true
	}
	defer release()
	// Another may have been here meanwhile.
	read = g.wall()
	if latest = g.seen(ctx, read, nil); !read.Before(latest.Add(-clockSlack)) {
		return g.now(), true
	}
	g.Log.Warn("the clock was set back", "from", latest, "to", read)
	words := fmt.Sprintf("the clock was set back, from %s to %s", latest.UTC().Format(time.RFC3339), read.UTC().Format(time.RFC3339))
	open, err := g.Approvals.Approvals(ctx, Filter{States: undone, Limit: 10000})
	for _, a := range open {
		g.expire(ctx, a, words)
	}
	if err == nil {
		_, err = g.Approvals.Seen(ctx, read, true)
	}
	if err != nil {
		g.Log.Error("the clock was set back, and requests were not ended", "error", err)
		return latest, true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.floor = read
	return read, true
}

// undone are the states in which a request may still expire.
var undone = []State{StateInput, StatePending, StateApproved}

// seen notes that it is read, and returns the latest time that is known.
func (g *gate) seen(ctx context.Context, read time.Time, known []time.Time) time.Time {
	latest, err := g.Approvals.Seen(ctx, read, false)
	if err != nil {
		g.Log.Warn("time not noted", "error", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range append(known, g.floor) {
		if t.After(latest) {
			latest = t
		}
	}
	if latest.After(g.floor) {
		g.floor = latest
	}
	return latest
}
