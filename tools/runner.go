package tools

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// allServers is what a read may say for every server.
const allServers = "all"

// ServerNames is which servers there are.
type ServerNames interface {
	Names() []string
	// Default is the server meant by a caller who names none, "" when there
	// is no default.
	Default(c Caller) string
}

// Memberships reads afresh which groups an identity is in.
type Memberships interface {
	Groups(ctx context.Context, id Identity) ([]Identity, error)
}

// Tokens knows who made the tokens of assistants.
type Tokens interface {
	// MadeBy returns who made the token behind an identity in another person's
	// name, "" when he made it himself.
	MadeBy(ctx context.Context, id Identity) (person string, err error)
}

// Step is a point in the life of a call that changes something. Tests stop
// the process there.
type Step string

const (
	BeforeIntent  Step = "before intent"
	AfterIntent   Step = "after intent"
	AfterCall     Step = "after the call"
	BeforeOutcome Step = "before outcome"
)

// Options is what the gate is made of. Registry, People, Policy, Approvals,
// Audit, Locks, Servers and Key are required.
type Options struct {
	Registry    *Registry
	People      *People
	Policy      *Policy
	Approvals   Approvals
	Audit       AuditLog
	Locks       Locks
	Vault       Vault
	Servers     ServerNames
	Memberships Memberships
	Tokens      Tokens
	Notifier    Notifier
	Key         []byte                                // for fingerprints, 32 bytes
	KeyOf       func(context.Context) ([]byte, error) // in the place of Key, where it takes a keyring: asked once, when first needed
	Explain     func(err error, server string) *Error // turns foreign errors into words
	Pages       bool                                  // one-time pages can be offered
	Log         *slog.Logger
	Now         Clock
	OnStep      func(Step)
}

// Runner is the one way to run an operation.
type Runner struct{ g *gate }

// Desk takes people's decisions. See the package comment for why it is not
// the Runner.
type Desk struct{ g *gate }

type gate struct {
	Options
	owning  sync.Mutex
	owner   string
	running map[string]bool // requests, by ID

	mu    sync.Mutex
	floor time.Time
	key   []byte
	likes map[string]*like
}

// keySize is the length of the fingerprint key in bytes, as of its HMAC's output.
const keySize = 32

// unlock gets the key that fingerprints are made with.
func (g *gate) unlock(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.key != nil {
		return nil
	}
	key, err := g.KeyOf(ctx)
	if err != nil {
		return err
	}
	if len(key) < keySize {
		return errors.New("tools: the fingerprint key is shorter than 32 bytes")
	}
	g.key = key
	return nil
}

// New makes the gate's two sides.
func New(o Options) (*Runner, *Desk, error) {
	if o.Registry == nil || o.People == nil || o.Policy == nil || o.Approvals == nil || o.Audit == nil || o.Locks == nil || o.Servers == nil {
		return nil, nil, errors.New("tools: an incomplete gate: closed by default")
	}
	if o.KeyOf == nil {
		if len(o.Key) < keySize {
			return nil, nil, errors.New("tools: the fingerprint key is shorter than 32 bytes")
		}
		o.KeyOf = func(context.Context) ([]byte, error) { return o.Key, nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnStep == nil {
		o.OnStep = func(Step) {}
	}
	g := &gate{Options: o}
	return &Runner{g}, &Desk{g}, nil
}

// Status says whether an Answer holds a result.
type Status string

const (
	Done    Status = "done"
	Pending Status = "pending" // a person is asked; not an error
)

// Answer is what a call gives back.
type Answer struct {
	Status    Status          `json:"status"`
	Operation string          `json:"operation"`
	Server    string          `json:"server,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	View      View            `json:"view"`
	Exit      int             `json:"exit,omitempty"`
	Each      []Each          `json:"each,omitempty"` // per server, when all were asked
	Approval  *Waiting        `json:"approval,omitempty"`
	Kept      []Kept          `json:"kept,omitempty"` // what came out that is secret, and where it is
}

// Each is one server's part of an Answer.
type Each struct {
	Server  string          `json:"server"`
	Result  json.RawMessage `json:"result,omitempty"`
	View    View            `json:"view"`
	Failure *Error          `json:"error,omitempty"`
}

// Waiting is what a caller learns of a request: neither the phrase nor the
// fingerprint is in it.
type Waiting struct {
	ID        string       `json:"id"`
	Operation string       `json:"operation"`
	State     State        `json:"state"`
	Target    string       `json:"target"`
	Effects   []string     `json:"effects"`
	Expires   time.Time    `json:"expires"`
	Deciders  []string     `json:"deciders"`
	Needs     []string     `json:"needs,omitempty"` // secrets to be entered on a page first
	Votes     int          `json:"votes"`
	Need      int          `json:"need"`
	Verdict   Verdict      `json:"verdict"`
	Failure   *Error       `json:"error,omitempty"`
	Changes   []Difference `json:"changes,omitempty"`
}

// Waiting describes a stored request to its requester.
func (p *Policy) Waiting(a Approval) Waiting {
	w := Waiting{
		ID: a.ID, Operation: a.Operation, State: a.State, Target: a.Plan.Target.String(), Effects: a.Plan.Effects,
		Expires: a.Expires, Deciders: p.Deciders(a), Needs: a.Needs, Votes: a.Yes(), Need: a.Need,
		Verdict: a.Verdict, Failure: a.Failure, Changes: a.Changes,
	}
	if w.Effects == nil {
		w.Effects = []string{}
	}
	if w.Deciders == nil {
		w.Deciders = []string{}
	}
	return w
}

// String is the target in words: `backup "Photos" (3) on nas`.
func (t Target) String() string {
	if t.Kind == "" {
		return t.Server
	}
	var b strings.Builder
	b.WriteString(t.Kind)
	if t.Name != "" && t.Name != t.Server {
		fmt.Fprintf(&b, " %q", t.Name)
	}
	if t.ID != "" {
		fmt.Fprintf(&b, " (%s)", t.ID)
	}
	if t.Server != "" {
		if t.Kind == "server" {
			b.WriteString(" " + t.Server)
		} else {
			b.WriteString(" on " + t.Server)
		}
	}
	return b.String()
}

// Run runs a call, or stores it and answers that a person is asked.
func (r *Runner) Run(ctx context.Context, call Call) (Answer, error) {
	if report := call.Progress; report != nil {
		call.Progress = func(p Progress) {
			p.Next = r.offered(call.Caller, p.Next)
			report(p)
		}
	}
	answer, err := r.g.run(ctx, call)
	if err != nil {
		server, _ := call.Args["server"].(string)
		if server == "" {
			server = r.g.Servers.Default(call.Caller)
		}
		return Answer{}, r.g.explain(err, server)
	}
	answer.View = r.offering(call.Caller, answer.View)
	for i := range answer.Each {
		answer.Each[i].View = r.offering(call.Caller, answer.Each[i].View)
	}
	return answer, nil
}

// offering is v with those next calls alone that c may make.
func (r *Runner) offering(c Caller, v View) View {
	v.Next = r.offered(c, v.Next)
	if v.Progress != nil {
		p := *v.Progress
		p.Next = r.offered(c, p.Next)
		v.Progress = &p
	}
	return v
}

func (r *Runner) offered(c Caller, next []Next) []Next {
	if len(next) == 0 {
		return next
	}
	s := r.g.People.Who(c)
	var may []Next
	for _, n := range next {
		if op, err := r.g.Registry.Lookup(n.Operation); err == nil && r.visible(op, c, s) {
			may = append(may, n)
		}
	}
	return may
}

func (g *gate) run(ctx context.Context, call Call) (Answer, error) {
	op, err := g.Registry.Lookup(call.Operation)
	if err != nil {
		return Answer{}, err
	}
	subject := g.People.Who(call.Caller)
	if subject.Role == Nobody {
		// Not even what there is could be said to him.
		return Answer{}, g.refuse(ctx, op, call, subject, denied(op, unknownPerson))
	}
	if call.Caller.Toolsets != nil && !slices.Contains(call.Caller.Toolsets, op.Toolset) {
		return Answer{}, g.refuse(ctx, op, call, subject, Errorf(Denied, "this token does not cover %s; nothing was done", op.Name).
			WithHint("it covers the toolsets %s", strings.Join(call.Caller.Toolsets, ", ")))
	}
	if err := op.foreign(call.Args, call.Caller.Surface); err != nil {
		return Answer{}, g.refuseArgs(ctx, op, call, subject, err)
	}
	args, each, err := g.place(op, call)
	if err != nil {
		return Answer{}, g.refuseArgs(ctx, op, call, subject, err)
	}
	if err := g.foreignSecrets(op, call.Caller, args); err != nil {
		return Answer{}, g.refuseArgs(ctx, op, call, subject, err)
	}
	b, err := op.bind(args)
	if err != nil {
		return Answer{}, g.refuseArgs(ctx, op, call, subject, err)
	}
	ruling := g.Policy.Rule(op, b.risk, subject, call.Caller.Surface, b.server)
	for _, server := range each {
		if ruled := g.Policy.Rule(op, b.risk, subject, call.Caller.Surface, server); ruled.Verdict != Allow {
			ruling = ruled
			if ruled.Verdict == Deny {
				break
			}
		}
	}
	if ruling.Verdict == Deny {
		return Answer{}, g.refuse(ctx, op, call, subject, denied(op, ruling))
	}
	if each != nil && b.risk > Read {
		return Answer{}, g.refuseArgs(ctx, op, call, subject, oneServer(op, g.Servers.Names()))
	}
	if each != nil && ruling.Verdict != Allow {
		return Answer{}, g.refuse(ctx, op, call, subject, Errorf(Denied, "%s cannot ask all servers at once, as of some of them somebody has to agree first; nothing was done", op.Name).
			WithHint("name one server; decided by %s", ruling.Rule))
	}
	if err := g.secretsExist(ctx, op, b, call.Caller); err != nil {
		return Answer{}, g.refuseArgs(ctx, op, call, subject, err)
	}
	call.Args = args
	switch {
	case each != nil:
		return g.askAll(ctx, op, call, subject, each)
	case b.risk == Read && ruling.Verdict == Allow:
		return g.read(ctx, op, b, call, subject)
	case ruling.Verdict == Allow && len(b.needs) == 0:
		return g.change(ctx, op, b, call, subject)
	}
	return g.request(ctx, op, b, call, subject, ruling)
}

// place fills in the server. For a read of all servers it lists them.
func (g *gate) place(op *Operation, call Call) (args map[string]any, each []string, err error) {
	args = make(map[string]any, len(call.Args)+1)
	for k, v := range call.Args {
		args[k] = v
	}
	if op.Global {
		return args, nil, nil
	}
	names := g.Servers.Names()
	server, isText := args["server"].(string)
	if args["server"] != nil && !isText {
		return nil, nil, Errorf(InvalidArgument, "server must be a text; nothing was done")
	}
	switch {
	case server == allServers && op.Risk == Read:
		if len(names) == 0 {
			return nil, nil, noServers()
		}
		return args, names, nil
	case server == allServers:
		return nil, nil, oneServer(op, names)
	case server == "":
		if server = g.Servers.Default(call.Caller); server == "" && len(names) == 1 {
			server = names[0]
		}
		if len(names) == 0 {
			return nil, nil, noServers()
		}
		if server == "" {
			return nil, nil, Errorf(Ambiguous, "several servers are set up and none was named; nothing was done").
				WithHint("add server: one of %s", strings.Join(names, ", "))
		}
	}
	if !slices.Contains(names, server) {
		e := Errorf(NotFound, "there is no server %q; nothing was done", safeName(server))
		if near := nearest(server, names, 2); len(near) > 0 {
			return nil, nil, e.WithHint("did you mean %s? There are: %s", strings.Join(near, " or "), strings.Join(names, ", "))
		}
		return nil, nil, e.WithHint("there are: %s", strings.Join(names, ", "))
	}
	args["server"] = server
	return args, nil, nil
}

func oneServer(op *Operation, names []string) *Error {
	return Errorf(InvalidArgument, "%s works on one server at a time; nothing was done", op.Name).
		WithHint("name one of: %s", strings.Join(names, ", "))
}

func noServers() *Error {
	return Errorf(NotFound, "no server is set up; nothing was done").WithHint("add one to the config, or give --hosturl at a terminal")
}

// foreignSecrets refuses references that come from anywhere but a terminal,
// and what looks like a secret typed as one.
func (g *gate) foreignSecrets(op *Operation, c Caller, args map[string]any) error {
	for _, p := range op.Params {
		text, _ := args[p.Name].(string)
		if text == "" || !p.Secret || !strings.Contains(text, ":") {
			continue
		}
		if _, held := Secret(text).Handle(); held {
			if c.Surface != CLI {
				return refusedReference()
			}
			continue
		}
		if !p.File && c.Surface != CLI {
			return refusedReference()
		}
	}
	return nil
}

// secretsExist resolves what is given as a secret, so that a word that names
// none, which may be the secret itself typed by mistake, is refused before it
// is stored or recorded anywhere.
func (g *gate) secretsExist(ctx context.Context, op *Operation, b bound, c Caller) error {
	for name, text := range b.secrets {
		s := Secret(text)
		if p := op.param(name); p.File || s == "" || s == SecretPage || s == SecretGenerate {
			continue
		}
		env := Env{Caller: c, Server: b.server, op: op.Name, vault: g.Vault}
		if _, err := env.Secret(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func denied(op *Operation, r Ruling) *Error {
	e := Errorf(r.Code, "%s is refused: %s; nothing was done", op.Name, r.Reason)
	switch r.Code {
	case NobodyKnown:
		return e.WithHint("an administrator can add this identity to people in the config")
	case TooFewApprovers:
		return e.WithHint("an administrator can add an approver to people in the config")
	}
	return e.WithHint("decided by %s", r.Rule)
}

func (g *gate) env(op *Operation, c Caller, s Subject, server string) Env {
	return Env{Caller: c, Subject: s, Server: server, op: op.Name, gate: g, vault: g.Vault, now: func() time.Time { return g.Now() }}
}

func (g *gate) read(ctx context.Context, op *Operation, b bound, call Call, s Subject) (Answer, error) {
	env := g.env(op, call.Caller, s, b.server)
	env.progress = call.Progress
	start := g.Now()
	out, err := g.do(ctx, b, env)
	g.Log.Info("read", "operation", op.Name, "server", b.server, "person", s.Name, "surface", call.Caller.Surface,
		"took", g.Now().Sub(start).Round(time.Microsecond), "code", CodeOf(err))
	if err != nil {
		return Answer{}, err
	}
	return done(op, b.server, out), nil
}

func done(op *Operation, server string, out output) Answer {
	return Answer{Status: Done, Operation: op.Name, Server: server, Result: out.result, View: out.view, Exit: out.exit, Kept: out.kept}
}

// askAll asks every server at once. One that does not answer takes nothing
// from the others.
func (g *gate) askAll(ctx context.Context, op *Operation, call Call, s Subject, servers []string) (Answer, error) {
	each := make([]Each, len(servers))
	exits := make([]int, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() {
			each[i] = Each{Server: server}
			args := make(map[string]any, len(call.Args))
			for k, v := range call.Args {
				args[k] = v
			}
			args["server"] = server
			b, err := op.bind(args)
			if err == nil {
				var a Answer
				if a, err = g.read(ctx, op, b, call, s); err == nil {
					each[i].Result, each[i].View, exits[i] = a.Result, a.View, a.Exit
					return
				}
			}
			each[i].Failure = g.explain(err, server)
			each[i].View = View{Headline: each[i].Failure.Error(), Tone: Unclear}
			exits[i] = 2
		})
	}
	wg.Wait()
	return Answer{Status: Done, Operation: op.Name, Server: allServers, Each: each, View: together(each), Exit: slices.Max(exits)}, nil
}

// together is one view of all servers, the worst first.
func together(each []Each) View {
	order := slices.Clone(each)
	slices.SortStableFunc(order, func(a, b Each) int { return toneWeight[b.View.Tone] - toneWeight[a.View.Tone] })
	v := View{}
	bad := 0
	for _, e := range order {
		v.Tone = v.Tone.Worse(e.View.Tone)
		if toneWeight[e.View.Tone] > toneWeight[Notice] {
			bad++
		}
		v.Facts = append(v.Facts, Fact{Name: e.Server, Value: e.View.Headline, Tone: e.View.Tone})
		for _, f := range e.View.Facts {
			v.Facts = append(v.Facts, Fact{Name: e.Server + ": " + f.Name, Value: f.Value, Tone: f.Tone})
		}
		for _, n := range e.View.Notes {
			v.Notes = append(v.Notes, e.Server+": "+n)
		}
		v.Data = append(v.Data, e.View.Data...)
		t := e.View.Table
		if t == nil {
			continue
		}
		if v.Table == nil {
			v.Table = &Table{Columns: append([]string{"Server"}, t.Columns...)}
		}
		for _, row := range t.Rows {
			v.Table.Rows = append(v.Table.Rows, append([]string{e.Server}, row...))
		}
		v.Table.Total += max(t.Total, len(t.Rows))
	}
	v.Headline = fmt.Sprintf("%d %s asked", len(each), plural(len(each), "server", "servers"))
	if bad > 0 {
		v.Headline += fmt.Sprintf(", %d %s a look", bad, plural(bad, "needs", "need"))
	}
	return v
}

// change runs what the policy allows at once: intent, call, outcome.
func (g *gate) change(ctx context.Context, op *Operation, b bound, call Call, s Subject) (Answer, error) {
	env := g.env(op, call.Caller, s, b.server)
	env.progress = call.Progress
	record := g.record(op, call.Caller, s, b.server)
	g.OnStep(BeforeIntent)
	intent := record
	intent.Event, intent.Detail = EventIntent, string(b.args)
	if _, err := g.Audit.Append(ctx, intent); err != nil {
		return Answer{}, auditDown(err)
	}
	g.OnStep(AfterIntent)
	out, err := g.do(ctx, b, env)
	g.OnStep(AfterCall)
	outcome := record
	outcome.Event, outcome.Detail = EventOutcome, "done"
	if err != nil {
		e := g.explain(err, b.server)
		outcome.Detail, outcome.Code = e.Message, e.Code
	}
	g.OnStep(BeforeOutcome)
	// The caller may be gone by now; what happened is recorded all the same.
	if _, auditErr := g.Audit.Append(context.WithoutCancel(ctx), outcome); auditErr != nil {
		g.Log.Error("outcome not recorded", "operation", op.Name, "error", auditErr)
	}
	g.dropSecrets(ctx, b.secrets)
	if err != nil {
		return Answer{}, err
	}
	return done(op, b.server, out), nil
}

// do calls the handler and turns a panic into an error that says nothing of
// what was in its hands.
func (g *gate) do(ctx context.Context, b bound, env Env) (out output, err error) {
	defer func() {
		if v := recover(); v != nil {
			g.Log.Error("operation panicked", "operation", env.op, "panic", fmt.Sprintf("%T", v))
			err = fmt.Errorf("operation %s panicked", env.op)
		}
	}()
	env.kept = &out.kept
	done, err := b.do(ctx, env)
	done.kept = out.kept
	return done, err
}

func (g *gate) record(op *Operation, c Caller, s Subject, server string) Record {
	r := Record{Server: server, Person: s.Name, Identity: c.Identity, Surface: c.Surface, Client: cut(c.Client, 80), SameAccount: c.SameAccount}
	if op != nil {
		r.Operation = op.Name
	}
	return r
}

// refuse records a refusal and returns it. That the record could not be
// written changes nothing about the refusal.
func (g *gate) refuse(ctx context.Context, op *Operation, call Call, s Subject, e *Error) error {
	r := g.record(op, call.Caller, s, "")
	r.Event, r.Code, r.Detail = EventRefused, e.Code, "arguments: "+strings.Join(op.paramNames(call.Args), ", ")
	if server, ok := call.Args["server"].(string); ok && slices.Contains(g.Servers.Names(), server) {
		r.Server = server
	}
	g.refused(ctx, r)
	return e
}

const (
	likeWithin  = time.Minute // a refusal that is like one before is counted
	likeAtATime = 1000
)

// like counts refusals that are like one that was recorded.
type like struct {
	at   time.Time
	more int
}

// refused records a refusal. One that was recorded a moment ago is counted, and
// the number stands in the next record: who asks in a loop fills no disk.
func (g *gate) refused(ctx context.Context, r Record) {
	key := fmt.Sprintf("%q", []string{string(r.Identity), string(r.Surface), r.Operation, r.Server, r.Approval, string(r.Code), r.Detail})
	now := g.now()
	g.mu.Lock()
	l := g.likes[key]
	if l != nil && now.Sub(l.at) < likeWithin {
		l.more++
		g.mu.Unlock()
		return
	}
	if l != nil && l.more > 0 {
		r.Detail += fmt.Sprintf("; %d more since %s", l.more, l.at.UTC().Format(time.RFC3339))
	}
	if len(g.likes) >= likeAtATime || g.likes == nil {
		g.likes = map[string]*like{}
	}
	g.likes[key] = &like{at: now}
	g.mu.Unlock()
	if _, err := g.Audit.Append(context.WithoutCancel(ctx), r); err != nil {
		g.Log.Error("refusal not recorded", "operation", r.Operation, "id", r.Approval, "error", err)
	}
}

// refuseArgs records wrong arguments of what could have changed something.
func (g *gate) refuseArgs(ctx context.Context, op *Operation, call Call, s Subject, err error) error {
	var e *Error
	if op.Risk == Read || !errors.As(err, &e) {
		return err
	}
	return g.refuse(ctx, op, call, s, e)
}

// explain turns any error into one for readers. What nobody foresaw is logged
// under an ID and shown as internal.
func (g *gate) explain(err error, server string) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if g.Options.Explain != nil {
		if e := g.Options.Explain(err, server); e != nil {
			return e
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return Errorf(Canceled, "the call was cancelled").Because(err)
	case errors.Is(err, context.DeadlineExceeded):
		return Errorf(Timeout, "it took too long and was given up").Retryable().Because(err)
	}
	id := newID("e")
	g.Log.Error("internal error", "id", id, "error", err)
	return Errorf(Internal, "something went wrong inside; the log has it under %s", id).Because(err)
}

func auditDown(err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) && e.Code == AuditDown && e.Hint != "" {
		return e // the log knows what it lacks
	}
	return Errorf(AuditDown, "the audit log cannot be written, so nothing was done").
		WithHint("free space on the store's disk or mend its permissions; reading, denying and withdrawing still work").Retryable().Because(err)
}

// dropSecrets forgets what was held for a call that has ended.
func (g *gate) dropSecrets(ctx context.Context, secrets map[string]string) {
	for _, text := range secrets {
		id, held := Secret(text).Handle()
		if !held || g.Vault == nil {
			continue
		}
		if err := g.Vault.Drop(context.WithoutCancel(ctx), id); err != nil {
			g.Log.Warn("held secret not dropped", "error", err)
		}
	}
}

// newID is a short name that nobody can guess: 60 bits, letters that are not
// mistaken for each other.
func newID(prefix string) string {
	const letters = "23456789abcdefghjkmnpqrstuvwxyz_"
	b := make([]byte, 12)
	rand.Read(b)
	for i := range b {
		b[i] = letters[int(b[i])%31]
	}
	return prefix + "-" + string(b)
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// Operations lists what the caller may see, in the registry's order.
func (r *Runner) Operations(_ context.Context, c Caller) ([]*Operation, error) {
	s := r.g.People.Who(c)
	var ops []*Operation
	for _, op := range r.g.Registry.All() {
		if r.visible(op, c, s) {
			ops = append(ops, op)
		}
	}
	return ops, nil
}

func (r *Runner) visible(op *Operation, c Caller, s Subject) bool {
	return (c.Toolsets == nil || slices.Contains(c.Toolsets, op.Toolset)) && r.g.Policy.Visible(op, s)
}

// Needs names the secrets and files that a call lacks, so that a terminal can
// ask for them first.
func (r *Runner) Needs(_ context.Context, call Call) ([]Param, error) {
	op, err := r.g.Registry.Lookup(call.Operation)
	if err != nil {
		return nil, err
	}
	b, err := op.bind(call.Args)
	if err != nil {
		return nil, err
	}
	var params []Param
	for _, name := range b.needs {
		if p := op.param(name); p != nil {
			params = append(params, *p)
		}
	}
	return params, nil
}

// Explain says how the policy would rule on a call of person via surface.
func (r *Runner) Explain(person string, surface Surface, operation, server string, risk Risk) (Ruling, *Operation, error) {
	op, err := r.g.Registry.Lookup(operation)
	if err != nil {
		return Ruling{}, nil, err
	}
	s, ok := r.g.People.Named(person)
	if !ok {
		return Ruling{}, nil, Errorf(NotFound, "people has no %q", safeName(person))
	}
	return r.g.Policy.Rule(op, max(op.Risk, risk), s, surface, server), op, nil
}

// Complete offers values for a parameter.
func (r *Runner) Complete(ctx context.Context, c Caller, operation, param, prefix, server string) ([]Choice, error) {
	op, err := r.g.Registry.Lookup(operation)
	if err != nil {
		return nil, err
	}
	s := r.g.People.Who(c)
	if !r.visible(op, c, s) {
		return nil, nil
	}
	p := op.param(param)
	if p == nil {
		return nil, nil
	}
	choices := []Choice{}
	lower := strings.ToLower(prefix)
	add := func(c Choice) {
		if strings.Contains(strings.ToLower(c.Value+" "+c.Label), lower) {
			choices = append(choices, c)
		}
	}
	switch {
	case p.Complete == "servers":
		for _, name := range r.g.Servers.Names() {
			add(Choice{Value: name, Label: name})
		}
	case len(p.Enum) > 0:
		for _, v := range p.Enum {
			add(Choice{Value: v, Label: v})
		}
	case op.complete[param] != nil:
		if server == "" {
			args, _, err := r.g.place(op, Call{Caller: c})
			if err != nil {
				return nil, err
			}
			server = args["server"].(string)
		}
		// To offer names is to read them.
		if v := r.g.Policy.Rule(op, op.Risk, s, c.Surface, server).Verdict; v == Deny || op.Risk == Read && v != Allow {
			return choices, nil
		}
		found, err := op.complete[param](ctx, r.g.env(op, c, s, server), prefix)
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			add(c)
		}
	}
	return choices, nil
}
