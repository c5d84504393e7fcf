package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/duplibot/duplibot/tools"
)

type approvalIn struct {
	ID      string `json:"id,omitempty" jsonschema:"Left out: all that are open" tool:"pos"`
	Seconds int    `json:"seconds,omitempty" jsonschema:"Wait so long at most for a change, up to 600"`
}

type approvalOut struct {
	Requests []request `json:"requests"`
	Total    int       `json:"total"`

	one  bool
	view *tools.View
}

type request struct {
	ID        string         `json:"id"`
	Operation string         `json:"operation"`
	Server    string         `json:"server,omitempty"`
	Target    string         `json:"target"`
	State     string         `json:"state"` // input, pending, approved, executing, done, failed, unknown, settled, denied, expired, withdrawn, changed
	Requester string         `json:"requester,omitempty"`
	Effects   []string       `json:"effects"`
	Expires   string         `json:"expires"`
	Deciders  []string       `json:"deciders"`
	Needs     []string       `json:"needs,omitempty"` // secrets to be entered first
	Votes     int            `json:"votes"`
	Need      int            `json:"need"`
	Settled   string         `json:"settlement,omitempty"`
	Error     *tools.Error   `json:"error,omitempty"`
	Changes   []string       `json:"changes,omitempty"`
	Result    map[string]any `json:"result,omitempty"`
}

func (o *operations) approval() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "approval", Summary: "Show how a request that waits for a person goes",
		Help:  "Without an ID it lists what is open. Deciding is a person's, on a card, a page or a terminal, and nothing that can be called here.",
		Group: groupRequests, Toolset: core, Risk: tools.Read, Idempotent: true, Global: true, Resource: "requests", Follows: true,
		Examples: []string{"approval", "approval a-7kq2m --seconds 60"},
	}, tools.Handler[approvalIn, approvalOut]{
		Check: func(in approvalIn) error {
			if in.Seconds < 0 || in.Seconds > 600 || in.Seconds > 0 && in.ID == "" {
				return tools.Errorf(tools.InvalidArgument, "seconds is 1 to 600, and goes with an id")
			}
			return nil
		},
		Do: o.doApproval, View: viewApproval,
		Exit: func(out approvalOut) int {
			if !out.one || out.Requests[0].State == string(tools.StateDone) {
				return 0
			}
			if tools.State(out.Requests[0].State).Open() {
				return 5
			}
			return 2
		},
	})
}

func (o *operations) doApproval(ctx context.Context, env tools.Env, in approvalIn) (approvalOut, error) {
	if in.ID == "" {
		const most = 50
		list, err := env.Requests(ctx, tools.Filter{States: []tools.State{tools.StateInput, tools.StatePending, tools.StateApproved, tools.StateExecuting, tools.StateUnknown}, Limit: 1000})
		if err != nil {
			return approvalOut{}, err
		}
		out := approvalOut{Requests: []request{}, Total: len(list)}
		for _, w := range list[:min(most, len(list))] {
			out.Requests = append(out.Requests, requestOf(w))
		}
		return out, nil
	}
	a, w, err := o.awaitApproval(ctx, env, in)
	if err != nil {
		return approvalOut{}, err
	}
	r := requestOf(w)
	r.Server, r.Requester, r.Settled = a.Server, a.Requester, a.Settlement
	if len(a.Result) > 0 {
		if err := json.Unmarshal(a.Result, &r.Result); err != nil {
			return approvalOut{}, fmt.Errorf("read the result of request %s: %w", a.ID, err)
		}
	}
	return approvalOut{Requests: []request{r}, Total: 1, one: true, view: a.View}, nil
}

// awaitApproval reads the request until its state is another, or the time is
// over.
func (o *operations) awaitApproval(ctx context.Context, env tools.Env, in approvalIn) (tools.Approval, tools.Waiting, error) {
	a, w, err := env.Request(ctx, in.ID)
	if err != nil {
		return a, w, err
	}
	first, votes := a.State, len(a.Votes)
	until := time.Now().Add(time.Duration(in.Seconds) * time.Second)
	for a.State.Open() && a.State == first && len(a.Votes) == votes && time.Now().Before(until) {
		env.Progress(tools.Progress{Text: "request " + a.ID + " is " + string(a.State), Done: -1})
		select {
		case <-ctx.Done():
			return a, w, tools.Errorf(tools.Canceled, "the waiting was stopped; request %s is %s and stays so", a.ID, a.State).Because(ctx.Err())
		case <-time.After(min(500*time.Millisecond, o.Poll)):
		}
		if a, w, err = env.Request(ctx, in.ID); err != nil {
			return a, w, err
		}
	}
	return a, w, nil
}

func requestOf(w tools.Waiting) request {
	r := request{
		ID: w.ID, Operation: w.Operation, Target: w.Target, State: string(w.State), Effects: w.Effects, Expires: stamp(w.Expires),
		Deciders: w.Deciders, Needs: w.Needs, Votes: w.Votes, Need: w.Need, Error: w.Failure,
	}
	for _, c := range w.Changes {
		r.Changes = append(r.Changes, fmt.Sprintf("%s was %s and is %s", c.Name, quote(c.Was), quote(c.Is)))
	}
	return r
}

var stateTone = map[tools.State]tools.Tone{
	tools.StateInput: tools.Notice, tools.StatePending: tools.Notice, tools.StateApproved: tools.Notice, tools.StateExecuting: tools.Notice,
	tools.StateDone: tools.Good, tools.StateSettled: tools.Notice, tools.StateFailed: tools.Bad, tools.StateUnknown: tools.Unclear,
	tools.StateDenied: tools.Warning, tools.StateExpired: tools.Warning, tools.StateWithdrawn: tools.Notice, tools.StateChanged: tools.Warning,
}

func viewApproval(out approvalOut) tools.View {
	if !out.one {
		return viewRequests(out)
	}
	r := out.Requests[0]
	v := tools.View{Headline: fmt.Sprintf("request %s, %s: %s", r.ID, r.Operation, r.State), Tone: stateTone[tools.State(r.State)]}
	v.Facts = append(v.Facts, tools.Fact{Name: "Target", Value: r.Target}, tools.Fact{Name: "Asked by", Value: r.Requester})
	switch tools.State(r.State) {
	case tools.StateInput:
		v.Notes = append(v.Notes, "a secret is to be entered first, by the one who asked")
	case tools.StatePending:
		v.Facts = append(v.Facts, tools.Fact{Name: "Agreed", Value: fmt.Sprintf("%d of %d", r.Votes, r.Need)}, tools.Fact{Name: "Can decide", Value: fmt.Sprint(r.Deciders)})
	}
	if tools.State(r.State).Open() {
		v.Facts = append(v.Facts, tools.Fact{Name: "Expires", Value: r.Expires})
		v.Next = []tools.Next{{Label: "Look again", Operation: "approval", Args: map[string]any{"id": r.ID}}}
	}
	if r.Settled != "" {
		v.Notes = append(v.Notes, r.Settled)
	}
	if r.Error != nil {
		v.Notes = append(v.Notes, r.Error.Error())
	}
	v.Notes = append(v.Notes, r.Changes...)
	if out.view != nil {
		v.Notes = append(v.Notes, out.view.Headline)
		v.Facts, v.Table, v.Next = append(v.Facts, out.view.Facts...), out.view.Table, out.view.Next
		v.Tone = v.Tone.Worse(out.view.Tone)
		v.Data = out.view.Data
	}
	return v
}

func viewRequests(out approvalOut) tools.View {
	v := tools.View{Headline: "no request is open", Tone: tools.Good}
	if out.Total == 0 {
		return v
	}
	v.Headline, v.Tone = plural(out.Total, "request is open", "requests are open"), tools.Notice
	v.Table = &tools.Table{Columns: []string{"ID", "Operation", "Target", "State", "Expires"}, Total: out.Total}
	for _, r := range out.Requests {
		v.Tone = v.Tone.Worse(stateTone[tools.State(r.State)])
		v.Table.Rows = append(v.Table.Rows, []string{r.ID, r.Operation, r.Target, r.State, r.Expires})
	}
	return v
}

type serversIn struct{}

type serversOut struct {
	Servers []string `json:"servers"`
	Default string   `json:"default,omitempty"`
}

func (o *operations) servers() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "servers", Summary: "List the servers that can be named",
		Help:  "The default is the one that is meant when none is named.",
		Group: groupServer, Toolset: core, Risk: tools.Read, Idempotent: true, Global: true, Resource: "servers", Examples: []string{"servers"},
	}, tools.Handler[serversIn, serversOut]{
		Do: func(_ context.Context, env tools.Env, _ serversIn) (serversOut, error) {
			names, byDefault := env.Servers()
			return serversOut{Servers: append([]string{}, names...), Default: byDefault}, nil
		},
		View: func(out serversOut) tools.View {
			v := tools.View{Headline: plural(len(out.Servers), "server", "servers"), Table: &tools.Table{Columns: []string{"Name", "Default"}}}
			for _, name := range out.Servers {
				v.Table.Rows = append(v.Table.Rows, []string{name, map[bool]string{true: "yes"}[name == out.Default]})
			}
			return v
		},
	})
}
