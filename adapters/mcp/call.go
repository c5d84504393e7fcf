package mcp

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	proto "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/duplibot/duplibot/tools"
)

// grace is how long a call that changes something goes on after its caller is
// gone: a request that is on its way is finished rather than left uncertain.
const grace = 10 * time.Second

// handler runs an operation for a tool call.
func (s *Server) handler(op *tools.Operation) server.ToolHandlerFunc {
	return func(ctx context.Context, req proto.CallToolRequest) (result *proto.CallToolResult, _ error) {
		defer func() {
			if v := recover(); v != nil {
				result = failed(s.panicked(op.Name, v))
			}
		}()
		if len(req.Params.InputResponses) > 0 || req.Params.RequestState != "" {
			return s.resume(ctx, op, req), nil
		}
		args, ok := req.Params.Arguments.(map[string]any)
		if !ok && req.Params.Arguments != nil {
			return failed(tools.Errorf(tools.InvalidArgument, "the arguments must be an object; nothing was done")), nil
		}
		answer, err := s.run(ctx, op, tools.Call{
			Operation: op.Name, Args: args, Caller: s.caller(ctx), Progress: s.progress(ctx, req.Params.Meta),
		})
		if err != nil {
			return failed(inItsWords(op, err)), nil
		}
		return s.offerPage(ctx, op, req, s.resultOf(op, answer)), nil
	}
}

// run calls the gate. When the caller goes away or cancels, the waiting ends:
// a read at once, anything else after its grace.
func (s *Server) run(ctx context.Context, op *tools.Operation, c tools.Call) (tools.Answer, error) {
	if op.Risk == tools.Read {
		return s.Door.Run(ctx, c)
	}
	if err := ctx.Err(); err != nil {
		return tools.Answer{}, tools.Errorf(tools.Canceled, "the call was cancelled before it began; nothing was done").Because(err)
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var answer tools.Answer
	var err error
	done := make(chan struct{})
	s.calls.Go(func() {
		defer close(done)
		defer cancel()
		defer func() {
			if v := recover(); v != nil {
				err = s.panicked(op.Name, v)
			}
		}()
		answer, err = s.Door.Run(own, c)
	})
	select {
	case <-done:
		return answer, err
	case <-ctx.Done():
		time.AfterFunc(grace, cancel)
		return tools.Answer{}, tools.Errorf(tools.Canceled, "the waiting for %s ended; what it had begun at the server goes on", op.Name).
			WithHint("look at the server's state before you ask again").Because(ctx.Err())
	}
}

// panicked logs what must not be shown: a panic's text may hold anything.
func (s *Server) panicked(what string, v any) error {
	s.Log.Error("panicked", "in", what, "panic", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
	return tools.Errorf(tools.Internal, "something went wrong inside; the log has it under %s", what)
}

// progressStep keeps a busy operation from flooding its client.
const progressStep = 200 * time.Millisecond

// progress sends notifications to a client that asked for them; nil to one
// that did not.
func (s *Server) progress(ctx context.Context, meta *proto.Meta) func(tools.Progress) {
	if meta == nil || meta.ProgressToken == nil {
		return nil
	}
	var mu sync.Mutex // several servers can be asked at once
	var last tools.Progress
	var at time.Time
	value := 0.0
	return func(p tools.Progress) {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		if now.Sub(at) < progressStep && p.Done < 1 && p.Stage == last.Stage && !at.IsZero() || ctx.Err() != nil {
			return
		}
		at, last = now, p
		// The value must grow with every notification.
		value = max(value+0.001, p.Done*100)
		params := map[string]any{"progressToken": meta.ProgressToken, "progress": value, "message": plain(progressText(p), 300)}
		if p.Done >= 0 {
			params["total"] = 100
		}
		if err := s.send(ctx, string(proto.MethodNotificationProgress), params); err != nil {
			s.Log.Debug("progress not sent", "error", err)
		}
	}
}

// sender writes a message to the client of one call, before its answer.
type sender interface{ send(message any) error }

type senderKey struct{}

// send notifies the client of the call behind ctx.
func (s *Server) send(ctx context.Context, method string, params map[string]any) error {
	to, ok := ctx.Value(senderKey{}).(sender)
	if !ok {
		return s.rpc.SendNotificationToClient(ctx, method, params)
	}
	n := proto.JSONRPCNotification{JSONRPC: proto.JSONRPC_VERSION}
	n.Method, n.Params.AdditionalFields = method, params
	return to.send(n)
}
