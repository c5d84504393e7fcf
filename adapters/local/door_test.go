package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/duplibot/duplibot/adapters/local"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

func TestASocketAnswersAsTheGateItself(t *testing.T) {
	r := newRig(t, nil)
	c, me := r.client(tools.CLI), tools.Caller{Identity: uid(os.Geteuid()), Surface: tools.CLI}
	for _, call := range []tools.Call{
		{Operation: "list-things"},
		{Operation: "list-things", Args: map[string]any{"server": "all", "long": true}},
		{Operation: "list-things", Args: map[string]any{"server": "nsa"}},
		{Operation: "list-thingz"},
		{Operation: "start", Args: map[string]any{"thing": "2"}},
		{Operation: "start", Args: map[string]any{"thing": "hunter2-nowhere", "speed": 3}},
		{Operation: "set-word", Args: map[string]any{"thing": "1", "word": "hunter2:x"}},
	} {
		call.Caller = me
		want, wantErr := r.Runner.Run(t.Context(), call)
		got, gotErr := c.Run(t.Context(), call)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s %v: %s", call.Operation, call.Args, d)
		}
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("%s: error %v, want %v", call.Operation, gotErr, wantErr)
		}
		if wantErr != nil {
			a, b := wantErr.(*tools.Error), gotErr.(*tools.Error)
			if a.Code != b.Code || a.Message != b.Message || a.Hint != b.Hint || a.Retry != b.Retry {
				t.Errorf("%s: error %#v, want %#v", call.Operation, b, a)
			}
		}
	}
	ops, err := c.Operations(t.Context(), tools.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	direct, _ := r.Runner.Operations(t.Context(), me)
	if len(ops) == 0 || len(ops) != len(direct) {
		t.Fatalf("%d operations, want %d", len(ops), len(direct))
	}
	for i := range ops {
		if ops[i] != direct[i] {
			t.Errorf("operation %d is %s, want the pointer to %s of the built-in registry", i, ops[i].Name, direct[i].Name)
		}
	}
	needs, err := c.Needs(t.Context(), tools.Call{Operation: "set-word", Args: map[string]any{"thing": "1"}})
	if err != nil || len(needs) != 1 || needs[0].Name != "word" || !needs[0].Secret {
		t.Errorf("needs %+v, %v", needs, err)
	}
	choices, err := c.Complete(t.Context(), me, "start", "thing", "", "")
	wantChoices, _ := r.Runner.Complete(t.Context(), me, "start", "thing", "", "")
	if d := cmp.Diff(wantChoices, choices); d != "" || err != nil || len(choices) == 0 {
		t.Errorf("choices: %v %s", err, d)
	}
}

func TestProgressArrivesAndTheLastWordIsNeverLost(t *testing.T) {
	r := newRig(t, nil)
	for range 20 {
		var heard []string
		_, err := r.client(tools.CLI).Run(t.Context(), tools.Call{Operation: "start", Args: map[string]any{"thing": "1"},
			Progress: func(p tools.Progress) { heard = append(heard, p.Text) }})
		if err != nil || len(heard) == 0 || heard[len(heard)-1] != "step 5 of 5" {
			t.Fatalf("heard %v, %v", heard, err)
		}
	}
}

func TestADecisionGoesToTheDesk(t *testing.T) {
	r := newRig(t, nil)
	c := r.client(tools.CLI)
	id := r.pending()
	a, err := c.Request(t.Context(), id)
	if err != nil || a.State != tools.StatePending || a.Plan.Phrase == "" {
		t.Fatalf("request %+v, %v", a, err)
	}
	if a.Fingerprint != "" || a.Same != "" || a.Owner != "" {
		t.Errorf("what never leaves the daemon left it: %+v", a)
	}
	list, err := c.Requests(t.Context(), tools.Filter{States: []tools.State{tools.StatePending}})
	if err != nil || len(list) != 1 || list[0].Card() != a.Card() || list[0].Fingerprint != "" {
		t.Fatalf("requests %+v, %v", list, err)
	}
	// Two approvers are known, so one's own request waits for the other.
	want(t, c.MayDecide(t.Context(), a, tools.Caller{}), tools.Denied)
	a.Requester, a.Caller = "other", tools.Caller{Identity: uid(nobody)}
	want(t, c.MayDecide(t.Context(), a, tools.Caller{}), tools.Denied)
	got, err := c.Decide(t.Context(), tools.Decision{ID: id, Yes: true, Phrase: a.Plan.Phrase})
	want(t, err, tools.Denied)
	if got.ID != id || got.State != tools.StatePending {
		t.Errorf("beside the refusal came %+v", got)
	}
	if a, err = c.Withdraw(t.Context(), id, tools.Caller{}); err != nil || a.State != tools.StateWithdrawn {
		t.Fatalf("withdrawn: %+v, %v", a, err)
	}
	_, err = c.Settle(t.Context(), id, tools.Caller{}, true)
	want(t, err, tools.AlreadyDecided)
	_, err = c.Request(t.Context(), "a-none")
	want(t, err, tools.NotFound)
	_, err = c.Decide(t.Context(), tools.Decision{ID: "a-none", Yes: true})
	want(t, err, tools.NotFound)
}

func TestWhatAClientSaysOfItsCallerIsIgnored(t *testing.T) {
	r := newRig(t, nil)
	c := r.client(tools.MCP).As("liar\x1b[2J\n" + strings.Repeat("x", 200))
	_, err := c.Run(t.Context(), tools.Call{Operation: "start", Args: map[string]any{"thing": "1"}, Caller: tools.Caller{
		Identity: uid(nobody), Surface: tools.Slack, Groups: []tools.Identity{"slack:T/S"}, Client: "boss", Channel: "C0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range r.Records(t) {
		if rec.Identity != uid(os.Geteuid()) || rec.Person != "me" || rec.Surface != tools.MCP || !rec.SameAccount {
			t.Errorf("recorded %+v", rec)
		}
		if !strings.HasPrefix(rec.Client, "liar[2Jxxx") || len([]rune(rec.Client)) > 80 {
			t.Errorf("the client is recorded as %q", rec.Client)
		}
	}
}

func TestAnAssistantsConnectionReachesNoDecision(t *testing.T) {
	called := false
	r := newRig(t, func(o *local.Options) {
		o.Toolsets = []string{"core"}
		o.Admin = map[string]local.AdminCall{"tokens": func(context.Context, tools.Caller, json.RawMessage) (any, error) {
			called = true
			return "made", nil
		}}
	})
	id := r.pending()
	c := r.client(tools.MCP)
	a, _ := r.Desk.Request(t.Context(), id)
	var errs []error
	add := func(_ any, err error) { errs = append(errs, err) }
	add(c.Decide(t.Context(), tools.Decision{ID: id, Yes: true, Phrase: a.Plan.Phrase}))
	add(c.Decide(t.Context(), tools.Decision{ID: id, Caller: tools.Caller{Surface: tools.CLI}}))
	add(c.Withdraw(t.Context(), id, tools.Caller{Surface: tools.CLI}))
	add(c.Settle(t.Context(), id, tools.Caller{}, true))
	add(c.Request(t.Context(), id))
	add(c.Requests(t.Context(), tools.Filter{}))
	add(nil, c.MayDecide(t.Context(), a, tools.Caller{}))
	add(c.Hold(t.Context(), tools.Caller{}, secret.New("x")))
	add(c.Fetch(t.Context(), tools.Caller{}, "h"))
	add(c.Admin(t.Context(), "tokens", nil, nil))
	for i, err := range errs {
		if tools.CodeOf(err) != tools.Denied {
			t.Errorf("attempt %d: %v, want denied", i, err)
		}
	}
	if a, _ = r.Desk.Request(t.Context(), id); a.State != tools.StatePending || called {
		t.Errorf("the request is %s, the admin call was made: %v", a.State, called)
	}
	ops, err := c.Operations(t.Context(), tools.Caller{})
	if err != nil || len(ops) != 3 {
		t.Errorf("%d operations of the toolset, %v", len(ops), err)
	}
	_, err = c.Run(t.Context(), tools.Call{Operation: "make-token"})
	want(t, err, tools.Denied)

	t.Run("nor does it become another one on the way", func(t *testing.T) {
		conn := r.greeted("mcp")
		conn.say('h', map[string]any{"protocol": local.Protocol, "surface": "cli"})
		if _, _, err := local.ReadFrame(conn); err == nil {
			t.Error("a second hello was answered")
		}
		conn = r.greeted("mcp")
		conn.say('r', map[string]any{"do": "decide", "surface": "cli", "caller": map[string]any{"Surface": "cli"}, "body": map[string]any{"id": id, "yes": false}})
		if _, m := conn.hear(); m["failure"].(map[string]any)["code"] != "denied" {
			t.Errorf("answered %v", m)
		}
		conn.SetDeadline(time.Now().Add(time.Second))
		conn.Write([]byte("r\x00\x00\x00\x02{}"))
		if _, _, err := local.ReadFrame(conn); err == nil {
			t.Error("a second request was answered")
		}
		for _, surface := range []string{"slack", "web", "", "CLI"} {
			conn = r.raw()
			s, _ := local.NewServer(local.Options{Door: r.Runner, Decisions: r.Desk, Registry: r.Registry})
			conn.say('h', map[string]any{"protocol": local.Protocol, "registry": local.Digest(s), "surface": surface})
			if _, m := conn.hear(); m["refused"] == nil {
				t.Errorf("surface %q was welcomed", surface)
			}
		}
	})
}

func TestSecretsTravelInFramesOfTheirOwn(t *testing.T) {
	solo := toolstest.WithPeople(people[:1])
	r := newRig(t, func(o *local.Options) {
		o.Admin = map[string]local.AdminCall{
			"token": func(context.Context, tools.Caller, json.RawMessage) (any, error) {
				return local.Confidential{Result: map[string]string{"name": "x"}, Secret: secret.New("admin-canary-9")}, nil
			},
			"alone": func(context.Context, tools.Caller, json.RawMessage) (any, error) {
				return secret.New("admin-canary-8"), nil
			},
			"masked": func(context.Context, tools.Caller, json.RawMessage) (any, error) {
				return map[string]any{"s": secret.New("admin-canary-7")}, nil
			},
			"broken": func(context.Context, tools.Caller, json.RawMessage) (any, error) {
				return nil, fmt.Errorf("open /etc/admin-canary-6: no")
			},
			"echo": func(_ context.Context, c tools.Caller, args json.RawMessage) (any, error) {
				return []any{c.Identity, args}, nil
			},
		}
	}, solo)
	c := r.client(tools.CLI)
	held, err := c.Hold(t.Context(), tools.Caller{}, secret.New("held-canary-5"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Run(t.Context(), tools.Call{Operation: "set-word", Args: map[string]any{"thing": "1", "word": string(held)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Decide(t.Context(), tools.Decision{ID: a.Approval.ID, Yes: true, How: "typed"}); err != nil {
		t.Fatal(err)
	}
	if did := r.World.Did(); len(did) != 1 || did[0] != "set-word of 13 letters nas 1" {
		t.Errorf("did %v", did)
	}
	a, err = c.Run(t.Context(), tools.Call{Operation: "make-token"})
	if err != nil {
		t.Fatal(err)
	}
	done, err := c.Decide(t.Context(), tools.Decision{ID: a.Approval.ID, Yes: true, How: "typed"})
	if err != nil || len(done.Kept) != 1 {
		t.Fatalf("kept %+v, %v", done.Kept, err)
	}
	v, err := c.Fetch(t.Context(), tools.Caller{}, done.Kept[0].Handle)
	if err != nil || !strings.HasPrefix(v.Reveal(), "generated-canary-") {
		t.Errorf("fetched %q, %v", v.Reveal(), err)
	}
	if _, err := c.Fetch(t.Context(), tools.Caller{}, done.Kept[0].Handle); err == nil {
		t.Error("what was kept was given out twice")
	}

	var token map[string]string
	if v, err = c.Admin(t.Context(), "token", nil, &token); err != nil || v.Reveal() != "admin-canary-9" || token["name"] != "x" {
		t.Errorf("token %q %v %v", v.Reveal(), token, err)
	}
	if v, err = c.Admin(t.Context(), "alone", nil, nil); err != nil || v.Reveal() != "admin-canary-8" {
		t.Errorf("alone %q %v", v.Reveal(), err)
	}
	var masked map[string]string
	if v, err = c.Admin(t.Context(), "masked", nil, &masked); err != nil || !v.Empty() || masked["s"] != "[secret]" {
		t.Errorf("masked %q %v %v", v.Reveal(), masked, err)
	}
	_, err = c.Admin(t.Context(), "broken", nil, nil)
	if e := want(t, err, tools.Internal); strings.Contains(e.Error(), "canary") {
		t.Errorf("a raw error came through: %v", e)
	}
	var echo []any
	if _, err = c.Admin(t.Context(), "echo", map[string]int{"n": 3}, &echo); err != nil || echo[0] != string(uid(os.Geteuid())) || echo[1].(map[string]any)["n"] != 3.0 {
		t.Errorf("echo %v %v", echo, err)
	}
	_, err = c.Admin(t.Context(), "nonesuch", nil, nil)
	want(t, err, tools.InvalidArgument)

	big := secret.New(strings.Repeat("b", local.MaxSecret))
	if held, err = c.Hold(t.Context(), tools.Caller{}, big); err != nil {
		t.Errorf("a secret of the full size: %v", err)
	}
	id, _ := held.Handle()
	if back, err := r.Vault.Held(t.Context(), uid(os.Geteuid()), id); err != nil || !back.Equal(big) {
		t.Errorf("it did not arrive whole: %v", err)
	}
	_, err = c.Hold(t.Context(), tools.Caller{}, secret.New(strings.Repeat("b", local.MaxSecret+1)))
	want(t, err, tools.InvalidArgument)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{r.log.String(), r.Log.String(), fmt.Sprint(r.Records(t))} {
		for _, canary := range []string{"held-canary", "generated-canary", "admin-canary-7", "admin-canary-8", "admin-canary-9"} {
			if strings.Contains(place, canary) {
				t.Errorf("%s came out:\n%s", canary, place)
			}
		}
	}
	if !strings.Contains(r.log.String(), `"do":"fetch"`) {
		t.Error("the log was not looked at: it has no line of a fetch")
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	var wg sync.WaitGroup
	for i := range 200 { // of one account, which has fewer places
		wg.Go(func() {
			c := r.client([]tools.Surface{tools.CLI, tools.MCP}[i%2])
			for range 3 {
				if a, err := c.Run(t.Context(), tools.Call{Operation: "list-things"}); err != nil || !bytes.Contains(a.Result, []byte(`"things"`)) {
					t.Errorf("client %d: %s %v", i, a.Result, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestCancelling(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 1)
	var block func(ctx context.Context) error
	r := newRig(t, nil)
	r.World.Before = func(ctx context.Context, _ string) error {
		now := block
		entered <- struct{}{}
		return now(ctx)
	}
	c := r.client(tools.CLI)
	start := tools.Call{Operation: "start", Args: map[string]any{"thing": "1"}}

	t.Run("reaches the operation", func(t *testing.T) {
		block = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-entered; cancel() }()
		_, err := c.Run(ctx, start)
		want(t, err, tools.Canceled)
	})
	t.Run("waits for no operation that does not listen", func(t *testing.T) {
		over := make(chan struct{})
		block = func(context.Context) error { <-over; return nil }
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-entered; cancel() }()
		began := time.Now()
		_, err := c.Run(ctx, start)
		close(over)
		e := want(t, err, tools.Canceled)
		if time.Since(began) > 5*time.Second || !errors.Is(err, context.Canceled) || !strings.Contains(e.Message, "may still take effect") {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
	t.Run("a client that hangs up cancels", func(t *testing.T) {
		ended := make(chan error, 1)
		block = func(ctx context.Context) error { <-ctx.Done(); ended <- ctx.Err(); return ctx.Err() }
		conn := r.greeted("cli")
		conn.say('r', map[string]any{"do": "run", "body": map[string]any{"operation": "start", "args": map[string]any{"thing": "1"}}})
		<-entered
		conn.CloseWrite()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Error("the operation went on")
		}
	})
	t.Run("a deadline is said as one", func(t *testing.T) {
		block = func(ctx context.Context) error { <-ctx.Done(); time.Sleep(3 * time.Second); return ctx.Err() }
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := c.Run(ctx, tools.Call{Operation: "list-things"})
		<-entered
		if e := want(t, err, tools.Timeout); !e.Retry {
			t.Errorf("a read can be asked again: %#v", e)
		}
	})
	t.Run("before anything is asked", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Run(ctx, start)
		if e := want(t, err, tools.Canceled); !strings.Contains(e.Message, "nothing was done") {
			t.Error(e)
		}
	})
}
