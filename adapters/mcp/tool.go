package mcp

import (
	"encoding/json"
	"fmt"
	"strings"

	proto "github.com/mark3labs/mcp-go/mcp"

	"github.com/duplibot/duplibot/tools"
)

// toolOf is an operation as a client sees it.
func toolOf(op *tools.Operation) (proto.Tool, error) {
	input, err := json.Marshal(op.InputSchema(tools.MCP))
	if err != nil {
		return proto.Tool{}, err
	}
	output, err := outputSchema(op)
	if err != nil {
		return proto.Tool{}, err
	}
	return proto.Tool{
		Name:            op.MCPName(),
		Title:           op.Title(),
		Description:     description(op),
		RawInputSchema:  input,
		RawOutputSchema: output,
		Annotations:     hints(op),
	}, nil
}

// description is what a model reads of a tool. Every user of a client pays for
// its words on every request.
func description(op *tools.Operation) string {
	text := op.Summary + "."
	if op.Help != "" {
		text += " " + strings.Join(strings.Fields(op.Help), " ")
	}
	if op.Risk == tools.Critical {
		text += " A person must agree before it runs."
	}
	return text
}

// hints are all four, always: a client takes a missing one for the worst.
func hints(op *tools.Operation) proto.ToolAnnotation {
	read := op.Risk == tools.Read
	destructive := op.Risk == tools.Critical
	idempotent := read || op.Idempotent
	// The servers are those of the config; no argument reaches another one.
	openWorld := false
	return proto.ToolAnnotation{
		Title:           op.Title(),
		ReadOnlyHint:    &read,
		DestructiveHint: &destructive,
		IdempotentHint:  &idempotent,
		OpenWorldHint:   &openWorld,
	}
}

// envelope is the schema of every tool's answer, around its own result. It is
// one object, without oneOf on top, since some clients refuse that.
const envelope = `{"type":"object","required":["status"],"properties":{` +
	`"status":{"type":"string","enum":["done","pending"]},"server":{"type":"string"}%s,` +
	`"approval":{"type":"object","required":["id","state","target","effects","expires","deciders","where"],"properties":{` +
	`"id":{"type":"string"},"state":{"type":"string"},"target":{"type":"string"},"effects":{"type":"array","items":{"type":"string"}},` +
	`"expires":{"type":"string"},"deciders":{"type":"array","items":{"type":"string"}},"where":{"type":"array","items":{"type":"string"}},` +
	`"needs":{"type":"array","items":{"type":"string"}},"page":{"type":"string"},"votes":{"type":"integer"},"need":{"type":"integer"}}},` +
	`"next":{"type":"array","items":{"type":"object"}},"follow":{"type":"object"},"kept":{"type":"array","items":{"type":"object"}},` +
	`"cut":{"type":"array","items":{"type":"object"}}}}`

func outputSchema(op *tools.Operation) (json.RawMessage, error) {
	result, err := json.Marshal(op.OutputSchema())
	if err != nil {
		return nil, err
	}
	own := `,"result":` + string(result)
	if asksAll(op) {
		own += `,"each":{"type":"array","items":{"type":"object","required":["server"],"properties":{` +
			`"server":{"type":"string"},"result":{"$ref":"#/properties/result"},"error":{"type":"object"}}}}`
	}
	return json.RawMessage(fmt.Sprintf(envelope, own)), nil
}

// asksAll reports whether one call can ask every server.
func asksAll(op *tools.Operation) bool { return op.Risk == tools.Read && !op.Global }
