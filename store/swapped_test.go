package store_test

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
)

// TestAFileThatWasSwappedTakesNoRecord: what is written into a file that has
// lost its name is read by nobody.
func TestAFileThatWasSwappedTakesNoRecord(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file keeps its name there")
	}
	for name, swap := range map[string]func(path string) error{
		"deleted": os.Remove,
		"moved":   func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			data, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path+".copy", data, 0o600)
			}
			if err != nil {
				return err
			}
			return os.Rename(path+".copy", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			db := open(t, store.Options{Path: path})
			ctx := t.Context()
			if _, err := db.Audit.Append(ctx, tools.Record{Event: tools.EventConfig}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := db.Approvals.Create(ctx, request("a1")); err != nil {
				t.Fatal(err)
			}
			if err := swap(path); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Audit.Append(ctx, tools.Record{Event: tools.EventIntent}); tools.CodeOf(err) != tools.AuditDown || !strings.Contains(err.Error(), "moved, deleted or replaced") {
				t.Errorf("a record: %v", err)
			}
			_, _, err := db.Approvals.Move(ctx, "a1", []tools.State{tools.StatePending}, func(a *tools.Approval) { a.State = tools.StateApproved })
			if tools.CodeOf(err) != tools.Unavailable {
				t.Errorf("a change: %v", err)
			}
			if err := db.Notes.Write(ctx, "n", "v"); tools.CodeOf(err) != tools.Unavailable {
				t.Errorf("a note: %v", err)
			}
		})
	}
}
