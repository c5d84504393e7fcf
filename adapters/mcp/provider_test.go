package mcp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// provider is an OpenID provider: discovery, keys that change, and a token
// endpoint for the grant client_credentials with resource indicators.
type provider struct {
	*httptest.Server

	mu     sync.Mutex
	down   bool
	keys   map[string]any // kid -> private key; all are published
	signer string
	asked  map[string]int // requests by path
}

func newProvider(t testing.TB) *provider {
	t.Helper()
	p := &provider{keys: map[string]any{}, asked: map[string]int{}}
	p.rotate(t, "first")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256", "ES256"}, "code_challenge_methods_supported": []string{"S256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { reply(w, p.published()) })
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		client, secret, _ := r.BasicAuth()
		if r.FormValue("grant_type") != "client_credentials" || secret != "secret-of-"+client {
			w.WriteHeader(http.StatusUnauthorized)
			reply(w, map[string]any{"error": "invalid_client"})
			return
		}
		token := p.token(t, jwt.MapClaims{"sub": client, "aud": r.FormValue("resource"), "scope": r.FormValue("scope")})
		reply(w, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": r.FormValue("scope")})
	})
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		down := p.down
		p.asked[r.URL.Path]++
		p.mu.Unlock()
		if down {
			http.Error(w, "<html>maintenance</html>", http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// rotate signs with a new key from now on; the old ones go.
func (p *provider) rotate(t testing.TB, kid string) {
	t.Helper()
	var key any
	var err error
	if strings.HasPrefix(kid, "ec-") {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys, p.signer = map[string]any{kid: key}, kid
}

func (p *provider) published() map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	b64 := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	list := []map[string]any{}
	for kid, key := range p.keys {
		switch key := key.(type) {
		case *rsa.PrivateKey:
			list = append(list, map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())})
		case *ecdsa.PrivateKey:
			point, _ := key.PublicKey.Bytes()
			list = append(list, map[string]any{"kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "kid": kid, "x": b64(point[1:33]), "y": b64(point[33:])})
		}
	}
	return map[string]any{"keys": list}
}

// token signs claims, with what is missing filled in.
func (p *provider) token(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, value := range map[string]any{"iss": p.URL, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()} {
		if _, given := claims[name]; !given {
			claims[name] = value
		}
	}
	key := p.keys[p.signer]
	var method jwt.SigningMethod = jwt.SigningMethodRS256
	if _, ec := key.(*ecdsa.PrivateKey); ec {
		method = jwt.SigningMethodES256
	}
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"], token.Header["typ"] = p.signer, "at+jwt"
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (p *provider) set(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *provider) count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}
