package keyring_test

import (
	"strings"
	"testing"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/secret"
)

func TestKeysThatBackendsConfuseAreRefused(t *testing.T) {
	r := fileRing(t, privateDir(t), keyring.NewPassphrase())
	for _, key := range []string{"", ".", "..", ".hidden", "-x", "a/b", "../escape", `a\b`, "A", "å", "a b", "a:b", "a\n", strings.Repeat("x", 122)} {
		if err := r.Put(t.Context(), key, secret.New("word")); err == nil {
			t.Errorf("Put took the key %q", key)
		}
		if _, err := r.Get(t.Context(), key); err == nil {
			t.Errorf("Get took the key %q", key)
		}
		if err := r.Delete(t.Context(), key); err == nil {
			t.Errorf("Delete took the key %q", key)
		}
	}
	longest := strings.Repeat("x", 121)
	put(t, r, longest, "word")
	holds(t, r, longest, "word")
}

func TestWhatCannotBeStoredIsRefused(t *testing.T) {
	r := fileRing(t, privateDir(t), keyring.NewPassphrase())
	put(t, r, "a", "old")
	fails(t, r.Put(t.Context(), "a", secret.New(strings.Repeat("x", keyring.MaxSize+1))), keyring.ErrTooLarge, "131073 bytes", "131072")
	if err := r.Put(t.Context(), "a", secret.Value{}); err == nil {
		t.Error("an empty secret was stored")
	}
	holds(t, r, "a", "old")
}

func TestServerKeys(t *testing.T) {
	const nas = "https://nas.lan:8200"
	key := serverKey(t, nas)
	if err := keyring.CheckKey(key); err != nil || !strings.HasPrefix(key, keyring.ServerPrefix+"nas.lan-8200.") {
		t.Errorf("ServerKey(%q) = %q, %v", nas, key, err)
	}
	for _, same := range []string{"https://nas.lan:8200/", "HTTPS://NAS.lan:8200", "https://nas.lan.:8200//"} {
		if got := serverKey(t, same); got != key {
			t.Errorf("%s and %s have two keys, %s and %s", nas, same, key, got)
		}
	}
	if a, b := serverKey(t, "https://nas.lan"), serverKey(t, "https://nas.lan:443/"); a != b {
		t.Errorf("the default port makes another key: %s, %s", a, b)
	}
	seen := map[string]string{key: nas}
	for _, other := range []string{
		"http://nas.lan:8200", "https://nas.lan:8201", "https://nas.lan", "https://nas.lan:8200/duplicati", "https://nas.lan:8200/Duplicati",
		"https://nas-lan:8200", "https://nas.lan-8200", "http://[::1]:8200", "http://127.0.0.1:8200", "https://münchen.lan:8200",
		"https://" + strings.Repeat("long.", 40) + "lan", "https://" + strings.Repeat("long.", 40) + "lan:1",
	} {
		got := serverKey(t, other)
		if err := keyring.CheckKey(got); err != nil {
			t.Errorf("ServerKey(%q) = %q: %v", other, got, err)
		}
		if was, twice := seen[got]; twice {
			t.Errorf("%s and %s have the same key %s", was, other, got)
		}
		seen[got] = other
	}
	for _, wrong := range []string{"", "nas.lan:8200", "ftp://nas.lan", "https://", "https://ann:hunter2@nas.lan", "https://nas.lan/?token=hunter2", "https://nas.lan/#x", "https://nas.lan:hunter2"} {
		_, err := keyring.ServerKey(wrong)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ServerKey(%q): %v", wrong, err)
		}
	}
}

func serverKey(t *testing.T, origin string) string {
	t.Helper()
	key, err := keyring.ServerKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
