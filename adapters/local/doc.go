// Package local is the daemon's unix socket. The command line and the stdio
// MCP server are its clients: they hand calls over and render what comes back,
// and the daemon, under an account of its own, plans, decides and executes.
//
// The kernel says who calls: the uid at the other end of the connection is
// the identity. What a client may say of itself is its surface, cli or mcp, a
// name and a channel, which are shown as unverified. A connection that began
// as mcp reaches no decision, no secret and no admin call.
//
// One connection carries one call:
//
//	client: hello                  server: welcome, or a refusal
//	client: request [secret]       server: progress…, beat…, answer [secret]
//	client: cancel, or hangs up
//
// so that a daemon that was restarted in between is noticed before anything is
// asked of it, and a call that may have run is never sent again. Each message
// is a frame: one byte of kind, four bytes of length, most significant first,
// and the payload, JSON but for secrets.
package local
