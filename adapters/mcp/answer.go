package mcp

import (
	"encoding/json"
	"time"

	proto "github.com/mark3labs/mcp-go/mcp"

	"github.com/duplibot/duplibot/tools"
)

// answer is the structured content of a result: see envelope.
type answer struct {
	Status   tools.Status    `json:"status"`
	Server   string          `json:"server,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Each     []part          `json:"each,omitempty"`
	Approval *waiting        `json:"approval,omitempty"`
	Next     []step          `json:"next,omitempty"`
	Follow   *step           `json:"follow,omitempty"`
	Kept     []kept          `json:"kept,omitempty"`
	Cut      []cut           `json:"cut,omitempty"`
}

// part is one server's answer when all were asked.
type part struct {
	Server string          `json:"server"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *failure        `json:"error,omitempty"`
}

// waiting is what a caller learns of a request that waits.
type waiting struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Target   string    `json:"target"`
	Effects  []string  `json:"effects"`
	Expires  time.Time `json:"expires"`
	Deciders []string  `json:"deciders"`
	Where    []string  `json:"where"`
	Needs    []string  `json:"needs,omitempty"`
	Page     string    `json:"page,omitempty"` // where a person enters what it needs
	Votes    int       `json:"votes"`
	Need     int       `json:"need"`
}

// step is a call that makes sense next.
type step struct {
	Tool      string         `json:"tool"`
	Arguments map[string]any `json:"arguments,omitempty"`
	Label     string         `json:"label,omitempty"`
}

// kept says where something secret is that came out. How it is fetched is for
// a page or a terminal, not for a model.
type kept struct {
	Where string `json:"where"`
	Name  string `json:"name,omitempty"`
	Bytes int    `json:"bytes,omitempty"`
	SHA   string `json:"sha256,omitempty"`
}

// nextLimit is how many next steps a model is offered.
const nextLimit = 5

// answerOf builds the structured answer and cuts what is too long.
func (s *Server) answerOf(a tools.Answer) answer {
	out := answer{Status: a.Status, Server: a.Server}
	room := resultLimit
	out.Result, out.Cut = shorten(a.Result, "result", room)
	for _, e := range a.Each {
		p := part{Server: e.Server, Error: failureOf(e.Failure)}
		var cuts []cut
		p.Result, cuts = shorten(e.Result, "each."+e.Server, room/len(a.Each))
		out.Each, out.Cut = append(out.Each, p), append(out.Cut, cuts...)
	}
	if a.Approval != nil {
		out.Approval = s.waitingOf(*a.Approval)
	}
	for _, n := range a.View.Next {
		if len(out.Next) == nextLimit {
			break
		}
		if st := s.stepOf(n); st != nil {
			out.Next = append(out.Next, *st)
		}
	}
	if a.View.Follow != nil {
		out.Follow = s.stepOf(*a.View.Follow)
	}
	for _, k := range a.Kept {
		out.Kept = append(out.Kept, kept{Where: k.Where, Name: k.Name, Bytes: k.Bytes, SHA: k.SHA256})
	}
	return out
}

func (s *Server) waitingOf(w tools.Waiting) *waiting {
	out := &waiting{
		ID: w.ID, State: string(w.State), Target: w.Target, Effects: w.Effects, Expires: w.Expires.UTC().Truncate(time.Second),
		Deciders: w.Deciders, Where: s.Where(w), Needs: w.Needs, Votes: w.Votes, Need: w.Need,
	}
	if out.Where == nil {
		out.Where = []string{}
	}
	if len(w.Needs) > 0 && s.Pages != nil {
		if url, ok := s.Pages.Link(w.ID); ok {
			out.Page = url
		}
	}
	return out
}

// stepOf is a suggestion as a tool call; nil for what no tool does.
func (s *Server) stepOf(n tools.Next) *step {
	op, err := s.Registry.Lookup(n.Operation)
	if err != nil {
		return nil
	}
	return &step{Tool: op.MCPName(), Arguments: n.Args, Label: n.Label}
}

// resultOf is an answer as a tool result: structured, and as text for clients
// and models that read nothing else.
func (s *Server) resultOf(op *tools.Operation, a tools.Answer) *proto.CallToolResult {
	out := s.answerOf(a)
	return &proto.CallToolResult{
		Content:           []proto.Content{proto.NewTextContent(s.text(op, a, out))},
		StructuredContent: out,
	}
}
