package tools

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// State is where a request stands.
//
//	input -> pending -> approved -> executing -> done | failed | unknown -> settled
//	                 -> denied | expired | withdrawn | changed
//
// A request in input waits for a secret that its requester enters on a page;
// it may expire or be withdrawn too.
type State string

const (
	StateInput     State = "input"
	StatePending   State = "pending"
	StateApproved  State = "approved"
	StateExecuting State = "executing"
	StateDone      State = "done"
	StateFailed    State = "failed"
	StateUnknown   State = "unknown"
	StateSettled   State = "settled"
	StateDenied    State = "denied"
	StateExpired   State = "expired"
	StateWithdrawn State = "withdrawn"
	StateChanged   State = "changed"
)

// Open reports whether a decision or an execution can still come.
func (s State) Open() bool {
	return s == StateInput || s == StatePending || s == StateApproved || s == StateExecuting
}

// Vote is one person's decision.
type Vote struct {
	Person   string    `json:"person"`
	Identity Identity  `json:"identity"`
	Surface  Surface   `json:"surface"`
	Yes      bool      `json:"yes"`
	How      string    `json:"how,omitempty"` // "typed", "click", "--yes"
	At       time.Time `json:"at"`
}

// Approval is a stored request: the call as it will run, and what was shown.
type Approval struct {
	ID        string          `json:"id"`
	Operation string          `json:"operation"`
	Server    string          `json:"server"`
	Args      json.RawMessage `json:"args"` // canonical; secrets by handle only
	Risk      Risk            `json:"risk"`
	Caller    Caller          `json:"caller"`
	Requester string          `json:"requester"` // the person's name
	// MadeBy is who made the token that asks in the requester's name, "" for
	// the requester himself: he may hold it, and is no other person.
	MadeBy  string   `json:"made_by,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	Verdict Verdict  `json:"verdict"`
	Need    int      `json:"need"`            // how many yes votes
	Rule    string   `json:"rule"`            // which rule decided
	Policy  string   `json:"policy"`          // version the request is bound to
	Needs   []string `json:"needs,omitempty"` // secrets still to be entered, in input
	Plan    Plan     `json:"plan"`
	// Fingerprint is an HMAC over the call, the IDs, the binding facts and the
	// policy version. It never leaves the process.
	Fingerprint string          `json:"fingerprint"`
	Same        string          `json:"same"` // equal for equal calls of one requester
	State       State           `json:"state"`
	Votes       []Vote          `json:"votes,omitempty"`
	Asks        bool            `json:"asks"`            // somebody is asked who did not just type it
	Owner       string          `json:"owner,omitempty"` // lock of the process that executes
	Created     time.Time       `json:"created"`
	Expires     time.Time       `json:"expires"`
	Updated     time.Time       `json:"updated"`
	Result      json.RawMessage `json:"result,omitempty"`
	View        *View           `json:"view,omitempty"`
	Exit        int             `json:"exit,omitempty"` // the exit code at a terminal
	Kept        []Kept          `json:"kept,omitempty"` // what came out that is secret, and where it is
	Failure     *Error          `json:"failure,omitempty"`
	Changes     []Difference    `json:"changes,omitempty"`
	Settlement  string          `json:"settlement,omitempty"` // how unknown was settled, and by whom
}

// How a settlement begins.
const (
	tookEffect   = "it took effect"
	tookNoEffect = "it took no effect"
)

// TookEffect reports whether a request whose outcome was lost was settled as
// done.
func (a Approval) TookEffect() bool {
	return a.State == StateSettled && strings.HasPrefix(a.Settlement, tookEffect)
}

// Yes counts the votes for.
func (a Approval) Yes() int {
	n := 0
	for _, v := range a.Votes {
		if v.Yes {
			n++
		}
	}
	return n
}

// Filter selects stored requests; zero fields select all.
type Filter struct {
	States    []State
	Requester string
	Limit     int // newest first; 0 is 100
}

// Approvals keeps requests. Every change is a compare-and-set on the state.
type Approvals interface {
	// Create stores a, or returns the open request with the same a.Same.
	Create(ctx context.Context, a Approval) (stored Approval, created bool, err error)
	// Approval finds one; an unknown ID is an Error of code NotFound.
	Approval(ctx context.Context, id string) (Approval, error)
	Approvals(ctx context.Context, f Filter) ([]Approval, error)
	// Vote adds v to a pending request that has no vote of that person, and
	// then applies change, in one transaction. voted is false, with no error,
	// when the request is no longer pending or the person has voted.
	Vote(ctx context.Context, id string, v Vote, change func(*Approval)) (a Approval, voted bool, err error)
	// Move applies change to a request that is in one of the states from, in
	// one transaction. moved is false, with no error, when it is in another.
	Move(ctx context.Context, id string, from []State, change func(*Approval)) (a Approval, moved bool, err error)
	// Asked counts the requests of requester since then that have Asks set.
	Asked(ctx context.Context, requester string, since time.Time) (int, error)
	// Seen notes that it is now, and returns the latest time that was noted, in
	// whatever process. With reset that is now, also where it is earlier.
	Seen(ctx context.Context, now time.Time, reset bool) (latest time.Time, err error)
	// DeniedSince reports the newest denial of an equal call, zero when none.
	DeniedSince(ctx context.Context, same string, since time.Time) (time.Time, error)
}

// Locks are held across processes and freed by the system when their holder
// dies.
type Locks interface {
	// Lock waits for name until ctx ends.
	Lock(ctx context.Context, name string) (release func(), err error)
	// Held reports whether somebody, in whatever process, holds name.
	Held(name string) (bool, error)
}

// Notifier is told when a request begins to wait, is decided, or ends. It
// must return at once.
type Notifier interface {
	Notify(a Approval)
}
