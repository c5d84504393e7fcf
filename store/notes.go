package store

import (
	"context"
	"database/sql"
	"errors"
)

// Notes are single values under a name, for what has no table: how far the log
// of a server was read, when something was last said.
type Notes struct{ db *DB }

// Read returns the value under name; ok is false when there is none.
func (s *Notes) Read(ctx context.Context, name string) (value string, ok bool, err error) {
	err = s.db.reader.QueryRowContext(ctx, `SELECT value FROM notes WHERE name = $1`, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, readable("read note "+name, err)
}

// Write puts value under name.
func (s *Notes) Write(ctx context.Context, name, value string) error {
	_, err := s.db.exec(ctx, "write note "+name, writeNote, name, value, millis(s.db.now()))
	return err
}

const writeNote = `
	INSERT INTO notes (name, value, updated) VALUES ($1, $2, $3)
	ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated = excluded.updated`

// Remove takes name away.
func (s *Notes) Remove(ctx context.Context, name string) error {
	_, err := s.db.exec(ctx, "remove note "+name, `DELETE FROM notes WHERE name = $1`, name)
	return err
}
