package auth

import (
	"context"
	"errors"

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
	v.sweep.Do(func() {
		if err := v.sealed.sweep(v.HoldFor); err != nil {
			v.Log.Warn("vault not swept", "error", err)
		}
	})
	id, err := v.sealed.put(ctx, heldKind, box{Owner: owner, Expires: v.Now().Add(v.HoldFor).UTC()}, word)
	if err != nil {
		return "", notKept(err)
	}
	return id, nil
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
func (v *Vault) Drop(_ context.Context, id string) error { return v.sealed.remove(heldKind, id) }

// notKept says that the vault could not write.
func notKept(err error) error {
	if e := explainKeyring(err); e != nil {
		return e
	}
	return tools.Errorf(tools.Unavailable, "the secret could not be kept; nothing was done").
		WithHint("see the disk and the rights of the bot's own folder").Because(err)
}
