package slacktest

import (
	"sync"
	"time"
)

// clock is the real one plus an offset that a test moves.
type clock struct {
	mu      sync.Mutex
	offset  time.Duration
	pending map[*alarm]bool
	stopped bool
	running sync.WaitGroup
}

type alarm struct {
	due   time.Time
	timer *time.Timer
	do    func()
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

func (c *clock) read() time.Time { return time.Now().Add(c.offset) }

// after runs do when d has passed on this clock.
func (c *clock) after(d time.Duration, do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	if c.pending == nil {
		c.pending = map[*alarm]bool{}
	}
	a := &alarm{due: c.read().Add(d), do: do}
	c.pending[a] = true
	a.timer = time.AfterFunc(d, func() { c.fire(a) })
}

func (c *clock) fire(a *alarm) {
	c.mu.Lock()
	due := c.pending[a] && !c.stopped
	if due {
		delete(c.pending, a)
		c.running.Add(1)
	}
	c.mu.Unlock()
	if due {
		defer c.running.Done()
		a.do()
	}
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	c.offset += d
	var due []*alarm
	for a := range c.pending {
		left := a.due.Sub(c.read())
		if a.timer.Stop() && left > 0 {
			a.timer.Reset(left)
		} else {
			due = append(due, a)
		}
	}
	c.mu.Unlock()
	for _, a := range due {
		c.fire(a)
	}
}

func (c *clock) stop() {
	c.mu.Lock()
	c.stopped = true
	for a := range c.pending {
		a.timer.Stop()
	}
	c.mu.Unlock()
	c.running.Wait()
}

// Advance lets d pass for everything that Slack times: triggers, response_urls, retries, rate limits,
// outages, upload URLs. What falls due runs before Advance returns.
func (s *Server) Advance(d time.Duration) { s.clock.advance(d) }

// Now is the workspace's time.
func (s *Server) Now() time.Time { return s.clock.now() }
