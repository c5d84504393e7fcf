package duplicati

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/duplibot/duplibot/secret"
)

// newSession reads what a login, sign-in or refresh was answered.
func newSession(k call, r *reply, answer sessionReply) (Session, error) {
	ends, ok := tokenEnds(answer.AccessToken)
	if !ok {
		return Session{}, k.unreadable("the answer holds no access token")
	}
	s := Session{Access: secret.New(answer.AccessToken), AccessEnds: ends}
	if answer.RefreshNonce != nil {
		s.Nonce = secret.New(*answer.RefreshNonce)
	}
	for _, line := range r.header.Values("Set-Cookie") {
		// By hand: the cookie's domain is often an IP address, which cookie
		// jars refuse.
		pair, _, _ := strings.Cut(line, ";")
		name, value, found := strings.Cut(strings.TrimSpace(pair), "=")
		if !found || value == "" || !strings.HasPrefix(name, "RefreshToken") || !cookieSafe(name+value) {
			continue
		}
		if s.RefreshEnds, ok = tokenEnds(value); !ok {
			return Session{}, k.unreadable("the refresh token cannot be read")
		}
		s.CookieName, s.Cookie = name, secret.New(value)
	}
	return s, nil
}

// cookieSafe keeps a hostile server from writing headers of later requests.
func cookieSafe(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ';' || r == ',' || r == '"' })
}

// tokenEnds reads exp of a JWT. Its signature is the server's business.
func tokenEnds(token string) (time.Time, bool) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, found := strings.Cut(rest, ".")
	if !found {
		return time.Time{}, false
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(payload, "="))
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(b, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(claims.Exp), 0).UTC(), true
}
