package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
)

// The steps from one version of the tables to the next, by number. A step that
// was released never changes.
//
//go:embed migrations/*.sql
var migrations embed.FS

var errForeignFile = errors.New("the file is a database of another program; give the store a file of its own")

// migrate brings the tables up to date. A file that a newer bot wrote is
// refused, since its tables may mean something else, and so is one that no bot
// wrote; neither is changed.
func migrate(ctx context.Context, db *sql.DB) error {
	steps, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	var has, tables int
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&has); err != nil {
		return err
	}
	if has > len(steps) {
		return fmt.Errorf("the store has tables of version %d and this bot knows %d: a newer one wrote it; use that, or a backup from before", has, len(steps))
	}
	if has == 0 {
		if err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM sqlite_master`).Scan(&tables); err != nil {
			return err
		}
		if tables > 0 {
			return errForeignFile
		}
	}
	if _, err := db.ExecContext(ctx, `PRAGMA journal_mode = WAL`); err != nil {
		return err
	}
	return upTo(ctx, db, has, len(steps))
}

// upTo takes the tables from one version to another, each step in full or not
// at all.
func upTo(ctx context.Context, db *sql.DB, has, version int) error {
	steps, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	for n := has + 1; n <= version; n++ {
		name := steps[n-1].Name()
		text, err := migrations.ReadFile("migrations/" + name)
		if err != nil {
			return err
		}
		if err := step(ctx, db, string(text), n); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func step(ctx context.Context, db *sql.DB, text string, version int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if _, err := tx.ExecContext(ctx, text); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, version)); err != nil {
		return err
	}
	return tx.Commit()
}
