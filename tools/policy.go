package tools

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verdict is what the policy says of a call.
type Verdict int

const (
	Deny    Verdict = iota // refused
	Allow                  // runs at once
	Confirm                // the requester agrees once more, on a human channel
	Approve                // other persons agree
)

var verdictNames = [...]string{"deny", "allow", "confirm", "approve"}

// String is the name used in the config.
func (v Verdict) String() string {
	if v < 0 || int(v) >= len(verdictNames) {
		return fmt.Sprintf("verdict(%d)", int(v))
	}
	return verdictNames[v]
}

// MarshalText writes the name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a name.
func (v *Verdict) UnmarshalText(text []byte) error {
	i := slices.Index(verdictNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("unknown verdict %q: known are deny, allow, confirm, approve", text)
	}
	*v = Verdict(i)
	return nil
}

// Rule is a line of the config's policy. Empty lists match everything; the
// first rule that matches wins.
type Rule struct {
	Operations []string
	Risks      []Risk
	Roles      []string // "viewer", "operator", "admin": the caller's role
	Surfaces   []Surface
	Servers    []string
	Verdict    Verdict
	Approvers  int // for Approve; 0 is 1
}

// PolicyConfig is what a Policy is made from.
type PolicyConfig struct {
	ReadOnly      bool
	Rules         []Rule
	ConfirmWithin time.Duration // 0 is 10 minutes
	ApproveWithin time.Duration // 0 is 8 hours
}

// Ruling is a verdict with its reason.
type Ruling struct {
	Verdict   Verdict
	Approvers int    // how many distinct other persons, for Approve
	Rule      string // which rule decided: "policy.rules[2]", "default for critical"
	Reason    string // one sentence
	Code      Code   // for Deny
}

// Policy decides. It is fixed when it is made: nothing that happens later,
// such as an unreadable group or an absent colleague, lowers a verdict.
type Policy struct {
	config    PolicyConfig
	people    *People
	approvers []string
	version   string
}

// NewPolicy checks the rules against the operations and the people. A rule
// that could let a Critical call through without anybody's agreement, names
// what does not exist, or asks for more approvers than there are, is an error.
func NewPolicy(c PolicyConfig, reg *Registry, people *People) (*Policy, error) {
	if c.ConfirmWithin == 0 {
		c.ConfirmWithin = 10 * time.Minute
	}
	if c.ApproveWithin == 0 {
		c.ApproveWithin = 8 * time.Hour
	}
	p := &Policy{config: c, people: people}
	for _, name := range people.Approvers() {
		if !people.onlyRoot(name) {
			p.approvers = append(p.approvers, name)
		}
	}
	for i, r := range c.Rules {
		where := fmt.Sprintf("policy.rules[%d]", i)
		for _, name := range r.Operations {
			if _, err := reg.Lookup(name); err != nil {
				return nil, fmt.Errorf("%s: %w", where, err)
			}
		}
		for _, role := range r.Roles {
			if _, approver, err := ParseRoles([]string{role}); err != nil || approver {
				return nil, fmt.Errorf("%s: roles are viewer, operator, admin, not %q", where, role)
			}
		}
		for _, s := range r.Surfaces {
			if !slices.Contains(Surfaces, s) {
				return nil, fmt.Errorf("%s: unknown surface %q: known are cli, mcp, slack, web", where, s)
			}
		}
		if r.Verdict == Allow {
			if op := r.opens(reg); op != "" {
				return nil, fmt.Errorf("%s: it would let %s, which can be critical, run without anybody's agreement; no rule can do that. Name operations or risks that are not critical", where, op)
			}
		}
		if r.Approvers < 0 || r.Approvers > 1 && r.Verdict != Approve {
			return nil, fmt.Errorf("%s: approvers goes with the verdict approve", where)
		}
		if r.Verdict == Approve && max(1, r.Approvers) > len(p.approvers) {
			return nil, fmt.Errorf("%s: it asks for %d approvers and people names %d", where, max(1, r.Approvers), len(p.approvers))
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v\n%s", c, people.version()))
	p.version = hex.EncodeToString(sum[:8])
	return p, nil
}

// opens names an operation that the rule, being an allow, would open although
// it can be Critical. A rule for the risks read and change says nothing about
// a call that its arguments have raised, so it opens none.
func (r Rule) opens(reg *Registry) string {
	if len(r.Risks) > 0 && !slices.Contains(r.Risks, Critical) {
		return ""
	}
	for _, op := range reg.All() {
		named := slices.Contains(r.Operations, op.Name)
		if op.Risk == Critical && (named || len(r.Operations) == 0) {
			return op.Name
		}
	}
	if slices.Contains(r.Risks, Critical) {
		return "every critical operation"
	}
	return ""
}

func (r Rule) matches(op *Operation, risk Risk, s Subject, surface Surface, server string) bool {
	in := func(list []string, word string) bool { return len(list) == 0 || slices.Contains(list, word) }
	return in(r.Operations, op.Name) && in(r.Roles, s.Role.String()) && in(r.Servers, server) &&
		(len(r.Risks) == 0 || slices.Contains(r.Risks, risk)) &&
		(len(r.Surfaces) == 0 || slices.Contains(r.Surfaces, surface))
}

// Rule decides about one call. read_only comes first, then roles, then rules,
// then the defaults.
func (p *Policy) Rule(op *Operation, risk Risk, s Subject, surface Surface, server string) Ruling {
	deny := func(code Code, rule, reason string) Ruling {
		return Ruling{Verdict: Deny, Code: code, Rule: rule, Reason: reason}
	}
	if p.config.ReadOnly && risk > Read {
		return deny(ReadOnly, "policy.read_only", "this bot is set to read only")
	}
	least := op.LeastRole()
	if risk > Read {
		least = max(least, Operator)
	}
	if s.Role < least {
		if s.Role == Nobody {
			return unknownPerson
		}
		return deny(Denied, "roles", fmt.Sprintf("%s is %s and %s needs %s", s.Name, s.Role, op.Name, least))
	}
	if risk > Read && !s.Listed {
		return deny(Denied, "people", "only an entry of people may change anything")
	}
	ruling := p.byDefault(risk, s)
	for i, r := range p.config.Rules {
		if !r.matches(op, risk, s, surface, server) {
			continue
		}
		ruling = Ruling{Verdict: r.Verdict, Rule: fmt.Sprintf("policy.rules[%d]", i), Code: Denied}
		switch r.Verdict {
		case Deny:
			ruling.Reason = "a rule forbids it"
		case Allow:
			// A call whose arguments raised it never runs on an allow.
			if risk == Critical {
				ruling = p.byDefault(risk, s)
				continue
			}
			ruling.Reason = "a rule allows it"
		case Confirm:
			ruling.Reason = "a rule asks the requester to confirm"
		case Approve:
			ruling.Approvers = max(1, r.Approvers)
			ruling.Reason = fmt.Sprintf("a rule asks for %d other %s", ruling.Approvers, plural(ruling.Approvers, "person", "persons"))
		}
		break
	}
	return p.possible(ruling, risk, s)
}

// unknownPerson is the ruling for who is nobody.
var unknownPerson = Ruling{Verdict: Deny, Code: NobodyKnown, Rule: "roles", Reason: "nobody in people or groups has this identity"}

// byDefault is the verdict where no rule matches.
func (p *Policy) byDefault(risk Risk, s Subject) Ruling {
	rule := "default for " + risk.String()
	if risk < Critical {
		return Ruling{Verdict: Allow, Rule: rule, Reason: fmt.Sprintf("%s may do what is %s", s.Role, risk)}
	}
	if len(p.approvers) >= 2 {
		return Ruling{Verdict: Approve, Approvers: 1, Rule: rule, Reason: "people names a second approver, so another person agrees"}
	}
	return Ruling{Verdict: Confirm, Rule: rule, Reason: "there is one approver, who confirms his own requests"}
}

// possible refuses, at once, what nobody could ever agree to.
func (p *Policy) possible(r Ruling, risk Risk, s Subject) Ruling {
	switch r.Verdict {
	case Confirm:
		if !s.Approver && risk == Critical {
			return Ruling{Verdict: Deny, Code: TooFewApprovers, Rule: r.Rule, Reason: fmt.Sprintf("%s would have to confirm it and is not an approver", s.Name)}
		}
	case Approve:
		others := 0
		for _, name := range p.approvers {
			if name != s.Name {
				others++
			}
		}
		if others < r.Approvers {
			return Ruling{Verdict: Deny, Code: TooFewApprovers, Rule: r.Rule,
				Reason: fmt.Sprintf("it needs %d other %s to agree and people names %d", r.Approvers, plural(r.Approvers, "approver", "approvers"), others)}
		}
	}
	return r
}

// MayDecide says whether s can vote on a, and if not why.
func (p *Policy) MayDecide(a Approval, s Subject, surface Surface) *Error {
	refuse := func(format string, args ...any) *Error {
		return Errorf(Denied, format+"; the request still waits", args...)
	}
	switch {
	case !surface.Human():
		return refuse("a decision is a person's and cannot be given from %s", surface)
	case s.Role == Nobody && !s.Listed:
		return Errorf(NobodyKnown, "nobody in people has this identity; the request still waits")
	case !s.Listed:
		return refuse("only an entry of people can decide")
	}
	if a.Verdict == Confirm {
		if s.Name != a.Requester {
			return refuse("this waits for %s to confirm his or her own request", a.Requester)
		}
		if a.Risk == Critical && !s.Approver {
			return refuse("%s is not an approver", s.Name)
		}
		return nil
	}
	switch {
	case s.Name == a.Requester:
		return refuse("you asked for this yourself; another person must agree")
	case s.Name == a.MadeBy:
		return refuse("you made the token by which this was asked for; another person must agree")
	case s.Root:
		return refuse("root is never another person; decide it under your own account")
	case !s.Approver:
		return refuse("%s is not an approver", s.Name)
	}
	return nil
}

// Deciders names who could decide a, for the answer to its requester.
func (p *Policy) Deciders(a Approval) []string {
	if a.Verdict == Confirm {
		return []string{a.Requester}
	}
	var names []string
	for _, name := range p.approvers {
		if name != a.Requester && name != a.MadeBy {
			names = append(names, name)
		}
	}
	return names
}

// Version changes with every change of rules or people.
func (p *Policy) Version() string { return p.version }

// ReadOnly reports whether nothing but reads may run.
func (p *Policy) ReadOnly() bool { return p.config.ReadOnly }

// Visible reports whether op should be listed for s on surface at all: it may
// be run there for some server or arguments.
func (p *Policy) Visible(op *Operation, s Subject) bool {
	if p.config.ReadOnly && op.Risk > Read {
		return false
	}
	return s.Role >= op.LeastRole()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// String sums the policy up for the log.
func (p *Policy) String() string {
	return fmt.Sprintf("policy %s, %d rules, approvers: %s", p.version, len(p.config.Rules), strings.Join(p.approvers, ", "))
}
