package local

import (
	"context"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// Run runs a call at the daemon. When the connection is lost on the way the
// error is UnknownOutcome, or Unavailable where the call could change nothing.
func (c *Client) Run(ctx context.Context, call tools.Call) (tools.Answer, error) {
	op, err := c.registry.Lookup(call.Operation)
	if err != nil {
		return tools.Answer{}, err
	}
	var a tools.Answer
	_, err = c.call(ctx, question{
		do: doRun, words: op.Name, body: bodyOf(call), progress: call.Progress, out: &a,
		// What has a plan can be raised above Read by its arguments.
		harmless: op.Risk == tools.Read && !op.HasPlan(),
	})
	if err != nil {
		return tools.Answer{}, err
	}
	return a, nil
}

func bodyOf(call tools.Call) callBody {
	return callBody{Operation: call.Operation, Args: call.Args, Reason: call.Reason}
}

// Operations lists what the caller may see, in the registry's order.
func (c *Client) Operations(ctx context.Context, _ tools.Caller) ([]*tools.Operation, error) {
	var names []string
	if err := c.ask(ctx, doOperations, "the list of operations", nil, &names); err != nil {
		return nil, err
	}
	ops := make([]*tools.Operation, len(names))
	for i, name := range names {
		op, err := c.registry.Lookup(name)
		if err != nil {
			return nil, err
		}
		ops[i] = op
	}
	return ops, nil
}

// Needs names the secrets and files that a call lacks.
func (c *Client) Needs(ctx context.Context, call tools.Call) ([]tools.Param, error) {
	op, err := c.registry.Lookup(call.Operation)
	if err != nil {
		return nil, err
	}
	var names []string
	if err := c.ask(ctx, doNeeds, "what "+op.Name+" needs", bodyOf(call), &names); err != nil {
		return nil, err
	}
	var params []tools.Param
	for _, name := range names {
		for _, p := range op.Params {
			if p.Name == name {
				params = append(params, p)
			}
		}
	}
	return params, nil
}

// Complete offers values for a parameter.
func (c *Client) Complete(ctx context.Context, _ tools.Caller, operation, param, prefix, server string) ([]tools.Choice, error) {
	var choices []tools.Choice
	err := c.ask(ctx, doComplete, "completion", completeBody{operation, param, prefix, server}, &choices)
	return choices, err
}

// ask is for what changes nothing.
func (c *Client) ask(ctx context.Context, do, words string, body, out any) error {
	_, err := c.call(ctx, question{do: do, words: words, harmless: true, body: body, out: out})
	return err
}

// Decide takes a person's decision to the daemon.
func (c *Client) Decide(ctx context.Context, d tools.Decision) (tools.Approval, error) {
	return c.change(ctx, question{
		do: doDecide, words: "the decision on request " + d.ID, progress: d.Progress,
		body: decideBody{ID: d.ID, Yes: d.Yes, Phrase: d.Phrase, Unattended: d.Unattended, How: d.How},
	})
}

// Withdraw takes a request back.
func (c *Client) Withdraw(ctx context.Context, id string, _ tools.Caller) (tools.Approval, error) {
	return c.change(ctx, question{do: doWithdraw, words: "the withdrawal of request " + id, body: idBody{ID: id}})
}

// Settle takes a person's word on what became of an unknown request.
func (c *Client) Settle(ctx context.Context, id string, _ tools.Caller, tookEffect bool) (tools.Approval, error) {
	return c.change(ctx, question{do: doSettle, words: "the settlement of request " + id, body: idBody{ID: id, TookEffect: tookEffect}})
}

func (c *Client) change(ctx context.Context, a question) (tools.Approval, error) {
	var approval tools.Approval
	a.out = &approval
	_, err := c.call(ctx, a)
	return approval, err
}

// Request finds a stored request.
func (c *Client) Request(ctx context.Context, id string) (tools.Approval, error) {
	var a tools.Approval
	err := c.ask(ctx, doRequest, "request "+id, idBody{ID: id}, &a)
	return a, err
}

// Requests lists stored requests.
func (c *Client) Requests(ctx context.Context, f tools.Filter) ([]tools.Approval, error) {
	var list []tools.Approval
	err := c.ask(ctx, doRequests, "the list of requests", f, &list)
	return list, err
}

// MayDecide says whether the caller could decide a now, and if not why.
func (c *Client) MayDecide(ctx context.Context, a tools.Approval, _ tools.Caller) error {
	return c.ask(ctx, doMayDecide, "request "+a.ID, idBody{ID: a.ID}, nil)
}

// Hold gives the daemon a secret or a file for the call that follows.
func (c *Client) Hold(ctx context.Context, _ tools.Caller, v secret.Value) (tools.Secret, error) {
	var s tools.Secret
	_, err := c.call(ctx, question{do: doHold, words: "handing over a secret", harmless: true, secret: &v, out: &s})
	return s, err
}

// Fetch gets something that was kept, once.
func (c *Client) Fetch(ctx context.Context, _ tools.Caller, handle string) (secret.Value, error) {
	return c.call(ctx, question{do: doFetch, words: "fetching what was kept", body: fetchBody{Handle: handle}})
}
