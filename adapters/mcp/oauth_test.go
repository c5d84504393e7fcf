package mcp_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/duplibot/duplibot/adapters/mcp"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// oauthRig serves for tokens of a provider, under an address of its own.
func oauthRig(t testing.TB, p *provider) (r *rig, at, resource string) {
	t.Helper()
	ann := toolstest.Usual[0]
	ann.Identities = append(ann.Identities, tools.Identity("oidc:"+p.URL+"#ann"))
	r = newRig(t, nil, toolstest.WithPeople(append([]tools.Person{ann}, toolstest.Usual[1:]...)))
	resource = "https://bot.example/mcp"
	h, err := r.s.NewHTTP(mcp.HTTPOptions{Listen: "127.0.0.1:0", URL: resource, Tokens: r.tokens(t), OAuth: &mcp.OAuth{Issuer: p.URL}})
	if err != nil {
		t.Fatal(err)
	}
	return r, listen(t, h), resource
}

func start(t testing.TB, at, token string) (*http.Response, string) {
	t.Helper()
	return post(t, at, token, `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"duplicati_start","arguments":{"thing":"1"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
		"Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "duplicati_start")
}

// A client that knows nothing but the address finds its way to a token, and
// from a small one to a larger one.
func TestAClientFindsItsTokenAndStepsUp(t *testing.T) {
	p := newProvider(t)
	r, at, resource := oauthRig(t, p)
	res, _ := post(t, at, "", initialize)
	challenge := res.Header.Get("WWW-Authenticate")
	if res.StatusCode != 401 || !strings.Contains(challenge, `scope="backup:read"`) {
		t.Fatalf("%d %s", res.StatusCode, challenge)
	}
	metadata := parameter(challenge, "resource_metadata")
	if metadata != "https://bot.example/.well-known/oauth-protected-resource/mcp" {
		t.Fatalf("metadata at %q", metadata)
	}
	var doc struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported"`
	}
	for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"} {
		get(t, strings.TrimSuffix(at, "/mcp")+path, &doc)
		if doc.Resource != resource || len(doc.Servers) != 1 || doc.Servers[0] != p.URL || strings.Join(doc.Scopes, " ") != "backup:read backup:run backup:admin" {
			t.Errorf("%s: %+v", path, doc)
		}
	}
	ask := func(scope string) string {
		t.Helper()
		form := url.Values{"grant_type": {"client_credentials"}, "resource": {doc.Resource}, "scope": {scope}}
		req, _ := http.NewRequest(http.MethodPost, doc.Servers[0]+"/token", strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("ann", "secret-of-ann")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var got struct {
			Token string `json:"access_token"`
		}
		if err := json.NewDecoder(res.Body).Decode(&got); err != nil || got.Token == "" {
			t.Fatalf("%d %v", res.StatusCode, err)
		}
		return got.Token
	}
	small := ask("backup:read")
	res, body := start(t, at, small)
	challenge = res.Header.Get("WWW-Authenticate")
	if res.StatusCode != 403 || parameter(challenge, "error") != "insufficient_scope" || !strings.Contains(body, `"id":7`) {
		t.Fatalf("%d %s %s", res.StatusCode, challenge, body)
	}
	if len(r.World.Did()) != 0 {
		t.Fatal("it was done all the same")
	}
	if scope := parameter(challenge, "scope"); scope != "backup:read backup:run" {
		t.Errorf("asks for %q", scope)
	}
	if res, body := start(t, at, ask(parameter(challenge, "scope"))); res.StatusCode != 200 || !strings.Contains(body, `"done"`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if res, body := post(t, at, small, initialize); res.StatusCode != 200 {
		t.Errorf("reading: %d %s", res.StatusCode, body)
	}
	if n := p.count("/keys"); n != 1 {
		t.Errorf("asked for the keys %d times", n)
	}
}

func TestATokenIsTakenOnlyAsItWasIssuedForUs(t *testing.T) {
	p := newProvider(t)
	r, at, resource := oauthRig(t, p)
	good := func() jwt.MapClaims { return jwt.MapClaims{"sub": "ann", "aud": resource, "scope": "backup:run"} }
	with := func(name string, value any) string {
		c := good()
		c[name] = value
		return p.token(t, c)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(method jwt.SigningMethod, key any) string {
		c := good()
		c["iss"], c["exp"] = p.URL, time.Now().Add(time.Hour).Unix()
		token := jwt.NewWithClaims(method, c)
		token.Header["kid"] = "first"
		s, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	modulus := p.keys["first"].(*rsa.PrivateKey).N.Bytes()
	valid := p.token(t, good())
	for _, tc := range []struct {
		name, token string
		want        int
	}{
		{"as it should be", valid, 200},
		{"the audience in a list", with("aud", []string{"other", resource}), 200},
		{"scopes as scp", p.token(t, jwt.MapClaims{"sub": "ann", "aud": resource, "scp": []string{"backup:run"}}), 200},
		{"all scopes", with("scope", "openid backup:read backup:admin"), 200},
		{"expired", with("exp", time.Now().Add(-time.Minute).Unix()), 401},
		{"not yet valid", with("nbf", time.Now().Add(time.Hour).Unix()), 401},
		{"for somebody else", with("aud", "https://other.example/mcp"), 401},
		{"for a longer name", with("aud", resource+"/more"), 401},
		{"without an audience", with("aud", ""), 401},
		{"of another issuer", with("iss", "https://evil.example"), 401},
		{"without a subject", with("sub", ""), 401},
		{"an ID token", with("nonce", "n"), 401},
		{"by another key", signed(jwt.SigningMethodRS256, other), 401},
		{"by nobody", signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType), 401},
		{"by the public key as a secret", signed(jwt.SigningMethodHS256, modulus), 401},
		{"changed", valid[:len(valid)-10] + "AAAAAAAAAA", 401},
		{"not a token", "a.b.c", 401},
		{"without a scope of ours", with("scope", "openid email"), 403},
		{"with a scope that only looks like ours", with("scope", "backup:runner xbackup:run"), 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(r.World.Did())
			res, body := start(t, at, tc.token)
			if res.StatusCode != tc.want {
				t.Errorf("%d %s", res.StatusCode, body)
			}
			if did := len(r.World.Did()) > before; did != (tc.want == 200) {
				t.Errorf("done: %t", did)
			}
		})
	}
	if res, body := start(t, at, p.token(t, jwt.MapClaims{"sub": "stranger", "aud": resource, "scope": "backup:admin"})); res.StatusCode != 200 || !strings.Contains(body, "unknown_person") {
		t.Errorf("somebody who is not in people: %d %s", res.StatusCode, body)
	}
	if res, _ := start(t, at, annToken); res.StatusCode != 200 {
		t.Errorf("a static token beside it: %d", res.StatusCode)
	}
}

func TestTheProvidersKeysMayChangeAndItMayBeDown(t *testing.T) {
	p := newProvider(t)
	p.set(true)
	_, at, resource := oauthRig(t, p)
	claims := func() jwt.MapClaims { return jwt.MapClaims{"sub": "ann", "aud": resource, "scope": "backup:run"} }
	if res, body := start(t, at, p.token(t, claims())); res.StatusCode != 503 || strings.Contains(body, "maintenance") {
		t.Errorf("while the provider is down: %d %s", res.StatusCode, body)
	}
	if res, _ := start(t, at, annToken); res.StatusCode != 200 {
		t.Errorf("a static token meanwhile: %d", res.StatusCode)
	}
	p.set(false)
	old := p.token(t, claims())
	until := time.Now().Add(15 * time.Second)
	for {
		res, body := start(t, at, old)
		if res.StatusCode == 200 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("once it is back: %d %s", res.StatusCode, body)
		}
		time.Sleep(200 * time.Millisecond)
	}
	p.rotate(t, "ec-second")
	if res, body := start(t, at, p.token(t, claims())); res.StatusCode != 200 {
		t.Errorf("with the new key: %d %s", res.StatusCode, body)
	}
}

// parameter reads one of a WWW-Authenticate header.
func parameter(challenge, name string) string {
	m := regexp.MustCompile(`\b` + name + `="([^"]*)"`).FindStringSubmatch(challenge)
	if m == nil {
		return ""
	}
	return m[1]
}

func get(t testing.TB, at string, into any) {
	t.Helper()
	res, err := http.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: %d %v", at, res.StatusCode, err)
	}
}
