// Package toolstest is a whole gate for tests: the real runner and desk on a
// real SQLite store in a temporary folder, a few toy operations of every kind,
// people, a clock and a vault that tests control.
package toolstest

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
)

// Gate is a gate with everything around it that a test may want to look at.
type Gate struct {
	Runner   *tools.Runner
	Desk     *tools.Desk
	Registry *tools.Registry
	People   *tools.People
	Policy   *tools.Policy
	DB       *store.DB
	Vault    *Vault
	World    *World // what the toy operations work on
	Clock    *Clock
	Heard    *Notifier
	Log      *bytes.Buffer // JSON lines; read it when nothing runs
	Path     string        // of the store

	options tools.Options
}

// Option changes how a Gate is made.
type Option func(*setup)

type setup struct {
	ops      []tools.Operation
	persons  []tools.Person
	groups   []tools.Group
	policy   tools.PolicyConfig
	servers  []string
	byDef    string
	path     string
	world    *World
	vault    *Vault
	clock    *Clock
	pages    bool
	notifier tools.Notifier
	members  tools.Memberships
	onStep   func(tools.Step)
	vaultOf  tools.Vault
	explain  func(error, string) *tools.Error
	wrap     func(*tools.Options)
}

// WithOperations takes ops in the place of the toys.
func WithOperations(ops ...tools.Operation) Option { return func(s *setup) { s.ops = ops } }

// WithPeople takes other people than the usual ones.
func WithPeople(persons []tools.Person, groups ...tools.Group) Option {
	return func(s *setup) { s.persons, s.groups = persons, groups }
}

// WithPolicy takes rules.
func WithPolicy(c tools.PolicyConfig) Option { return func(s *setup) { s.policy = c } }

// WithServers names the servers; byDefault may be "".
func WithServers(byDefault string, names ...string) Option {
	return func(s *setup) { s.servers, s.byDef = names, byDefault }
}

// WithPages says that one-time pages can be offered.
func WithPages() Option { return func(s *setup) { s.pages = true } }

// WithNotifier is told beside Heard.
func WithNotifier(n tools.Notifier) Option { return func(s *setup) { s.notifier = n } }

// WithMemberships reads groups.
func WithMemberships(m tools.Memberships) Option { return func(s *setup) { s.members = m } }

// WithVault takes another vault than the toy.
func WithVault(v tools.Vault) Option { return func(s *setup) { s.vaultOf = v } }

// WithExplain turns foreign errors into words.
func WithExplain(f func(error, string) *tools.Error) Option {
	return func(s *setup) { s.explain = f }
}

// OnStep is called at the steps of a call that changes something.
func OnStep(f func(tools.Step)) Option { return func(s *setup) { s.onStep = f } }

// WithOptions can change anything else.
func WithOptions(f func(*tools.Options)) Option { return func(s *setup) { s.wrap = f } }

// After takes over store, world, vault and clock of g, as a process does that
// starts after g's has ended.
func After(g *Gate) Option {
	return func(s *setup) { s.path, s.world, s.vault, s.clock = g.Path, g.World, g.Vault, g.Clock }
}

// Usual is the usual people. Ann and Bob are operators and approvers, Vera may look,
// Olaf may operate.
var Usual = []tools.Person{
	{Name: "ann", Identities: []tools.Identity{"uid:1000", "slack:T0001/U0ANN", "mcp:ann-laptop"}, Roles: []string{"operator", "approver"}},
	{Name: "bob", Identities: []tools.Identity{"uid:1001", "slack:T0001/U0BOB"}, Roles: []string{"operator", "approver"}},
	{Name: "vera", Identities: []tools.Identity{"uid:1002", "slack:T0001/U0VERA", "mcp:vera-laptop"}, Roles: []string{"viewer"}},
	{Name: "olaf", Identities: []tools.Identity{"uid:1003", "slack:T0001/U0OLAF", "mcp:olaf-laptop"}, Roles: []string{"operator"}},
}

// Solo is one person who approves what he asks for.
var Solo = []tools.Person{{Name: "ann", Identities: []tools.Identity{"uid:1000", "slack:T0001/U0ANN", "mcp:ann-laptop"}, Roles: []string{"admin", "approver"}}}

// Callers of the usual people.
var (
	AnnAtTerminal  = tools.Caller{Identity: "uid:1000", Surface: tools.CLI}
	BobAtTerminal  = tools.Caller{Identity: "uid:1001", Surface: tools.CLI}
	VeraAtTerminal = tools.Caller{Identity: "uid:1002", Surface: tools.CLI}
	AnnInSlack     = tools.Caller{Identity: "slack:T0001/U0ANN", Surface: tools.Slack, Channel: "C0NAS"}
	BobInSlack     = tools.Caller{Identity: "slack:T0001/U0BOB", Surface: tools.Slack, Channel: "C0NAS"}
	AnnsAssistant  = tools.Caller{Identity: "mcp:ann-laptop", Surface: tools.MCP, Client: "test-client/1"}
	VerasAssistant = tools.Caller{Identity: "mcp:vera-laptop", Surface: tools.MCP, Client: "test-client/1"}
	Stranger       = tools.Caller{Identity: "slack:T0666/U0666", Surface: tools.Slack}
)

// New makes a gate that is closed when the test ends. Without options it has
// the toy operations, the usual people and the servers nas (the default) and
// office.
func New(t testing.TB, opts ...Option) *Gate {
	t.Helper()
	s := setup{persons: Usual, servers: []string{"nas", "office"}, byDef: "nas"}
	for _, o := range opts {
		o(&s)
	}
	if s.path == "" {
		s.path = filepath.Join(t.TempDir(), "state", "duplibot.db")
	}
	if s.world == nil {
		s.world = NewWorld()
	}
	if s.vault == nil {
		s.vault = NewVault()
	}
	if s.clock == nil {
		s.clock = &Clock{}
	}
	if s.ops == nil {
		s.ops = s.world.Operations()
	}
	g := &Gate{Vault: s.vault, World: s.world, Clock: s.clock, Heard: &Notifier{also: s.notifier}, Log: &bytes.Buffer{}, Path: s.path}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	g.Registry = tools.NewRegistry(s.ops...)
	g.People, err = tools.NewPeople(s.persons, s.groups)
	must(err)
	g.Policy, err = tools.NewPolicy(s.policy, g.Registry, g.People)
	must(err)
	key := secret.New(strings.Repeat("k", store.KeySize))
	g.DB, err = store.Open(context.Background(), store.Options{
		Path: s.path, Now: g.Clock.Now,
		AuditKey: func(context.Context) (secret.Value, error) { return key, nil },
	})
	must(err)
	t.Cleanup(func() { g.DB.Close() })
	var vault tools.Vault = g.Vault
	if s.vaultOf != nil {
		vault = s.vaultOf
	}
	g.options = tools.Options{
		Registry: g.Registry, People: g.People, Policy: g.Policy,
		Approvals: g.DB.Approvals, Audit: g.DB.Audit, Locks: g.DB.Locks,
		Vault: vault, Servers: servers{s.servers, s.byDef}, Memberships: s.members, Notifier: g.Heard,
		Key: bytes.Repeat([]byte{7}, 32), Pages: s.pages, Now: g.Clock.Now, OnStep: s.onStep, Explain: s.explain,
		Log: slog.New(slog.NewJSONHandler(&locked{w: g.Log}, nil)),
	}
	if s.wrap != nil {
		s.wrap(&g.options)
	}
	g.Runner, g.Desk, err = tools.New(g.options)
	must(err)
	return g
}

// Run runs a call for c.
func (g *Gate) Run(c tools.Caller, operation string, args map[string]any) (tools.Answer, error) {
	return g.Runner.Run(context.Background(), tools.Call{Operation: operation, Args: args, Caller: c})
}

// Decide gives c's word on a request, typing its phrase.
func (g *Gate) Decide(c tools.Caller, id string, yes bool) (tools.Approval, error) {
	a, err := g.Desk.Request(context.Background(), id)
	if err != nil {
		return a, err
	}
	return g.Desk.Decide(context.Background(), tools.Decision{ID: id, Caller: c, Yes: yes, Phrase: a.Plan.Phrase, How: "typed"})
}

// Records is the whole audit log.
func (g *Gate) Records(t testing.TB) []tools.Record {
	t.Helper()
	records, err := g.DB.Audit.Records(context.Background(), store.AuditFilter{Limit: 100000})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

type servers struct {
	names []string
	byDef string
}

func (s servers) Names() []string             { return s.names }
func (s servers) Default(tools.Caller) string { return s.byDef }

// Clock is the time plus what a test adds.
type Clock struct {
	mu    sync.Mutex
	shift time.Duration
}

// Now is the time there.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.shift)
}

// Add moves it, backwards too.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shift += d
}

// Notifier remembers what it was told.
type Notifier struct {
	also  tools.Notifier
	mu    sync.Mutex
	heard []tools.Approval
}

// Notify takes a request.
func (n *Notifier) Notify(a tools.Approval) {
	n.mu.Lock()
	n.heard = append(n.heard, a)
	n.mu.Unlock()
	if n.also != nil {
		n.also.Notify(a)
	}
}

// All lists what was heard.
func (n *Notifier) All() []tools.Approval {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]tools.Approval(nil), n.heard...)
}

type locked struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
