package duplicati

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/duplibot/duplibot/secret"
)

// newSession reads what a login, sign-in or refresh was answered.
// The ends of its tokens are by this host's clock, which need not be the
// server's.
func newSession(k call, r *reply, answer sessionReply, now time.Time) (Session, error) {
	ends, ok := tokenEnds(answer.AccessToken, now)
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
		if s.RefreshEnds, ok = tokenEnds(value, now); !ok {
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

// longestLife keeps a date of ours within what a time can hold.
const longestLife = 100 * 365 * 24 * time.Hour

// tokenEnds is when a JWT that the server has made just now ends. Its signature
// is the server's business.
func tokenEnds(token string, now time.Time) (time.Time, bool) {
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
		Nbf, Exp float64
	}
	if json.Unmarshal(b, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1<<40 || claims.Nbf < 0 || claims.Nbf > claims.Exp {
		return time.Time{}, false
	}
	if claims.Nbf == 0 {
		return time.Unix(int64(claims.Exp), 0).UTC(), true
	}
	life := min(claims.Exp-claims.Nbf, longestLife.Seconds())
	return now.UTC().Truncate(time.Second).Add(time.Duration(life) * time.Second), true
}
