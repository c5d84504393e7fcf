package web

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// Kind is which way a secret goes.
type Kind string

const (
	In  Kind = "in"  // a person gives one
	Out Kind = "out" // a person reads one
)

// Page is a page as it is stored.
type Page struct {
	ID       string
	Approval string // the request that it belongs to, "" for none
	Slot     string // what is given or read: JSON, opaque to the store
	Kind     Kind
	Link     string // hash of the secret part of the link, hex
	Code     string // hash of the code, hex
	Person   string // whose it is
	Created  time.Time
	Expires  time.Time
	Used     time.Time // zero until then
	Tries    int       // wrong codes so far
}

// Pages keeps them. Links and codes are hashes. Errors are for the person with
// the page, of the codes that Use names.
type Pages interface {
	Create(ctx context.Context, p Page) error
	// ByLink finds a page, whatever state it is in; an unknown link is an
	// Error of code NotFound.
	ByLink(ctx context.Context, link string) (Page, error)
	// Of lists the pages of a request, oldest first.
	Of(ctx context.Context, approval string) ([]Page, error)
	// Use uses a page up, once however many come at once, when the code fits; a
	// wrong one is counted. Otherwise the Error has code NotFound,
	// AlreadyDecided (it was used), Expired, Denied (a wrong code) or TooMany
	// (wrong codes, so it is closed).
	Use(ctx context.Context, link, code string) (Page, error)
	// Close ends what is still unused of a request's pages.
	Close(ctx context.Context, approval string) error
}

// slot is what a page is for.
type slot struct {
	Params []string `json:"params,omitempty"` // given here, in this order

	Handle    string         `json:"handle,omitempty"` // read here
	Owner     tools.Identity `json:"owner,omitempty"`  // for whom it is kept
	Name      string         `json:"name,omitempty"`   // of the file, if it is one
	Operation string         `json:"operation,omitempty"`
	Server    string         `json:"server,omitempty"`
}

func (p Page) what() (slot, error) {
	var s slot
	err := json.Unmarshal([]byte(p.Slot), &s)
	return s, err
}

// Opened is a page that can be used now. Link and Code must not reach the
// person by the same way, and the code no model at all.
type Opened struct {
	Link    string
	Code    secret.Value
	Expires time.Time
}

// Letters of codes: none that is mistaken for another, and no vowels, so that
// no words come out.
const (
	codeLetters = "BCDFGHJKMNPQRSTVWXYZ23456789"
	codeLength  = 8
	linkLetters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	linkLength  = 26 // 150 bits
)

var requestForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{3,63}$`)

// Enter opens the page on which the requester of a gives what a still needs.
// Pages of a that were open before are closed.
func (s *Server) Enter(ctx context.Context, a tools.Approval) (Opened, error) {
	return s.enter(ctx, a, newCode())
}

func (s *Server) enter(ctx context.Context, a tools.Approval, code string) (Opened, error) {
	if a.State != tools.StateInput || len(a.Needs) == 0 {
		return Opened{}, tools.Errorf(tools.AlreadyDecided, "request %s waits for nothing to be entered: it is %s; no page was opened", a.ID, a.State)
	}
	if err := s.Pages.Close(ctx, a.ID); err != nil {
		return Opened{}, err
	}
	p := Page{Approval: a.ID, Kind: In, Person: a.Requester, Expires: a.Expires}
	return s.open(ctx, p, slot{Params: slices.Clone(a.Needs)}, code)
}

// Show opens a page on which c reads, once, what was kept under handle. What
// was kept stays when nobody does.
func (s *Server) Show(ctx context.Context, c tools.Caller, handle string) (Opened, error) {
	if handle == "" || c.Identity == "" {
		return Opened{}, tools.Errorf(tools.NotFound, "nothing was kept; no page was opened")
	}
	p := Page{Kind: Out, Person: string(c.Identity)}
	if s.Name != nil {
		p.Person = cmp.Or(s.Name(c), p.Person)
	}
	return s.open(ctx, p, slot{Handle: handle, Owner: c.Identity}, newCode())
}

// Code makes the code for the pages of a request, for the person who asked and
// has proven at a terminal or in Slack who that is. It goes with Link. Each
// call makes a new one, and closes what was open before.
func (s *Server) Code(ctx context.Context, person, approval string) (secret.Value, error) {
	a, err := s.Desk.Request(ctx, approval)
	if err != nil {
		return secret.Value{}, err
	}
	if person == "" || a.Requester != person {
		return secret.Value{}, tools.Errorf(tools.Denied, "request %s is %s's, who alone gets its code; nothing was done", a.ID, a.Requester)
	}
	code := newCode()
	if a.State == tools.StateInput {
		_, err := s.enter(ctx, a, code)
		return secret.New(spaced(code)), err
	}
	if err := s.Pages.Close(ctx, a.ID); err != nil {
		return secret.Value{}, err
	}
	opened := 0
	for _, k := range a.Kept {
		if !k.Page || k.Handle == "" {
			continue
		}
		p := Page{Approval: a.ID, Kind: Out, Person: a.Requester}
		if _, err := s.open(ctx, p, slot{Handle: k.Handle, Owner: a.Caller.Identity, Name: k.Name, Operation: a.Operation, Server: a.Server}, code); err != nil {
			return secret.Value{}, err
		}
		opened++
	}
	if opened == 0 {
		return secret.Value{}, tools.Errorf(tools.NotFound, "request %s is %s and has nothing to be entered or read on a page", a.ID, a.State)
	}
	return secret.New(spaced(code)), nil
}

// open stores a new page. It ends after openFor, or when p already says so
// before.
func (s *Server) open(ctx context.Context, p Page, what slot, code string) (Opened, error) {
	words, err := json.Marshal(what)
	if err != nil {
		return Opened{}, fmt.Errorf("open a page: %w", err)
	}
	link := random(linkLetters, linkLength)
	p.ID, p.Slot, p.Link, p.Created = "p"+random(linkLetters, 12), string(words), hashOf(link), s.Now()
	if end := p.Created.Add(openFor); p.Expires.IsZero() || end.Before(p.Expires) {
		p.Expires = end
	}
	if p.Code, err = s.codeHash(ctx, p.ID, code); err != nil {
		return Opened{}, err
	}
	if err := s.Pages.Create(ctx, p); err != nil {
		return Opened{}, err
	}
	return Opened{Link: s.base.JoinPath("p", link).String(), Code: secret.New(spaced(code)), Expires: p.Expires}, nil
}

func newCode() string { return random(codeLetters, codeLength) }

// spaced is a code as people read it.
func spaced(code string) string { return code[:codeLength/2] + "-" + code[codeLength/2:] }

// typed is a code as somebody typed it, without what does not count.
func typed(code string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(codeLetters, r) {
			return r
		}
		return -1
	}, strings.ToUpper(code))
}

func hashOf(link string) string {
	sum := sha256.Sum256([]byte("duplibot page link\x00" + link))
	return hex.EncodeToString(sum[:])
}

// codeHash is an HMAC: a code is short, and whoever reads the store could try
// all of them.
func (s *Server) codeHash(ctx context.Context, page, code string) (string, error) {
	key, err := s.keyOnce(ctx)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("duplibot page code\x00" + page + "\x00" + code))
	return hex.EncodeToString(mac.Sum(nil)), nil
}

func (s *Server) keyOnce(ctx context.Context) ([]byte, error) {
	s.keyMu.Lock()
	defer s.keyMu.Unlock()
	if s.key != nil {
		return s.key, nil
	}
	key, err := s.Key(ctx)
	if err != nil {
		return nil, err
	}
	if len(key) < 32 {
		return nil, errors.New("web: the key for codes is shorter than 32 bytes")
	}
	s.key = key
	return key, nil
}
