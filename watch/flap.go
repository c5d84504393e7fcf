package watch

import (
	"fmt"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// A server that comes and goes is one problem, and not one for each time. What
// comes back within calm of its end is the same problem again, and from then
// on it is over only when it has been gone for so long.
const calm = 30 * time.Minute

// flap is what is remembered of a problem that may come back.
type flap struct {
	Since time.Time `json:"since"`         // when it was first there
	Left  time.Time `json:"left,omitzero"` // when it went last; zero while it is there
	Times int       `json:"times"`         // how often it came back
}

// atTimes says what a problem of a kind is while it is gone and not yet over.
// Those of other kinds do not come and go.
var atTimes = map[Kind]string{
	Unreachable: "comes and goes; at the moment it answers",
	Login:       "lets nobody in at times",
}

// returned notes that p is there, and says in it how often it came back.
func (s *server) returned(p *Problem, now time.Time) {
	f, known := s.memory.Flaps[p.Key]
	switch {
	case !known || !f.Left.IsZero() && now.Sub(f.Left) >= calm:
		f = flap{Since: p.Since}
	case !f.Left.IsZero():
		f.Left, f.Times = time.Time{}, f.Times+1
	}
	s.memory.Flaps[p.Key] = f
	if f.Times > 0 {
		p.Since = f.Since
		p.Facts = append(p.Facts, tools.Fact{Name: "Came back", Value: times(f.Times) + " since " + clock(f.Since)})
	}
}

// leaves notes that a problem is gone, and reports whether it may come back so
// soon that it is not over yet.
func (s *server) leaves(key string, now time.Time) (mayReturn bool) {
	f, known := s.memory.Flaps[key]
	if !known {
		return false
	}
	if f.Left.IsZero() {
		f.Left = now
		s.memory.Flaps[key] = f
	}
	return f.Times > 0 && now.Sub(f.Left) < calm
}

// forgetFlaps forgets what has not come back.
func (s *server) forgetFlaps(now time.Time) {
	for key, f := range s.memory.Flaps {
		if _, open := s.memory.Problems[key]; !open && now.Sub(f.Left) >= calm {
			delete(s.memory.Flaps, key)
		}
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
