package duplicati

import (
	"context"
	"net/http"
	"time"

	"github.com/duplibot/duplibot/secret"
)

// Session is what a login leaves behind. Cookie, name and nonce belong
// together and change together at each Refresh: store them as one.
type Session struct {
	CookieName string       // as received: "RefreshToken_8200", "RefreshToken_0"
	Cookie     secret.Value // empty when the server gave none (2.1, not remembered)
	Nonce      secret.Value // empty on 2.1
	Access     secret.Value

	AccessEnds  time.Time
	RefreshEnds time.Time // by the token inside the cookie, not by the cookie's own date
}

// CanRefresh reports whether there is a refresh token that has not ended.
func (s Session) CanRefresh(now time.Time) bool {
	return s.CookieName != "" && !s.Cookie.Empty() && now.Before(s.RefreshEnds)
}

type sessionReply struct {
	AccessToken  string
	RefreshNonce *string
}

// Login opens a session with the server's password; remember asks for one of
// 30 days rather than two hours. A wrong password is LoginFailed; a 2.0 server
// is Unsupported. Every login adds a row to the server's database: keep the
// session.
func (c *Client) Login(ctx context.Context, password secret.Value, remember bool) (Session, error) {
	if password.Empty() {
		return Session{}, refuse("log in", Misused, "there is no password; Duplicati accepts no blank one")
	}
	s, err := c.open(ctx, call{
		op: "log in", method: http.MethodPost, path: "/api/v1/auth/login",
		body: map[string]any{"Password": password.Reveal(), "RememberMe": remember}, secrets: []secret.Value{password},
	})
	if e := asError(err); e != nil && e.foreign() && c.isOld(ctx) {
		return Session{}, tooOld("log in")
	}
	return s, err
}

// SignIn opens a session with a sign-in token. SigninDisabled when the server
// takes none, LoginFailed when it does not accept this one.
func (c *Client) SignIn(ctx context.Context, token secret.Value, remember bool) (Session, error) {
	return c.open(ctx, call{
		op: "sign in", method: http.MethodPost, path: "/api/v1/auth/signin",
		body: map[string]any{"SigninToken": token.Reveal(), "RememberMe": remember}, secrets: []secret.Value{token},
	})
}

// Refresh gives a new session for s, which must not be used again. LoginFailed
// says that the refresh token is dead: log in anew, and do not repeat it. When
// the error is Uncertain, the server may have changed the token already: the
// same s works once more within 30 seconds. Refresh one at a time.
func (c *Client) Refresh(ctx context.Context, s Session) (Session, error) {
	if s.Cookie.Empty() || s.CookieName == "" {
		return Session{}, refuse("refresh session", Misused, "there is no refresh token")
	}
	return c.open(ctx, s.call("refresh session", "/api/v1/auth/refresh"))
}

// Logout ends s on the server, its access tokens included. The server's answer
// proves nothing (a wrong nonce is answered alike): see ProveRefused. On 2.1 a
// session that was not remembered cannot be ended; that is Unsupported.
func (c *Client) Logout(ctx context.Context, s Session) error {
	if s.Cookie.Empty() || s.CookieName == "" {
		return refuse("log out", Unsupported, "this session has no refresh token, so the server has nothing to end; it dies at %s", s.AccessEnds.UTC().Format(time.RFC3339))
	}
	return c.do(ctx, s.call("log out", "/api/v1/auth/refresh/logout"), nil)
}

func (s Session) call(op, path string) call {
	k := call{
		op: op, method: http.MethodPost, path: path, secrets: []secret.Value{s.Cookie, s.Nonce},
		header: http.Header{"Cookie": {s.CookieName + "=" + s.Cookie.Reveal()}},
	}
	if !s.Nonce.Empty() {
		k.body = map[string]any{"Nonce": s.Nonce.Reveal()}
	}
	return k
}

// ProveRefused shows the server the tokens of s, which was logged out, and
// returns nil only when it refuses them: the access token unless that has ended
// by itself, and the refresh token. One that still works is an error of kind
// Conflict; a session that comes of the attempt is ended.
func (c *Client) ProveRefused(ctx context.Context, s Session) error {
	const op = "prove the session ended"
	proved := false
	if c.now().Before(s.AccessEnds) {
		k := call{op: op, method: http.MethodGet, path: "/api/v1/serverstate", bearer: s.Access}
		err := c.do(ctx, k, nil)
		if err == nil {
			return &Error{Op: op, Method: k.method, Path: k.path, Status: http.StatusOK, Kind: Conflict, Text: "the server still accepts the access token"}
		}
		if KindOf(err) != NotAuthorized {
			return err
		}
		if e := asError(err); e.Status == http.StatusInternalServerError {
			// So is a token refused whose session was ended, and so fails a
			// proxy at whatever it is asked.
			if err := c.do(ctx, call{op: op, method: http.MethodGet, path: "/health"}, new([]byte)); err != nil {
				return err
			}
		}
		proved = true
	}
	if s.CanRefresh(c.now()) {
		again, err := c.Refresh(ctx, s)
		if err == nil {
			e := &Error{Op: op, Status: http.StatusOK, Kind: Conflict, Text: "the server still accepts the refresh token"}
			e.cause = c.Logout(ctx, again)
			return e
		}
		if KindOf(err) != LoginFailed {
			return err
		}
		proved = true
	}
	if !proved {
		return refuse(op, Misused, "all tokens of the session have ended by themselves, which proves nothing; nothing was sent")
	}
	return nil
}

// open sends a call that opens a session, without Authorization: a dead token
// in it would turn even a login into a 500.
func (c *Client) open(ctx context.Context, k call) (Session, error) {
	var reply sessionReply
	began := c.now()
	res, err := c.exchange(ctx, k, &reply)
	if err != nil {
		return Session{}, err
	}
	return newSession(k, res, reply, began)
}

// ForeverToken asks for an access token of ten years. ForeverDisabled unless
// the server was started with --webservice-enable-forever-token, ForeverUsed
// when one was issued since its start.
func (c *Client) ForeverToken(ctx context.Context) (secret.Value, error) {
	var reply sessionReply
	k := call{op: "issue forever token", method: http.MethodPost, path: "/api/v1/auth/issue-forever-token", auth: true}
	if err := c.do(ctx, k, &reply); err != nil {
		return secret.Value{}, err
	}
	if reply.AccessToken == "" {
		return secret.Value{}, k.unreadable("the answer holds no token")
	}
	return secret.New(reply.AccessToken), nil
}

// SingleUse names what a token of IssueToken is good for.
type SingleUse string

// The operations that take a token of their own.
const (
	ForExport    SingleUse = "export"
	ForBugReport SingleUse = "bugreport"
	ForWebsocket SingleUse = "websocket" // since 2.2
)

// IssueToken returns a token that is good for one operation, for one minute.
func (c *Client) IssueToken(ctx context.Context, use SingleUse) (secret.Value, error) {
	var reply struct{ Token string }
	k := call{op: "issue token", method: http.MethodPost, path: "/api/v1/auth/issuetoken/" + string(use), auth: true}
	if err := c.do(ctx, k, &reply); err != nil {
		return secret.Value{}, err
	}
	if reply.Token == "" {
		return secret.Value{}, k.unreadable("the answer holds no token")
	}
	return secret.New(reply.Token), nil
}
