package local

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// patient reads with a limit on silence. A program that was itself stopped for
// a while finds its time over on waking, with data waiting: so silence is
// believed only after a second, short look.
type patient struct {
	conn *net.UnixConn
	wait time.Duration

	mu    sync.Mutex
	until time.Time // set when the end is near
}

func (p *patient) Read(b []byte) (int, error) {
	p.limit(p.wait)
	n, err := p.conn.Read(b)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && p.limit(time.Second) {
		return p.conn.Read(b)
	}
	return n, err
}

// limit sets the time of the next read, and reports whether there is any left.
func (p *patient) limit(within time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	at := now.Add(within)
	if !p.until.IsZero() && at.After(p.until) {
		at = p.until
	}
	p.conn.SetReadDeadline(at)
	return at.After(now)
}

// hurry ends all reading after within.
func (p *patient) hurry(within time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Now().Add(within)
	p.conn.SetReadDeadline(p.until)
}
