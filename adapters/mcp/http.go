package mcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/server"
)

// HTTPOptions is how a Server is reached over streamable HTTP.
type HTTPOptions struct {
	Listen string // address and port, "127.0.0.1:8484"
	Path   string // "" is /mcp
	// URL is the address as clients know it where a proxy with TLS stands
	// before: "https://bot.example/mcp".
	URL               string
	CertFile, KeyFile string
	// InsecureListen allows a bind that others can reach without TLS and
	// without a proxy: tokens then travel in clear.
	InsecureListen bool
	Hosts          []string // further host names that clients may use
	Origins        []string // web pages that may call, as "https://host:port"
	Tokens         Tokens
	OAuth          *OAuth
	Limits         Limits
	// Requires names the client capabilities without which a tool cannot
	// work; a call that lacks one is refused before it begins. No operation
	// has any.
	Requires func(tool string) []string
}

// Limits of one caller unless said otherwise; zero fields take the default.
type Limits struct {
	Body        int64         // bytes of one message; 1 MiB
	Rate        float64       // requests a second; 50
	Burst       int           // requests at once after a rest; 200
	Concurrent  int           // requests in work; 64
	Streams     int           // open streams of notifications; 16
	Sessions    int           // sessions of old clients, the least used ends; 32
	AllSessions int           // of all callers; 1024
	SessionIdle time.Duration // until a session ends; 30 minutes
	Read        time.Duration // for a request to arrive whole; 10 s
	Write       time.Duration // for a client to take what is written; 30 s
	Call        time.Duration // for one call; 10 minutes
}

func (l Limits) withDefaults() Limits {
	or := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	within := func(t *time.Duration, d time.Duration) {
		if *t == 0 {
			*t = d
		}
	}
	if l.Body == 0 {
		l.Body = messageLimit
	}
	if l.Rate == 0 {
		l.Rate = 50
	}
	or(&l.Burst, 200)
	or(&l.Concurrent, 64)
	or(&l.Streams, 16)
	or(&l.Sessions, 32)
	or(&l.AllSessions, 1024)
	within(&l.SessionIdle, 30*time.Minute)
	within(&l.Read, 10*time.Second)
	within(&l.Write, 30*time.Second)
	within(&l.Call, 10*time.Minute)
	return l
}

// HTTP is a Server behind our own guard. It is an http.Handler.
type HTTP struct {
	http.Handler
	s        *Server
	o        HTTPOptions
	streams  *server.StreamableHTTPServer
	resource string
	cert     *certificate
}

// NewHTTP checks the options and refuses a way in that is not safe.
func (s *Server) NewHTTP(o HTTPOptions) (*HTTP, error) {
	return newHTTP(s.rpc, s, o)
}

func newHTTP(rpc *server.MCPServer, s *Server, o HTTPOptions) (*HTTP, error) {
	if o.Path == "" {
		o.Path = "/mcp"
	}
	o.Limits = o.Limits.withDefaults()
	if o.Tokens == nil && o.OAuth == nil {
		return nil, errors.New("mcp: http needs tokens or oauth: nobody could prove who calls")
	}
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("mcp: http: listen %q: an address with a port is needed", o.Listen)
	}
	h := &HTTP{s: s, o: o, resource: o.URL}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("mcp: http: a certificate needs its key, and a key its certificate")
	}
	if o.CertFile != "" {
		if h.cert, err = loadCertificate(o.CertFile, o.KeyFile); err != nil {
			return nil, fmt.Errorf("mcp: http: %w", err)
		}
	}
	public, err := publicURL(o.URL)
	if err != nil {
		return nil, err
	}
	if !isLoopback(host) && h.cert == nil && public == nil && !o.InsecureListen {
		return nil, fmt.Errorf("mcp: http: %s can be reached by others, and tokens would travel in clear: give cert_file and key_file, "+
			"or url with https where a proxy stands before, or say insecure_listen", o.Listen)
	}
	hosts := hostsOf(host, public, o.Hosts)
	if len(hosts) == 0 {
		return nil, fmt.Errorf("mcp: http: %s has no name: say in hosts, or by url, under which names clients reach it", o.Listen)
	}
	if h.resource == "" {
		scheme := "http"
		if h.cert != nil {
			scheme = "https"
		}
		h.resource = scheme + "://" + net.JoinHostPort(hosts[0], port) + o.Path
	}
	sessions := newSessions(o.Limits, s.Now)
	h.streams = server.NewStreamableHTTPServer(rpc,
		server.WithSessionIdManagerResolver(sessions),
		server.WithSessionIdleTTL(o.Limits.SessionIdle),
		server.WithStreamableHTTPLogger(slog.New(slog.DiscardHandler)),
		server.WithHeartbeatInterval(streamBeat),
		// The guard checks Host, and knows the proxy's name.
		server.WithDisableLocalhostProtection(true),
	)
	sessions.end = h.endSession
	if h.Handler, err = h.routes(hosts, sessions); err != nil {
		return nil, err
	}
	return h, nil
}

// publicURL is the address behind a proxy; nil where none is given.
func publicURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, errors.New("mcp: http: url must be an https address of this server as clients reach it")
	}
	return u, nil
}

// hostsOf is the names that a request's Host may have, without ports.
func hostsOf(listen string, public *url.URL, more []string) []string {
	var hosts []string
	if public != nil {
		hosts = append(hosts, strings.ToLower(public.Hostname()))
	}
	for _, name := range more {
		hosts = append(hosts, strings.ToLower(strings.Trim(name, "[]")))
	}
	switch ip, err := netip.ParseAddr(listen); {
	case isLoopback(listen):
		if listen != "localhost" {
			hosts = append(hosts, listen)
		}
		hosts = append(hosts, "localhost", "127.0.0.1", "::1")
	case err == nil && !ip.IsUnspecified():
		hosts = append(hosts, ip.String())
	case err != nil && listen != "":
		hosts = append(hosts, strings.ToLower(listen))
	}
	return hosts
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// streamBeat finds out that a client is gone and keeps proxies from closing
// its stream of notifications.
const streamBeat = 30 * time.Second

// drain is how long calls may still take once the server is to end.
const drain = 10 * time.Second

// Serve listens, or takes l where it is not nil, until ctx ends; then it
// answers what is in work and returns.
func (h *HTTP) Serve(ctx context.Context, l net.Listener) error {
	if l == nil {
		var err error
		if l, err = new(net.ListenConfig).Listen(ctx, "tcp", h.o.Listen); err != nil {
			return fmt.Errorf("mcp: http: %w", err)
		}
	}
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: h.o.Limits.Read,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          log.New(warnings{h.s.Log}, "", 0),
	}
	if h.cert != nil {
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: h.cert.get, NextProtos: []string{"http/1.1"}})
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("mcp: http: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	_ = h.streams.Shutdown(end) // ends the streams; the server's own end follows
	if err := srv.Shutdown(end); err != nil {
		_ = srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		h.s.Log.Warn("mcp: http ended", "error", err)
	}
	h.s.calls.Wait()
	return nil
}
