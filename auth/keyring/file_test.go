package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/secret"
)

// fileRing opens the file backend on dir, which must succeed.
func fileRing(t *testing.T, dir string, passphrase secret.Value) keyring.Ring {
	t.Helper()
	r, err := keyring.Open(t.Context(), keyring.Config{Backend: keyring.File, Dir: dir, Passphrase: passphrase})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func put(t *testing.T, r keyring.Ring, key, word string) {
	t.Helper()
	if err := r.Put(t.Context(), key, secret.New(word)); err != nil {
		t.Fatal(err)
	}
}

// holds checks what the keyring itself has under key, and not the memory.
func holds(t *testing.T, r keyring.Ring, key, want string) {
	t.Helper()
	got, err := r.Fresh(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if got.Reveal() != want {
		t.Fatalf("%s holds %d bytes that are not the %d stored", key, len(got.Reveal()), len(want))
	}
}

func fails(t *testing.T, err, want error, words ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want one of kind %v", err, want)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q does not say %q", err, w)
		}
	}
}

func privateDir(t *testing.T) string { return filepath.Join(t.TempDir(), "ring") }

func TestFilesKeepWhatWasStored(t *testing.T) {
	dir, key := privateDir(t), keyring.NewPassphrase()
	r := fileRing(t, dir, key)
	for name, word := range map[string]string{
		"server.nas":  strings.Repeat("session ", 256),
		"large":       strings.Repeat("\x00\xff;\n", keyring.MaxSize/4),
		"mail.pw_2-x": "å\n",
	} {
		put(t, r, name, word)
		holds(t, fileRing(t, dir, key), name, word)
	}
	keys, err := r.List(t.Context(), "")
	if diff := cmp.Diff([]string{"large", "mail.pw_2-x", "server.nas"}, keys); diff != "" || err != nil {
		t.Errorf("List: %v\n%s", err, diff)
	}
	keys, err = r.List(t.Context(), "server.")
	if diff := cmp.Diff([]string{"server.nas"}, keys); diff != "" || err != nil {
		t.Errorf("List of server.: %v\n%s", err, diff)
	}

	put(t, r, "server.nas", "new")
	holds(t, r, "server.nas", "new")
	for range 2 { // the second time there is nothing to delete
		if err := r.Delete(t.Context(), "server.nas"); err != nil {
			t.Fatal(err)
		}
	}
	_, err = r.Get(t.Context(), "server.nas")
	fails(t, err, keyring.ErrNotFound, "server.nas")

	for _, file := range walk(t, dir) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "session") {
			t.Errorf("%s holds a secret in clear text", file)
		}
		if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", file, info.Mode().Perm())
		}
	}
}

func walk(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestFilesReadFromMemoryUntilAskedAfresh(t *testing.T) {
	dir, key := privateDir(t), keyring.NewPassphrase()
	daemon, terminal := fileRing(t, dir, key), fileRing(t, dir, key)
	put(t, daemon, "server.nas", "old")
	put(t, terminal, "server.nas", "new")
	if got, err := daemon.Get(t.Context(), "server.nas"); err != nil || got.Reveal() != "old" {
		t.Errorf("Get went past the memory: %v", err)
	}
	holds(t, daemon, "server.nas", "new")
	if got, err := daemon.Get(t.Context(), "server.nas"); err != nil || got.Reveal() != "new" {
		t.Errorf("Get after Fresh did not return what Fresh had read: %v", err)
	}
}

func TestFilesTakeOnePassphraseOnly(t *testing.T) {
	dir, right := privateDir(t), secret.New("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
	early := fileRing(t, dir, right)
	put(t, early, "server.nas", "word")

	_, err := keyring.Open(t.Context(), keyring.Config{Backend: keyring.File, Dir: dir, Passphrase: keyring.NewPassphrase()})
	fails(t, err, keyring.ErrLocked, "another passphrase", "nothing was read or written")

	t.Run("written as base64 with a newline it is the same", func(t *testing.T) {
		same := fileRing(t, dir, secret.New("ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=\n"))
		holds(t, same, "server.nas", "word")
	})
	t.Run("a folder that got another one under a running program is not written to", func(t *testing.T) {
		other := privateDir(t)
		fileRing(t, other, keyring.NewPassphrase())
		check, err := os.ReadFile(filepath.Join(other, "check"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "check"), check, 0o600); err != nil {
			t.Fatal(err)
		}
		fails(t, early.Put(t.Context(), "server.nas", secret.New("second")), keyring.ErrLocked, "another passphrase")
	})
}

func TestFilesRefuseWeakPassphrases(t *testing.T) {
	for _, weak := range []string{
		"", "\n", "hunter2", "correct horse battery staple",
		"correcthorsebatterystaplecorrecthorsebattery",
		"thequickbrownfoxjumpsoverthelazydogandthecat",
		strings.Repeat("0", 64), strings.Repeat("ab", 40), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	} {
		dir := privateDir(t)
		_, err := keyring.Open(t.Context(), keyring.Config{Backend: keyring.File, Dir: dir, Passphrase: secret.New(weak)})
		fails(t, err, keyring.ErrLocked, "openssl rand -base64 32")
		if weak != "" && weak != "\n" && strings.Contains(err.Error(), weak) {
			t.Errorf("the error repeats the passphrase: %v", err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("a folder was made for the passphrase %q", weak)
		}
	}
}

func TestFilesRefuseFoldersThatOthersGetInto(t *testing.T) {
	for _, mode := range []os.FileMode{0o750, 0o707, 0o777} {
		dir := privateDir(t)
		r := fileRing(t, dir, keyring.NewPassphrase())
		put(t, r, "server.nas", "word")
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		_, err := keyring.Open(t.Context(), keyring.Config{Backend: keyring.File, Dir: dir, Passphrase: keyring.NewPassphrase()})
		fails(t, err, keyring.ErrUnavailable, "chmod 0700 "+dir)
		fails(t, r.Put(t.Context(), "server.nas", secret.New("new")), keyring.ErrUnavailable, "chmod 0700")
		if report := r.Probe(t.Context()); report.Usable || !strings.Contains(report.Hint, "chmod 0700") {
			t.Errorf("Probe: %+v", report)
		}
	}
	for _, dir := range []string{"", "relative/ring"} {
		_, err := keyring.Open(t.Context(), keyring.Config{Backend: keyring.File, Dir: dir, Passphrase: keyring.NewPassphrase()})
		fails(t, err, keyring.ErrUnavailable, "folder")
	}
}

func TestTornFilesAreDamagedAndNotMissing(t *testing.T) {
	dir := privateDir(t)
	r := fileRing(t, dir, keyring.NewPassphrase())
	put(t, r, "server.nas", "word-one")
	put(t, r, "server.box", "word-two")
	nas, box := filepath.Join(dir, "keys", "duplibot.server.nas"), filepath.Join(dir, "keys", "duplibot.server.box")
	whole, err := os.ReadFile(nas)
	if err != nil {
		t.Fatal(err)
	}
	flipped := []byte(string(whole))
	flipped[len(flipped)/2] ^= 1
	other, err := os.ReadFile(box)
	if err != nil {
		t.Fatal(err)
	}
	for what, data := range map[string][]byte{
		"empty":              {},
		"cut":                whole[:len(whole)/2],
		"cut at the end":     whole[:len(whole)-1],
		"changed":            flipped,
		"another item's":     other,
		"something else":     []byte("word-one"),
		"far too large":      make([]byte, 2<<20),
		"unsigned and plain": []byte("eyJhbGciOiJub25lIn0.eyJLZXkiOiJkdXBsaWJvdC5zZXJ2ZXIubmFzIn0."),
	} {
		if err := os.WriteFile(nas, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := r.Fresh(t.Context(), "server.nas")
		if !errors.Is(err, keyring.ErrCorrupt) || errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("%s file: %v", what, err)
		}
		if strings.Contains(fmt.Sprint(err), "word") {
			t.Errorf("%s file: the error repeats the secret: %v", what, err)
		}
	}
	put(t, r, "server.nas", "mended")
	holds(t, r, "server.nas", "mended")
}

func TestAFolderThatIsGoneIsNotAnEmptyOne(t *testing.T) {
	dir := privateDir(t)
	r := fileRing(t, dir, keyring.NewPassphrase())
	put(t, r, "server.nas", "word")
	away := dir + "-away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	_, err := r.Fresh(t.Context(), "server.nas")
	fails(t, err, keyring.ErrUnavailable, "mounted")
	if err := os.Mkdir(dir, 0o700); err != nil { // the mount point without its disk
		t.Fatal(err)
	}
	_, err = r.Fresh(t.Context(), "server.nas")
	fails(t, err, keyring.ErrUnavailable, "mounted")
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	holds(t, r, "server.nas", "word")

	t.Run("without its check item a folder is not taken for a new one", func(t *testing.T) {
		if err := os.Remove(filepath.Join(dir, "check")); err != nil {
			t.Fatal(err)
		}
		_, err := keyring.Open(t.Context(), keyring.Config{Backend: keyring.File, Dir: dir, Passphrase: keyring.NewPassphrase()})
		fails(t, err, keyring.ErrCorrupt, "check")
	})
}

func TestWritersTakeTurnsAndSweepUp(t *testing.T) {
	dir, key := privateDir(t), keyring.NewPassphrase()
	a, b := fileRing(t, dir, key), fileRing(t, dir, key)
	left := filepath.Join(dir, "stage-left", "duplibot.server.nas")
	if err := os.MkdirAll(filepath.Dir(left), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			r := []keyring.Ring{a, b}[i%2]
			for range 4 {
				if err := r.Put(t.Context(), "server.nas", secret.New(strings.Repeat(fmt.Sprint(i), 2000))); err != nil {
					t.Error(err)
				}
				got, err := r.Fresh(t.Context(), "server.nas")
				if word := got.Reveal(); err != nil || word != strings.Repeat(word[:1], 2000) {
					t.Errorf("a torn item, or %v", err)
				}
			}
		})
	}
	all.Wait()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{"check", "keys", "lock"}, names); diff != "" {
		t.Errorf("the folder was not swept:\n%s", diff)
	}
}

func TestACallerIsNotKeptLongerThanItWants(t *testing.T) {
	r := fileRing(t, privateDir(t), keyring.NewPassphrase())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Fresh(ctx, "server.nas")
	fails(t, err, context.Canceled)
	ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = r.Fresh(ctx, "server.nas")
	fails(t, err, keyring.ErrTimeout)
	fails(t, err, context.DeadlineExceeded)
}
