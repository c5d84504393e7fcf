package mcp

import (
	"context"

	"github.com/mark3labs/mcp-go/server"
)

// NewFixture is the library's server as New makes it, without our tools, for
// those of the conformance suite.
func NewFixture(more ...server.ServerOption) *server.MCPServer {
	return newRPC("1.2.3", &server.Hooks{}, more...)
}

// NewFixtureHTTP puts a fixture behind the HTTP stack.
func (s *Server) NewFixtureHTTP(rpc *server.MCPServer, o HTTPOptions) (*HTTP, error) {
	return newHTTP(rpc, s, o)
}

// Text and Cut are the renderers.
var (
	Markdown = markdown
	Plain    = plain
	Shorten  = shorten
)

// Send is the way of notifications to the client of a call.
func (s *Server) Send(ctx context.Context, method string, params map[string]any) error {
	return s.send(ctx, method, params)
}
