package keyring

import (
	"context"
	"errors"
	"fmt"

	lib "github.com/99designs/keyring"
	"golang.org/x/sys/windows"
)

// winCredLimit is CRED_MAX_CREDENTIAL_BLOB_SIZE of wincred.h, 5*512 bytes.
const winCredLimit = 2560

func openWinCred(_ context.Context, cfg Config) (place, error) {
	ring, err := openLibrary(WinCred, lib.Config{WinCredPrefix: service})
	if err != nil {
		return nil, fmt.Errorf("%w: the Credential Manager is not there; %s", ErrUnavailable, choice())
	}
	vault := &desktop{lib: ring, kind: "Credential Manager", said: func(err error) error {
		if errors.Is(err, windows.ERROR_NO_SUCH_LOGON_SESSION) {
			return fmt.Errorf("%w: this account has no logon session that the Credential Manager knows, as with some service accounts; %s", ErrUnavailable, choice())
		}
		return nil
	}}
	return &sealing{place: vault, limit: winCredLimit, dir: cfg.Dir}, nil
}
