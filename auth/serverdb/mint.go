package serverdb

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/duplibot/duplibot/secret"
)

// early is how far a token's begin lies back: the server allows for clocks
// that differ by 5 s.
const early = 5 * time.Second

// signinClaims are in the order in which Duplicati's own client writes them.
type signinClaims struct {
	Type      string `json:"typ"`
	User      string `json:"sid"`
	NotBefore int64  `json:"nbf"`
	Expires   int64  `json:"exp"`
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
}

// Mint makes a sign-in token, good from now until the server's own limit. The
// MAC's key is the text of SigningKey itself.
func (s Signing) Mint(now time.Time) secret.Value {
	claims, err := json.Marshal(signinClaims{
		Type: "SigninToken", User: "server-cli",
		NotBefore: now.Add(-early).Unix(), Expires: now.Add(s.Lasts).Unix(),
		Issuer: s.Issuer, Audience: s.Audience,
	})
	if err != nil {
		panic("serverdb: claims of strings and numbers cannot be written: " + err.Error())
	}
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(s.Key.Reveal()))
	mac.Write([]byte(signed))
	return secret.New(signed + "." + enc.EncodeToString(mac.Sum(nil)))
}
