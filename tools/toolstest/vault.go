package toolstest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// Vault is a vault in memory that keeps the rules of a real one: who holds a
// secret alone can use it, references come from terminals alone, what is kept
// is fetched once.
type Vault struct {
	Aliases map[string]secret.Value
	Refs    map[string]secret.Value
	Files   map[string]secret.Value

	mu    sync.Mutex
	next  int
	held  map[string]owned
	kept  map[string]owned
	Given []tools.Parcel // what operations kept
}

type owned struct {
	by tools.Identity
	v  secret.Value
}

// NewVault has the alias photos-passphrase, the reference env:WORD and the
// file photos.json.
func NewVault() *Vault {
	return &Vault{
		Aliases: map[string]secret.Value{"photos-passphrase": secret.New("alias-canary-41")},
		Refs:    map[string]secret.Value{"env:WORD": secret.New("env-canary-42")},
		Files:   map[string]secret.Value{"photos.json": secret.New(`{"file":"file-canary-43"}`)},
		held:    map[string]owned{}, kept: map[string]owned{},
	}
}

func (v *Vault) id(prefix string) string {
	v.next++
	return fmt.Sprintf("%s%d", prefix, v.next)
}

// Hold keeps what a person gave.
func (v *Vault) Hold(_ context.Context, owner tools.Identity, word secret.Value) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := v.id("h")
	v.held[id] = owned{owner, word}
	return id, nil
}

// Held returns it to its owner.
func (v *Vault) Held(_ context.Context, owner tools.Identity, id string) (secret.Value, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h, ok := v.held[id]
	if !ok || h.by != owner {
		return secret.Value{}, tools.Errorf(tools.NotFound, "there is no held secret of that name; nothing was done")
	}
	return h.v, nil
}

// Drop forgets it.
func (v *Vault) Drop(_ context.Context, id string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.held, id)
	return nil
}

// Holding counts what is held.
func (v *Vault) Holding() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.held)
}

// Alias resolves an alias.
func (v *Vault) Alias(_ context.Context, _ tools.Use, name string) (secret.Value, error) {
	if w, ok := v.Aliases[name]; ok {
		return w, nil
	}
	return secret.Value{}, tools.Errorf(tools.NotFound, "secrets has no such alias; nothing was done")
}

// Resolve resolves a reference.
func (v *Vault) Resolve(_ context.Context, use tools.Use, ref secret.Ref) (secret.Value, error) {
	if use.Caller.Surface != tools.CLI {
		panic("toolstest: a reference came from " + use.Caller.Surface)
	}
	if w, ok := v.Refs[ref.String()]; ok {
		return w, nil
	}
	return secret.Value{}, tools.Errorf(tools.NotFound, "%s is not there; nothing was done", ref)
}

// Generate makes one.
func (v *Vault) Generate(context.Context) (secret.Value, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return secret.New(v.id("generated-canary-")), nil
}

// File reads a file.
func (v *Vault) File(_ context.Context, _ tools.Use, name string) (secret.Value, error) {
	if w, ok := v.Files[name]; ok {
		return w, nil
	}
	return secret.Value{}, tools.Errorf(tools.NotFound, "the import folder has no such file; nothing was done")
}

// Keep stores a parcel.
func (v *Vault) Keep(_ context.Context, use tools.Use, p tools.Parcel) (tools.Kept, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := v.id("k")
	v.kept[id] = owned{use.Caller.Identity, p.Content}
	v.Given = append(v.Given, p)
	sum := sha256.Sum256([]byte(p.Content.Reveal()))
	return tools.Kept{
		Where: "the test's vault", Page: true, Handle: id, Name: p.Name, Folder: p.Folder, Overwrite: p.Overwrite,
		SHA256: hex.EncodeToString(sum[:]), Bytes: len(p.Content.Reveal()),
	}, nil
}

// Fetch gives it out, once.
func (v *Vault) Fetch(_ context.Context, owner tools.Identity, handle string) (secret.Value, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	k, ok := v.kept[handle]
	if !ok || k.by != owner {
		return secret.Value{}, tools.Errorf(tools.NotFound, "nothing of that name is kept for you; it may have been fetched already")
	}
	delete(v.kept, handle)
	return k.v, nil
}
