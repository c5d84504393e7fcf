// Package slacktest is a Slack that runs in the test: the Web API over HTTP, Socket Mode over a real
// websocket or signed requests to the app's own URL, people who type, click and submit, and Slack's
// refusals. It is meant to be as strict as the real one, so that what passes here works there.
//
//	s := slacktest.New(t, slacktest.Options{})
//	ann := s.AddUser(slacktest.User{Name: "ann"})
//	nas := s.AddChannel(slacktest.Channel{Name: "nas", Members: []string{ann.ID, s.BotUserID()}})
//
//	start the bot with s.APIURL(), s.AppToken(), s.BotToken(); then
//
//	s.WaitConnections(2)
//	s.Slash(ann.ID, nas.ID, "list-backups")
//	m := s.WaitMessage(nas.ID, slacktest.Saying("photos"))
//	s.Click(m, "run", ann.ID)
//
// Every message, modal and Home view that the app sends is checked against a JSON Schema made of
// Slack's own types (blockkit.schema.json) and against a few rules across fields, marked "ours" where
// Slack does not write them down. What Slack would refuse is refused the same way, and is also a
// violation: with New, a violation that the test has not taken with TakeViolations fails the test at
// its end.
//
// Time is the real clock plus what Advance added: three seconds of a trigger, thirty minutes of a
// response_url and the retries of an event pass at once when a test says so.
//
// Where Slack does not document an answer (the body after a used-up response_url, whether a slash
// command's text is HTML-escaped), the choice made here is named at the place.
package slacktest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options describe the workspace and the installed app. The zero value is one workspace outside any
// Grid organisation, with an app that has /duplicati, Socket Mode and a Home tab.
type Options struct {
	TeamID       string   // default T0000TEAM
	EnterpriseID string   // set: the workspace belongs to a Grid organisation
	Manifest     []byte   // the app's manifest as JSON; default DefaultManifest
	Scopes       []string // what the bot token was granted; default the manifest's oauth_config.scopes.bot

	RequestURLs   RequestURLs // set: HTTP mode instead of Socket Mode
	SigningSecret string      // of HTTP mode; default a fixed word

	RateLimits bool          // answer 429 beyond Slack's tiers and one message a second and channel
	PingEvery  time.Duration // websocket pings; default 10 s, the first one at once
	AckWithin  time.Duration // what Slack waits for an acknowledgement; default 3 s

	Log *slog.Logger // default: nothing is logged
}

// RequestURLs are the app's own addresses in HTTP mode. Options is asked for external selects.
type RequestURLs struct{ Commands, Interactivity, Options, Events string }

// TB is the part of testing.TB that New needs.
type TB interface {
	Helper()
	Cleanup(func())
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Server is one workspace with one installed app.
type Server struct {
	opt      Options
	tb       TB // nil when started without a test
	log      *slog.Logger
	manifest manifest
	clock    clock
	http     *http.Server
	base     string
	work     sync.WaitGroup // handlers and deliveries under way

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced at each change
	closed     bool
	seq        int
	users      map[string]*User
	channels   map[string]*Channel
	groups     map[string]*UserGroup
	messages   []*Message
	views      map[string]*View
	stacks     map[string][]string // user -> IDs of open modals, the top one last
	homes      map[string]string   // user -> ID of the published Home view
	triggers   map[string]*trigger
	responses  map[string]*responseURL
	files      map[string]*File
	offered    map[string][]obj          // surface and action -> options last offered to an external select
	picked     map[string]map[string]obj // message and person -> what is chosen in its menus
	calls      []Call
	sent       [][]byte
	violations []string
	faults     []*Fault
	limits     map[string][]time.Time
	sockets    socketMode
	deliveries map[string]*Delivery
	times      int // how often each envelope is delivered
}

// Tokens and IDs of the installed app. They are shaped like Slack's and mean nothing elsewhere.
const (
	appID     = "A0000DUPLI"
	botID     = "B0000DUPLI"
	botUserID = "U0000DUPLI"
	appToken  = "xapp-1-A0000DUPLI-1111-fake"
	botToken  = "xoxb-1111-2222-fake"
	cfgToken  = "xoxe.xoxp-1-fake"
)

// New starts a Slack that ends with the test and fails it for what the app did wrong.
func New(t TB, opt Options) *Server {
	t.Helper()
	s, err := Start(opt)
	if err != nil {
		t.Fatalf("start the fake Slack: %v", err)
	}
	s.tb = t
	t.Cleanup(func() {
		s.Close()
		for _, v := range s.TakeViolations() {
			t.Errorf("Slack would not have taken this: %s", v)
		}
	})
	return s
}

// Start starts a Slack outside a test; the caller closes it.
func Start(opt Options) (*Server, error) {
	if opt.TeamID == "" {
		opt.TeamID = "T0000TEAM"
	}
	if opt.Manifest == nil {
		opt.Manifest = []byte(DefaultManifest)
	}
	if opt.SigningSecret == "" {
		opt.SigningSecret = "8f742231b10e8888abcd99yyyzzz85a5" // of Slack's page on signatures
	}
	if opt.PingEvery == 0 {
		opt.PingEvery = 10 * time.Second
	}
	if opt.AckWithin == 0 {
		opt.AckWithin = 3 * time.Second
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if err := ValidateManifest(opt.Manifest); err != nil {
		return nil, fmt.Errorf("manifest of the app: %w", err)
	}
	s := &Server{
		opt: opt, log: opt.Log, changed: make(chan struct{}), times: 1,
		users: map[string]*User{}, channels: map[string]*Channel{}, groups: map[string]*UserGroup{},
		views: map[string]*View{}, stacks: map[string][]string{}, homes: map[string]string{},
		triggers: map[string]*trigger{}, responses: map[string]*responseURL{}, files: map[string]*File{},
		offered: map[string][]obj{}, picked: map[string]map[string]obj{}, limits: map[string][]time.Time{}, deliveries: map[string]*Delivery{},
	}
	if err := s.manifest.read(opt); err != nil {
		return nil, fmt.Errorf("manifest of the app: %w", err)
	}
	s.sockets.tickets = map[string]ticket{}
	s.users[botUserID] = &User{ID: botUserID, Name: "duplibot", RealName: "Duplibot", TeamID: opt.TeamID, IsBot: true}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.base = "http://" + listener.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", s.serveAPI)
	mux.HandleFunc("GET /link/", s.serveSocket)
	mux.HandleFunc("POST /response/{id}", s.serveResponseURL)
	mux.HandleFunc("POST /upload/v1/{id}", s.serveUpload)
	s.http = &http.Server{Handler: s.unlessPartitioned(mux), ReadHeaderTimeout: 10 * time.Second}
	s.work.Go(func() { _ = s.http.Serve(listener) })
	return s, nil
}

// Close ends the workspace: connections are cut, hanging answers too.
func (s *Server) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	s.touch()
	s.mu.Unlock()
	s.clock.stop()
	s.dropSockets()
	_ = s.http.Close()
	s.work.Wait()
}

// APIURL is what slack.OptionAPIURL wants; it ends in a slash.
func (s *Server) APIURL() string { return s.base + "/api/" }

// AppToken is the app-level token (connections:write).
func (s *Server) AppToken() string { return appToken }

// BotToken is the bot token.
func (s *Server) BotToken() string { return botToken }

// ConfigToken is the configuration token that apps.manifest.validate wants.
func (s *Server) ConfigToken() string { return cfgToken }

// SigningSecret is what requests of HTTP mode are signed with.
func (s *Server) SigningSecret() string { return s.opt.SigningSecret }

// BotUserID is the user ID of the app's bot.
func (s *Server) BotUserID() string { return botUserID }

// TeamID is the workspace's ID.
func (s *Server) TeamID() string { return s.opt.TeamID }

// AppID is the app's ID.
func (s *Server) AppID() string { return appID }

// Violations are the things the app did that Slack would have refused or dropped.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.violations...)
}

// TakeViolations returns the violations and forgives them: a test that provokes one takes it.
func (s *Server) TakeViolations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.violations
	s.violations = nil
	return v
}

// violate notes what Slack would refuse; mu is held.
func (s *Server) violate(format string, args ...any) {
	v := fmt.Sprintf(format, args...)
	s.log.Warn("violation", "what", v)
	s.violations = append(s.violations, v)
	s.touch()
}

// touch wakes everybody who waits for a change; mu is held.
func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

var errClosed = errors.New("the fake Slack was closed")

// Wait returns once cond holds. cond is asked, with nothing locked, after each change; it reads
// through the public methods.
func (s *Server) Wait(ctx context.Context, cond func() bool) error {
	for {
		s.mu.Lock()
		changed, closed := s.changed, s.closed
		s.mu.Unlock()
		if cond() {
			return nil
		}
		if closed {
			return errClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waitLimit is how long the helpers that take no context wait before they fail the test: far beyond
// what anything takes, so that it is never what a test measures.
const waitLimit = 20 * time.Second

// waitOrFail waits for cond and fails the test with what when it never holds.
func (s *Server) waitOrFail(cond func() bool, what func() string) {
	parent := context.Background()
	if s.tb != nil {
		s.tb.Helper()
		parent = s.tb.Context()
	}
	ctx, cancel := context.WithTimeout(parent, waitLimit)
	defer cancel()
	if err := s.Wait(ctx, cond); err != nil {
		s.fail("%s: %v", what(), err)
	}
}

// fail reports a mistake of the test itself or an expectation that was not met.
func (s *Server) fail(format string, args ...any) {
	if s.tb == nil {
		panic("slacktest: " + fmt.Sprintf(format, args...))
	}
	s.tb.Helper()
	s.tb.Fatalf(format, args...)
}

// id makes an ID as Slack shapes them; mu is held.
func (s *Server) id(prefix string) string {
	s.seq++
	return fmt.Sprintf("%s%s", prefix, strings.ToUpper(fmt.Sprintf("%09s", fmt.Sprintf("%x", 0xA0000+s.seq*7919))))
}

// ts makes a message timestamp, unique and rising; mu is held.
func (s *Server) ts() string {
	s.seq++
	return fmt.Sprintf("%d.%06d", s.clock.now().Unix(), s.seq)
}
