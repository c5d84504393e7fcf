package store

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// Pages are one-time pages on which a person gives a secret or reads one. Of
// link and code only hashes are here.
type Pages struct{ db *DB }

// PageKind is which way a secret goes.
type PageKind string

const (
	PageIn  PageKind = "in"  // a person gives a secret
	PageOut PageKind = "out" // a person reads one
)

// Page is one of them.
type Page struct {
	ID       string
	Approval string // the request that it belongs to
	Slot     string // the parameter that is given, or what is read
	Kind     PageKind
	Link     string // hash of the secret part of the link, hex
	Code     string // hash of the code, hex
	Person   string // whose it is
	Created  time.Time
	Expires  time.Time
	Used     time.Time // zero until then
	Tries    int       // wrong codes so far
}

// MaxTries is after how many wrong codes a page is dead.
const MaxTries = 5

// clockSlack is how far a clock may be set back before pages that were made
// after that time count as expired, so that none lives longer.
const clockSlack = time.Minute

const pageColumns = `id, approval, slot, kind, link, code, person, created, expires, used, tries`

// Create stores p.
func (s *Pages) Create(ctx context.Context, p Page) error {
	if p.Link == "" || p.Code == "" {
		return errors.New("store page: it needs the hashes of a link and a code")
	}
	if p.Created.IsZero() {
		p.Created = s.db.now()
	}
	_, err := s.db.exec(ctx, "store page "+p.ID,
		`INSERT INTO pages (`+pageColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0)`,
		p.ID, p.Approval, p.Slot, string(p.Kind), p.Link, p.Code, p.Person, millis(p.Created), millis(p.Expires))
	return err
}

// ByLink shows which page a link's hash belongs to, whatever state it is in.
// It uses nothing up. A link that is not known is an Error of code NotFound.
func (s *Pages) ByLink(ctx context.Context, link string) (Page, error) {
	return pageByLink(ctx, s.db.reader, link)
}

// Of lists the pages of a request, oldest first.
func (s *Pages) Of(ctx context.Context, approval string) ([]Page, error) {
	return collect(ctx, s.db.reader, "list pages of "+approval, scanPage,
		`SELECT `+pageColumns+` FROM pages WHERE approval = $1 ORDER BY created, id`, approval)
}

// Use uses the page up, once however many come at once, when the hash of the
// code fits; a wrong one is counted. Otherwise the Error says so to the person
// with the page, and has code NotFound, AlreadyDecided (it was used), Expired,
// Denied (a wrong code) or TooMany (wrong codes, so it is closed).
func (s *Pages) Use(ctx context.Context, link, code string) (Page, error) {
	var p Page
	var refused *tools.Error // no error of the transaction: a wrong code is stored
	err := s.db.write(ctx, "use page", func(tx *sql.Tx) error {
		var err error
		if p, err = pageByLink(ctx, tx, link); err != nil {
			return err
		}
		now := trim(s.db.now())
		if refused = p.refuse(now, code); refused == nil {
			p.Used = now
			_, err = tx.ExecContext(ctx, `UPDATE pages SET used = $1 WHERE id = $2`, millis(now), p.ID)
		} else if refused.Code == tools.Denied {
			p.Tries++
			_, err = tx.ExecContext(ctx, `UPDATE pages SET tries = $1 WHERE id = $2`, p.Tries, p.ID)
		}
		return err
	})
	if err != nil {
		return Page{}, err
	}
	if refused != nil {
		return p, refused
	}
	return p, nil
}

// refuse says why p cannot be used with code, nil when it can.
func (p Page) refuse(now time.Time, code string) *tools.Error {
	refused := func(code tools.Code, words string) *tools.Error {
		return tools.Errorf(code, "%s; nothing was changed", words).WithHint("ask for a new link")
	}
	switch {
	case !p.Used.IsZero():
		return refused(tools.AlreadyDecided, "this page was used already").
			WithHint("if that was not you, tell an admin; else ask for a new link")
	case p.Tries >= MaxTries:
		return refused(tools.TooMany, "a wrong code was entered too often, so this page is closed")
	case !now.Before(p.Expires), now.Before(p.Created.Add(-clockSlack)):
		return refused(tools.Expired, "this page has expired")
	case subtle.ConstantTimeCompare([]byte(code), []byte(p.Code)) != 1:
		return refused(tools.Denied, "the code is wrong").
			WithHint("enter the code that came another way than the link; tries left: %d", MaxTries-p.Tries-1).Retryable()
	}
	return nil
}

// Close ends what is still unused of a request's pages, when it was withdrawn
// or decided, and returns how many.
func (s *Pages) Close(ctx context.Context, approval string) (int64, error) {
	now := millis(s.db.now())
	return s.db.exec(ctx, "close pages of "+approval,
		`UPDATE pages SET expires = $1 WHERE approval = $2 AND used = 0 AND expires > $1`, now, approval)
}

func pageByLink(ctx context.Context, q queryer, link string) (Page, error) {
	list, err := collect(ctx, q, "read page", scanPage, `SELECT `+pageColumns+` FROM pages WHERE link = $1`, link)
	if err != nil {
		return Page{}, err
	}
	if len(list) == 0 {
		return Page{}, tools.Errorf(tools.NotFound, "there is no such page; nothing was changed").WithHint("ask for a new link")
	}
	return list[0], nil
}

func scanPage(rows *sql.Rows) (Page, error) {
	var p Page
	var created, expires, used int64
	err := rows.Scan(&p.ID, &p.Approval, &p.Slot, &p.Kind, &p.Link, &p.Code, &p.Person, &created, &expires, &used, &p.Tries)
	p.Created, p.Expires, p.Used = instant(created), instant(expires), instant(used)
	return p, err
}
