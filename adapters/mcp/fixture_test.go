package mcp_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	proto "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/duplibot/duplibot/adapters/mcp"
)

// The conformance suite drives tools, resources and prompts of fixed names,
// which a product does not have. These are they, for the library's server as we
// set it up and behind our HTTP stack.

const (
	redPixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
	silence  = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
)

type fixture struct {
	s   *mcp.Server
	rpc *server.MCPServer
}

func newFixture(s *mcp.Server) *server.MCPServer {
	f := &fixture{s: s, rpc: mcp.NewFixture(server.WithLogging(), server.WithToolCapabilities(true), server.WithPromptCapabilities(true))}
	f.contents()
	f.notices()
	f.oldQuestions()
	f.questions()
	f.resources()
	f.prompts()
	return f.rpc
}

func (f *fixture) tool(name string, do server.ToolHandlerFunc, options ...proto.ToolOption) {
	f.rpc.AddTool(proto.NewTool(name, append([]proto.ToolOption{proto.WithDescription("For the conformance suite")}, options...)...), do)
}

func says(content ...proto.Content) *proto.CallToolResult {
	return &proto.CallToolResult{Content: content}
}

func (f *fixture) contents() {
	embedded := proto.NewEmbeddedResource(proto.TextResourceContents{URI: "test://embedded-resource", MIMEType: "text/plain", Text: "This is an embedded resource content."})
	for name, result := range map[string]*proto.CallToolResult{
		"test_simple_text":       says(proto.NewTextContent("This is a simple text response for testing.")),
		"test_image_content":     says(proto.NewImageContent(redPixel, "image/png")),
		"test_audio_content":     says(proto.NewAudioContent(silence, "audio/wav")),
		"test_embedded_resource": says(embedded),
		"test_multiple_content_types": says(proto.NewTextContent("Multiple content types test:"), proto.NewImageContent(redPixel, "image/png"),
			proto.NewEmbeddedResource(proto.TextResourceContents{URI: "test://mixed-content-resource", MIMEType: "application/json", Text: `{"test":"data","value":123}`})),
		"test_error_handling":     {IsError: true, Content: []proto.Content{proto.NewTextContent("This tool intentionally returns an error for testing")}},
		"test_missing_capability": says(proto.NewTextContent("the client can sample")),
	} {
		f.tool(name, func(context.Context, proto.CallToolRequest) (*proto.CallToolResult, error) { return result, nil })
	}
	f.rpc.AddTool(proto.NewToolWithRawSchema("json_schema_2020_12_tool", "For the conformance suite", json.RawMessage(`{
		"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
		"$defs":{"address":{"$anchor":"addressDef","type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}}},
		"properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},"contactMethod":{"type":"string","enum":["phone","email"]},"phone":{"type":"string"},"email":{"type":"string"}},
		"allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],
		"if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},"then":{"required":["phone"]},"else":{"required":["email"]},
		"additionalProperties":false}`)), func(context.Context, proto.CallToolRequest) (*proto.CallToolResult, error) { return says(), nil })
}

func (f *fixture) notices() {
	logging := func(ctx context.Context, _ proto.CallToolRequest) (*proto.CallToolResult, error) {
		for _, line := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
			_ = f.rpc.SendLogMessageToClient(ctx, proto.NewLoggingMessageNotification(proto.LoggingLevelInfo, "fixture", line))
			time.Sleep(50 * time.Millisecond)
		}
		return says(proto.NewTextContent("logged")), nil
	}
	f.tool("test_tool_with_logging", logging)
	f.tool("test_logging_tool", logging)
	f.tool("test_tool_with_progress", func(ctx context.Context, req proto.CallToolRequest) (*proto.CallToolResult, error) {
		for _, done := range []int{0, 50, 100} {
			if req.Params.Meta != nil && req.Params.Meta.ProgressToken != nil {
				if err := f.s.Send(ctx, "notifications/progress", map[string]any{"progressToken": req.Params.Meta.ProgressToken, "progress": done, "total": 100}); err != nil {
					return nil, err
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
		return says(proto.NewTextContent("done")), nil
	})
	changes := 0
	f.tool("test_trigger_tool_change", func(context.Context, proto.CallToolRequest) (*proto.CallToolResult, error) {
		changes++
		name := fmt.Sprintf("test_came_later_%d", changes)
		f.tool(name, func(context.Context, proto.CallToolRequest) (*proto.CallToolResult, error) { return says(), nil })
		f.rpc.DeleteTools(name)
		return says(), nil
	})
	f.tool("test_trigger_prompt_change", func(context.Context, proto.CallToolRequest) (*proto.CallToolResult, error) {
		f.rpc.AddPrompt(proto.NewPrompt("test_came_later", proto.WithPromptDescription("For the conformance suite")), func(context.Context, proto.GetPromptRequest) (*proto.GetPromptResult, error) {
			return &proto.GetPromptResult{Messages: []proto.PromptMessage{}}, nil
		})
		f.rpc.DeletePrompts("test_came_later")
		return says(), nil
	})
}

func form(properties map[string]any, required ...string) map[string]any {
	schema := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

// oldQuestions are those that a server sent on its own until 2025-11-25.
func (f *fixture) oldQuestions() {
	ask := func(prefix, message string, schema map[string]any) server.ToolHandlerFunc {
		return func(ctx context.Context, req proto.CallToolRequest) (*proto.CallToolResult, error) {
			text := message
			if given := req.GetString("message", ""); given != "" {
				text = given
			}
			said, err := f.rpc.RequestElicitation(ctx, proto.ElicitationRequest{Params: proto.ElicitationParams{Message: text, RequestedSchema: schema}})
			if err != nil {
				return proto.NewToolResultError(err.Error()), nil
			}
			content, _ := json.Marshal(said.Content)
			return says(proto.NewTextContent(fmt.Sprintf("%s: action=%s, content=%s", prefix, said.Action, content))), nil
		}
	}
	text := map[string]any{"type": "string"}
	f.tool("test_elicitation", ask("User response", "?", form(map[string]any{"username": text, "email": text}, "username", "email")), proto.WithString("message", proto.Required()))
	f.tool("test_elicitation_sep1034_defaults", ask("Elicitation completed", "Defaults", form(map[string]any{
		"name": map[string]any{"type": "string", "default": "John Doe"}, "age": map[string]any{"type": "integer", "default": 30},
		"score": map[string]any{"type": "number", "default": 95.5}, "verified": map[string]any{"type": "boolean", "default": true},
		"status": map[string]any{"type": "string", "enum": []string{"active", "inactive", "pending"}, "default": "active"},
	})))
	titled := func(values ...string) []map[string]any {
		var out []map[string]any
		for i, v := range values {
			out = append(out, map[string]any{"const": v, "title": fmt.Sprintf("Option %d", i+1)})
		}
		return out
	}
	plain := map[string]any{"type": "string", "enum": []string{"option1", "option2", "option3"}}
	f.tool("test_elicitation_sep1330_enums", ask("Elicitation completed", "Enums", form(map[string]any{
		"untitledSingle": plain,
		"titledSingle":   map[string]any{"type": "string", "oneOf": titled("value1", "value2", "value3")},
		"legacyEnum":     map[string]any{"type": "string", "enum": []string{"opt1", "opt2", "opt3"}, "enumNames": []string{"Option One", "Option Two", "Option Three"}},
		"untitledMulti":  map[string]any{"type": "array", "items": plain},
		"titledMulti":    map[string]any{"type": "array", "items": map[string]any{"anyOf": titled("value1", "value2", "value3")}},
	})))
	f.tool("test_sampling", func(ctx context.Context, req proto.CallToolRequest) (*proto.CallToolResult, error) {
		r := proto.CreateMessageRequest{CreateMessageParams: proto.CreateMessageParams{MaxTokens: 100,
			Messages: []proto.SamplingMessage{{Role: proto.RoleUser, Content: proto.NewTextContent(req.GetString("prompt", ""))}}}}
		said, err := f.rpc.RequestSampling(ctx, r) //nolint:staticcheck // old revisions have it, and the suite asks for it
		if err != nil {
			return proto.NewToolResultError(err.Error()), nil
		}
		content, _ := json.Marshal(said.Content)
		return says(proto.NewTextContent("LLM response: " + string(content))), nil
	}, proto.WithString("prompt", proto.Required()))
}

// questions are those of 2026-07-28: an answer that asks, and the call again.
func (f *fixture) questions() {
	name := form(map[string]any{"name": map[string]any{"type": "string"}}, "name")
	ok := form(map[string]any{"ok": map[string]any{"type": "boolean"}}, "ok")
	elicit := func(message string, schema any) proto.ElicitationParams {
		return proto.ElicitationParams{Message: message, RequestedSchema: schema}
	}
	sample := func(text string, tokens int) proto.CreateMessageParams {
		return proto.CreateMessageParams{MaxTokens: tokens, Messages: []proto.SamplingMessage{{Role: proto.RoleUser, Content: proto.NewTextContent(text)}}}
	}
	type round struct {
		key  string // the answer that ends it
		asks *server.InputRequestBuilder
	}
	steps := func(rounds ...round) server.ToolHandlerFunc {
		return func(_ context.Context, req proto.CallToolRequest) (*proto.CallToolResult, error) {
			at := 0
			if req.Params.RequestState != "" {
				state, err := unsign(req.Params.RequestState)
				if err != nil {
					return nil, err
				}
				at = len(state)
			}
			for ; at < len(rounds); at++ {
				if !answered(req.Params.InputResponses, rounds[at].key) {
					return rounds[at].asks.RequestState(sign(strings.Repeat("x", at))).ToolResult(), nil
				}
				if at+1 < len(rounds) {
					return rounds[at+1].asks.RequestState(sign(strings.Repeat("x", at+1))).ToolResult(), nil
				}
			}
			said, _ := json.Marshal(req.Params.InputResponses)
			return says(proto.NewTextContent("state-ok " + string(said))), nil
		}
	}
	ask := server.NewInputRequestBuilder
	f.tool("test_input_required_result_elicitation", steps(round{"user_name", ask("").Elicit("user_name", elicit("What is your name?", name))}))
	f.tool("test_input_required_result_sampling", steps(round{"capital_question", ask("").Sample("capital_question", sample("What is the capital of France?", 100))}))
	f.tool("test_input_required_result_list_roots", steps(round{"client_roots", ask("").Roots("client_roots")}))
	f.tool("test_input_required_result_request_state", steps(round{"confirm", ask("").Elicit("confirm", elicit("Please confirm", ok))}))
	f.tool("test_input_required_result_tampered_state", steps(round{"confirm", ask("").Elicit("confirm", elicit("Please confirm", ok))}))
	f.tool("test_input_required_result_multiple_inputs", steps(round{"client_roots",
		ask("").Elicit("user_name", elicit("What is your name?", name)).Sample("greeting", sample("Generate a greeting", 50)).Roots("client_roots")}))
	f.tool("test_input_required_result_multi_round", steps(
		round{"step1", ask("").Elicit("step1", elicit("Step 1: What is your name?", name))},
		round{"step2", ask("").Elicit("step2", elicit("Step 2: What is your favorite color?", form(map[string]any{"color": map[string]any{"type": "string"}}, "color")))}))
	f.tool("test_streaming_elicitation", steps(round{"user_name", ask("").Elicit("user_name", elicit("What is your name?", name))}))
	f.tool("test_input_required_result_capabilities", func(ctx context.Context, _ proto.CallToolRequest) (*proto.CallToolResult, error) {
		b := ask(sign(""))
		info := server.RequestProtocolInfoFromContext(ctx)
		if info.ClientCapabilities.Elicitation != nil {
			b.Elicit("user_name", elicit("What is your name?", name))
		}
		if info.ClientCapabilities.Sampling != nil {
			b.Sample("greeting", sample("Generate a greeting", 50))
		}
		return b.ToolResult(), nil
	})
}

func answered(all proto.InputResponses, key string) bool {
	r, ok := all[key]
	if !ok {
		return false
	}
	b, err := json.Marshal(r)
	return err == nil && strings.HasPrefix(string(b), "{")
}

func sign(state string) string {
	h := hmac.New(sha256.New, []byte("fixture"))
	h.Write([]byte(state))
	return state + "." + hex.EncodeToString(h.Sum(nil))
}

func unsign(text string) (string, error) {
	state, _, _ := strings.Cut(text, ".")
	if sign(state) != text {
		return "", errors.New("the state was not made here")
	}
	return state, nil
}

func (f *fixture) resources() {
	static := func(uri, mime string, c proto.ResourceContents) {
		f.rpc.AddResource(proto.NewResource(uri, uri, proto.WithMIMEType(mime), proto.WithResourceDescription("For the conformance suite")),
			func(context.Context, proto.ReadResourceRequest) ([]proto.ResourceContents, error) {
				return []proto.ResourceContents{c}, nil
			})
	}
	static("test://static-text", "text/plain", proto.TextResourceContents{URI: "test://static-text", MIMEType: "text/plain", Text: "This is the content of the static text resource."})
	static("test://static-binary", "image/png", proto.BlobResourceContents{URI: "test://static-binary", MIMEType: "image/png", Blob: redPixel})
	static("test://watched-resource", "text/plain", proto.TextResourceContents{URI: "test://watched-resource", MIMEType: "text/plain", Text: "watched"})
	f.rpc.AddResourceTemplate(proto.NewResourceTemplate("test://template/{id}/data", "template", proto.WithTemplateMIMEType("application/json"), proto.WithTemplateDescription("For the conformance suite")),
		func(_ context.Context, req proto.ReadResourceRequest) ([]proto.ResourceContents, error) {
			id := strings.Split(strings.TrimPrefix(req.Params.URI, "test://template/"), "/")[0]
			return []proto.ResourceContents{proto.TextResourceContents{URI: req.Params.URI, MIMEType: "application/json",
				Text: fmt.Sprintf(`{"id":%q,"templateTest":true,"data":"Data for ID: %s"}`, id, id)}}, nil
		})
}

func (f *fixture) prompts() {
	add := func(name string, arguments []string, messages func(args map[string]string) []proto.Content) {
		options := []proto.PromptOption{proto.WithPromptDescription("For the conformance suite")}
		for _, a := range arguments {
			options = append(options, proto.WithArgument(a, proto.RequiredArgument(), proto.ArgumentDescription("a test argument")))
		}
		f.rpc.AddPrompt(proto.NewPrompt(name, options...), func(_ context.Context, req proto.GetPromptRequest) (*proto.GetPromptResult, error) {
			result := &proto.GetPromptResult{}
			for _, c := range messages(req.Params.Arguments) {
				result.Messages = append(result.Messages, proto.NewPromptMessage(proto.RoleUser, c))
			}
			return result, nil
		})
	}
	add("test_simple_prompt", nil, func(map[string]string) []proto.Content {
		return []proto.Content{proto.NewTextContent("This is a simple prompt for testing.")}
	})
	add("test_prompt_with_arguments", []string{"arg1", "arg2"}, func(a map[string]string) []proto.Content {
		return []proto.Content{proto.NewTextContent(fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", a["arg1"], a["arg2"]))}
	})
	add("test_prompt_with_embedded_resource", []string{"resourceUri"}, func(a map[string]string) []proto.Content {
		return []proto.Content{
			proto.NewEmbeddedResource(proto.TextResourceContents{URI: a["resourceUri"], MIMEType: "text/plain", Text: "Embedded resource content for testing."}),
			proto.NewTextContent("Please process the embedded resource above."),
		}
	})
	add("test_prompt_with_image", nil, func(map[string]string) []proto.Content {
		return []proto.Content{proto.NewImageContent(redPixel, "image/png"), proto.NewTextContent("Please analyze the image above.")}
	})
	f.rpc.AddPrompt(proto.NewPrompt("test_input_required_result_prompt", proto.WithPromptDescription("For the conformance suite")),
		func(_ context.Context, req proto.GetPromptRequest) (*proto.GetPromptResult, error) {
			if !answered(req.Params.InputResponses, "user_context") {
				return server.NewInputRequestBuilder("").Elicit("user_context", proto.ElicitationParams{
					Message: "What context should the prompt use?", RequestedSchema: form(map[string]any{"context": map[string]any{"type": "string"}}, "context"),
				}).PromptResult(), nil
			}
			return &proto.GetPromptResult{Messages: []proto.PromptMessage{proto.NewPromptMessage(proto.RoleUser, proto.NewTextContent("in that context"))}}, nil
		})
}
