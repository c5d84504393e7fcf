package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// Approvals keeps requests and their votes. Times are kept in milliseconds.
// Updated is set here, at every change.
type Approvals struct{ db *DB }

var _ tools.Approvals = (*Approvals)(nil)

// openStates are those in which there is one request for equal calls, as in
// the index approvals_one_open.
const openStates = `('input', 'pending', 'approved', 'executing')`

// Create stores a, or returns the open request with the same a.Same. However
// many ask at once, one is created.
func (s *Approvals) Create(ctx context.Context, a tools.Approval) (stored tools.Approval, created bool, err error) {
	if a.ID == "" || a.Same == "" {
		return tools.Approval{}, false, errors.New("store request: it needs an ID and a key for equal calls")
	}
	err = s.db.write(ctx, "store request "+a.ID, func(tx *sql.Tx) error {
		open, err := one(ctx, tx, `same = $1 AND state IN `+openStates, a.Same)
		if err == nil {
			stored = open
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		created = true
		stored, err = s.insert(ctx, tx, a)
		return err
	})
	if err != nil {
		return tools.Approval{}, false, err
	}
	return stored, created, nil
}

func (s *Approvals) insert(ctx context.Context, tx *sql.Tx, a tools.Approval) (tools.Approval, error) {
	now := s.db.now()
	if a.Created.IsZero() {
		a.Created = now
	}
	a.Updated = now
	a.Created, a.Expires, a.Updated = trim(a.Created), trim(a.Expires), trim(a.Updated)
	request, err := encodeRequest(a)
	if err != nil {
		return a, err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO approvals (id, number, same, requester, asks, state, created, updated, request)
		VALUES ($1, (SELECT COALESCE(MAX(number), 0) + 1 FROM approvals), $2, $3, $4, $5, $6, $7, $8)`,
		a.ID, a.Same, a.Requester, bit(a.Asks), string(a.State), millis(a.Created), millis(a.Updated), request)
	if err != nil {
		return a, err
	}
	for i := range a.Votes {
		a.Votes[i].At = trim(a.Votes[i].At)
		if err := addVote(ctx, tx, a.ID, i, a.Votes[i]); err != nil {
			return a, err
		}
	}
	return a, nil
}

// Approval finds one; an unknown ID is an Error of code NotFound.
func (s *Approvals) Approval(ctx context.Context, id string) (tools.Approval, error) {
	a, err := one(ctx, s.db.reader, `id = $1`, id)
	return a, unknown(id, readable("read request "+id, err))
}

// Approvals lists requests, newest first.
func (s *Approvals) Approvals(ctx context.Context, f tools.Filter) ([]tools.Approval, error) {
	where, args := "1 = 1", []any{}
	if len(f.States) > 0 {
		marks := make([]string, len(f.States))
		for i, state := range f.States {
			args = append(args, string(state))
			marks[i] = fmt.Sprintf("$%d", len(args))
		}
		where = "state IN (" + strings.Join(marks, ", ") + ")"
	}
	if f.Requester != "" {
		args = append(args, f.Requester)
		where += fmt.Sprintf(" AND requester = $%d", len(args))
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	list, err := requests(ctx, s.db.reader, where, f.Limit, args...)
	return list, readable("list requests", err)
}

// Vote adds v to a pending request that has no vote of that person, and then
// applies change, in one transaction. voted is false, with no error, when the
// request is no longer pending or the person has voted.
//
// change may alter what is not a vote; it must not use the store, whose one
// writer is taken while it runs.
func (s *Approvals) Vote(ctx context.Context, id string, v tools.Vote, change func(*tools.Approval)) (a tools.Approval, voted bool, err error) {
	if v.Person == "" {
		return tools.Approval{}, false, errors.New("store vote: it has no person")
	}
	err = s.db.write(ctx, "store vote on "+id, func(tx *sql.Tx) error {
		if a, err = one(ctx, tx, `id = $1`, id); err != nil {
			return err
		}
		has := func(w tools.Vote) bool { return w.Person == v.Person }
		if a.State != tools.StatePending || slices.ContainsFunc(a.Votes, has) {
			return nil
		}
		v.At = trim(v.At)
		if err := addVote(ctx, tx, id, len(a.Votes), v); err != nil {
			return err
		}
		a.Votes = append(a.Votes, v)
		voted = true
		return s.change(ctx, tx, &a, change)
	})
	if err != nil {
		return tools.Approval{}, false, unknown(id, err)
	}
	return a, voted, nil
}

// Move applies change to a request that is in one of the states from, in one
// transaction. moved is false, with no error, when it is in another. What is
// said of change at Vote holds here too.
func (s *Approvals) Move(ctx context.Context, id string, from []tools.State, change func(*tools.Approval)) (a tools.Approval, moved bool, err error) {
	err = s.db.write(ctx, "move request "+id, func(tx *sql.Tx) error {
		if a, err = one(ctx, tx, `id = $1`, id); err != nil {
			return err
		}
		if !slices.Contains(from, a.State) {
			return nil
		}
		moved = true
		return s.change(ctx, tx, &a, change)
	})
	if err != nil {
		return tools.Approval{}, false, unknown(id, err)
	}
	return a, moved, nil
}

// change applies f and stores the result. Who asked for what is fixed when a
// request is made.
func (s *Approvals) change(ctx context.Context, tx *sql.Tx, a *tools.Approval, f func(*tools.Approval)) error {
	before := *a
	before.Votes = slices.Clone(a.Votes)
	if f != nil {
		f(a)
	}
	if a.ID != before.ID || a.Same != before.Same || a.Operation != before.Operation || a.Server != before.Server ||
		a.Requester != before.Requester || !a.Created.Equal(before.Created) || a.Asks != before.Asks {
		return fmt.Errorf("request %s: a change would make it another request; nothing was changed", before.ID)
	}
	a.Votes = before.Votes
	a.Expires, a.Updated = trim(a.Expires), trim(s.db.now())
	request, err := encodeRequest(*a)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE approvals SET state = $1, updated = $2, request = $3 WHERE id = $4`,
		string(a.State), millis(a.Updated), request, a.ID)
	return err
}

// Asked counts the requests of requester since then that have Asks set.
func (s *Approvals) Asked(ctx context.Context, requester string, since time.Time) (int, error) {
	var n int
	err := s.db.reader.QueryRowContext(ctx,
		`SELECT COUNT(*) FROM approvals WHERE requester = $1 AND created >= $2 AND asks = 1`,
		requester, millis(since)).Scan(&n)
	return n, readable("count requests of "+requester, err)
}

// clockNote is the name under which Notes has the latest time that was seen.
const clockNote = "clock"

// Seen notes that it is now, and returns the latest time that was noted, in
// whatever process. With reset that is now, also where it is earlier.
func (s *Approvals) Seen(ctx context.Context, now time.Time, reset bool) (latest time.Time, err error) {
	err = s.db.write(ctx, "note the time", func(tx *sql.Tx) error {
		var text string
		err := tx.QueryRowContext(ctx, `SELECT value FROM notes WHERE name = $1`, clockNote).Scan(&text)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		// What is no time is none that was seen.
		if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
			latest = instant(ms)
		}
		if !reset && !trim(now).After(latest) {
			return nil
		}
		latest = trim(now)
		_, err = tx.ExecContext(ctx, writeNote, clockNote, strconv.FormatInt(millis(now), 10), millis(now))
		return err
	})
	return latest, err
}

// DeniedSince reports the newest denial of an equal call, zero when none.
func (s *Approvals) DeniedSince(ctx context.Context, same string, since time.Time) (time.Time, error) {
	var at int64
	err := s.db.reader.QueryRowContext(ctx,
		`SELECT COALESCE(MAX(updated), 0) FROM approvals WHERE same = $1 AND state = 'denied' AND updated >= $2`,
		same, millis(since)).Scan(&at)
	return instant(at), readable("look for a denied request", err)
}

// unknown says which request there is not, and passes other errors on.
func unknown(id string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return tools.Errorf(tools.NotFound, "there is no request %.40q", id).WithHint("see the open ones with: approvals")
	}
	return err
}

func addVote(ctx context.Context, tx *sql.Tx, approval string, number int, v tools.Vote) error {
	vote, err := encode(v)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO votes (approval, person, number, vote) VALUES ($1, $2, $3, $4)`,
		approval, v.Person, number, vote)
	return err
}

// one reads the only request that where selects, or sql.ErrNoRows.
func one(ctx context.Context, q queryer, where string, args ...any) (tools.Approval, error) {
	list, err := requests(ctx, q, where, 1, args...)
	if err != nil {
		return tools.Approval{}, err
	}
	if len(list) == 0 {
		return tools.Approval{}, sql.ErrNoRows
	}
	return list[0], nil
}

// requests reads requests with their votes in one query: a request comes once
// for each vote, and once when it has none.
func requests(ctx context.Context, q queryer, where string, limit int, args ...any) ([]tools.Approval, error) {
	args = append(args, limit)
	rows, err := q.QueryContext(ctx, fmt.Sprintf(`
		SELECT a.id, a.request, v.vote
		FROM (SELECT id, number, request FROM approvals WHERE %s ORDER BY number DESC LIMIT $%d) a
		LEFT JOIN votes v ON v.approval = a.id
		ORDER BY a.number DESC, v.number`, where, len(args)), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []tools.Approval{}
	for rows.Next() {
		var id string
		var request, vote sql.RawBytes
		if err := rows.Scan(&id, &request, &vote); err != nil {
			return nil, err
		}
		if len(list) == 0 || list[len(list)-1].ID != id {
			var a tools.Approval
			if err := json.Unmarshal(request, &a); err != nil {
				return nil, fmt.Errorf("request %s: %w", id, err)
			}
			list = append(list, a)
		}
		if vote == nil {
			continue
		}
		var v tools.Vote
		if err := json.Unmarshal(vote, &v); err != nil {
			return nil, fmt.Errorf("vote on request %s: %w", id, err)
		}
		a := &list[len(list)-1]
		a.Votes = append(a.Votes, v)
	}
	return list, rows.Err()
}

// encodeRequest writes a without its votes, which have a table.
func encodeRequest(a tools.Approval) (string, error) {
	a.Votes = nil
	return encode(a)
}

// encode is JSON that leaves stored JSON, such as the arguments of a call, as
// it is: json.Marshal would escape <, > and & inside it.
func encode(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
