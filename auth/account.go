package auth

import (
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// endWithin limits the end of a session that nothing depends on.
const endWithin = 5 * time.Second

// changeWithin limits what somebody asked for and the server may have begun.
const changeWithin = 2 * time.Minute

// Login begins a session and stores it. An empty password takes the database,
// the password that was set through the bot or the reference. The session
// before it is ended.
func (a *Sessions) Login(ctx context.Context, name string, by tools.Login) (tools.LoggedIn, error) {
	s, err := a.find(name)
	if err != nil {
		return tools.LoggedIn{}, err
	}
	if err := s.checkPin(by.Pin); err != nil {
		return tools.LoggedIn{}, err
	}
	var out tools.LoggedIn
	err = s.exclusive(ctx, func(ctx context.Context) error {
		out, err = s.login(ctx, by)
		return err
	})
	return out, err
}

var pinForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// checkPin says whether a pin can be taken up.
func (s *server) checkPin(pin string) error {
	switch {
	case pin == "" || slices.Contains(s.TLS.Pins, pin):
		return nil
	case !pinForm.MatchString(pin):
		return tools.Errorf(tools.InvalidArgument, "the pin is not sha256: and 64 lower-case hex digits; nothing was done")
	case s.pinnable():
		return nil
	case !s.TLS.Insecure && s.TLS.CAFile == "" && len(s.TLS.Pins) == 0:
		return tools.Errorf(tools.InvalidArgument, "%s is reached by http, which has no certificate to pin; nothing was done", s.Name)
	}
	return tools.Errorf(tools.Conflict, "the configuration says which certificate of %s is accepted, so none is pinned here; nothing was done", s.Name).
		WithHint("put %s into tls.pins of the server %s in the configuration, and take what else stands in tls out", pin, s.Name)
}

// exclusive runs f while no process renews or changes the session. Once it has
// begun it is finished, whether or not somebody waits: the server's answer
// must be stored. Its error is put into words.
func (s *server) exclusive(ctx context.Context, f func(context.Context) error) error {
	s.work.Add(1)
	defer s.work.Done()
	release, err := s.lock(ctx)
	if err != nil {
		return s.explain(err)
	}
	defer release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeWithin)
	defer cancel()
	if err := f(ctx); err != nil {
		return s.explain(err)
	}
	return nil
}

// login is Login under the lock.
func (s *server) login(ctx context.Context, by tools.Login) (tools.LoggedIn, error) {
	old, err := s.load(ctx)
	if err != nil {
		return tools.LoggedIn{}, err
	}
	base := old
	if by.Pin != "" && s.pinnable() {
		base.Pin = by.Pin
	}
	c, err := s.with(base.Pin)
	if err != nil {
		return tools.LoggedIn{}, err
	}
	in, err := s.logIn(ctx, c, by.Password, "")
	if err != nil {
		return tools.LoggedIn{}, err
	}
	next := base.next(in.session, s.Now())
	next.By, next.Asked = in.by, time.Time{}
	if err := s.save(ctx, next); err != nil {
		// A session that nobody can find again would live for a month.
		s.end(ctx, c, next.Session)
		return tools.LoggedIn{}, err
	}
	if err := s.adopt(next, true); err != nil {
		return tools.LoggedIn{}, err
	}
	out := tools.LoggedIn{By: in.by, Ends: in.session.RefreshEnds, Notes: in.notes}
	if asked, err := s.ask(ctx, next); err == nil {
		s.store(ctx, asked)
		out.Generation, out.Version = string(asked.Generation), asked.Version
	} else {
		out.Notes = append(out.Notes, "the server did not say which version it is")
		s.Log.Info("server not asked for its version", "server", s.Name, "error", err)
	}
	if c.Insecure() {
		out.Notes = append(out.Notes, "any certificate is accepted, so nobody can tell whose server this is")
	}
	if !old.Cookie.Empty() {
		s.end(ctx, c, old.Session)
	}
	out.Stored = "keyring (" + string(s.Ring.Probe(ctx).Backend) + "), item duplibot." + s.key
	return out, nil
}

// end ends a session that nobody needs any longer, if the server can be
// reached. It would else lie in the server's database until it expires.
func (s *server) end(ctx context.Context, c *duplicati.Client, session duplicati.Session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	if err := c.Logout(ctx, session); err != nil {
		s.Log.Info("session not ended on the server", "server", s.Name, "error", err)
	}
}

// Logout ends the stored session and proves that its token is refused. The
// tokens are forgotten here whatever the server says.
func (a *Sessions) Logout(ctx context.Context, name string) (tools.LoggedOut, error) {
	s, err := a.find(name)
	if err != nil {
		return tools.LoggedOut{}, err
	}
	var out tools.LoggedOut
	err = s.exclusive(ctx, func(ctx context.Context) error {
		out, err = s.logout(ctx)
		return err
	})
	return out, err
}

func (s *server) logout(ctx context.Context) (tools.LoggedOut, error) {
	old, err := s.load(ctx)
	if err != nil {
		return tools.LoggedOut{}, err
	}
	if old.Cookie.Empty() && old.Access.Empty() {
		return tools.LoggedOut{Notes: s.comesBack(ctx)}, nil
	}
	c, err := s.with(old.Pin)
	if err != nil {
		return tools.LoggedOut{}, err
	}
	out := tools.LoggedOut{Had: true}
	old, err = s.alive(ctx, old)
	if err == nil {
		err = c.Logout(ctx, old.Session)
	}
	if err == nil {
		err = c.ProveRefused(ctx, old.Session)
	}
	if duplicati.KindOf(err) == duplicati.LoginFailed { // of the refresh
		err = nil
		out.Notes = append(out.Notes, "the session had ended on the server before")
	}
	if err == nil {
		out.Refused = true
	} else {
		s.Log.Warn("session not seen to end", "server", s.Name, "error", err)
		out.Notes = append(out.Notes, s.notEnded(err, old))
	}
	if err := s.save(ctx, old.ended()); err != nil {
		return out, err
	}
	out.Notes = append(out.Notes, s.comesBack(ctx)...)
	return out, s.adopt(old.ended(), false)
}

// alive returns the session with an access token that the server takes: that
// an expired one is refused would prove nothing.
func (s *server) alive(ctx context.Context, i item) (item, error) {
	s.mu.Lock()
	ok := s.usable(i)
	s.mu.Unlock()
	if ok || i.Cookie.Empty() {
		return i, nil
	}
	next, err := s.refresh(ctx, i)
	if err != nil {
		return i, err
	}
	if err := s.save(ctx, next); err != nil { // it is about to end anyway
		s.Log.Warn("session not kept in the keyring", "server", s.Name, "error", err)
	}
	return next, nil
}

// notEnded says what becomes of a session that the server may still take.
func (s *server) notEnded(err error, old item) string {
	why := "the server could not be asked to end the session"
	switch duplicati.KindOf(err) {
	case duplicati.Conflict:
		why = "the server still takes the old token"
	case duplicati.Unsupported:
		why = "this server cannot end the session"
	}
	until := "it ends by itself"
	if !old.RefreshEnds.IsZero() {
		until += " on " + old.RefreshEnds.UTC().Format(time.DateOnly)
	}
	return why + "; " + until + ", and at once when the server is started with --webservice-reset-jwt-config=true. The tokens here are deleted"
}

// comesBack says that a logout does not last where there is a way to log in.
func (s *server) comesBack(ctx context.Context) []string {
	kept := false
	if _, err := s.Ring.Get(ctx, s.passwordItem()); err == nil {
		kept = true
	}
	switch {
	case kept:
		return []string{"the next call logs in again with the password in the keyring"}
	case !s.Password.IsZero():
		return []string{"the next call logs in again with the password of " + s.Password.String()}
	case s.Database.Use && loopback(s.URL):
		return []string{"the next call logs in again by the server's database"}
	}
	return nil
}

// ProvePassword logs in with password, and out again, to prove that it is the
// server's. A refused one is an error of code NotLoggedIn.
func (a *Sessions) ProvePassword(ctx context.Context, name string, password secret.Value) error {
	s, err := a.find(name)
	if err != nil {
		return err
	}
	i, err := s.load(ctx)
	if err != nil {
		return s.explain(err)
	}
	c, err := s.with(i.Pin)
	if err != nil {
		return s.explain(err)
	}
	session, err := c.Login(ctx, password, false)
	if duplicati.KindOf(err) == duplicati.LoginFailed {
		return tools.Errorf(tools.NotLoggedIn, "%s does not accept the password; nothing was changed", s.Name).Because(err)
	}
	if err != nil {
		return s.explain(err)
	}
	if !session.Cookie.Empty() {
		s.end(ctx, c, session)
	}
	return nil
}

func (s *server) passwordItem() string { return s.key + ".password" }
func (s *server) stagedItem() string   { return s.key + ".staged" }

// StagePassword stores a new password and reads it back, before it is set. It
// counts for nothing until KeepPassword.
func (a *Sessions) StagePassword(ctx context.Context, name string, password secret.Value) error {
	s, err := a.find(name)
	if err != nil {
		return err
	}
	if err := s.Ring.Put(ctx, s.stagedItem(), password); err != nil {
		return s.explain(err)
	}
	return nil
}

// KeepPassword makes password, which was proven to be the server's, the one
// that the bot logs in with, before the configuration's, and renews the session
// with it. It is kept even when that fails: the server has it. It is given and
// not taken from where it was staged, where by now may be another one.
func (a *Sessions) KeepPassword(ctx context.Context, name string, password secret.Value) (tools.KeptPassword, error) {
	s, err := a.find(name)
	if err != nil {
		return tools.KeptPassword{}, err
	}
	out := tools.KeptPassword{Where: "keyring item duplibot." + s.passwordItem(), Overrides: s.Password.String()}
	err = s.exclusive(ctx, func(ctx context.Context) error {
		if err := s.Ring.Put(ctx, s.passwordItem(), password); err != nil {
			return err
		}
		if err := s.Ring.Delete(ctx, s.stagedItem()); err != nil {
			s.Log.Warn("staged password not deleted", "server", s.Name, "error", err)
		}
		in, err := s.login(ctx, tools.Login{Password: password})
		out.Notes = append(out.Notes, in.Notes...)
		if err != nil {
			s.Log.Warn("session not renewed after a change of password", "server", s.Name, "error", err)
			out.Notes = append(out.Notes, "the session could not be renewed; the old one is still used")
		}
		return nil
	})
	if err != nil {
		return tools.KeptPassword{}, err
	}
	return out, nil
}
