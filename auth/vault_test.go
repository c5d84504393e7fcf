package auth_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// vault is a vault with folders that a test can reach into.
type vault struct {
	*auth.Vault
	t   *testing.T
	dir string
}

func newVault(t *testing.T, aliases ...auth.Alias) vault {
	t.Helper()
	v := vault{t: t, dir: t.TempDir()}
	for _, d := range []string{"import", "export"} {
		if err := os.Mkdir(v.path(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	v.Vault = v.process(newAccount(t), aliases...)
	return v
}

// process is another process with the same vault.
func (v vault) process(a *account, aliases ...auth.Alias) *auth.Vault {
	v.t.Helper()
	ring := a.ring()
	p, err := auth.NewVault(auth.VaultOptions{
		Ring: ring, Keys: auth.NewKeys(ring, a.locks()), References: auth.NewReferences(ring),
		Folder: v.path("vault"), Import: v.path("import"), Export: v.path("export"), Aliases: aliases,
		Now: a.clock,
	})
	if err != nil {
		v.t.Fatal(err)
	}
	return p
}

func (v vault) path(names ...string) string {
	return filepath.Join(append([]string{v.dir}, names...)...)
}

var (
	ann  = tools.Use{Operation: "import", Server: "nas", Caller: tools.Caller{Identity: "uid:1000", Surface: tools.CLI}}
	bob  = tools.Use{Operation: "import", Server: "nas", Caller: tools.Caller{Identity: "uid:1001", Surface: tools.CLI}}
	bots = tools.Use{Operation: "import", Server: "nas", Caller: tools.Caller{Identity: "uid:1", Surface: tools.CLI, SameAccount: true}}
)

// devices are no files on Windows, and so nowhere.
var devices = []string{"CON", "con.json", "Nul .json", "COM1", "com¹.json", "LPT³", "CONIN$", "conout$.json"}

// TestAFileIsReadFromTheImportFolderAlone: whatever name is given, and whatever
// lies in the folder under it.
func TestAFileIsReadFromTheImportFolderAlone(t *testing.T) {
	v := newVault(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(v.path("outside"), []byte("canary"), 0o600))
	must(os.WriteFile(v.path("import", "good.json"), []byte("{}"), 0o600))
	must(os.Mkdir(v.path("import", "sub"), 0o700))
	must(os.WriteFile(v.path("import", "sub", "file"), []byte("canary"), 0o600))
	if runtime.GOOS != "windows" {
		must(os.Symlink(v.path("outside"), v.path("import", "link")))
		must(os.Symlink("../outside", v.path("import", "relative")))
		must(os.Symlink(v.dir, v.path("import", "folder")))
		must(os.Symlink("/dev/zero", v.path("import", "zero")))
		for _, name := range devices {
			must(os.WriteFile(v.path("import", name), []byte("canary"), 0o600))
		}
	}
	if got, err := v.File(t.Context(), ann, "good.json"); err != nil || got.Reveal() != "{}" {
		t.Fatal(err)
	}
	for _, name := range append(devices, []string{
		"", ".", "..", "../outside", "..\\outside", "sub/file", "sub", "folder/outside", "link", "relative", "zero", "/etc/passwd", v.path("outside"),
		"good.json\x00", "good.json/", "./good.json", "good.json.", "good.json ", "C:good.json", "good.json::$DATA", "~/x", "\u202egood",
		strings.Repeat("x", 201),
	}...) {
		for _, use := range []tools.Use{ann, {Operation: "import", Server: "nas", Caller: tools.Caller{Identity: "mcp:x", Surface: tools.MCP, SameAccount: true}}} {
			got, err := v.File(t.Context(), use, name)
			var e *tools.Error
			if !errors.As(err, &e) || !got.Empty() {
				t.Errorf("%q was read: %v", name, err)
			} else if name != "" && len(name) > 2 && strings.Contains(e.Error(), name) {
				t.Errorf("%q is repeated: %s", name, e)
			}
		}
	}
}

// TestWhatIsHeldOrKeptIsItsOwnersAlone, in whatever process, and is given out
// once however many come for it.
func TestWhatIsHeldOrKeptIsItsOwnersAlone(t *testing.T) {
	a := newAccount(t)
	v := vault{t: t, dir: t.TempDir()}
	one, two := v.process(a), v.process(a)
	ctx := t.Context()
	id, err := one.Hold(ctx, ann.Caller.Identity, secret.New("held-canary"))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := one.Keep(ctx, ann, tools.Parcel{Kind: "export", Name: "a.json", Content: secret.New("kept-canary"), Folder: "/home/ann"})
	if err != nil {
		t.Fatal(err)
	}
	if w, err := two.Held(ctx, ann.Caller.Identity, id); err != nil || w.Reveal() != "held-canary" {
		t.Fatal(err)
	}
	for _, other := range []tools.Identity{"", "uid:1001", "uid:10000", "UID:1000", "mcp:uid:1000"} {
		if w, err := two.Held(ctx, other, id); err == nil || !w.Empty() {
			t.Errorf("%q got what was held", other)
		}
		if w, err := two.Fetch(ctx, other, kept.Handle); err == nil || !w.Empty() {
			t.Errorf("%q got what was kept", other)
		}
	}
	// What is held is nothing to fetch, what is kept nothing to use, and no
	// name leads out of the folder.
	for _, handle := range []string{id, id + ".held", "../" + kept.Handle, kept.Handle + ".kept", "", strings.ToUpper(kept.Handle)} {
		if w, err := two.Fetch(ctx, ann.Caller.Identity, handle); err == nil || !w.Empty() {
			t.Errorf("%q was fetched", handle)
		}
	}
	if _, err := two.Held(ctx, ann.Caller.Identity, kept.Handle); err == nil {
		t.Error("what is kept was used as held")
	}
	// Nobody with the files alone can read one, or make one of another.
	files, err := filepath.Glob(v.path("vault", "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v %v", files, err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil || strings.Contains(string(data), "canary") || strings.Contains(string(data), "uid:") {
			t.Errorf("%s shows what is in it: %v", path, err)
		}
	}
	swapped := v.path("vault", strings.Repeat("a", 24)+".kept")
	data, err := os.ReadFile(v.path("vault", kept.Handle+".kept"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(swapped, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Fetch(ctx, ann.Caller.Identity, strings.Repeat("a", 24)); err == nil {
		t.Error("a copy under another name was given out")
	}
	var got atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if w, err := []*auth.Vault{one, two}[i%2].Fetch(ctx, ann.Caller.Identity, kept.Handle); err == nil && w.Reveal() == "kept-canary" {
				got.Add(1)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		t.Errorf("it was given out %d times", got.Load())
	}
}

// TestWhoHandsOverWithoutEndFillsNoDisk: what is held lies on the disk of the
// audit log for days.
func TestWhoHandsOverWithoutEndFillsNoDisk(t *testing.T) {
	v := newVault(t)
	ctx := t.Context()
	large := secret.New(strings.Repeat("x", auth.MaxFile))
	var ids []string
	var err error
	for range 20 {
		var id string
		if id, err = v.Hold(ctx, ann.Caller.Identity, large); err != nil {
			break
		}
		ids = append(ids, id)
	}
	refused(t, err, tools.TooMany, "nothing was kept")
	if len(ids) != 8 {
		t.Errorf("%d files of %d MB were held", len(ids), auth.MaxFile>>20)
	}
	if _, err := v.Hold(ctx, bob.Caller.Identity, large); err != nil {
		t.Errorf("another person's: %v", err)
	}
	if err := v.Drop(ctx, ids[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Hold(ctx, ann.Caller.Identity, large); err != nil {
		t.Errorf("after one was dropped: %v", err)
	}
	for range 300 {
		if _, err = v.Hold(ctx, "uid:1002", secret.New("x")); err != nil {
			break
		}
	}
	refused(t, err, tools.TooMany)
}

// TestWhatNobodyFetchedIsGoneFromTheDisk after its seven days, also where the
// process has run for longer.
func TestWhatNobodyFetchedIsGoneFromTheDisk(t *testing.T) {
	a := newAccount(t)
	v := vault{t: t, dir: t.TempDir()}
	now := time.Now()
	a.clock = func() time.Time { return now }
	p := v.process(a)
	ctx := t.Context()
	if _, err := p.Hold(ctx, ann.Caller.Identity, secret.New("first")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(v.path("vault", "*.held"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v %v", files, err)
	}
	old := now.Add(-8 * 24 * time.Hour)
	if err := os.Chtimes(files[0], old, old); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	if _, err := p.Hold(ctx, ann.Caller.Identity, secret.New("second")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(files[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// TestAnExportFollowsNoLink: who can write into the export folder can put a
// link where a file is to be.
func TestAnExportFollowsNoLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a right of their own there")
	}
	v := newVault(t)
	target := v.path("target")
	if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	parcel := tools.Parcel{Kind: "export", Name: "1-Photos.json", Content: secret.New("content")}
	link := v.path("export", parcel.Name)
	for _, to := range []string{target, v.path("absent"), "../target"} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
		parcel.Overwrite = false
		if _, err := v.Keep(t.Context(), ann, parcel); tools.CodeOf(err) != tools.Conflict {
			t.Errorf("a link to %s: %v", to, err)
		}
		parcel.Overwrite = true
		if _, err := v.Keep(t.Context(), ann, parcel); err != nil {
			t.Errorf("over a link to %s: %v", to, err)
		}
		if info, err := os.Lstat(link); err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 {
			t.Errorf("it is %v, %v", info.Mode(), err)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := os.ReadFile(target); err != nil || string(data) != "precious" {
		t.Errorf("the target of the link is %q, %v", data, err)
	}
	if _, err := os.Lstat(v.path("absent")); err == nil {
		t.Error("the target of a link was made")
	}
}

// TestNoAliasAndNoReferenceReachesTheBotsOwn: what the bot keeps would open
// servers to whoever names it.
func TestNoAliasAndNoReferenceReachesTheBotsOwn(t *testing.T) {
	a := newAccount(t)
	ring := a.ring()
	for _, item := range []string{"keyring:bot.keys", "keyring:server.nas.x", "keyring:kept.x", "keyring:bot.audit-anchor", "pass:duplibot/duplibot.bot.keys", "pass:Duplibot/x"} {
		if _, err := auth.NewVault(auth.VaultOptions{Ring: ring, Keys: auth.NewKeys(ring, a.locks()), References: auth.NewReferences(ring), Folder: t.TempDir(),
			Aliases: []auth.Alias{{Name: "x", From: ref(t, item), For: []string{"login"}, Servers: []string{"nas"}}}}); err == nil {
			t.Errorf("an alias of %s", item)
		}
		if _, err := auth.NewReferences(ring).Resolve(t.Context(), ref(t, item)); tools.CodeOf(err) != tools.Denied {
			t.Errorf("%s: %v", item, err)
		}
	}
	v := newVault(t, auth.Alias{Name: "word", From: ref(t, "file:/etc/hostname"), For: []string{"import"}, Servers: []string{"nas"}})
	for _, use := range []tools.Use{{Operation: "login", Server: "nas"}, {Operation: "import", Server: "office"}, {Operation: "import", Server: "all"}, {}} {
		if w, err := v.Alias(t.Context(), use, "word"); err == nil || !w.Empty() {
			t.Errorf("%+v got the alias", use)
		}
	}
	for _, use := range []tools.Use{ann, bob, {Operation: "import", Server: "nas", Caller: tools.Caller{Surface: tools.MCP, SameAccount: true}}} {
		if w, err := v.Resolve(t.Context(), use, ref(t, "file:/etc/hostname")); err == nil || !w.Empty() {
			t.Errorf("%+v got what the bot's account can read", use.Caller)
		}
	}
	if _, err := v.Resolve(t.Context(), bots, ref(t, "env:NOT_SET_HERE")); tools.CodeOf(err) != tools.NotFound {
		t.Errorf("the account itself: %v", err)
	}
}
