package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"github.com/duplibot/duplibot/tools"
)

// OAuth makes the server an OAuth 2.1 resource server: it takes access tokens
// that an OpenID provider has issued for it, as signed JWTs.
type OAuth struct {
	Issuer   string       // the provider, as its discovery document names it
	Audience string       // who the tokens are for; "" is the server's own address
	Client   *http.Client // "" is one with a time limit
}

// oidcPrefix begins the identities of people from a provider:
// "oidc:https://issuer#subject".
const oidcPrefix = "oidc:"

// verifier checks tokens against the provider's keys.
type verifier struct {
	o    OAuth
	now  tools.Clock
	rate *rate.Limiter // of tokens not seen before: each may cost a request for keys

	mu    sync.Mutex
	check *oidc.IDTokenVerifier // nil until the provider was reached
	tried time.Time
	seen  map[[32]byte]seen
}

type seen struct {
	caller tools.Caller
	ends   time.Time
}

const (
	seenKept      = 1024
	providerRetry = 5 * time.Second
)

func newVerifier(o OAuth, resource string, now tools.Clock) (*verifier, error) {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("mcp: oauth: the issuer must be an https address")
	}
	if o.Audience == "" {
		o.Audience = resource
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 10 * time.Second}
	}
	return &verifier{o: o, now: now, rate: rate.NewLimiter(20, 100), seen: map[[32]byte]seen{}}, nil
}

// provider reads the discovery document when it is first needed, so that a
// provider that is down delays nothing else.
func (v *verifier) provider() (*oidc.IDTokenVerifier, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.check != nil {
		return v.check, nil
	}
	if now := time.Now(); now.Sub(v.tried) < providerRetry {
		return nil, errors.New("the provider was not reached a moment ago")
	}
	v.tried = time.Now()
	p, err := oidc.NewProvider(oidc.ClientContext(context.Background(), v.o.Client), v.o.Issuer)
	if err != nil {
		return nil, err
	}
	v.check = p.Verifier(&oidc.Config{ClientID: v.o.Audience, Now: v.now})
	return v.check, nil
}

// caller proves a token: signature, issuer, audience, time, scope.
func (v *verifier) caller(ctx context.Context, token string) (tools.Caller, error) {
	key := sha256.Sum256([]byte(token))
	if c, ok := v.known(key); ok {
		return c, nil
	}
	refused := func(err error) (tools.Caller, error) {
		return tools.Caller{}, tools.Errorf(tools.NotLoggedIn, "the token is not valid here").Because(err)
	}
	if !v.rate.Allow() {
		return tools.Caller{}, tools.Errorf(tools.TooMany, "too many tokens to check").Retryable()
	}
	check, err := v.provider()
	if err != nil {
		return tools.Caller{}, tools.Errorf(tools.Unavailable, "the provider %s does not answer", v.o.Issuer).Because(err).Retryable()
	}
	verified, err := check.Verify(ctx, token)
	if err != nil {
		return refused(err)
	}
	var claims struct {
		Scope string          `json:"scope"`
		SCP   json.RawMessage `json:"scp"` // Entra: a text or a list
		Nonce *string         `json:"nonce"`
	}
	if err := verified.Claims(&claims); err != nil {
		return refused(err)
	}
	if verified.Subject == "" || claims.Nonce != nil {
		return refused(errors.New("an ID token is no access token"))
	}
	scopes := strings.Fields(claims.Scope)
	var list []string
	var text string
	if json.Unmarshal(claims.SCP, &list) == nil {
		scopes = append(scopes, list...)
	} else if json.Unmarshal(claims.SCP, &text) == nil {
		scopes = append(scopes, strings.Fields(text)...)
	}
	c := tools.Caller{Identity: tools.Identity(oidcPrefix + verified.Issuer + "#" + verified.Subject), Surface: tools.MCP}
	for _, s := range scopeRoles {
		if slices.Contains(scopes, s.scope) {
			c.Ceiling = s.role
		}
	}
	if c.Ceiling == tools.Nobody {
		return tools.Caller{}, errNoScope
	}
	v.remember(key, seen{c, verified.Expiry})
	return c, nil
}

func (v *verifier) known(key [32]byte) (tools.Caller, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.seen[key]
	if ok && !v.now().Before(s.ends) {
		delete(v.seen, key)
		ok = false
	}
	return s.caller, ok
}

func (v *verifier) remember(key [32]byte, s seen) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.seen) >= seenKept {
		clear(v.seen)
	}
	v.seen[key] = s
}
