package cli

import (
	"sync"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// meter shows how a long call goes: one line that is drawn again at a
// terminal, lines otherwise, each said once.
type meter struct {
	r *Run

	mu    sync.Mutex
	drawn int // columns of the line that stands there
	at    time.Time
	said  string
	last  tools.Progress
}

// Between two drawings, and between two lines about the same stage.
const (
	drawEvery = 100 * time.Millisecond
	sayEvery  = 30 * time.Second
)

// Tell takes how far the call is. It may come from any goroutine.
func (m *meter) tell(p tools.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = p
	if m.r.Globals.JSON || m.r.quiet {
		return
	}
	t := &m.r.app.Terminal
	now := m.r.app.Now()
	if !t.Err {
		said := clean(p.Stage)
		if said == "" {
			said = clean(p.Text)
		}
		if said != m.said || now.Sub(m.at) >= sayEvery {
			write(m.r.app.Stderr, clean(p.Text)+percent(p)+"\n")
			m.said, m.at = said, now
		}
		return
	}
	if now.Sub(m.at) < drawEvery && p.Done < 1 {
		return
	}
	m.at = now
	line := bar(p, 24)
	if t.Width != nil {
		if w := t.Width(); w > 1 {
			line = cut(line, w-1)
		}
	}
	wide := columns(line)
	write(m.r.app.Stderr, "\r"+pad(line, m.drawn))
	m.drawn = wide
}

func percent(p tools.Progress) string {
	if p.Done < 0 || p.Done > 1 {
		return ""
	}
	return " (" + itoa(int(p.Done*100)) + "%)"
}

// clear takes the drawn line away.
func (m *meter) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.drawn > 0 {
		write(m.r.app.Stderr, "\r"+pad("", m.drawn)+"\r")
		m.drawn = 0
	}
}

// after says what can be done about work that goes on without us.
func (m *meter) after() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lines []string
	next := m.last.Next
	if m.last.Follow != nil {
		next = append([]tools.Next{*m.last.Follow}, next...)
	}
	for _, n := range next {
		if line := m.r.typed(n); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
