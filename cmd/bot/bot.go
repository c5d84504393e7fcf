package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/config"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/ops"
)

// bot is everything that one config makes, in one process. Keyring and store
// are opened when they are first needed.
type bot struct {
	cfg      *config.Config
	log      *slog.Logger
	ring     keyring.Ring
	refs     *auth.References
	keys     *auth.Keys
	anchors  *auth.Anchors
	locks    *store.Locks
	store    *lateStore
	sessions *auth.Sessions
	vault    *auth.Vault
	registry *tools.Registry
	people   *tools.People
	policy   *tools.Policy
	servers  *serverNames
	notify   *notifiers
	members  *memberships
	runner   *tools.Runner
	desk     *tools.Desk
	admin    *admin
}

// botOptions is what a bot takes beside its config.
type botOptions struct {
	Log   *slog.Logger
	Ring  keyring.Ring // in the place of the config's, for the demo
	Pages bool         // one-time pages are served
	Idle  bool         // nothing will be called: the store may be another account's
	// DataFolder is where the one server has its database, when the command
	// line says so.
	DataFolder string
	OnStep     func(tools.Step)
	Now        tools.Clock
}

// newBot checks what the config says against the operations, and opens nothing
// but the folder of locks, and not that either when it is idle.
func newBot(cfg *config.Config, o botOptions) (*bot, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &bot{cfg: cfg, log: o.Log, notify: &notifiers{}, members: &memberships{}}
	state := filepath.Dir(cfg.Store.Path)
	var err error
	if o.Idle {
		b.locks = new(store.Locks)
	} else if b.locks, err = store.OpenLocks(filepath.Join(state, "locks")); err != nil {
		return nil, tools.Errorf(tools.Unavailable, "the store cannot be used: %v; nothing was done", err).
			WithHint("see who may write in %s, or give store another place in the config. Where a daemon has this store it does not run now: start it, with duplibot serve or by its service", state)
	}
	b.ring = o.Ring
	if b.ring == nil {
		b.ring = keyring.Later(func(ctx context.Context) (keyring.Ring, error) { return openRing(ctx, cfg) })
	}
	b.refs = auth.NewReferences(b.ring)
	b.keys = auth.NewKeys(b.ring, b.locks)
	b.anchors = auth.NewAnchors(b.ring, b.locks, o.Log)
	if b.sessions, err = auth.New(auth.Options{
		Servers: sessionServers(cfg, o.DataFolder), Ring: b.ring, Locks: b.locks, References: b.refs,
		Now: o.Now, Log: o.Log, UserAgent: "duplibot/" + version(),
	}); err != nil {
		return nil, err
	}
	if b.vault, err = auth.NewVault(auth.VaultOptions{
		Ring: b.ring, Keys: b.keys, References: b.refs, Folder: filepath.Join(state, "vault"),
		Import: cfg.Folders.Import, Export: cfg.Folders.Export, Aliases: aliases(cfg), Now: o.Now, Log: o.Log,
	}); err != nil {
		return nil, err
	}
	b.registry = tools.NewRegistry(ops.All(ops.Deps{Servers: b.sessions, Key: b.keys.Fingerprint})...)
	if b.people, err = peopleOf(cfg); err != nil {
		return nil, err
	}
	rules, err := policyOf(cfg)
	if err != nil {
		return nil, err
	}
	if b.policy, err = tools.NewPolicy(rules, b.registry, b.people); err != nil {
		return nil, err
	}
	b.servers = &serverNames{byDefault: cfg.DefaultServer, byChannel: map[string]string{}}
	for _, s := range cfg.Servers {
		b.servers.names = append(b.servers.names, s.Name)
	}
	b.store = &lateStore{open: func(ctx context.Context) (*store.DB, error) {
		return store.Open(ctx, store.Options{
			Path: cfg.Store.Path, Now: o.Now,
			AuditKey: b.keys.Audit,
			Anchored: func(a store.Anchor) { b.anchors.Set(auth.Anchor(a)) },
			Known: func(ctx context.Context) (store.Anchor, bool, error) {
				a, ok, err := b.anchors.Read(ctx)
				if errors.Is(err, keyring.ErrCorrupt) {
					return store.Anchor{}, false, nil
				}
				return store.Anchor(a), ok, err
			},
		})
	}}
	b.runner, b.desk, err = tools.New(tools.Options{
		Registry: b.registry, People: b.people, Policy: b.policy, Approvals: b.store, Audit: b.store, Locks: b.locks,
		Vault: b.vault, Servers: b.servers, Memberships: b.members, Tokens: b.store, Notifier: b.notify, KeyOf: b.keys.Fingerprint,
		Explain: auth.Explain, Pages: o.Pages, Log: o.Log, Now: o.Now, OnStep: o.OnStep,
	})
	if err != nil {
		return nil, err
	}
	now := o.Now
	if now == nil {
		now = timeNow
	}
	b.admin = &admin{
		vault: b.vault, words: b.refs, people: b.people, policy: b.policy, runner: b.runner, desk: b.desk, store: b.store.DB, now: now,
		anchors: func(ctx context.Context) ([]store.Anchor, error) {
			a, ok, err := b.anchors.Read(ctx)
			if err != nil || !ok {
				return nil, err
			}
			return []store.Anchor{store.Anchor(a)}, nil
		},
	}
	return b, nil
}

// close ends what runs and waits for it.
func (b *bot) close(ctx context.Context) error {
	return errors.Join(b.sessions.Close(ctx), b.anchors.Close(ctx), b.store.Close())
}

// caller is this process's own account at surface.
func ownCaller(surface tools.Surface, client string) (tools.Caller, error) {
	id, err := config.OwnIdentity()
	return tools.Caller{Identity: tools.Identity(id), Surface: surface, Client: client, SameAccount: true}, err
}

// operations is every operation there is, to be listed and not to be run.
var operations = sync.OnceValue(func() *tools.Registry { return tools.NewRegistry(ops.All(ops.Deps{})...) })

func openRing(ctx context.Context, cfg *config.Config) (keyring.Ring, error) {
	passphrase, err := auth.NewReferences(nil).Resolve(ctx, cfg.Keyring.Passphrase)
	if cfg.Keyring.Passphrase.IsZero() {
		passphrase, err = secret.Value{}, nil
	}
	if e := (*tools.Error)(nil); errors.As(err, &e) {
		// In the form of the keyring's own errors: what is wrong; what to do.
		return nil, fmt.Errorf("%w: its passphrase is lacking: %s; %s", keyring.ErrLocked, strings.TrimSuffix(e.Message, "; nothing was done"), e.Hint)
	}
	return keyring.Open(ctx, keyring.Config{Backend: keyring.Backend(cfg.Keyring.Backend), Dir: cfg.Keyring.Folder, Passphrase: passphrase})
}

func sessionServers(cfg *config.Config, folder string) []auth.Server {
	var list []auth.Server
	for _, s := range cfg.Servers {
		list = append(list, auth.Server{
			Name: s.Name, URL: s.URL, Password: s.Password, DatabaseKey: s.DatabaseKey,
			Database: auth.Database{Use: s.Database.Use, Path: s.Database.Path, Folder: folder},
			TLS:      auth.TLS{CAFile: s.TLS.CAFile, Pins: s.TLS.Pins, Insecure: s.TLS.Insecure},
		})
	}
	return list
}

func aliases(cfg *config.Config) []auth.Alias {
	var list []auth.Alias
	for _, a := range cfg.Secrets {
		list = append(list, auth.Alias{Name: a.Name, From: a.From, For: a.For, Servers: a.Servers})
	}
	return list
}

func peopleOf(cfg *config.Config) (*tools.People, error) {
	var persons []tools.Person
	for _, p := range cfg.People {
		ids := make([]tools.Identity, len(p.Identities))
		for i, id := range p.Identities {
			ids[i] = tools.Identity(id)
		}
		persons = append(persons, tools.Person{Name: p.Name, Identities: ids, Roles: p.Roles})
	}
	return tools.NewPeople(persons, groupsOf(cfg))
}

func groupsOf(cfg *config.Config) []tools.Group {
	var groups []tools.Group
	for _, g := range cfg.Groups {
		groups = append(groups, tools.Group{ID: tools.Identity(g.ID), Roles: g.Roles})
	}
	return groups
}

func policyOf(cfg *config.Config) (tools.PolicyConfig, error) {
	p := tools.PolicyConfig{
		ReadOnly: cfg.Policy.ReadOnly, ConfirmWithin: cfg.Policy.Approvals.ConfirmWithin, ApproveWithin: cfg.Policy.Approvals.ApproveWithin,
	}
	for i, r := range cfg.Policy.Rules {
		rule := tools.Rule{Operations: r.Operations, Roles: r.Roles, Servers: r.Servers, Approvers: r.Approvers}
		for _, text := range r.Risks {
			var risk tools.Risk
			if err := risk.UnmarshalText([]byte(text)); err != nil {
				return p, fmt.Errorf("policy.rules[%d]: %w", i, err)
			}
			rule.Risks = append(rule.Risks, risk)
		}
		for _, text := range r.Surfaces {
			rule.Surfaces = append(rule.Surfaces, tools.Surface(text))
		}
		if err := rule.Verdict.UnmarshalText([]byte(r.Verdict)); err != nil {
			return p, fmt.Errorf("policy.rules[%d]: %w", i, err)
		}
		p.Rules = append(p.Rules, rule)
	}
	return p, nil
}

// serverNames is which servers there are and which is meant where.
type serverNames struct {
	names     []string
	byDefault string
	byChannel map[string]string
}

func (s *serverNames) Names() []string { return slices.Clone(s.names) }

func (s *serverNames) Default(c tools.Caller) string {
	if server := s.byChannel[c.Channel]; server != "" && c.Surface == tools.Slack {
		return server
	}
	return s.byDefault
}

// notifiers tells several.
type notifiers struct {
	mu   sync.Mutex
	list []tools.Notifier
}

func (n *notifiers) add(other tools.Notifier) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, other)
}

func (n *notifiers) Notify(a tools.Approval) {
	n.mu.Lock()
	list := slices.Clone(n.list)
	n.mu.Unlock()
	for _, other := range list {
		other.Notify(a)
	}
}

// memberships asks whoever knows groups; without anybody there are none.
type memberships struct{ of tools.Memberships }

func (m *memberships) Groups(ctx context.Context, id tools.Identity) ([]tools.Identity, error) {
	if m.of == nil {
		return nil, nil
	}
	return m.of.Groups(ctx, id)
}

// newLog writes the ordinary log to w.
func newLog(cfg config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
