package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
)

func TestBackupIsAStoreThatHolds(t *testing.T) {
	db := open(t, store.Options{})
	list := appendN(t, db, 20)
	if _, _, err := db.Approvals.Create(t.Context(), request("a1")); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "backups")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "it's a copy.db")
	if err := db.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the backup is %v, %v; want mode 0600", info, err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("%d files beside the backup, %v", len(files)-1, err)
	}
	appendN(t, db, 1) // the store goes on
	copied := open(t, store.Options{Path: path})
	if report := verify(t, copied, anchor(list[19])); !report.OK() || report.Records != 20 {
		t.Errorf("the backup's log: %+v", report)
	}
	if _, err := copied.Approvals.Approval(t.Context(), "a1"); err != nil {
		t.Error(err)
	}
	wantCode(t, db.Backup(t.Context(), path), tools.Conflict)
}

func TestCheckFindsADamagedFile(t *testing.T) {
	path := newPath(t)
	db, err := store.Open(t.Context(), store.Options{Path: path, AuditKey: testKey})
	if err != nil {
		t.Fatal(err)
	}
	appendN(t, db, 50)
	if err := db.Check(t.Context()); err != nil {
		t.Errorf("a sound file: %v", err)
	}
	if free, err := db.Free(); err != nil || free == 0 {
		t.Errorf("free space is %d, %v", free, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	// The last pages hold the newest records and their indexes.
	if _, err := f.WriteAt(make([]byte, 3*4096), info.Size()-3*4096); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, open(t, store.Options{Path: path}).Check(t.Context()), tools.Internal)
}

func TestSweepRemovesOnlyWhatHasLostItsMeaning(t *testing.T) {
	now := start
	db := open(t, store.Options{Now: func() time.Time { return now }})
	ctx := t.Context()
	for i := range 2 {
		if _, _, err := db.Deliveries.Begin(ctx, fmt.Sprint(i), time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := db.Pages.Create(ctx, page(fmt.Sprint(i), now)); err != nil {
			t.Fatal(err)
		}
		if err := db.Messages.Save(ctx, store.Message{Kind: store.RunMessage, Subject: "1", Channel: "C1", TS: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(24 * time.Hour)
	}
	if _, _, err := db.Approvals.Create(ctx, request("a1")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(-24*time.Hour + time.Second)
	if err := db.Sweep(ctx, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, first, err := db.Deliveries.Begin(ctx, "1", time.Minute); err != nil || first {
		t.Errorf("the younger delivery is first again: %v, %v", first, err)
	}
	if list, err := db.Pages.Of(ctx, "a1"); err != nil || len(list) != 1 || list[0].ID != "1" {
		t.Errorf("pages left are %v, %v; want 1", list, err)
	}
	if list, err := db.Messages.About(ctx, store.RunMessage, "1"); err != nil || len(list) != 1 || list[0].TS != "1" {
		t.Errorf("messages left are %v, %v; want 1", list, err)
	}
}
