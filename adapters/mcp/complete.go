package mcp

import (
	"context"

	proto "github.com/mark3labs/mcp-go/mcp"
)

// completer offers values for the arguments of prompts and resource templates.
type completer struct{ s *Server }

// completionLimit is the protocol's: at most 100 values.
const completionLimit = 100

// CompletePromptArgument completes as the parameters of the same completion do.
func (c completer) CompletePromptArgument(ctx context.Context, name string, arg proto.CompleteArgument, given proto.CompleteContext) (*proto.Completion, error) {
	for _, p := range prompts {
		for _, a := range p.args {
			if p.name == name && a.name == arg.Name {
				return c.values(ctx, a.completion, arg.Value, given.Arguments["server"])
			}
		}
	}
	return &proto.Completion{Values: []string{}}, nil
}

// CompleteResourceArgument completes the parameter that a template ends with.
func (c completer) CompleteResourceArgument(ctx context.Context, uri string, arg proto.CompleteArgument, _ proto.CompleteContext) (*proto.Completion, error) {
	op := c.s.resourceOf(uri)
	if op == nil || templateParam(op) != arg.Name {
		return &proto.Completion{Values: []string{}}, nil
	}
	return c.ask(ctx, op.Name, arg.Name, arg.Value, "")
}

// values asks the first operation that the caller may see and that has a
// parameter of this completion.
func (c completer) values(ctx context.Context, completion, prefix, server string) (*proto.Completion, error) {
	ops, err := c.s.operations(ctx)
	if err != nil {
		return nil, asError(err)
	}
	for _, op := range ops {
		for _, p := range op.Params {
			if p.Complete == completion {
				return c.ask(ctx, op.Name, p.Name, prefix, server)
			}
		}
	}
	return &proto.Completion{Values: []string{}}, nil
}

func (c completer) ask(ctx context.Context, operation, param, prefix, server string) (*proto.Completion, error) {
	choices, err := c.s.Door.Complete(ctx, c.s.caller(ctx), operation, param, prefix, server)
	if err != nil {
		return nil, asError(err)
	}
	out := &proto.Completion{Values: []string{}, Total: len(choices), HasMore: len(choices) > completionLimit}
	for _, choice := range choices[:min(len(choices), completionLimit)] {
		out.Values = append(out.Values, choice.Value)
	}
	return out, nil
}
