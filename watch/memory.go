package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/duplibot/duplibot/duplicati"
)

// memory is what outlives a restart, one note per server.
type memory struct {
	Problems map[string]Problem `json:"problems"` // by key: those that were told and are not over
	Backups  map[string]mark    `json:"backups"`  // by ID
	Flaps    map[string]flap    `json:"flaps"`    // by key: those that may come back, or did
	Ended    map[string]Problem `json:"ended"`    // by key: those that are over, for whoever has not got to tell of it
}

// keptEnds is for how long the end of a problem is told again after a restart.
const keptEnds = 7 * 24 * time.Hour

// mark is how the last known run of a backup ended.
type mark struct {
	Seen     string            `json:"seen"`             // what the server had noted of it when it was judged
	LastRun  int64             `json:"last_run"`         // when its schedule last began it, in unix seconds
	Row      int64             `json:"row,omitempty"`    // the newest row of its log
	Run      int64             `json:"run,omitempty"`    // the row of the run that was judged
	Unread   bool              `json:"unread,omitempty"` // its log could not be read
	Verdict  duplicati.Verdict `json:"verdict,omitempty"`
	At       time.Time         `json:"at,omitzero"`
	Began    time.Time         `json:"began,omitzero"`
	Why      string            `json:"why,omitempty"`  // in our words
	Said     []string          `json:"said,omitempty"` // in the server's
	Warnings int64             `json:"warnings,omitempty"`
	Errors   int64             `json:"errors,omitempty"`

	newest time.Time // of what the server noted or logged, of any operation
}

func (s *server) note() string { return "watch/" + s.name }

// recall reads the memory, once.
func (s *server) recall(ctx context.Context) error {
	if s.recalled {
		return nil
	}
	text, ok, err := s.o.Notes.Read(ctx, s.note())
	if err != nil {
		return fmt.Errorf("watch %s: %w", s.name, err)
	}
	m := memory{}
	if ok && json.Unmarshal([]byte(text), &m) != nil {
		s.o.Log.Warn("what was remembered of a server cannot be read", "server", s.name)
		m = memory{}
	}
	if m.Problems == nil {
		m.Problems = make(map[string]Problem)
	}
	if m.Backups == nil {
		m.Backups = make(map[string]mark)
	}
	if m.Flaps == nil {
		m.Flaps = make(map[string]flap)
	}
	if m.Ended == nil {
		m.Ended = make(map[string]Problem)
	}
	s.memory, s.written, s.recalled = m, text, true
	for _, key := range sortedKeys(m.Ended) {
		if p := m.Ended[key]; s.o.Now().Sub(p.Ended) < keptEnds {
			s.o.Tell(p)
		} else {
			delete(m.Ended, key)
		}
	}
	return nil
}

// keep writes the memory where it has changed.
func (s *server) keep(ctx context.Context) error {
	b, err := json.Marshal(s.memory)
	if err != nil {
		return fmt.Errorf("watch %s: %w", s.name, err)
	}
	if string(b) == s.written {
		return nil
	}
	if err := s.o.Notes.Write(ctx, s.note(), string(b)); err != nil {
		return fmt.Errorf("watch %s: %w", s.name, err)
	}
	s.written = string(b)
	return nil
}
