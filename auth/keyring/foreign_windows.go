package keyring

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"

	"github.com/duplibot/duplibot/secret"

	"github.com/danieljoos/wincred"
)

func foreign(_ context.Context, label string) (secret.Value, error) {
	found, err := wincred.GetGenericCredential(label)
	if errors.Is(err, wincred.ErrElementNotFound) {
		return secret.Value{}, ErrNotFound
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("%w: the Credential Manager answered %s; see whether this account is logged in", ErrUnavailable, quoted(err.Error()))
	}
	blob := found.CredentialBlob // UTF-16, as .NET writes it
	words := make([]uint16, len(blob)/2)
	for i := range words {
		words[i] = binary.LittleEndian.Uint16(blob[2*i:])
	}
	return secret.New(string(utf16.Decode(words))), nil
}
