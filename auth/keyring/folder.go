package keyring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const (
	stagePattern = "stage-"
	lockRetry    = 5 * time.Millisecond
)

// folder is a directory of this account alone whose files are replaced whole:
// written beside, synced, renamed. Writers of all processes take turns by a
// lock that the kernel frees when one of them is killed; readers need none.
type folder string

// openFolder makes the directory or checks the one that is there.
func openFolder(path string) (folder, error) {
	if path == "" {
		return "", fmt.Errorf("%w: no folder was given for its files; name one that is on a disk and belongs to this account alone", ErrUnavailable)
	}
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%w: its folder %s is not an absolute path; write it in full", ErrUnavailable, quoted(path))
	}
	f := folder(filepath.Clean(path))
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return "", fmt.Errorf("%w: its folder cannot be made; name another one (%w)", ErrUnavailable, err)
	}
	return f, f.check()
}

// check refuses a directory that is gone or that other accounts get into.
func (f folder) check() error {
	info, err := os.Stat(string(f))
	switch {
	case err != nil:
		return fmt.Errorf("%w: its folder is not there; see whether its disk is mounted (%w)", ErrUnavailable, err)
	case !info.IsDir():
		return fmt.Errorf("%w: %s is a file; name a folder", ErrUnavailable, f)
	case runtime.GOOS == "windows": // mode bits say nothing there; the profile's access list holds
		return nil
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%w: its folder has mode %04o, so that other accounts get into it; make it private: chmod 0700 %s", ErrUnavailable, info.Mode().Perm(), f)
	case !ownedByUs(info):
		return fmt.Errorf("%w: its folder %s belongs to another account; run as that account, or name a folder of its own", ErrUnavailable, f)
	}
	return nil
}

// lock waits for the turn of this writer, and removes what killed writers left.
func (f folder) lock(ctx context.Context) (unlock func(), err error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(string(f), "lock"))
	if _, err := l.TryLockContext(ctx, lockRetry); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("%w: another process holds %s; see which one: fuser %s", ErrTimeout, l.Path(), l.Path())
		}
		return nil, fmt.Errorf("%w: its lock cannot be taken; see the folder %s (%w)", ErrUnavailable, f, err)
	}
	entries, err := os.ReadDir(string(f))
	if err != nil {
		l.Unlock()
		return nil, fmt.Errorf("%w: its folder cannot be read (%w)", ErrUnavailable, err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), stagePattern) { // we hold the lock, so nobody writes there any more
			os.RemoveAll(filepath.Join(string(f), e.Name()))
		}
	}
	return func() { l.Unlock() }, nil
}

// replace puts a file with the given path inside the folder in its place, or
// leaves the old one as it is. make writes that file, under its own last name,
// into the directory it is given. The caller holds the lock.
func (f folder) replace(path string, make func(stage string) error) error {
	stage, err := os.MkdirTemp(string(f), stagePattern)
	if err != nil {
		return f.writing(err)
	}
	defer os.RemoveAll(stage)
	if err := make(stage); err != nil {
		return f.writing(err)
	}
	from, to := filepath.Join(stage, filepath.Base(path)), filepath.Join(string(f), path)
	if err := syncPath(from); err != nil {
		return f.writing(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return f.writing(err)
	}
	if err := patiently(func() error { return os.Rename(from, to) }); err != nil {
		return f.writing(err)
	}
	if runtime.GOOS == "windows" { // a directory cannot be synced there
		return nil
	}
	if err := syncPath(filepath.Dir(to)); err != nil {
		return f.writing(err)
	}
	return nil
}

func (f folder) writing(err error) error {
	return fmt.Errorf("%w: it cannot be written, what it held is as it was; see the disk and the rights of %s (%w)", ErrUnavailable, f, err)
}

// syncPath waits until what was written to path is on the disk.
func syncPath(path string) error {
	flag := os.O_RDONLY
	if runtime.GOOS == "windows" {
		flag = os.O_RDWR // FlushFileBuffers wants the right to write
	}
	file, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// exists tells a missing file from one that cannot be looked at.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
