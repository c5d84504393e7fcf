package keyring_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/secret"
)

func TestARingForLaterIsOpenedOnceAndWhenItCan(t *testing.T) {
	dir, pass := privateDir(t), keyring.NewPassphrase()
	opened, broken := 0, true
	r := keyring.Later(func(ctx context.Context) (keyring.Ring, error) {
		if opened++; broken {
			return nil, errors.Join(keyring.ErrLocked, errors.New("closed; open it"))
		}
		return keyring.Open(ctx, keyring.Config{Backend: keyring.File, Dir: dir, Passphrase: pass})
	})
	if opened != 0 {
		t.Fatal("it was opened before its use")
	}
	ctx := t.Context()
	_, get := r.Get(ctx, "a")
	_, fresh := r.Fresh(ctx, "a")
	_, list := r.List(ctx, "")
	for _, err := range []error{get, fresh, list, r.Put(ctx, "a", secret.New("w")), r.Delete(ctx, "a")} {
		fails(t, err, keyring.ErrLocked)
	}
	if report := r.Probe(ctx); report.Usable || !report.Locked || report.Hint != "open it" {
		t.Errorf("Probe: %+v", report)
	}
	broken, opened = false, 0
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { r.List(ctx, "") })
	}
	all.Wait()
	put(t, r, "a", "word")
	holds(t, r, "a", "word")
	if err := r.Delete(ctx, "a"); err != nil {
		t.Error(err)
	}
	if report := r.Probe(ctx); !report.Usable || opened != 1 {
		t.Errorf("Probe: %+v, opened %d times", report, opened)
	}
}
