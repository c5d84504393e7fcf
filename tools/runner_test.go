package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	. "github.com/duplibot/duplibot/tools/toolstest"
)

func destroyPhotos(t *testing.T, g *Gate, c tools.Caller) string {
	t.Helper()
	a, err := g.Run(c, "destroy", map[string]any{"thing": "photos"})
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != tools.Pending || a.Approval == nil {
		t.Fatalf("destroy answered %+v, want pending", a)
	}
	return a.Approval.ID
}

func wantDid(t *testing.T, g *Gate, want ...string) {
	t.Helper()
	if got := strings.Join(g.World.Did(), "; "); got != strings.Join(want, "; ") {
		t.Errorf("done: %q, want %q", got, strings.Join(want, "; "))
	}
}

func wantCode(t *testing.T, err error, want tools.Code) *tools.Error {
	t.Helper()
	var e *tools.Error
	if !errors.As(err, &e) || e.Code != want {
		t.Fatalf("error %v (%s), want code %s", err, tools.CodeOf(err), want)
	}
	return e
}

func TestWhatIsAllowedRunsAtOnceBetweenIntentAndOutcome(t *testing.T) {
	g := New(t)
	var seen []tools.Progress
	a, err := g.Runner.Run(context.Background(), tools.Call{Operation: "start", Args: map[string]any{"thing": "Mail"}, Caller: AnnsAssistant,
		Progress: func(p tools.Progress) { seen = append(seen, p) }})
	if err != nil || a.Status != tools.Done {
		t.Fatalf("%+v, %v", a, err)
	}
	wantDid(t, g, "start nas 2")
	if len(seen) != 5 || seen[4].Done != 1 {
		t.Errorf("progress %+v", seen)
	}
	records := g.Records(t)
	if len(records) != 2 || records[0].Event != tools.EventIntent || records[1].Event != tools.EventOutcome || records[1].Person != "ann" {
		t.Errorf("records %+v", records)
	}
}

func TestACriticalCallWaitsForAnotherPersonAndRunsOnce(t *testing.T) {
	g := New(t)
	id := destroyPhotos(t, g, AnnsAssistant)
	wantDid(t, g)
	if again := destroyPhotos(t, g, AnnsAssistant); again != id {
		t.Errorf("the same call made a second request %s beside %s", again, id)
	}
	if _, err := g.Decide(AnnAtTerminal, id, true); tools.CodeOf(err) != tools.Denied {
		t.Errorf("the requester agreed to her own request: %v", err)
	}
	if _, err := g.Decide(AnnInSlack, id, true); tools.CodeOf(err) != tools.Denied {
		t.Errorf("the requester's second identity agreed: %v", err)
	}
	if _, err := g.Desk.Decide(context.Background(), tools.Decision{ID: id, Caller: BobInSlack, Yes: true, Phrase: "photo"}); tools.CodeOf(err) != tools.WrongPhrase {
		t.Errorf("a wrong phrase: %v", err)
	}
	wantDid(t, g)
	a, err := g.Decide(BobInSlack, id, true)
	if err != nil || a.State != tools.StateDone {
		t.Fatalf("%+v, %v", a, err)
	}
	wantDid(t, g, "destroy nas 1")
	if _, err := g.Decide(BobInSlack, id, true); tools.CodeOf(err) != tools.AlreadyDecided {
		t.Errorf("a replayed decision: %v", err)
	}
	wantDid(t, g, "destroy nas 1")
	report, err := g.DB.Audit.Verify(context.Background())
	if err != nil || !report.OK() {
		t.Errorf("audit %+v, %v", report, err)
	}
}

func TestNobodyAgreesWhoMayNot(t *testing.T) {
	root := tools.Caller{Identity: "uid:0", Surface: tools.CLI}
	people := append([]tools.Person{{Name: "root", Identities: []tools.Identity{"uid:0"}, Roles: []string{"admin", "approver"}}}, Usual...)
	for name, c := range map[string]tools.Caller{
		"a stranger":                         Stranger,
		"a viewer":                           VeraAtTerminal,
		"an operator who is no approver":     {Identity: "uid:1003", Surface: tools.CLI},
		"an assistant of an approver":        {Identity: "slack:T0001/U0BOB", Surface: tools.MCP},
		"the requester's assistant":          AnnsAssistant,
		"root":                               root,
		"nobody":                             {},
		"a group's member who is not listed": {Identity: "slack:T0001/U0SECOND", Groups: []tools.Identity{"slack:T0001/S0OPS"}, Surface: tools.Slack},
	} {
		t.Run(name, func(t *testing.T) {
			g := New(t, WithPeople(people, tools.Group{ID: "slack:T0001/S0OPS", Roles: []string{"admin", "approver"}}))
			id := destroyPhotos(t, g, AnnsAssistant)
			if _, err := g.Decide(c, id, true); err == nil {
				t.Error("agreed")
			}
			if _, err := g.Decide(c, id, false); err == nil {
				t.Error("denied")
			}
			wantDid(t, g)
			a, err := g.Decide(BobAtTerminal, id, true)
			if err != nil || a.State != tools.StateDone {
				t.Fatalf("the valid decision: %v, %v", a.State, err)
			}
			wantDid(t, g, "destroy nas 1")
		})
	}
}

func TestWhatChangedBetweenCardAndClickIsNotDone(t *testing.T) {
	t.Run("a binding fact", func(t *testing.T) {
		g := New(t)
		id := destroyPhotos(t, g, AnnAtTerminal)
		g.World.Change("nas", "1", func(x *Thing) { x.Running = true })
		a, err := g.Decide(BobAtTerminal, id, true)
		wantCode(t, err, tools.Changed)
		if a.State != tools.StateChanged || len(a.Changes) != 1 || a.Changes[0] != (tools.Difference{Name: "running", Was: "false", Is: "true"}) {
			t.Errorf("%s %+v", a.State, a.Changes)
		}
		wantDid(t, g)
	})
	t.Run("the name", func(t *testing.T) {
		g := New(t)
		id := destroyPhotos(t, g, AnnAtTerminal)
		g.World.Change("nas", "1", func(x *Thing) { x.Name = "Photos old" })
		g.World.Change("nas", "2", func(x *Thing) { x.Name = "Photos" })
		_, err := g.Decide(BobAtTerminal, id, true)
		wantCode(t, err, tools.Changed)
		wantDid(t, g)
	})
	t.Run("what is only shown may change", func(t *testing.T) {
		g := New(t)
		id := destroyPhotos(t, g, AnnAtTerminal)
		g.World.Change("nas", "1", func(x *Thing) { x.Size = 99 })
		if _, err := g.Decide(BobAtTerminal, id, true); err != nil {
			t.Fatal(err)
		}
		wantDid(t, g, "destroy nas 1")
	})
	t.Run("the policy", func(t *testing.T) {
		g := New(t)
		id := destroyPhotos(t, g, AnnAtTerminal)
		later := New(t, After(g), WithPeople(Usual[:3]))
		_, err := later.Decide(BobAtTerminal, id, true)
		wantCode(t, err, tools.Changed)
		wantDid(t, g)
	})
	t.Run("the arguments in the store", func(t *testing.T) {
		g := New(t)
		id := destroyPhotos(t, g, AnnAtTerminal)
		_, moved, err := g.DB.Approvals.Move(context.Background(), id, []tools.State{tools.StatePending}, func(a *tools.Approval) {
			a.Args = json.RawMessage(`{"server":"nas","thing":"2"}`)
		})
		if err != nil || !moved {
			t.Fatal(moved, err)
		}
		_, err = g.Decide(BobAtTerminal, id, true)
		wantCode(t, err, tools.Changed)
		wantDid(t, g)
	})
}

func TestTimeIsOverAtTheDecisionAndAtTheExecution(t *testing.T) {
	g := New(t)
	id := destroyPhotos(t, g, AnnAtTerminal)
	g.Clock.Add(9 * time.Hour)
	_, err := g.Decide(BobAtTerminal, id, true)
	wantCode(t, err, tools.Expired)
	id = destroyPhotos(t, g, AnnAtTerminal)
	g.Clock.Add(-24 * time.Hour) // a clock stepped back makes nothing live longer
	g.Clock.Add(24*time.Hour + 9*time.Hour)
	if err := g.Desk.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	if a, _ := g.Desk.Request(context.Background(), id); a.State != tools.StateExpired {
		t.Errorf("swept: %s", a.State)
	}
	wantDid(t, g)
}

func TestAClockSteppedBackMakesNoRequestLiveLonger(t *testing.T) {
	g := New(t)
	id := destroyPhotos(t, g, AnnAtTerminal)
	g.Clock.Add(7 * time.Hour)
	g.Run(AnnAtTerminal, "start", map[string]any{"thing": "Mail"}) // the store has seen this time
	if _, err := g.Run(AnnAtTerminal, "destroy", map[string]any{"thing": "Mail"}); err != nil {
		t.Fatal(err)
	}
	g.Clock.Add(2 * time.Hour)
	g.Run(AnnAtTerminal, "destroy", map[string]any{"thing": "3"})
	g.Clock.Add(-20 * time.Hour)
	_, err := g.Decide(BobAtTerminal, id, true)
	wantCode(t, err, tools.Expired)
	wantDid(t, g, "start nas 2")
}

func TestTwoPeopleClickAtOnceAndItRunsOnce(t *testing.T) {
	people := append([]tools.Person{{Name: "cleo", Identities: []tools.Identity{"uid:1004"}, Roles: []string{"viewer", "approver"}}}, Usual...)
	g := New(t, WithPeople(people))
	id := destroyPhotos(t, g, AnnsAssistant)
	var wg sync.WaitGroup
	var mu sync.Mutex
	good := 0
	for i := range 40 {
		c := BobAtTerminal
		if i%2 == 0 {
			c = tools.Caller{Identity: "uid:1004", Surface: tools.CLI}
		}
		wg.Go(func() {
			if a, err := g.Decide(c, id, true); err == nil && a.State == tools.StateDone {
				mu.Lock()
				good++
				mu.Unlock()
			} else if code := tools.CodeOf(err); code != tools.AlreadyDecided {
				t.Errorf("a second click: %v", err)
			}
		})
	}
	wg.Wait()
	if good != 1 {
		t.Errorf("%d clicks won", good)
	}
	wantDid(t, g, "destroy nas 1")
}

func TestTwoOfThreeMustAgreeAndOneNoEndsIt(t *testing.T) {
	people := append([]tools.Person{{Name: "cleo", Identities: []tools.Identity{"uid:1004"}, Roles: []string{"viewer", "approver"}}}, Usual...)
	cleo := tools.Caller{Identity: "uid:1004", Surface: tools.CLI}
	rules := WithPolicy(tools.PolicyConfig{Rules: []tools.Rule{{Operations: []string{"destroy"}, Verdict: tools.Approve, Approvers: 2}}})
	g := New(t, WithPeople(people), rules)
	id := destroyPhotos(t, g, AnnsAssistant)
	if a, err := g.Decide(BobAtTerminal, id, true); err != nil || a.State != tools.StatePending {
		t.Fatalf("%s %v", a.State, err)
	}
	if _, err := g.Decide(BobInSlack, id, true); tools.CodeOf(err) != tools.AlreadyDecided {
		t.Errorf("one person counted twice: %v", err)
	}
	wantDid(t, g)
	if a, err := g.Decide(cleo, id, true); err != nil || a.State != tools.StateDone {
		t.Fatalf("%s %v", a.State, err)
	}
	wantDid(t, g, "destroy nas 1")

	g = New(t, WithPeople(people), rules)
	id = destroyPhotos(t, g, AnnsAssistant)
	g.Decide(BobAtTerminal, id, true)
	if a, err := g.Decide(cleo, id, false); err != nil || a.State != tools.StateDenied {
		t.Fatalf("%s %v", a.State, err)
	}
	_, err := g.Run(AnnsAssistant, "destroy", map[string]any{"thing": "photos"})
	wantCode(t, err, tools.TooMany)
	g.Clock.Add(31 * time.Minute)
	destroyPhotos(t, g, AnnsAssistant)
	wantDid(t, g)
}

func TestARequesterHasFiveCardsAnHour(t *testing.T) {
	g := New(t, WithPolicy(tools.PolicyConfig{Rules: []tools.Rule{{Operations: []string{"start"}, Verdict: tools.Approve}}}))
	for i, args := range []map[string]any{
		{"thing": "1"}, {"thing": "2"}, {"thing": "3"}, {"thing": "1", "wait": true}, {"thing": "2", "wait": true},
	} {
		if _, err := g.Run(AnnsAssistant, "start", args); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
	_, err := g.Run(AnnsAssistant, "destroy", map[string]any{"thing": "1"})
	if e := wantCode(t, err, tools.TooMany); !e.Retry {
		t.Error("it can be tried again later")
	}
	g.Clock.Add(61 * time.Minute)
	destroyPhotos(t, g, AnnsAssistant)
}

func TestTheOneApproverConfirmsHisOwn(t *testing.T) {
	g := New(t, WithPeople(Solo))
	id := destroyPhotos(t, g, AnnsAssistant)
	if _, err := g.Decide(AnnsAssistant, id, true); tools.CodeOf(err) != tools.Denied {
		t.Errorf("the assistant confirmed: %v", err)
	}
	if a, err := g.Desk.Decide(context.Background(), tools.Decision{ID: id, Caller: AnnAtTerminal, Yes: true, Unattended: true}); err != nil || a.Votes[0].How != "--yes" {
		t.Fatalf("%+v, %v", a, err)
	}
	wantDid(t, g, "destroy nas 1")

	// Where another person must agree, --yes is no phrase.
	g = New(t)
	id = destroyPhotos(t, g, AnnAtTerminal)
	_, err := g.Desk.Decide(context.Background(), tools.Decision{ID: id, Caller: BobAtTerminal, Yes: true, Unattended: true})
	wantCode(t, err, tools.WrongPhrase)
	wantDid(t, g)
}

func TestReadOnlyBeatsEverything(t *testing.T) {
	g := New(t, WithPolicy(tools.PolicyConfig{ReadOnly: true, Rules: []tools.Rule{{Operations: []string{"start"}, Verdict: tools.Allow}}}))
	for _, op := range []string{"start", "destroy"} {
		_, err := g.Run(AnnAtTerminal, op, map[string]any{"thing": "1"})
		wantCode(t, err, tools.ReadOnly)
	}
	ops, err := g.Runner.Operations(context.Background(), AnnAtTerminal)
	if err != nil || len(ops) != 1 || ops[0].Name != "list-things" {
		t.Errorf("listed %v, %v", ops, err)
	}
	wantDid(t, g)
}

func TestNoRuleOpensWhatIsCritical(t *testing.T) {
	reg := tools.NewRegistry(NewWorld().Operations()...)
	people, err := tools.NewPeople(Usual, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range reg.All() {
		_, err := tools.NewPolicy(tools.PolicyConfig{Rules: []tools.Rule{{Operations: []string{op.Name}, Verdict: tools.Allow}}}, reg, people)
		if critical := op.Risk == tools.Critical; critical != (err != nil) {
			t.Errorf("a rule that allows %s (%s): %v", op.Name, op.Risk, err)
		}
	}
	for name, r := range map[string]tools.Rule{
		"allow everything":        {Verdict: tools.Allow},
		"allow critical":          {Risks: []tools.Risk{tools.Critical}, Verdict: tools.Allow},
		"more approvers than are": {Operations: []string{"destroy"}, Verdict: tools.Approve, Approvers: 3},
		"an unknown operation":    {Operations: []string{"destory"}, Verdict: tools.Deny},
		"an unknown surface":      {Surfaces: []tools.Surface{"fax"}, Verdict: tools.Deny},
	} {
		if _, err := tools.NewPolicy(tools.PolicyConfig{Rules: []tools.Rule{r}}, reg, people); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestWhatIsTypedByMistakeIsNowhere(t *testing.T) {
	g := New(t)
	const word = "hunter2!Tr0ub4dor"
	for _, call := range []tools.Call{
		{Operation: "set-word", Args: map[string]any{"thing": "1", "word": word}, Caller: AnnsAssistant},
		{Operation: "set-word", Args: map[string]any{"thing": "1", "word": "exec:" + word}, Caller: AnnAtTerminal},
		{Operation: "set-word", Args: map[string]any{"thing": "1", word: "x"}, Caller: AnnAtTerminal},
		{Operation: "set-word " + word, Caller: AnnAtTerminal},
		{Operation: "start", Args: map[string]any{"thing": "1", "wait": word}, Caller: AnnAtTerminal},
		{Operation: "start", Args: map[string]any{"thing": "1", "server": word}, Caller: AnnAtTerminal},
	} {
		_, err := g.Runner.Run(context.Background(), call)
		if err == nil {
			t.Errorf("%s was accepted", call.Operation)
			continue
		}
		if strings.Contains(err.Error(), word) {
			t.Errorf("the error repeats it: %v", err)
		}
	}
	records, _ := json.Marshal(g.Records(t))
	approvals, _ := g.DB.Approvals.Approvals(context.Background(), tools.Filter{})
	stored, _ := json.Marshal(approvals)
	if all := string(records) + string(stored) + g.Log.String(); strings.Contains(all, word) {
		t.Errorf("it stands in a record, a request or the log:\n%s", all)
	}
	wantDid(t, g)
}

func TestReferencesComeFromATerminalAlone(t *testing.T) {
	for _, ref := range []string{"env:WORD", "file:/etc/passwd", "keyring:server.x", "credential:x", "pass:x", "exec:ls", "held:h1"} {
		for _, c := range []tools.Caller{AnnsAssistant, AnnInSlack} {
			g := New(t, WithPages())
			if a, err := g.Run(c, "set-word", map[string]any{"thing": "1", "word": ref}); err == nil {
				t.Errorf("%s from %s: %+v", ref, c.Surface, a)
			}
		}
	}
	for _, path := range []string{"/etc/passwd", "../x", "held:h1"} {
		g := New(t, WithPages())
		if a, err := g.Run(AnnsAssistant, "bring", map[string]any{"file": path}); err == nil {
			t.Errorf("%s: %+v", path, a)
		}
	}
}

func TestASecretEnteredOnAPageIsWaitedForFirst(t *testing.T) {
	g := New(t, WithPages())
	a, err := g.Run(AnnsAssistant, "set-word", map[string]any{"thing": "Photos", "word": "page"})
	if err != nil || a.Approval.State != tools.StateInput || a.Approval.Needs[0] != "word" {
		t.Fatalf("%+v, %v", a.Approval, err)
	}
	id := a.Approval.ID
	_, err = g.Decide(BobAtTerminal, id, true)
	wantCode(t, err, tools.SecretNeeded)
	if p, err := g.Desk.Provide(context.Background(), id, "word", secret.New("page-canary")); err != nil || p.State != tools.StatePending {
		t.Fatalf("%s %v", p.State, err)
	}
	if _, err := g.Desk.Provide(context.Background(), id, "word", secret.New("another")); tools.CodeOf(err) != tools.AlreadyDecided {
		t.Errorf("entered twice: %v", err)
	}
	if _, err := g.Decide(BobAtTerminal, id, true); err != nil {
		t.Fatal(err)
	}
	wantDid(t, g, "set-word of 11 letters nas 1")
	if n := g.Vault.Holding(); n != 0 {
		t.Errorf("%d secrets are still held", n)
	}
	all, _ := json.Marshal(g.Records(t))
	if strings.Contains(string(all), "page-canary") {
		t.Error("the word is in the audit log")
	}
}

func TestAGeneratedSecretIsMadeBeforeTheIntent(t *testing.T) {
	g := New(t)
	a, err := g.Run(AnnsAssistant, "set-word", map[string]any{"thing": "Photos", "word": "generate"})
	if err != nil || a.Approval.State != tools.StatePending {
		t.Fatalf("%+v %v", a, err)
	}
	if n := g.Vault.Holding(); n != 1 {
		t.Errorf("%d secrets held, want the generated one", n)
	}
	if _, err := g.Decide(BobAtTerminal, a.Approval.ID, true); err != nil {
		t.Fatal(err)
	}
	wantDid(t, g, "set-word of 18 letters nas 1")
}

func TestWhatComesOutIsKeptForItsRequester(t *testing.T) {
	g := New(t, WithPeople(Solo))
	a, err := g.Run(AnnAtTerminal, "make-token", nil)
	if err != nil {
		t.Fatal(err)
	}
	done, err := g.Decide(AnnAtTerminal, a.Approval.ID, true)
	if err != nil || len(done.Kept) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := g.Desk.Fetch(context.Background(), AnnsAssistant, done.Kept[0].Handle); err == nil {
		t.Error("an assistant fetched it")
	}
	v, err := g.Desk.Fetch(context.Background(), AnnAtTerminal, done.Kept[0].Handle)
	if err != nil || !strings.HasPrefix(v.Reveal(), "generated-canary-") {
		t.Fatal(err)
	}
	if _, err := g.Desk.Fetch(context.Background(), AnnAtTerminal, done.Kept[0].Handle); err == nil {
		t.Error("fetched twice")
	}
	stored, _ := json.Marshal(done)
	if strings.Contains(string(stored), v.Reveal()) {
		t.Error("the token stands in the request")
	}
}

func TestOneServerThatFailsTakesNothingFromTheOthers(t *testing.T) {
	g := New(t)
	g.World.Before = func(ctx context.Context, op string) error { return nil }
	a, err := g.Run(VeraAtTerminal, "list-things", map[string]any{"server": "all"})
	if err != nil || len(a.Each) != 2 || len(a.View.Table.Rows) != 4 {
		t.Fatalf("%+v, %v", a, err)
	}
	for _, op := range []string{"start", "destroy"} {
		if _, err := g.Run(AnnAtTerminal, op, map[string]any{"thing": "1", "server": "all"}); tools.CodeOf(err) != tools.InvalidArgument {
			t.Errorf("%s on all servers: %v", op, err)
		}
	}
}

func TestAGateThatCannotRecordChangesNothing(t *testing.T) {
	g := New(t, WithOptions(func(o *tools.Options) { o.Audit = fullDisk{} }))
	for _, op := range []string{"start", "destroy"} {
		_, err := g.Run(AnnAtTerminal, op, map[string]any{"thing": "1"})
		wantCode(t, err, tools.AuditDown)
	}
	if _, err := g.Run(AnnAtTerminal, "list-things", nil); err != nil {
		t.Errorf("a read: %v", err)
	}
	wantDid(t, g)

	// Denying and withdrawing still work.
	g = New(t)
	id := destroyPhotos(t, g, AnnAtTerminal)
	full := New(t, After(g), WithOptions(func(o *tools.Options) { o.Audit = fullDisk{} }))
	_, err := full.Decide(BobAtTerminal, id, true)
	wantCode(t, err, tools.AuditDown)
	if a, err := full.Decide(BobAtTerminal, id, false); err != nil || a.State != tools.StateDenied {
		t.Errorf("deny: %s, %v", a.State, err)
	}
	wantDid(t, g)
}

type fullDisk struct{}

func (fullDisk) Append(context.Context, tools.Record) (tools.Record, error) {
	return tools.Record{}, errors.New("no space left on device")
}

func TestNobodyIsOfferedWhatHeMayNotDo(t *testing.T) {
	g := New(t)
	offers := func(c tools.Caller) (names []string) {
		a, err := g.Run(c, "list-things", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range a.View.Next {
			names = append(names, n.Operation)
		}
		return names
	}
	if got := offers(AnnsAssistant); len(got) == 0 {
		t.Fatal("an operator is offered nothing: the world has nothing to offer")
	}
	if got := offers(VerasAssistant); len(got) != 0 {
		t.Errorf("a viewer is offered %v", got)
	}
}
