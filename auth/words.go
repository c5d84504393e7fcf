package auth

import (
	"context"
	"slices"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// Store keeps word in the keyring under the name that "keyring:NAME" refers
// to, in the place of what was there.
func (r *References) Store(ctx context.Context, name string, word secret.Value) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if word.Empty() {
		return tools.Errorf(tools.InvalidArgument, "the word is empty; nothing was stored")
	}
	return r.ring.Put(ctx, name, word)
}

// Remove takes a word out of the keyring. NotFound where there is none.
func (r *References) Remove(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	names, err := r.Names(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(names, name) {
		return tools.Errorf(tools.NotFound, "the keyring has no word %s; nothing was removed", name).WithHint("see them: duplibot secret list")
	}
	return r.ring.Delete(ctx, name)
}

// Names lists the words that can be referred to, sorted. The bot's own items
// are not among them.
func (r *References) Names(ctx context.Context) ([]string, error) {
	all, err := r.ring.List(ctx, "")
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(name string) bool { return ownItem("keyring", name) || CheckName(name) != nil }), nil
}

// CheckName says whether a word can be stored under name.
func CheckName(name string) error {
	if _, err := secret.ParseRef("keyring:" + name); err != nil {
		return tools.Errorf(tools.InvalidArgument, "a secret's name is small letters, digits, dots, dashes and underscores; nothing was done")
	}
	if ownItem("keyring", name) {
		return tools.Errorf(tools.Denied, "keyring:%s is the bot's own; nothing was done", name)
	}
	return nil
}
