package config

import (
	"time"

	"github.com/duplibot/duplibot/secret"
)

// Config is the whole configuration, checked. Lists that the file writes as
// mappings are in the order of the file.
type Config struct {
	// Path is the file it was read from, "" without one.
	Path string `yaml:"-"`

	Servers       []Server `yaml:"servers,keyed=Name"`
	DefaultServer string   `yaml:"default_server"` // "" with several servers and no default
	Keyring       Keyring  `yaml:"keyring"`
	Store         Store    `yaml:"store"`
	Socket        string   `yaml:"socket"` // absolute path of the daemon's unix socket
	// SocketGroup is the group of this host whose members may connect to it, so
	// that they can be asked who they are; "" is the daemon's account and root.
	SocketGroup string   `yaml:"socket_group"`
	People      []Person `yaml:"people,keyed=Name"`
	Groups      []Group  `yaml:"groups,keyed=ID:Roles"`
	Secrets     []Alias  `yaml:"secrets,keyed=Name"`
	Folders     Folders  `yaml:"folders"`
	Policy      Policy   `yaml:"policy"`
	Slack       *Slack   `yaml:"slack"` // nil: no Slack
	MCP         MCP      `yaml:"mcp"`
	Web         *Web     `yaml:"web"` // nil: no one-time pages
	Watch       Watch    `yaml:"watch"`
	Log         Log      `yaml:"log"`

	// Warnings are findings that did not keep the file from being used.
	Warnings []Finding `yaml:"-"`

	lines map[string]int
}

// Server is one Duplicati server.
type Server struct {
	Name string `yaml:"-"`
	// URL is http or https with a host, and a path where a proxy puts the
	// server below one; no user, query, fragment or slash at its end.
	URL string `yaml:"url"`
	// Password refers to what logs in. Zero where the database does, or a
	// stored session.
	Password secret.Ref `yaml:"password"`
	Database Database   `yaml:"database"`
	// DatabaseKey refers to what decrypts the database's fields, where it is
	// not in the system's keyring.
	DatabaseKey secret.Ref `yaml:"database_key"`
	TLS         ServerTLS  `yaml:"tls"`
}

// Database is the local database of a Duplicati server, by which somebody who
// can read it logs in without a password.
type Database struct {
	Use  bool   // false: off
	Path string // "" looks in the places where Duplicati keeps it
}

// ServerTLS says which certificate of a server is accepted. Without any of it
// the system's roots decide.
type ServerTLS struct {
	CAFile   string   `yaml:"ca_file"`  // absolute path, PEM; then only these roots count
	Pins     []string `yaml:"pins"`     // "sha256:" and 64 lower-case hex digits, or 40 of a SHA-1
	Insecure bool     `yaml:"insecure"` // any certificate
}

// Keyring is where tokens and passwords are kept.
type Keyring struct {
	// Backend is secret-service, keychain, wincred, pass or file; "" is the
	// operating system's own.
	Backend string `yaml:"backend"`
	// Passphrase refers to the key of the file backend: env:, file: or
	// credential:.
	Passphrase secret.Ref `yaml:"passphrase"`
	Folder     string     `yaml:"folder"` // absolute; beside the store by default
}

// Store is the database of the bot itself.
type Store struct {
	Path string // of the SQLite file, absolute
}

// Person is somebody who may ask or decide.
type Person struct {
	Name string `yaml:"-"`
	// Identities are IDs in the form of tools.Identity: "slack:T0123/U0456",
	// "mcp:ann-laptop", "uid:1000" (written os:ann or uid:1000),
	// "oidc:https://issuer#subject". None is given twice.
	Identities []string `yaml:"identities"`
	Roles      []string `yaml:"roles"` // viewer, operator, admin; approver
}

// Group adds roles to those of People who are its members.
type Group struct {
	ID    string   `yaml:"-"` // "slack:T0123/S0789"
	Roles []string `yaml:"-"`
}

// Alias is a secret that MCP and Slack may name, without seeing it.
type Alias struct {
	Name    string     `yaml:"-"`
	From    secret.Ref `yaml:"from"`
	For     []string   `yaml:"for"`     // operations
	Servers []string   `yaml:"servers"` // names of servers, none twice; the word all is written out
}

// Folders are the only ones that MCP and Slack read from and write to.
type Folders struct {
	Import string `yaml:"import"` // absolute, "" is none
	Export string `yaml:"export"` // absolute, "" is none
}

// Policy says which calls run at once, which need somebody's agreement and
// which are refused.
type Policy struct {
	ReadOnly  bool      `yaml:"read_only"`
	Approvals Approvals `yaml:"approvals"`
	Rules     []Rule    `yaml:"rules"`
}

// Approvals is how long a request waits.
type Approvals struct {
	ConfirmWithin time.Duration `yaml:"confirm_within"` // 10 minutes by default
	ApproveWithin time.Duration `yaml:"approve_within"` // 8 hours by default
}

// Rule is one rule; an empty list matches everything, the first match wins.
type Rule struct {
	Operations []string `yaml:"operations"`
	Risks      []string `yaml:"risks"`    // read, change, critical
	Roles      []string `yaml:"roles"`    // viewer, operator, admin: of who asks
	Surfaces   []string `yaml:"surfaces"` // cli, mcp, slack, web
	Servers    []string `yaml:"servers"`
	Verdict    string   `yaml:"verdict"`   // deny, allow, confirm, approve
	Approvers  int      `yaml:"approvers"` // for approve; 0 is 1
}

// Slack is one Slack app in one workspace or organisation.
type Slack struct {
	AppToken         secret.Ref `yaml:"app_token"`      // for mode socket
	BotToken         secret.Ref `yaml:"bot_token"`      // always
	SigningSecret    secret.Ref `yaml:"signing_secret"` // for mode http
	Mode             string     `yaml:"mode"`           // socket or http; http listens where web does
	ApprovalsChannel string     `yaml:"approvals_channel"`
	Channels         []Channel  `yaml:"channels,keyed=ID"`
	Alerts           Alerts     `yaml:"alerts"`
	APIURL           string     `yaml:"api_url"` // for tests: a loopback address
}

// Channel is what a Slack channel is about.
type Channel struct {
	ID     string `yaml:"-"`
	Server string `yaml:"server"` // the default server there
}

// Alerts is where problems are told.
type Alerts struct {
	// Channels has a channel for the severities error, warning, notice and
	// unknown; other is for those without one of their own.
	Channels map[string]string `yaml:"channels"`
	Digest   string            `yaml:"digest"` // time of day, "08:00"; "" is none
	Remind   time.Duration     `yaml:"remind"` // tell an open problem again after this; 0 is never
}

// MCP is how AI assistants are served.
type MCP struct {
	Toolsets []string `yaml:"toolsets"` // core by default
	HTTP     *MCPHTTP `yaml:"http"`     // nil: stdio only
}

// MCPHTTP is the streamable HTTP transport.
type MCPHTTP struct {
	Listen string    `yaml:"listen"` // host:port
	URL    string    `yaml:"url"`    // as clients see it, behind a proxy; https
	TLS    ListenTLS `yaml:"tls"`
	// Plaintext listens on other addresses than loopback without TLS and
	// without an https URL, by the wish of somebody who typed this long name.
	Plaintext bool   `yaml:"plaintext_on_the_network"`
	OAuth     *OAuth `yaml:"oauth"` // nil: the bot's own tokens only
}

// OAuth says whose access tokens are accepted beside the bot's own.
type OAuth struct {
	Issuer   string `yaml:"issuer"`   // https URL; http for loopback
	Audience string `yaml:"audience"` // what tokens must be made for
}

// Web is the one-time pages.
type Web struct {
	Listen string    `yaml:"listen"` // host:port
	URL    string    `yaml:"url"`    // as browsers see it; https, or http for loopback; "" is none
	TLS    ListenTLS `yaml:"tls"`
}

// ListenTLS is a listener's certificate; both or none.
type ListenTLS struct {
	CertFile string `yaml:"cert_file"` // absolute path, PEM
	KeyFile  string `yaml:"key_file"`  // absolute path, PEM
}

// Watch is how servers are watched for alerts.
type Watch struct {
	Off   bool          `yaml:"off"`
	Poll  time.Duration `yaml:"poll"`  // beside the websocket; 1 minute by default
	Grace time.Duration `yaml:"grace"` // before a backup that should have run is overdue; 30 minutes by default
}

// Log is the ordinary log; the audit log has no settings.
type Log struct {
	Level  string `yaml:"level"`  // debug, info (default), warn, error
	Format string `yaml:"format"` // text (default) or json
}

// Server finds a server by name.
func (c *Config) Server(name string) (Server, bool) {
	for _, s := range c.Servers {
		if s.Name == name {
			return s, true
		}
	}
	return Server{}, false
}

// Line is where a key stands in the file, such as "policy.rules[1]": for
// findings of those who check further than this package does. 0 when it does
// not stand there.
func (c *Config) Line(key string) int { return c.lines[key] }
