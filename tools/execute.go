package tools

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// execute runs an approved request, once: under the lock of its target it
// checks time, rights and facts again, writes the intent, calls, and writes
// the outcome.
func (g *gate) execute(ctx context.Context, a Approval, progress func(Progress)) (Approval, error) {
	// From here on the caller's going away stops nothing.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actWithin)
	defer cancel()
	if err := g.unlock(ctx); err != nil {
		return a, err
	}
	op, b, err := g.stored(a)
	if err != nil {
		return a, err
	}
	if err := g.own(ctx); err != nil {
		return a, err
	}
	waiting, stop := context.WithTimeout(ctx, lockWithin)
	release, err := g.Locks.Lock(waiting, "target "+a.Server+" "+a.Plan.Target.Kind+" "+a.Plan.Target.ID)
	stop()
	if err != nil {
		return g.fail(ctx, a, []State{StateApproved}, Errorf(Busy, "another operation on %s is under way; nothing was done", a.Plan.Target).
			WithHint("ask again when it is over").Because(err))
	}
	defer release()

	if a, err = g.Approvals.Approval(ctx, a.ID); err != nil {
		return a, err
	}
	if a.State != StateApproved {
		return a, alreadyDecided(a)
	}
	if g.over(ctx, a) {
		return a, expired(a)
	}
	if e := g.stillAgreed(ctx, op, a); e != nil {
		return g.fail(ctx, a, []State{StateApproved}, e)
	}
	env := g.env(op, a.Caller, g.People.Who(a.Caller), a.Server)
	env.Approval, env.progress = a.ID, progress
	if env.Planned, err = g.planOf(ctx, op, b, a); err != nil {
		return g.fail(ctx, a, []State{StateApproved}, g.explain(err, a.Server))
	}
	if g.fingerprint(a, env.Planned) != a.Fingerprint {
		diff := differences(a.Plan, env.Planned)
		if len(diff) == 0 {
			diff = []Difference{{Name: "stored request", Was: "as shown", Is: "different"}}
		}
		return g.drifted(ctx, a, diff)
	}
	return g.act(ctx, a, b, env)
}

// stillAgreed checks again, just before acting, what was checked at the
// decision: the policy, the requester's rights and each approver's.
func (g *gate) stillAgreed(ctx context.Context, op *Operation, a Approval) *Error {
	if a.Policy != g.Policy.Version() {
		return Errorf(Changed, "policy or people have changed since request %s was shown; nothing was done", a.ID).WithHint("ask again")
	}
	requester := g.People.Who(g.afresh(ctx, a.Caller))
	if r := g.Policy.Rule(op, a.Risk, requester, a.Caller.Surface, a.Server); r.Verdict == Deny {
		return Errorf(Denied, "%s may no longer ask for this: %s; nothing was done", a.Requester, r.Reason)
	}
	if a.Verdict == Allow {
		return nil
	}
	good := 0
	for _, v := range a.Votes {
		s := g.People.Who(g.afresh(ctx, Caller{Identity: v.Identity, Surface: v.Surface}))
		if v.Yes && s.Name == v.Person && g.Policy.MayDecide(a, s, v.Surface) == nil {
			good++
		}
	}
	if good < a.Need {
		return Errorf(Denied, "of those who agreed to request %s, too few may still do so; nothing was done", a.ID).WithHint("ask again")
	}
	return nil
}

// afresh reads a caller's groups once more. What cannot be read gives nothing.
func (g *gate) afresh(ctx context.Context, c Caller) Caller {
	if g.Memberships == nil {
		return c
	}
	groups, err := g.Memberships.Groups(ctx, c.Identity)
	if err != nil {
		g.Log.Warn("groups not read", "identity", c.Identity, "error", err)
		groups, c.GroupsUnread = nil, true
	}
	c.Groups = groups
	return c
}

// act is the part in which the call is made.
func (g *gate) act(ctx context.Context, a Approval, b bound, env Env) (Approval, error) {
	g.OnStep(BeforeIntent)
	intent := g.requestRecord(a)
	intent.Event = EventIntent
	if _, err := g.Audit.Append(ctx, intent); err != nil {
		return a, auditDown(err)
	}
	begun, moved, err := g.Approvals.Move(ctx, a.ID, []State{StateApproved}, func(a *Approval) {
		a.State, a.Owner, a.Updated = StateExecuting, g.owner, g.now()
	})
	if err != nil {
		return a, err
	}
	if a = begun; !moved {
		return a, alreadyDecided(a)
	}
	g.underWay(a.ID, true)
	defer g.underWay(a.ID, false)
	g.notify(a)
	g.OnStep(AfterIntent)
	out, err := g.do(ctx, b, env)
	g.OnStep(AfterCall)
	if err != nil {
		e := g.explain(err, a.Server)
		if e.Code == UnknownOutcome || errors.Is(err, context.DeadlineExceeded) {
			return g.lost(ctx, a, e)
		}
		g.OnStep(BeforeOutcome)
		return g.fail(ctx, a, []State{StateExecuting}, e)
	}
	g.OnStep(BeforeOutcome)
	done, _, err := g.Approvals.Move(ctx, a.ID, []State{StateExecuting}, func(a *Approval) {
		a.State, a.Result, a.View, a.Exit, a.Kept, a.Updated = StateDone, out.result, &out.view, out.exit, out.kept, g.now()
	})
	if err != nil {
		return a, Errorf(UnknownOutcome, "%s was done, and that could not be written down", a.Operation).
			WithHint("free space on the store's disk; the request will show as unknown until it is settled").Because(err)
	}
	g.outcome(ctx, done, "done", "")
	return done, nil
}

// underWay notes what this process executes at the moment.
func (g *gate) underWay(id string, is bool) {
	g.owning.Lock()
	defer g.owning.Unlock()
	if g.running == nil {
		g.running = map[string]bool{}
	}
	if g.running[id] = is; !is {
		delete(g.running, id)
	}
}

// inHands reports whether a process is at work on an executing request. Of its
// own a process knows more than its lock says: the end may not have been
// written down.
func (g *gate) inHands(a Approval) (bool, error) {
	g.owning.Lock()
	mine, running := a.Owner == g.owner, g.running[a.ID]
	g.owning.Unlock()
	if mine {
		return running, nil
	}
	return g.Locks.Held(a.Owner)
}

func (g *gate) outcome(ctx context.Context, a Approval, detail string, code Code) {
	r := g.requestRecord(a)
	r.Event, r.Detail, r.Code = EventOutcome, detail, code
	if _, err := g.Audit.Append(ctx, r); err != nil {
		g.Log.Error("outcome not recorded", "id", a.ID, "error", err)
	}
	g.forget(ctx, a)
	g.notify(a)
}

// fail ends a request that was agreed to and did not come about.
func (g *gate) fail(ctx context.Context, a Approval, from []State, e *Error) (Approval, error) {
	failed, moved, err := g.Approvals.Move(ctx, a.ID, from, func(a *Approval) {
		a.State, a.Failure, a.Updated = StateFailed, e, g.now()
	})
	if err != nil {
		return a, err
	}
	if moved {
		g.outcome(ctx, failed, e.Message, e.Code)
	}
	return failed, e
}

// lost marks a request of which nobody can say what became of it, and looks.
func (g *gate) lost(ctx context.Context, a Approval, e *Error) (Approval, error) {
	now, moved, err := g.Approvals.Move(ctx, a.ID, []State{StateExecuting}, func(a *Approval) {
		a.State, a.Failure, a.Updated = StateUnknown, e, g.now()
	})
	if err != nil {
		return a, err
	}
	if a = now; !moved {
		return a, alreadyDecided(a)
	}
	r := g.requestRecord(a)
	r.Event, r.Detail, r.Code = EventUnknown, e.Message, UnknownOutcome
	if _, err := g.Audit.Append(ctx, r); err != nil {
		g.Log.Error("unknown outcome not recorded", "id", a.ID, "error", err)
	}
	if settled, ok := g.look(ctx, a); ok {
		return settled, nil
	}
	g.notify(a)
	return a, e
}

// look settles an unknown request where the server can prove what happened.
func (g *gate) look(ctx context.Context, a Approval) (Approval, bool) {
	op, b, err := g.stored(a)
	if err != nil || b.settle == nil {
		return a, false
	}
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	env := g.env(op, a.Caller, g.People.Who(a.Caller), a.Server)
	env.Approval, env.Planned = a.ID, a.Plan
	found, err := b.settle(ctx, env, a.Plan)
	if err != nil {
		g.Log.Warn("unknown request not settled", "id", a.ID, "error", err)
		return a, false
	}
	switch found {
	case TookEffect:
		return g.settled(ctx, a, tookEffect+", as the server shows")
	case TookNoEffect:
		return g.settled(ctx, a, tookNoEffect+", as the server shows")
	}
	return a, false
}

func (g *gate) settle(ctx context.Context, a Approval, words string) (Approval, bool) {
	settled, moved, err := g.Approvals.Move(ctx, a.ID, []State{StateUnknown}, func(a *Approval) {
		a.State, a.Settlement, a.Updated = StateSettled, words, g.now()
	})
	switch {
	case err != nil:
		return a, false
	case !moved:
		return settled, false
	}
	g.forget(ctx, settled)
	g.notify(settled)
	return settled, true
}

// settled records what the server has proven.
func (g *gate) settled(ctx context.Context, a Approval, words string) (Approval, bool) {
	a, ok := g.settle(ctx, a, words)
	if ok {
		r := g.requestRecord(a)
		r.Event, r.Detail = EventSettled, words
		if _, err := g.Audit.Append(ctx, r); err != nil {
			g.Log.Error("settlement not recorded", "id", a.ID, "error", err)
		}
	}
	return a, ok
}

// Settle takes a person's word on what became of an unknown request.
func (d *Desk) Settle(ctx context.Context, id string, c Caller, took bool) (Approval, error) {
	g := d.g
	a, err := g.Approvals.Approval(ctx, id)
	if err != nil {
		return Approval{}, g.explain(err, "")
	}
	s := g.People.Who(c)
	if !s.Listed || !s.Approver || !c.Surface.Human() {
		return a, Errorf(Denied, "only an approver can settle what became of request %s; it stays unknown", a.ID)
	}
	words := tookNoEffect
	if took {
		words = tookEffect
	}
	words += ", says " + s.Name
	known := func(a Approval) error {
		return Errorf(AlreadyDecided, "request %s is %s and not unknown", a.ID, a.State)
	}
	if a.State != StateUnknown {
		return a, known(a)
	}
	// A word that cannot be recorded settles nothing.
	r := g.requestRecord(a)
	r.Event, r.Detail, r.Person, r.Identity, r.Surface, r.SameAccount = EventSettled, words, s.Name, c.Identity, c.Surface, c.SameAccount
	if _, err := g.Audit.Append(ctx, r); err != nil {
		return a, auditDown(err)
	}
	settled, ok := g.settle(ctx, a, words)
	if !ok {
		return settled, known(settled)
	}
	return settled, nil
}

// stored binds the stored call.
func (g *gate) stored(a Approval) (*Operation, bound, error) {
	op, err := g.Registry.Lookup(a.Operation)
	if err != nil {
		return nil, bound{}, err
	}
	args := map[string]any{}
	if err := json.Unmarshal(a.Args, &args); err != nil {
		return nil, bound{}, err
	}
	b, err := op.bind(args)
	return op, b, err
}

// own takes the lock that says, while this process lives, that what it
// executes is in hands.
func (g *gate) own(ctx context.Context) error {
	g.owning.Lock()
	defer g.owning.Unlock()
	if g.owner != "" {
		return nil
	}
	name := "owner " + randomHex(8)
	_, err := g.Locks.Lock(ctx, name) // held until the process ends
	if err == nil {
		g.owner = name
	}
	return err
}

// owns reports whether this process executes what was approved.
func (g *gate) owns() bool {
	g.owning.Lock()
	defer g.owning.Unlock()
	return g.owner != ""
}

// Recover takes up, at start and now and then, what an earlier process left:
// what nobody decided in time expires; what was executing under a lock that is
// free becomes unknown and is looked at; what was approved and not begun runs
// if it is unexpired and unchanged.
func (d *Desk) Recover(ctx context.Context) error {
	g := d.g
	if err := g.sweep(ctx); err != nil {
		return err
	}
	list, err := g.Approvals.Approvals(ctx, Filter{States: []State{StateExecuting, StateApproved, StateUnknown}, Limit: 1000})
	if err != nil {
		return err
	}
	for _, a := range list {
		switch a.State {
		case StateExecuting:
			if held, err := g.inHands(a); err != nil || held {
				continue
			}
			if _, err := g.lost(ctx, a, Errorf(UnknownOutcome, "the bot stopped while %s of %s was under way; nobody has recorded how it ended", a.Operation, a.Plan.Target).
				WithHint("look at the server, then settle request %s", a.ID)); err != nil {
				g.Log.Warn("request is unknown", "id", a.ID, "error", err)
			}
		case StateApproved:
			if g.now().Sub(a.Updated) < lockWithin && g.owns() {
				continue // the process that took the last vote is about to run it
			}
			if _, err := g.execute(ctx, a, nil); err != nil {
				g.Log.Warn("approved request did not run", "id", a.ID, "error", err)
			}
		case StateUnknown:
			g.look(ctx, a)
		}
	}
	return nil
}

// Tend recovers once, and again every interval until ctx ends.
func (d *Desk) Tend(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := d.Recover(ctx); err != nil && ctx.Err() == nil {
			d.g.Log.Error("requests not tended", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweep expires what nobody decided in time.
func (g *gate) sweep(ctx context.Context) error {
	list, err := g.Approvals.Approvals(ctx, Filter{States: undone, Limit: 10000})
	if err != nil || len(list) == 0 {
		return err // a store in which nothing waits is not written to
	}
	now, wentBack := g.at(ctx)
	for _, a := range list {
		if !wentBack && now.After(a.Expires) {
			g.expire(ctx, a, "nobody agreed in time")
		}
	}
	return nil
}
