//go:build darwin && cgo

package keyring

import (
	"context"
	"fmt"
	"strings"

	lib "github.com/99designs/keyring"
)

// keychainLimit is no limit that Apple names: the keychain is for passwords,
// and what is larger than a session can as well lie in a file.
const keychainLimit = 4096

func openKeychain(_ context.Context, cfg Config) (place, error) {
	ring, err := openLibrary(Keychain, lib.Config{
		// Else macOS asks the person about every item at every start.
		KeychainTrustApplication: true,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: the keychain is not there; %s", ErrUnavailable, choice())
	}
	chain := &desktop{lib: ring, kind: "keychain", said: func(err error) error {
		// errSecInteractionNotAllowed and errSecAuthFailed of SecBase.h.
		for _, code := range []string{"-25308", "-25293"} {
			if strings.Contains(err.Error(), code) {
				return fmt.Errorf("%w: the keychain is closed to this program; unlock it: security unlock-keychain", ErrLocked)
			}
		}
		return nil
	}}
	return &sealing{place: chain, limit: keychainLimit, dir: cfg.Dir}, nil
}
