package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

var (
	slackUser  = newForm(`^[TE][A-Z0-9]{2,20}/[UW][A-Z0-9]{2,20}$`)
	slackGroup = newForm(`^[TE][A-Z0-9]{2,20}/S[A-Z0-9]{2,20}$`)
	sidForm    = newForm(`^S-1(-[0-9]{1,12}){1,16}$`)
	tokenName  = newForm(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)
)

const identityHint = "identities are slack:T0123/U0456, mcp:TOKEN, os:ACCOUNT, uid:1000 or oidc:ISSUER#SUBJECT"

func (k *checker) people() {
	taken := map[string]string{} // identity -> person
	approvers := 0
	for i := range k.c.People {
		p := &k.c.People[i]
		key := join("people", p.Name)
		if !personForm.MatchString(p.Name) {
			k.bad(key, "letters, digits, dots, dashes and underscores, up to 40", "this cannot be the name of a person")
		}
		for _, other := range k.c.People[:i] {
			if strings.EqualFold(other.Name, p.Name) {
				k.bad(key, "", "two persons have names that differ in upper and lower case only")
			}
		}
		for j, written := range p.Identities {
			at := fmt.Sprintf("%s.identities[%d]", key, j)
			id := k.identity(at, written)
			p.Identities[j] = id
			if other, twice := taken[id]; twice && id != "" {
				k.bad(at, "an identity is one person", "%s is given to %s and to %s", id, other, p.Name)
			}
			taken[id] = p.Name
		}
		if len(p.Identities) == 0 {
			k.warn(key, identityHint, "%s has no identity, so nobody can be this person", p.Name)
		}
		k.wordList(key+".roles", p.Roles, roleWords)
		if slices.Contains(p.Roles, "approver") {
			approvers++
		}
	}
	for _, g := range k.c.Groups {
		key := join("groups", g.ID)
		if rest, is := strings.CutPrefix(g.ID, "slack:"); !is || !slackGroup.MatchString(rest) {
			k.bad(key, "", "a group is slack:TEAM/GROUP, such as slack:T0123/S0789")
		}
		k.wordList(key, g.Roles, roleWords)
	}
	if len(k.c.People) == 0 {
		k.owner()
	} else if approvers == 0 {
		k.warn("people", "give somebody the role approver", "nobody is an approver, so critical operations are always refused")
	}
}

// owner makes this account the only person, as it is without a file.
func (k *checker) owner() {
	own, err := OwnIdentity()
	if err != nil {
		k.bad("people", "", "no person is named, and which account this is cannot be found out")
		return
	}
	k.c.People = []Person{{Name: ownName(), Identities: []string{own}, Roles: []string{"admin", "approver"}}}
	if k.c.Slack != nil || k.c.MCP.HTTP != nil {
		k.warn("people", "add an entry for everybody who shall, and for yourself", "no person is named, so nobody but this account at a terminal can do anything")
	}
}

// identity reads an identity as it is written and returns it as callers have
// it, "" when it is none.
func (k *checker) identity(key, written string) string {
	kind, id, _ := strings.Cut(written, ":")
	ok := false
	switch kind {
	case "slack":
		ok = slackUser.MatchString(id)
	case "mcp":
		ok = tokenName.MatchString(id)
	case "uid":
		uid, err := strconv.ParseUint(id, 10, 32)
		ok = err == nil && strconv.FormatUint(uid, 10) == id
	case "os":
		identity, err := k.account(id)
		if err != nil {
			k.bad(key, "write uid: and its number, as id -u shows it", "this host has no account of that name")
			return ""
		}
		return identity
	case "sid":
		ok = sidForm.MatchString(id)
	case "oidc":
		issuer, subject, cut := strings.Cut(id, "#")
		ok = cut && subject != "" && checkURL(issuer, loopbackHTTP) == ""
	}
	if !ok {
		k.bad(key, identityHint, "this is no identity")
		return ""
	}
	return written
}
