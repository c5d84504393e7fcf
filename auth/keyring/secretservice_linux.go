package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"

	lib "github.com/99designs/keyring"
	"github.com/godbus/dbus"
)

// The Secret Service and what is asked of it, as written down at
// specifications.freedesktop.org/secret-service and in the D-Bus
// specification (message bus messages, standard interfaces).
const (
	secretsName     = "org.freedesktop.secrets"
	secretsPath     = "/org/freedesktop/secrets"
	collectionLogin = "login" // the one that logging in unlocks
	propertyGet     = "org.freedesktop.DBus.Properties.Get"
)

const howToUnlock = "log in to the desktop, or start the service with its password: gnome-keyring-daemon --replace --unlock --components=secrets"

// secretService is the backend over D-Bus. The library asks the bus to start
// the service when none runs, takes a keyring without our collection for an
// empty one, and opens a window when it is locked; so the bus is asked first,
// in ways that start nothing and open nothing.
type secretService struct {
	bus *dbus.Conn // the library's own connection: what ends it ends that one
	lib lib.Keyring
}

func openSecretService(context.Context, Config) (place, error) {
	// The library connects when the program starts and never again.
	if !slices.Contains(lib.AvailableBackends(), lib.SecretServiceBackend) {
		return nil, fmt.Errorf("%w: there was no D-Bus session bus when this program started; start it again inside a desktop session, or, where there is none, %s", ErrUnavailable, choice())
	}
	bus, err := dbus.SessionBus()
	if err != nil {
		return nil, lostBus(err)
	}
	return &secretService{bus: bus}, nil
}

func lostBus(err error) error {
	return fmt.Errorf("%w: the D-Bus session bus that this program was connected to is gone (%s); restart this program in the session whose keyring it is to use", ErrUnavailable, quoted(err.Error()))
}

// look returns the unique name of the service that owns the keyring, once its
// login collection is known to be there and unlocked.
func (s *secretService) look(ctx context.Context) (owner string, err error) {
	var owned bool
	if err := s.bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, secretsName).Store(&owned); err != nil {
		return "", s.said(err)
	}
	if !owned {
		return "", fmt.Errorf("%w: no Secret Service runs on this session bus; %s", ErrUnavailable, howToUnlock)
	}
	if err := s.bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, secretsName).Store(&owner); err != nil {
		return "", s.said(err)
	}
	var collections []dbus.ObjectPath
	if err := s.property(ctx, owner, secretsPath, "org.freedesktop.Secret.Service", "Collections", &collections); err != nil {
		return "", err
	}
	login := dbus.ObjectPath(secretsPath + "/collection/" + collectionLogin)
	if !slices.Contains(collections, login) {
		return "", fmt.Errorf("%w: the Secret Service has no collection %q, as when it was started for another home folder or nobody has unlocked it yet, so what was stored before cannot be seen; %s", ErrUnavailable, collectionLogin, howToUnlock)
	}
	var locked bool
	if err := s.property(ctx, owner, login, "org.freedesktop.Secret.Collection", "Locked", &locked); err != nil {
		return "", err
	}
	if locked {
		return "", fmt.Errorf("%w: the collection %q of the Secret Service is closed; %s", ErrLocked, collectionLogin, howToUnlock)
	}
	return owner, nil
}

// property reads one from the service that owner is. A unique name is never
// started by the bus, and of a service that has gone away we want to hear.
func (s *secretService) property(ctx context.Context, owner string, path dbus.ObjectPath, of, name string, into any) error {
	var value dbus.Variant
	err := s.bus.Object(owner, path).CallWithContext(ctx, propertyGet, dbus.FlagNoAutoStart, of, name).Store(&value)
	if err == nil {
		err = dbus.Store([]any{value}, into)
	}
	if err != nil {
		return s.said(err)
	}
	return nil
}

// said puts what the bus or the library answered into our words.
func (s *secretService) said(err error) error {
	var remote dbus.Error
	switch {
	case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, ErrCorrupt), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, dbus.ErrClosed):
		return lostBus(err)
	case errors.As(err, &remote) && remote.Name == "org.freedesktop.Secret.Error.IsLocked":
		return fmt.Errorf("%w: the collection %q of the Secret Service is closed; %s", ErrLocked, collectionLogin, howToUnlock)
	}
	return fmt.Errorf("%w: the Secret Service answered %s; see whether it still runs and is unlocked, then try again", ErrUnavailable, quoted(err.Error()))
}

// steady calls f between two looks that must see the same service: in between
// the bus could have started another one, with another home folder, whose "not
// found" says nothing about ours.
func (s *secretService) steady(ctx context.Context, f func(lib.Keyring) error) error {
	before, err := s.look(ctx)
	if err != nil {
		return err
	}
	if s.lib == nil {
		// Not before the look: opening it would start a service.
		if s.lib, err = openLibrary(SecretService, lib.Config{LibSecretCollectionName: collectionLogin}); err != nil {
			return s.said(err)
		}
	}
	done := f(s.lib)
	after, err := s.look(ctx)
	if err != nil {
		return err
	}
	if after != before {
		return fmt.Errorf("%w: the Secret Service was replaced during the call; try again", ErrUnavailable)
	}
	return s.said(done)
}

func (s *secretService) read(ctx context.Context, name string) (data []byte, err error) {
	err = s.steady(ctx, func(ring lib.Keyring) error {
		data, err = readLibrary(ring, name)
		return err
	})
	return data, err
}

func (s *secretService) write(ctx context.Context, name string, data []byte) error {
	err := s.steady(ctx, func(ring lib.Keyring) error { return ring.Set(newItem(name, data)) })
	if err != nil {
		return err
	}
	return readBack(ctx, s, name, data)
}

func (s *secretService) remove(ctx context.Context, name string) error {
	return s.steady(ctx, func(ring lib.Keyring) error {
		err := ring.Remove(name)
		if errors.Is(err, lib.ErrKeyNotFound) {
			return nil
		}
		return err
	})
}

func (s *secretService) names(ctx context.Context) (names []string, err error) {
	err = s.steady(ctx, func(ring lib.Keyring) error {
		names, err = ring.Keys()
		return err
	})
	return names, err
}

func (s *secretService) probe(ctx context.Context) (string, bool, error) {
	owner, err := s.look(ctx)
	if err != nil {
		return "", false, err
	}
	var pid uint32
	if err := s.bus.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetConnectionUnixProcessID", 0, owner).Store(&pid); err != nil {
		return "", false, s.said(err)
	}
	return fmt.Sprintf("the Secret Service runs (process %d), its collection %q is unlocked", pid, collectionLogin), true, nil
}
