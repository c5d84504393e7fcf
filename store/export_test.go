package store

import (
	"context"
	"database/sql"
	"os"
	"testing"
)

// Pragma sets something on the one writing connection, as no caller can: a
// limit in pages stands for a full disk, query_only for a read-only one.
func (d *DB) Pragma(ctx context.Context, pragma string) error {
	_, err := d.writer.ExecContext(ctx, "PRAGMA "+pragma)
	return err
}

// Versions is how many versions of the tables there have been.
func Versions(t *testing.T) int {
	steps, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	return len(steps)
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
	if err := upTo(t.Context(), db, 0, version); err != nil {
		t.Fatal(err)
	}
}
