package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

const (
	// MaxFile is how large a file may be that an operation reads or a person
	// gives, in bytes.
	MaxFile = 16 << 20

	// holdFor is how long a held secret waits for its call. It is longer than
	// any request can be open.
	holdFor = 7 * 24 * time.Hour
)

// Alias is a name under which callers may use a secret that they cannot see.
type Alias struct {
	Name    string
	From    secret.Ref
	For     []string // operations
	Servers []string
}

// VaultOptions say what a Vault is made of. Ring, Keys, References and Folder
// are required.
type VaultOptions struct {
	Ring       keyring.Ring
	Keys       *Keys
	References *References
	Folder     string // absolute; of this account alone, made when it is not there
	Import     string // absolute; "" is none
	Export     string // absolute; "" is none
	Aliases    []Alias
	HoldFor    time.Duration // 0 is 7 days
	Now        tools.Clock
	Log        *slog.Logger
}

// Vault is where the secrets and files of operations come from and go to. What
// it keeps lies in files that are sealed with a key in the keyring, so that it
// outlives the process and is nothing to whoever has the files alone.
type Vault struct {
	VaultOptions
	sealed   *sealed
	holdings holdings
}

var _ tools.Vault = (*Vault)(nil)

// NewVault checks the options and reads nothing yet.
func NewVault(o VaultOptions) (*Vault, error) {
	if o.Ring == nil || o.Keys == nil || o.References == nil {
		return nil, fmt.Errorf("open the vault: it needs a keyring, keys and references")
	}
	for name, dir := range map[string]string{"folder": o.Folder, "import folder": o.Import, "export folder": o.Export} {
		if dir == "" && name != "folder" {
			continue
		}
		if !filepath.IsAbs(dir) {
			return nil, fmt.Errorf("open the vault: its %s is not an absolute path", name)
		}
	}
	for _, a := range o.Aliases {
		if ownItem(a.From.Scheme(), a.From.Name()) {
			return nil, fmt.Errorf("open the vault: the alias %s refers to an item of the bot's own", a.Name)
		}
	}
	if o.HoldFor <= 0 {
		o.HoldFor = holdFor
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Vault{VaultOptions: o, sealed: &sealed{dir: o.Folder, key: o.Keys.seal}}, nil
}

// Alias returns the word behind a name of the configuration, for the
// operations and servers that the name is for. What names nothing is not
// repeated: it may be the secret itself.
func (v *Vault) Alias(ctx context.Context, use tools.Use, name string) (secret.Value, error) {
	var fits []string
	for _, a := range v.Aliases {
		forThis := slices.Contains(a.For, use.Operation) && slices.Contains(a.Servers, use.Server)
		if a.Name == name {
			if !forThis {
				return secret.Value{}, tools.Errorf(tools.Denied, "the secret %s is not for %s on %s; nothing was done", name, use.Operation, use.Server).
					WithHint("who runs the bot says in its configuration what a secret is for")
			}
			return v.References.Resolve(ctx, a.From)
		}
		if forThis {
			fits = append(fits, a.Name)
		}
	}
	e := tools.Errorf(tools.NotFound, "there is no secret of that name; nothing was done")
	if len(fits) == 0 {
		return secret.Value{}, e.WithHint("the configuration has none for %s on %s; leave it out to enter it", use.Operation, use.Server)
	}
	return secret.Value{}, e.WithHint("for %s on %s there is: %s", use.Operation, use.Server, strings.Join(fits, ", "))
}

// Resolve returns what a reference names. References are for somebody at a
// terminal who works with the rights of the bot anyway: to others they would
// give words that only its account can read.
func (v *Vault) Resolve(ctx context.Context, use tools.Use, ref secret.Ref) (secret.Value, error) {
	if use.Caller.Surface != tools.CLI || !use.Caller.SameAccount {
		return secret.Value{}, tools.Errorf(tools.Denied, "a reference is not resolved by the bot for somebody else; nothing was done").
			WithHint("name an alias of the config's secrets, or leave it out to enter it")
	}
	return v.References.Resolve(ctx, ref)
}

// letters of a generated secret are those that nobody mistakes for another and
// that every keyboard has in the same place, or nearly so.
const letters = "23456789abcdefghjkmnpqrstuvwxABCDEFGHJKLMNPQRSTUVWX"

// Generate makes a secret of six groups of five letters: 170 bits.
func (v *Vault) Generate(context.Context) (secret.Value, error) {
	var b strings.Builder
	for i := range 30 {
		if i > 0 && i%5 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(letters[random(len(letters))])
	}
	return secret.New(b.String()), nil
}

// random is an even choice of 0 to n-1, for n up to 256.
func random(n int) int {
	var b [1]byte
	for {
		rand.Read(b[:])
		if int(b[0]) < 256-256%n {
			return int(b[0]) % n
		}
	}
}

// randomName is a name that nobody can guess: 120 bits in a-z and 2-7.
func randomName() string { return strings.ToLower(rand.Text())[:24] }
