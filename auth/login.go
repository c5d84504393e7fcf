package auth

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/auth/serverdb"
	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

const (
	// systemKey is how a Duplicati server of 2.3 and later files the key of its
	// database in the operating system's keyring (its default secret provider).
	systemKey = "duplicati-server-encryption-key"

	systemKeyWithin = 5 * time.Second
)

// loggedIn is a session that was just opened, and how.
type loggedIn struct {
	session duplicati.Session
	by      string
	notes   []string // what did not work before it did
}

// logIn opens a session with password or, when that is empty, by the server's
// database, the password that the bot set, or the reference. before says why a
// login is needed, "" when that needs no saying.
func (s *server) logIn(ctx context.Context, c *duplicati.Client, password secret.Value, before string) (loggedIn, error) {
	if !password.Empty() {
		session, err := c.Login(ctx, password, true)
		if duplicati.KindOf(err) == duplicati.LoginFailed {
			return loggedIn{}, tools.Errorf(tools.NotLoggedIn, "%s did not accept the password; nothing was changed", s.Name).Because(err)
		}
		return loggedIn{session: session, by: "password"}, err
	}
	in := loggedIn{}
	if before != "" {
		in.notes = append(in.notes, before)
	}
	for _, way := range []func(context.Context, *duplicati.Client) (duplicati.Session, string, error){s.byDatabase, s.byKept, s.byReference} {
		session, by, err := way(ctx, c)
		if err == nil {
			in.session, in.by = session, by
			return in, nil
		}
		var no *unfit
		if !errors.As(err, &no) {
			return loggedIn{}, err
		}
		if no.why != "" {
			in.notes = append(in.notes, no.why)
		}
	}
	if len(in.notes) == 0 {
		in.notes = []string{"there is no stored session, no database and no password reference"}
	}
	return loggedIn{}, tools.Errorf(tools.NotLoggedIn, "the bot cannot log in to %s: %s; nothing was done", s.Name, strings.Join(in.notes, "; ")).
		WithHint("log in at a terminal: duplibot login --server %s; or give its password by a reference in the configuration", s.Name)
}

// unfit says that a way to log in is none here; the next one is tried.
type unfit struct{ why string } // "" when it was not meant to be one

func (u *unfit) Error() string { return u.why }

// refusal sorts what a login came to: what the server refused is unfit, with
// words; that it cannot be reached is an error.
func refusal(err error, words string) error {
	switch duplicati.KindOf(err) {
	case duplicati.LoginFailed, duplicati.SigninDisabled:
		return &unfit{words}
	}
	return err
}

// byDatabase signs in with a token made from the server's own database.
func (s *server) byDatabase(ctx context.Context, c *duplicati.Client) (duplicati.Session, string, error) {
	if !s.Database.Use {
		return duplicati.Session{}, "", &unfit{}
	}
	if !loopback(s.URL) {
		return duplicati.Session{}, "", &unfit{"its database is not used, as its url is not of this host"}
	}
	path := s.Database.Path
	if path == "" {
		var err error
		if path, err = serverdb.Find(serverdb.Host{Folder: s.Database.Folder}); err != nil {
			return duplicati.Session{}, "", &unfit{dropHint(err)}
		}
	}
	signing, err := serverdb.Read(ctx, path, s.fieldKey)
	if err != nil {
		return duplicati.Session{}, "", &unfit{dropHint(err)}
	}
	session, err := c.SignIn(ctx, signing.Mint(s.Now()), true)
	return session, "database", refusal(err, "it did not accept the sign-in token made from "+path+", which may be another server's")
}

// dropHint leaves out what stands behind a semicolon: the way out.
func dropHint(err error) string {
	what, _, _ := strings.Cut(err.Error(), "; ")
	return what
}

// fieldKey finds what the database's fields are encrypted with, as the server
// itself does, but makes no key where there is none.
func (s *server) fieldKey(ctx context.Context) (secret.Value, error) {
	if !s.DatabaseKey.IsZero() {
		return s.References.Resolve(ctx, s.DatabaseKey)
	}
	for _, name := range []string{"SETTINGS_ENCRYPTION_KEY", "DUPLICATI__SETTINGS_ENCRYPTION_KEY"} {
		if word := strings.TrimSpace(os.Getenv(name)); word != "" {
			return secret.New(word), nil
		}
	}
	word, err := keyring.Foreign(ctx, systemKey, systemKeyWithin)
	if errors.Is(err, keyring.ErrNotFound) {
		return secret.Value{}, nil
	}
	return word, err
}

// byKept logs in with the password that was changed through the bot.
func (s *server) byKept(ctx context.Context, c *duplicati.Client) (duplicati.Session, string, error) {
	word, err := s.Ring.Fresh(ctx, s.passwordItem())
	if errors.Is(err, keyring.ErrNotFound) {
		return duplicati.Session{}, "", &unfit{}
	}
	if err != nil {
		return duplicati.Session{}, "", err
	}
	session, err := c.Login(ctx, word, true)
	return session, "password", refusal(err, "it did not accept the password that was last set through the bot")
}

// byReference logs in with the password that the configuration refers to.
func (s *server) byReference(ctx context.Context, c *duplicati.Client) (duplicati.Session, string, error) {
	if s.Password.IsZero() {
		return duplicati.Session{}, "", &unfit{}
	}
	word, err := s.References.Resolve(ctx, s.Password)
	if err != nil {
		var e *tools.Error
		if errors.As(err, &e) {
			what, _, _ := strings.Cut(e.Message, "; ")
			return duplicati.Session{}, "", &unfit{what}
		}
		return duplicati.Session{}, "", err
	}
	session, err := c.Login(ctx, word, true)
	return session, "password", refusal(err, "it did not accept the password of "+s.Password.String())
}

// loopback reports whether a URL is of this host.
func loopback(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
