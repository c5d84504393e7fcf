package mcp

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
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
		text += " " + argumentNames(op, strings.Join(strings.Fields(op.Help), " "))
	}
	if op.Risk == tools.Critical {
		text += " A person must agree before it runs."
	}
	return text
}

var flagWord = regexp.MustCompile(`--[a-z][a-z-]*`)

// argumentNames calls parameters as this surface does: force, not --force.
func argumentNames(op *tools.Operation, text string) string {
	return flagWord.ReplaceAllStringFunc(text, func(word string) string {
		for _, p := range op.Params {
			if word == "--"+p.Flag && p.On(tools.MCP) {
				return p.Name
			}
		}
		return word
	})
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
// one object, without oneOf on top, since some clients refuse that, and says no
// more than a program needs: it is sent with every tool. docs/mcp.md has the
// rest of the fields.
const envelope = `{"type":"object","required":["status"],"properties":{` +
	`"status":{"type":"string","enum":["done","pending"]},"server":{"type":"string"}%s,` +
	`"approval":{"type":"object","required":["id","state"],"properties":{"id":{"type":"string"},"state":{"type":"string"},"target":{"type":"string"},"expires":{"type":"string"}}},` +
	`"follow":{"type":"object"},"next":{"type":"array"}}}`

func outputSchema(op *tools.Operation) (json.RawMessage, error) {
	schema := op.OutputSchema().CloneSchemas()
	opened(schema)
	result, err := json.Marshal(schema)
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

// opened lets the objects of a result have fields that are not known yet: a
// client that checks answers goes on working when one is added.
func opened(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if a := s.AdditionalProperties; a != nil && a.Not != nil {
		s.AdditionalProperties = nil
	}
	opened(s.AdditionalProperties)
	opened(s.Items)
	for _, p := range s.Properties {
		opened(p)
	}
}

// asksAll reports whether one call can ask every server.
func asksAll(op *tools.Operation) bool { return op.Risk == tools.Read && !op.Global }
