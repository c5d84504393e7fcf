package local

import (
	"encoding/json"
	"fmt"

	"github.com/duplibot/duplibot/tools"
)

// protocol is the version of everything after hello and welcome. Of those two
// messages no field ever changes its meaning, so that programs of any two
// versions can tell each other that they differ.
const protocol = 1

// hello is what a client says of itself. Who calls is not part of it.
type hello struct {
	Protocol int           `json:"protocol"`
	Version  string        `json:"version"`
	Registry string        `json:"registry"` // digest of the operations
	Surface  tools.Surface `json:"surface"`  // cli or mcp, for the whole connection
	Client   string        `json:"client,omitempty"`
	Channel  string        `json:"channel,omitempty"`
}

// welcome is what the daemon says of itself.
type welcome struct {
	Protocol int          `json:"protocol"`
	Version  string       `json:"version"`
	Registry string       `json:"registry"`
	UID      int          `json:"uid"` // the caller's, as the kernel says
	Refused  *tools.Error `json:"refused,omitempty"`
}

// differ says in words that two programs do not fit together, nil when they do.
func (h hello) differ(w welcome) *tools.Error {
	if h.Protocol == w.Protocol && h.Registry == w.Registry {
		return nil
	}
	e := tools.Errorf(tools.Unsupported, "the daemon is duplibot %s and this program is duplibot %s, and their operations differ; nothing was done", w.Version, h.Version)
	if h.Protocol != w.Protocol {
		e.Message = fmt.Sprintf("the daemon is duplibot %s (protocol %d) and this program is duplibot %s (protocol %d); nothing was done", w.Version, w.Protocol, h.Version, h.Protocol)
	}
	return e.WithHint("after an update restart the daemon, and every assistant that started this program: systemctl restart duplibot")
}

// request is one call. Body is of the type that Do wants.
type request struct {
	Do     string          `json:"do"`
	Body   json.RawMessage `json:"body,omitempty"`
	Secret bool            `json:"secret,omitempty"` // a secret follows
}

// answer is how a call ended. Result can stand beside Failure: a request as it
// is now, and why the decision did not take.
type answer struct {
	Result  json.RawMessage `json:"result,omitempty"`
	Failure *tools.Error    `json:"failure,omitempty"`
	Ask     *tools.Ask      `json:"ask,omitempty"`    // of the failure; no other surface gets it
	Secret  bool            `json:"secret,omitempty"` // a secret follows
}

// What requests ask for.
const (
	doPing       = "ping"
	doRun        = "run"
	doOperations = "operations"
	doNeeds      = "needs"
	doComplete   = "complete"
	doDecide     = "decide"
	doWithdraw   = "withdraw"
	doSettle     = "settle"
	doRequest    = "request"
	doRequests   = "requests"
	doMayDecide  = "may-decide"
	doHold       = "hold"
	doFetch      = "fetch"
	doAdmin      = "admin"
)

type callBody struct {
	Operation string         `json:"operation"`
	Args      map[string]any `json:"args,omitempty"`
	Reason    string         `json:"reason,omitempty"`
}

type completeBody struct {
	Operation string `json:"operation"`
	Param     string `json:"param"`
	Prefix    string `json:"prefix,omitempty"`
	Server    string `json:"server,omitempty"`
}

type decideBody struct {
	ID         string `json:"id"`
	Yes        bool   `json:"yes"`
	Phrase     string `json:"phrase,omitempty"`
	Unattended bool   `json:"unattended,omitempty"`
	How        string `json:"how,omitempty"`
}

type idBody struct {
	ID         string `json:"id"`
	TookEffect bool   `json:"took_effect,omitempty"`
}

type fetchBody struct {
	Handle string `json:"handle"`
}

type adminBody struct {
	Name string          `json:"name"`
	Args json.RawMessage `json:"args,omitempty"`
}

// shown is a request as it leaves the daemon.
func shown(a tools.Approval) tools.Approval {
	a.Fingerprint, a.Same, a.Owner = "", "", ""
	return a
}
