package local

import (
	"context"
	"encoding/json"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// call is a request with what the server knows of it.
type call struct {
	request
	caller   tools.Caller
	secret   secret.Value
	progress func(tools.Progress)
}

// name is what a call asks for, if that is something known: it goes to the log.
func (c call) name() string {
	if _, known := calls[c.Do]; known {
		return c.Do
	}
	return "unknown"
}

// served is how a request is answered. What is for people is out of reach for
// a connection that began as mcp.
type served struct {
	people bool
	do     func(*Server, context.Context, call) (result any, out secret.Value, err error)
}

var calls = map[string]served{
	doPing:       {do: plain(func(*Server, context.Context, call, struct{}) (any, error) { return nil, nil })},
	doRun:        {do: plain((*Server).run)},
	doOperations: {do: plain((*Server).operations)},
	doNeeds:      {do: plain((*Server).needs)},
	doComplete:   {do: plain((*Server).complete)},
	doDecide:     {people: true, do: plain((*Server).decide)},
	doWithdraw:   {people: true, do: plain((*Server).withdraw)},
	doSettle:     {people: true, do: plain((*Server).settle)},
	doRequest:    {people: true, do: plain((*Server).request)},
	doRequests:   {people: true, do: plain((*Server).requests)},
	doMayDecide:  {people: true, do: plain((*Server).mayDecide)},
	doHold:       {people: true, do: plain((*Server).hold)},
	doFetch:      {people: true, do: (*Server).fetch},
	doAdmin:      {people: true, do: (*Server).admin},
}

func (s *Server) dispatch(ctx context.Context, c call) (any, secret.Value, error) {
	serve, known := calls[c.Do]
	if !known {
		return nil, secret.Value{}, unreadable(nil)
	}
	if serve.people && c.caller.Surface != tools.CLI {
		return nil, secret.Value{}, tools.Errorf(tools.Denied, "this connection serves an assistant: it can ask, and decides, settles and administers nothing; nothing was done").
			WithHint("a person does this at a terminal, in Slack or on the bot's page")
	}
	return serve.do(s, ctx, c)
}

// plain makes a handler of one that takes its body read and gives no secret.
func plain[B any](f func(*Server, context.Context, call, B) (any, error)) func(*Server, context.Context, call) (any, secret.Value, error) {
	return func(s *Server, ctx context.Context, c call) (any, secret.Value, error) {
		body, err := read[B](c)
		if err != nil {
			return nil, secret.Value{}, err
		}
		result, err := f(s, ctx, c, body)
		return result, secret.Value{}, err
	}
}

func read[B any](c call) (B, error) {
	var body B
	if len(c.Body) == 0 {
		return body, nil
	}
	if err := json.Unmarshal(c.Body, &body); err != nil {
		return body, unreadable(err)
	}
	return body, nil
}

func unreadable(err error) error {
	return tools.Errorf(tools.InvalidArgument, "the daemon does not understand this request; nothing was done").
		WithHint("after an update restart the daemon: systemctl restart duplibot").Because(err)
}

func (c call) tool(b callBody) tools.Call {
	return tools.Call{Operation: b.Operation, Args: b.Args, Reason: b.Reason, Caller: c.caller, Progress: c.progress}
}

func (s *Server) run(ctx context.Context, c call, b callBody) (any, error) {
	a, err := s.Door.Run(ctx, c.tool(b))
	if err != nil {
		return nil, err
	}
	return a, nil
}

// operations answers with names: the client has the same operations built in.
func (s *Server) operations(ctx context.Context, c call, _ struct{}) (any, error) {
	ops, err := s.Door.Operations(ctx, c.caller)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(ops))
	for i, op := range ops {
		names[i] = op.Name
	}
	return names, nil
}

func (s *Server) needs(ctx context.Context, c call, b callBody) (any, error) {
	params, err := s.Door.Needs(ctx, c.tool(b))
	if err != nil {
		return nil, err
	}
	names := make([]string, len(params))
	for i, p := range params {
		names[i] = p.Name
	}
	return names, nil
}

func (s *Server) complete(ctx context.Context, c call, b completeBody) (any, error) {
	return s.Door.Complete(ctx, c.caller, b.Operation, b.Param, b.Prefix, b.Server)
}

func (s *Server) decide(ctx context.Context, c call, b decideBody) (any, error) {
	a, err := s.Decisions.Decide(ctx, tools.Decision{
		ID: b.ID, Caller: c.caller, Yes: b.Yes, Phrase: b.Phrase, Unattended: b.Unattended, How: b.How, Progress: c.progress,
	})
	return s.decided(ctx, c, a, err)
}

func (s *Server) withdraw(ctx context.Context, c call, b idBody) (any, error) {
	a, err := s.Decisions.Withdraw(ctx, b.ID, c.caller)
	return s.decided(ctx, c, a, err)
}

func (s *Server) settle(ctx context.Context, c call, b idBody) (any, error) {
	a, err := s.Decisions.Settle(ctx, b.ID, c.caller, b.TookEffect)
	return s.decided(ctx, c, a, err)
}

// decided is a request beside whatever was said about it, for whoever may look
// at requests.
func (s *Server) decided(ctx context.Context, c call, a tools.Approval, err error) (any, error) {
	if a.ID == "" || err != nil && s.somebody(ctx, c.caller) != nil {
		return nil, err
	}
	return shown(a), err
}

func (s *Server) request(ctx context.Context, c call, b idBody) (any, error) {
	if err := s.somebody(ctx, c.caller); err != nil {
		return nil, err
	}
	a, err := s.Decisions.Request(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	return shown(a), nil
}

// maxRequests is how many requests one answer can hold.
const maxRequests = 1000

func (s *Server) requests(ctx context.Context, c call, f tools.Filter) (any, error) {
	if err := s.somebody(ctx, c.caller); err != nil {
		return nil, err
	}
	f.Limit = min(f.Limit, maxRequests)
	list, err := s.Decisions.Requests(ctx, f)
	if err != nil {
		return nil, err
	}
	out := make([]tools.Approval, len(list))
	for i, a := range list {
		out[i] = shown(a)
	}
	return out, nil
}

// mayDecide asks about the stored request, not about what the client says it
// holds.
func (s *Server) mayDecide(ctx context.Context, c call, b idBody) (any, error) {
	if err := s.somebody(ctx, c.caller); err != nil {
		return nil, err
	}
	a, err := s.Decisions.Request(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	return nil, s.Decisions.MayDecide(ctx, a, c.caller)
}

func (s *Server) hold(ctx context.Context, c call, _ struct{}) (any, error) {
	if err := s.somebody(ctx, c.caller); err != nil {
		return nil, err
	}
	return s.Decisions.Hold(ctx, c.caller, c.secret)
}

func (s *Server) fetch(ctx context.Context, c call) (any, secret.Value, error) {
	b, err := read[fetchBody](c)
	if err == nil {
		err = s.somebody(ctx, c.caller)
	}
	if err != nil {
		return nil, secret.Value{}, err
	}
	v, err := s.Decisions.Fetch(ctx, c.caller, b.Handle)
	return nil, v, err
}

func (s *Server) admin(ctx context.Context, c call) (any, secret.Value, error) {
	b, err := read[adminBody](c)
	if err != nil {
		return nil, secret.Value{}, err
	}
	do := s.Admin[b.Name]
	if do == nil {
		return nil, secret.Value{}, unreadable(nil)
	}
	result, err := do(ctx, c.caller, b.Args)
	if err != nil {
		return nil, secret.Value{}, err
	}
	switch r := result.(type) {
	case secret.Value:
		return nil, r, nil
	case Confidential:
		return r.Result, r.Secret, nil
	}
	return result, secret.Value{}, nil
}

// somebody refuses whoever may see no operation: requests are not for
// strangers to read, nor is memory theirs to fill.
func (s *Server) somebody(ctx context.Context, c tools.Caller) error {
	ops, err := s.Door.Operations(ctx, c)
	if err != nil {
		return err
	}
	if len(ops) == 0 {
		return tools.Errorf(tools.NobodyKnown, "%s is nobody here; nothing was done", c.Identity).
			WithHint("an administrator can add this identity to people in the config")
	}
	return nil
}
