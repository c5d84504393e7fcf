package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/secret"
)

// Anchor is a place in the audit log: the record's number and its MAC in hex.
type Anchor struct {
	Seq int64  `json:"seq"`
	MAC string `json:"mac"`
}

// anchorWithin limits one write of an anchor.
const anchorWithin = 15 * time.Second

// Anchors keep the newest place of the audit log in the keyring, so that a cut
// end shows. Nobody waits for the keyring: one write is under way at most, and
// of the places that come meanwhile only the newest is written next.
type Anchors struct {
	ring  keyring.Ring
	locks Locks
	log   *slog.Logger

	mu      sync.Mutex
	newest  Anchor // what Set was last told
	written Anchor
	failed  error         // of the last write
	done    chan struct{} // of the write under way, nil when there is none
}

// NewAnchors reads and writes nothing yet.
func NewAnchors(ring keyring.Ring, locks Locks, log *slog.Logger) *Anchors {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Anchors{ring: ring, locks: locks, log: log}
}

// Set says what the newest record is. It returns at once.
func (a *Anchors) Set(place Anchor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.newest = place
	a.begin()
}

// begin starts to write unless that is under way. The caller holds mu.
func (a *Anchors) begin() {
	if a.done != nil || a.newest == a.written {
		return
	}
	a.done = make(chan struct{})
	go a.run(a.newest, a.done)
}

// run writes place and whatever comes meanwhile. When a write fails the next
// Set tries again: a keyring that is down must not be asked in a loop.
func (a *Anchors) run(place Anchor, done chan struct{}) {
	defer close(done)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), anchorWithin)
		err := a.write(ctx, place)
		cancel()
		a.mu.Lock()
		if err == nil {
			a.written = place
		} else if a.failed == nil {
			a.log.Error("audit anchor not kept in the keyring", "seq", place.Seq, "error", err)
		}
		a.failed = err
		if err != nil || a.newest == place {
			a.done = nil
			a.mu.Unlock()
			return
		}
		place = a.newest
		a.mu.Unlock()
	}
}

// write puts place into the keyring unless a later one is there, as another
// process may have written.
func (a *Anchors) write(ctx context.Context, place Anchor) error {
	release, err := a.locks.Lock(ctx, "audit anchor")
	if err != nil {
		return err
	}
	defer release()
	switch known, ok, err := a.read(ctx); {
	case err != nil && !errors.Is(err, keyring.ErrCorrupt):
		return err
	case ok && known.Seq >= place.Seq:
		return nil
	}
	text, err := json.Marshal(place)
	if err != nil {
		return err
	}
	return a.ring.Put(ctx, anchorItem, secret.New(string(text)))
}

// Read returns the place that the keyring has; ok is false when it has none.
func (a *Anchors) Read(ctx context.Context) (place Anchor, ok bool, err error) {
	return a.read(ctx)
}

func (a *Anchors) read(ctx context.Context) (Anchor, bool, error) {
	word, err := a.ring.Fresh(ctx, anchorItem)
	if errors.Is(err, keyring.ErrNotFound) {
		return Anchor{}, false, nil
	}
	if err != nil {
		return Anchor{}, false, err
	}
	var place Anchor
	if json.Unmarshal([]byte(word.Reveal()), &place) != nil || place.Seq <= 0 || place.MAC == "" {
		return Anchor{}, false, fmt.Errorf("read the audit anchor: %w: %s is not what was stored; see the log with audit verify", keyring.ErrCorrupt, anchorItem)
	}
	return place, true, nil
}

// Close waits until the newest place is in the keyring, and returns why it is
// not.
func (a *Anchors) Close(ctx context.Context) error {
	for tries := 0; ; tries++ {
		a.mu.Lock()
		if a.newest == a.written {
			a.mu.Unlock()
			return nil
		}
		if tries == 2 { // one may have been under way, the other was ours
			err := a.failed
			a.mu.Unlock()
			return fmt.Errorf("keep the audit anchor: %w", err)
		}
		a.begin()
		done := a.done
		a.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("keep the audit anchor: %w", ctx.Err())
		}
	}
}
