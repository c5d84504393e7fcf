package store_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"

	"github.com/google/go-cmp/cmp"
)

func appendN(t testing.TB, db *store.DB, n int) []tools.Record {
	t.Helper()
	list := []tools.Record{}
	for i := range n {
		r, err := db.Audit.Append(t.Context(), tools.Record{
			Event: tools.EventIntent, Operation: "run", Server: "nas", Person: "ann",
			Approval: fmt.Sprintf("a%d", i%3), Detail: `<"run" & wait>`,
		})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

func verify(t testing.TB, db *store.DB, anchors ...store.Anchor) store.Report {
	t.Helper()
	report, err := db.Audit.Verify(t.Context(), anchors...)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func anchor(r tools.Record) store.Anchor { return store.Anchor{Seq: r.Seq, MAC: r.MAC} }

func TestAppendMakesAChain(t *testing.T) {
	var anchored []store.Anchor
	db := open(t, store.Options{
		Now:      func() time.Time { return start.Add(1234567) },
		Anchored: func(a store.Anchor) { anchored = append(anchored, a) },
	})
	if report := verify(t, db, store.Anchor{}); !report.OK() || report.Records != 0 {
		t.Errorf("an empty log: %+v", report)
	}
	list := appendN(t, db, 5)
	for i, r := range list {
		if r.Seq != int64(i+1) || i > 0 && r.Prev != list[i-1].MAC || !r.At.Equal(start.Add(time.Millisecond)) {
			t.Errorf("record %d is %+v", i, r)
		}
		if anchored[i] != anchor(r) {
			t.Errorf("anchor %d is %v, want %v", i, anchored[i], anchor(r))
		}
	}
	read, err := db.Audit.Records(t.Context(), store.AuditFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(list, read); diff != "" {
		t.Errorf("what Append returned and what is read differ:\n%s", diff)
	}
	head, err := db.Audit.Head(t.Context())
	if err != nil || head != anchor(list[4]) {
		t.Errorf("head is %v, %v; want %v", head, err, anchor(list[4]))
	}
	if report := verify(t, db, anchor(list[4]), anchor(list[1])); !report.OK() || report.Records != 5 || report.Head != head {
		t.Errorf("report is %+v", report)
	}
}

// A change of what the MAC is over would break every log that exists, so the
// text stands here in full, and the MAC is made by hand.
func TestTheMACIsOverTheRecordWithoutItsMAC(t *testing.T) {
	db := open(t, store.Options{Now: func() time.Time { return start }})
	list := appendN(t, db, 2)
	text := `{"seq":2,"at":"2026-03-01T12:00:00Z","event":"intent","operation":"run","server":"nas","person":"ann","approval":"a1",` +
		`"detail":"<\"run\" & wait>","prev":"` + list[0].MAC + `"}`
	h := hmac.New(sha256.New, []byte(strings.Repeat("k", store.KeySize)))
	h.Write([]byte(text))
	if want := hex.EncodeToString(h.Sum(nil)); list[1].MAC != want {
		t.Errorf("MAC of the second record is %s, want %s", list[1].MAC, want)
	}
}

func TestVerifyNamesTheFirstThatDoesNotHold(t *testing.T) {
	off := []string{`DROP TRIGGER audit_is_next`, `DROP TRIGGER audit_is_not_changed`, `DROP TRIGGER audit_is_not_deleted`}
	swap := []string{
		`UPDATE audit SET seq = 1004 WHERE seq = 4`, `UPDATE audit SET seq = 4 WHERE seq = 5`, `UPDATE audit SET seq = 5 WHERE seq = 1004`,
	}
	for name, c := range map[string]struct {
		edits []string
		seq   int64
		kind  store.BreakKind
	}{
		"a record altered":            {[]string{`UPDATE audit SET record = replace(record, 'ann', 'bob') WHERE seq >= 4`}, 4, store.Altered},
		"a MAC altered":               {[]string{`UPDATE audit SET mac = 'ff' || substr(mac, 3) WHERE seq = 4`}, 4, store.Altered},
		"a MAC taken away":            {[]string{`UPDATE audit SET mac = '' WHERE seq = 4`}, 4, store.Altered},
		"a record emptied":            {[]string{`UPDATE audit SET record = '', mac = '' WHERE seq = 4`}, 4, store.Altered},
		"hidden from a search":        {[]string{`UPDATE audit SET person = 'bob' WHERE seq = 4`}, 4, store.Altered},
		"the first one altered":       {[]string{`UPDATE audit SET record = replace(record, 'ann', 'bob') WHERE seq = 1`}, 1, store.Altered},
		"one removed from the middle": {[]string{`DELETE FROM audit WHERE seq = 4`}, 4, store.Missing},
		"removed, the rest moved up":  {[]string{`DELETE FROM audit WHERE seq = 4`, `UPDATE audit SET seq = seq - 1 WHERE seq > 4`}, 4, store.Misplaced},
		"the first one removed":       {[]string{`DELETE FROM audit WHERE seq = 1`}, 1, store.Missing},
		"two in each other's place":   {swap, 4, store.Misplaced},
		"one doubled":                 {[]string{`INSERT INTO audit SELECT 11, at, event, operation, server, person, approval, record, mac FROM audit WHERE seq = 10`}, 11, store.Misplaced},
		"the end cut off":             {[]string{`DELETE FROM audit WHERE seq > 7`}, 8, store.CutOff},
		"everything removed":          {[]string{`DELETE FROM audit`}, 1, store.CutOff},
		"something put in at the end": {[]string{`INSERT INTO audit SELECT 11, at, event, operation, server, person, approval, replace(record, '"seq":10', '"seq":11'), mac FROM audit WHERE seq = 10`}, 11, store.Altered},
		"an untouched log":            {nil, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			db := open(t, store.Options{Path: path})
			list := appendN(t, db, 10)
			if c.edits != nil {
				edit(t, path, append(off, c.edits...)...)
			}
			report := verify(t, db, anchor(list[2]), anchor(list[9]))
			if c.edits == nil {
				if !report.OK() {
					t.Errorf("found %+v", report.Broken)
				}
				return
			}
			if report.OK() {
				t.Fatal("nothing was found")
			}
			if report.Broken.Seq != c.seq || report.Broken.Kind != c.kind || report.Records != c.seq-1 {
				t.Errorf("found %+v after %d that hold; want %s at %d", *report.Broken, report.Records, c.kind, c.seq)
			}
		})
	}
}

func TestVerifyFindsALogThatWasWrittenAnew(t *testing.T) {
	path := newPath(t)
	db := open(t, store.Options{Path: path})
	card := anchor(appendN(t, db, 10)[5])
	edit(t, path, `DROP TRIGGER audit_is_not_deleted`, `DELETE FROM audit WHERE seq > 3`)
	other := open(t, store.Options{Path: path}) // as after a restart, with no witness
	appendN(t, other, 10)
	if report := verify(t, other); !report.OK() {
		t.Fatalf("the chain itself holds, but %+v", report.Broken)
	}
	report := verify(t, other, card)
	if report.OK() || report.Broken.Seq != 6 || report.Broken.Kind != store.Replaced {
		t.Errorf("with what a card knows: %+v, want replaced at 6", report.Broken)
	}
}

func TestTheTableItselfIsAppendOnly(t *testing.T) {
	path := newPath(t)
	db := open(t, store.Options{Path: path})
	appendN(t, db, 3)
	for _, statement := range []string{
		`UPDATE audit SET person = 'bob'`,
		`DELETE FROM audit WHERE seq = 3`,
		`INSERT INTO audit SELECT 9, at, event, operation, server, person, approval, record, mac FROM audit WHERE seq = 3`,
		`INSERT OR REPLACE INTO audit SELECT 2, at, event, operation, server, person, approval, record, mac FROM audit WHERE seq = 3`,
	} {
		if err := exec1(path, statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: error is %v, want append-only", statement, err)
		}
	}
	if report := verify(t, db); !report.OK() || report.Records != 3 {
		t.Errorf("report is %+v", report)
	}
}

func TestAnotherKeyDoesNotContinueTheLog(t *testing.T) {
	path := newPath(t)
	appendN(t, open(t, store.Options{Path: path}), 2)
	other := open(t, store.Options{Path: path, AuditKey: func(context.Context) (secret.Value, error) {
		return secret.New(strings.Repeat("x", store.KeySize)), nil
	}})
	_, err := other.Audit.Append(t.Context(), tools.Record{Event: tools.EventIntent})
	wantCode(t, err, tools.AuditDown)
	if report := verify(t, other); report.OK() || report.Broken.Seq != 1 || !strings.Contains(report.Broken.Reason, "not the key") {
		t.Errorf("report with another key is %+v", report.Broken)
	}
}

func TestALogWhoseEndHasNoMACIsNotContinued(t *testing.T) {
	path := newPath(t)
	appendN(t, open(t, store.Options{Path: path}), 2)
	edit(t, path, `DROP TRIGGER audit_is_not_changed`, `UPDATE audit SET mac = '' WHERE seq = 2`)
	_, err := open(t, store.Options{Path: path}).Audit.Append(t.Context(), tools.Record{Event: tools.EventIntent})
	wantCode(t, err, tools.AuditDown)
}

func TestWithoutAKeyNothingIsAppended(t *testing.T) {
	path := newPath(t)
	locked := errors.New("the keyring is locked")
	for name, key := range map[string]func(context.Context) (secret.Value, error){
		"an error":    func(context.Context) (secret.Value, error) { return secret.Value{}, locked },
		"a short key": func(context.Context) (secret.Value, error) { return secret.New("short"), nil },
		"no key":      func(context.Context) (secret.Value, error) { return secret.Value{}, nil },
	} {
		db := open(t, store.Options{Path: path, AuditKey: key})
		_, err := db.Audit.Append(t.Context(), tools.Record{Event: tools.EventIntent})
		wantCode(t, err, tools.AuditDown)
		if name == "an error" && !errors.Is(err, locked) {
			t.Errorf("%s: %v does not keep the cause", name, err)
		}
		if _, err := db.Audit.Verify(t.Context()); err == nil {
			t.Errorf("%s: verified", name)
		}
		if head, err := db.Audit.Head(t.Context()); err != nil || head.Seq != 0 {
			t.Errorf("%s: head is %v, %v", name, head, err)
		}
	}
}

func TestAFullDiskRefusesAndHarmsNothing(t *testing.T) {
	db := open(t, store.Options{})
	ctx := t.Context()
	if _, _, err := db.Approvals.Create(ctx, request("a1")); err != nil {
		t.Fatal(err)
	}
	if err := db.Pragma(ctx, "max_page_count=60"); err != nil {
		t.Fatal(err)
	}
	var err error
	n := 0
	for ; err == nil && n < 10000; n++ {
		_, err = db.Audit.Append(ctx, tools.Record{Event: tools.EventIntent, Detail: strings.Repeat("x", 500)})
	}
	wantCode(t, err, tools.AuditDown)
	if !strings.Contains(err.Error(), "full") || !strings.Contains(err.Error(), "nothing was done") {
		t.Errorf("error is %q", err)
	}
	big := request("a2")
	big.Reason = strings.Repeat("x", 100_000)
	_, _, err = db.Approvals.Create(ctx, big)
	wantCode(t, err, tools.Unavailable)
	if a, err := db.Approvals.Approval(ctx, "a1"); err != nil || a.State != tools.StatePending {
		t.Errorf("reading still works: %s, %v", a.State, err)
	}
	if report := verify(t, db); !report.OK() || report.Records != int64(n-1) {
		t.Errorf("after the disk was full: %+v, want %d records", report, n-1)
	}
	if err := db.Pragma(ctx, "max_page_count=100000"); err != nil {
		t.Fatal(err)
	}
	appendN(t, db, 1)
	if report := verify(t, db); !report.OK() || report.Records != int64(n) {
		t.Errorf("after room was made: %+v, want %d records", report, n)
	}
}

func TestAReadOnlyDiskRefuses(t *testing.T) {
	db := open(t, store.Options{})
	appendN(t, db, 1)
	if err := db.Pragma(t.Context(), "query_only=1"); err != nil {
		t.Fatal(err)
	}
	_, err := db.Audit.Append(t.Context(), tools.Record{Event: tools.EventIntent})
	wantCode(t, err, tools.AuditDown)
	if !strings.Contains(err.Error(), "cannot be written") || strings.Contains(err.Error(), "duplibot.db") {
		t.Errorf("error is %q; want words and no path", err)
	}
	_, _, err = db.Approvals.Create(t.Context(), request("a1"))
	wantCode(t, err, tools.Unavailable)
}

func TestRecordsAreSelected(t *testing.T) {
	now := start
	db := open(t, store.Options{Now: func() time.Time { return now }})
	for i, r := range []tools.Record{
		{Event: tools.EventRequested, Operation: "delete", Server: "nas", Person: "ann", Approval: "a1"},
		{Event: tools.EventVoted, Operation: "delete", Server: "nas", Person: "bob", Approval: "a1"},
		{Event: tools.EventRefused, Operation: "run", Server: "prod", Person: "ann"},
		{Event: tools.EventIntent, Operation: "delete", Server: "nas", Person: "ann", Approval: "a1"},
		{Event: tools.EventOutcome, Operation: "delete", Server: "nas", Person: "ann", Approval: "a1"},
	} {
		now = start.Add(time.Duration(i) * time.Minute)
		if _, err := db.Audit.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		filter store.AuditFilter
		want   []int64
	}{
		"all":           {store.AuditFilter{}, []int64{1, 2, 3, 4, 5}},
		"the newest":    {store.AuditFilter{Limit: 2}, []int64{4, 5}},
		"what follows":  {store.AuditFilter{After: 2, Limit: 2}, []int64{3, 4}},
		"nothing new":   {store.AuditFilter{After: 5}, []int64{}},
		"a time":        {store.AuditFilter{Since: start.Add(time.Minute), Until: start.Add(3 * time.Minute)}, []int64{2, 3}},
		"a person":      {store.AuditFilter{Person: "bob"}, []int64{2}},
		"an operation":  {store.AuditFilter{Operation: "run"}, []int64{3}},
		"a server":      {store.AuditFilter{Server: "prod"}, []int64{3}},
		"an event":      {store.AuditFilter{Event: tools.EventIntent}, []int64{4}},
		"a request":     {store.AuditFilter{Approval: "a1", Person: "ann"}, []int64{1, 4, 5}},
		"somebody else": {store.AuditFilter{Person: "x' OR '1'='1"}, []int64{}},
	} {
		list, err := db.Audit.Records(t.Context(), c.filter)
		if err != nil {
			t.Fatal(err)
		}
		got := []int64{}
		for _, r := range list {
			got = append(got, r.Seq)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestAClockThatGoesBackDoesNotBreakTheChain(t *testing.T) {
	now := start
	db := open(t, store.Options{Now: func() time.Time { return now }})
	for range 5 {
		appendN(t, db, 1)
		now = now.Add(-24 * time.Hour)
	}
	if report := verify(t, db); !report.OK() || report.Records != 5 {
		t.Errorf("report is %+v", report)
	}
	list, err := db.Audit.Records(t.Context(), store.AuditFilter{Limit: 1})
	if err != nil || len(list) != 1 || list[0].Seq != 5 {
		t.Errorf("the newest is %+v, %v; want record 5", list, err)
	}
}

func TestTwoProcessesWriteOneChain(t *testing.T) {
	path := newPath(t)
	var mu sync.Mutex
	last := map[int]int64{}
	var dbs []*store.DB
	for i := range 2 {
		dbs = append(dbs, open(t, store.Options{Path: path, Anchored: func(a store.Anchor) {
			mu.Lock()
			defer mu.Unlock()
			if a.Seq <= last[i] {
				t.Errorf("anchor %d came after %d", a.Seq, last[i])
			}
			last[i] = a.Seq
		}}))
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 25 {
				if _, err := dbs[i%2].Audit.Append(t.Context(), tools.Record{Event: tools.EventIntent}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if report := verify(t, dbs[0]); !report.OK() || report.Records != 200 {
		t.Errorf("report is %+v, want 200 records", report)
	}
}

// appendForever says the MAC of each record once it is stored.
func appendForever(ctx context.Context, path string) error {
	db, err := store.Open(ctx, store.Options{Path: path, AuditKey: testKey, Anchored: func(a store.Anchor) {
		fmt.Println(a.Seq, a.MAC)
	}})
	if err != nil {
		return err
	}
	for {
		if _, err := db.Audit.Append(ctx, tools.Record{Event: tools.EventIntent, Detail: strings.Repeat("x", 300)}); err != nil {
			return err
		}
	}
}

func TestAKilledProcessLosesNothingItSaidWasStored(t *testing.T) {
	path := newPath(t)
	for round := range 3 {
		cmd, stderr := child(t, "append", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var said store.Anchor
		for i, lines := 0, bufio.NewScanner(out); lines.Scan(); i++ {
			if _, err := fmt.Sscan(lines.Text(), &said.Seq, &said.MAC); err != nil {
				break // the last line, cut by the kill
			}
			if i == 100+37*round {
				cmd.Process.Signal(os.Kill)
			}
		}
		cmd.Wait()
		if stderr.Len() > 0 {
			t.Fatal(stderr)
		}
		if b, err := hex.DecodeString(said.MAC); err != nil || len(b) != 32 {
			continue // cut in the MAC: what it said is not known
		}
		report := verify(t, open(t, store.Options{Path: path}), said)
		if !report.OK() || report.Records < said.Seq || report.Records > said.Seq+1 {
			t.Errorf("round %d: it said %d, the log has %d, %+v", round, said.Seq, report.Records, report.Broken)
		}
	}
}
