package tools

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Limits that keep requests from becoming noise.
const (
	inputWithin  = 10 * time.Minute // to enter a secret on a page
	pauseOnDeny  = 30 * time.Minute // before a denied call may be asked for again
	cardsAnHour  = 5                // per requester
	cardWithin   = 10 * time.Second // to wait for others of the same requester
	lockWithin   = 2 * time.Minute  // to wait for another operation on the same backup
	actWithin    = 30 * time.Minute // for a call that was agreed to
	settleWithin = time.Minute      // for a look at what became of a call
)

// request stores a call that a person must agree to, or that lacks a secret.
func (g *gate) request(ctx context.Context, op *Operation, b bound, call Call, s Subject, ruling Ruling) (Answer, error) {
	if len(b.needs) > 0 && !g.Pages {
		return Answer{}, Errorf(SecretNeeded, "%s needs %s, which cannot be given from here; nothing was done", op.Name, b.needs[0]).
			WithHint("name an alias of the config's secrets, or run it at a terminal")
	}
	if err := g.unlock(ctx); err != nil {
		return Answer{}, err
	}
	now, _ := g.at(ctx)
	a := Approval{
		ID: newID("a"), Operation: op.Name, Server: b.server, Args: b.args, Risk: b.risk,
		Caller: call.Caller, Requester: s.Name, Reason: cut(call.Reason, 500),
		Verdict: ruling.Verdict, Need: max(1, ruling.Approvers), Rule: ruling.Rule, Policy: g.Policy.Version(),
		Needs: b.needs, State: StatePending, Created: now, Updated: now,
		Asks: ruling.Verdict == Approve || !call.Caller.Surface.Human(),
	}
	if err := g.madeBy(ctx, op, call, s, &a); err != nil {
		return Answer{}, err
	}
	a.Same = g.mac("same", a.Requester, a.Operation, a.Server, string(a.Args))
	if at, err := g.Approvals.DeniedSince(ctx, a.Same, now.Add(-pauseOnDeny)); err != nil {
		return Answer{}, err
	} else if !at.IsZero() {
		return Answer{}, g.refuse(ctx, op, call, s, wasDenied(at))
	}
	if open, err := g.openSame(ctx, a.Same, s.Name); err != nil {
		return Answer{}, err
	} else if open != nil {
		return g.pending(op, *open), nil
	}
	if err := g.mayAsk(ctx, op, call, s, a); err != nil {
		return Answer{}, err
	}
	stored := Approval{}
	if len(a.Needs) > 0 {
		a.State, a.Expires = StateInput, now.Add(inputWithin)
		a.Plan = Plan{Target: Target{Server: b.server, Kind: "server", Name: b.server}, Effects: []string{op.Summary}}
	} else {
		defer func() {
			if stored.ID != a.ID {
				g.dropMade(ctx, op, a)
			}
		}()
		if err := g.generate(ctx, op, &a, &b); err != nil {
			return Answer{}, err
		}
		if err := g.plan(ctx, op, b, &a); err != nil {
			return Answer{}, err
		}
	}
	// What somebody may still ask for and that he asks for it are one step,
	// however many calls of his are under way.
	waiting, stop := context.WithTimeout(ctx, cardWithin)
	defer stop()
	release, err := g.Locks.Lock(waiting, "requests of "+s.Name)
	if err != nil {
		return Answer{}, Errorf(Busy, "too many calls of %s are under way; nothing was done", s.Name).WithHint("ask again in a moment").Retryable().Because(err)
	}
	defer release()
	open, at, err := g.alike(ctx, op, a)
	switch {
	case err != nil:
		return Answer{}, err
	case open != nil:
		return g.pending(op, *open), nil
	case !at.IsZero():
		return Answer{}, g.refuse(ctx, op, call, s, wasDenied(at))
	}
	if err := g.mayAsk(ctx, op, call, s, a); err != nil {
		return Answer{}, err
	}
	r := g.requestRecord(a)
	r.Event, r.Detail = EventRequested, string(a.Args)
	if _, err := g.Audit.Append(ctx, r); err != nil {
		return Answer{}, auditDown(err)
	}
	var created bool
	if stored, created, err = g.Approvals.Create(ctx, a); err != nil {
		return Answer{}, err
	}
	if created {
		g.notify(stored)
	}
	return g.pending(op, stored), nil
}

// madeBy finds who made the token that asks, and refuses what then nobody else
// could agree to.
func (g *gate) madeBy(ctx context.Context, op *Operation, call Call, s Subject, a *Approval) (err error) {
	if g.Tokens == nil || call.Caller.Person == "" {
		return nil
	}
	if a.MadeBy, err = g.Tokens.MadeBy(ctx, call.Caller.Identity); err != nil || a.MadeBy == "" {
		return err
	}
	if a.Verdict == Approve && len(g.Policy.Deciders(*a)) < a.Need {
		return g.refuse(ctx, op, call, s, Errorf(TooFewApprovers, "%s is refused: %s made the token of %s, so that too few others could agree; nothing was done", op.Name, a.MadeBy, s.Name).
			WithHint("%s can make a token of his or her own: duplibot token create", s.Name))
	}
	return nil
}

func wasDenied(at time.Time) *Error {
	return Errorf(TooMany, "this was denied at %s; it can be asked for again from %s; nothing was done",
		at.UTC().Format(time.RFC3339), at.Add(pauseOnDeny).UTC().Format(time.RFC3339)).
		WithHint("talk to the person who denied it")
}

// mayAsk refuses one more card than its requester has within an hour.
func (g *gate) mayAsk(ctx context.Context, op *Operation, call Call, s Subject, a Approval) error {
	if !a.Asks {
		return nil
	}
	asked, err := g.Approvals.Asked(ctx, s.Name, g.now().Add(-time.Hour))
	if err != nil || asked < cardsAnHour {
		return err
	}
	return g.refuse(ctx, op, call, s, Errorf(TooMany, "%s has asked for %d approvals within an hour, which is the limit; nothing was done", s.Name, asked).
		WithHint("wait, or withdraw what is no longer needed").Retryable())
}

// alike finds what its requester has asked for before and is the same but for
// how its target is named: a request that is open, or when one was denied a
// short while ago.
func (g *gate) alike(ctx context.Context, op *Operation, a Approval) (open *Approval, denied time.Time, err error) {
	same, ok := op.deed(a)
	if !ok {
		return nil, time.Time{}, nil
	}
	list, err := g.Approvals.Approvals(ctx, Filter{Requester: a.Requester, States: []State{StatePending, StateApproved, StateExecuting, StateDenied}, Limit: 200})
	if err != nil {
		return nil, time.Time{}, err
	}
	now := g.now()
	for _, other := range list {
		if key, ok := op.deed(other); !ok || key != same {
			continue
		}
		switch {
		case other.State == StateDenied:
			if other.Updated.After(now.Add(-pauseOnDeny)) && other.Updated.After(denied) {
				denied = other.Updated
			}
		case other.State != StatePending || !now.After(other.Expires):
			return &other, time.Time{}, nil
		}
	}
	return nil, denied, nil
}

// deed is what a would do, the same for all ways to name its target and for
// all words that the bot makes. ok is false where it has no target of its own.
func (o *Operation) deed(a Approval) (key string, ok bool) {
	t := a.Plan.Target
	args := map[string]any{}
	if t.ID == "" || a.Operation != o.Name || json.Unmarshal(a.Args, &args) != nil {
		return "", false
	}
	for _, p := range o.Params {
		if p.Target {
			delete(args, p.Name)
			ok = true
		}
		if text, _ := args[p.Name].(string); p.Secret && Secret(text).Made() {
			args[p.Name] = SecretGenerate
		}
	}
	words, err := json.Marshal([]any{a.Server, t.Server, t.Kind, t.ID, args})
	return string(words), ok && err == nil
}

func (g *gate) openSame(ctx context.Context, same, requester string) (*Approval, error) {
	open, err := g.Approvals.Approvals(ctx, Filter{Requester: requester, States: []State{StateInput, StatePending, StateApproved, StateExecuting}, Limit: 1000})
	if err != nil {
		return nil, err
	}
	for _, a := range open {
		if a.Same != same {
			continue
		}
		if (a.State == StateInput || a.State == StatePending) && g.now().After(a.Expires) {
			g.expire(ctx, a, "nobody agreed in time")
			continue
		}
		return &a, nil
	}
	return nil, nil
}

// generate makes the secrets that the bot is to make, before anybody agrees:
// they are stored and read back by the time of the intent.
func (g *gate) generate(ctx context.Context, op *Operation, a *Approval, b *bound) error {
	args := map[string]any{}
	if err := json.Unmarshal(a.Args, &args); err != nil {
		return err
	}
	made := false
	for name, text := range b.secrets {
		if Secret(text) != SecretGenerate {
			continue
		}
		v, err := g.Vault.Generate(ctx)
		if err != nil {
			return err
		}
		id, err := g.Vault.Hold(ctx, a.Caller.Identity, v)
		if err != nil {
			return err
		}
		args[name], made = madePrefix+id, true
	}
	if !made {
		return nil
	}
	nb, err := op.bind(args)
	if err != nil {
		return err
	}
	*b, a.Args = nb, nb.args
	return nil
}

// plan reads the facts and binds the request to them.
func (g *gate) plan(ctx context.Context, op *Operation, b bound, a *Approval) error {
	p, err := g.planOf(ctx, op, b, *a)
	if err != nil {
		return err
	}
	a.Plan = p
	a.Fingerprint = g.fingerprint(*a, p)
	within := g.Policy.config.ConfirmWithin
	if a.Verdict == Approve {
		within = g.Policy.config.ApproveWithin
	}
	a.Expires = g.now().Add(within)
	return nil
}

func (g *gate) planOf(ctx context.Context, op *Operation, b bound, a Approval) (p Plan, err error) {
	env := g.env(op, a.Caller, g.People.Who(a.Caller), a.Server)
	env.Approval = a.ID
	defer func() {
		if v := recover(); v != nil {
			g.Log.Error("plan panicked", "operation", op.Name, "panic", fmt.Sprintf("%T", v))
			err = fmt.Errorf("plan of %s panicked", op.Name)
		}
	}()
	if b.plan != nil {
		return b.plan(ctx, env)
	}
	// An operation without a plan of its own, under a rule that asks: what is
	// agreed to is the call as it stands.
	return Plan{
		Target:  Target{Server: a.Server, Kind: "server", Name: a.Server},
		Facts:   []PlanFact{Bind("call", op.Name+" "+string(b.args))},
		Effects: []string{op.Summary},
	}, nil
}

// fingerprint is an HMAC over the stored call, the IDs, the binding facts and
// the policy version.
func (g *gate) fingerprint(a Approval, p Plan) string {
	parts := []string{"fingerprint", a.ID, a.Operation, a.Server, string(a.Args), a.Policy, a.Requester,
		p.Target.Server, p.Target.Kind, p.Target.ID, p.Target.Name}
	for _, f := range p.Facts {
		if f.Binding {
			parts = append(parts, f.Name, f.Value)
		}
	}
	return g.mac(parts...)
}

// mac is an HMAC over parts, each with its length, so that no two lists of
// parts read the same.
func (g *gate) mac(parts ...string) string {
	h := hmac.New(sha256.New, g.key)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Card is the hash of what a person is shown of a request: it stands in the
// audit records of the decisions about it.
func (a Approval) Card() string {
	shown, err := json.Marshal(struct {
		ID, Operation, Server string
		Args                  json.RawMessage
		Plan                  Plan
	}{a.ID, a.Operation, a.Server, a.Args, a.Plan})
	if err != nil {
		return "unreadable"
	}
	sum := sha256.Sum256(shown)
	return hex.EncodeToString(sum[:8])
}

func (g *gate) requestRecord(a Approval) Record {
	return Record{
		Operation: a.Operation, Server: a.Server, Target: a.Plan.Target.String(), Person: a.Requester,
		Identity: a.Caller.Identity, Surface: a.Caller.Surface, Client: cut(a.Caller.Client, 80),
		Approval: a.ID, Card: a.Card(), SameAccount: a.Caller.SameAccount,
	}
}

func (g *gate) notify(a Approval) {
	if g.Notifier != nil {
		g.Notifier.Notify(a)
	}
}

func (g *gate) pending(op *Operation, a Approval) Answer {
	w := g.Policy.Waiting(a)
	view := View{Headline: fmt.Sprintf("%s waits for agreement", a.Plan.Target), Tone: Notice}
	switch a.State {
	case StateInput:
		view.Headline = fmt.Sprintf("%s waits for %s to be entered", op.Name, a.Needs[0])
	case StateApproved, StateExecuting:
		view.Headline = fmt.Sprintf("%s: %s is agreed to and under way", a.Plan.Target, op.Name)
	}
	view.Facts = []Fact{{Name: "Request", Value: a.ID}, {Name: "Operation", Value: a.Operation}}
	for _, e := range a.Plan.Effects {
		view.Facts = append(view.Facts, Fact{Name: "Effect", Value: e})
	}
	view.Facts = append(view.Facts,
		Fact{Name: "Expires", Value: a.Expires.UTC().Format(time.RFC3339)},
		Fact{Name: "Can decide", Value: join(w.Deciders)})
	for _, follower := range g.Registry.All() {
		if follower.Follows {
			view.Next = []Next{{Label: "See how it goes", Operation: follower.Name, Args: map[string]any{"id": a.ID}}}
			break
		}
	}
	return Answer{Status: Pending, Operation: op.Name, Server: a.Server, Approval: &w, View: view}
}

func join(names []string) string {
	switch len(names) {
	case 0:
		return "nobody"
	case 1:
		return names[0]
	}
	s := ""
	for i, n := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			s += " or "
		default:
			s += ", "
		}
		s += n
	}
	return s
}

// over reports whether the time of a request is, and ends it then.
func (g *gate) over(ctx context.Context, a Approval) bool {
	now, wentBack := g.at(ctx, a.Updated)
	if !wentBack && !now.After(a.Expires) {
		return false
	}
	g.expire(ctx, a, "nobody agreed in time") // unless it was ended with the others
	return true
}

// expire ends a request that may not wait any longer.
func (g *gate) expire(ctx context.Context, a Approval, why string) {
	ended, moved, err := g.Approvals.Move(ctx, a.ID, undone, func(a *Approval) {
		a.State, a.Updated = StateExpired, g.now()
	})
	if err != nil {
		g.Log.Error("request not expired", "id", a.ID, "error", err)
		return
	}
	if moved {
		g.ended(ctx, ended, EventExpired, why)
	}
}

// ended records, forgets the secrets of and tells about a request that is over
// without having run.
func (g *gate) ended(ctx context.Context, a Approval, event Event, detail string) {
	ctx = context.WithoutCancel(ctx)
	r := g.requestRecord(a)
	r.Event, r.Detail = event, detail
	if _, err := g.Audit.Append(ctx, r); err != nil {
		g.Log.Error("end of request not recorded", "id", a.ID, "event", event, "error", err)
	}
	g.forget(ctx, a)
	g.notify(a)
}

// dropMade forgets what was made for a request that did not come about.
func (g *gate) dropMade(ctx context.Context, op *Operation, a Approval) {
	args := map[string]any{}
	if json.Unmarshal(a.Args, &args) != nil {
		return
	}
	made := op.secretsIn(args)
	maps.DeleteFunc(made, func(_, text string) bool { return !Secret(text).Made() })
	g.dropSecrets(ctx, made)
}

// forget drops the secrets held for a request.
func (g *gate) forget(ctx context.Context, a Approval) {
	args := map[string]any{}
	if json.Unmarshal(a.Args, &args) != nil {
		return
	}
	if op, err := g.Registry.Lookup(a.Operation); err == nil {
		g.dropSecrets(ctx, op.secretsIn(args))
	}
}
