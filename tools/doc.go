// Package tools is the registry of operations and the gate through which each
// of them runs.
//
// An operation is declared once, with [Define], from a typed function. Help,
// flags, slash command, modal, MCP tool, documentation row, policy entry and
// audit record are derived from that declaration; adapters name no operation.
//
// A [Runner] is the only way to run one: the bound handler is unexported, so a
// way around the gate does not compile. The order is fixed:
//
//	look up, check arguments, who is it, policy,
//	then either  intent, do, outcome
//	or           plan, store, notify, and stop with an answer "pending".
//
// A [Desk] takes people's decisions on what is pending. It is a type of its
// own so that an adapter that serves models can be given a Runner without it.
package tools
