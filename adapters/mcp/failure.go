package mcp

import (
	"context"
	"errors"
	"strings"

	proto "github.com/mark3labs/mcp-go/mcp"

	"github.com/duplibot/duplibot/tools"
)

// failure is an error as a model reads it.
type failure struct {
	Code    tools.Code `json:"code"`
	Message string     `json:"message"`
	Hint    string     `json:"hint,omitempty"`
	Retry   bool       `json:"retry"`
}

func failureOf(e *tools.Error) *failure {
	if e == nil {
		return nil
	}
	return &failure{Code: e.Code, Message: plain(e.Message, textLimit), Hint: plain(e.Hint, textLimit), Retry: e.Retry}
}

// asError turns any error into one for readers. What is no tools.Error has not
// passed the gate and says nothing of itself.
func asError(err error) *tools.Error {
	var e *tools.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled):
		return tools.Errorf(tools.Canceled, "the call was cancelled").Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return tools.Errorf(tools.Timeout, "it took too long and was given up").Retryable().Because(err)
	}
	return tools.Errorf(tools.Internal, "something went wrong inside; nothing more is known here").Because(err)
}

// inItsWords is an error that calls the operation's parameters as this surface
// does: a hint to give --until-resumed is one to give until_resumed.
func inItsWords(op *tools.Operation, err error) error {
	e := *asError(err)
	e.Hint = argumentNames(op, e.Hint)
	return &e
}

// failed is an error as a tool result. It has no structured content: that has
// the schema of a success, and clients check it.
func failed(err error) *proto.CallToolResult {
	f := failureOf(asError(err))
	var b strings.Builder
	b.WriteString("Error " + string(f.Code) + ": " + markdown(f.Message))
	if f.Hint != "" {
		b.WriteString("\nNext: " + markdown(f.Hint))
	}
	if f.Retry {
		b.WriteString("\nRetry: the same call may succeed later.")
	} else {
		b.WriteString("\nRetry: no, the same call fails again.")
	}
	result := &proto.CallToolResult{Content: []proto.Content{proto.NewTextContent(b.String())}, IsError: true}
	result.Meta = &proto.Meta{AdditionalFields: map[string]any{"error": f}}
	return result
}
