package auth

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/secret"
)

// keySize is the length of each key in bytes.
const keySize = 32

// Keys are the bot's own. They are all derived from one secret in the keyring,
// made at its first use, so that a program that starts reads one item.
type Keys struct {
	ring  keyring.Ring
	locks Locks

	mu   sync.Mutex
	root secret.Value // base64
}

// NewKeys reads and writes nothing yet.
func NewKeys(ring keyring.Ring, locks Locks) *Keys { return &Keys{ring: ring, locks: locks} }

// Audit is the key of the audit chain, 32 bytes.
func (k *Keys) Audit(ctx context.Context) (secret.Value, error) {
	key, err := k.derive(ctx, "audit chain")
	return secret.New(string(key)), err
}

// Fingerprint is the key of the fingerprints of requests, 32 bytes.
func (k *Keys) Fingerprint(ctx context.Context) ([]byte, error) {
	return k.derive(ctx, "request fingerprint")
}

// seal is the key of what the vault keeps on the disk.
func (k *Keys) seal(ctx context.Context) ([]byte, error) { return k.derive(ctx, "vault") }

func (k *Keys) derive(ctx context.Context, what string) ([]byte, error) {
	root, err := k.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("take the key of the %s: %w", what, err)
	}
	secret, err := base64.StdEncoding.DecodeString(root.Reveal())
	if err != nil || len(secret) != keySize {
		return nil, fmt.Errorf("take the key of the %s: %w: %s is not what was stored; with it the audit log cannot be checked, so put it back from a backup of the keyring", what, keyring.ErrCorrupt, keysItem)
	}
	return hkdf.Key(sha256.New, secret, nil, "duplibot "+what, keySize)
}

// load reads the one secret, and makes it when the keyring has none.
func (k *Keys) load(ctx context.Context) (secret.Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.root.Empty() {
		return k.root, nil
	}
	root, err := k.ring.Get(ctx, keysItem)
	if errors.Is(err, keyring.ErrNotFound) {
		root, err = k.make(ctx)
	}
	if err == nil {
		k.root = root
	}
	return root, err
}

// make stores a new secret. Two processes that start for the first time at
// once get the same one: the second finds the first one's.
func (k *Keys) make(ctx context.Context) (secret.Value, error) {
	release, err := k.locks.Lock(ctx, "bot keys")
	if err != nil {
		return secret.Value{}, err
	}
	defer release()
	if root, err := k.ring.Fresh(ctx, keysItem); !errors.Is(err, keyring.ErrNotFound) {
		return root, err
	}
	key := make([]byte, keySize)
	rand.Read(key)
	root := secret.New(base64.StdEncoding.EncodeToString(key))
	return root, k.ring.Put(ctx, keysItem, root) // which reads it back
}
