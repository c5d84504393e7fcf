package keyring_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/secret"
)

const windowsLimit = 2560

// limited is a keyring whose items hold as little as those of Windows, over
// the file backend; large ones go to dir.
func limited(t *testing.T, items keyring.Config, dir string) keyring.Ring {
	t.Helper()
	r, err := keyring.OpenLimited(t.Context(), items, windowsLimit, dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func itemsIn(t *testing.T) keyring.Config {
	return keyring.Config{Backend: keyring.File, Dir: privateDir(t), Passphrase: keyring.NewPassphrase()}
}

func TestLargeSecretsAreSealedBesideTheKeyring(t *testing.T) {
	items, dir := itemsIn(t), privateDir(t)
	r := limited(t, items, dir)
	for _, size := range []int{1, 2048, windowsLimit - 1, windowsLimit, 64 << 10, keyring.MaxSize} {
		word := strings.Repeat("canary-", size/7+1)[:size]
		put(t, r, "server.nas", word)
		holds(t, limited(t, items, dir), "server.nas", word)
		want := 0
		if size >= windowsLimit {
			want = 1
		}
		sealed := sealedFiles(t, dir)
		if len(sealed) != want {
			t.Fatalf("%d sealed files for a secret of %d bytes", len(sealed), size)
		}
		for _, file := range sealed {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), "canary") {
				t.Error("a sealed file is in clear text")
			}
		}
	}
	put(t, r, "server.nas.other", strings.Repeat("x", 9000))
	put(t, r, "server.nas", strings.Repeat("y", 9000))
	if err := r.Delete(t.Context(), "server.nas"); err != nil {
		t.Fatal(err)
	}
	holds(t, r, "server.nas.other", strings.Repeat("x", 9000))
	_, err := r.Fresh(t.Context(), "server.nas")
	fails(t, err, keyring.ErrNotFound)
	if n := len(sealedFiles(t, dir)); n != 1 {
		t.Errorf("%d sealed files for one large secret", n)
	}
	keys, err := r.List(t.Context(), "")
	if diff := cmp.Diff([]string{"server.nas.other"}, keys); diff != "" || err != nil {
		t.Errorf("List: %v\n%s", err, diff)
	}
}

func sealedFiles(t *testing.T, dir string) []string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "sealed")); os.IsNotExist(err) {
		return nil
	}
	return walk(t, filepath.Join(dir, "sealed"))
}

func TestASealedFileThatIsNotTheOneStoredIsDamaged(t *testing.T) {
	dir := privateDir(t)
	r := limited(t, itemsIn(t), dir)
	put(t, r, "a", strings.Repeat("a", 9000))
	put(t, r, "b", strings.Repeat("b", 9000))
	file := sealedFiles(t, filepath.Join(dir))[0]
	other := sealedFiles(t, filepath.Join(dir))[1]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	swapped, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	for what, data := range map[string][]byte{"empty": {}, "cut": whole[:100], "another's": swapped} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Fresh(t.Context(), "a"); err == nil {
			t.Errorf("%s file: no error", what)
		} else {
			fails(t, err, keyring.ErrCorrupt)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	_, err = r.Fresh(t.Context(), "a")
	fails(t, err, keyring.ErrCorrupt, "gone")
	put(t, r, "a", strings.Repeat("c", 9000))
	holds(t, r, "a", strings.Repeat("c", 9000))
}

func TestWithoutAFolderLargeSecretsAreRefused(t *testing.T) {
	items := itemsIn(t)
	r := limited(t, items, "")
	put(t, r, "a", "small")
	fails(t, r.Put(t.Context(), "a", secret.New(strings.Repeat("x", windowsLimit))), keyring.ErrTooLarge, "2560 bytes", "folder")
	holds(t, r, "a", "small")

	t.Run("what another program wrote into such a keyring is damaged", func(t *testing.T) {
		raw := fileRing(t, items.Dir, items.Passphrase)
		for _, data := range []string{"word", "=", ">", ">short"} {
			put(t, raw, "a", data)
			_, err := r.Fresh(t.Context(), "a")
			fails(t, err, keyring.ErrCorrupt)
		}
	})
	t.Run("a large secret whose folder is not set is not missing", func(t *testing.T) {
		put(t, limited(t, items, privateDir(t)), "big", strings.Repeat("x", 9000))
		_, err := r.Fresh(t.Context(), "big")
		fails(t, err, keyring.ErrUnavailable, "folder")
	})
}
