package keyring

import (
	"context"
	"fmt"
	"time"

	"github.com/duplibot/duplibot/secret"
)

// Foreign looks up a secret that another program keeps in the operating
// system's own keyring under label. It reads, and starts, unlocks, creates and
// asks nothing; ErrNotFound when there is none.
func Foreign(ctx context.Context, label string, limit time.Duration) (secret.Value, error) {
	if limit <= 0 {
		limit = DefaultTimeout
	}
	value, err := run(ctx, newGate(limit), func(ctx context.Context) (secret.Value, error) { return foreign(ctx, label) })
	if err != nil {
		return secret.Value{}, fmt.Errorf("look for %s in the system's keyring: %w", label, err)
	}
	return value, nil
}
