// Package store keeps what must outlive the process: requests and their
// votes, the audit chain, tokens, one-time pages, posted messages, alerts. It
// is the only SQL of the project.
//
// [Open] gives a [DB] over one SQLite file in WAL mode. Its fields are the
// parts, each a noun with a few typed methods:
//
//	db, err := store.Open(ctx, store.Options{Path: path, AuditKey: key})
//	stored, created, err := db.Approvals.Create(ctx, request)
//	record, err := db.Audit.Append(ctx, record)
//
// Approvals, Audit and Locks fulfil the interfaces of the same names in
// package tools. The file may be open in several processes at once: writes
// are immediate transactions, so a read inside one is never stale, and every
// decision is a compare-and-set inside one transaction.
//
// SQL stays in the subset that SQLite and PostgreSQL share ($n placeholders,
// TEXT and BIGINT, ON CONFLICT), times are integer milliseconds, zero where
// there is none. Only triggers and pragmas are SQLite's own.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// Options says where the store is and what it works with.
type Options struct {
	// Path of the database file. Its folder is made, with mode 0700, when it
	// does not exist; neither may be open to other accounts.
	Path string
	// Now is the time; nil is time.Now.
	Now tools.Clock
	// AuditKey returns the 32 bytes that the audit chain is made with. It is
	// asked at the first Append or Verify, since a keyring can be slow. Nil
	// refuses both.
	AuditKey func(context.Context) (secret.Value, error)
	// Anchored, when set, is told the head of the audit chain after each
	// Append, in order and one at a time. It must return at once, and not use
	// the audit log itself.
	Anchored func(Anchor)
	// Known, when set, returns what Anchored kept last; ok is false when there
	// is nothing. It is asked before the first Append: a log that lacks that
	// record says so in a record of its own before it goes on, since what
	// Anchored is told next takes the place of the only witness.
	Known func(context.Context) (a Anchor, ok bool, err error)
}

// DB is an open store. Its methods and parts may be used by any number of
// goroutines.
type DB struct {
	Approvals  *Approvals
	Audit      *Audit
	Locks      *Locks
	Tokens     *Tokens
	Pages      *Pages
	Messages   *Messages
	Alerts     *Alerts
	Deliveries *Deliveries
	Notes      *Notes

	path   string
	file   fs.FileInfo // of path when it was opened
	now    tools.Clock
	writer *sql.DB
	reader *sql.DB
}

// busyTimeout is how long a write waits for another process, in milliseconds.
const busyTimeout = "5000"

// Open opens the store, makes it when it does not exist, and brings its
// tables up to date.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Path == "" {
		return nil, errors.New("open store: no path is given")
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := prepare(path); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	locks, err := OpenLocks(filepath.Join(filepath.Dir(path), "locks"))
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	db := &DB{Locks: locks, path: path, now: o.Now}
	if db.now == nil {
		db.now = time.Now
	}
	if err := db.connect(ctx); err != nil {
		return nil, err
	}
	db.Approvals = &Approvals{db}
	db.Audit = &Audit{db: db, askKey: o.AuditKey, anchored: o.Anchored, known: o.Known}
	db.Tokens, db.Pages = &Tokens{db: db}, &Pages{db}
	db.Messages, db.Alerts = &Messages{db}, &Alerts{db}
	db.Deliveries, db.Notes = &Deliveries{db}, &Notes{db}
	return db, nil
}

// connect opens both pools. One process at a time does so: to turn WAL on, or
// to make a table, SQLite does not wait for others.
func (d *DB) connect(ctx context.Context) error {
	release, err := d.Locks.Lock(ctx, "open "+filepath.Base(d.path))
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer release()
	if d.writer, err = sql.Open("sqlite", dsn(d.path, url.Values{
		"_synchronous": {"FULL"},
		"_txlock":      {"immediate"},
	})); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	d.writer.SetMaxOpenConns(1)
	if d.reader, err = sql.Open("sqlite", dsn(d.path, url.Values{
		"mode":        {"ro"},
		"_query_only": {"1"},
	})); err != nil {
		return errors.Join(fmt.Errorf("open store: %w", err), d.writer.Close())
	}
	d.reader.SetMaxOpenConns(4)
	d.reader.SetMaxIdleConns(4)
	if err := migrate(ctx, d.writer); err != nil {
		return errors.Join(readable("open store", err), d.Close())
	}
	if d.file, err = os.Stat(d.path); err != nil {
		return errors.Join(fmt.Errorf("open store: %w", err), d.Close())
	}
	return nil
}

// same refuses to write into a file that is no longer the one at path: nobody
// would ever read what stands there.
func (d *DB) same() error {
	info, err := os.Stat(d.path)
	if err == nil && os.SameFile(info, d.file) {
		return nil
	}
	return tools.Errorf(tools.Unavailable, "the file of the bot's store was moved, deleted or replaced while it is in use; nothing was changed").
		WithHint("restart the bot; what it says then tells whether records are missing").Because(err)
}

// dsn names the file as a URI: without "file:" the driver drops mode=ro and
// creates the file.
func dsn(path string, q url.Values) string {
	q.Set("_busy_timeout", busyTimeout)
	q.Set("_foreign_keys", "1")
	q.Set("_defensive", "1")
	q.Set("_dqs", "0")
	path = filepath.ToSlash(path)
	if path[0] != '/' {
		path = "/" + path // a drive letter
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}
	return u.String()
}

// Close ends the use of the store. Locks that are held stay so until they are
// released or the process ends.
func (d *DB) Close() error {
	if err := errors.Join(d.reader.Close(), d.writer.Close()); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// write runs f in one transaction, which other writers wait for. f must use
// nothing but tx: there is one writing connection, and it is taken.
func (d *DB) write(ctx context.Context, what string, f func(tx *sql.Tx) error) error {
	if err := d.same(); err != nil {
		return err
	}
	tx, err := d.writer.BeginTx(ctx, nil)
	if err != nil {
		return readable(what, err)
	}
	defer tx.Rollback() // does nothing after Commit; also when f panics
	if err := f(tx); err != nil {
		return readable(what, err)
	}
	return readable(what, tx.Commit())
}

// exec runs one statement and returns how many rows it changed.
func (d *DB) exec(ctx context.Context, what, query string, args ...any) (int64, error) {
	if err := d.same(); err != nil {
		return 0, err
	}
	res, err := d.writer.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, readable(what, err)
	}
	n, err := res.RowsAffected()
	return n, readable(what, err)
}

// queryer is a pool or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// collect reads all rows with scan.
func collect[T any](ctx context.Context, q queryer, what string, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, readable(what, err)
	}
	defer rows.Close()
	list := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, readable(what, err)
		}
		list = append(list, v)
	}
	return list, readable(what, rows.Err())
}

// millis is how a time is stored; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// instant is the time that millis stored.
func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// trim takes from a time what the store does not keep.
func trim(t time.Time) time.Time { return instant(millis(t)) }
