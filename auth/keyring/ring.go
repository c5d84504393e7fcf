// Package keyring keeps the bot's secrets in a keyring of the operating
// system: a small interface over github.com/99designs/keyring, with guards
// against what that library and the keyrings below it do to a rotating token.
//
// One backend is opened and no other is ever fallen back to: the one that the
// configuration names, or, when it names none, the operating system's own
// keyring if that can be used right now. Nothing here asks a person: a locked
// keyring is [ErrLocked], with a sentence that says how to unlock it.
//
// Every item lies under "duplibot." and its key, so that the items of other
// programs in the same keyring are neither read nor listed. A call waits for
// the one before it, ends after the time limit, and answers with an error
// when the library panics. What was written is read back before Put returns.
//
// [ErrNotFound] is said only by a keyring that is open, unlocked and the one
// that was written to, as far as that can be seen. A caller may therefore take
// it to mean that there is no such secret.
package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/duplibot/duplibot/secret"
)

// MaxSize is the number of bytes that a secret may have.
const MaxSize = 128 << 10

// Ring is one open keyring. Its methods may be called from several goroutines.
// Keys are of the form that [CheckKey] accepts.
type Ring interface {
	// Get returns the secret under key, from memory if this Ring has read or
	// written it before: a keyring is slow, and each look into it can fail.
	Get(ctx context.Context, key string) (secret.Value, error)

	// Fresh is Get past the memory. It is for secrets that other processes
	// write too, and is called under the lock that the writers share.
	Fresh(ctx context.Context, key string) (secret.Value, error)

	// Put stores value under key in the place of what was there, and reads it
	// back. After an error the keyring holds the old value or the new one;
	// Fresh tells which. A caller that gives up its ctx does not stop a write
	// that has begun.
	Put(ctx context.Context, key string, value secret.Value) error

	// Delete removes what is under key. A key that is not there is no error.
	Delete(ctx context.Context, key string) error

	// List returns the keys that begin with prefix, sorted.
	List(ctx context.Context, prefix string) ([]string, error)

	// Probe looks at the keyring without changing it or asking anybody.
	Probe(ctx context.Context) Report
}

// Report is what Probe found.
type Report struct {
	Backend    Backend `json:"backend"`
	Usable     bool    `json:"usable"`      // items can be read now
	Locked     bool    `json:"locked"`      // it is there, and a password or passphrase is missing
	RebootSafe bool    `json:"reboot_safe"` // what is stored outlives a restart of the machine
	Detail     string  `json:"detail"`      // what was found
	Hint       string  `json:"hint"`        // what to do, "" when nothing is to be done
}

// place is where a backend keeps its items. The ring calls its methods one at
// a time, each under a context that ends with the time limit.
type place interface {
	read(ctx context.Context, name string) ([]byte, error)
	write(ctx context.Context, name string, data []byte) error // and read back
	remove(ctx context.Context, name string) error             // nil when there is none
	names(ctx context.Context) ([]string, error)               // of any program's items
	probe(ctx context.Context) (detail string, rebootSafe bool, err error)
}

// readBack ends a place's write: some keyrings say yes and keep nothing.
func readBack(ctx context.Context, p place, name string, data []byte) error {
	back, err := p.read(ctx, name)
	if err != nil {
		return fmt.Errorf("read back what was written: %w", err)
	}
	if !bytes.Equal(back, data) {
		return fmt.Errorf("%w: it answers with something else than what was just written; see whether another program writes %s", ErrCorrupt, name)
	}
	return nil
}

// ring adds to a place what holds for all of them: names, sizes, reading back
// and the memory.
type ring struct {
	backend Backend
	place   place
	gate    *gate

	mu    sync.Mutex
	known map[string]secret.Value
}

func newRing(backend Backend, p place, g *gate) *ring {
	return &ring{backend: backend, place: p, gate: g, known: map[string]secret.Value{}}
}

func (r *ring) Get(ctx context.Context, key string) (secret.Value, error) {
	r.mu.Lock()
	value, known := r.known[key]
	r.mu.Unlock()
	if known {
		return value, nil
	}
	return r.Fresh(ctx, key)
}

func (r *ring) Fresh(ctx context.Context, key string) (secret.Value, error) {
	if err := CheckKey(key); err != nil {
		return secret.Value{}, err
	}
	value, err := run(ctx, r.gate, func(ctx context.Context) (secret.Value, error) {
		data, err := r.place.read(ctx, prefix+key)
		if err != nil {
			r.forget(key)
			return secret.Value{}, err
		}
		return r.remember(key, secret.New(string(data))), nil
	})
	if err != nil {
		return secret.Value{}, fmt.Errorf("get %s from the keyring: %w", key, err)
	}
	return value, nil
}

func (r *ring) Put(ctx context.Context, key string, value secret.Value) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if value.Empty() {
		return fmt.Errorf("put %s into the keyring: there is nothing to store; delete the item instead", key)
	}
	if n := len(value.Reveal()); n > MaxSize {
		return fmt.Errorf("put %s into the keyring: %w: %d bytes where %d are allowed; keep it in a file of mode 0600 and refer to that as file:PATH", key, ErrTooLarge, n, MaxSize)
	}
	_, err := run(ctx, r.gate, func(ctx context.Context) (struct{}, error) {
		r.forget(key)
		if err := r.place.write(ctx, prefix+key, []byte(value.Reveal())); err != nil {
			return struct{}{}, err
		}
		r.remember(key, value)
		return struct{}{}, nil
	})
	if err != nil {
		return fmt.Errorf("put %s into the keyring: %w", key, err)
	}
	return nil
}

func (r *ring) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	_, err := run(ctx, r.gate, func(ctx context.Context) (struct{}, error) {
		r.forget(key)
		if err := r.place.remove(ctx, prefix+key); err != nil {
			return struct{}{}, err
		}
		switch _, err := r.place.read(ctx, prefix+key); {
		case errors.Is(err, ErrNotFound):
			return struct{}{}, nil
		case err != nil:
			return struct{}{}, fmt.Errorf("see whether it is gone: %w", err)
		}
		return struct{}{}, fmt.Errorf("%w: another item with the name %s%s is still there; remove it with the keyring's own program", ErrCorrupt, prefix, key)
	})
	if err != nil {
		return fmt.Errorf("delete %s from the keyring: %w", key, err)
	}
	return nil
}

func (r *ring) List(ctx context.Context, begin string) ([]string, error) {
	names, err := run(ctx, r.gate, r.place.names)
	if err != nil {
		return nil, fmt.Errorf("list the keyring: %w", err)
	}
	keys := map[string]bool{} // a keyring may hold two items of one name
	for _, name := range names {
		key, ours := strings.CutPrefix(name, prefix)
		if ours && strings.HasPrefix(key, begin) && CheckKey(key) == nil {
			keys[key] = true
		}
	}
	return slices.Sorted(maps.Keys(keys)), nil
}

func (r *ring) Probe(ctx context.Context) Report {
	report := Report{Backend: r.backend}
	found, err := run(ctx, r.gate, func(ctx context.Context) (found Report, err error) {
		found.Detail, found.RebootSafe, err = r.place.probe(ctx)
		return found, err
	})
	if err != nil {
		report.Detail, report.Hint, _ = strings.Cut(err.Error(), "; ")
		report.Locked = errors.Is(err, ErrLocked)
		return report
	}
	report.Usable, report.Detail, report.RebootSafe = true, found.Detail, found.RebootSafe
	if !report.RebootSafe {
		report.Hint = "what is stored there is gone after a restart of the machine; choose a folder on a disk"
	}
	return report
}

func (r *ring) remember(key string, value secret.Value) secret.Value {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[key] = value
	return value
}

func (r *ring) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, key)
}
