package ops

import (
	"context"
	"strings"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

type pauseIn struct {
	Duration  string `json:"duration,omitempty" jsonschema:"Such as 30m, 1h30m, 1D; at most 24h" tool:"pos"`
	Until     bool   `json:"until_resumed,omitempty" jsonschema:"Without an end; a person must agree"`
	Transfers bool   `json:"pause_transfers,omitempty" jsonschema:"Halt transfers under way too"`
	tools.OnServer
}

type pauseOut struct {
	State       string `json:"state"` // paused, running
	PausedUntil string `json:"paused_until,omitempty"`
	Active      *slot  `json:"active,omitempty"` // halted with it
	Waiting     int    `json:"waiting"`

	server string
	ends   time.Time
	was    bool // paused before
}

// maxPause is where Duplicati's timer ends, whatever it shows.
const maxPause = 24 * time.Hour

func (o *operations) pause() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "pause", Summary: "Pause a server for a time: what runs is halted, nothing starts",
		Help: "A duration is digits and s, m (minutes), h, D or W, added up: 1h30m. The pause lasts over restarts of the server. " +
			"Without an end it must be asked for by --until-resumed, and a person must agree.",
		Group: groupServer, Toolset: core, Risk: tools.Change, Idempotent: true,
		Examples: []string{"pause 30m", "pause 1h30m --pause-transfers", "pause --until-resumed"},
	}, tools.Handler[pauseIn, pauseOut]{
		Check: func(in pauseIn) error { _, err := in.options(); return err },
		Risk: func(in pauseIn) tools.Risk {
			if in.Until {
				return tools.Critical
			}
			return tools.Change
		},
		Plan: o.planPause, Do: o.doPause, View: viewPause, Settle: o.settlePause,
	})
}

// options reads the duration here, since the server understands a wrong one
// differently from how it is meant.
func (in pauseIn) options() (duplicati.PauseOptions, error) {
	out := duplicati.PauseOptions{UntilResumed: in.Until, Transfers: in.Transfers}
	wrong := func(words string) *tools.Error {
		return tools.Errorf(tools.InvalidArgument, "%s; nothing was done", words)
	}
	given := strings.TrimSpace(in.Duration)
	switch {
	case in.Until && given != "":
		return out, wrong("give a duration or until_resumed, not both")
	case in.Until:
		return out, nil
	case given == "":
		return out, wrong("a pause needs a duration: without one the server would pause for ever, over restarts too").
			WithHint("such as pause 1h; pause --until-resumed if that is what is meant")
	}
	d, err := duplicati.ParseDuration(given)
	switch {
	case err != nil:
		e := wrong("the duration cannot be read: it is digits and a unit, and units are s, m (minutes), h, D (days), W, M (months), Y in just this case, without fractions").Because(err)
		if meant := inOurCase(given); meant != "" {
			e.WithHint("did you mean %s?", meant)
		}
		return out, e
	case d == 0:
		return out, wrong("the server takes a pause of zero for one without end").WithHint("pause --until-resumed if that is what is meant")
	case d < 0:
		return out, wrong("the server takes a negative pause for one without end").WithHint("pause --until-resumed if that is what is meant")
	case d > maxPause:
		e := wrong("the server would start again after 24 hours, whatever it shows")
		if strings.HasSuffix(given, "M") {
			return out, e.WithHint("M is months; m is minutes: pause %s", strings.TrimSuffix(given, "M")+"m")
		}
		return out, e.WithHint("pause 24h and again then, or pause --until-resumed")
	}
	out.For = d
	return out, nil
}

// inOurCase guesses what was meant by 2H, 1d, 5min or 1.5h; "" when it cannot.
func inOurCase(text string) string {
	for _, swap := range [][2]string{{"hours", "h"}, {"hour", "h"}, {"minutes", "m"}, {"minute", "m"}, {"mins", "m"}, {"min", "m"}, {"seconds", "s"}, {"sec", "s"},
		{"days", "D"}, {"day", "D"}, {"H", "h"}, {"S", "s"}, {"d", "D"}, {"w", "W"}} {
		guess := strings.ReplaceAll(strings.ReplaceAll(text, " ", ""), swap[0], swap[1])
		if d, err := duplicati.ParseDuration(guess); err == nil && d > 0 && d <= maxPause && guess != text {
			return guess
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= time.Second && d <= maxPause {
		text := d.Truncate(time.Second).String() // Go writes every unit: 1h30m0s
		for _, nought := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(text, nought) {
				text = text[:len(text)-2]
			}
		}
		return text
	}
	return ""
}

func (o *operations) planPause(ctx context.Context, env tools.Env, in pauseIn) (tools.Plan, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return tools.Plan{}, err
	}
	list, state, err := backupsAndState(ctx, c)
	if err != nil {
		return tools.Plan{}, err
	}
	s := statusOf(env.Server, state, list)
	p := tools.Plan{
		Target:  tools.Target{Server: env.Server, Kind: "server", Name: env.Server},
		Facts:   []tools.PlanFact{tools.Bind(factAddress, c.Origin()), tools.Bind("paused", yesNo(state.Paused && state.PauseEnds.IsZero())), tools.Show("backups on it", itoa(int64(len(list))))},
		Effects: []string{"no backup of " + env.Server + " starts until somebody resumes it, not even after a restart", "what runs is halted in its place"},
	}
	if !in.Until {
		p.Effects = []string{"no backup of " + env.Server + " starts for " + in.Duration, "what runs is halted in its place"}
	}
	if s.Active != nil {
		p.Facts = append(p.Facts, tools.Show("running", s.Active.words()))
	}
	if n := len(s.Queue); n > 0 {
		p.Facts = append(p.Facts, tools.Show("waiting", plural(n, "backup", "backups")))
	}
	if !s.next.IsZero() {
		p.Facts = append(p.Facts, tools.Show("next would be", nameOf(list, s.NextBackup)+" at "+clock(s.next)))
	}
	return p, nil
}

func (o *operations) doPause(ctx context.Context, env tools.Env, in pauseIn) (pauseOut, error) {
	options, err := in.options()
	if err != nil {
		return pauseOut{}, err
	}
	c, err := o.client(ctx, env)
	if err != nil {
		return pauseOut{}, err
	}
	before, err := c.State(ctx)
	if err != nil {
		return pauseOut{}, err
	}
	if err := c.Pause(ctx, options); err != nil {
		return pauseOut{}, err
	}
	// Read back: what counts is what the server took it for.
	state, list, err := readBack(ctx, c)
	if err != nil {
		return pauseOut{}, tools.Errorf(tools.UnknownOutcome, "%s was asked to pause, and whether it is could not be read back", env.Server).
			WithHint("look with: status").Because(err)
	}
	if !state.Paused {
		return pauseOut{}, tools.Errorf(tools.OperationFailed, "%s said yes to the pause and is not paused; somebody may have resumed it", env.Server)
	}
	if in.Until != state.PauseEnds.IsZero() {
		return pauseOut{}, tools.Errorf(tools.OperationFailed, "%s is paused %s, which is not what was asked for", env.Server, pausedWords(state.PauseEnds)).
			WithHint("resume it, or look with: status")
	}
	return pausedOut(env.Server, state, list, before.Paused), nil
}

// readBack reads the state, and names for what it holds.
func readBack(ctx context.Context, c *duplicati.Client) (duplicati.State, []duplicati.Backup, error) {
	state, err := c.State(ctx)
	if err != nil || state.Active == nil {
		return state, nil, err
	}
	list, err := c.Backups(ctx)
	return state, list, err
}

func pausedOut(server string, state duplicati.State, list []duplicati.Backup, was bool) pauseOut {
	s := statusOf(server, state, list)
	return pauseOut{State: s.State, PausedUntil: s.PausedUntil, Active: s.Active, Waiting: len(s.Queue), server: server, ends: s.ends, was: was}
}

func (o *operations) settlePause(ctx context.Context, env tools.Env, in pauseIn, _ tools.Plan) (tools.Settled, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return tools.CannotTell, err
	}
	state, err := c.State(ctx)
	switch {
	case err != nil || !in.Until:
		return tools.CannotTell, err
	case state.Paused && state.PauseEnds.IsZero():
		return tools.TookEffect, nil
	case !state.Paused:
		return tools.TookNoEffect, nil
	}
	return tools.CannotTell, nil
}

func viewPause(out pauseOut) tools.View {
	v := tools.View{Headline: out.server + " is paused " + pausedWords(out.ends), Tone: tools.Notice,
		Next: []tools.Next{{Label: "Resume", Operation: "resume", Args: map[string]any{"server": out.server}}}}
	if out.was {
		v.Notes = append(v.Notes, "it was paused before; this end replaces the old one")
	}
	if out.Active != nil {
		v.Notes = append(v.Notes, "halted in its place: "+out.Active.words())
	}
	if out.Waiting > 0 {
		v.Notes = append(v.Notes, plural(out.Waiting, "task waits", "tasks wait"))
	}
	return v
}

type resumeIn struct{ tools.OnServer }

func (o *operations) resume() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "resume", Summary: "End the pause of a server",
		Help:  "What was halted goes on, and what waited starts at once.",
		Group: groupServer, Toolset: core, Risk: tools.Change, Idempotent: true, Examples: []string{"resume"},
	}, tools.Handler[resumeIn, pauseOut]{Do: o.doResume, View: viewResume})
}

func (o *operations) doResume(ctx context.Context, env tools.Env, _ resumeIn) (pauseOut, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return pauseOut{}, err
	}
	before, err := c.State(ctx)
	if err != nil {
		return pauseOut{}, err
	}
	if err := c.Resume(ctx); err != nil {
		return pauseOut{}, err
	}
	state, list, err := readBack(ctx, c)
	if err != nil {
		return pauseOut{}, tools.Errorf(tools.UnknownOutcome, "%s was asked to resume, and whether it did could not be read back", env.Server).
			WithHint("look with: status").Because(err)
	}
	if state.Paused {
		return pauseOut{}, tools.Errorf(tools.OperationFailed, "%s said yes and is still paused %s", env.Server, pausedWords(state.PauseEnds))
	}
	return pausedOut(env.Server, state, list, before.Paused), nil
}

func viewResume(out pauseOut) tools.View {
	v := tools.View{Headline: out.server + " goes on", Tone: tools.Good}
	if !out.was {
		v.Headline = out.server + " was not paused"
	}
	if out.Active != nil {
		v.Notes = append(v.Notes, "at work: "+out.Active.words())
		v.Next = append(v.Next, tools.Next{Label: "Progress", Operation: "progress", Args: map[string]any{"server": out.server}})
	}
	if out.Waiting > 0 {
		v.Notes = append(v.Notes, plural(out.Waiting, "task waits", "tasks wait"))
	}
	return v
}
