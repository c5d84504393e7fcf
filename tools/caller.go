package tools

import "time"

// Surface is where a call comes from.
type Surface string

const (
	CLI   Surface = "cli"
	MCP   Surface = "mcp"
	Slack Surface = "slack"
	Web   Surface = "web"
)

// Surfaces lists them all.
var Surfaces = []Surface{CLI, MCP, Slack, Web}

// Human reports whether a person, and not a model, acts on this surface.
func (s Surface) Human() bool { return s == CLI || s == Slack || s == Web }

// Identity is one way somebody is known, an ID and never a name that can be
// changed: "slack:T0123/U0456", "mcp:ann-laptop", "uid:1000",
// "oidc:https://issuer#subject".
type Identity string

// Caller is who calls, as the adapter has proven it.
type Caller struct {
	Identity Identity
	// Person is whom the bot's own list of tokens gives the identity to. Where
	// people gives it to somebody else it is nobody's.
	Person string
	Groups []Identity // group memberships read just now, such as "slack:T0123/S0789"
	// GroupsUnread says that memberships could not be read: whatever a group
	// would have given is not given.
	GroupsUnread bool
	Surface      Surface
	Client       string // what the client calls itself; shown as unverified
	Channel      string // the chat channel or terminal, for the record
	// SameAccount says that no process boundary lies between the caller and
	// the store: whoever can call could also edit the records.
	SameAccount bool
	Ceiling     Role     // a token's limit on its person's role; 0 is no limit
	Toolsets    []string // a token's limit on toolsets; nil is no limit
}

// Call asks for one operation.
type Call struct {
	Operation string
	Args      map[string]any // by parameter name
	Caller    Caller
	Reason    string // what the requester says about it; unverified, shown as such
	// Progress is told how a long operation goes. May be nil.
	Progress func(Progress)
}

// Clock is the time. Tests put their own.
type Clock func() time.Time
