package store_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
)

// TestMain is also the other process that some tests need: it works on the
// store that the environment names until it is killed.
func TestMain(m *testing.M) {
	if work, ok := children[os.Getenv("STORE_TEST_CHILD")]; ok {
		if err := work(context.Background(), os.Getenv("STORE_TEST_PATH")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// children are what another process can be told to do.
var children = map[string]func(ctx context.Context, path string) error{
	"append": appendForever,
	"decide": decideForever,
	"lock":   lockForever,
}

// child starts this test binary as another process and returns its output.
func child(t *testing.T, work, path string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_CHILD="+work, "STORE_TEST_PATH="+path)
	out := &bytes.Buffer{}
	cmd.Stderr = out
	return cmd, out
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// testKey is the audit key of all tests.
func testKey(context.Context) (secret.Value, error) {
	return secret.New(strings.Repeat("k", store.KeySize)), nil
}

func newPath(t testing.TB) string {
	return filepath.Join(t.TempDir(), "store", "duplibot.db")
}

func open(t testing.TB, o store.Options) *store.DB {
	t.Helper()
	if o.Path == "" {
		o.Path = newPath(t)
	}
	if o.AuditKey == nil {
		o.AuditKey = testKey
	}
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// edit changes the file behind the store's back, as somebody with the file
// and any SQLite could.
func edit(t *testing.T, path string, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if err := exec1(path, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func exec1(path, statement string) error {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(statement)
	return err
}

func wantCode(t *testing.T, err error, want tools.Code) {
	t.Helper()
	if got := tools.CodeOf(err); got != want {
		t.Errorf("error %v has code %q, want %q", err, got, want)
	}
}

func TestOpenMakesThePlacePrivate(t *testing.T) {
	path := newPath(t)
	db := open(t, store.Options{Path: path})
	if _, err := db.Audit.Append(t.Context(), tools.Record{Event: tools.EventConfig}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 3 {
		t.Fatalf("files are %v, %v; want the database with -wal and -shm", files, err)
	}
	for name, want := range map[string]os.FileMode{files[0]: 0o600, files[1]: 0o600, files[2]: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want && runtime.GOOS != "windows" {
			t.Errorf("%s has mode %04o, want %04o", filepath.Base(name), got, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs file modes: Windows has none")
	}
	made := func(t *testing.T) string {
		path := newPath(t)
		db, err := store.Open(t.Context(), store.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		spoil func(path string) error
		words string
	}{
		"a folder that others can read": {
			func(path string) error { return os.Chmod(filepath.Dir(path), 0o750) }, "mode 0750"},
		"a file that others can read": {
			func(path string) error { return os.Chmod(path, 0o640) }, "chmod 0600"},
		"a link in place of the file": {
			func(path string) error {
				if err := os.Rename(path, path+".real"); err != nil {
					return err
				}
				return os.Symlink(path+".real", path)
			}, "not a regular file"},
		"a file that is no database": {
			func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("text "), 1000), 0o600) }, "damaged"},
		"the file of a newer version": {
			func(path string) error {
				return exec1(path, `PRAGMA user_version = 9999`)
			}, "a newer one wrote it"},
		"the database of another program": {
			func(path string) error {
				if err := os.Remove(path); err != nil {
					return err
				}
				if err := exec1(path, `CREATE TABLE Backup (ID INTEGER PRIMARY KEY)`); err != nil {
					return err
				}
				return os.Chmod(path, 0o600)
			}, "of another program"},
	} {
		t.Run(name, func(t *testing.T) {
			path := made(t)
			if err := c.spoil(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			db, err := store.Open(t.Context(), store.Options{Path: path})
			if err == nil {
				db.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), c.words) {
				t.Errorf("error is %q, want the words %q in it", err, c.words)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
				t.Errorf("the file was changed, %v", err)
			}
		})
	}
}

func TestPathsWithOddCharactersAreOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a ?mode=memory#%41 ü", "duplibot.db")
	db := open(t, store.Options{Path: path})
	if _, err := db.Audit.Append(t.Context(), tools.Record{Event: tools.EventConfig}); err != nil {
		t.Fatal(err)
	}
	if head, err := db.Audit.Head(t.Context()); err != nil || head.Seq != 1 {
		t.Errorf("reader sees head %v, %v; want record 1", head, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("the file at the given path is %v, %v", info, err)
	}
}

func TestTwoThatOpenANewStoreAtOnceBothSucceed(t *testing.T) {
	path := newPath(t)
	errs := make(chan error)
	for range 8 {
		go func() {
			db, err := store.Open(t.Context(), store.Options{Path: path})
			if err == nil {
				err = db.Close()
			}
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestAStoreOfEachEarlierVersionIsBroughtUpToDate(t *testing.T) {
	for version := 1; version < store.Versions(t); version++ {
		path := newPath(t)
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		store.MakeVersion(t, path, version)
		fillVersion(t, path, version)
		db := open(t, store.Options{Path: path})
		a, err := db.Approvals.Approval(t.Context(), "a1")
		if err != nil || a.State != tools.StatePending || len(a.Votes) != 1 || a.Votes[0].Person != "bob" {
			t.Errorf("from version %d: the request is %+v, %v", version, a, err)
		}
		want := int64(1)
		if version >= 2 {
			want = 2
		}
		appendN(t, db, 1)
		if report := verify(t, db); !report.OK() || report.Records != want {
			t.Errorf("from version %d: the log is %+v, want %d records", version, report, want)
		}
		if version >= 3 {
			if list, err := db.Tokens.All(t.Context()); err != nil || len(list) != 1 || list[0].Name != "ann-laptop" {
				t.Errorf("from version %d: tokens are %+v, %v", version, list, err)
			}
		}
		if version >= 4 {
			if list, err := db.Alerts.Open(t.Context(), "nas"); err != nil || len(list) != 1 || list[0].Problem != "nas/unreachable" {
				t.Errorf("from version %d: alerts are %+v, %v", version, list, err)
			}
		}
		if err := db.Notes.Write(t.Context(), "name", "value"); err != nil {
			t.Errorf("from version %d: %v", version, err)
		}
		if err := db.Check(t.Context()); err != nil {
			t.Errorf("from version %d: %v", version, err)
		}
	}
}

// fillVersion puts into a store of an earlier version what a bot of that time
// had written.
func fillVersion(t *testing.T, path string, version int) {
	t.Helper()
	record := `{"seq":1,"at":"2026-03-01T12:00:00Z","event":"config","prev":""}`
	h := hmac.New(sha256.New, []byte(strings.Repeat("k", store.KeySize)))
	h.Write([]byte(record))
	for since, statements := range [][]string{1: {
		`INSERT INTO approvals VALUES ('a1', 1, 'same', 'ann', 1, 'pending', 1772366400000, 1772366400000,
			'{"id":"a1","operation":"delete","server":"nas","requester":"ann","need":2,"state":"pending"}')`,
		`INSERT INTO votes VALUES ('a1', 'bob', 0, '{"person":"bob","yes":true}')`,
	}, 2: {
		`INSERT INTO audit VALUES (1, 1772366400000, 'config', '', '', '', '', '` + record + `', '` + hex.EncodeToString(h.Sum(nil)) + `')`,
	}, 3: {
		`INSERT INTO tokens VALUES ('t1', 'ann-laptop', 'ann', 'hash', '', 'null', 1772366400000, 0, 0)`,
	}, 4: {
		`INSERT INTO alerts VALUES ('nas/unreachable', 'error', 'nas', '', 'words', 1772366400000, 1772366400000, 0, 0)`,
	}} {
		if since <= version {
			edit(t, path, statements...)
		}
	}
}
