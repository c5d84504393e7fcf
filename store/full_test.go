//go:build linux

package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// smallDisk is a disk of its own with room for a few records.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
			t.Fatalf("needs the right to mount a small disk: %v", err)
		}
		t.Skipf("needs the right to mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes until there is no room left, and returns what makes room again.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhenTheDiskIsFullNothingIsDoneAndNothingIsLost(t *testing.T) {
	dir := smallDisk(t)
	db := open(t, store.Options{Path: filepath.Join(dir, "duplibot.db")})
	g := toolstest.New(t, toolstest.WithOptions(func(o *tools.Options) {
		o.Approvals, o.Audit, o.Locks = db.Approvals, db.Audit, db.Locks
	}))
	ctx := t.Context()
	pending, err := g.Run(toolstest.AnnAtTerminal, "destroy", map[string]any{"thing": "1"})
	if err != nil || pending.Approval == nil {
		t.Fatal(pending, err)
	}
	empty := fill(t, dir)
	var said int64 // what was stored, as Append says
	for err = error(nil); err == nil; {
		var r tools.Record
		if r, err = db.Audit.Append(ctx, tools.Record{Event: tools.EventConfig}); err == nil {
			said = r.Seq
		}
	}
	for name, attempt := range map[string]func() error{
		"a change": func() error {
			_, err := g.Run(toolstest.AnnAtTerminal, "start", map[string]any{"thing": "1"})
			return err
		},
		"a critical call": func() error {
			_, err := g.Run(toolstest.AnnsAssistant, "destroy", map[string]any{"thing": "2"})
			return err
		},
		"an approval": func() error {
			_, err := g.Decide(toolstest.BobAtTerminal, pending.Approval.ID, true)
			return err
		},
	} {
		err := attempt()
		if code := tools.CodeOf(err); code != tools.AuditDown && code != tools.Unavailable {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(err.Error(), "full") || !strings.Contains(err.Error(), "nothing was") {
			t.Errorf("%s: error is %q; want why, and that nothing was done", name, err)
		}
	}
	if did := g.World.Did(); len(did) != 0 {
		t.Errorf("on a full disk it did %v", did)
	}
	if _, err := g.Run(toolstest.VeraAtTerminal, "list-things", nil); err != nil {
		t.Errorf("a read: %v", err)
	}
	if report := verify(t, db); !report.OK() || report.Records < said {
		t.Errorf("%d records were stored, the log has %+v", said, report)
	}

	empty()
	if a, err := db.Approvals.Approval(ctx, pending.Approval.ID); err != nil || a.State != tools.StatePending {
		t.Errorf("the request is %s, %v; want that it still waits", a.State, err)
	}
	if a, err := g.Decide(toolstest.BobAtTerminal, pending.Approval.ID, true); err != nil || a.State != tools.StateDone {
		t.Errorf("once there is room: %s, %v", a.State, err)
	}
	if did := g.World.Did(); len(did) != 1 {
		t.Errorf("it did %v, want one", did)
	}
	if report := verify(t, db); !report.OK() {
		t.Errorf("the log: %+v", report.Broken)
	}
	if err := db.Check(ctx); err != nil {
		t.Error(err)
	}
}

// appendLimited appends until files may not grow any longer, as under a quota,
// says how that was refused, and goes on once they may.
func appendLimited(ctx context.Context, path string) error {
	db, err := store.Open(ctx, store.Options{Path: path, AuditKey: testKey})
	if err != nil {
		return err
	}
	defer db.Close()
	var before, limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	limit = before
	limit.Cur = 300 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	record := tools.Record{Event: tools.EventIntent, Detail: strings.Repeat("x", 500)}
	n := 0
	for ; err == nil && n < 10_000; n++ {
		_, err = db.Audit.Append(ctx, record)
	}
	if tools.CodeOf(err) != tools.AuditDown || !strings.Contains(err.Error(), "nothing was done") {
		return fmt.Errorf("after %d records: %w", n, err)
	}
	_, _, err = db.Approvals.Create(ctx, request("a1"))
	if tools.CodeOf(err) != tools.Unavailable {
		return fmt.Errorf("a request: %w", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	if _, err = db.Audit.Append(ctx, record); err != nil {
		return fmt.Errorf("once there is room: %w", err)
	}
	report, err := db.Audit.Verify(ctx)
	if err == nil && (!report.OK() || report.Records != int64(n)) {
		err = fmt.Errorf("%d records were stored, the log has %d: %+v", n, report.Records, report.Broken)
	}
	return errors.Join(err, db.Check(ctx))
}

func TestAFileThatMayNotGrowRefusesAndHarmsNothing(t *testing.T) {
	cmd, stderr := child(t, "limited", newPath(t))
	if err := cmd.Run(); err != nil {
		t.Errorf("%v\n%s", err, stderr)
	}
}

func init() { children["limited"] = appendLimited } // limits on files are this system's
