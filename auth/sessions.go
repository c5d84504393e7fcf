package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// Server is one that clients are wanted of.
type Server struct {
	Name        string
	URL         string // as duplicati.Options has it
	Password    secret.Ref
	Database    Database
	DatabaseKey secret.Ref // what the fields of the database are encrypted with
	TLS         TLS
}

// Database is the server's own, which whoever can read it logs in with.
type Database struct {
	Use    bool
	Path   string // of Duplicati-server.sqlite; "" looks for it
	Folder string // the server's option --server-datafolder; "" looks where Duplicati does
}

// TLS says which certificate is accepted, as duplicati.Options does. Where all
// is empty a person can pin one when logging in.
type TLS struct {
	CAFile   string
	Pins     []string
	Insecure bool
}

// Options say what Sessions are made of. Ring, Locks and References are
// required.
type Options struct {
	Servers    []Server
	Ring       keyring.Ring
	Locks      Locks // shared with every process that uses the same keyring
	References *References

	Timeout   time.Duration // of one call to a server; 0 is 30 s
	UserAgent string
	Now       func() time.Time // nil is time.Now
	Log       *slog.Logger
}

// Sessions keeps the logins to the servers.
type Sessions struct {
	order   []string
	servers map[string]*server
	work    sync.WaitGroup
}

// New checks the servers and reads and sends nothing yet.
func New(o Options) (*Sessions, error) {
	if o.Ring == nil || o.Locks == nil || o.References == nil {
		return nil, errors.New("keep sessions: a keyring, locks and references are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	all := &Sessions{servers: map[string]*server{}}
	for _, c := range o.Servers {
		if _, twice := all.servers[c.Name]; twice || c.Name == "" {
			return nil, fmt.Errorf("keep sessions: the name %q is given to two servers, or is none", c.Name)
		}
		key, err := keyring.ServerKey(c.URL)
		if err != nil {
			return nil, fmt.Errorf("keep sessions of %s: %w", c.Name, err)
		}
		s := &server{Server: c, Options: o, key: key, work: &all.work}
		if s.client, err = s.open(""); err != nil {
			return nil, fmt.Errorf("keep sessions of %s: %w", c.Name, err)
		}
		s.origin = s.client.Origin()
		all.order, all.servers[c.Name] = append(all.order, c.Name), s
	}
	return all, nil
}

// Close waits for renewals that are under way, whose tokens would else be
// lost, and closes the connections.
func (a *Sessions) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() { a.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("wait for sessions that are being renewed: %w", ctx.Err())
	}
	for _, s := range a.servers {
		s.current().Close()
	}
	return nil
}

// Client is logged in, or logs in by the stored session, the server's own
// database or the password, in this order.
func (a *Sessions) Client(ctx context.Context, name string) (*duplicati.Client, error) {
	s, err := a.find(name)
	if err != nil {
		return nil, err
	}
	if _, err := s.Access(ctx); err != nil {
		return nil, err
	}
	return s.current().With(s), nil
}

// Diagnose looks which part between here and Duplicati is ill. It needs no
// session, and of the keyring no more than a pin, if that can be had.
func (a *Sessions) Diagnose(ctx context.Context, name string) (duplicati.Diagnosis, error) {
	s, err := a.find(name)
	if err != nil {
		return duplicati.Diagnosis{}, err
	}
	pin := ""
	if s.pinnable() {
		if i, err := s.load(ctx); err == nil {
			pin = i.Pin
		}
	}
	return duplicati.Diagnose(ctx, s.options(pin))
}

func (a *Sessions) find(name string) (*server, error) {
	if s, ok := a.servers[name]; ok {
		return s, nil
	}
	e := tools.Errorf(tools.NotFound, "no server is called %q; nothing was done", said(name, 60))
	if near := tools.Nearest(name, a.order, 3); len(near) > 0 {
		return nil, e.WithHint("is it one of: %s?", strings.Join(near, ", "))
	}
	return nil, e
}

// server keeps the session of one.
type server struct {
	Server
	Options
	key    string // of its item in the keyring
	origin string // what that item is bound to
	work   *sync.WaitGroup

	mu       sync.Mutex
	client   *duplicati.Client
	pin      string // that client was opened with
	known    item
	unsaved  bool         // known is newer than what the keyring has
	again    time.Time    // when to offer it to the keyring again
	rejected secret.Value // an access token that the server does not take
	got      time.Time    // when known came from the server
	quick    int          // tokens in a row that were refused as soon as they had come
	flight   *flight
}

var _ duplicati.Tokens = (*server)(nil)

func (s *server) options(pin string) duplicati.Options {
	o := duplicati.Options{
		URL: s.URL, CAFile: s.TLS.CAFile, Pins: s.TLS.Pins, Insecure: s.TLS.Insecure,
		Timeout: s.Timeout, Now: s.Now, UserAgent: s.UserAgent,
	}
	if pin != "" && s.pinnable() {
		o.Pins = []string{pin}
	}
	return o
}

// pinnable reports whether the configuration leaves it to a person which
// certificate is accepted.
func (s *server) pinnable() bool {
	return strings.HasPrefix(strings.ToLower(s.URL), "https:") && s.TLS.CAFile == "" && len(s.TLS.Pins) == 0 && !s.TLS.Insecure
}

func (s *server) open(pin string) (*duplicati.Client, error) { return duplicati.New(s.options(pin)) }

func (s *server) current() *duplicati.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

// with returns a client for a pin; only adopt makes it the one for all calls.
func (s *server) with(pin string) (*duplicati.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pin == s.pin {
		return s.client, nil
	}
	return s.open(pin)
}

// adopt makes i what calls are made with from now on.
func (s *server) adopt(i item, fresh bool) error {
	c, err := s.with(i.Pin)
	if err != nil {
		return err
	}
	c.Assume(i.Generation)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client, s.pin = c, i.Pin
	s.known, s.unsaved = i, false
	if fresh {
		s.got = s.Now()
	}
	return nil
}

// usable reports whether calls can be made with i. The caller holds mu.
func (s *server) usable(i item) bool {
	return !i.Access.Empty() && s.Now().Before(i.Until) && !i.Access.Equal(s.rejected)
}

// explain puts what went wrong on the way to a session into words. That a
// login may have been carried out all the same is of no matter to anybody.
func (s *server) explain(err error) error {
	var e *duplicati.Error
	if errors.As(err, &e) && e.Uncertain {
		certain := *e
		certain.Uncertain = false
		err = &certain
	}
	if x := Explain(err, s.Name); x != nil {
		return x
	}
	return err
}
