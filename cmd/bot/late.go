package main

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
)

// lateStore is a store that is opened when it is first needed: a read at a
// terminal needs none, and works where the store does not.
type lateStore struct {
	open func(context.Context) (*store.DB, error)

	mu sync.Mutex
	db *store.DB
}

// DB opens the store, or tries again where it could not be opened.
func (s *lateStore) DB(ctx context.Context) (*store.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		return s.db, nil
	}
	db, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	s.db = db
	return db, nil
}

// Close closes it if it was opened.
func (s *lateStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	return s.db.Close()
}

// Append fulfils tools.AuditLog. A store that cannot be opened is a log that
// cannot be written.
func (s *lateStore) Append(ctx context.Context, r tools.Record) (tools.Record, error) {
	db, err := s.DB(ctx)
	if err == nil {
		var written tools.Record
		if written, err = db.Audit.Append(ctx, r); err == nil {
			return written, nil
		}
	}
	return r, unwritten(err, r.Surface)
}

// unwritten says why the audit log cannot be written. A store that was never
// opened is named by its path, which is for nobody but a terminal.
func unwritten(err error, surface tools.Surface) error {
	var own *tools.Error
	if errors.As(err, &own) && own.Code == tools.AuditDown {
		if err = errors.Unwrap(own); own.Hint != "" || err == nil {
			return own
		}
	}
	words, hint := "", "see what is wrong at a terminal: duplibot doctor"
	if known := auth.Explain(err, ""); known != nil {
		words, hint = known.Message, cmp.Or(known.Hint, hint)
	} else if surface == tools.CLI {
		words = err.Error()
	} else {
		words = "the store cannot be used"
	}
	for _, end := range []string{"; nothing was done", "; nothing was changed"} {
		words = strings.TrimSuffix(words, end)
	}
	down := tools.Errorf(tools.AuditDown, "the audit log cannot be written, so nothing was done: %s", words).WithHint("%s", hint).Because(err)
	down.Retry = own != nil && own.Retry
	return down
}

func (s *lateStore) Create(ctx context.Context, a tools.Approval) (tools.Approval, bool, error) {
	db, err := s.DB(ctx)
	if err != nil {
		return tools.Approval{}, false, err
	}
	return db.Approvals.Create(ctx, a)
}

func (s *lateStore) Approval(ctx context.Context, id string) (tools.Approval, error) {
	db, err := s.DB(ctx)
	if err != nil {
		return tools.Approval{}, err
	}
	return db.Approvals.Approval(ctx, id)
}

func (s *lateStore) Approvals(ctx context.Context, f tools.Filter) ([]tools.Approval, error) {
	db, err := s.DB(ctx)
	if err != nil {
		return nil, err
	}
	return db.Approvals.Approvals(ctx, f)
}

func (s *lateStore) Vote(ctx context.Context, id string, v tools.Vote, change func(*tools.Approval)) (tools.Approval, bool, error) {
	db, err := s.DB(ctx)
	if err != nil {
		return tools.Approval{}, false, err
	}
	return db.Approvals.Vote(ctx, id, v, change)
}

func (s *lateStore) Move(ctx context.Context, id string, from []tools.State, change func(*tools.Approval)) (tools.Approval, bool, error) {
	db, err := s.DB(ctx)
	if err != nil {
		return tools.Approval{}, false, err
	}
	return db.Approvals.Move(ctx, id, from, change)
}

func (s *lateStore) Asked(ctx context.Context, requester string, since time.Time) (int, error) {
	db, err := s.DB(ctx)
	if err != nil {
		return 0, err
	}
	return db.Approvals.Asked(ctx, requester, since)
}

func (s *lateStore) Seen(ctx context.Context, now time.Time, reset bool) (time.Time, error) {
	db, err := s.DB(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return db.Approvals.Seen(ctx, now, reset)
}

// MadeBy fulfils tools.Tokens.
func (s *lateStore) MadeBy(ctx context.Context, id tools.Identity) (string, error) {
	name, is := strings.CutPrefix(string(id), "mcp:")
	if !is {
		return "", nil
	}
	db, err := s.DB(ctx)
	if err != nil {
		return "", err
	}
	return db.Tokens.MadeBy(ctx, name)
}

func (s *lateStore) DeniedSince(ctx context.Context, same string, since time.Time) (time.Time, error) {
	db, err := s.DB(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return db.Approvals.DeniedSince(ctx, same, since)
}
