package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/duplibot/duplibot/store"
)

func locks(t *testing.T) (*store.Locks, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "locks")
	l, err := store.OpenLocks(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l, dir
}

func held(t *testing.T, l *store.Locks, name string) bool {
	t.Helper()
	h, err := l.Held(name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestALockExcludesEvenInItsOwnProcess(t *testing.T) {
	l, dir := locks(t)
	names := []string{"nas/3", "nas/4", "../../etc/passwd", "", "NAS/3", "nas-3"}
	for _, name := range names {
		if held(t, l, name) {
			t.Errorf("%q is held at first", name)
		}
		release, err := l.Lock(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
	for _, name := range names {
		if !held(t, l, name) {
			t.Errorf("%q is not held", name)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != len(names) {
		t.Errorf("%d files, %v; want one for each of %d names", len(files), err, len(names))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Lock(ctx, "nas/3"); !errors.Is(err, context.Canceled) {
		t.Errorf("a second Lock: %v, want that it waits until it is cancelled", err)
	}
}

func TestReleaseFreesOnceAndLeavesNoFile(t *testing.T) {
	l, dir := locks(t)
	release, err := l.Lock(t.Context(), "nas/3")
	if err != nil {
		t.Fatal(err)
	}
	release()
	if held(t, l, "nas/3") {
		t.Error("it is held after release")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("%d files are left, %v", len(files), err)
	}
	second, err := l.Lock(t.Context(), "nas/3")
	if err != nil {
		t.Fatal(err)
	}
	defer second()
	release()
	if !held(t, l, "nas/3") {
		t.Error("releasing twice freed somebody else's lock")
	}
}

func TestOfManyWhoLockOneAtATimeHoldsIt(t *testing.T) {
	l, dir := locks(t)
	other, err := store.OpenLocks(dir)
	if err != nil {
		t.Fatal(err)
	}
	var inside atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				release, err := []*store.Locks{l, other}[i%2].Lock(t.Context(), "one")
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				inside.Add(-1)
				release()
			}
		})
	}
	wg.Wait()
}

func TestManyWhoLookDoNotTakeEachOtherForAHolder(t *testing.T) {
	l, dir := locks(t)
	// A holder that was killed leaves its file.
	release, err := l.Lock(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := os.WriteFile(filepath.Join(dir, files[0].Name()), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if h, err := l.Held("one"); h || err != nil {
					t.Errorf("held is %v, %v", h, err)
				}
			}
		})
	}
	wg.Wait()
}

// lockForever holds a lock until it is killed.
func lockForever(ctx context.Context, dir string) error {
	l, err := store.OpenLocks(dir)
	if err != nil {
		return err
	}
	if _, err := l.Lock(ctx, "owner"); err != nil {
		return err
	}
	fmt.Println("held")
	bufio.NewReader(os.Stdin).ReadByte()
	return nil
}

func TestTheSystemFreesTheLockOfAKilledProcess(t *testing.T) {
	l, dir := locks(t)
	cmd, _ := child(t, "lock", dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if !held(t, l, "owner") {
		t.Error("it is not held while the process lives")
	}
	cmd.Process.Kill()
	cmd.Wait()
	if held(t, l, "owner") {
		t.Error("it is held by a dead process")
	}
	release, err := l.Lock(t.Context(), "owner")
	if err != nil {
		t.Fatal(err)
	}
	release()
}

// TestALockOutlivesWhoForgetsToReleaseIt: some are held until the process ends.
func TestALockOutlivesWhoForgetsToReleaseIt(t *testing.T) {
	locks, err := store.OpenLocks(filepath.Join(t.TempDir(), "locks"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locks.Lock(t.Context(), "owner"); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
	if held, err := locks.Held("owner"); err != nil || !held {
		t.Errorf("it is held: %t, %v", held, err)
	}
}
