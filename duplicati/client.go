package duplicati

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/duplibot/duplibot/secret"
)

// Options say where a server is and how it is known to be the right one.
type Options struct {
	URL string // http or https, with a path when a proxy puts it below one; no user, no query

	// One of these decides about the certificate of an https server: the
	// system's roots when all are empty.
	CAFile   string   // PEM; then only these roots count
	Pins     []string // "sha256:…", ServerUtil's SHA-1 hex, or "*" for any
	Insecure bool     // accept any certificate

	Timeout   time.Duration    // of one call; 0 is 30 s
	Now       func() time.Time // nil is time.Now
	UserAgent string           // "" is "duplibot"
}

// Tokens gives the access tokens that calls carry.
type Tokens interface {
	// Access returns a token that is believed to be good.
	Access(ctx context.Context) (secret.Value, error)
	// Rejected says that the server does not accept token. The call asks for
	// another with Access, once.
	Rejected(ctx context.Context, token secret.Value) error
}

// Client talks to one server. It is safe for concurrent use, and the clients
// derived from it by With share its connections and what is known of the
// server.
type Client struct {
	*link
	tokens Tokens
}

// link is what all clients of one server share.
type link struct {
	base    *url.URL // without a trailing slash
	http    *http.Client
	trust   *trust
	timeout time.Duration
	now     func() time.Time
	agent   string

	mu  sync.Mutex
	gen Generation // "" until known
}

// New returns a client that is not logged in. It checks the options and sends
// nothing.
func New(o Options) (*Client, error) {
	const op = "open client"
	base, err := baseURL(o.URL)
	if err != nil {
		return nil, err
	}
	t, err := newTrust(base.Hostname(), o)
	if err != nil {
		return nil, err
	}
	if o.Timeout < 0 {
		return nil, refuse(op, Misused, "the timeout is negative")
	}
	l := &link{base: base, trust: t, timeout: o.Timeout, now: o.Now, agent: o.UserAgent}
	if l.timeout == 0 {
		l.timeout = 30 * time.Second
	}
	if l.now == nil {
		l.now = time.Now
	}
	t.now = l.now
	if l.agent == "" {
		l.agent = "duplibot"
	}
	l.http = &http.Client{
		Transport: newTransport(t),
		// The API redirects nowhere, and a token must not follow one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Client{link: l}, nil
}

// baseURL checks a server's URL. Its errors do not repeat the URL: it may hold
// a password.
func baseURL(text string) (*url.URL, error) {
	const op = "open client"
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return nil, refuse(op, Misused, "the server's URL cannot be read")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, refuse(op, Misused, "the server's URL must begin with http:// or https://")
	case u.Hostname() == "":
		return nil, refuse(op, Misused, "the server's URL names no host")
	case u.User != nil:
		return nil, refuse(op, Misused, "the server's URL holds a user or password; give the password by a reference instead")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, refuse(op, Misused, "the server's URL has a query or fragment; give scheme, host, port and path alone")
	}
	u.Host = strings.ToLower(u.Host)
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// With returns a client whose calls carry tokens.
func (c *Client) With(t Tokens) *Client { return &Client{link: c.link, tokens: t} }

// URL is the server's URL without a trailing slash.
func (c *Client) URL() string { return c.base.String() }

// Origin is scheme, host and port, the port written even when it is the
// scheme's own. A session belongs to one.
func (c *Client) Origin() string { return c.base.Scheme + "://" + c.address() }

// address is host and port, as a dialer takes it.
func (l *link) address() string {
	port := l.base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[l.base.Scheme]
	}
	return net.JoinHostPort(l.base.Hostname(), port)
}

// Insecure reports whether any certificate is accepted.
func (c *Client) Insecure() bool { return c.trust.any }

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }
