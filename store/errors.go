package store

import (
	"errors"
	"fmt"

	"github.com/duplibot/duplibot/tools"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// readable puts what SQLite says about its disk into words for people, who
// may sit at a chat: no path is in them. what is for the log.
func readable(what string, err error) error {
	if err == nil {
		return nil
	}
	if e := (*tools.Error)(nil); errors.As(err, &e) {
		return err
	}
	wrapped := fmt.Errorf("%s: %w", what, err)
	var s *sqlite.Error
	if !errors.As(err, &s) {
		return wrapped
	}
	say := func(code tools.Code, words, hint string) *tools.Error {
		return tools.Errorf(code, "%s; nothing was changed", words).WithHint("%s", hint).Because(wrapped)
	}
	switch s.Code() & 0xff { // the low byte is the primary code, sqlite.org/rescode.html
	case sqlite3.SQLITE_FULL:
		return say(tools.Unavailable, "the disk that holds the bot's store is full", "make room on it, then ask again").Retryable()
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return say(tools.Unavailable, "the bot's store cannot be written", "see who owns its file and folder, and whether the disk is mounted read-only")
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return say(tools.Busy, "another process keeps the bot's store busy", "ask again in a moment").Retryable()
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return say(tools.Internal, "the file of the bot's store is damaged", "stop the bot and put a backup of the store in its place")
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		return say(tools.Unavailable, "the disk that holds the bot's store cannot be read or written", "see the bot's log and the system's").Retryable()
	}
	return wrapped
}

// isDuplicate reports whether err is a broken UNIQUE or PRIMARY KEY.
func isDuplicate(err error) bool {
	var s *sqlite.Error
	return errors.As(err, &s) && (s.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || s.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}
