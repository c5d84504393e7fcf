package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/duplibot/duplibot/adapters/local"
	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
)

// admin is what people do with the bot itself at a terminal.
type admin struct {
	people  *tools.People
	policy  *tools.Policy
	runner  *tools.Runner
	desk    *tools.Desk
	store   func(context.Context) (*store.DB, error)
	anchors func(context.Context) ([]store.Anchor, error) // heads of the chain kept elsewhere
	vault   *auth.Vault
	words   *auth.References
	code    func(ctx context.Context, person, approval string) (secret.Value, error)
	link    func(approval string) (string, bool)
	now     tools.Clock
}

func (a *admin) calls() map[string]local.AdminCall {
	return map[string]local.AdminCall{
		"audit":        bind(a.audit),
		"audit-verify": bind(a.verify),
		"explain":      bind(a.explain),
		"token-create": bind(a.createToken),
		"token-list":   bind(a.listTokens),
		"token-revoke": bind(a.revokeToken),
		"page-code":    bind(a.pageCode),

		"secret-set":    bind(a.setSecret),
		"secret-list":   bind(a.listSecrets),
		"secret-remove": bind(a.removeSecret),
	}
}

// bind reads a call's arguments strictly.
func bind[In, Out any](f func(context.Context, tools.Caller, In) (Out, error)) local.AdminCall {
	return func(ctx context.Context, c tools.Caller, raw json.RawMessage) (any, error) {
		var in In
		if len(raw) > 0 && string(raw) != "null" {
			dec := json.NewDecoder(bytes.NewReader(raw))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&in); err != nil {
				return nil, tools.Errorf(tools.InvalidArgument, "the arguments could not be read; nothing was done").Because(err)
			}
		}
		return f(ctx, c, in)
	}
}

// inProcess makes admin calls where no daemon runs.
type inProcess struct {
	calls  map[string]local.AdminCall
	caller tools.Caller
}

func (p inProcess) Admin(ctx context.Context, name string, args, out any) (secret.Value, error) {
	call := p.calls[name]
	if call == nil {
		return secret.Value{}, tools.Errorf(tools.UnknownOperation, "there is no call %q", name)
	}
	raw, err := json.Marshal(args)
	if err != nil {
		return secret.Value{}, err
	}
	result, err := call(ctx, p.caller, raw)
	if err != nil {
		return secret.Value{}, err
	}
	var word secret.Value
	switch r := result.(type) {
	case local.Confidential:
		result, word = r.Result, r.Secret
	case secret.Value:
		return r, nil
	}
	if out == nil {
		return word, nil
	}
	if raw, err = json.Marshal(result); err != nil {
		return word, err
	}
	return word, json.Unmarshal(raw, out)
}

// overseer lets admins and approvers see what everybody did.
func (a *admin) overseer(c tools.Caller, what string) (tools.Subject, error) {
	s := a.people.Who(c)
	if !s.Listed || s.Role < tools.Admin && !s.Approver {
		return s, tools.Errorf(tools.Denied, "%s is for admins and approvers, and %s is neither; nothing was done", what, s.Name)
	}
	return s, nil
}

type auditArgs struct {
	Since     time.Time `json:"since,omitzero"`
	Until     time.Time `json:"until,omitzero"`
	Person    string    `json:"person,omitempty"`
	Operation string    `json:"operation,omitempty"`
	Server    string    `json:"server,omitempty"`
	Event     string    `json:"event,omitempty"`
	Approval  string    `json:"approval,omitempty"`
	After     int64     `json:"after,omitempty"`
	Limit     int       `json:"limit,omitempty"`
}

func (a *admin) audit(ctx context.Context, c tools.Caller, in auditArgs) ([]tools.Record, error) {
	if _, err := a.overseer(c, "the audit log"); err != nil {
		return nil, err
	}
	db, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	records, err := db.Audit.Records(ctx, store.AuditFilter{
		Since: in.Since, Until: in.Until, Person: in.Person, Operation: in.Operation, Server: in.Server,
		Event: tools.Event(in.Event), Approval: in.Approval, After: in.After, Limit: min(max(in.Limit, 0), 10000),
	})
	if records == nil {
		records = []tools.Record{}
	}
	return records, err
}

func (a *admin) verify(ctx context.Context, c tools.Caller, _ struct{}) (store.Report, error) {
	if _, err := a.overseer(c, "the audit log"); err != nil {
		return store.Report{}, err
	}
	db, err := a.store(ctx)
	if err != nil {
		return store.Report{}, err
	}
	anchors, err := a.anchors(ctx)
	if err != nil {
		return store.Report{}, err
	}
	return db.Audit.Verify(ctx, anchors...)
}

type explainArgs struct {
	Person    string        `json:"person"`
	Surface   tools.Surface `json:"surface"`
	Operation string        `json:"operation"`
	Server    string        `json:"server,omitempty"`
}

type explained struct {
	Person    string `json:"person"`
	Role      string `json:"role"`
	Approver  bool   `json:"approver"`
	Operation string `json:"operation"`
	Risk      string `json:"risk"`
	Verdict   string `json:"verdict"`
	Approvers int    `json:"approvers,omitempty"`
	Rule      string `json:"rule"`
	Reason    string `json:"reason"`
}

func (a *admin) explain(_ context.Context, c tools.Caller, in explainArgs) (explained, error) {
	self := a.people.Who(c)
	if !self.Listed {
		return explained{}, tools.Errorf(tools.NobodyKnown, "nobody in people has this account; nothing was done")
	}
	if in.Person == "" {
		in.Person = self.Name
	}
	if !slices.Contains(tools.Surfaces, in.Surface) {
		return explained{}, tools.Errorf(tools.InvalidArgument, "--via takes cli, mcp, slack or web; nothing was done")
	}
	r, op, err := a.runner.Explain(in.Person, in.Surface, in.Operation, in.Server, 0)
	if err != nil {
		return explained{}, err
	}
	s, _ := a.people.Named(in.Person)
	return explained{
		Person: in.Person, Role: s.Role.String(), Approver: s.Approver, Operation: op.Name, Risk: op.Risk.String(),
		Verdict: r.Verdict.String(), Approvers: r.Approvers, Rule: r.Rule, Reason: r.Reason,
	}, nil
}

// idDigits is how long the ID of a token is.
const idDigits = 8

type tokenArgs struct {
	Person   string   `json:"person"`
	Name     string   `json:"name"`
	Ceiling  string   `json:"ceiling,omitempty"`
	Toolsets []string `json:"toolsets,omitempty"`
}

// createToken makes a token for somebody's assistant. Everybody can make one
// for himself, an admin for others.
func (a *admin) createToken(ctx context.Context, c tools.Caller, in tokenArgs) (local.Confidential, error) {
	none := local.Confidential{}
	self := a.people.Who(c)
	if in.Person == "" {
		in.Person = self.Name
	}
	if !self.Listed {
		return none, tools.Errorf(tools.NobodyKnown, "nobody in people has this account; nothing was made")
	}
	if !c.Surface.Human() || in.Person != self.Name && self.Role < tools.Admin {
		return none, tools.Errorf(tools.Denied, "%s may not make a token for %s; nothing was made", self.Name, in.Person).
			WithHint("an admin can")
	}
	if _, ok := a.people.Named(in.Person); !ok {
		return none, tools.Errorf(tools.NotFound, "people has no %q; nothing was made", in.Person)
	}
	var ceiling tools.Role
	if in.Ceiling != "" {
		role, approver, err := tools.ParseRoles([]string{in.Ceiling})
		if err != nil || approver {
			return none, tools.Errorf(tools.InvalidArgument, "--ceiling takes viewer, operator or admin; nothing was made")
		}
		ceiling = role
	}
	if !tokenName(in.Name) {
		return none, tools.Errorf(tools.InvalidArgument, "a token's name is 1 to 40 letters, digits, dots and dashes; nothing was made")
	}
	if _, err := hex.DecodeString(in.Name); err == nil && len(in.Name) == idDigits {
		return none, tools.Errorf(tools.InvalidArgument, "a token's name cannot be of the form that IDs have, as either revokes one; nothing was made")
	}
	if owner, given := a.people.Has(tools.Identity("mcp:" + in.Name)); given && owner != in.Person {
		return none, tools.Errorf(tools.Denied, "people gives mcp:%s to somebody else; nothing was made", in.Name).WithHint("choose another name")
	}
	if err := knownToolsets(in.Toolsets); err != nil {
		return none, err
	}
	db, err := a.store(ctx)
	if err != nil {
		return none, err
	}
	raw := make([]byte, 32)
	rand.Read(raw)
	word := "dpb_" + base64.RawURLEncoding.EncodeToString(raw)
	sum := sha256.Sum256([]byte(word))
	t := store.Token{
		ID: hex.EncodeToString(sum[:idDigits/2]), Name: in.Name, Person: in.Person, Hash: hex.EncodeToString(sum[:]),
		Ceiling: ceiling, Toolsets: in.Toolsets, Created: a.now(),
	}
	if t.Person != self.Name {
		t.Maker = self.Name
	}
	if err := a.recordToken(ctx, db, c, self, "made for "+t.Person+": "+t.Name); err != nil {
		return none, err
	}
	if err := db.Tokens.Create(ctx, t); err != nil {
		return none, errors.Join(err, a.recordToken(ctx, db, c, self, "not made after all: "+t.Name))
	}
	return local.Confidential{Result: t, Secret: secret.New(word)}, nil
}

// knownToolsets refuses a name that no operation has: a limit to it would be
// one to nothing.
func knownToolsets(names []string) error {
	var known []string
	for _, op := range operations().All() {
		if !slices.Contains(known, op.Toolset) {
			known = append(known, op.Toolset)
		}
	}
	slices.Sort(known)
	for _, name := range names {
		if !slices.Contains(known, name) {
			return tools.Errorf(tools.InvalidArgument, "there is no toolset %.40q; nothing was done", name).
				WithHint("--toolsets takes %s, or several of them with commas between", strings.Join(known, ", "))
		}
	}
	return nil
}

func (a *admin) recordToken(ctx context.Context, db *store.DB, c tools.Caller, s tools.Subject, detail string) error {
	_, err := db.Audit.Append(ctx, tools.Record{
		Event: tools.EventToken, Person: s.Name, Identity: c.Identity, Surface: c.Surface, Detail: detail, SameAccount: c.SameAccount,
	})
	return err
}

func tokenName(name string) bool {
	if name == "" || len(name) > 40 {
		return false
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_') {
			return false
		}
	}
	return true
}

func (a *admin) listTokens(ctx context.Context, c tools.Caller, _ struct{}) ([]store.Token, error) {
	self := a.people.Who(c)
	if !self.Listed {
		return nil, tools.Errorf(tools.NobodyKnown, "nobody in people has this account; nothing was done")
	}
	db, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	all, err := db.Tokens.All(ctx)
	mine := []store.Token{}
	for _, t := range all {
		if t.Person == self.Name || self.Role >= tools.Admin {
			mine = append(mine, t)
		}
	}
	return mine, err
}

type revokeArgs struct {
	Name string `json:"name"`
}

func (a *admin) revokeToken(ctx context.Context, c tools.Caller, in revokeArgs) (store.Token, error) {
	db, err := a.store(ctx)
	if err != nil {
		return store.Token{}, err
	}
	all, err := db.Tokens.All(ctx)
	if err != nil {
		return store.Token{}, err
	}
	self := a.people.Who(c)
	i := slices.IndexFunc(all, func(t store.Token) bool { return t.ID == in.Name || t.Name == in.Name })
	if i < 0 || !self.Listed || all[i].Person != self.Name && self.Role < tools.Admin {
		return store.Token{}, tools.Errorf(tools.NotFound, "%s has no token of that name or ID; nothing was revoked", self.Name).
			WithHint("duplibot token list")
	}
	t, err := db.Tokens.Revoke(ctx, all[i].ID)
	if err != nil {
		return t, err
	}
	return t, errors.Join(a.recordToken(ctx, db, c, self, "revoked: "+t.Name),
		a.desk.Disown(ctx, tools.Identity("mcp:"+t.Name), "the token that asked was revoked by "+self.Name))
}

type codeArgs struct {
	Approval string `json:"approval"`
}

// pageCode makes the code of a one-time page for its requester, who sits at
// this terminal.
func (a *admin) pageCode(ctx context.Context, c tools.Caller, in codeArgs) (local.Confidential, error) {
	none := local.Confidential{}
	s := a.people.Who(c)
	if !s.Listed || !c.Surface.Human() {
		return none, tools.Errorf(tools.NobodyKnown, "nobody in people has this account; nothing was done")
	}
	if a.code == nil {
		return none, tools.Errorf(tools.Unsupported, "this bot serves no one-time pages").
			WithHint("set web.listen in the config of the daemon")
	}
	code, err := a.code(ctx, s.Name, in.Approval)
	if err != nil {
		return none, err
	}
	link, _ := a.link(in.Approval)
	return local.Confidential{Result: pageLink{link}, Secret: code}, nil
}

type pageLink struct {
	Link string `json:"link"`
}

// keeper lets an admin at a terminal keep words in the keyring.
func (a *admin) keeper(c tools.Caller) (tools.Subject, error) {
	s := a.people.Who(c)
	if !s.Listed || s.Role < tools.Admin || !c.Surface.Human() {
		return s, tools.Errorf(tools.Denied, "the words in the keyring are for admins, and %s is none; nothing was done", s.Name)
	}
	return s, nil
}

type secretArgs struct {
	Name string       `json:"name"`
	Held tools.Secret `json:"held,omitempty"`
}

func (a *admin) setSecret(ctx context.Context, c tools.Caller, in secretArgs) (struct{}, error) {
	s, err := a.keeper(c)
	if err != nil {
		return struct{}{}, err
	}
	id := strings.TrimPrefix(string(in.Held), string(tools.Held("")))
	word, err := a.vault.Held(ctx, c.Identity, id)
	if err != nil {
		return struct{}{}, err
	}
	defer func() { _ = a.vault.Drop(context.WithoutCancel(ctx), id) }()
	if err := a.recordSecret(ctx, c, s, "set", in.Name); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, a.words.Store(ctx, in.Name, word)
}

func (a *admin) listSecrets(ctx context.Context, c tools.Caller, _ struct{}) ([]string, error) {
	if _, err := a.keeper(c); err != nil {
		return nil, err
	}
	return a.words.Names(ctx)
}

func (a *admin) removeSecret(ctx context.Context, c tools.Caller, in secretArgs) (struct{}, error) {
	s, err := a.keeper(c)
	if err != nil {
		return struct{}{}, err
	}
	if err := a.recordSecret(ctx, c, s, "removed", in.Name); err != nil {
		return struct{}{}, err
	}
	return struct{}{}, a.words.Remove(ctx, in.Name)
}

func (a *admin) recordSecret(ctx context.Context, c tools.Caller, s tools.Subject, what, name string) error {
	if err := auth.CheckName(name); err != nil {
		return err // what is no name is not repeated
	}
	db, err := a.store(ctx)
	if err != nil {
		return err
	}
	_, err = db.Audit.Append(ctx, tools.Record{
		Event: tools.EventSecret, Person: s.Name, Identity: c.Identity, Surface: c.Surface, Detail: what + ": " + name, SameAccount: c.SameAccount,
	})
	return err
}
