// Package auth keeps the bot's sessions with Duplicati servers and its
// secrets.
//
// [Sessions] gives clients that are logged in. What a login leaves behind is
// one item per server in the keyring, shared by every process of the account:
// whoever finds it ended renews it, one at a time, and stores what it got
// before using it. [Vault] is where an operation's secrets and files come from
// and go to. [Keys] are the bot's own, [Anchors] the places in the audit log
// that are known outside of it, [References] the words that a configuration
// refers to. [Explain] puts what went wrong on the way to a server into words.
//
// Nothing here asks anybody. Errors are for readers: *tools.Error, or errors
// that Explain knows.
package auth

import (
	"context"
	"path"
	"strings"
)

// Locks exclude other goroutines and other processes, by name.
type Locks interface {
	// Lock waits for name until ctx ends.
	Lock(ctx context.Context, name string) (release func(), err error)
}

// The bot's own items in the keyring. A reference never names one of them.
const (
	serverItems = "server." // sessions and passwords, see keyring.ServerKey
	botItems    = "bot."    // keys and anchors
	keptItems   = "kept."   // what came out of operations

	keysItem   = botItems + "keys"
	anchorItem = botItems + "audit-anchor"
)

// ownItem reports whether a reference of that scheme and name would read what
// belongs to the bot itself.
func ownItem(scheme, name string) bool {
	switch scheme {
	case "keyring":
		for _, own := range []string{serverItems, botItems, keptItems} {
			if strings.HasPrefix(name, own) {
				return true
			}
		}
	case "pass": // where the keyring's backend pass has them
		first, _, _ := strings.Cut(path.Clean(name), "/")
		return strings.EqualFold(first, "duplibot")
	}
	return false
}
