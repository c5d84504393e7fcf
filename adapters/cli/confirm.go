package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// pending goes on with a call that somebody has to agree to: this person, on
// a second thought, or others.
func (r *Run) pending(ctx context.Context, answer tools.Answer) int {
	w := answer.Approval
	switch {
	case w == nil:
		return r.Fail(tools.Errorf(tools.Internal, "the answer says that it waits, and not for what"))
	case w.State == tools.StatePending && w.Verdict == tools.Confirm && (r.Globals.Yes || r.canAsk()):
		a, err := r.link.Decisions.Request(ctx, w.ID)
		if err != nil {
			return r.Fail(err)
		}
		return r.confirm(ctx, a)
	}
	r.Show(answer.View)
	switch {
	case w.State == tools.StateInput && !r.Globals.WaitApproval:
		r.note("it goes on when that was entered on its page")
	case w.Verdict == tools.Confirm && w.State == tools.StatePending:
		r.note("nobody can be asked here; add --yes to confirm your own call in advance, or confirm it with: " + r.words("approve", w.ID))
	case r.Globals.WaitApproval:
		return r.wait(ctx, w.ID)
	default:
		if r.Globals.Yes {
			r.note("--yes confirms your own calls; here others have to agree")
		}
		r.note("it runs once they agree; to wait for it: --wait-approval; to take it back: " + r.words("withdraw", w.ID))
	}
	return r.finish(envelope{Status: string(tools.Pending), Server: answer.Server, Approval: w}, ExitPending)
}

// words is a command line of ours.
func (a *App) words(words ...string) string {
	if a.dialogue {
		return strings.Join(words, " ")
	}
	return a.Name + " " + strings.Join(words, " ")
}

// words is a command line that reaches the gate and the server of this one.
func (r *Run) words(words ...string) string {
	return r.app.words(append(slices.Clone(r.Globals.way), words...)...)
}

// confirm shows what would be done and has the requester agree to it.
func (r *Run) confirm(ctx context.Context, a tools.Approval) int {
	if r.Globals.Yes {
		return r.decide(ctx, a, tools.Decision{Yes: true, Unattended: true})
	}
	r.card(a)
	for range 3 {
		d, err := r.agree(ctx, a)
		if err != nil || !d.Yes {
			return r.leave(ctx, a, err)
		}
		code, err := r.decideOnce(ctx, a, d)
		if tools.CodeOf(err) != tools.WrongPhrase {
			return code
		}
		r.note("that is not it")
	}
	return r.leave(ctx, a, nil)
}

// leave takes back a request that its requester did not agree to. It was
// never shown to anybody else, so there is nothing to deny.
func (r *Run) leave(ctx context.Context, a tools.Approval, cause error) int {
	_, err := r.link.Decisions.Withdraw(context.WithoutCancel(ctx), a.ID, r.link.Caller)
	if err != nil {
		r.note("the request was not taken back and expires by itself: " + err.Error())
	}
	if cause != nil && !errors.Is(cause, io.EOF) {
		return r.Fail(cause)
	}
	return r.failed(tools.Errorf(tools.Canceled, "not confirmed; nothing was done"), ExitFailed)
}

// agree asks for the phrase of the worst, and for a yes otherwise.
func (r *Run) agree(ctx context.Context, a tools.Approval) (tools.Decision, error) {
	d := tools.Decision{How: "typed"}
	if a.Plan.Phrase == "" {
		yes, err := r.yes(ctx, "Do it?")
		d.Yes = yes
		return d, err
	}
	// What cannot be typed is left out of what is shown and of what is typed.
	shown := strings.Join(strings.Fields(clean(a.Plan.Phrase)), " ")
	if shown == "" {
		shown = a.ID
	}
	typed, err := r.ask(ctx, "Type  "+r.paintErr("1", shown)+"  to do it, nothing to leave it: ")
	typed = strings.Join(strings.Fields(typed), " ")
	d.Yes = typed != "" && err == nil
	d.Phrase = typed
	if typed == shown {
		d.Phrase = a.Plan.Phrase
	}
	return d, err
}

func (r *Run) decide(ctx context.Context, a tools.Approval, d tools.Decision) int {
	code, err := r.decideOnce(ctx, a, d)
	if tools.CodeOf(err) == tools.WrongPhrase {
		return r.Fail(err)
	}
	return code
}

// decideOnce gives a person's word and tells what came of it. A wrong phrase
// is returned untold, as it can be typed again.
func (r *Run) decideOnce(ctx context.Context, a tools.Approval, d tools.Decision) (int, error) {
	m := &meter{r: r}
	defer m.clear()
	d.ID, d.Caller, d.Progress = a.ID, r.link.Caller, m.tell
	stop := r.onInterrupt(ctx, m, "it was agreed to and is being done: waiting for its end; once more ends this program, and not what the server does")
	// Who is interrupted now still wants to know how it ends.
	decided, err := r.link.Decisions.Decide(context.WithoutCancel(ctx), d)
	stop()
	m.clear()
	if err != nil {
		if tools.CodeOf(err) == tools.WrongPhrase {
			return ExitFailed, err
		}
		r.differences(decided)
		return r.Fail(err), err
	}
	return r.outcome(ctx, decided), nil
}

// outcome tells where a request stands, and its result when it has run.
func (r *Run) outcome(ctx context.Context, a tools.Approval) int {
	e := envelope{Status: "done", Server: a.Server, Result: a.Result, Kept: a.Kept}
	code := ExitFailed
	switch a.State {
	case tools.StateDone:
		if !r.mine(a) {
			e.Kept = nil // it is its requester's
		}
		var v tools.View
		if a.View != nil {
			v = *a.View
		}
		return r.result(ctx, v, e, a.Exit, a.ID)
	case tools.StatePending:
		r.Show(tools.View{Headline: fmt.Sprintf("request %s has %d of %d votes; it waits for the others", a.ID, a.Yes(), a.Need)})
		return r.finish(envelope{Status: string(tools.Pending), Server: a.Server}, ExitDone)
	case tools.StateSettled:
		r.Show(tools.View{Headline: "request " + a.ID + " is settled: " + a.Settlement})
		if a.TookEffect() {
			code = ExitDone
		}
		return r.finish(envelope{Status: "settled", Server: a.Server}, code)
	case tools.StateUnknown:
		r.note("look at the server, then say what you found: " + r.words("settle", a.ID, "--done or --not-done"))
	case tools.StateDenied, tools.StateWithdrawn, tools.StateExpired:
		by := ""
		for _, v := range a.Votes {
			if !v.Yes {
				by = " by " + v.Person
			}
		}
		return r.failed(tools.Errorf(tools.Denied, "request %s is %s%s; nothing was done", a.ID, a.State, by), code)
	}
	r.differences(a)
	if a.Failure != nil {
		return r.failed(a.Failure, code)
	}
	return r.failed(tools.Errorf(tools.OperationFailed, "request %s is %s", a.ID, a.State), code)
}

// mine reports whether the request was made by the identity of this terminal.
func (r *Run) mine(a tools.Approval) bool { return a.Caller.Identity == r.link.Caller.Identity }

func (r *Run) differences(a tools.Approval) {
	for _, d := range a.Changes {
		r.note(fmt.Sprintf("%s was %q and is %q", d.Name, d.Was, d.Is))
	}
}

// wait looks until others have decided, and the call has run.
func (r *Run) wait(ctx context.Context, id string) int {
	r.note("waiting; interrupt it whenever you like, the request stays")
	said := tools.StatePending
	for {
		a, err := r.link.Decisions.Request(ctx, id)
		switch {
		case ctx.Err() != nil:
			r.note("interrupted; the request still waits; to take it back: " + r.words("withdraw", id))
			return r.interrupted()
		case err != nil && !retry(err):
			return r.Fail(err)
		case err == nil && !a.State.Open():
			return r.outcome(ctx, a)
		case err == nil && a.State == tools.StatePending && a.Verdict == tools.Confirm && (r.Globals.Yes || r.canAsk()):
			return r.confirm(ctx, a) // what was lacking has been entered
		case err == nil && a.State != said:
			r.note("it is " + string(a.State))
			said = a.State
		}
		select {
		case <-ctx.Done():
		case <-time.After(r.app.Poll):
		}
	}
}

func retry(err error) bool {
	var e *tools.Error
	return errors.As(err, &e) && e.Retry
}

// card shows what somebody is to agree to: facts from the server, effects, who
// asks.
func (r *Run) card(a tools.Approval) {
	say := func(line string) { write(r.app.Stderr, line+"\n") }
	say(r.paintErr("1", a.Operation+": "+clean(a.Plan.Target.String())))
	wide := 0
	for _, f := range a.Plan.Facts {
		if !f.Hidden {
			wide = max(wide, columns(clean(f.Name)))
		}
	}
	for _, f := range a.Plan.Facts {
		if f.Hidden {
			continue
		}
		line := "  " + pad(clean(f.Name), wide) + "  " + clean(f.Value)
		if f.Tone > tools.Good {
			line += "  [" + f.Tone.String() + "]"
		}
		say(line)
	}
	for _, e := range a.Plan.Effects {
		say("  ! " + r.paintErr(colours[tools.Warning], clean(e)))
	}
	for _, n := range a.Plan.Notes {
		say("  - " + clean(n))
	}
	say("  asked by " + clean(askedBy(a)))
	if a.Reason != "" {
		say("  who says, unverified: " + clean(a.Reason))
	}
	if a.Caller.SameAccount {
		say("  same account: whoever asks could also edit the records")
	}
}

// askedBy is who asks, and by what.
func askedBy(a tools.Approval) string {
	words := a.Requester + " from " + string(a.Caller.Surface)
	if a.Caller.Client != "" {
		words += " by " + a.Caller.Client + " (unverified)"
	}
	return words
}
