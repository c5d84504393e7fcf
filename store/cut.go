package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/duplibot/duplibot/tools"
)

// String names a place in the chain, as a record of a cut has it for target.
func (a Anchor) String() string { return fmt.Sprintf("record %d %s", a.Seq, a.MAC) }

// witness is a place that must be in the log: the last one that was appended
// here, at first the one that is known from elsewhere, if any.
func (l *Audit) witness(ctx context.Context) (Anchor, error) {
	if l.mine != (Anchor{}) || l.known == nil {
		return l.mine, nil
	}
	a, ok, err := l.known(ctx)
	if err != nil || !ok {
		return Anchor{}, err
	}
	return a, nil
}

// missing says in words which records are gone, "" when the log has the one
// that is known, or has said already that it has not.
func missing(ctx context.Context, tx *sql.Tx, known, head Anchor) (gone string, err error) {
	if known == (Anchor{}) || known == head {
		return "", nil
	}
	var mac string
	err = tx.QueryRowContext(ctx, `SELECT mac FROM audit WHERE seq = $1`, known.Seq).Scan(&mac)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		gone = fmt.Sprintf("%s known from elsewhere and gone: the log went on after record %d", span(head.Seq+1, known.Seq), head.Seq)
	case err != nil:
		return "", err
	case mac == known.MAC:
		return "", nil
	default:
		gone = fmt.Sprintf("record %d is another than the one that is known from elsewhere: the log was written anew from there or before", known.Seq)
	}
	cuts, err := collect(ctx, tx, "read the audit log", scanRecord, `SELECT record, mac FROM audit WHERE event = $1`, string(tools.EventCut))
	for _, cut := range cuts {
		if cut.Target == known.String() {
			return "", nil
		}
	}
	return gone, err
}

// cutAt returns the break that a record tells of, and the place that it knows
// to be gone.
func cutAt(r tools.Record) (*Break, Anchor) {
	var gone Anchor
	if _, err := fmt.Sscanf(r.Target, "record %d %s", &gone.Seq, &gone.MAC); err != nil || gone.Seq >= r.Seq {
		return &Break{r.Seq, CutOff, r.Detail}, gone
	}
	return &Break{gone.Seq, Replaced, r.Detail}, gone
}
