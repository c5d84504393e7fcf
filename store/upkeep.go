package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// Check reads the whole file and returns the first thing that is wrong with
// it, as an Error of code Internal.
func (d *DB) Check(ctx context.Context) error {
	found, err := collect(ctx, d.reader, "check the store", func(rows *sql.Rows) (string, error) {
		var line string
		err := rows.Scan(&line)
		return line, err
	}, `PRAGMA integrity_check(1)`)
	if err != nil {
		return err
	}
	if len(found) != 1 || found[0] != "ok" {
		return tools.Errorf(tools.Internal, "the file of the bot's store is damaged").
			WithHint("stop the bot and put a backup of the store in its place").
			Because(fmt.Errorf("integrity check: %q", found))
	}
	return nil
}

// Backup writes a copy of the store as it is now to path, while it is used.
// The copy is there in full or not at all, and a file at path is not
// overwritten. Writes wait meanwhile, some 5 ms for each megabyte.
func (d *DB) Backup(ctx context.Context, path string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return tools.Errorf(tools.Conflict, "there is a file %s already; no backup was written", path).WithHint("give another name")
	}
	dir := filepath.Dir(path)
	// VACUUM INTO takes an empty file, so that it has mode 0600 from the start.
	f, err := os.CreateTemp(dir, ".duplibot-backup-*")
	if err != nil {
		return fmt.Errorf("back up the store: %w", err)
	}
	temp := f.Name()
	defer func() {
		if err != nil {
			os.Remove(temp)
		}
	}()
	if err := f.Close(); err != nil {
		return fmt.Errorf("back up the store: %w", err)
	}
	if _, err := d.writer.ExecContext(ctx, `VACUUM INTO $1`, temp); err != nil {
		return readable("back up the store", err)
	}
	if err := errors.Join(flush(temp), os.Rename(temp, path), flush(dir)); err != nil {
		return fmt.Errorf("back up the store: %w", err)
	}
	return nil
}

// flush waits until a file or a folder is on the disk.
func flush(path string) error {
	flag := os.O_RDWR
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		if runtime.GOOS == "windows" {
			return err // a folder cannot be flushed there
		}
		flag = os.O_RDONLY
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Sweep removes what has lost its meaning: deliveries that have expired, and
// pages and messages older than keep. Requests and records stay.
func (d *DB) Sweep(ctx context.Context, keep time.Duration) error {
	now := d.now()
	return d.write(ctx, "sweep the store", func(tx *sql.Tx) error {
		for _, q := range []struct {
			statement string
			before    time.Time
		}{
			{`DELETE FROM deliveries WHERE expires <= $1`, now},
			{`DELETE FROM pages WHERE expires < $1`, now.Add(-keep)},
			{`DELETE FROM messages WHERE posted < $1 AND repaired < $1`, now.Add(-keep)},
			{`DELETE FROM alerts WHERE resolved > 0 AND resolved < $1`, now.Add(-keep)},
		} {
			if _, err := tx.ExecContext(ctx, q.statement, millis(q.before)); err != nil {
				return err
			}
		}
		return nil
	})
}
