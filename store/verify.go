package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/duplibot/duplibot/tools"
)

// Report is what Verify found.
type Report struct {
	Records int64  `json:"records"` // how many hold, from the first one on
	Head    Anchor `json:"head"`    // the last of them
	// Broken is nil when nothing is wrong. A cut that the log itself tells of
	// stays here for good, unless something is wrong that it does not know of.
	Broken *Break `json:"broken,omitempty"`
}

// OK reports whether the whole log holds.
func (r Report) OK() bool { return r.Broken == nil }

// Break is the first record that does not hold, or is not there.
type Break struct {
	Seq  int64     `json:"seq"`
	Kind BreakKind `json:"kind"`
	// Reason is a sentence for people.
	Reason string `json:"reason"`
}

// BreakKind says what is wrong with a record.
type BreakKind string

const (
	Altered   BreakKind = "altered"   // its content or its MAC is not what was written
	Missing   BreakKind = "missing"   // it was removed from the middle
	Misplaced BreakKind = "misplaced" // another record stands in its place
	CutOff    BreakKind = "cut_off"   // the log ends before it, and an anchor knows of it
	Replaced  BreakKind = "replaced"  // it holds, and is not the one that an anchor knows
)

// Verify reads the whole log and names the first record that does not hold.
// The anchors are places that are known from elsewhere: the keyring, approval
// cards. Each must be in the log; without any a cut end cannot be seen. An
// error means that the log could not be read, and says nothing about it.
func (l *Audit) Verify(ctx context.Context, anchors ...Anchor) (Report, error) {
	l.mu.Lock()
	key, err := l.open(ctx)
	l.mu.Unlock()
	if err != nil {
		return Report{}, fmt.Errorf("verify the audit log: %w", err)
	}
	rows, err := l.db.reader.QueryContext(ctx,
		`SELECT seq, at, event, operation, server, person, approval, record, mac FROM audit ORDER BY seq`)
	if err != nil {
		return Report{}, readable("verify the audit log", err)
	}
	defer rows.Close()
	anchors = slices.SortedFunc(slices.Values(anchors), func(a, b Anchor) int { return cmp.Compare(a.Seq, b.Seq) })
	var report Report
	var cut *Break // the first that the log itself tells of
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.seq, &r.at, &r.event, &r.operation, &r.server, &r.person, &r.approval, &r.record, &r.mac); err != nil {
			return Report{}, readable("verify the audit log", err)
		}
		rec, broken := r.follows(report.Head, key, anchors)
		if broken != nil {
			report.Broken = broken
			return report, nil
		}
		if rec.Event == tools.EventCut {
			b, gone := cutAt(rec)
			cut = cmp.Or(cut, b)
			anchors = slices.DeleteFunc(anchors, func(a Anchor) bool { return a == gone })
		}
		report.Head = Anchor{r.seq, r.mac}
		report.Records++
	}
	if err := rows.Err(); err != nil {
		return Report{}, readable("verify the audit log", err)
	}
	if n := len(anchors); n > 0 && anchors[n-1].Seq > report.Head.Seq {
		next, last := report.Head.Seq+1, anchors[n-1].Seq
		report.Broken = &Break{next, CutOff, fmt.Sprintf("the log ends at record %d; %s known from elsewhere, so the end was cut off", report.Head.Seq, span(next, last))}
	}
	report.Broken = cmp.Or(report.Broken, cut)
	return report, nil
}

// row is a record as it lies in the table.
type row struct {
	seq, at                                    int64
	event, operation, server, person, approval string
	record, mac                                string
}

// follows reads r, or returns what is wrong with it as the record after head.
func (r row) follows(head Anchor, key chainKey, anchors []Anchor) (tools.Record, *Break) {
	want := head.Seq + 1
	broken := func(kind BreakKind, format string, args ...any) (tools.Record, *Break) {
		return tools.Record{}, &Break{want, kind, fmt.Sprintf(format, args...)}
	}
	if r.seq != want {
		return broken(Missing, "%s missing between %d and %d", span(want, r.seq-1), head.Seq, r.seq)
	}
	if !key.made(r.record, r.mac) || r.record == "" {
		if head.Seq == 0 {
			return broken(Altered, "record 1 was altered, or this is not the key that the log was written with")
		}
		return broken(Altered, "record %d was altered after it was written", want)
	}
	// From here on the key has made it: what stands in it was once true.
	rec, err := decodeRecord(r.record, r.mac)
	if err != nil {
		return broken(Altered, "record %d cannot be read: %v", want, err)
	}
	if rec.Seq != want {
		return broken(Misplaced, "in the place of record %d stands record %d", want, rec.Seq)
	}
	if rec.Prev != head.MAC {
		return broken(Misplaced, "record %d does not follow the record %d that stands before it: one of them is from another log", want, head.Seq)
	}
	if r.at != millis(rec.At) || r.event != string(rec.Event) || r.operation != rec.Operation ||
		r.server != rec.Server || r.person != rec.Person || r.approval != rec.Approval {
		return broken(Altered, "what record %d is found by was altered; the record itself was not", want)
	}
	for _, a := range anchors {
		if a.Seq == want && a.MAC != r.mac {
			return broken(Replaced, "record %d is not the one that is known from elsewhere: the log was written anew from there or before", want)
		}
	}
	return rec, nil
}

// span names records first to last with their verb.
func span(first, last int64) string {
	if first == last {
		return fmt.Sprintf("record %d is", first)
	}
	return fmt.Sprintf("records %d to %d are", first, last)
}
