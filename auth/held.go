package auth

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// Hold keeps what a person gave for a call that follows, sealed, until Drop.
// Only owner can use it again.
func (v *Vault) Hold(ctx context.Context, owner tools.Identity, word secret.Value) (string, error) {
	switch n := len(word.Reveal()); {
	case owner == "":
		return "", tools.Errorf(tools.Denied, "it is not known whose secret this is, so it was not kept")
	case n == 0:
		return "", tools.Errorf(tools.InvalidArgument, "there is nothing to keep; nothing was done")
	case n > MaxFile:
		return "", tools.Errorf(tools.InvalidArgument, "%d MB is more than is taken (%d MB); nothing was kept", n>>20, MaxFile>>20)
	}
	mine := v.holdings.take(owner, len(word.Reveal()), v.Now())
	if mine == nil {
		return "", tools.Errorf(tools.TooMany, "as much as is held for one person is held for you; nothing was kept").
			WithHint("withdraw what you no longer want, or wait until tomorrow").Retryable()
	}
	v.tidy()
	id, err := v.sealed.put(ctx, heldKind, box{Owner: owner, Expires: v.Now().Add(v.HoldFor).UTC()}, word)
	v.holdings.written(owner, mine, id)
	if err != nil {
		return "", notKept(err)
	}
	return id, nil
}

// tidy takes away, now and then, what nobody came for in time.
func (v *Vault) tidy() {
	if !v.holdings.due(v.Now()) {
		return
	}
	if err := v.sealed.sweep(v.HoldFor); err != nil {
		v.Log.Warn("vault not swept", "error", err)
	}
}

// What is held for one owner, of the last day: who hands over without end must
// not fill the disk on which the audit log is.
const (
	maxHeld      = 256
	maxHeldBytes = 8 * MaxFile
	heldFor      = 24 * time.Hour
)

// holdings counts what this process holds for whom.
type holdings struct {
	mu    sync.Mutex
	of    map[tools.Identity][]*holding
	swept time.Time
}

type holding struct {
	id    string // "" until it is written
	bytes int
	at    time.Time
}

// due reports, once an hour, that the vault is to be swept.
func (h *holdings) due(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.swept).Abs() < time.Hour {
		return false
	}
	h.swept = now
	return true
}

// take notes that bytes are about to be held for owner, and returns nil where
// that is too much.
func (h *holdings) take(owner tools.Identity, bytes int, now time.Time) *holding {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		h.of = map[tools.Identity][]*holding{}
	}
	h.of[owner] = slices.DeleteFunc(h.of[owner], func(o *holding) bool { return now.Sub(o.at) > heldFor })
	sum := bytes
	for _, o := range h.of[owner] {
		sum += o.bytes
	}
	if len(h.of[owner]) >= maxHeld || sum > maxHeldBytes {
		return nil
	}
	mine := &holding{bytes: bytes, at: now}
	h.of[owner] = append(h.of[owner], mine)
	return mine
}

// written says under which name it is held, "" when it could not be.
func (h *holdings) written(owner tools.Identity, mine *holding, id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	mine.id = id
	if id == "" {
		h.of[owner] = slices.DeleteFunc(h.of[owner], func(o *holding) bool { return o == mine })
	}
}

func (h *holdings) drop(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for owner, list := range h.of {
		h.of[owner] = slices.DeleteFunc(list, func(o *holding) bool { return o.id == id && id != "" })
		if len(h.of[owner]) == 0 {
			delete(h.of, owner)
		}
	}
}

// Held returns what owner gave.
func (v *Vault) Held(ctx context.Context, owner tools.Identity, id string) (secret.Value, error) {
	b, word, err := v.sealed.open(ctx, heldKind, id)
	if err == nil && (b.Owner != owner || v.Now().After(b.Expires)) {
		err = errGone
	}
	if errors.Is(err, errGone) {
		return secret.Value{}, tools.Errorf(tools.NotFound, "what was given for this call is no longer held; nothing was done").
			WithHint("give it again").Because(err)
	}
	return word, err
}

// Drop forgets what is held.
func (v *Vault) Drop(_ context.Context, id string) error {
	v.holdings.drop(id)
	return v.sealed.remove(heldKind, id)
}

// notKept says that the vault could not write.
func notKept(err error) error {
	if e := explainKeyring(err); e != nil {
		return e
	}
	return tools.Errorf(tools.Unavailable, "the secret could not be kept; nothing was done").
		WithHint("see the disk and the rights of the bot's own folder").Because(err)
}
