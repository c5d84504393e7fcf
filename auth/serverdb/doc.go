// Package serverdb reads what a Duplicati server keeps in its own database,
// Duplicati-server.sqlite, on the host where it runs: the key that its tokens
// are signed with. With it a sign-in token can be minted, so that whoever may
// read the database needs no password, as with Duplicati's own client.
//
// Nothing is ever written: no upgrade, no journal, no key that was missing.
// Another account's database is refused, since SQLite may leave files beside
// it that its owner could not write to.
package serverdb

import "errors"

// What can be wrong, for errors.Is. The error around each says what was found
// and, after a semicolon, what to do.
var (
	// ErrNotFound: there is no database in any of the places.
	ErrNotFound = errors.New("no server database")
	// ErrForeign: it belongs to another account.
	ErrForeign = errors.New("the server database belongs to another account")
	// ErrUnreadable: it is there and cannot be read, or is no such database.
	ErrUnreadable = errors.New("the server database cannot be read")
	// ErrDisabled: it says that its server takes no sign-in tokens.
	ErrDisabled = errors.New("the server takes no sign-in tokens")
	// ErrKeyMissing: it is encrypted and no key was found.
	ErrKeyMissing = errors.New("the server database is encrypted and its key is missing")
	// ErrKeyMismatch: it is encrypted with another key.
	ErrKeyMismatch = errors.New("the server database is encrypted with another key")
)
