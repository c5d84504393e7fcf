package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// prepare makes the folder and the empty file of a new store, and refuses
// ones that other accounts can open.
func prepare(path string) error {
	if err := folder(filepath.Dir(path)); err != nil {
		return err
	}
	// SQLite gives the -wal and -shm files the mode of the database, so it has
	// to be right from the beginning. One that exists is not opened here: to
	// close it would drop the locks that SQLite has on it in this process.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file; give the path of the database itself", path)
	}
	return private(path, info, 0o600)
}

// folder makes dir with mode 0700, or checks the one that is there.
func folder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return private(dir, info, 0o700)
}

// private refuses what other accounts could read or change: whoever can open
// the store could agree to everything.
func private(path string, info fs.FileInfo, want fs.FileMode) error {
	if runtime.GOOS == "windows" {
		return nil // the mode bits there say nothing; the profile's ACL holds
	}
	if !owned(info) {
		return fmt.Errorf("%s belongs to another account; run as that account, or give the store a folder of its own", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("%s has mode %04o, so other accounts can open it, and the store with it; make it private: chmod %04o %s", path, mode, want, path)
	}
	return nil
}

// Free is how many bytes this account can still write on the disk that holds
// the store.
func (d *DB) Free() (uint64, error) {
	n, err := free(filepath.Dir(d.path))
	if err != nil {
		return 0, fmt.Errorf("free space of the store's disk: %w", err)
	}
	return n, nil
}
