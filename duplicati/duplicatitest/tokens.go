package duplicatitest

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// jwtConfig is the server's row jwt-config.
type jwtConfig struct {
	key       string // the base64 text; its bytes as they stand are the HMAC key
	access    time.Duration
	refresh   time.Duration
	short     time.Duration
	signin    time.Duration
	operation time.Duration
}

const (
	issuer       = "https://duplicati"
	clockSkew    = 5 * time.Second
	graceWindow  = 30 * time.Second
	graceCount   = 1
	foreverYears = 10
	shortAtMost  = 121 * time.Minute
	pbkdf2Rounds = 10000
	temporary    = "temporary"
)

func newSigningKey() string { return randomText(32) }

// randomText is n random bytes in base64.
func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// claims of a token; empty ones are left out. The order is the server's.
type claims struct {
	typ, sid, fam, sop, cnt, iat, nce string
	nbf, exp                          time.Time
}

var tokenHead = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

func (j *jwtConfig) sign(c claims) string {
	o := object{{"typ", c.typ}, {"sid", c.sid}}
	for _, m := range []struct{ name, value string }{
		{"fam", c.fam}, {"sop", c.sop}, {"cnt", c.cnt}, {"iat", c.iat}, {"nce", c.nce},
	} {
		if m.value != "" {
			o = o.with(m.name, m.value)
		}
	}
	o = o.with("nbf", c.nbf.Unix()).with("exp", c.exp.Unix()).with("iss", issuer).with("aud", issuer)
	text := tokenHead + "." + base64.RawURLEncoding.EncodeToString(appendJSON(nil, o, true))
	return text + "." + base64.RawURLEncoding.EncodeToString(j.mac(text))
}

func (j *jwtConfig) mac(text string) []byte {
	h := hmac.New(sha256.New, []byte(j.key))
	h.Write([]byte(text))
	return h.Sum(nil)
}

// tokenError says what a WWW-Authenticate header tells of a bad token; empty
// where it tells nothing.
type tokenError struct{ description string }

func (e *tokenError) Error() string { return "invalid token: " + e.description }

var (
	errMalformed = &tokenError{}
	errExpired   = errors.New("expired")
)

// verify checks signature, then times, audience and issuer.
func (j *jwtConfig) verify(token string, now time.Time) (claims, error) {
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errMalformed
	}
	var head struct{ Alg string }
	if !decodePart(parts[0], &head) {
		return c, errMalformed
	}
	var body struct {
		Typ, Sid, Fam, Sop, Cnt, Iat, Nce, Iss string
		Aud                                    any
		Nbf, Exp                               json.Number
	}
	if !decodePart(parts[1], &body) {
		return c, errMalformed
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	switch {
	case err != nil:
		return c, errMalformed
	case len(sig) == 0:
		return c, &tokenError{"The signature is invalid"}
	case head.Alg != "HS256" || !hmac.Equal(sig, j.mac(parts[0]+"."+parts[1])):
		return c, &tokenError{"The signature key was not found"}
	}
	c = claims{typ: body.Typ, sid: body.Sid, fam: body.Fam, sop: body.Sop, cnt: body.Cnt, nce: body.Nce}
	nbf, hasNbf := unixClaim(body.Nbf)
	exp, hasExp := unixClaim(body.Exp)
	if !hasExp {
		return c, &tokenError{"The token has no expiration"}
	}
	c.nbf, c.exp = nbf, exp
	const layout = "01/02/2006 15:04:05"
	switch {
	case hasNbf && nbf.After(exp):
		return c, &tokenError{fmt.Sprintf("The token lifetime is invalid; NotBefore: '%s', Expires: '%s'", nbf.Format(layout), exp.Format(layout))}
	case hasNbf && nbf.After(now.Add(clockSkew)):
		return c, &tokenError{fmt.Sprintf("The token is not valid before '%s'", nbf.Format(layout))}
	case exp.Before(now.Add(-clockSkew)):
		return c, errors.Join(errExpired, &tokenError{fmt.Sprintf("The token expired at '%s'", exp.Format(layout))})
	case !hasAudience(body.Aud):
		return c, &tokenError{fmt.Sprintf("The audience '%v' is invalid", orNull(body.Aud))}
	case body.Iss != issuer:
		return c, &tokenError{fmt.Sprintf("The issuer '%s' is invalid", orNullText(body.Iss))}
	}
	return c, nil
}

func decodePart(part string, into any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	if err != nil {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(into) == nil
}

func unixClaim(n json.Number) (time.Time, bool) {
	f, err := n.Float64()
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0).UTC(), true
}

func hasAudience(aud any) bool {
	switch a := aud.(type) {
	case string:
		return a == issuer
	case []any:
		for _, one := range a {
			if one == issuer {
				return true
			}
		}
	}
	return false
}

func orNull(v any) any {
	if v == nil {
		return "(null)"
	}
	return v
}

func orNullText(s string) string {
	if s == "" {
		return "(null)"
	}
	return s
}

// hashNonce is the nce claim of a nonce: PBKDF2 with an empty salt.
func hashNonce(nonce string) string {
	return base64.StdEncoding.EncodeToString(derive(nonce, nil))
}

func derive(password string, salt []byte) []byte {
	key, err := pbkdf2.Key(sha256.New, password, salt, pbkdf2Rounds, 32)
	if err != nil {
		panic(err) // only for lengths that FIPS forbids
	}
	return key
}

// passwordHash is the row pbkdf-config.
type passwordHash struct{ salt, hash []byte }

func hashPassword(password string) passwordHash {
	salt := make([]byte, 32)
	rand.Read(salt)
	return passwordHash{salt, derive(password, salt)}
}

// matches refuses a blank password always.
func (p passwordHash) matches(password string) bool {
	return strings.TrimSpace(password) != "" && subtle.ConstantTimeCompare(p.hash, derive(password, p.salt)) == 1
}

// iat is the claim as .NET formats it; 2.1 wrote it with a minus sign.
func iat(t time.Time, g *generation) string {
	s := fmt.Sprintf("%d.%07d", t.Unix(), t.Nanosecond()/100)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if !g.nonce {
		s = "-" + s
	}
	return s
}

func newFamilyID() string {
	var b [8]byte
	rand.Read(b[:])
	return fmt.Sprintf("%X", b)
}

func randomCounter() int64 {
	var b [2]byte
	rand.Read(b[:])
	return int64(b[0])<<2&0x3ff | int64(b[1]&3)
}

// count reads a cnt claim.
func count(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }
