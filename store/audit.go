package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// Audit is the append-only log, a chain in which each record carries a MAC
// over itself and the MAC before it. Who can edit the file but has no key
// cannot alter, remove or reorder records unseen; that its end was cut shows
// against an [Anchor] kept elsewhere.
type Audit struct {
	db       *DB
	askKey   func(context.Context) (secret.Value, error)
	anchored func(Anchor)
	known    func(context.Context) (Anchor, bool, error)

	mu   sync.Mutex // one Append at a time, so that anchored is told in order
	key  secret.Value
	mine Anchor // the record that was appended last here; it needs no check
}

var _ tools.AuditLog = (*Audit)(nil)

// KeySize is the length of an audit key in bytes.
const KeySize = 32

// Anchor is a place in the chain: the record's number, which is also how many
// there are up to it, and its MAC in hex. The zero Anchor is the beginning.
type Anchor struct {
	Seq int64  `json:"seq"`
	MAC string `json:"mac"`
}

// Append sets Seq, Prev and MAC, At when it is zero, and stores r durably. Any
// error is of code AuditDown, and then nothing was stored. A log whose newest
// record the key did not write gets no more records.
func (l *Audit) Append(ctx context.Context, r tools.Record) (tools.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.append(ctx, &r); err != nil {
		return tools.Record{}, auditDown(err)
	}
	l.mine = Anchor{r.Seq, r.MAC}
	if l.anchored != nil {
		l.anchored(l.mine)
	}
	return r, nil
}

func (l *Audit) append(ctx context.Context, r *tools.Record) error {
	key, err := l.open(ctx)
	if err != nil {
		return err
	}
	if r.At.IsZero() {
		r.At = l.db.now()
	}
	r.At = trim(r.At)
	witness, err := l.witness(ctx)
	if err != nil {
		return err
	}
	return l.db.write(ctx, "append to the audit log", func(tx *sql.Tx) error {
		head, record, err := newest(ctx, tx)
		if err != nil {
			return err
		}
		if head != l.mine && !key.made(record, head.MAC) {
			return errForeignHead
		}
		if gone, err := missing(ctx, tx, witness, head); err != nil {
			return err
		} else if gone != "" {
			cut := tools.Record{At: r.At, Event: tools.EventCut, Target: witness.String(), Detail: gone}
			if err := key.insert(ctx, tx, head, &cut); err != nil {
				return err
			}
			head = Anchor{cut.Seq, cut.MAC}
		}
		return key.insert(ctx, tx, head, r)
	})
}

// insert stores r as the record after head.
func (k chainKey) insert(ctx context.Context, tx *sql.Tx, head Anchor, r *tools.Record) error {
	r.Seq, r.Prev = head.Seq+1, head.MAC
	text, err := canonical(*r)
	if err != nil {
		return err
	}
	r.MAC = k.mac(text)
	_, err = tx.ExecContext(ctx, `
		INSERT INTO audit (seq, at, event, operation, server, person, approval, record, mac)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		r.Seq, millis(r.At), string(r.Event), r.Operation, r.Server, r.Person, r.Approval, text, r.MAC)
	return err
}

var errForeignHead = errors.New("the newest record was not written with this audit key")

// auditDown says what a failed Append means to who asked for something.
func auditDown(err error) error {
	down := tools.Errorf(tools.AuditDown, "the audit log cannot be written, so nothing was done").Because(err)
	if errors.Is(err, errForeignHead) {
		down.Message += ": " + errForeignHead.Error()
		return down.WithHint("see what happened with: audit verify. With the right key, or with a new store, the bot works again")
	}
	if e := (*tools.Error)(nil); errors.As(err, &e) {
		down.Message += ": " + e.Message
		down.Hint, down.Retry = e.Hint, e.Retry
	}
	return down
}

// newest reads the head of the chain and its record.
func newest(ctx context.Context, tx *sql.Tx) (head Anchor, record string, err error) {
	err = tx.QueryRowContext(ctx, `SELECT seq, mac, record FROM audit ORDER BY seq DESC LIMIT 1`).
		Scan(&head.Seq, &head.MAC, &record)
	if errors.Is(err, sql.ErrNoRows) {
		return Anchor{}, "", nil
	}
	return head, record, err
}

// Head is the newest record's place, zero when there is none.
func (l *Audit) Head(ctx context.Context) (Anchor, error) {
	var a Anchor
	err := l.db.reader.QueryRowContext(ctx, `SELECT seq, mac FROM audit ORDER BY seq DESC LIMIT 1`).Scan(&a.Seq, &a.MAC)
	if errors.Is(err, sql.ErrNoRows) {
		return Anchor{}, nil
	}
	return a, readable("read the head of the audit log", err)
}

// AuditFilter selects records; zero fields select all.
type AuditFilter struct {
	Since, Until time.Time // at or after, before
	Person       string
	Operation    string
	Server       string
	Event        tools.Event
	Approval     string
	// After is the number of a record. With it come the first Limit records
	// that follow; without it the newest Limit ones. To follow the log, ask
	// again with the Seq of the last one seen.
	After int64
	Limit int // 0 is 100
}

// Records lists records, oldest first. It does not check them; see Verify.
func (l *Audit) Records(ctx context.Context, f AuditFilter) ([]tools.Record, error) {
	where, args := "seq > $1", []any{f.After}
	add := func(condition string, arg any) {
		args = append(args, arg)
		where += fmt.Sprintf(" AND %s $%d", condition, len(args))
	}
	if !f.Since.IsZero() {
		add("at >=", millis(f.Since))
	}
	if !f.Until.IsZero() {
		add("at <", millis(f.Until))
	}
	for _, c := range []struct{ column, value string }{
		{"person", f.Person}, {"operation", f.Operation}, {"server", f.Server},
		{"event", string(f.Event)}, {"approval", f.Approval},
	} {
		if c.value != "" {
			add(c.column+" =", c.value)
		}
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	order := "DESC"
	if f.After > 0 {
		order = "ASC"
	}
	args = append(args, f.Limit)
	list, err := collect(ctx, l.db.reader, "read the audit log", scanRecord,
		fmt.Sprintf(`SELECT record, mac FROM audit WHERE %s ORDER BY seq %s LIMIT $%d`, where, order, len(args)), args...)
	if err != nil {
		return nil, err
	}
	if order == "DESC" {
		slices.Reverse(list)
	}
	return list, nil
}

func scanRecord(rows *sql.Rows) (tools.Record, error) {
	var text, mac string
	if err := rows.Scan(&text, &mac); err != nil {
		return tools.Record{}, err
	}
	r, err := decodeRecord(text, mac)
	if err != nil {
		return r, tools.Errorf(tools.Internal, "an audit record cannot be read").
			WithHint("find it with: audit verify").Because(err)
	}
	return r, nil
}

func decodeRecord(text, mac string) (tools.Record, error) {
	var r tools.Record
	err := json.Unmarshal([]byte(text), &r)
	r.MAC = mac
	return r, err
}

// canonical is what a MAC is over: the record as JSON in the order of its
// fields, without its MAC. It is stored as it is, so that a field that a later
// version adds changes no old record.
func canonical(r tools.Record) (string, error) {
	return encode(struct {
		tools.Record
		MAC *string `json:"mac,omitempty"` // hides the one of Record
	}{Record: r})
}

// chainKey makes and checks MACs.
type chainKey struct{ word secret.Value }

// open asks for the key once.
func (l *Audit) open(ctx context.Context) (chainKey, error) {
	if !l.key.Empty() {
		return chainKey{l.key}, nil
	}
	if l.askKey == nil {
		return chainKey{}, errors.New("the store was opened without an audit key")
	}
	key, err := l.askKey(ctx)
	if err != nil {
		return chainKey{}, fmt.Errorf("read the audit key: %w", err)
	}
	if n := len(key.Reveal()); n != KeySize {
		return chainKey{}, fmt.Errorf("the audit key has %d bytes, not %d", n, KeySize)
	}
	l.key = key
	return chainKey{key}, nil
}

func (k chainKey) mac(text string) string {
	h := hmac.New(sha256.New, []byte(k.word.Reveal()))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

// made reports whether mac is this key's over text; an empty log has neither.
func (k chainKey) made(text, mac string) bool {
	return text == "" && mac == "" || hmac.Equal([]byte(mac), []byte(k.mac(text)))
}
