package mcp

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	proto "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/duplibot/duplibot/tools"
)

// pageWait is how long an old client may take to show a link. Clients give a
// tool call a minute; the answer must come before that whatever they do.
const pageWait = 30 * time.Second

// pageKey names the one input request this package makes.
const pageKey = "page"

// offerPage asks a client that can open links to open the page on which a
// secret is entered. That is all that is ever asked of a client. What it
// answers changes one line of text: the page, and the code that it asks for,
// are what proves the person.
func (s *Server) offerPage(ctx context.Context, op *tools.Operation, req proto.CallToolRequest, result *proto.CallToolResult) *proto.CallToolResult {
	out, _ := result.StructuredContent.(answer)
	caps := capabilities(ctx)
	if out.Approval == nil || out.Approval.Page == "" || caps.Elicitation == nil || caps.Elicitation.URL == nil {
		return result
	}
	ask := proto.ElicitationParams{
		Mode: proto.ElicitationModeURL, URL: out.Approval.Page,
		Message: plain("Enter "+strings.Join(out.Approval.Needs, ", ")+" for "+op.Title()+" on this page. It asks for a code that reaches you another way.", 400),
	}
	if server.IsModernRequest(ctx) {
		state, err := s.stateOf(ctx, req, result)
		if err != nil {
			s.Log.Error("page not offered", "error", err)
			return result
		}
		return server.NewInputRequestBuilder(state).Elicit(pageKey, ask).ToolResult()
	}
	wait, cancel := context.WithTimeout(ctx, pageWait)
	defer cancel()
	session := server.ClientSessionFromContext(ctx)
	said, err := s.rpc.RequestURLElicitation(wait, session, out.Approval.ID, ask.URL, ask.Message)
	if err != nil {
		s.Log.Debug("page not opened by the client", "error", err)
		return result
	}
	return afterPage(result, said)
}

// afterPage adds what the client says became of the link.
func afterPage(result *proto.CallToolResult, said *proto.ElicitationResult) *proto.CallToolResult {
	line := "The client did not open the page; the user can open it by its link."
	if said != nil && said.Action == proto.ElicitationResponseActionAccept {
		line = "The client says that the user opened the page. What is entered there is not known here."
	}
	result.Content = append(result.Content, proto.NewTextContent(line))
	return result
}

// state is what a client carries between the two halves of a call. The answer
// is in it, so that the second half does not run the call a second time.
type state struct {
	Tool      string          `json:"tool"`
	Who       tools.Identity  `json:"who"`
	Arguments json.RawMessage `json:"arguments"`
	Ends      time.Time       `json:"ends"`
	Text      string          `json:"text"`
	Answer    answer          `json:"answer"`
}

func (s *Server) stateOf(ctx context.Context, req proto.CallToolRequest, result *proto.CallToolResult) (string, error) {
	arguments, err := json.Marshal(req.Params.Arguments)
	if err != nil {
		return "", err
	}
	out := result.StructuredContent.(answer)
	text, _ := result.Content[0].(proto.TextContent)
	b, err := json.Marshal(state{
		Tool: req.Params.Name, Who: s.caller(ctx).Identity, Arguments: arguments,
		Ends: out.Approval.Expires, Text: text.Text, Answer: out,
	})
	if err != nil {
		return "", err
	}
	return s.seal.seal(b), nil
}

// resume gives the stored answer of a call whose client was asked to open a
// page. A state that was not made here, for this caller and call, is refused.
func (s *Server) resume(ctx context.Context, op *tools.Operation, req proto.CallToolRequest) *proto.CallToolResult {
	refused := func(why string) *proto.CallToolResult {
		return failed(tools.Errorf(tools.InvalidArgument, "%s; nothing was done", why).WithHint("call the tool again without requestState and inputResponses"))
	}
	b, ok := s.seal.open(req.Params.RequestState)
	if !ok {
		return refused("the request state was not made by this server")
	}
	var st state
	if json.Unmarshal(b, &st) != nil {
		return refused("the request state cannot be read")
	}
	arguments, err := json.Marshal(req.Params.Arguments)
	if err != nil || st.Tool != req.Params.Name || st.Tool != op.MCPName() || string(arguments) != string(st.Arguments) {
		return refused("the request state belongs to another call")
	}
	if st.Who != s.caller(ctx).Identity {
		return refused("the request state belongs to another caller")
	}
	if s.Now().After(st.Ends) {
		return failed(tools.Errorf(tools.Expired, "request %s expired; nothing was done", st.Answer.Approval.ID).WithHint("ask again"))
	}
	result := &proto.CallToolResult{Content: []proto.Content{proto.NewTextContent(st.Text)}, StructuredContent: st.Answer}
	return afterPage(result, server.ElicitationResponse(req.Params.InputResponses, pageKey))
}
