package tools

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Role is what a person may do. Each includes the ones before it.
type Role int

const (
	Nobody Role = iota
	Viewer
	Operator
	Admin
)

var roleNames = [...]string{"nobody", "viewer", "operator", "admin"}

// String is the role's name in the config.
func (r Role) String() string {
	if r < 0 || int(r) >= len(roleNames) {
		return fmt.Sprintf("role(%d)", int(r))
	}
	return roleNames[r]
}

// ParseRoles reads role names; "approver" stands beside the others.
func ParseRoles(names []string) (role Role, approver bool, err error) {
	for _, name := range names {
		if name == "approver" {
			approver = true
			continue
		}
		i := slices.Index(roleNames[1:], name)
		if i < 0 {
			return Nobody, false, fmt.Errorf("unknown role %q: known are viewer, operator, admin, approver", name)
		}
		role = max(role, Role(i+1))
	}
	return role, approver, nil
}

// rootIdentity is never another person: root can become everybody.
const rootIdentity Identity = "uid:0"

// Person is an entry of the config's people.
type Person struct {
	Name       string
	Identities []Identity
	Roles      []string
}

// Group adds roles to people who are its members.
type Group struct {
	ID    Identity
	Roles []string
}

// People is who is known. Only its persons can request or decide anything
// that changes something.
type People struct {
	persons map[string]person
	byID    map[Identity]string
	groups  map[Identity]groupRoles
}

type person struct {
	role     Role
	approver bool
}

type groupRoles struct {
	role     Role
	approver bool
}

// NewPeople checks and indexes persons and groups. The same identity with two
// persons, or twice with one, is an error.
func NewPeople(persons []Person, groups []Group) (*People, error) {
	p := &People{persons: map[string]person{}, byID: map[Identity]string{}, groups: map[Identity]groupRoles{}}
	for _, entry := range persons {
		role, approver, err := ParseRoles(entry.Roles)
		if err != nil {
			return nil, fmt.Errorf("people: %s: %w", entry.Name, err)
		}
		if _, twice := p.persons[entry.Name]; twice || entry.Name == "" {
			return nil, fmt.Errorf("people: the name %q is empty or given twice", entry.Name)
		}
		p.persons[entry.Name] = person{role: role, approver: approver}
		for _, id := range entry.Identities {
			if other, taken := p.byID[id]; taken {
				return nil, fmt.Errorf("people: identity %s is given to %s and to %s; an identity is one person", id, other, entry.Name)
			}
			p.byID[id] = entry.Name
		}
	}
	for _, g := range groups {
		role, approver, err := ParseRoles(g.Roles)
		if err != nil {
			return nil, fmt.Errorf("groups: %s: %w", g.ID, err)
		}
		if _, twice := p.groups[g.ID]; twice {
			return nil, fmt.Errorf("groups: %s is given twice", g.ID)
		}
		p.groups[g.ID] = groupRoles{role: role, approver: approver}
	}
	return p, nil
}

// Subject is the person behind a call, with the rights of this moment.
type Subject struct {
	Name     string // the person's name in the config; for a group's stranger the identity
	Listed   bool   // an entry of people
	Role     Role
	Approver bool
	Root     bool // the call came from uid 0
	Why      string
}

// Who finds the person and the rights of a caller. Somebody unknown is
// Nobody; a group can make somebody who is not listed a viewer, no more. So is
// an identity that people gives to one person and the list of tokens to
// another: who has made a token chose its name himself.
func (p *People) Who(c Caller) Subject {
	s := Subject{Name: string(c.Identity), Root: c.Identity == rootIdentity}
	name, ok := p.byID[c.Identity]
	switch {
	case c.Person == "" || ok && name == c.Person:
	case ok:
		s.Why = "people and the list of tokens give this identity to two persons"
		return s
	default:
		_, ok = p.persons[c.Person]
		name = c.Person
	}
	if ok && c.Identity != "" {
		entry := p.persons[name]
		s.Name, s.Listed, s.Role, s.Approver = name, true, entry.role, entry.approver
		s.Why = "people." + name
	}
	for _, id := range c.Groups {
		g, ok := p.groups[id]
		if !ok {
			continue
		}
		if !s.Listed {
			if g.role >= Viewer {
				s.Role, s.Why = Viewer, "groups."+string(id)
			}
			continue
		}
		s.Role = max(s.Role, g.role)
		s.Approver = s.Approver || g.approver
		s.Why += "+groups." + string(id)
	}
	if c.Ceiling != Nobody && c.Ceiling < s.Role {
		s.Role = c.Ceiling
		s.Why += ", limited to " + c.Ceiling.String() + " by the token"
	}
	return s
}

// Has returns the person whom the people list gives an identity to.
func (p *People) Has(id Identity) (name string, ok bool) {
	name, ok = p.byID[id]
	return name, ok
}

// Named returns the rights of a person by name, as the people list alone
// gives them.
func (p *People) Named(name string) (Subject, bool) {
	entry, ok := p.persons[name]
	return Subject{Name: name, Listed: ok, Role: entry.role, Approver: entry.approver, Why: "people." + name}, ok
}

// Approvers lists, in order, the persons whom the people list itself makes
// approvers. Root's entry counts for its person only where that person has
// another identity too.
func (p *People) Approvers() []string {
	var names []string
	for name, entry := range p.persons {
		if entry.approver {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// onlyRoot reports whether a person has no identity but root's.
func (p *People) onlyRoot(name string) bool {
	only := false
	for id, n := range p.byID {
		if n != name {
			continue
		}
		if id != rootIdentity {
			return false
		}
		only = true
	}
	return only
}

// Version is part of what a stored approval is bound to.
func (p *People) version() string {
	var lines []string
	for name, entry := range p.persons {
		lines = append(lines, fmt.Sprintf("person %s %d %t", name, entry.role, entry.approver))
	}
	for id, name := range p.byID {
		lines = append(lines, fmt.Sprintf("identity %s %s", id, name))
	}
	for id, g := range p.groups {
		lines = append(lines, fmt.Sprintf("group %s %d %t", id, g.role, g.approver))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}
