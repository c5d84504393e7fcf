package keyring

import (
	"context"
	"slices"
	"strings"

	"github.com/duplibot/duplibot/secret"

	"github.com/godbus/dbus"
)

// sessionSecret is the Secret of the Secret Service specification.
type sessionSecret struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

// foreign goes through the items of the collection that logging in unlocks,
// since a label is no attribute and cannot be searched for.
func foreign(ctx context.Context, label string) (secret.Value, error) {
	bus, err := dbus.SessionBus()
	if err != nil {
		return secret.Value{}, lostBus(err)
	}
	s := &secretService{bus: bus}
	owner, err := s.look(ctx)
	if err != nil {
		return secret.Value{}, err
	}
	service := bus.Object(owner, secretsPath)
	var output dbus.Variant
	var session dbus.ObjectPath
	if err := service.CallWithContext(ctx, "org.freedesktop.Secret.Service.OpenSession", dbus.FlagNoAutoStart, "plain", dbus.MakeVariant("")).Store(&output, &session); err != nil {
		return secret.Value{}, s.said(err)
	}
	defer bus.Object(owner, session).Call("org.freedesktop.Secret.Session.Close", dbus.FlagNoAutoStart|dbus.FlagNoReplyExpected)

	var items []dbus.ObjectPath
	if err := s.property(ctx, owner, secretsPath+"/collection/"+collectionLogin, "org.freedesktop.Secret.Collection", "Items", &items); err != nil {
		return secret.Value{}, err
	}
	slices.Sort(items) // the same one each time when there are two
	for _, item := range items {
		var name string
		if err := s.property(ctx, owner, item, "org.freedesktop.Secret.Item", "Label", &name); err != nil {
			return secret.Value{}, err
		}
		if !strings.EqualFold(name, label) {
			continue
		}
		var found sessionSecret
		if err := bus.Object(owner, item).CallWithContext(ctx, "org.freedesktop.Secret.Item.GetSecret", dbus.FlagNoAutoStart, session).Store(&found); err != nil {
			return secret.Value{}, s.said(err)
		}
		return secret.New(string(found.Value)), nil
	}
	return secret.Value{}, ErrNotFound
}
