// Package mcp serves the registry's operations to AI assistants over the Model
// Context Protocol: stdio and streamable HTTP, protocol versions 2024-11-05 to
// 2026-07-28.
//
// The package proves who calls and renders what comes back; what may run is
// decided by the gate behind [tools.Door]. A model can ask, never agree: a call
// that needs a person answers "pending", and nothing in this package can decide
// a request. It is never given a tools.Decisions, and a test holds that its API
// cannot take one. What a client says about its user counts for nothing.
//
// Everything that a server, a log or a file name says is data: cut, escaped,
// and marked as such.
package mcp
