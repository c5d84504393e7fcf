//go:build !windows

package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	lib "github.com/99designs/keyring"
)

// passStore is the backend of the program pass: one file for each item,
// encrypted by gpg to the keys that the store names.
//
// The library runs pass, which runs gpg, which may open a window for the
// passphrase of the key and wait; and it answers nothing but an exit status.
// So gpg itself is asked first, and told not to ask anybody. A pass that is
// killed while it writes leaves half an item, which is then ErrCorrupt: for a
// token that rotates the other backends are better homes.
type passStore struct {
	lib lib.Keyring
	dir string // the folder of our items
	top string // the folder of the store
	gpg string
}

func openPass(context.Context, Config) (place, error) {
	top := os.Getenv("PASSWORD_STORE_DIR")
	if top == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("%w: no home folder is known that could hold the password store; set HOME or PASSWORD_STORE_DIR", ErrUnavailable)
		}
		top = filepath.Join(home, ".password-store")
	}
	if _, err := exec.LookPath("pass"); err != nil {
		return nil, fmt.Errorf("%w: the program pass is not installed; install pass and gnupg, then: pass init YOUR-GPG-KEY", ErrUnavailable)
	}
	gpg, err := exec.LookPath("gpg2") // the order in which pass looks
	if err != nil {
		gpg, err = exec.LookPath("gpg")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the program gpg is not installed; install gnupg", ErrUnavailable)
	}
	ring, err := openLibrary(Pass, lib.Config{PassDir: top, PassPrefix: service})
	if err != nil {
		return nil, fmt.Errorf("%w: pass cannot be used; see whether it runs in a terminal (%w)", ErrUnavailable, err)
	}
	return &passStore{lib: ring, dir: filepath.Join(top, service), top: top, gpg: gpg}, nil
}

// ask runs gpg so that it answers and asks nobody. On failure it returns what
// gpg wrote.
func (p *passStore) ask(ctx context.Context, args ...string) (out []byte, said string, err error) {
	args = append(append(strings.Fields(os.Getenv("PASSWORD_STORE_GPG_OPTS")), "--batch", "--no-tty", "--pinentry-mode", "error"), args...)
	cmd := exec.CommandContext(ctx, p.gpg, args...)
	// In English, since its words are all that tells one failure from another.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "LANGUAGE=C")
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.Bytes(), stderr.String(), err
}

// recipient returns the key that the store encrypts to, if this account can
// decrypt with it.
func (p *passStore) recipient(ctx context.Context) (string, error) {
	ids, err := os.ReadFile(filepath.Join(p.dir, ".gpg-id")) // a folder may have its own
	if errors.Is(err, fs.ErrNotExist) {
		ids, err = os.ReadFile(filepath.Join(p.top, ".gpg-id"))
	}
	if err != nil {
		return "", fmt.Errorf("%w: there is no password store in %s; make one by: pass init YOUR-GPG-KEY", ErrUnavailable, p.top)
	}
	for line := range strings.Lines(string(ids)) {
		id, _, _ := strings.Cut(line, "#")
		if id = strings.TrimSpace(id); id == "" {
			continue
		}
		if _, _, err := p.ask(ctx, "--list-secret-keys", "--", id); err == nil {
			return id, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
	}
	return "", fmt.Errorf("%w: gpg has no secret key for the password store in %s; import it into this account's gpg, or run: pass init YOUR-GPG-KEY", ErrUnavailable, p.top)
}

// decrypts returns nil when gpg can read the item without asking anybody.
func (p *passStore) decrypts(ctx context.Context, name string) error {
	file := filepath.Join(p.dir, name+".gpg")
	if is, err := exists(file); err != nil {
		return fmt.Errorf("%w: its file cannot be read; see the rights of %s (%w)", ErrUnavailable, p.dir, err)
	} else if !is {
		if _, err := p.recipient(ctx); err != nil {
			return err // a store that is not ours to read says nothing about the item
		}
		return ErrNotFound
	}
	_, said, err := p.ask(ctx, "--decrypt", "--", file)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case strings.Contains(said, "pinentry"), strings.Contains(said, "No pinentry"), strings.Contains(said, "Operation cancelled"):
		return fmt.Errorf("%w: gpg wants the passphrase of its key; unlock it in a terminal by: pass show %s/%s", ErrLocked, service, name)
	case strings.Contains(said, "No secret key"):
		_, err := p.recipient(ctx)
		if err != nil {
			return err
		}
		return fmt.Errorf("%w: the item is encrypted to a key that gpg does not have here; import that key, or delete the item and store it again", ErrUnavailable)
	case strings.Contains(said, "can't connect to the agent"), strings.Contains(said, "No agent running"):
		return fmt.Errorf("%w: gpg-agent does not run and cannot be started; see: gpg-connect-agent /bye", ErrUnavailable)
	}
	return damaged(name)
}

func (p *passStore) read(ctx context.Context, name string) ([]byte, error) {
	if err := p.decrypts(ctx, name); err != nil {
		return nil, err
	}
	data, err := readLibrary(p.lib, name)
	return data, p.said(err)
}

func (p *passStore) write(ctx context.Context, name string, data []byte) error {
	if _, err := p.recipient(ctx); err != nil {
		return err
	}
	// An item that cannot be read back would be one that cannot be used.
	if err := p.decrypts(ctx, name); errors.Is(err, ErrLocked) {
		return err
	}
	if err := p.lib.Set(newItem(name, data)); err != nil {
		return p.said(err)
	}
	return readBack(ctx, p, name, data)
}

func (p *passStore) remove(_ context.Context, name string) error {
	err := p.lib.Remove(name)
	if errors.Is(err, lib.ErrKeyNotFound) {
		return nil
	}
	return p.said(err)
}

func (p *passStore) names(ctx context.Context) ([]string, error) {
	if _, err := p.recipient(ctx); err != nil {
		return nil, err
	}
	names, err := p.lib.Keys()
	return names, p.said(err)
}

// said puts an exit status of pass into words. What pass wrote beside it went
// to the standard error output.
func (p *passStore) said(err error) error {
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w: pass ended with %s; try in a terminal: pass ls %s", ErrUnavailable, quoted(err.Error()), service)
}

func (p *passStore) probe(ctx context.Context) (string, bool, error) {
	id, err := p.recipient(ctx)
	if err != nil {
		return "", false, err
	}
	names, err := p.lib.Keys()
	if err != nil {
		return "", false, p.said(err)
	}
	if len(names) > 0 { // one tells whether the key is unlocked
		if err := p.decrypts(ctx, names[0]); err != nil {
			return "", false, err
		}
	}
	return fmt.Sprintf("the password store in %s, %d items, encrypted to %s", p.dir, len(names), quoted(id)), folder(p.top).onDisk(), nil
}
