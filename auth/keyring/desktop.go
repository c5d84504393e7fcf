//go:build windows || (darwin && cgo)

package keyring

import (
	"context"
	"errors"
	"fmt"

	lib "github.com/99designs/keyring"
)

// desktop is the keyring of Windows or macOS, which the library reaches by the
// system's own calls.
type desktop struct {
	lib  lib.Keyring
	kind string
	said func(error) error // the system's answer in our words
}

func (d *desktop) read(_ context.Context, name string) ([]byte, error) {
	data, err := readLibrary(d.lib, name)
	return data, d.answer(err)
}

func (d *desktop) write(ctx context.Context, name string, data []byte) error {
	if err := d.answer(d.lib.Set(newItem(name, data))); err != nil {
		return err
	}
	return readBack(ctx, d, name, data)
}

func (d *desktop) remove(_ context.Context, name string) error {
	err := d.lib.Remove(name)
	if errors.Is(err, lib.ErrKeyNotFound) {
		return nil
	}
	return d.answer(err)
}

func (d *desktop) names(ctx context.Context) ([]string, error) {
	// The library lists nothing where the list cannot be had; reading says why.
	if _, _, err := d.probe(ctx); err != nil {
		return nil, err
	}
	names, err := d.lib.Keys()
	return names, d.answer(err)
}

func (d *desktop) probe(ctx context.Context) (string, bool, error) {
	_, err := d.read(ctx, prefix+"probe")
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt) {
		return "", false, err
	}
	return "the " + d.kind + " of this account answers", true, nil
}

func (d *desktop) answer(err error) error {
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return err
	}
	if known := d.said(err); known != nil {
		return known
	}
	return fmt.Errorf("%w: the %s answered %s; see whether this account is logged in, or %s", ErrUnavailable, d.kind, quoted(err.Error()), choice())
}
