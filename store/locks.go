package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/duplibot/duplibot/tools"

	"github.com/gofrs/flock"
)

// Locks are files that the system locks for their holder and frees when it
// dies. They exclude goroutines of one process as they do processes, and are
// not re-entrant: who holds a name and asks for it again waits.
type Locks struct {
	dir string

	mu   sync.Mutex
	held map[*flock.Flock]struct{} // else memory's sweep would close their files, and free them
}

var _ tools.Locks = (*Locks)(nil)

// lockPoll is how often a waiting Lock looks again; the system has no wait
// that a context can end.
const lockPoll = 10 * time.Millisecond

// OpenLocks uses dir, and makes it with mode 0700, for locks that are shared
// with every process that opens the same folder. It needs no database.
func OpenLocks(dir string) (*Locks, error) {
	// As root nothing would keep us from leaving a folder in another account's
	// that it could not use.
	above := filepath.Dir(dir)
	if info, err := os.Stat(above); err == nil && !owned(info) {
		return nil, fmt.Errorf("open locks: %s belongs to another account; run as that account, or give the store a folder of its own", above)
	}
	if err := folder(dir); err != nil {
		return nil, fmt.Errorf("open locks: %w", err)
	}
	return &Locks{dir: dir, held: map[*flock.Flock]struct{}{}}, nil
}

// Lock waits for name until ctx ends. release may be called more than once.
func (l *Locks) Lock(ctx context.Context, name string) (release func(), err error) {
	path := l.file(name)
	for {
		f := flock.New(path)
		ok, err := f.TryLockContext(ctx, lockPoll)
		if err != nil || !ok {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		if current(f, path) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.held[f] = struct{}{}
			return func() { l.unlock(f, path) }, nil
		}
		// Its holder removed the file between our open and our lock, so that
		// ours is a lock that nobody else sees.
		f.Unlock()
	}
}

// unlock removes the file while it is still locked: whoever has it open finds
// out by current, and no files are left behind.
func (l *Locks) unlock(f *flock.Flock, path string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, held := l.held[f]; !held {
		return
	}
	delete(l.held, f)
	os.Remove(path)
	f.Unlock()
}

// current reports whether the locked file is the one that path names.
func current(f *flock.Flock, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(mine, named)
}

// Held reports whether somebody, in whatever process, holds name.
func (l *Locks) Held(name string) (bool, error) {
	path := l.file(name)
	for {
		// Shared and without making the file, so that two that ask at once do
		// not take each other for a holder.
		f := flock.New(path, flock.SetFlag(os.O_RDONLY))
		free, err := f.TryRLock()
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("see whether %s is locked: %w", name, err)
		}
		if !free {
			return true, nil
		}
		still := current(f, path)
		f.Unlock()
		if still {
			return false, nil
		}
	}
}

// file is where name is locked: readable, and safe and distinct whatever name
// holds.
func (l *Locks) file(name string) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(l.dir, safe[:min(len(safe), 40)]+"."+hex.EncodeToString(sum[:8]))
}
