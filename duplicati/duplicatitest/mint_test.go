package duplicatitest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// mint makes a sign-in token from a signing key, as ServerUtil does from the
// server's database.
func mint(key string, now time.Time) string {
	part := base64.RawURLEncoding.EncodeToString
	text := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part(fmt.Appendf(nil,
		`{"typ":"SigninToken","sid":"server-cli","nbf":%d,"exp":%d,"iss":"https://duplicati","aud":"https://duplicati"}`,
		now.Unix(), now.Add(5*time.Minute).Unix()))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + part(mac.Sum(nil))
}
