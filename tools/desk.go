package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/duplibot/duplibot/secret"
)

// Decision is a person's word on a request.
type Decision struct {
	ID     string
	Caller Caller
	Yes    bool
	Phrase string // what was typed, for the worst
	// Unattended says that --yes stood on the command line: it confirms one's
	// own request at a terminal, phrase included, and is recorded as such.
	Unattended bool
	How        string // "typed", "click": for the record
	// Progress is told how the operation goes. May be nil.
	Progress func(Progress)
}

// Decide takes a decision and, when it is the last yes, runs the stored call.
// The returned request says how it went. A second decision is an Error of
// code AlreadyDecided.
func (d *Desk) Decide(ctx context.Context, dec Decision) (Approval, error) {
	a, err := d.g.decide(ctx, dec)
	if err != nil {
		return a, d.g.explain(err, a.Server)
	}
	return a, nil
}

func (g *gate) decide(ctx context.Context, dec Decision) (Approval, error) {
	a, err := g.Approvals.Approval(ctx, dec.ID)
	if err != nil {
		return Approval{}, err
	}
	s := g.People.Who(dec.Caller)
	refuse := func(e *Error) (Approval, error) {
		r := g.record(nil, dec.Caller, s, a.Server)
		r.Event, r.Operation, r.Approval, r.Card, r.Code, r.Detail = EventRefused, a.Operation, a.ID, a.Card(), e.Code, "decision, "+yesNo(dec.Yes)
		g.refused(ctx, r)
		return a, e
	}
	if e := g.Policy.MayDecide(a, s, dec.Caller.Surface); e != nil {
		return refuse(e)
	}
	if a.State == StateInput {
		return refuse(Errorf(SecretNeeded, "%s of request %s has not been entered yet; the request still waits", a.Needs[0], a.ID).Retryable())
	}
	if a.State != StatePending {
		return a, alreadyDecided(a)
	}
	if g.over(ctx, a) {
		return a, expired(a)
	}
	if slices.ContainsFunc(a.Votes, func(v Vote) bool { return v.Person == s.Name }) {
		return a, Errorf(AlreadyDecided, "%s has agreed to this already; it waits for %d more", s.Name, a.Need-a.Yes())
	}
	if dec.Yes {
		if a.Policy != g.Policy.Version() {
			return g.drifted(ctx, a, []Difference{{Name: "policy", Was: a.Policy, Is: g.Policy.Version()}})
		}
		if e := phraseFits(a, dec); e != nil {
			return refuse(e)
		}
	}
	return g.vote(ctx, a, s, dec)
}

// phraseFits checks the phrase of the worst operations.
func phraseFits(a Approval, dec Decision) *Error {
	if a.Plan.Phrase == "" || dec.Phrase == a.Plan.Phrase {
		return nil
	}
	if dec.Unattended && a.Verdict == Confirm && dec.Caller.Surface == CLI {
		return nil
	}
	return Errorf(WrongPhrase, "the phrase is not the one to be typed; nothing was done and the request still waits").Retryable()
}

func (g *gate) vote(ctx context.Context, a Approval, s Subject, dec Decision) (Approval, error) {
	how := dec.How
	if dec.Unattended {
		how = "--yes"
	}
	record := g.record(nil, dec.Caller, s, a.Server)
	record.Event, record.Operation, record.Target, record.Approval, record.Card = EventVoted, a.Operation, a.Plan.Target.String(), a.ID, a.Card()
	record.Detail = yesNo(dec.Yes)
	if how != "" {
		record.Detail += ", " + how
	}
	// A yes that cannot be recorded does not count; a no always does.
	if _, err := g.Audit.Append(ctx, record); err != nil {
		if dec.Yes {
			return a, auditDown(err)
		}
		g.Log.Error("denial not recorded", "id", a.ID, "error", err)
	}
	v := Vote{Person: s.Name, Identity: dec.Caller.Identity, Surface: dec.Caller.Surface, Yes: dec.Yes, How: how, At: g.now()}
	voted, won, err := g.Approvals.Vote(ctx, a.ID, v, func(a *Approval) {
		a.Updated = v.At
		switch {
		case !v.Yes:
			a.State = StateDenied
		case a.Yes() >= a.Need:
			a.State = StateApproved
		}
	})
	if err != nil {
		return a, err
	}
	if !won {
		return voted, alreadyDecided(voted)
	}
	switch voted.State {
	case StateDenied:
		g.forget(ctx, voted)
		g.notify(voted)
		return voted, nil
	case StatePending:
		g.notify(voted)
		return voted, nil
	}
	g.notify(voted)
	return g.execute(ctx, voted, dec.Progress)
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func alreadyDecided(a Approval) *Error {
	if a.State == StateExpired {
		return expired(a)
	}
	e := Errorf(AlreadyDecided, "request %s is already %s", a.ID, a.State)
	for _, v := range a.Votes {
		if !v.Yes || a.Yes() >= a.Need {
			e.Message += fmt.Sprintf(" (%s, %s)", v.Person, v.At.UTC().Format(time.RFC3339))
			break
		}
	}
	return e
}

func expired(a Approval) *Error {
	return Errorf(Expired, "request %s has expired; nothing was done", a.ID).
		WithHint("ask again")
}

// drifted ends a request whose facts are no longer those that were shown.
func (g *gate) drifted(ctx context.Context, a Approval, diff []Difference) (Approval, error) {
	ended, moved, err := g.Approvals.Move(ctx, a.ID, []State{StatePending, StateApproved}, func(a *Approval) {
		a.State, a.Changes, a.Updated = StateChanged, diff, g.now()
	})
	if err != nil {
		return a, err
	}
	if !moved {
		return ended, alreadyDecided(ended)
	}
	words := ""
	for i, d := range diff {
		if i > 0 {
			words += "; "
		}
		words += fmt.Sprintf("%s was %q and is %q", d.Name, cut(d.Was, 80), cut(d.Is, 80))
	}
	g.ended(ctx, ended, EventChanged, words)
	return ended, Errorf(Changed, "%s has changed since it was shown: %s; nothing was done", ended.Plan.Target, words).
		WithHint("look at it again and ask again")
}

// Withdraw takes a request back. Only its requester can.
func (d *Desk) Withdraw(ctx context.Context, id string, c Caller) (Approval, error) {
	a, err := d.g.Approvals.Approval(ctx, id)
	if err != nil {
		return Approval{}, d.g.explain(err, "")
	}
	s := d.g.People.Who(c)
	if !s.Listed || s.Name != a.Requester {
		return a, Errorf(Denied, "request %s is %s's and only %s can withdraw it; it still waits", a.ID, a.Requester, a.Requester)
	}
	a, moved, err := d.g.Approvals.Move(ctx, id, []State{StateInput, StatePending}, func(a *Approval) {
		a.State, a.Updated = StateWithdrawn, d.g.now()
	})
	if err != nil {
		return a, d.g.explain(err, a.Server)
	}
	if !moved {
		return a, alreadyDecided(a)
	}
	d.g.ended(ctx, a, EventWithdrawn, "by the requester")
	return a, nil
}

// Disown takes back what was asked for under an identity and not begun, as when
// its token was revoked: whoever held it is no longer believed. why goes into
// the records.
func (d *Desk) Disown(ctx context.Context, id Identity, why string) error {
	list, err := d.g.Approvals.Approvals(ctx, Filter{States: undone, Limit: 10000})
	if err != nil {
		return d.g.explain(err, "")
	}
	for _, a := range list {
		if a.Caller.Identity != id {
			continue
		}
		ended, moved, err := d.g.Approvals.Move(ctx, a.ID, undone, func(a *Approval) {
			a.State, a.Updated = StateWithdrawn, d.g.now()
		})
		if err != nil {
			return d.g.explain(err, a.Server)
		}
		if moved {
			d.g.ended(ctx, ended, EventWithdrawn, why)
		}
	}
	return nil
}

// Request finds one.
func (d *Desk) Request(ctx context.Context, id string) (Approval, error) {
	a, err := d.g.Approvals.Approval(ctx, id)
	if err != nil {
		return Approval{}, d.g.explain(err, "")
	}
	return a, nil
}

// Requests lists stored requests.
func (d *Desk) Requests(ctx context.Context, f Filter) ([]Approval, error) {
	list, err := d.g.Approvals.Approvals(ctx, f)
	if err != nil {
		return nil, d.g.explain(err, "")
	}
	return list, nil
}

// MayDecide says whether the person behind c could decide a now, and if not
// why: for a terminal or a page that lists what waits for somebody.
func (d *Desk) MayDecide(_ context.Context, a Approval, c Caller) error {
	if e := d.g.Policy.MayDecide(a, d.g.People.Who(c), c.Surface); e != nil {
		return e
	}
	return nil
}

// Hold keeps a secret or a file that a person at a terminal gave for a call
// that follows. What it returns goes into the call's arguments.
func (d *Desk) Hold(ctx context.Context, c Caller, v secret.Value) (Secret, error) {
	if d.g.Vault == nil || c.Surface != CLI {
		return "", refusedReference()
	}
	id, err := d.g.Vault.Hold(ctx, c.Identity, v)
	if err != nil {
		return "", d.g.explain(err, "")
	}
	return Held(id), nil
}

// Fetch gives something that an operation kept to its requester, once: at a
// terminal, or on a page that has proven who reads it.
func (d *Desk) Fetch(ctx context.Context, c Caller, handle string) (secret.Value, error) {
	if d.g.Vault == nil || c.Surface != CLI && c.Surface != Web {
		return secret.Value{}, Errorf(Denied, "what was kept is given out at a terminal or on its page only")
	}
	v, err := d.g.Vault.Fetch(ctx, c.Identity, handle)
	if err != nil {
		return secret.Value{}, d.g.explain(err, "")
	}
	return v, nil
}

// Provide gives a secret or a file that a request in input waits for. The
// page has proven that it comes from the requester. With the last one the
// request is planned and begins to wait, or runs where no agreement is needed.
func (d *Desk) Provide(ctx context.Context, id, param string, v secret.Value) (Approval, error) {
	a, err := d.g.provide(ctx, id, param, v)
	if err != nil {
		return a, d.g.explain(err, a.Server)
	}
	return a, nil
}

func (g *gate) provide(ctx context.Context, id, param string, v secret.Value) (Approval, error) {
	if err := g.unlock(ctx); err != nil {
		return Approval{}, err
	}
	a, err := g.Approvals.Approval(ctx, id)
	if err != nil {
		return Approval{}, err
	}
	switch {
	case a.State != StateInput:
		return a, Errorf(AlreadyDecided, "request %s no longer waits for this: it is %s; what was entered was not kept", a.ID, a.State)
	case g.over(ctx, a):
		return a, expired(a)
	case !slices.Contains(a.Needs, param):
		return a, Errorf(AlreadyDecided, "%s of request %s was entered already", param, a.ID)
	case v.Empty():
		return a, Errorf(InvalidArgument, "%s is empty; nothing was changed", param).Retryable()
	}
	op, err := g.Registry.Lookup(a.Operation)
	if err != nil {
		return a, err
	}
	record := g.requestRecord(a)
	record.Event, record.Surface, record.Detail = EventProvided, Web, param
	if _, err := g.Audit.Append(ctx, record); err != nil {
		return a, auditDown(err)
	}
	held, err := g.Vault.Hold(ctx, a.Caller.Identity, v)
	if err != nil {
		return a, err
	}
	args := map[string]any{}
	if err := json.Unmarshal(a.Args, &args); err != nil {
		return a, err
	}
	args[param] = string(Held(held))
	b, err := op.bind(args)
	if err != nil {
		_ = g.Vault.Drop(context.WithoutCancel(ctx), held)
		return a, err
	}
	next := a
	next.Args, next.Needs = b.args, b.needs
	if len(b.needs) == 0 {
		if err := g.generate(ctx, op, &next, &b); err != nil {
			return a, err
		}
		if err := g.plan(ctx, op, b, &next); err != nil {
			// The secret may be the reason (a wrong passphrase): it can be entered again.
			_ = g.Vault.Drop(context.WithoutCancel(ctx), held)
			return a, err
		}
		next.State = StatePending
		if next.Verdict == Allow {
			next.State = StateApproved
		}
	}
	stored, moved, err := g.Approvals.Move(ctx, id, []State{StateInput}, func(s *Approval) {
		if !slices.Contains(s.Needs, param) {
			return
		}
		s.Args, s.Needs, s.Plan, s.Fingerprint, s.State, s.Expires, s.Updated = next.Args, next.Needs, next.Plan, next.Fingerprint, next.State, next.Expires, g.now()
	})
	if err != nil || !moved || string(stored.Args) != string(next.Args) {
		_ = g.Vault.Drop(context.WithoutCancel(ctx), held)
		if err == nil {
			err = Errorf(AlreadyDecided, "%s of request %s was entered already", param, a.ID)
		}
		return stored, err
	}
	if stored.State == StateApproved {
		return g.execute(ctx, stored, nil)
	}
	if stored.State == StatePending {
		g.notify(stored)
	}
	return stored, nil
}
