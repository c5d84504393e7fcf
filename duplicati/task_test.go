package duplicati_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

func TestABackupRunsAndItsLogTells(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		id := l.add(t, "Photos", "null")
		l.SetOutcome(id, duplicatitest.Outcome{}, duplicatitest.Outcome{Result: duplicatitest.Warns}, duplicatitest.Outcome{Result: duplicatitest.Errs},
			duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk at ftp://bob:canary-secret@nas/x"}, duplicatitest.Outcome{Partial: true})
		want := []duplicati.Verdict{duplicati.Succeeded, duplicati.Warned, duplicati.Erred, duplicati.Fatal, duplicati.Stopped}
		for i, v := range want {
			task := l.run(t, id)
			rows, err := l.c.Log(ctx, id, duplicati.Page{Size: 10})
			if err != nil || len(rows) == 0 || rows[0].Result == nil {
				t.Fatalf("run %d: log %+v, %v", i, rows, err)
			}
			if i == 0 && g == "2.2" || i == 0 && strings.HasPrefix(g, "2.3") {
				// The target carries an option that its module does not know.
				v = rows[0].Result.Verdict()
				if v != duplicati.Warned && v != duplicati.Succeeded {
					t.Errorf("a clean run is %s", v)
				}
			} else if got := rows[0].Result.Verdict(); got != v {
				t.Errorf("run %d is %s, want %s", i, got, v)
			}
			if v == duplicati.Fatal && g != "2.1" && (task.Status != duplicati.Failed || task.Error == "" || strings.Contains(task.Error, "canary")) {
				t.Errorf("the failed task is %+v", task)
			}
			if g == "2.1" && task.Status != duplicati.Ended {
				t.Errorf("on 2.1 a task that ended says %s", task.Status)
			}
		}
		b, err := l.c.Backup(ctx, id)
		if err != nil || b.Facts.NeverRan() || b.Facts.Versions == nil || len(b.Sources) != 1 {
			t.Fatalf("%+v, %v", b, err)
		}
		if v, ok := b.Setting("--passphrase"); !ok || v.Empty() {
			t.Error("the passphrase setting is not found")
		}
		if text := fmt.Sprintf("%+v", b); strings.Contains(text, "canary") {
			t.Errorf("a secret shows: %s", text)
		}
		if rows, err := l.c.ServerLog(ctx, duplicati.Page{}); err != nil || strings.Contains(fmt.Sprint(rows), "canary") {
			t.Errorf("server log: %v, %v", rows, err)
		}
		if list, err := l.c.Notifications(ctx); err != nil || len(list) == 0 || strings.Contains(fmt.Sprint(list), "canary") {
			t.Errorf("notifications: %v, %v", list, err)
		}
	})
}

func TestWhatRunsIsStoppedAndWhatWaitsIsNot(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		big, small := l.add(t, "Big", "null"), l.add(t, "Small", "null")
		l.SetOutcome(big, duplicatitest.Outcome{Hold: true})
		first, err := l.c.Run(ctx, big, false)
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the backup runs", func() bool { s, err := l.c.State(ctx); return err == nil && s.Runs(big) })
		second, err := l.c.Run(ctx, small, false)
		if err != nil {
			t.Fatal(err)
		}
		again, err := l.c.Run(ctx, small, true)
		if err != nil || again != second {
			t.Fatalf("running a waiting backup gave task %d, %v; want %d", again, err, second)
		}
		tasks, err := l.c.Tasks(ctx)
		if err != nil || len(tasks) != 2 || tasks[0].Status != duplicati.Running || tasks[0].Backup != big || tasks[1].Status != duplicati.Waiting || tasks[1].Backup != small {
			t.Fatalf("tasks are %+v, %v", tasks, err)
		}
		if active, err := l.c.IsActive(ctx, small); err != nil || !active {
			t.Fatalf("active: %v, %v", active, err)
		}
		p, err := l.c.Progress(ctx)
		if err != nil || p.Task != first || p.Backup != big || p.Phase == "" {
			t.Fatalf("progress is %+v, %v", p, err)
		}
		if err := l.c.Stop(ctx, second); duplicati.KindOf(err) != duplicati.Conflict {
			t.Fatalf("stopping a waiting task gave %v", err)
		}
		if err := l.c.Abort(ctx, second); duplicati.KindOf(err) != duplicati.Conflict {
			t.Fatalf("aborting a waiting task gave %v", err)
		}
		_, err = l.c.Delete(ctx, big, duplicati.DeleteOptions{})
		var e *duplicati.Error
		if g != "2.1" && (!errors.As(err, &e) || e.Kind != duplicati.Busy || e.Task != first) {
			t.Fatalf("deleting what runs gave %v", err)
		}
		if err := l.c.Stop(ctx, first); err != nil {
			t.Fatal(err)
		}
		until(t, "the task is over", func() bool { task, err := l.c.Task(ctx, first); return err == nil && task.Status.Over() })
		if err := l.c.Stop(ctx, first); duplicati.KindOf(err) != duplicati.Conflict {
			t.Fatalf("stopping an ended task gave %v", err)
		}
		if err := l.c.Stop(ctx, 99999); duplicati.KindOf(err) != duplicati.NotFound {
			t.Fatalf("stopping an unknown task gave %v", err)
		}
	})
}

func TestStoppingWorksOnAServerWhoseGenerationWasTakenForAnother(t *testing.T) {
	for real, assumed := range map[string]duplicati.Generation{"2.1": duplicati.G231, "2.3.1": duplicati.G21} {
		l := start(t, real, nil)
		ctx := context.Background()
		id := l.add(t, "Big", "null")
		l.SetOutcome(id, duplicatitest.Outcome{Hold: true})
		l.c.Assume(assumed)
		task, err := l.c.Run(ctx, id, false)
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the backup runs", func() bool { s, err := l.c.State(ctx); return err == nil && s.Runs(id) })
		if err := l.c.Stop(ctx, task); err != nil {
			t.Errorf("%s taken for %s: %v", real, assumed, err)
		}
		until(t, "the task is over", func() bool { got, err := l.c.Task(ctx, task); return err == nil && got.Status.Over() })
	}
}

func TestABackupIsDeletedByATask(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		id := l.add(t, "Photos", "null")
		l.run(t, id)
		if shared, err := l.c.DatabaseShared(context.Background(), id); err != nil || shared {
			t.Fatalf("shared: %v, %v", shared, err)
		}
		task, err := l.c.Delete(context.Background(), id, duplicati.DeleteOptions{RemoteFiles: true, LocalDB: true})
		if err != nil || task == 0 {
			t.Fatal(err)
		}
		until(t, "the backup is gone", func() bool {
			_, err := l.c.Backup(context.Background(), id)
			return duplicati.KindOf(err) == duplicati.NotFound
		})
		if _, err := l.c.Delete(context.Background(), id, duplicati.DeleteOptions{}); duplicati.KindOf(err) != duplicati.NotFound {
			t.Fatalf("a second delete gave %v", err)
		}
	})
}

func TestListingVersionsIsRefusedWhereItDoesHarm(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		id, other := l.add(t, "Photos", "null"), l.add(t, "Other", "null")
		refused := func(when string, held bool) {
			t.Helper()
			if _, err := l.c.Versions(ctx, id, held); duplicati.KindOf(err) != duplicati.Harmful {
				t.Errorf("%s: got %v", when, err)
			}
		}
		refused("never ran", true)
		l.run(t, id)
		if g != "2.3.1" {
			refused("nobody holds the server", false)
			refused("said to be held, but it is not paused", true)
		}
		if err := l.c.Pause(ctx, duplicati.PauseOptions{UntilResumed: true}); err != nil {
			t.Fatal(err)
		}
		versions, err := l.c.Versions(ctx, id, true)
		if err != nil || len(versions) != 1 || versions[0].Number != 0 || versions[0].Time.IsZero() {
			t.Fatalf("%+v, %v", versions, err)
		}
		if _, err := l.c.Run(ctx, other, false); err != nil {
			t.Fatal(err)
		}
		if g != "2.3.1" {
			refused("another one waits", true)
		}
		if err := l.c.Resume(ctx); err != nil {
			t.Fatal(err)
		}
		until(t, "it ran", func() bool { s, err := l.c.State(ctx); return err == nil && s.Idle() })
		l.SetOutcome(id, duplicatitest.Outcome{Hold: true})
		if _, err := l.c.Run(ctx, id, false); err != nil {
			t.Fatal(err)
		}
		until(t, "it runs", func() bool { s, err := l.c.State(ctx); return err == nil && s.Runs(id) })
		l.ForgetRequests()
		refused("it runs", true)
		for _, r := range l.Requests() {
			if strings.Contains(r.Path, "filesets") {
				t.Errorf("%s was sent", r.Path)
			}
		}
		l.Finish()
	})
}
