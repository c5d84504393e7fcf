package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/duplibot/duplibot/secret"

	lib "github.com/99designs/keyring"
)

const (
	itemFolder = "keys"
	checkName  = "check"
	checkText  = "this file opens with the passphrase of the items beside it"

	// An item of MaxSize is coded in base64 twice on its way into a file.
	largestFile = 2*MaxSize + 4096
)

// files is the file backend: one encrypted file for each item, in the format
// of 99designs/keyring (a JWE with PBES2-HS256+A128KW and A256GCM).
//
// The library writes into the file that is in use, so that a writer who is
// killed leaves half a token and one who runs beside a reader makes him fail.
// Here it writes into a folder beside, and the file goes over whole. It also
// takes any passphrase for a new item; here a check item, made with the first
// one, refuses every other.
type files struct {
	dir        folder
	passphrase secret.Value
	checked    []byte // the bytes of the check item that the passphrase has opened
}

func openFile(ctx context.Context, cfg Config) (place, error) {
	passphrase, err := normalised(cfg.Passphrase)
	if err != nil {
		return nil, err
	}
	dir, err := openFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	f := &files{dir: dir, passphrase: secret.New(passphrase)}
	unlock, err := dir.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := os.MkdirAll(f.path(itemFolder), 0o700); err != nil {
		return nil, dir.writing(err)
	}
	return f, f.prove(true)
}

func (f *files) path(parts ...string) string {
	return filepath.Join(append([]string{string(f.dir)}, parts...)...)
}

func (f *files) open(dir string) (lib.Keyring, error) {
	return openLibrary(File, lib.Config{
		FileDir:          dir,
		FilePasswordFunc: func(string) (string, error) { return f.passphrase.Reveal(), nil },
	})
}

// prove returns ErrLocked unless the passphrase is the one that this folder's
// items have. With make, under the lock, it makes the check item if there is
// none yet.
func (f *files) prove(make bool) error {
	if err := f.dir.check(); err != nil {
		return err
	}
	now, err := os.ReadFile(f.path(checkName))
	switch {
	case err == nil && bytes.Equal(now, f.checked):
		return nil
	case err == nil:
		text, err := f.decode(string(f.dir), checkName)
		if err != nil || string(text) != checkText {
			return fmt.Errorf("%w: the files in %s have another passphrase, nothing was read or written; give the passphrase they were made with, or name an empty folder", ErrLocked, f.dir)
		}
		f.checked = now
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: its files cannot be read; see the rights of %s (%w)", ErrUnavailable, f.dir, err)
	}
	// No check item: a new folder, or one that somebody has tidied up.
	entries, err := os.ReadDir(f.path(itemFolder))
	if err != nil {
		return fmt.Errorf("%w: its folder %s is not there; see whether its disk is mounted (%w)", ErrUnavailable, f.path(itemFolder), err)
	}
	if len(entries) > 0 || !make {
		return fmt.Errorf("%w: the file %s is missing, which tells the right passphrase; put the folder back as it was, or name an empty one", ErrCorrupt, f.path(checkName))
	}
	if err := f.encode(checkName, newItem(checkName, []byte(checkText))); err != nil {
		return err
	}
	f.checked, err = os.ReadFile(f.path(checkName))
	return err
}

// decode reads one file. Its errors are ErrNotFound and ErrCorrupt; the
// library's own words are left out, since they can quote what they read.
func (f *files) decode(dir, name string) ([]byte, error) {
	info, err := os.Lstat(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its file cannot be read; see the rights of %s (%w)", ErrUnavailable, dir, err)
	}
	if !info.Mode().IsRegular() || info.Size() > largestFile {
		return nil, damaged(name)
	}
	ring, err := f.open(dir)
	if err != nil {
		return nil, err
	}
	data, err := readLibrary(ring, name)
	var disk *fs.PathError
	switch {
	case err == nil, errors.Is(err, ErrNotFound):
		return data, err
	case errors.As(err, &disk):
		return nil, fmt.Errorf("%w: its file cannot be read; see the rights of %s (%w)", ErrUnavailable, dir, err)
	}
	return nil, damaged(name)
}

func (f *files) encode(path string, item lib.Item) error {
	return f.dir.replace(path, func(stage string) error {
		ring, err := f.open(stage)
		if err != nil {
			return err
		}
		return ring.Set(item)
	})
}

func (f *files) read(_ context.Context, name string) ([]byte, error) {
	if err := f.prove(false); err != nil {
		return nil, err
	}
	if _, err := os.Stat(f.path(itemFolder)); err != nil {
		return nil, fmt.Errorf("%w: its folder %s is not there; see whether its disk is mounted (%w)", ErrUnavailable, f.path(itemFolder), err)
	}
	var data []byte
	err := patiently(func() (err error) {
		data, err = f.decode(f.path(itemFolder), name)
		return err
	})
	return data, err
}

func (f *files) write(ctx context.Context, name string, data []byte) error {
	unlock, err := f.dir.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := f.prove(true); err != nil {
		return err
	}
	if err := f.encode(filepath.Join(itemFolder, name), newItem(name, data)); err != nil {
		return err
	}
	return readBack(ctx, f, name, data)
}

func (f *files) remove(ctx context.Context, name string) error {
	unlock, err := f.dir.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := f.prove(false); err != nil {
		return err
	}
	err = patiently(func() error { return os.Remove(f.path(itemFolder, name)) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return f.dir.writing(err)
	}
	return nil
}

func (f *files) names(context.Context) ([]string, error) {
	if err := f.prove(false); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(f.path(itemFolder))
	if err != nil {
		return nil, fmt.Errorf("%w: its folder %s is not there; see whether its disk is mounted (%w)", ErrUnavailable, f.path(itemFolder), err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

func (f *files) probe(ctx context.Context) (string, bool, error) {
	names, err := f.names(ctx)
	if err != nil {
		return "", false, err
	}
	return fmt.Sprintf("encrypted files in %s, %d items, the passphrase opens them", f.dir, len(names)), f.dir.onDisk(), nil
}
