package keyring

import (
	"context"
	"fmt"
	"strings"
	"time"

	_ "github.com/duplibot/duplibot/auth/busguard" // before 99designs/keyring, see there
	"github.com/duplibot/duplibot/secret"

	lib "github.com/99designs/keyring"
)

// Backend names a kind of keyring, as in the configuration.
type Backend string

// The backends. Which of them a build has depends on the operating system.
const (
	SecretService Backend = "secret-service" // Linux: gnome-keyring and others, over D-Bus
	Keychain      Backend = "keychain"       // macOS, in builds with cgo
	WinCred       Backend = "wincred"        // the Credential Manager of Windows
	Pass          Backend = "pass"           // the program pass, with gpg
	File          Backend = "file"           // encrypted files in a folder, with a key
)

// refused are backends of the library that we do not open, with the reason.
var refused = map[Backend]string{
	"keyctl":  "the kernel forgets its keys at a restart, and a login session and a service do not see the same ones",
	"kwallet": "only the wallet of KDE 5 could be reached that way; where KDE's wallet offers the Secret Service, secret-service is the way to it",
}

// DefaultTimeout is the time limit of one call.
const DefaultTimeout = 10 * time.Second

// service is the name under which backends file our items.
const service = "duplibot"

// Config says which keyring to open.
type Config struct {
	// Backend is the one backend to use. "" is the operating system's own
	// keyring, and an error where that cannot be used at once.
	Backend Backend

	// Dir is an absolute path of a folder of this account alone, made if it is
	// not there. The file backend keeps its items in it, keychain and wincred
	// those that are too large for them, sealed; they do without it until then.
	Dir string

	// Passphrase is the key of the file backend: 32 random bytes or more as
	// hex or base64, see [NewPassphrase].
	Passphrase secret.Value

	// Timeout is the time limit of each call, DefaultTimeout if 0.
	Timeout time.Duration
}

// opener opens one backend. It neither starts nor changes anything that a
// person would have to be asked about.
type opener func(context.Context, Config) (place, error)

// Open opens the one keyring that cfg names. A keyring that is locked or whose
// service does not run opens too, if it was named: its calls tell, and work as
// soon as it does. What cannot change while the program runs is an error here:
// a backend that this build or machine does not have, a folder that others can
// read, a wrong passphrase.
func Open(ctx context.Context, cfg Config) (Ring, error) {
	chosen := cfg.Backend
	if chosen == "" {
		if chosen = native; chosen == "" {
			return nil, fmt.Errorf("open the keyring: %w: this operating system has none that is known here; %s", ErrUnavailable, choice())
		}
	}
	if why, is := refused[chosen]; is {
		return nil, fmt.Errorf("open the keyring: %w: the backend %s is not for tokens: %s; %s", ErrUnavailable, chosen, why, choice())
	}
	open, here := openers()[chosen]
	if !here {
		return nil, fmt.Errorf("open the keyring: %w: the backend %s; %s", ErrUnavailable, missing(chosen), choice())
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	g := newGate(cfg.Timeout)
	p, err := run(ctx, g, func(ctx context.Context) (place, error) { return open(ctx, cfg) })
	if err == nil && cfg.Backend == "" {
		_, err = run(ctx, g, func(ctx context.Context) (struct{}, error) {
			_, _, err := p.probe(ctx)
			return struct{}{}, err
		})
		if err != nil {
			err = fmt.Errorf("%w. Or, if it is to be another keyring, %s", err, choice())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the keyring %s: %w", chosen, err)
	}
	return newRing(chosen, p, g), nil
}

// Backends returns the backends that this build has, the operating system's
// own first.
func Backends() []Backend {
	var has []Backend
	in := openers()
	for _, b := range []Backend{SecretService, Keychain, WinCred, Pass, File} {
		if _, is := in[b]; is {
			has = append(has, b)
		}
	}
	return has
}

// choice tells a person what to write into the configuration.
func choice() string {
	var names []string
	for _, b := range Backends() {
		names = append(names, string(b))
	}
	return "set keyring.backend to one of " + strings.Join(names, ", ") +
		" (without a desktop: file, with keyring.passphrase naming a key made by: openssl rand -base64 32)"
}

// missing says why a backend that we know is not in this build.
func missing(b Backend) string {
	switch b {
	case SecretService:
		return "secret-service is for Linux"
	case WinCred:
		return "wincred is for Windows"
	case Pass:
		return "pass is not for Windows"
	case Keychain:
		return "keychain is in builds for macOS with cgo only, and this one is none"
	}
	return quoted(string(b)) + " is not known"
}

// openLibrary opens one backend of the library. Left to itself it would go
// through all of them and take the first that answers.
func openLibrary(b Backend, cfg lib.Config) (lib.Keyring, error) {
	cfg.AllowedBackends = []lib.BackendType{lib.BackendType(b)}
	cfg.ServiceName = service
	return lib.Open(cfg)
}
