package ops_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/ops"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// home is a bench whose sessions, keyring and vault are the real ones, with
// folders on a real disk. Ann works there under the bot's own account.
type home struct {
	*bench
	dir      string
	log      *logged
	ring     keyring.Ring
	sessions *auth.Sessions
	vault    *auth.Vault
	opts     []toolstest.Option

	mu    sync.Mutex
	owned []func() // frees what this process holds until its end
}

// Lock is the store's, and remembers what only the end of a process frees.
func (h *home) Lock(ctx context.Context, name string) (func(), error) {
	release, err := h.DB.Locks.Lock(ctx, name)
	if err == nil && strings.HasPrefix(name, "owner ") {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.owned = append(h.owned, release)
	}
	return release, err
}

// Held is the store's.
func (h *home) Held(name string) (bool, error) { return h.DB.Locks.Held(name) }

// end frees what the end of a process frees.
func (h *home) end() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, release := range h.owned {
		release()
	}
	h.owned = nil
	if err := h.DB.Close(); err != nil {
		h.t.Fatal(err)
	}
}

// aliases are the words of the secrets that callers may name.
var aliases = map[string]string{
	"photos-passphrase": "alias-canary-passphrase-41",
	"new-password":      "alias-canary-password-42",
	"new-target":        "s3://bucket/new?auth-username=alias-canary-user-43&auth-password=alias-canary-target-44",
}

func atHome(t *testing.T, o duplicatitest.Options, opts ...toolstest.Option) *home {
	t.Helper()
	o.Password = password
	h := &home{dir: t.TempDir(), log: &logged{}}
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"import", "export", "state"} {
		must(os.Mkdir(h.path(d), 0o700))
	}
	var known []auth.Alias
	for name, word := range aliases {
		must(os.WriteFile(h.path(name), []byte(word), 0o600))
		known = append(known, auth.Alias{Name: name, From: h.ref(t, "file:"+h.path(name)), Servers: []string{"nas"},
			For: []string{"login", "export", "import", "change-password"}})
	}
	must(os.WriteFile(h.path("password"), []byte(password), 0o600))
	var err error
	h.ring, err = keyring.Open(ctx, keyring.Config{Backend: keyring.File, Dir: h.path("ring"), Passphrase: keyring.NewPassphrase()})
	must(err)
	locks, err := store.OpenLocks(h.path("state", "locks"))
	must(err)
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	refs, keys := auth.NewReferences(h.ring), auth.NewKeys(h.ring, locks)
	nas := duplicatitest.Start(t, o)
	h.sessions, err = auth.New(auth.Options{
		Servers: []auth.Server{{Name: "nas", URL: nas.URL, Password: h.ref(t, "file:"+h.path("password"))}},
		Ring:    h.ring, Locks: locks, References: refs, Timeout: 5 * time.Second, Log: log,
	})
	must(err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := h.sessions.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	h.vault, err = auth.NewVault(auth.VaultOptions{
		Ring: h.ring, Keys: keys, References: refs, Folder: h.path("state", "vault"), Import: h.path("import"), Export: h.path("export"), Aliases: known, Log: log,
	})
	must(err)
	h.bench = &bench{t: t, nas: nas, ann: toolstest.AnnAtTerminal}
	h.ann.SameAccount = true
	h.deps = ops.Deps{Servers: h.sessions, Key: keys.Fingerprint, Poll: 20 * time.Millisecond, Patience: 3 * time.Second}
	h.opts = append([]toolstest.Option{toolstest.WithOperations(ops.All(h.deps)...), toolstest.WithServers("nas", "nas"),
		toolstest.WithExplain(auth.Explain), toolstest.WithVault(h.vault),
		toolstest.WithOptions(func(o *tools.Options) { o.Log, o.Locks = log, h })}, opts...)
	h.Gate = toolstest.New(t, h.opts...)
	return h
}

func (h *home) path(names ...string) string {
	return filepath.Join(append([]string{h.dir}, names...)...)
}

func (h *home) ref(t *testing.T, text string) secret.Ref {
	t.Helper()
	r, err := secret.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// holds keeps a word as a terminal does for the call that follows.
func (h *home) holds(word string) string {
	h.t.Helper()
	held, err := h.Desk.Hold(context.Background(), h.ann, secret.New(word))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(held)
}
