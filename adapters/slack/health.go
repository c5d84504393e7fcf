package slack

import (
	"sync"
	"time"
)

// Health is how the connection with Slack is.
type Health struct {
	Mode        string        `json:"mode"`        // "socket" or "http"
	Connections int           `json:"connections"` // websockets that are open
	Wanted      int           `json:"wanted"`
	Reconnects  int           `json:"reconnects"` // since the start
	LastHeard   time.Time     `json:"last_heard,omitzero"`
	LastError   string        `json:"last_error,omitempty"`
	ErrorAt     time.Time     `json:"error_at,omitzero"`
	Busy        int           `json:"busy"`    // commands and clicks that are worked on or wait
	Refused     int           `json:"refused"` // because too many waited
	Untold      int           `json:"untold"`  // problems that could not be told yet
	Skew        time.Duration `json:"skew"`    // how far this clock is ahead of Slack's
}

// Well reports whether what people type reaches the bot.
func (h Health) Well() bool { return h.Mode == "http" || h.Connections > 0 }

type health struct {
	mu      sync.Mutex
	open    map[int]bool
	opened  int
	heard   time.Time
	last    string
	lastAt  time.Time
	refused int
	said    int       // how many of them the log has
	saidAt  time.Time // when it was told
}

func (h *health) up(n int, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open == nil {
		h.open = map[int]bool{}
	}
	h.open[n], h.heard = true, now
	h.opened++
}

func (h *health) down(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, n)
}

func (h *health) heardAt(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard = now
}

func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last, h.lastAt = err.Error(), time.Now()
}

// busy counts what was refused, and returns once a minute how many of them the
// log does not have yet: a line for each would fill a disk.
func (h *health) busy() (unsaid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused++
	if now := time.Now(); now.Sub(h.saidAt) > time.Minute {
		unsaid, h.said, h.saidAt = h.refused-h.said, h.refused, now
	}
	return unsaid
}

// Health tells how the connection with Slack is, for status and doctor.
func (a *Adapter) Health() Health {
	h := Health{Mode: "socket", Wanted: a.Connections, Busy: a.quick.busy() + a.calls.busy(), Untold: a.problems.behind(), Skew: a.api.clock.read()}
	if a.HTTP {
		h.Mode, h.Wanted = "http", 0
	}
	a.health.mu.Lock()
	defer a.health.mu.Unlock()
	h.Connections, h.LastHeard = len(a.health.open), a.health.heard
	h.Reconnects = max(0, a.health.opened-h.Wanted)
	h.LastError, h.ErrorAt, h.Refused = a.health.last, a.health.lastAt, a.health.refused
	return h
}
