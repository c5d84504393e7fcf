package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	proto "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/duplibot/duplibot/tools"
)

// Tokens finds whose a static token is.
type Tokens interface {
	// Caller returns the caller behind the token with this SHA-256, in hex. An
	// unknown or revoked one is an error of code tools.NotLoggedIn.
	Caller(ctx context.Context, hash string) (tools.Caller, error)
}

// The scopes of OAuth tokens, each with the ones before it.
const (
	ScopeRead  = "backup:read"
	ScopeRun   = "backup:run"
	ScopeAdmin = "backup:admin"
)

// scopeRoles is the highest role that a scope gives to its person.
var scopeRoles = []struct {
	scope string
	role  tools.Role
}{{ScopeRead, tools.Viewer}, {ScopeRun, tools.Operator}, {ScopeAdmin, tools.Admin}}

// scopesFor are the scopes to ask for to act with a role.
func scopesFor(role tools.Role) string {
	var scopes []string
	for _, s := range scopeRoles {
		if s.role <= role || s.role == tools.Viewer {
			scopes = append(scopes, s.scope)
		}
	}
	return strings.Join(scopes, " ")
}

// bearer proves who calls by the token that he brings.
type bearer struct {
	*HTTP
	oauth *verifier
}

func newBearer(h *HTTP) (*bearer, error) {
	b := &bearer{HTTP: h}
	if h.o.OAuth != nil {
		var err error
		if b.oauth, err = newVerifier(*h.o.OAuth, h.resource, h.s.Now); err != nil {
			return nil, err
		}
	}
	return b, nil
}

var errNoScope = errors.New("the token has no scope of this server")

// proves returns the caller, or answers the request with a challenge.
func (b *bearer) proves(w http.ResponseWriter, r *http.Request) (tools.Caller, bool) {
	token, given := bearerToken(r)
	if !given {
		b.challenge(w, http.StatusUnauthorized, nil, "", ScopeRead, "a bearer token is needed")
		return tools.Caller{}, false
	}
	c, err := b.callerOf(r.Context(), token)
	var e *tools.Error
	switch {
	case err == nil:
		c.Surface = tools.MCP
		return c, true
	case errors.Is(err, errNoScope):
		b.challenge(w, http.StatusForbidden, nil, "insufficient_scope", ScopeRead, "the token has no scope of this server")
	case errors.As(err, &e) && e.Code != tools.NotLoggedIn:
		b.s.Log.Error("token not checked", "error", err)
		refuse(w, http.StatusServiceUnavailable, nil, proto.INTERNAL_ERROR, "tokens cannot be checked at the moment; try again later")
	default:
		b.s.Log.Info("token refused", "remote", r.RemoteAddr, "error", err)
		b.challenge(w, http.StatusUnauthorized, nil, "invalid_token", ScopeRead, "the token is not known, has expired or was revoked")
	}
	return tools.Caller{}, false
}

// bearerToken takes the token from its header, where alone it belongs: RFC
// 6750 forbids two ways at once, and an address ends in logs.
func bearerToken(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "bearer") && token != ""
}

// callerOf finds whose a token is. One with two dots is a JWT, which no static
// token is.
func (b *bearer) callerOf(ctx context.Context, token string) (tools.Caller, error) {
	if b.oauth != nil && strings.Count(token, ".") == 2 {
		return b.oauth.caller(ctx, token)
	}
	if b.o.Tokens == nil {
		return tools.Caller{}, tools.Errorf(tools.NotLoggedIn, "static tokens are not used here")
	}
	sum := sha256.Sum256([]byte(token))
	c, err := b.o.Tokens.Caller(ctx, hex.EncodeToString(sum[:]))
	if err == nil && c.Identity == "" {
		return c, tools.Errorf(tools.NotLoggedIn, "the token is nobody's")
	}
	return c, asErrorOrNil(err)
}

func asErrorOrNil(err error) error {
	if err == nil {
		return nil
	}
	return asError(err)
}

// stepUp asks an OAuth client for more scope where that, and not the person's
// role, is what a call lacks.
func (b *bearer) stepUp(w http.ResponseWriter, r *http.Request, id json.RawMessage, op *tools.Operation, c tools.Caller) bool {
	if b.oauth == nil || !strings.HasPrefix(string(c.Identity), oidcPrefix) || c.Ceiling == tools.Nobody || op.LeastRole() <= c.Ceiling {
		return false
	}
	b.s.Log.Info("more scope asked for", "identity", c.Identity, "operation", op.Name)
	b.challenge(w, http.StatusForbidden, id, "insufficient_scope", scopesFor(op.LeastRole()), "the token's scopes do not cover "+op.Name+"; nothing was done")
	return true
}

// challenge says what token is needed and, with OAuth, where one is to be had
// (RFC 6750 section 3, RFC 9728 section 5.1).
func (b *bearer) challenge(w http.ResponseWriter, status int, id json.RawMessage, code, scope, text string) {
	words := []string{`Bearer realm="duplibot"`}
	if code != "" {
		words = append(words, `error="`+code+`"`)
	}
	if b.oauth != nil {
		words = append(words, `scope="`+scope+`"`, `resource_metadata="`+b.metadataURL()+`"`)
	}
	w.Header().Set("WWW-Authenticate", strings.Join(words, ", "))
	refuse(w, status, id, proto.INVALID_REQUEST, text)
}

// metadata is the RFC 9728 document.
func (b *bearer) metadata() server.ProtectedResourceMetadataConfig {
	return server.ProtectedResourceMetadataConfig{
		Resource:               b.resource,
		AuthorizationServers:   []string{b.o.OAuth.Issuer},
		ScopesSupported:        []string{ScopeRead, ScopeRun, ScopeAdmin},
		BearerMethodsSupported: []string{"header"},
		ResourceName:           "Duplibot",
	}
}

func (b *bearer) metadataURL() string {
	origin := strings.TrimSuffix(b.resource, b.o.Path)
	return origin + server.WellKnownProtectedResourcePath + b.o.Path
}
