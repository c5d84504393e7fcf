package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/duplibot/duplibot/tools"
)

// How often one client may ask, and post, and how many clients are remembered.
const (
	askRate, askBurst   = 5, 60
	postRate, postBurst = 0.5, 15
	maxRemembered       = 4096
)

// guard lets through what may come to a page: from a client that does not ask
// too often, for a host that is ours, and not sent by somebody else's page.
func (s *Server) guard(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	if err := origins.AddTrustedOrigin(s.base.Scheme + "://" + s.base.Host); err != nil {
		s.Log.Error("origin not trusted", "error", err)
	}
	origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.say(w, http.StatusForbidden, refusal(tools.Errorf(tools.Denied, "this form was not sent from its own page; nothing was changed").
			WithHint("open the link in a browser of this year, and enter it there")))
	}))
	checked := origins.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.harden(w.Header())
		if !s.limits.allow(s.client(r), r.Method == http.MethodPost) {
			w.Header().Set("Retry-After", "10")
			s.say(w, http.StatusTooManyRequests, refusal(tools.Errorf(tools.TooMany, "too many requests came from your address; nothing was changed").
				WithHint("wait a few seconds and try again")))
			return
		}
		if !s.ours(r.Host) {
			// Another name that was made to lead here may belong to somebody
			// whose page reads ours.
			http.Error(w, "this host name is not the bot's", http.StatusMisdirectedRequest)
			return
		}
		checked.ServeHTTP(w, r)
	})
}

// harden sets what every answer says to the browser.
func (s *Server) harden(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("X-Robots-Tag", "noindex, nofollow")
}

// ours reports whether host is a name of this server. A proxy may send its own
// or the address that we listen at.
func (s *Server) ours(host string) bool {
	if strings.EqualFold(host, s.base.Host) || strings.EqualFold(host, s.Listen) {
		return true
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return false
	}
	if def := map[string]string{"https": "443", "http": "80"}[s.base.Scheme]; s.base.Port() == "" && port == def && strings.EqualFold(name, s.base.Hostname()) {
		return true
	}
	_, own, _ := net.SplitHostPort(s.Listen)
	return isLoopback(name) && port == own
}

// client is who asks: the address, or what a proxy on this host says of it.
func (s *Server) client(r *http.Request) netip.Prefix {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	ip := addr.Addr().Unmap()
	if ip.IsLoopback() && s.Public() && s.cert == nil {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if said, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1])); err == nil {
			ip = said.Unmap().WithZone("")
		}
	}
	bits := 32
	if ip.Is6() {
		bits = 64 // one household or one machine has as many as it likes of the rest
	}
	p, _ := ip.WithZone("").Prefix(bits)
	return p
}

// limiter counts what clients ask.
type limiter struct {
	now tools.Clock

	mu      sync.Mutex
	clients map[netip.Prefix]*allowance
}

type allowance struct{ asks, posts *rate.Limiter }

func newLimiter(now tools.Clock) *limiter {
	return &limiter{now: now, clients: map[netip.Prefix]*allowance{}}
}

func (l *limiter) allow(client netip.Prefix, post bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.clients[client]
	if a == nil {
		if len(l.clients) >= maxRemembered {
			clear(l.clients)
		}
		a = &allowance{rate.NewLimiter(askRate, askBurst), rate.NewLimiter(postRate, postBurst)}
		l.clients[client] = a
	}
	now := l.now()
	return a.asks.AllowN(now, 1) && (!post || a.posts.AllowN(now, 1))
}

// left is how long a page is still open, in words.
func left(until, now time.Time) string {
	switch m := int(until.Sub(now).Round(time.Minute) / time.Minute); m {
	case 0:
		return "less than a minute"
	case 1:
		return "about one minute"
	default:
		return fmt.Sprintf("about %d minutes", m)
	}
}
