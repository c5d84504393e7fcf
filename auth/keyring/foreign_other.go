//go:build !linux && !darwin && !windows

package keyring

import (
	"context"
	"fmt"

	"github.com/duplibot/duplibot/secret"
)

func foreign(context.Context, string) (secret.Value, error) {
	return secret.Value{}, fmt.Errorf("%w: this operating system has none that is known here", ErrUnavailable)
}
