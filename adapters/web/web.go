package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// openFor is how long a page can be used.
const openFor = 10 * time.Minute

// MaxSecret is how large a secret or a file can be, in bytes.
const MaxSecret = 16 << 20

// Desk is what pages need of a tools.Desk.
type Desk interface {
	Request(ctx context.Context, id string) (tools.Approval, error)
	Provide(ctx context.Context, id, param string, v secret.Value) (tools.Approval, error)
	Fetch(ctx context.Context, c tools.Caller, handle string) (secret.Value, error)
}

// Options is what a Server is made of. Desk, Pages, Registry, Key and Listen
// are required.
type Options struct {
	Desk     Desk
	Pages    Pages
	Registry *tools.Registry
	Key      func(context.Context) ([]byte, error) // at least 32 bytes, the same after a restart

	Listen            string // host:port
	URL               string // as browsers see it: https, or http for loopback; "" is Listen's own
	CertFile, KeyFile string // of a certificate, PEM; read again when they change

	// Name is what a caller is called on a page of no request; nil, or "", is
	// for his identity.
	Name func(tools.Caller) string

	// Also are other handlers at the same address, by the path that they are
	// at. They check their callers themselves.
	Also map[string]http.Handler

	Log *slog.Logger
	Now tools.Clock
}

// Server serves the pages.
type Server struct {
	Options
	base    *url.URL
	handler http.Handler
	cert    *certificate
	limits  *limiter
	busy    chan struct{}  // a place for each form that is read
	work    sync.WaitGroup // what was posted and goes on

	keyMu sync.Mutex
	key   []byte
}

// New checks the options. It refuses to serve pages that others could read on
// their way.
func New(o Options) (*Server, error) {
	if o.Desk == nil || o.Pages == nil || o.Registry == nil || o.Key == nil {
		return nil, errors.New("web: an incomplete server: closed by default")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{Options: o, limits: newLimiter(o.Now), busy: make(chan struct{}, maxForms)}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("web: a certificate needs its key, and a key its certificate")
	}
	var err error
	if o.CertFile != "" {
		if s.cert, err = loadCertificate(o.CertFile, o.KeyFile, o.Now); err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
	}
	if s.base, err = s.baseURL(); err != nil {
		return nil, err
	}
	if s.handler, err = s.routes(); err != nil {
		return nil, err
	}
	return s, nil
}

// baseURL is where links lead to.
func (s *Server) baseURL() (*url.URL, error) {
	host, port, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return nil, fmt.Errorf("web: listen %q: an address with a port is needed", s.Listen)
	}
	if s.URL == "" {
		if !isLoopback(host) && s.cert == nil {
			return nil, fmt.Errorf("web: listening at %s, others could read what is entered: give a certificate, or the https URL of a proxy in front", s.Listen)
		}
		if isAny(host) {
			return nil, fmt.Errorf("web: listening at %s, the URL that browsers use must be given", s.Listen)
		}
		scheme := "http"
		if s.cert != nil {
			scheme = "https"
		}
		return &url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port)}, nil
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("web: the URL must be of the form https://host or https://host/path")
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("web: the URL must be https, or http at a loopback address: what is entered at %s could be read on its way", u.Redacted())
	}
	return u, nil
}

// Public reports whether links work elsewhere than on this host, so that they
// may leave for Slack.
func (s *Server) Public() bool { return s.base.Scheme == "https" && !isLoopback(s.base.Hostname()) }

// Link is the page of a request for whom the link alone must not be enough,
// such as an assistant. It holds the request's ID and asks for the code.
func (s *Server) Link(approval string) (link string, ok bool) {
	if !requestForm.MatchString(approval) {
		return "", false
	}
	return s.base.JoinPath("r", approval).String(), true
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isAny(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// random returns n letters that nobody can guess and everybody can read.
func random(letters string, n int) string {
	b := make([]byte, 0, n)
	for draw := make([]byte, 64); len(b) < n; {
		rand.Read(draw)
		for _, d := range draw {
			// What lies beyond the last whole round is drawn again.
			if int(d) < 256/len(letters)*len(letters) && len(b) < n {
				b = append(b, letters[int(d)%len(letters)])
			}
		}
	}
	return string(b)
}
