package serverdb

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/duplibot/duplibot/duplicati/aescrypt"
	"github.com/duplibot/duplibot/secret"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// Signing is the part of the server's jwt-config that sign-in tokens are made
// with.
type Signing struct {
	Issuer   string // Authority
	Audience string
	Key      secret.Value // the text of SigningKey, which is not decoded
	Lasts    time.Duration
}

// shortestKey is the shortest that Duplicati takes for encrypted fields.
const shortestKey = 8

// Read reads how the server whose database is at path signs its tokens. key is
// asked when the field is encrypted; an empty one says that there is none.
func Read(ctx context.Context, path string, key func(context.Context) (secret.Value, error)) (Signing, error) {
	if err := check(path); err != nil {
		return Signing{}, err
	}
	text, disabled, err := query(ctx, path)
	if err != nil {
		return Signing{}, err
	}
	if truth(disabled) {
		return Signing{}, fmt.Errorf("%w; start it with --webservice-disable-signin-tokens=false, or give the password", ErrDisabled)
	}
	plain, err := decrypt(ctx, text, key)
	if err != nil {
		return Signing{}, err
	}
	return parse(plain)
}

// check looks at the file before SQLite does.
func check(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%w: its path is not absolute; write it in full", ErrUnreadable)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w at %s; see where the server has its data folder", ErrNotFound, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %s is in a folder that this account cannot enter; run as the account that Duplicati runs as, or give the password", ErrForeign, path)
	case err != nil:
		return fmt.Errorf("%w: %s cannot be looked at; see the disk and its rights", ErrUnreadable, path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is not a file; give the path of %s itself", ErrUnreadable, path, FileName)
	case !ours(info):
		return fmt.Errorf("%w: %s; run as that account, or give the password", ErrForeign, path)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %s cannot be opened; see its rights", ErrUnreadable, path)
	}
	defer file.Close()
	head := make([]byte, 16)
	if _, err := io.ReadFull(file, head); err != nil || !bytes.Equal(head, []byte("SQLite format 3\x00")) {
		return fmt.Errorf("%w: %s is not an SQLite file, or is encrypted as Duplicati 2.0 did; start a current Duplicati once, or give the password", ErrUnreadable, path)
	}
	return nil
}

// query reads the two settings.
func query(ctx context.Context, path string) (jwtConfig, signinDisabled string, err error) {
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return "", "", fmt.Errorf("%w (%w)", ErrUnreadable, err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	// BackupID -2 are the server's own settings.
	rows, err := db.QueryContext(ctx, `SELECT "Name", "Value" FROM "Option" WHERE "BackupID" = -2 AND "Name" IN ('jwt-config', 'disable-signin-tokens')`)
	if err != nil {
		return "", "", unreadable(path, err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return "", "", unreadable(path, err)
		}
		if name == "jwt-config" {
			jwtConfig = value
		} else {
			signinDisabled = value
		}
	}
	if err := rows.Err(); err != nil {
		return "", "", unreadable(path, err)
	}
	if jwtConfig == "" {
		return "", "", fmt.Errorf("%w: it holds no signing key, as before Duplicati 2.1 or before the server's first start; start the server once, or give the password", ErrUnreadable)
	}
	return jwtConfig, signinDisabled, nil
}

// dsn opens read-only, and waits while the server writes. Without "file:" the
// driver would drop mode=ro and make the file.
func dsn(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	q := url.Values{"mode": {"ro"}, "_query_only": {"1"}, "_busy_timeout": {"2000"}, "_dqs": {"0"}}
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}
	return u.String()
}

func unreadable(path string, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "no such table"):
		return fmt.Errorf("%w: %s is no database of a Duplicati server; give the path of %s (%w)", ErrUnreadable, path, FileName, err)
	case strings.Contains(text, "locked"), strings.Contains(text, "BUSY"):
		return fmt.Errorf("%w: the server is writing to it all the time; try again (%w)", ErrUnreadable, err)
	}
	return fmt.Errorf("%w: %s; see whether the server itself starts with it (%w)", ErrUnreadable, path, err)
}

func decrypt(ctx context.Context, text string, key func(context.Context) (secret.Value, error)) (string, error) {
	var word secret.Value
	if aescrypt.EncryptedField(text) && key != nil {
		var err error
		if word, err = key(ctx); err != nil {
			return "", fmt.Errorf("%w (%w)", ErrKeyMissing, err)
		}
		if n := len(word.Reveal()); n > 0 && n < shortestKey {
			return "", fmt.Errorf("%w: the key that was given has fewer than %d characters; give the server's own", ErrKeyMismatch, shortestKey)
		}
	}
	plain, err := aescrypt.DecryptField(text, word)
	switch {
	case errors.Is(err, aescrypt.ErrKeyMissing):
		return "", fmt.Errorf("%w; set it as the server's database_key, or as SETTINGS_ENCRYPTION_KEY, or give the password", ErrKeyMissing)
	case errors.Is(err, aescrypt.ErrKeyMismatch):
		return "", fmt.Errorf("%w; give the one that the server was started with, or give the password", ErrKeyMismatch)
	case err != nil:
		return "", fmt.Errorf("%w: its encrypted signing key is damaged; give the password", ErrUnreadable)
	}
	return plain, nil
}

// parse reads jwt-config. Of its errors none repeats the text.
func parse(text string) (Signing, error) {
	var c struct {
		Authority, Audience, SigningKey string

		SigninTokenDurationInMinutes int
	}
	if json.Unmarshal([]byte(text), &c) != nil || c.SigningKey == "" {
		return Signing{}, fmt.Errorf("%w: its signing key is not in the form that is known; give the password", ErrUnreadable)
	}
	// What older rows lack has Duplicati's default.
	if c.Authority == "" {
		c.Authority = "https://duplicati"
	}
	if c.Audience == "" {
		c.Audience = "https://duplicati"
	}
	if c.SigninTokenDurationInMinutes <= 0 {
		c.SigninTokenDurationInMinutes = 5
	}
	return Signing{
		Issuer: c.Authority, Audience: c.Audience, Key: secret.New(c.SigningKey),
		Lasts: time.Duration(c.SigninTokenDurationInMinutes) * time.Minute,
	}, nil
}
