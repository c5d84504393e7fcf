package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// Tokens are what AI assistants prove themselves with over HTTP. The token
// itself is not here, only its hash.
type Tokens struct {
	db *DB

	mu   sync.Mutex
	find *sql.Stmt
}

// Token is one assistant's, in the name of a person.
type Token struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"` // "ann-laptop", unique
	Person   string     `json:"person"`
	Maker    string     `json:"maker,omitempty"`    // who made it in that person's name, "" for himself
	Hash     string     `json:"-"`                  // SHA-256 of the token, hex
	Ceiling  tools.Role `json:"ceiling,omitempty"`  // Nobody is no limit
	Toolsets []string   `json:"toolsets,omitempty"` // nil is no limit; empty allows none
	Created  time.Time  `json:"created"`
	LastUsed time.Time  `json:"last_used,omitzero"` // to the minute
	Revoked  time.Time  `json:"revoked,omitzero"`
}

// lastUsedStep keeps a token that is used all the time from costing a write
// for each call.
const lastUsedStep = time.Minute

const tokenColumns = `id, name, person, maker, hash, ceiling, toolsets, created, last_used, revoked`

// Create stores t. A name that is taken, by a revoked token too, is an Error of
// code Conflict: records name tokens by it.
func (s *Tokens) Create(ctx context.Context, t Token) error {
	toolsets, err := json.Marshal(t.Toolsets)
	if err != nil {
		return err
	}
	ceiling := ""
	if t.Ceiling != tools.Nobody {
		ceiling = t.Ceiling.String()
	}
	if t.Created.IsZero() {
		t.Created = s.db.now()
	}
	_, err = s.db.exec(ctx, "store token "+t.Name,
		`INSERT INTO tokens (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0)`,
		t.ID, t.Name, t.Person, t.Maker, t.Hash, ceiling, string(toolsets), millis(t.Created))
	if isDuplicate(err) {
		return tools.Errorf(tools.Conflict, "there is a token %.40q already; nothing was made", t.Name).
			WithHint("give another name; the name of a revoked token is not used again").Because(err)
	}
	return err
}

// ByHash finds a token that may be used. One that is unknown or revoked is an
// Error of code NotLoggedIn.
func (s *Tokens) ByHash(ctx context.Context, hash string) (Token, error) {
	t, err := s.byHash(ctx, hash)
	if errors.Is(err, sql.ErrNoRows) {
		return Token{}, tools.Errorf(tools.NotLoggedIn, "this token is not known, or was revoked").
			WithHint("make one with: token create")
	}
	return t, err
}

// byHash is what every request of every assistant costs. It is prepared once,
// as to parse it takes longer than to run it, and not cancelled, as to watch
// for that does too.
func (s *Tokens) byHash(ctx context.Context, hash string) (Token, error) {
	const what = "read token"
	if err := s.prepare(ctx); err != nil {
		return Token{}, readable(what, err)
	}
	t, err := scanToken(s.find.QueryRowContext(context.WithoutCancel(ctx), hash))
	return t, readable(what, err)
}

// prepare makes the statement where there is none yet. The pool's end is its
// end.
func (s *Tokens) prepare(ctx context.Context) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find == nil {
		s.find, err = s.db.reader.PrepareContext(ctx, `SELECT `+tokenColumns+` FROM tokens WHERE hash = $1 AND revoked = 0`)
	}
	return err
}

// MadeBy returns who made the token of that name for another person, "" when
// there is none.
func (s *Tokens) MadeBy(ctx context.Context, name string) (person string, err error) {
	err = s.db.reader.QueryRowContext(ctx, `SELECT maker FROM tokens WHERE name = $1`, name).Scan(&person)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return person, readable("see who made token "+name, err)
}

// Touch notes that t, as ByHash returned it, is used now. It is apart from
// ByHash because reads go on when the store cannot be written.
func (s *Tokens) Touch(ctx context.Context, t Token) error {
	now := s.db.now()
	if now.Sub(t.LastUsed).Abs() < lastUsedStep {
		return nil
	}
	_, err := s.db.exec(ctx, "note the use of token "+t.Name, `UPDATE tokens SET last_used = $1 WHERE id = $2`, millis(now), t.ID)
	return err
}

// All lists tokens, the revoked ones too, by name.
func (s *Tokens) All(ctx context.Context) ([]Token, error) {
	return collect(ctx, s.db.reader, "list tokens", tokenIn, `SELECT `+tokenColumns+` FROM tokens ORDER BY name`)
}

// Revoke ends the token with this ID or name for good and returns it. One that
// is revoked stays as it is.
func (s *Tokens) Revoke(ctx context.Context, idOrName string) (Token, error) {
	if _, err := s.db.exec(ctx, "revoke token "+idOrName,
		`UPDATE tokens SET revoked = $1 WHERE (id = $2 OR name = $2) AND revoked = 0`, millis(s.db.now()), idOrName); err != nil {
		return Token{}, err
	}
	list, err := collect(ctx, s.db.reader, "read token", tokenIn, `SELECT `+tokenColumns+` FROM tokens WHERE id = $1 OR name = $1`, idOrName)
	if err == nil && len(list) == 0 {
		err = tools.Errorf(tools.NotFound, "there is no token %.40q", idOrName).WithHint("see: token list")
	}
	if err != nil {
		return Token{}, err
	}
	return list[0], nil
}

func tokenIn(rows *sql.Rows) (Token, error) { return scanToken(rows) }

func scanToken(row interface{ Scan(...any) error }) (Token, error) {
	var t Token
	var ceiling, toolsets string
	var created, lastUsed, revoked int64
	err := row.Scan(&t.ID, &t.Name, &t.Person, &t.Maker, &t.Hash, &ceiling, &toolsets, &created, &lastUsed, &revoked)
	if err != nil {
		return Token{}, err
	}
	t.Created, t.LastUsed, t.Revoked = instant(created), instant(lastUsed), instant(revoked)
	if ceiling != "" {
		// A word that is no role is an error, not "no limit".
		if t.Ceiling, _, err = tools.ParseRoles([]string{ceiling}); err != nil {
			return Token{}, err
		}
	}
	return t, json.Unmarshal([]byte(toolsets), &t.Toolsets)
}
