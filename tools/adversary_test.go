package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	. "github.com/duplibot/duplibot/tools/toolstest"
)

// TestATokenOfOnesOwnIsNobodyElse: people gives an identity to ann, and the
// list of tokens gives the token of that name to somebody else, who has made
// it. Whose it is cannot be told then.
func TestATokenOfOnesOwnIsNobodyElse(t *testing.T) {
	stolen := AnnsAssistant
	stolen.Person = "bob"
	g := New(t)
	if s := g.People.Who(stolen); s.Listed || s.Role != tools.Nobody || s.Approver {
		t.Errorf("the token that bob has made under the name of ann's is %+v", s)
	}
	_, err := g.Run(stolen, "destroy", map[string]any{"thing": "1"})
	wantCode(t, err, tools.NobodyKnown)
	own := AnnsAssistant
	own.Person = "ann"
	if s := g.People.Who(own); s.Name != "ann" || !s.Listed {
		t.Errorf("her own token is %+v", s)
	}
}

func TestAllServersAreNoWayAroundARule(t *testing.T) {
	for _, verdict := range []tools.Verdict{tools.Confirm, tools.Approve, tools.Deny} {
		for _, servers := range [][]string{{"office"}, nil} {
			g := New(t, WithPolicy(tools.PolicyConfig{Rules: []tools.Rule{{Operations: []string{"list-things"}, Servers: servers, Verdict: verdict}}}))
			a, err := g.Run(AnnsAssistant, "list-things", map[string]any{"server": "all"})
			if err == nil {
				t.Errorf("%s on %v: all servers answered %+v", verdict, servers, a)
			}
			wantCode(t, err, tools.Denied)
		}
	}
}

// TestANumberIsNoWayForASecret: models write numbers where a text belongs.
func TestANumberIsNoWayForASecret(t *testing.T) {
	const word = "73192846"
	for _, value := range []any{float64(73192846), json.Number(word), 73192846, int64(73192846), []any{word}, []string{word}} {
		g := New(t, WithPages())
		for _, call := range []tools.Call{
			{Operation: "set-word", Args: map[string]any{"thing": "1", "word": value}, Caller: AnnsAssistant},
			{Operation: "set-word", Args: map[string]any{"thing": "1", "word": value}, Caller: AnnAtTerminal},
		} {
			a, err := g.Runner.Run(context.Background(), call)
			if err == nil {
				t.Errorf("%T was taken: %+v", value, a)
			} else if strings.Contains(err.Error(), word) {
				t.Errorf("%T: the error repeats it: %v", value, err)
			}
		}
		records, _ := json.Marshal(g.Records(t))
		approvals, _ := g.DB.Approvals.Approvals(context.Background(), tools.Filter{})
		stored, _ := json.Marshal(approvals)
		if all := string(records) + string(stored) + g.Log.String(); strings.Contains(all, word) {
			t.Errorf("%T stands in a record, a request or the log:\n%s", value, all)
		}
	}
}

// TestFiveCardsAreFiveHoweverManyAskAtOnce: the count and the new card are one
// step.
func TestFiveCardsAreFiveHoweverManyAskAtOnce(t *testing.T) {
	g := New(t, WithPolicy(tools.PolicyConfig{Rules: []tools.Rule{{Verdict: tools.Approve}}}))
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 12 {
		args := map[string]any{"thing": fmt.Sprint(1 + i%3), "wait": i%2 == 0}
		operation := []string{"start", "destroy"}[i/6]
		wg.Go(func() {
			<-start
			if _, err := g.Run(AnnsAssistant, operation, args); err != nil && tools.CodeOf(err) != tools.TooMany {
				t.Errorf("%s %v: %v", operation, args, err)
			}
		})
	}
	close(start)
	wg.Wait()
	n, err := g.DB.Approvals.Asked(context.Background(), "ann", g.Clock.Now().Add(-time.Hour))
	if err != nil || n != 5 {
		t.Errorf("%d cards, %v", n, err)
	}
}

// TestAnotherNameIsTheSameCall: a thing has an ID and a name in upper and lower
// case, and a call on it stays the same call.
func TestAnotherNameIsTheSameCall(t *testing.T) {
	g := New(t)
	id := destroyPhotos(t, g, AnnsAssistant)
	for _, name := range []string{"1", "Photos", "PHOTOS"} {
		a, err := g.Run(AnnsAssistant, "destroy", map[string]any{"thing": name})
		if err != nil || a.Approval.ID != id {
			t.Errorf("by the name %s: %+v, %v", name, a.Approval, err)
		}
	}
	if a, err := g.Run(AnnsAssistant, "destroy", map[string]any{"thing": "1", "wait": true}); err != nil || a.Approval.ID == id {
		t.Errorf("another call is the same: %+v, %v", a.Approval, err)
	}
	if a, err := g.Run(AnnsAssistant, "destroy", map[string]any{"thing": "2"}); err != nil || a.Approval.ID == id {
		t.Errorf("another thing is the same: %+v, %v", a.Approval, err)
	}
	if _, err := g.Decide(BobAtTerminal, id, false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"photos", "1", "Photos", "PHOTOS"} {
		_, err := g.Run(AnnsAssistant, "destroy", map[string]any{"thing": name})
		if tools.CodeOf(err) != tools.TooMany {
			t.Errorf("denied, and asked again as %s: %v", name, err)
		}
	}
}

func TestAskingTwiceLosesNoSecret(t *testing.T) {
	g := New(t)
	held, err := g.Desk.Hold(context.Background(), AnnAtTerminal, secret.New("held-canary"))
	if err != nil {
		t.Fatal(err)
	}
	args := map[string]any{"thing": "1", "word": string(held)}
	first, err := g.Run(AnnAtTerminal, "set-word", args)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := g.Run(AnnAtTerminal, "set-word", args); err != nil || again.Approval.ID != first.Approval.ID {
		t.Fatalf("%+v, %v", again.Approval, err)
	}
	if _, err := g.Decide(BobAtTerminal, first.Approval.ID, true); err != nil {
		t.Fatal(err)
	}
	wantDid(t, g, "set-word of 11 letters nas 1")
	if n := g.Vault.Holding(); n != 0 {
		t.Errorf("%d secrets are still held", n)
	}
}

// TestStrangersLearnNoNames: what is set up here is nothing to who is nobody.
func TestStrangersLearnNoNames(t *testing.T) {
	g := New(t)
	for _, call := range []tools.Call{
		{Operation: "list-things", Args: map[string]any{"server": "nowhere"}},
		{Operation: "list-things", Args: map[string]any{"server": ""}},
		{Operation: "start", Args: map[string]any{"thing": "1", "server": "offic"}},
		{Operation: "destroy", Args: map[string]any{"thing": "1", "server": "all"}},
		{Operation: "destroy", Args: map[string]any{"thin": "1"}},
		{Operation: "set-word", Args: map[string]any{"thing": "1", "word": "photos-passphras"}},
	} {
		for _, c := range []tools.Caller{Stranger, {}} {
			call.Caller = c
			_, err := g.Runner.Run(context.Background(), call)
			e := wantCode(t, err, tools.NobodyKnown)
			if text := e.Error(); strings.Contains(text, "nas") || strings.Contains(text, "office") || strings.Contains(text, "photos-passphrase") {
				t.Errorf("%s tells %s: %s", call.Operation, c.Identity, text)
			}
		}
	}
}

// TestCompletionKeepsToTheRules: to offer names is to read them.
func TestCompletionKeepsToTheRules(t *testing.T) {
	offered := func(g *Gate, c tools.Caller, operation, server string) int {
		choices, err := g.Runner.Complete(context.Background(), c, operation, "thing", "", server)
		if err != nil {
			t.Fatal(err)
		}
		return len(choices)
	}
	g := New(t, WithPolicy(tools.PolicyConfig{Rules: []tools.Rule{{Servers: []string{"office"}, Surfaces: []tools.Surface{tools.MCP}, Verdict: tools.Deny}}}))
	if n := offered(g, AnnsAssistant, "start", "nas"); n == 0 {
		t.Error("nothing is offered where everything is allowed")
	}
	if n := offered(g, AnnsAssistant, "start", "office"); n != 0 {
		t.Errorf("%d names of a server that a rule forbids", n)
	}
	if n := offered(g, AnnAtTerminal, "start", "office"); n == 0 {
		t.Error("nothing is offered at a terminal, which the rule does not name")
	}
	g = New(t, WithPolicy(tools.PolicyConfig{Rules: []tools.Rule{{Risks: []tools.Risk{tools.Change}, Verdict: tools.Approve}}}))
	if n := offered(g, AnnsAssistant, "start", "nas"); n == 0 {
		t.Error("nothing is offered for a call that somebody may agree to")
	}
	limited := AnnsAssistant
	limited.Toolsets = []string{"core"}
	if n := offered(g, limited, "set-word", "nas"); n != 0 {
		t.Errorf("%d names for an operation that the token does not cover", n)
	}
}

// TestArgumentsHaveLimits: they are stored, recorded and shown.
func TestArgumentsHaveLimits(t *testing.T) {
	many := make([]any, 300)
	for i := range many {
		many[i] = "x"
	}
	for name, args := range map[string]map[string]any{
		"a long text":         {"thing": strings.Repeat("x", 4097)},
		"a long text in list": {"thing": "1", "names": []any{strings.Repeat("x", 4097)}},
		"a long list":         {"thing": "1", "names": many},
	} {
		op := tools.Define(tools.Spec{Name: "mark", Summary: "Mark things", Group: "things", Toolset: "core", Risk: tools.Change},
			tools.Handler[markIn, Outcome]{
				Do:   func(context.Context, tools.Env, markIn) (Outcome, error) { return Outcome{}, nil },
				View: func(Outcome) tools.View { return tools.View{} },
			})
		g := New(t, WithOperations(op))
		_, err := g.Run(AnnAtTerminal, "mark", args)
		if e := wantCode(t, err, tools.InvalidArgument); len(e.Error()) > 400 {
			t.Errorf("%s: the error is %d bytes long", name, len(e.Error()))
		}
		if n := len(g.Records(t)); n != 1 {
			t.Errorf("%s: %d records", name, n)
		}
	}
}

type markIn struct {
	Thing string   `json:"thing" jsonschema:"Its name" tool:"pos"`
	Names []string `json:"names,omitempty" jsonschema:"More names"`
	tools.OnServer
}

// TestAClockThatWasSetBackLetsNothingLive: between two processes that look at
// the store, nobody sweeps.
func TestAClockThatWasSetBackLetsNothingLive(t *testing.T) {
	for name, tc := range map[string]struct {
		seen time.Duration // after the request, when another process notes the time
		back time.Duration
		want tools.Code
	}{
		"when it would have expired":      {9 * time.Hour, 8*time.Hour + 30*time.Minute, tools.Expired},
		"when it would not":               {2 * time.Hour, 24 * time.Hour, tools.Expired},
		"before the request":              {0, time.Hour, tools.Expired},
		"by what setting it right can do": {time.Hour, 30 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			first := New(t)
			id := destroyPhotos(t, first, AnnAtTerminal)
			first.Clock.Add(tc.seen)
			if tc.seen > 0 {
				second := New(t, After(first))
				if _, err := second.Run(AnnAtTerminal, "destroy", map[string]any{"thing": "Mail"}); err != nil {
					t.Fatal(err)
				}
			}
			first.Clock.Add(-tc.back)
			third := New(t, After(first))
			_, err := third.Decide(BobAtTerminal, id, true)
			if tools.CodeOf(err) != tc.want {
				t.Fatalf("decided: %v, want %q", err, tc.want)
			}
			if tc.want == "" {
				wantDid(t, third, "destroy nas 1")
				return
			}
			wantDid(t, third)
			if a, _ := third.Desk.Request(context.Background(), id); a.State != tools.StateExpired {
				t.Errorf("it is %s", a.State)
			}
			if r := last(third.Records(t)); r.Event != tools.EventExpired || !strings.Contains(r.Detail, "the clock was set back") {
				t.Errorf("recorded as %+v", r)
			}
			// From here on the clock counts as it stands.
			id = destroyPhotos(t, third, AnnAtTerminal)
			if _, err := New(t, After(third)).Decide(BobAtTerminal, id, true); err != nil {
				t.Errorf("what was asked after that: %v", err)
			}
			wantDid(t, third, "destroy nas 1")
		})
	}
}

// TestAClockThatWasAheadLetsNothingLiveForYears: a battery is empty, and the
// host starts in another year until it is told the time.
func TestAClockThatWasAheadLetsNothingLiveForYears(t *testing.T) {
	g := New(t)
	g.Clock.Add(20 * 365 * 24 * time.Hour)
	ahead := destroyPhotos(t, g, AnnAtTerminal)
	g.Clock.Add(-20 * 365 * 24 * time.Hour)
	if err := g.Desk.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	if a, _ := g.Desk.Request(context.Background(), ahead); a.State != tools.StateExpired {
		t.Errorf("what was asked in that year is %s", a.State)
	}
	id := destroyPhotos(t, g, AnnAtTerminal)
	g.Clock.Add(9 * time.Hour)
	_, err := g.Decide(BobAtTerminal, id, true)
	wantCode(t, err, tools.Expired)
	wantDid(t, g)
}

// TestALookEndsWhatNobodyDecidedInTime: a command that lists requests is all
// that runs where there is no daemon.
func TestALookEndsWhatNobodyDecidedInTime(t *testing.T) {
	g := New(t)
	id := destroyPhotos(t, g, AnnAtTerminal)
	g.Clock.Add(9 * time.Hour)
	later := New(t, After(g))
	if err := later.Desk.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	g.Clock.Add(-8 * time.Hour)
	if _, err := later.Decide(BobAtTerminal, id, true); err == nil {
		t.Error("it ran")
	}
	wantDid(t, g)
}

// TestASettlementThatCannotBeRecordedSettlesNothing: it is an approver's word,
// and counts as any other.
func TestASettlementThatCannotBeRecordedSettlesNothing(t *testing.T) {
	g := New(t)
	a, err := g.Run(AnnAtTerminal, "set-word", map[string]any{"thing": "1", "word": "photos-passphrase"})
	if err != nil {
		t.Fatal(err)
	}
	id, ctx := a.Approval.ID, context.Background()
	g.World.Before = func(context.Context, string) error { return tools.Errorf(tools.UnknownOutcome, "the answer was lost") }
	if a, _ := g.Decide(BobAtTerminal, id, true); a.State != tools.StateUnknown {
		t.Fatalf("it is %s", a.State)
	}
	full := New(t, After(g), WithOptions(func(o *tools.Options) { o.Audit = fullDisk{} }))
	_, err = full.Desk.Settle(ctx, id, BobAtTerminal, true)
	wantCode(t, err, tools.AuditDown)
	if a, _ := g.Desk.Request(ctx, id); a.State != tools.StateUnknown {
		t.Errorf("it is %s", a.State)
	}
	if a, err := g.Desk.Settle(ctx, id, BobAtTerminal, false); err != nil || a.State != tools.StateSettled {
		t.Fatalf("%s %v", a.State, err)
	}
	r := last(g.Records(t))
	if r.Event != tools.EventSettled || r.Person != "bob" || r.Identity != BobAtTerminal.Identity || r.Approval != id {
		t.Errorf("recorded as %+v", r)
	}
	_, err = g.Desk.Settle(ctx, id, BobAtTerminal, true)
	wantCode(t, err, tools.AlreadyDecided)
	if last(g.Records(t)).Seq != r.Seq {
		t.Error("what was settled was recorded as settled once more")
	}
}

// TestWhoAsksInALoopFillsNoLog: what is refused the same way again and again is
// one record, and a number in the next.
func TestWhoAsksInALoopFillsNoLog(t *testing.T) {
	g := New(t)
	loop := func() {
		for i := range 200 {
			if _, err := g.Run(VerasAssistant, "destroy", map[string]any{"thing": fmt.Sprint(i)}); err == nil {
				t.Fatal("it was not refused")
			}
		}
	}
	loop()
	if n := len(g.Records(t)); n != 1 {
		t.Errorf("%d records of 200 calls", n)
	}
	g.Run(VeraAtTerminal, "destroy", map[string]any{"thing": "1"})
	g.Run(VerasAssistant, "start", map[string]any{"thing": "1"})
	g.Run(VerasAssistant, "destroy", map[string]any{"thing": "1", "wait": true})
	if n := len(g.Records(t)); n != 4 {
		t.Errorf("%d records, want one for each other call too", n)
	}
	g.Clock.Add(2 * time.Minute)
	loop()
	records := g.Records(t)
	if r := last(records); len(records) != 5 || !strings.HasSuffix(r.Detail, "; 199 more since "+records[0].At.Format(time.RFC3339)) {
		t.Errorf("%d records, the last %+v", len(records), r)
	}
	id := destroyPhotos(t, g, AnnAtTerminal)
	for range 50 {
		g.Desk.Decide(context.Background(), tools.Decision{ID: id, Caller: VeraAtTerminal, Yes: true})
	}
	if n := len(g.Records(t)); n != len(records)+2 {
		t.Errorf("50 refused decisions made %d records", n-len(records)-1)
	}
}

// TestWhatNobodyCouldConfirmIsRefusedAtOnce, whichever rule asks for it.
func TestWhatNobodyCouldConfirmIsRefusedAtOnce(t *testing.T) {
	olaf := tools.Caller{Identity: "uid:1003", Surface: tools.CLI} // no approver
	g := New(t, WithPolicy(tools.PolicyConfig{Rules: []tools.Rule{{Operations: []string{"destroy", "start"}, Verdict: tools.Confirm}}}))
	_, err := g.Run(olaf, "destroy", map[string]any{"thing": "1"})
	wantCode(t, err, tools.TooFewApprovers)
	if a, err := g.Run(olaf, "start", map[string]any{"thing": "1"}); err != nil || a.Status != tools.Pending {
		t.Errorf("what is no worse than a change: %+v %v", a, err)
	}
}

// TestWhatIsUnderWayStaysInItsOwnersHands: a process that executes holds a lock
// that says so, for as long as it lives and not until memory is swept.
func TestWhatIsUnderWayStaysInItsOwnersHands(t *testing.T) {
	g := New(t)
	id := destroyPhotos(t, g, AnnAtTerminal)
	g.World.Before = func(ctx context.Context, _ string) error {
		for range 5 {
			runtime.GC()
			time.Sleep(10 * time.Millisecond)
		}
		other := New(t, After(g))
		if err := other.Desk.Recover(ctx); err != nil {
			t.Error(err)
		}
		if a, _ := other.Desk.Request(ctx, id); a.State != tools.StateExecuting {
			t.Errorf("while it is under way another process makes it %s", a.State)
		}
		return nil
	}
	if a, err := g.Decide(BobAtTerminal, id, true); err != nil || a.State != tools.StateDone {
		t.Errorf("%s %v", a.State, err)
	}
	wantDid(t, g, "destroy nas 1")
}

// makers is who made which token for somebody else.
type makers map[tools.Identity]string

func (m makers) MadeBy(_ context.Context, id tools.Identity) (string, error) {
	if m == nil {
		return "", errors.New("the store is closed")
	}
	return m[id], nil
}

// TestWhoMadeATokenForAnotherAgreesToNothingByIt: he has seen it, and can ask by
// it in the other's name.
func TestWhoMadeATokenForAnotherAgreesToNothingByIt(t *testing.T) {
	assistant := tools.Caller{Identity: "mcp:bobs", Person: "bob", Surface: tools.MCP}
	made := WithOptions(func(o *tools.Options) { o.Tokens = makers{"mcp:bobs": "ann"} })
	cleo := tools.Caller{Identity: "uid:1004", Surface: tools.CLI}
	three := append([]tools.Person{{Name: "cleo", Identities: []tools.Identity{cleo.Identity}, Roles: []string{"viewer", "approver"}}}, Usual...)
	g := New(t, WithPeople(three), made)
	id := destroyPhotos(t, g, assistant)
	for _, c := range []tools.Caller{AnnAtTerminal, AnnInSlack, BobAtTerminal} {
		_, err := g.Decide(c, id, true)
		wantCode(t, err, tools.Denied)
	}
	if r, _ := g.Desk.Request(context.Background(), id); !slices.Equal(g.Policy.Deciders(r), []string{"cleo"}) {
		t.Errorf("can decide: %v", g.Policy.Deciders(r))
	}
	wantDid(t, g)
	if _, err := g.Decide(cleo, id, true); err != nil {
		t.Fatal(err)
	}
	wantDid(t, g, "destroy nas 1")

	// Where nobody else is left it is refused when it is asked for.
	g = New(t, made)
	_, err := g.Run(assistant, "destroy", map[string]any{"thing": "1"})
	if e := wantCode(t, err, tools.TooFewApprovers); !strings.Contains(e.Error(), "ann made the token of bob") {
		t.Error(e)
	}
	if _, err := g.Run(assistant, "start", map[string]any{"thing": "1"}); err != nil {
		t.Errorf("what needs nobody: %v", err)
	}
	// What cannot be known is refused.
	g = New(t, WithOptions(func(o *tools.Options) { o.Tokens = makers(nil) }))
	if a, err := g.Run(assistant, "destroy", map[string]any{"thing": "1"}); err == nil {
		t.Errorf("%+v", a)
	}
}

// full is a store whose disk is full when it matters.
type full struct {
	requests
	now *atomic.Bool
}

type requests interface{ tools.Approvals }

func (f full) Move(ctx context.Context, id string, from []tools.State, change func(*tools.Approval)) (tools.Approval, bool, error) {
	if f.now.Load() {
		return tools.Approval{}, false, tools.Errorf(tools.Unavailable, "the disk that holds the bot's store is full; nothing was changed")
	}
	return f.requests.Move(ctx, id, from, change)
}

// TestAnEndThatCouldNotBeWrittenIsLookedForLater, by the process itself: it
// lives, and nobody else may.
func TestAnEndThatCouldNotBeWrittenIsLookedForLater(t *testing.T) {
	var disk atomic.Bool
	g := New(t, WithOptions(func(o *tools.Options) { o.Approvals = full{o.Approvals, &disk} }))
	id := destroyPhotos(t, g, AnnAtTerminal)
	g.World.Before = func(context.Context, string) error { disk.Store(true); return nil }
	a, err := g.Decide(BobAtTerminal, id, true)
	if e := wantCode(t, err, tools.UnknownOutcome); a.ID != id || !strings.Contains(e.Error(), "was done") {
		t.Errorf("%+v %v", a, e)
	}
	disk.Store(false)
	if err := g.Desk.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	if a, _ := g.Desk.Request(context.Background(), id); a.State != tools.StateSettled || !a.TookEffect() {
		t.Errorf("it is %s, %q", a.State, a.Settlement)
	}
	wantDid(t, g, "destroy nas 1")
}

func last(records []tools.Record) tools.Record { return records[len(records)-1] }
