package keyring

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	lib "github.com/99designs/keyring"
)

// readLibrary gets an item's data out of the library's answer. It repeats no
// text of a decoding error: that can quote the secret.
func readLibrary(ring lib.Keyring, name string) ([]byte, error) {
	item, err := ring.Get(name)
	var (
		syntax *json.SyntaxError
		typed  *json.UnmarshalTypeError
		coded  base64.CorruptInputError
	)
	switch {
	case errors.Is(err, lib.ErrKeyNotFound):
		return nil, ErrNotFound
	case errors.As(err, &syntax), errors.As(err, &typed), errors.As(err, &coded):
		return nil, damaged(name)
	case err != nil:
		return nil, err
	case item.Key != name || len(item.Data) == 0:
		return nil, damaged(name)
	}
	return item.Data, nil
}

func damaged(name string) error {
	return fmt.Errorf("%w: %s is there and is not what was stored, so another program has written it or a disk has lost it; delete it and store it again", ErrCorrupt, name)
}

func newItem(name string, data []byte) lib.Item {
	// Some backends file an item under its label: it has to be the name.
	return lib.Item{Key: name, Data: data, Label: name, Description: "secret of Duplibot"}
}
