package serverdb_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/auth/serverdb"
	"github.com/duplibot/duplibot/secret"
)

const fieldKey = "field-encryption-key" // of the encrypted samples

func TestMain(m *testing.M) {
	if path := os.Getenv("SERVERDB_TEST_READ"); path != "" {
		_, err := serverdb.Read(context.Background(), path, nil)
		fmt.Println(err)
		return
	}
	os.Exit(m.Run())
}

type vector struct {
	Config struct {
		Authority, Audience, SigningKey string

		SigninTokenDurationInMinutes int
	} `json:"jwt_config"`
	Minted string `json:"minted_signin_token"`
	Claims struct {
		NotBefore int64 `json:"nbf"`
	} `json:"claims"`
	Accepted int `json:"signin_status"`
}

func vectors(t *testing.T) map[string]map[string]vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var byVersion map[string]map[string]json.RawMessage
	if err := json.Unmarshal(raw, &byVersion); err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]vector{}
	for version, kinds := range byVersion {
		all[version] = map[string]vector{}
		for _, kind := range []string{"plain", "encrypted"} {
			var v vector
			if err := json.Unmarshal(kinds[kind], &v); err != nil {
				t.Fatal(err)
			}
			all[version][kind] = v
		}
	}
	return all
}

// sample copies a real server's database into a folder of its own.
func sample(t *testing.T, version, kind string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", version+"-"+kind+".sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), serverdb.FileName)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func with(word string) func(context.Context) (secret.Value, error) {
	return func(context.Context) (secret.Value, error) { return secret.New(word), nil }
}

// folder describes every file beside path.
func folder(t *testing.T, path string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %v %v %x\n", e.Name(), info.Mode(), info.ModTime(), sha256.Sum256(data))
	}
	return b.String()
}

func TestTokensAreTheOnesThatRealServersTook(t *testing.T) {
	for version, kinds := range vectors(t) {
		for kind, v := range kinds {
			t.Run(version+" "+kind, func(t *testing.T) {
				if v.Accepted != 200 {
					t.Fatal("the vector is of a token that was refused")
				}
				path := sample(t, version, kind)
				before := folder(t, path)
				s, err := serverdb.Read(t.Context(), path, with(fieldKey))
				if err != nil {
					t.Fatal(err)
				}
				if s.Key.Reveal() != v.Config.SigningKey || s.Issuer != v.Config.Authority || s.Audience != v.Config.Audience ||
					s.Lasts != time.Duration(v.Config.SigninTokenDurationInMinutes)*time.Minute {
					t.Errorf("got %+v", s)
				}
				if got := s.Mint(time.Unix(v.Claims.NotBefore+5, 0)).Reveal(); got != v.Minted {
					t.Errorf("minted %s\nwant   %s", got, v.Minted)
				}
				if after := folder(t, path); after != before {
					t.Errorf("reading has changed the folder:\n%s\nit was\n%s", after, before)
				}
			})
		}
	}
}

func TestAPlainDatabaseNeedsNoKey(t *testing.T) {
	never := func(context.Context) (secret.Value, error) {
		t.Error("the key was asked for")
		return secret.Value{}, nil
	}
	if _, err := serverdb.Read(t.Context(), sample(t, "2.3.0.4", "plain"), never); err != nil {
		t.Fatal(err)
	}
}

func TestAnEncryptedDatabaseSaysWhatItsKeyLacks(t *testing.T) {
	path := sample(t, "2.3.1-dev", "encrypted")
	asking := errors.New("the keyring is closed")
	for name, c := range map[string]struct {
		key  func(context.Context) (secret.Value, error)
		want error
	}{
		"none":      {with(""), serverdb.ErrKeyMissing},
		"nobody":    {nil, serverdb.ErrKeyMissing},
		"no answer": {func(context.Context) (secret.Value, error) { return secret.Value{}, asking }, serverdb.ErrKeyMissing},
		"another":   {with("another-encryption-key"), serverdb.ErrKeyMismatch},
		"short":     {with("short"), serverdb.ErrKeyMismatch},
	} {
		_, err := serverdb.Read(t.Context(), path, c.key)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if name == "no answer" && !errors.Is(err, asking) {
			t.Errorf("the reason is lost: %v", err)
		}
		if strings.Contains(fmt.Sprint(err), "short") && name == "short" || strings.Contains(fmt.Sprint(err), "another-encryption") {
			t.Errorf("%s: the error repeats the key: %v", name, err)
		}
	}
}

func TestWhatIsNoDatabaseOfAServerIsRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other := filepath.Join(dir, "other.sqlite")
	execute(t, other, `CREATE TABLE t (a)`)
	old := sample(t, "2.1.0.5", "plain")
	execute(t, old, `DELETE FROM "Option" WHERE "Name" = 'jwt-config'`)
	odd := sample(t, "2.1.0.5", "plain")
	execute(t, odd, `UPDATE "Option" SET "Value" = '{"SigningKey":12}' WHERE "Name" = 'jwt-config'`)
	off := sample(t, "2.3.1-dev", "plain")
	execute(t, off, `UPDATE "Option" SET "Value" = 'True' WHERE "Name" = 'disable-signin-tokens'`)
	for name, c := range map[string]struct {
		path string
		want error
		says string
	}{
		"gone":              {filepath.Join(dir, "none.sqlite"), serverdb.ErrNotFound, "none.sqlite"},
		"a folder":          {dir, serverdb.ErrUnreadable, "is not a file"},
		"relative":          {serverdb.FileName, serverdb.ErrUnreadable, "not absolute"},
		"empty":             {file("empty", ""), serverdb.ErrUnreadable, "2.0"},
		"encrypted whole":   {file("rc4", strings.Repeat("\x8f\x13", 600)), serverdb.ErrUnreadable, "2.0"},
		"another program's": {other, serverdb.ErrUnreadable, "no database of a Duplicati server"},
		"torn":              {file("torn", "SQLite format 3\x00"+strings.Repeat("x", 2000)), serverdb.ErrUnreadable, "torn"},
		"before 2.1":        {old, serverdb.ErrUnreadable, "no signing key"},
		"odd":               {odd, serverdb.ErrUnreadable, "not in the form"},
		"sign-in off":       {off, serverdb.ErrDisabled, "--webservice-disable-signin-tokens=false"},
	} {
		_, err := serverdb.Read(t.Context(), c.path, with(fieldKey))
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: got %v, want %v, %q and a way out", name, err, c.want, c.says)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none.sqlite")); err == nil {
		t.Error("a database that was not there has been made")
	}
}

func execute(t *testing.T, path, statement string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestALiveServersDatabaseIsReadBesideIt(t *testing.T) {
	t.Run("in the middle of a short write", func(t *testing.T) {
		path := sample(t, "2.3.0.4", "plain")
		db := execute(t, path, `SELECT 1`)
		db.SetMaxOpenConns(1)
		if _, err := db.Exec(`BEGIN EXCLUSIVE; UPDATE "Option" SET "Value" = 'x' WHERE "Name" = 'is-first-run'`); err != nil {
			t.Fatal(err)
		}
		go func() { time.Sleep(300 * time.Millisecond); db.Exec(`COMMIT`) }()
		if _, err := serverdb.Read(t.Context(), path, nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("with a write-ahead log", func(t *testing.T) {
		path := sample(t, "2.3.0.4", "plain")
		db := execute(t, path, `PRAGMA journal_mode = WAL`)
		if _, err := db.Exec(`UPDATE "Option" SET "Value" = '{"SigningKey":"a newer key"}' WHERE "Name" = 'jwt-config'`); err != nil {
			t.Fatal(err)
		}
		s, err := serverdb.Read(t.Context(), path, nil)
		if err != nil || s.Key.Reveal() != "a newer key" {
			t.Errorf("got %v, %v: what is in the log counts", s, err)
		}
		if s.Issuer != "https://duplicati" || s.Audience != "https://duplicati" || s.Lasts != 5*time.Minute {
			t.Errorf("what an old row lacks has Duplicati's default; got %+v", s)
		}
		if _, err := db.Exec(`UPDATE "Option" SET "Value" = 'y' WHERE "Name" = 'is-first-run'`); err != nil {
			t.Errorf("the server can no longer write: %v", err)
		}
	})
}
