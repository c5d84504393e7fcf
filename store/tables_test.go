package store_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"

	"github.com/google/go-cmp/cmp"
)

func TestATokenIsFoundUntilItIsRevoked(t *testing.T) {
	now := start
	db := open(t, store.Options{Now: func() time.Time { return now }})
	ctx := t.Context()
	token := store.Token{ID: "t1", Name: "ann-laptop", Person: "ann", Hash: "aa", Ceiling: tools.Viewer, Toolsets: []string{"core"}}
	if err := db.Tokens.Create(ctx, token); err != nil {
		t.Fatal(err)
	}
	if err := db.Tokens.Create(ctx, store.Token{ID: "t2", Name: "bob-laptop", Person: "bob", Maker: "ann", Hash: "bb"}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, db.Tokens.Create(ctx, store.Token{ID: "t3", Name: "ann-laptop", Person: "bob", Hash: "cc"}), tools.Conflict)

	token.Created = start
	for _, use := range []struct{ after, noted time.Duration }{
		{0, 0}, {59 * time.Second, 0}, {time.Hour, time.Hour}, // a write once a minute is enough
	} {
		now = start.Add(use.after)
		got, err := db.Tokens.ByHash(ctx, "aa")
		if diff := cmp.Diff(token, got); err != nil || diff != "" {
			t.Errorf("found by hash: %v\n%s", err, diff)
		}
		if err := db.Tokens.Touch(ctx, got); err != nil {
			t.Fatal(err)
		}
		token.LastUsed = start.Add(use.noted)
	}
	if got, err := db.Tokens.ByHash(ctx, "bb"); err != nil || got.Ceiling != tools.Nobody || got.Toolsets != nil {
		t.Errorf("a token without limits is %+v, %v", got, err)
	}
	for name, want := range map[string]string{"bob-laptop": "ann", "ann-laptop": "", "nobody's": ""} {
		if by, err := db.Tokens.MadeBy(ctx, name); err != nil || by != want {
			t.Errorf("%s was made by %q, %v; want %q", name, by, err, want)
		}
	}
	for range 2 {
		got, err := db.Tokens.Revoke(ctx, "ann-laptop")
		if err != nil || !got.Revoked.Equal(start.Add(time.Hour)) {
			t.Errorf("revoked at %v, %v", got.Revoked, err)
		}
		now = now.Add(time.Hour)
	}
	_, err := db.Tokens.ByHash(ctx, "aa")
	wantCode(t, err, tools.NotLoggedIn)
	_, err = db.Tokens.ByHash(ctx, "dd")
	wantCode(t, err, tools.NotLoggedIn)
	_, err = db.Tokens.Revoke(ctx, "nobody's")
	wantCode(t, err, tools.NotFound)
	if list, err := db.Tokens.All(ctx); err != nil || len(list) != 2 || list[0].Name != "ann-laptop" || list[0].Revoked.IsZero() {
		t.Errorf("all tokens are %+v, %v", list, err)
	}
}

// page is one that ann has ten minutes for, with link "link-<id>", code "code".
func page(id string, now time.Time) store.Page {
	return store.Page{ID: id, Approval: "a1", Slot: "new_password", Kind: store.PageIn, Link: "link-" + id, Code: "code",
		Person: "ann", Created: now, Expires: now.Add(10 * time.Minute)}
}

func TestAPageIsUsedOnce(t *testing.T) {
	path := newPath(t)
	clock := func() time.Time { return start }
	dbs := []*store.DB{open(t, store.Options{Path: path, Now: clock}), open(t, store.Options{Path: path, Now: clock})}
	if err := dbs[0].Pages.Create(t.Context(), page("p", start)); err != nil {
		t.Fatal(err)
	}
	var used atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			_, err := dbs[i%2].Pages.Use(t.Context(), "link-p", "code")
			if err == nil {
				used.Add(1)
			} else if tools.CodeOf(err) != tools.AlreadyDecided {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if used.Load() != 1 {
		t.Errorf("used %d times, want 1", used.Load())
	}
	want := page("p", start)
	want.Used = start
	got, err := dbs[1].Pages.ByLink(t.Context(), "link-p")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("the page is now: %v\n%s", err, diff)
	}
}

func TestAPageThatCannotBeUsedSaysWhyAndStaysAsItIs(t *testing.T) {
	now := start
	db := open(t, store.Options{Now: func() time.Time { return now }})
	ctx := t.Context()
	for _, id := range []string{"tried", "late", "closed"} {
		if err := db.Pages.Create(ctx, page(id, start)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := db.Pages.Use(ctx, "link-nobody's", "code")
	wantCode(t, err, tools.NotFound)
	_, err = db.Pages.ByLink(ctx, "link-nobody's")
	wantCode(t, err, tools.NotFound)

	for range store.MaxTries {
		_, err = db.Pages.Use(ctx, "link-tried", "wrong")
		wantCode(t, err, tools.Denied)
	}
	_, err = db.Pages.Use(ctx, "link-tried", "code")
	wantCode(t, err, tools.TooMany)
	if p, err := db.Pages.ByLink(ctx, "link-tried"); err != nil || p.Tries != store.MaxTries || !p.Used.IsZero() {
		t.Errorf("after wrong codes it is %+v, %v", p, err)
	}

	now = start.Add(10 * time.Minute)
	_, err = db.Pages.Use(ctx, "link-late", "code")
	wantCode(t, err, tools.Expired)

	// A clock that was set back makes no page live longer.
	now = start.Add(-time.Hour)
	_, err = db.Pages.Use(ctx, "link-late", "code")
	wantCode(t, err, tools.Expired)

	now = start.Add(time.Minute)
	if n, err := db.Pages.Close(ctx, "a1"); err != nil || n != 3 {
		t.Errorf("closed %d pages, %v; want 3", n, err)
	}
	_, err = db.Pages.Use(ctx, "link-closed", "code")
	wantCode(t, err, tools.Expired)
}

func TestMessagesAreFoundBySubjectUntilTheyShowTheState(t *testing.T) {
	now := start
	db := open(t, store.Options{Now: func() time.Time { return now }})
	ctx := t.Context()
	if _, _, err := db.Approvals.Create(ctx, request("a1")); err != nil {
		t.Fatal(err)
	}
	card := store.Message{Kind: store.ApprovalMessage, Subject: "a1", Channel: "C1", TS: "1.1", State: "pending"}
	dm := card
	dm.Channel, dm.TS = "D1", "1.2"
	alert := store.Message{Kind: store.AlertMessage, Subject: "a1", Channel: "C1", TS: "1.3", State: "open"}
	for _, m := range []store.Message{card, dm, alert} {
		if err := db.Messages.Save(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	card.Posted, dm.Posted = start, start
	list, err := db.Messages.About(ctx, store.ApprovalMessage, "a1")
	if diff := cmp.Diff([]store.Message{card, dm}, list); err != nil || diff != "" {
		t.Errorf("about the request: %v\n%s", err, diff)
	}
	if list, err := db.Messages.Outdated(ctx); err != nil || len(list) != 0 {
		t.Errorf("outdated are %v, %v; want none", list, err)
	}
	if _, _, err := db.Approvals.Move(ctx, "a1", []tools.State{tools.StatePending}, func(a *tools.Approval) { a.State = tools.StateDenied }); err != nil {
		t.Fatal(err)
	}
	now = start.Add(time.Minute)
	card.State = "denied"
	if err := db.Messages.Save(ctx, card); err != nil {
		t.Fatal(err)
	}
	list, err = db.Messages.Outdated(ctx)
	if diff := cmp.Diff([]store.Message{dm}, list); err != nil || diff != "" {
		t.Errorf("outdated after one was repaired: %v\n%s", err, diff)
	}
	if err := db.Messages.Forget(ctx, "D1", "1.2"); err != nil {
		t.Fatal(err)
	}
	card.Repaired = now
	list, err = db.Messages.About(ctx, store.ApprovalMessage, "a1")
	if diff := cmp.Diff([]store.Message{card}, list); err != nil || diff != "" {
		t.Errorf("left about the request: %v\n%s", err, diff)
	}
}

func TestAProblemHasABeginningAndAnEnd(t *testing.T) {
	now := start
	db := open(t, store.Options{Now: func() time.Time { return now }})
	ctx := t.Context()
	overdue := store.Alert{Problem: "nas/3/overdue", Severity: "warning", Server: "nas", Backup: "3", Summary: "two days late"}
	see := func(a store.Alert) (is, was store.Alert) {
		t.Helper()
		is, was, err := db.Alerts.See(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		return is, was
	}
	if is, was := see(overdue); was.Problem != "" || !is.Since.Equal(start) || !is.LastSeen.Equal(start) {
		t.Errorf("seen first: %+v after %+v", is, was)
	}
	if a, err := db.Alerts.Mute(ctx, overdue.Problem, start.Add(4*time.Hour)); err != nil || !a.Muted(start.Add(time.Hour)) {
		t.Errorf("muted is %+v, %v", a, err)
	}
	now = start.Add(time.Hour)
	worse := overdue
	worse.Severity = "error"
	is, was := see(worse)
	if was.Severity != "warning" || is.Severity != "error" || !is.Since.Equal(start) || !is.LastSeen.Equal(now) || !is.Muted(now) {
		t.Errorf("seen again: %+v after %+v", is, was)
	}
	list, err := db.Alerts.Open(ctx, "nas")
	if diff := cmp.Diff([]store.Alert{is}, list); err != nil || diff != "" {
		t.Errorf("open: %v\n%s", err, diff)
	}
	if list, err := db.Alerts.Open(ctx, "prod"); err != nil || len(list) != 0 {
		t.Errorf("open on another server: %v, %v", list, err)
	}
	for i := range 2 {
		a, resolved, err := db.Alerts.Resolve(ctx, overdue.Problem)
		if err != nil || resolved != (i == 0) || !a.Resolved.Equal(start.Add(time.Hour)) {
			t.Errorf("resolved %v at %v, %v", resolved, a.Resolved, err)
		}
		now = now.Add(time.Hour)
	}
	_, err = db.Alerts.Mute(ctx, overdue.Problem, now)
	wantCode(t, err, tools.NotFound)
	if is, was := see(overdue); was.Problem != "" || !is.Since.Equal(now) || is.Muted(now) {
		t.Errorf("seen after its end: %+v after %+v; want it to begin anew, not muted", is, was)
	}
	if a, resolved, err := db.Alerts.Resolve(ctx, "never seen"); err != nil || resolved || a.Problem != "" {
		t.Errorf("resolving what never was: %+v, %v, %v", a, resolved, err)
	}
}

func TestADeliveryIsDoneOnceAndAnsweredAlike(t *testing.T) {
	path := newPath(t)
	now := start
	clock := func() time.Time { return now }
	dbs := []*store.DB{open(t, store.Options{Path: path, Now: clock}), open(t, store.Options{Path: path, Now: clock})}
	ctx := t.Context()
	var firsts atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			before, first, err := dbs[i%2].Deliveries.Begin(ctx, "env-1", time.Hour)
			if err != nil || before.Answered {
				t.Errorf("begun: %+v, %v", before, err)
			}
			if first {
				firsts.Add(1)
			}
		})
	}
	wg.Wait()
	if firsts.Load() != 1 {
		t.Errorf("%d were first, want 1", firsts.Load())
	}
	if err := dbs[0].Deliveries.Answer(ctx, "env-1", "done"); err != nil {
		t.Fatal(err)
	}
	if err := dbs[0].Deliveries.Answer(ctx, "env-1", "done otherwise"); err == nil {
		t.Error("a second answer was stored")
	}
	before, first, err := dbs[1].Deliveries.Begin(ctx, "env-1", time.Hour)
	if want := (store.Delivery{Answered: true, Answer: "done"}); err != nil || first || before != want {
		t.Errorf("delivered again: %+v, first %v, %v", before, first, err)
	}
	now = start.Add(time.Hour)
	if before, first, err := dbs[1].Deliveries.Begin(ctx, "env-1", time.Hour); err != nil || !first || before.Answered {
		t.Errorf("after it was forgotten: %+v, first %v, %v", before, first, err)
	}
	if err := dbs[1].Deliveries.Release(ctx, "env-1"); err != nil {
		t.Fatal(err)
	}
	if _, first, err := dbs[0].Deliveries.Begin(ctx, "env-1", time.Hour); err != nil || !first {
		t.Errorf("after it was given back: first %v, %v", first, err)
	}
}

func TestANoteIsWhatWasWrittenLast(t *testing.T) {
	db := open(t, store.Options{})
	ctx := t.Context()
	if _, ok, err := db.Notes.Read(ctx, "nas/last-log"); err != nil || ok {
		t.Errorf("at first: %v, %v", ok, err)
	}
	for _, v := range []string{"17", "18"} {
		if err := db.Notes.Write(ctx, "nas/last-log", v); err != nil {
			t.Fatal(err)
		}
	}
	if v, ok, err := db.Notes.Read(ctx, "nas/last-log"); err != nil || !ok || v != "18" {
		t.Errorf("read %q, %v, %v; want 18", v, ok, err)
	}
	if err := db.Notes.Remove(ctx, "nas/last-log"); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := db.Notes.Read(ctx, "nas/last-log"); err != nil || ok {
		t.Errorf("after it was removed: %v, %v", ok, err)
	}
}
