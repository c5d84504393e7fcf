package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"

	"github.com/google/go-cmp/cmp"
)

// request is a delete that waits for two other persons.
func request(id string) tools.Approval {
	return tools.Approval{
		ID: id, Operation: "delete", Server: "nas", Same: "same-" + id,
		Args: json.RawMessage(`{"backup":"<Photos> & \u2028 co"}`),
		Risk: tools.Critical, Requester: "ann", Verdict: tools.Approve, Need: 2, Asks: true,
		Caller: tools.Caller{Identity: "slack:T1/U1", Surface: tools.Slack},
		Plan: tools.Plan{
			Target: tools.Target{Server: "nas", Kind: "backup", ID: "3", Name: "Photos"},
			Facts:  []tools.PlanFact{tools.Bind("database", "/data/a.sqlite")},
		},
		State: tools.StatePending, Created: start, Expires: start.Add(8 * time.Hour),
	}
}

func yes(person string) tools.Vote {
	return tools.Vote{Person: person, Identity: tools.Identity("slack:T1/" + person), Surface: tools.Slack, Yes: true, At: start}
}

func TestCreateKeepsTheRequestAsItIs(t *testing.T) {
	db := open(t, store.Options{Now: func() time.Time { return start }})
	a := request("a1")
	a.Votes = []tools.Vote{yes("bob")}
	stored, created, err := db.Approvals.Create(t.Context(), a)
	if err != nil || !created {
		t.Fatalf("created is %v, %v", created, err)
	}
	read, err := db.Approvals.Approval(t.Context(), "a1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stored, read); diff != "" {
		t.Errorf("what Create returned and what is read differ:\n%s", diff)
	}
	a.Updated = start
	if diff := cmp.Diff(a, read); diff != "" {
		t.Errorf("what was given and what is read differ:\n%s", diff)
	}
}

func TestTheSameCallIsOneRequestWhileItIsOpen(t *testing.T) {
	db := open(t, store.Options{})
	ctx := t.Context()
	first, _, err := db.Approvals.Create(ctx, request("a1"))
	if err != nil {
		t.Fatal(err)
	}
	again := request("a2")
	again.Same = first.Same
	got, created, err := db.Approvals.Create(ctx, again)
	if err != nil || created || got.ID != "a1" {
		t.Errorf("asked again: %s, created %v, %v; want a1", got.ID, created, err)
	}
	if _, _, err := db.Approvals.Move(ctx, "a1", []tools.State{tools.StatePending}, func(a *tools.Approval) { a.State = tools.StateDenied }); err != nil {
		t.Fatal(err)
	}
	if got, created, err = db.Approvals.Create(ctx, again); err != nil || !created || got.ID != "a2" {
		t.Errorf("asked after a deny: %s, created %v, %v; want a new a2", got.ID, created, err)
	}
}

func TestAnUnknownRequestIsNotFound(t *testing.T) {
	db := open(t, store.Options{})
	_, err := db.Approvals.Approval(t.Context(), "nope")
	wantCode(t, err, tools.NotFound)
	_, _, err = db.Approvals.Vote(t.Context(), "nope", yes("bob"), nil)
	wantCode(t, err, tools.NotFound)
	_, _, err = db.Approvals.Move(t.Context(), "nope", []tools.State{tools.StatePending}, nil)
	wantCode(t, err, tools.NotFound)
}

func TestVote(t *testing.T) {
	db := open(t, store.Options{})
	ctx := t.Context()
	if _, _, err := db.Approvals.Create(ctx, request("a1")); err != nil {
		t.Fatal(err)
	}
	decide := func(a *tools.Approval) {
		if a.Yes() >= a.Need {
			a.State = tools.StateApproved
		}
	}
	steps := []struct {
		person string
		voted  bool
		state  tools.State
		yes    int
	}{
		{"bob", true, tools.StatePending, 1},
		{"bob", false, tools.StatePending, 1},
		{"cid", true, tools.StateApproved, 2},
		{"dan", false, tools.StateApproved, 2},
	}
	for i, s := range steps {
		a, voted, err := db.Approvals.Vote(ctx, "a1", yes(s.person), decide)
		if err != nil || voted != s.voted || a.State != s.state || a.Yes() != s.yes {
			t.Errorf("step %d, %s: voted %v, %s with %d yes, %v; want %v, %s with %d", i, s.person, voted, a.State, a.Yes(), err, s.voted, s.state, s.yes)
		}
	}
	a, err := db.Approvals.Approval(ctx, "a1")
	if err != nil || len(a.Votes) != 2 || a.Votes[0].Person != "bob" || a.Votes[1].Person != "cid" {
		t.Errorf("stored votes are %+v, %v; want bob's, then cid's", a.Votes, err)
	}
}

func TestAChangeThatPanicsChangesNothing(t *testing.T) {
	db := open(t, store.Options{})
	ctx := t.Context()
	if _, _, err := db.Approvals.Create(ctx, request("a1")); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { recover() }()
		db.Approvals.Vote(ctx, "a1", yes("bob"), func(*tools.Approval) { panic("in change") })
	}()
	a, voted, err := db.Approvals.Vote(ctx, "a1", yes("bob"), nil)
	if err != nil || !voted || len(a.Votes) != 1 {
		t.Errorf("the vote afterwards: voted %v with %d votes, %v; want the first one", voted, len(a.Votes), err)
	}
}

func TestAChangeCannotMakeItAnotherRequest(t *testing.T) {
	db := open(t, store.Options{})
	ctx := t.Context()
	if _, _, err := db.Approvals.Create(ctx, request("a1")); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*tools.Approval){
		"operation": func(a *tools.Approval) { a.Operation = "import" },
		"server":    func(a *tools.Approval) { a.Server = "prod" },
		"requester": func(a *tools.Approval) { a.Requester = "bob" },
		"id":        func(a *tools.Approval) { a.ID = "a2" },
		"asks":      func(a *tools.Approval) { a.Asks = false },
	} {
		if _, _, err := db.Approvals.Move(ctx, "a1", []tools.State{tools.StatePending}, change); err == nil {
			t.Errorf("a change of %s was stored", name)
		}
	}
	a, _, err := db.Approvals.Move(ctx, "a1", []tools.State{tools.StatePending}, func(a *tools.Approval) {
		a.Votes = append(a.Votes, yes("forged"), yes("forged too"))
		a.Expires = a.Expires.Add(time.Hour)
	})
	if err != nil || len(a.Votes) != 0 {
		t.Errorf("a change brought %d votes, %v; only Vote does", len(a.Votes), err)
	}
}

// Two handles on one file stand for two processes.
func TestOfManyWhoMoveOneWins(t *testing.T) {
	path := newPath(t)
	dbs := []*store.DB{open(t, store.Options{Path: path}), open(t, store.Options{Path: path})}
	ctx := t.Context()
	if _, _, err := dbs[0].Approvals.Create(ctx, request("a1")); err != nil {
		t.Fatal(err)
	}
	var won, changed atomic.Int32
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			_, moved, err := dbs[i%2].Approvals.Move(ctx, "a1", []tools.State{tools.StatePending}, func(a *tools.Approval) {
				changed.Add(1)
				a.State, a.Owner = tools.StateExecuting, fmt.Sprint(i)
			})
			if err != nil {
				t.Error(err)
			}
			if moved {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || changed.Load() != 1 {
		t.Errorf("%d won and %d changed it, want 1 and 1", won.Load(), changed.Load())
	}
}

func TestOfManyWhoAskOneCreates(t *testing.T) {
	path := newPath(t)
	dbs := []*store.DB{open(t, store.Options{Path: path}), open(t, store.Options{Path: path})}
	var made atomic.Int32
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			a := request(fmt.Sprintf("a%d", i))
			a.Same = "one and the same"
			_, created, err := dbs[i%2].Approvals.Create(t.Context(), a)
			if err != nil {
				t.Error(err)
			}
			if created {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d were created, want 1", made.Load())
	}
}

func TestOfManyVotesOfOnePersonOneCounts(t *testing.T) {
	path := newPath(t)
	dbs := []*store.DB{open(t, store.Options{Path: path}), open(t, store.Options{Path: path})}
	a := request("a1")
	a.Need = 100
	if _, _, err := dbs[0].Approvals.Create(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	var counted atomic.Int32
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			_, voted, err := dbs[i%2].Approvals.Vote(t.Context(), "a1", yes(fmt.Sprintf("person %d", i%3)), nil)
			if err != nil {
				t.Error(err)
			}
			if voted {
				counted.Add(1)
			}
		})
	}
	wg.Wait()
	a, err := dbs[1].Approvals.Approval(t.Context(), "a1")
	if err != nil || counted.Load() != 3 || len(a.Votes) != 3 {
		t.Errorf("%d votes counted and %d are stored, %v; want 3 and 3", counted.Load(), len(a.Votes), err)
	}
}

func TestAskedAndDeniedSince(t *testing.T) {
	now := start
	db := open(t, store.Options{Now: func() time.Time { return now }})
	ctx := t.Context()
	for i := range 4 {
		a := request(fmt.Sprintf("a%d", i))
		a.Created = start.Add(time.Duration(i) * time.Minute)
		a.Asks = i != 3
		if _, _, err := db.Approvals.Create(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := db.Approvals.Asked(ctx, "ann", start.Add(time.Minute)); err != nil || n != 2 {
		t.Errorf("ann asked %d times, %v; want 2", n, err)
	}
	if n, err := db.Approvals.Asked(ctx, "bob", start); err != nil || n != 0 {
		t.Errorf("bob asked %d times, %v; want 0", n, err)
	}
	now = start.Add(time.Hour)
	if _, _, err := db.Approvals.Move(ctx, "a1", []tools.State{tools.StatePending}, func(a *tools.Approval) { a.State = tools.StateDenied }); err != nil {
		t.Fatal(err)
	}
	if at, err := db.Approvals.DeniedSince(ctx, "same-a1", start); err != nil || !at.Equal(now) {
		t.Errorf("denied at %v, %v; want %v", at, err, now)
	}
	if at, err := db.Approvals.DeniedSince(ctx, "same-a1", now.Add(time.Second)); err != nil || !at.IsZero() {
		t.Errorf("denied after that at %v, %v; want never", at, err)
	}
	if at, err := db.Approvals.DeniedSince(ctx, "same-a2", start); err != nil || !at.IsZero() {
		t.Errorf("a pending request was denied at %v, %v", at, err)
	}
}

func TestTheLatestTimeIsNotedOverAllProcesses(t *testing.T) {
	path := newPath(t)
	dbs := []*store.DB{open(t, store.Options{Path: path}), open(t, store.Options{Path: path})}
	for i, tc := range []struct {
		now   time.Time
		reset bool
		want  time.Time
	}{
		{start, false, start},
		{start.Add(time.Hour), false, start.Add(time.Hour)},
		{start, false, start.Add(time.Hour)},
		{start, true, start},
		{start.Add(-time.Hour), false, start},
	} {
		latest, err := dbs[i%2].Approvals.Seen(t.Context(), tc.now, tc.reset)
		if err != nil || !latest.Equal(tc.want) {
			t.Errorf("%d: noted %v, %v; want %v", i, latest, err, tc.want)
		}
	}
}

func TestRequestsComeNewestFirstWhateverTheClockDid(t *testing.T) {
	now := start
	db := open(t, store.Options{Now: func() time.Time { return now }})
	ctx := t.Context()
	for _, id := range []string{"a1", "a2", "a3"} {
		a := request(id)
		a.Created = time.Time{}
		if id == "a2" {
			a.Requester = "bob"
		}
		if _, _, err := db.Approvals.Create(ctx, a); err != nil {
			t.Fatal(err)
		}
		now = now.Add(-time.Hour)
	}
	if _, _, err := db.Approvals.Vote(ctx, "a3", yes("bob"), nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.Approvals.Vote(ctx, "a3", yes("cid"), nil); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		filter tools.Filter
		want   []string
	}{
		"all":             {tools.Filter{}, []string{"a3", "a2", "a1"}},
		"two newest":      {tools.Filter{Limit: 2}, []string{"a3", "a2"}},
		"of ann":          {tools.Filter{Requester: "ann"}, []string{"a3", "a1"}},
		"of ann, pending": {tools.Filter{Requester: "ann", States: []tools.State{tools.StateInput, tools.StatePending}, Limit: 1}, []string{"a3"}},
		"done":            {tools.Filter{States: []tools.State{tools.StateDone}}, []string{}},
	} {
		list, err := db.Approvals.Approvals(ctx, c.filter)
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{}
		for _, a := range list {
			ids = append(ids, a.ID)
		}
		if diff := cmp.Diff(c.want, ids); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestAThousandOpenRequestsAreAllFound(t *testing.T) {
	db := open(t, store.Options{})
	ctx := t.Context()
	for i := range 1000 {
		if _, _, err := db.Approvals.Create(ctx, request(fmt.Sprintf("a%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	list, err := db.Approvals.Approvals(ctx, tools.Filter{States: []tools.State{tools.StatePending}, Limit: 10000})
	if err != nil || len(list) != 1000 {
		t.Errorf("%d are listed, %v; want 1000", len(list), err)
	}
	again := request("new")
	again.Same = "same-a0"
	if got, created, err := db.Approvals.Create(ctx, again); err != nil || created || got.ID != "a0" {
		t.Errorf("asked again: %s, created %v, %v; want a0", got.ID, created, err)
	}
}

// decideForever takes requests through their life, and says each step once it
// is stored.
func decideForever(ctx context.Context, path string) error {
	db, err := store.Open(ctx, store.Options{Path: path, AuditKey: testKey})
	if err != nil {
		return err
	}
	for {
		a := request(fmt.Sprintf("a%d", time.Now().UnixNano()))
		if _, _, err := db.Approvals.Create(ctx, a); err != nil {
			return err
		}
		fmt.Println(a.ID, tools.StatePending, 0)
		for i, person := range []string{"bob", "cleo"} {
			voted, _, err := db.Approvals.Vote(ctx, a.ID, yes(person), func(a *tools.Approval) {
				if a.Yes() >= a.Need {
					a.State = tools.StateApproved
				}
			})
			if err != nil {
				return err
			}
			fmt.Println(a.ID, voted.State, i+1)
		}
		for _, step := range []tools.State{tools.StateExecuting, tools.StateDone} {
			if _, _, err := db.Approvals.Move(ctx, a.ID, states, func(a *tools.Approval) { a.State = step }); err != nil {
				return err
			}
			fmt.Println(a.ID, step, 2)
		}
	}
}

// states are those of a request that runs, in their order.
var states = []tools.State{tools.StatePending, tools.StateApproved, tools.StateExecuting, tools.StateDone}

func TestAKilledProcessLosesNoDecisionAndNoPartOfOne(t *testing.T) {
	path := newPath(t)
	for round := range 3 {
		cmd, stderr := child(t, "decide", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := map[string][]tools.State{}
		votes := map[string]int{}
		for i, lines := 0, bufio.NewScanner(out); lines.Scan(); i++ {
			var id string
			var state tools.State
			var n int
			if _, err := fmt.Sscan(lines.Text(), &id, &state, &n); err != nil || !slices.Contains(states, state) {
				break // the last line, cut by the kill
			}
			said[id], votes[id] = append(said[id], state), n
			if i == 60+round {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		if stderr.Len() > 0 || len(said) < 10 {
			t.Fatalf("it said %d requests\n%s", len(said), stderr)
		}
		db := open(t, store.Options{Path: path})
		if err := db.Check(t.Context()); err != nil {
			t.Error(err)
		}
		for id, steps := range said {
			a, err := db.Approvals.Approval(t.Context(), id)
			if err != nil {
				t.Errorf("round %d: %v", round, err)
				continue
			}
			last := steps[len(steps)-1]
			if slices.Index(states, a.State) < slices.Index(states, last) || len(a.Votes) < votes[id] {
				t.Errorf("round %d: it said %s with %d votes, the store has %s with %d", round, last, votes[id], a.State, len(a.Votes))
			}
			if (a.State == tools.StatePending) != (len(a.Votes) < a.Need) {
				t.Errorf("round %d: half a step: %s with %d votes of %d", round, a.State, len(a.Votes), a.Need)
			}
		}
	}
}
