package store

import (
	"context"
	"database/sql"
	"io/fs"
	"os"
	"testing"

	"github.com/pressly/goose/v3"
)

// Pragma sets something on the one writing connection, as no caller can: a
// limit in pages stands for a full disk, query_only for a read-only one.
func (d *DB) Pragma(ctx context.Context, pragma string) error {
	_, err := d.writer.ExecContext(ctx, "PRAGMA "+pragma)
	return err
}

// Versions is how many versions of the tables there have been.
func Versions(t *testing.T) int {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// MakeVersion makes a store as an earlier bot left it.
func MakeVersion(t *testing.T, path string, version int) {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), int64(version)); err != nil {
		t.Fatal(err)
	}
}
