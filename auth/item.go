package auth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
)

// item is all that the keyring has about a server in one piece: cookie, its
// name, nonce and access token change together, so that no process ever sees
// half of a rotation.
type item struct {
	Serial int64 // grows with each rotation: the higher one is the newer
	duplicati.Session

	Until      time.Time // the access token is used no longer than this, by this host's clock
	Generation duplicati.Generation
	Version    string
	Asked      time.Time // when the server was asked for these two
	By         string    // what it was logged in with
	Pin        string    // of the certificate that a person agreed to; outlives the session
}

// stored is how an item is written. Its words are in clear in it and nowhere
// else.
type stored struct {
	Form       int       `json:"form"`
	Origin     string    `json:"origin"`
	Serial     int64     `json:"serial"`
	CookieName string    `json:"cookie_name,omitempty"`
	Cookie     string    `json:"cookie,omitempty"`
	Nonce      string    `json:"nonce,omitempty"`
	Access     string    `json:"access,omitempty"`
	Until      time.Time `json:"until,omitzero"`
	Ends       time.Time `json:"ends,omitzero"`
	Generation string    `json:"generation,omitempty"`
	Version    string    `json:"version,omitempty"`
	Asked      time.Time `json:"asked,omitzero"`
	By         string    `json:"by,omitempty"`
	Pin        string    `json:"pin,omitempty"`
}

// itemForm is raised when a later version could not be read by this one.
const itemForm = 1

func (i item) encode(origin string) (secret.Value, error) {
	text, err := json.Marshal(stored{
		Form: itemForm, Origin: origin, Serial: i.Serial,
		CookieName: i.CookieName, Cookie: i.Cookie.Reveal(), Nonce: i.Nonce.Reveal(), Access: i.Access.Reveal(),
		Until: i.Until.UTC(), Ends: i.RefreshEnds.UTC(), Generation: string(i.Generation), Version: i.Version, Asked: i.Asked.UTC(), By: i.By, Pin: i.Pin,
	})
	return secret.New(string(text)), err
}

// decodeItem reads what encode wrote for the same origin. ok is false for
// anything else: nobody knows what it would be good for.
func decodeItem(word secret.Value, origin string) (i item, ok bool) {
	var s stored
	if json.Unmarshal([]byte(word.Reveal()), &s) != nil || s.Form != itemForm || s.Origin != origin {
		return item{}, false
	}
	generation, _ := duplicati.ParseGeneration(s.Generation)
	return item{
		Serial: s.Serial, Until: s.Until, Generation: generation, Version: s.Version, Asked: s.Asked, By: s.By, Pin: s.Pin,
		Session: duplicati.Session{
			CookieName: s.CookieName, Cookie: secret.New(s.Cookie), Nonce: secret.New(s.Nonce), Access: secret.New(s.Access), AccessEnds: s.Until, RefreshEnds: s.Ends,
		},
	}, true
}

// next is the item after a login or a refresh that gave s.
func (i item) next(s duplicati.Session, now time.Time) item {
	i.Serial++
	i.Session = s
	i.Until = s.AccessEnds
	if life, ok := lifetime(s.Access); ok {
		// By our own clock: the server's may be off. And a little early, for
		// calls that are on their way.
		i.Until = now.Add(life - min(30*time.Second, life/5))
	}
	return i
}

// ended is the item after a logout: the pin stays.
func (i item) ended() item { return item{Serial: i.Serial + 1, Pin: i.Pin} }

// empty reports whether there is nothing that the keyring should hold.
func (i item) empty() bool { return i.Pin == "" && i.Cookie.Empty() && i.Access.Empty() }

// lifetime reads how long a token is good for. Its signature is the server's
// business.
func lifetime(token secret.Value) (time.Duration, bool) {
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		return 0, false
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return 0, false
	}
	var c struct {
		NotBefore int64 `json:"nbf"`
		Expires   int64 `json:"exp"`
	}
	if json.Unmarshal(claims, &c) != nil || c.NotBefore <= 0 || c.Expires <= c.NotBefore {
		return 0, false
	}
	return time.Duration(c.Expires-c.NotBefore) * time.Second, true
}

// load reads what the keyring has now. What cannot be read as an item counts
// as none: a new login replaces it.
func (s *server) load(ctx context.Context) (item, error) {
	word, err := s.Ring.Fresh(ctx, s.key)
	var i item
	switch {
	case err == nil:
		ok := false
		if i, ok = decodeItem(word, s.origin); !ok {
			s.Log.Warn("the keyring's item of a server is not what was stored; it counts as none", "server", s.Name, "item", s.key)
		}
	case errors.Is(err, keyring.ErrNotFound):
	case errors.Is(err, keyring.ErrCorrupt):
		s.Log.Warn("the keyring's item of a server is damaged; it counts as none", "server", s.Name, "item", s.key)
	default:
		return item{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unsaved && s.known.Serial > i.Serial {
		return s.known, nil
	}
	s.unsaved = false // another process has been further
	return i, nil
}

// saveTries is how often a rotated token is offered to the keyring before it
// is kept in memory alone.
const saveTries = 3

// save puts i into the keyring before anything of it is used.
func (s *server) save(ctx context.Context, i item) error {
	word, err := i.encode(s.origin)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		if err = s.put(ctx, i, word); err == nil || try == saveTries || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(try) * 200 * time.Millisecond):
		}
	}
}

func (s *server) put(ctx context.Context, i item, word secret.Value) error {
	if i.empty() {
		return s.Ring.Delete(ctx, s.key)
	}
	return s.Ring.Put(ctx, s.key, word)
}
