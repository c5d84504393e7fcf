package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/duplibot/duplibot/secret"
)

// itemNotFound is errSecItemNotFound of SecBase.h as security ends with it.
const itemNotFound = 44

// foreign asks the system's own program, which every build can run.
func foreign(ctx context.Context, label string) (secret.Value, error) {
	cmd := exec.CommandContext(ctx, "/usr/bin/security", "find-generic-password", "-l", label, "-w")
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return secret.New(strings.TrimSuffix(out.String(), "\n")), nil
	case ctx.Err() != nil:
		return secret.Value{}, ctx.Err()
	case errors.As(err, &ended) && ended.ExitCode() == itemNotFound:
		return secret.Value{}, ErrNotFound
	}
	return secret.Value{}, fmt.Errorf("%w: the keychain did not give it to this program; allow it there, or give the key by a reference", ErrUnavailable)
}
