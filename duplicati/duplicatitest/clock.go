package duplicatitest

import (
	"sync"
	"time"
)

// Clock is the server's time. It runs with real time, or stands still until it
// is moved; either kind can be moved ahead. Clients under test can take their
// time from its Now.
type Clock struct {
	mu     sync.Mutex
	base   time.Time // of a standing clock
	ahead  time.Duration
	stands bool
}

// NewClock returns a clock that runs with real time.
func NewClock() *Clock { return &Clock{} }

// NewStandingClock returns a clock that shows start until it is advanced.
func NewStandingClock(start time.Time) *Clock {
	return &Clock{base: start, stands: true}
}

// Now is the time the clock shows, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stands {
		return c.base.Add(c.ahead).UTC()
	}
	return time.Now().Add(c.ahead).UTC().Round(0)
}

// Stands reports whether the clock moves only when told.
func (c *Clock) Stands() bool { return c.stands }

func (c *Clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}
