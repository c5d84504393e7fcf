package store_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
)

// kept is a keyring with the newest place of a log in it.
type kept struct {
	t    *testing.T
	ring keyring.Ring
	dir  string
}

func newKept(t *testing.T) kept {
	t.Helper()
	dir := t.TempDir()
	ring, err := keyring.Open(t.Context(), keyring.Config{
		Backend: keyring.File, Dir: filepath.Join(dir, "keyring"), Passphrase: keyring.NewPassphrase(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return kept{t, ring, dir}
}

// process opens the log as a bot does that starts, and end is its end.
func (k kept) process(path string) (db *store.DB, end func()) {
	k.t.Helper()
	locks, err := store.OpenLocks(filepath.Join(k.dir, "locks"))
	if err != nil {
		k.t.Fatal(err)
	}
	anchors := auth.NewAnchors(k.ring, locks, nil)
	db = open(k.t, store.Options{
		Path:     path,
		Anchored: func(a store.Anchor) { anchors.Set(auth.Anchor(a)) },
		Known: func(ctx context.Context) (store.Anchor, bool, error) {
			a, ok, err := anchors.Read(ctx)
			return store.Anchor(a), ok, err
		},
	})
	return db, func() {
		k.t.Helper()
		if err := anchors.Close(context.Background()); err != nil {
			k.t.Error(err)
		}
	}
}

// verify checks the log against the keyring.
func (k kept) verify(path string) store.Report {
	k.t.Helper()
	a, ok, err := auth.NewAnchors(k.ring, nil, nil).Read(k.t.Context())
	if err != nil || !ok {
		k.t.Fatal(a, ok, err)
	}
	return verify(k.t, open(k.t, store.Options{Path: path}), store.Anchor(a))
}

func TestACutEndShowsAgainstTheKeyring(t *testing.T) {
	for name, c := range map[string]struct {
		cut   string
		first int64
	}{
		"a few records": {`DELETE FROM audit WHERE seq > 7`, 8},
		"the last one":  {`DELETE FROM audit WHERE seq = 10`, 10},
		"all of them":   {`DELETE FROM audit`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			k, path := newKept(t), newPath(t)
			db, end := k.process(path)
			appendN(t, db, 10)
			end()
			if report := k.verify(path); !report.OK() || report.Records != 10 {
				t.Fatalf("an untouched log: %+v", report)
			}
			edit(t, path, `DROP TRIGGER audit_is_not_deleted`, c.cut)
			wantCut := func(when string, kind store.BreakKind) {
				t.Helper()
				if report := k.verify(path); report.OK() || report.Broken.Seq != c.first || report.Broken.Kind != kind {
					t.Errorf("%s: %+v, want %s at %d", when, report.Broken, kind, c.first)
				}
			}
			wantCut("before the bot starts again", store.CutOff)

			// A bot that goes on would in time replace what the keyring knows.
			db, end = k.process(path)
			appendN(t, db, 1)
			end()
			wantCut("after one more record", store.CutOff)
			db, end = k.process(path)
			appendN(t, db, 20)
			end()
			wantCut("after many", store.CutOff)
			cuts, err := db.Audit.Records(t.Context(), store.AuditFilter{Event: tools.EventCut})
			if err != nil || len(cuts) != 1 || cuts[0].Seq != c.first || !strings.Contains(cuts[0].Detail, "known from elsewhere and gone") {
				t.Errorf("the log says of it %+v, %v", cuts, err)
			}

			// What is done to the log later does not hide behind it.
			edit(t, path, `DROP TRIGGER audit_is_not_changed`, `UPDATE audit SET record = replace(record, 'ann', 'bob') WHERE seq = 15`)
			if report := k.verify(path); report.OK() || report.Broken.Seq != 15 || report.Broken.Kind != store.Altered {
				t.Errorf("altered after the cut: %+v", report.Broken)
			}
		})
	}
}

func TestALogThatIsCutUnderARunningBotSaysSo(t *testing.T) {
	for first, cut := range map[int64]string{8: `DELETE FROM audit WHERE seq > 7`, 1: `DELETE FROM audit`} {
		path := newPath(t)
		db := open(t, store.Options{Path: path})
		appendN(t, db, 10)
		edit(t, path, `DROP TRIGGER audit_is_not_deleted`, cut)
		appendN(t, db, 5)
		report := verify(t, db)
		if report.OK() || report.Broken.Seq != first || report.Broken.Kind != store.CutOff || report.Records != first+5 {
			t.Errorf("%s: %+v: %+v", cut, report, report.Broken)
		}
	}
}

func TestALogThatWasWrittenAnewSaysSoWhenItGoesOn(t *testing.T) {
	k, path := newKept(t), newPath(t)
	db, end := k.process(path)
	appendN(t, db, 10)
	end()
	edit(t, path, `DROP TRIGGER audit_is_not_deleted`, `DELETE FROM audit WHERE seq > 7`)
	appendN(t, open(t, store.Options{Path: path}), 6) // by somebody who has the key, and not the keyring
	db, end = k.process(path)
	appendN(t, db, 1)
	end()
	if report := k.verify(path); report.OK() || report.Broken.Seq != 10 || report.Broken.Kind != store.Replaced {
		t.Errorf("%+v", report.Broken)
	}
}

func TestALogWhoseWitnessCannotBeAskedIsNotWritten(t *testing.T) {
	locked := tools.Errorf(tools.Unavailable, "the keyring is locked").WithHint("unlock it")
	asked := 0
	db := open(t, store.Options{Known: func(context.Context) (store.Anchor, bool, error) {
		if asked++; asked == 1 {
			return store.Anchor{}, false, locked
		}
		return store.Anchor{}, false, nil
	}})
	_, err := db.Audit.Append(t.Context(), tools.Record{Event: tools.EventIntent})
	wantCode(t, err, tools.AuditDown)
	if err != nil && !strings.Contains(err.Error(), "the keyring is locked (unlock it)") {
		t.Errorf("error is %q", err)
	}
	appendN(t, db, 3)
	if asked != 2 {
		t.Errorf("the witness was asked %d times, want twice", asked)
	}
}
