package duplicatitest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say what server to start. The zero value is the newest generation
// with a password that nobody knows.
type Options struct {
	Generation string        // "2.1", "2.2", "2.3.0", "2.3.1"; "" is the newest
	Password   string        // "" makes one up, as a fresh server does
	Clock      *Clock        // nil runs with real time
	TaskTime   time.Duration // how long a task works unless its Outcome says; 0 is 50 ms, negative none at all
	Disk       *Disk         // the files that backups find; nil is an empty Disk

	SigningKey         string        // base64 text; "" makes one
	AccessLife         time.Duration // of access tokens; 0 is 15 minutes
	RefreshLife        time.Duration // of remembered refresh tokens; 0 is 30 days
	ForeverTokens      bool          // --webservice-enable-forever-token
	NoScheduler        bool          // nothing starts by its schedule, as when the scheduler has died
	NoSigninTokens     bool          // --webservice-disable-signin-tokens
	PreAuthTokens      []string      // --webservice-pre-auth-tokens
	AllowedHostnames   string        // --webservice-allowed-hostnames, ";" between them
	DisabledExtensions string        // --webservice-disable-api-extensions, ";" between them
	CertificatePEM     []byte        // with KeyPEM: Start serves TLS with them
	KeyPEM             []byte
	TLS                bool // Start serves TLS with a self-signed certificate
	Port               int  // what the server believes to listen on; 0 is 8200
}

// Server is a simulated Duplicati server. It is an http.Handler; Start also
// lets it listen.
type Server struct {
	URL string // set by Start, without a trailing slash

	gen   *generation
	opts  Options
	clock *Clock
	disk  *Disk
	table routes
	http  *httptest.Server
	seen  recorder
	fault faults

	mu     sync.Mutex
	at     time.Time // of what is being done
	wake   chan struct{}
	waits  int // requests that wait for the next change
	timer  *time.Timer
	closed bool
	db     *database
	run    *process
	plans  map[string][]Outcome // by backup ID; "" for all others

	strange []string // requests that were refused as not known
}

// New makes a server that is up and holds nothing. It fails only for a
// generation that does not exist.
func New(o Options) (*Server, error) {
	gen, err := findGeneration(o.Generation)
	if err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = NewClock()
	}
	if o.Disk == nil {
		o.Disk = NewDisk()
	}
	if o.TaskTime == 0 {
		o.TaskTime = 50 * time.Millisecond
	}
	if o.Port == 0 {
		o.Port = 8200
	}
	s := &Server{
		gen: gen, opts: o, clock: o.Clock, disk: o.Disk,
		wake: make(chan struct{}), plans: map[string][]Outcome{},
	}
	s.at = s.clock.Now()
	s.db = newDatabase(gen, o)
	s.table = newRoutes(gen)
	s.boot()
	return s, nil
}

// Start makes a server that listens on a free port of 127.0.0.1 until the test
// ends. A test that leaves anything in Unknown has failed.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		for _, what := range s.Unknown() {
			t.Errorf("duplicatitest: nobody knows how a real server answers %s", what)
		}
	})
	return s
}

// Listen lets the server listen on a free port of 127.0.0.1 and sets URL.
func (s *Server) Listen() error { return s.ListenAt("127.0.0.1:0") }

// ListenAt lets the server listen at an address, such as 127.0.0.1:8200, and
// sets URL.
func (s *Server) ListenAt(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s.http = &httptest.Server{Listener: listener, Config: &http.Server{Handler: s, ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: headerBytes}}
	s.http.Config.ErrorLog = quiet
	switch {
	case s.opts.CertificatePEM != nil:
		pair, err := tls.X509KeyPair(s.opts.CertificatePEM, s.opts.KeyPEM)
		if err != nil {
			listener.Close()
			return err
		}
		s.http.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		s.http.StartTLS()
	case s.opts.TLS:
		s.http.StartTLS()
	default:
		s.http.Start()
	}
	s.URL = s.http.URL
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, port, err := net.SplitHostPort(s.http.Listener.Addr().String()); err == nil {
		s.opts.Port, _ = strconv.Atoi(port)
		s.db.settings.set("last-webserver-port", port)
	}
	return nil
}

// Kestrel's patience with a request's head, and the most it takes of one.
const (
	headerTimeout = 30 * time.Second
	headerBytes   = 32 << 10
)

// Close stops the server and lets everybody go who waits for it.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.run.closeSockets()
	s.changed()
	s.mu.Unlock()
	s.fault.release()
	if s.http != nil {
		s.http.CloseClientConnections()
		s.http.Close()
	}
}

// Certificate is what the server shows over TLS.
func (s *Server) Certificate() *x509.Certificate {
	if s.http == nil || s.http.TLS == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(s.http.TLS.Certificates[0].Certificate[0])
	if err != nil {
		return nil
	}
	return cert
}

// Clock is the server's clock.
func (s *Server) Clock() *Clock { return s.clock }

// Disk holds the files that backups find.
func (s *Server) Disk() *Disk { return s.disk }

// Advance moves the clock ahead; all that falls due on the way happens at its
// time and in its order.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock.advance(d)
	s.step()
	s.changed()
}

// RestartOptions change a server's start options; a nil field leaves them.
type RestartOptions struct {
	ResetKeys          bool // --webservice-reset-jwt-config: every token is dead
	ForeverTokens      *bool
	NoSigninTokens     *bool
	AccessLife         *time.Duration
	AllowedHostnames   *string
	DisabledExtensions *string
	Off                time.Duration // how long it is off, by the clock
}

// Restart stops the server and starts it again: tasks, events, progress and
// temporary backups are gone, configuration and tokens stay.
func (s *Server) Restart(o RestartOptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step()
	s.run.closeSockets()
	s.clock.advance(o.Off)
	s.at = s.clock.Now()
	if o.ResetKeys {
		s.db.jwt.key = newSigningKey()
		s.db.families = map[string]*family{}
	}
	set(&s.opts.ForeverTokens, o.ForeverTokens)
	if o.NoSigninTokens != nil {
		s.db.settings.set("disable-signin-tokens", boolText(*o.NoSigninTokens))
	}
	if o.AllowedHostnames != nil {
		s.db.settings.set("allowed-hostnames", *o.AllowedHostnames)
	}
	if o.DisabledExtensions != nil {
		s.db.settings.set("disable-api-extensions", *o.DisabledExtensions)
	}
	set(&s.db.jwt.access, o.AccessLife)
	s.boot()
	s.step()
	s.changed()
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

func boolText(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// changed wakes everybody who waits for something.
func (s *Server) changed() {
	close(s.wake)
	s.wake, s.waits = make(chan struct{}), 0
	s.setTimer()
}

// Waiting is how many requests wait for something to happen. Those that
// something has just happened to do not count until they wait again.
func (s *Server) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waits
}

// wait lets a request give up the lock until done, the deadline or the end of
// ctx. It reports whether done was reached.
func (s *Server) wait(ctx context.Context, deadline time.Time, done func() bool) bool {
	return s.await(ctx, deadline, done, &s.waits)
}

// await is wait for whoever is counted in waits.
func (s *Server) await(ctx context.Context, deadline time.Time, done func() bool, waits *int) bool {
	for {
		s.step()
		if done() {
			return true
		}
		left := deadline.Sub(s.at)
		if s.closed || !deadline.IsZero() && left <= 0 {
			return false
		}
		var timeout <-chan time.Time
		if !deadline.IsZero() && !s.clock.Stands() {
			t := time.NewTimer(left)
			defer t.Stop()
			timeout = t.C
		}
		wake := s.wake
		*waits++
		s.mu.Unlock()
		select {
		case <-wake:
		case <-timeout:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if wake == s.wake {
			*waits--
		}
		if ctx.Err() != nil {
			return false
		}
	}
}

// ServeHTTP answers as Duplicati would.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := s.seen.begin(r)
	fault, done := s.fault.serve(w, r)
	if done {
		s.seen.end(seen, fault.Status)
		return
	}
	c := &call{
		ctx: r.Context(), r: r, status: http.StatusOK, header: w.Header(),
		query: parseQuery(r.URL.RawQuery),
	}
	c.host, c.port = splitHost(r.Host)
	c.header.Set("Server", "Kestrel")

	rt, values, status, allow := s.table.match(r)
	c.values = values
	if rt != nil && rt.body != noBody {
		s.readBody(c, rt)
	}
	cut := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.step()
		run := s.run
		s.answer(c, rt, status, allow)
		c.header.Set("Date", s.at.Format(http.TimeFormat))
		return s.run != run || s.closed // the process that was asked is gone
	}()
	if cut {
		panic(http.ErrAbortHandler)
	}
	if c.socket != nil {
		s.seen.end(seen, http.StatusSwitchingProtocols)
		s.serveSocket(w, c)
		return
	}
	s.seen.end(seen, c.status)
	fault.spoil(w, c)
	w.WriteHeader(c.status)
	if r.Method != http.MethodHead {
		w.Write(c.out)
	}
}

// readBody reads the body before the lock is taken, and leaves what is wrong
// with it for its turn in the order of checks.
func (s *Server) readBody(c *call, rt *route) {
	v, err := readJSON(c.r)
	switch {
	case err != nil:
		c.bodyErr = err
	case v.isNull() && rt.body == jsonBody:
		c.bodyErr = errMissing
	}
	c.body = v
}

// answer runs the checks in the server's order: authentication, authorization,
// reading of the body, host name, binding, endpoint.
func (s *Server) answer(c *call, rt *route, status int, allow string) {
	user, denied, broken := s.authenticate(c)
	if broken {
		c.empty(http.StatusInternalServerError)
		return
	}
	c.user = user
	if rt == nil {
		if allow != "" {
			c.header.Set("Allow", allow)
		}
		c.empty(status)
		return
	}
	if rt.access == bearer && !user.known {
		c.header.Set("WWW-Authenticate", denied)
		c.empty(http.StatusUnauthorized)
		return
	}
	if c.bodyErr != nil && c.bodyErr != errMissing { // it cannot even be read
		s.logFailure(c, c.bodyErr)
		c.fail(s.gen, c.bodyErr)
		return
	}
	if rt.filtered && !s.run.hostAllowed(c.host) {
		c.fail(s.gen, failf(http.StatusForbidden, "Invalid hostname: "+c.host))
		return
	}
	if c.bodyErr == errMissing {
		c.fail(s.gen, errBind)
		return
	}
	rt.handle(s, c)
}

// try runs an endpoint that may end in an error.
func try(h func(*Server, *call) error) handler {
	return func(s *Server, c *call) {
		if err := h(s, c); err != nil {
			if u, ok := err.(*unknown); ok {
				s.strange = append(s.strange, c.r.Method+" "+c.r.URL.Path+": "+u.what)
			}
			s.logFailure(c, err)
			c.fail(s.gen, err)
		}
	}
}

// Unknown lists the requests that the server has refused since it was last
// asked, because nobody knows how a real one answers them.
func (s *Server) Unknown() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.strange
	s.strange = nil
	return list
}

// refuse is an endpoint that exists, and of which no more is known.
func refuse(what string) handler { return try(func(*Server, *call) error { return unknownOf(what) }) }

// splitHost takes a Host header apart as HostString does.
func splitHost(host string) (string, int) {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.HasSuffix(host, "]") || strings.Count(host, ":") > 1 && !strings.HasPrefix(host, "[") {
		return host, 0
	}
	port, err := strconv.Atoi(host[i+1:])
	if err != nil {
		return host[:i], 0
	}
	return host[:i], port
}

// hostAllowed is the host name filter with the list read at the start.
func (p *process) hostAllowed(host string) bool {
	switch strings.ToLower(host) {
	case "localhost", "127.0.0.1", "[::1]", "localhost.localdomain":
		return true
	}
	if net.ParseIP(strings.Trim(host, "[]")) != nil {
		return true
	}
	for _, name := range p.hostnames {
		if name == "*" || strings.EqualFold(name, host) {
			return true
		}
	}
	return false
}

// drain lets a connection be used again.
func drain(r *http.Request) { io.Copy(io.Discard, io.LimitReader(r.Body, maxBody)) }
