package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// How long a client waits, where its context does not end before.
const (
	dialWithin   = 5 * time.Second        // to be greeted
	silentWithin = 45 * time.Second       // between two frames of a call that runs
	goingWithin  = 2 * time.Second        // for the answer to a cancelled call
	fullWait     = 100 * time.Millisecond // before it asks a daemon again that has too many clients
)

// Client reaches the daemon over its socket. It is a tools.Door and a
// tools.Decisions; what it says as Caller is ignored, since the daemon asks
// the kernel. One connection is made for each call; a Client is safe for
// concurrent use and holds nothing open.
type Client struct {
	path     string
	registry *tools.Registry
	digest   func() string // of registry, when there is somebody to be told
	hello    hello
}

var (
	_ tools.Door      = (*Client)(nil)
	_ tools.Decisions = (*Client)(nil)
)

// ClientOptions is what a Client is made of. All but Name and Channel are
// required.
type ClientOptions struct {
	Path     string
	Registry *tools.Registry // the operations of this program
	Version  string          // of this program
	Surface  tools.Surface   // CLI, or MCP, which reaches no decision
	Name     string          // what the client calls itself, shown as unverified
	Channel  string          // the terminal, for the record
}

// NewClient makes a client. Nothing is connected yet.
func NewClient(o ClientOptions) *Client {
	return &Client{
		path: o.Path, registry: o.Registry,
		digest: sync.OnceValue(func() string { return digest(o.Registry) }),
		hello: hello{
			Protocol: protocol, Version: o.Version,
			Surface: o.Surface, Client: label(o.Name), Channel: label(o.Channel),
		},
	}
}

// As returns a client that calls itself by another name, such as an assistant
// that has said its name by now.
func (c *Client) As(name string) *Client {
	other := *c
	other.hello.Client = label(name)
	return &other
}

// Daemon is what a daemon says of itself.
type Daemon struct {
	Path    string
	Version string
	UID     int // the daemon's account
	Caller  int // the uid that the daemon sees
}

// Ping asks whether the daemon is there and fits this program.
func (c *Client) Ping(ctx context.Context) (Daemon, error) {
	conn, w, err := c.dial(ctx)
	if err != nil {
		return Daemon{}, err
	}
	defer conn.Close()
	uid, err := peer(conn)
	return Daemon{Path: c.path, Version: w.Version, UID: uid, Caller: w.UID}, err
}

// Admin makes an admin call. out is a pointer that the result is decoded into,
// nil for none. A secret that comes with the result is returned.
func (c *Client) Admin(ctx context.Context, name string, args, out any) (secret.Value, error) {
	raw, err := json.Marshal(args)
	if err != nil {
		return secret.Value{}, fmt.Errorf("write the arguments of %s: %w", name, err)
	}
	return c.call(ctx, question{do: doAdmin, words: name, body: adminBody{Name: name, Args: raw}, out: out})
}

// dial connects, checks who is at the other end and is greeted. Whatever goes
// wrong here, nothing was asked.
func (c *Client) dial(ctx context.Context) (*net.UnixConn, welcome, error) {
	if !supported {
		return nil, welcome{}, tools.Errorf(tools.Unsupported, "there is no daemon to talk to on this system; nothing was done").
			WithHint("each command works by itself").Because(os.ErrNotExist)
	}
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	var full error
	for {
		conn, w, err := c.connect(ctx)
		switch {
		case err != nil && full != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
			return nil, welcome{}, full // cut off, and no news
		case tools.CodeOf(err) != tools.TooMany:
			return conn, w, err
		}
		full = err
		// Its places are taken for as long as calls run, which mostly is not long.
		select {
		case <-ctx.Done():
			return conn, w, err
		case <-time.After(fullWait):
		}
	}
}

func (c *Client) connect(ctx context.Context) (*net.UnixConn, welcome, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, welcome{}, c.unreached(ctx, err)
	}
	w, err := c.greet(ctx, conn.(*net.UnixConn))
	if err != nil {
		conn.Close()
		return nil, welcome{}, err
	}
	return conn.(*net.UnixConn), w, nil
}

func (c *Client) greet(ctx context.Context, conn *net.UnixConn) (welcome, error) {
	uid, err := peer(conn)
	if err != nil {
		return welcome{}, tools.Errorf(tools.Unavailable, "the system does not say who serves %s; nothing was done", c.path).Because(err)
	}
	if err := trusted(filepath.Dir(c.path), uid); err != nil {
		return welcome{}, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	defer func() {
		if stop() {
			conn.SetDeadline(time.Time{})
		}
	}()
	h := c.hello
	h.Registry = c.digest()
	var w welcome
	err = writeJSON(conn, helloFrame, h)
	// A daemon that refuses before it reads may be gone already; its words are not.
	if err2 := readJSON(conn, welcomeFrame, &w); err2 != nil {
		return welcome{}, c.unreached(ctx, errors.Join(err, err2))
	}
	if w.Refused != nil {
		return welcome{}, w.Refused
	}
	if e := h.differ(w); e != nil {
		return welcome{}, e
	}
	return w, nil
}

// question is one call of a client.
type question struct {
	do       string
	words    string // what is asked for, for errors
	harmless bool   // asking it again does no harm
	body     any
	secret   *secret.Value
	progress func(tools.Progress)
	out      any
}

// call makes one call on a connection of its own.
func (c *Client) call(ctx context.Context, a question) (secret.Value, error) {
	body, err := json.Marshal(a.body)
	if err != nil {
		return secret.Value{}, fmt.Errorf("write %s: %w", a.words, err)
	}
	if a.secret != nil && len(a.secret.Reveal()) > MaxSecret {
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "what was given is larger than %d MiB; nothing was done", MaxSecret>>20)
	}
	if len(body) > int(limits[requestFrame])-1024 {
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "the arguments of %s are larger than %d KiB; nothing was done", a.words, limits[requestFrame]>>10)
	}
	conn, _, err := c.dial(ctx)
	if err != nil {
		return secret.Value{}, err
	}
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(askWithin))
	err = writeJSON(conn, requestFrame, request{Do: a.do, Body: body, Secret: a.secret != nil})
	if err == nil && a.secret != nil {
		err = writeSecret(conn, *a.secret)
	}
	if err != nil {
		// A request that did not arrive whole is not begun, and a daemon that
		// stops may have said why.
		if _, said := c.follow(ctx, conn, a); tools.CodeOf(said) == tools.Unavailable {
			return secret.Value{}, said
		}
		return secret.Value{}, c.unreached(ctx, err)
	}
	return c.follow(ctx, conn, a)
}

// follow reads what the daemon says until the answer.
func (c *Client) follow(ctx context.Context, conn *net.UnixConn, a question) (secret.Value, error) {
	in := &patient{conn: conn, wait: silentWithin}
	stop := context.AfterFunc(ctx, func() {
		conn.SetWriteDeadline(time.Now().Add(goingWithin))
		_ = writeFrame(conn, cancelFrame, nil) // to a daemon that is gone, or a call that is over
		in.hurry(goingWithin)
	})
	defer stop()
	for {
		k, payload, err := readFrame(in, progressFrame, beatFrame, answerFrame)
		if err != nil {
			return secret.Value{}, c.lost(ctx, a, err)
		}
		switch k {
		case progressFrame:
			var p tools.Progress
			if json.Unmarshal(payload, &p) == nil && a.progress != nil && ctx.Err() == nil {
				a.progress(p)
			}
		case answerFrame:
			return c.finish(ctx, in, a, payload)
		}
	}
}

func (c *Client) finish(ctx context.Context, in *patient, a question, payload []byte) (secret.Value, error) {
	var got answer
	if err := json.Unmarshal(payload, &got); err != nil {
		return secret.Value{}, c.lost(ctx, a, err)
	}
	var v secret.Value
	if got.Secret {
		var err error
		if v, err = readSecret(in); err != nil {
			return secret.Value{}, c.lost(ctx, a, err)
		}
	}
	if a.out != nil && len(got.Result) > 0 {
		if err := json.Unmarshal(got.Result, a.out); err != nil && got.Failure == nil {
			return secret.Value{}, c.lost(ctx, a, err)
		}
	}
	if got.Failure != nil {
		got.Failure.Ask = got.Ask
		return v, got.Failure
	}
	return v, nil
}

// unreached is for when nothing could be asked.
func (c *Client) unreached(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return tools.Errorf(tools.Canceled, "cancelled before the daemon was asked; nothing was done").Because(err)
	case errors.Is(err, os.ErrPermission):
		e := tools.Errorf(tools.Denied, "this account (uid %d) may not use the daemon's socket %s; nothing was done", os.Geteuid(), c.path).Because(err)
		if g := openTo(c.path); g != "" {
			return e.WithHint("an administrator can let it: usermod -aG %s NAME, then log in again", g)
		}
		return e.WithHint("its daemon serves its own account and root only; an administrator can set the group that may use it")
	case errors.Is(err, os.ErrNotExist):
		return tools.Errorf(tools.Unavailable, "no daemon serves %s; nothing was done", c.path).
			WithHint("start it: systemctl start duplibot").Because(err).Retryable()
	case refusedByNobody(err):
		return tools.Errorf(tools.Unavailable, "the daemon that made %s is no longer there; nothing was done", c.path).
			WithHint("start it: systemctl start duplibot").Because(err).Retryable()
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		return tools.Errorf(tools.Unavailable, "the daemon at %s does not answer; nothing was done", c.path).
			WithHint("see what it does: systemctl status duplibot").Because(err).Retryable()
	}
	return tools.Errorf(tools.Unavailable, "the daemon at %s hung up before it was asked; nothing was done", c.path).
		WithHint("see what it does: systemctl status duplibot").Because(err).Retryable()
}

// lost is for when something was asked and no answer came.
func (c *Client) lost(ctx context.Context, a question, err error) error {
	why := "the connection to the daemon was lost"
	switch {
	case ctx.Err() != nil:
		e := tools.Errorf(tools.Canceled, "%s was cancelled", a.words).Because(errors.Join(ctx.Err(), err))
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			e = tools.Errorf(tools.Timeout, "the time for %s is over", a.words).Because(errors.Join(ctx.Err(), err))
		}
		if a.harmless {
			return e.Retryable()
		}
		e.Message += "; the daemon was told, and what it had begun may still take effect"
		return e.WithHint("look at how things are before asking again")
	case errors.Is(err, os.ErrDeadlineExceeded):
		why = "the daemon has stopped answering"
	}
	if a.harmless {
		return tools.Errorf(tools.Unavailable, "%s during %s; nothing was changed by it", why, a.words).
			WithHint("ask again").Because(err).Retryable()
	}
	return tools.Errorf(tools.UnknownOutcome, "%s during %s: it may have been done, in part or whole, or not at all; it was not sent again", why, a.words).
		WithHint("look at how things are before asking again; the daemon's audit log says what it began").Because(err)
}

// Absent reports whether err says that there is no socket at all, so that
// nobody runs a daemon here, or can on this system. A socket that is there and cannot be used is not
// absent: working around it would be working around its account.
func Absent(err error) bool { return errors.Is(err, os.ErrNotExist) }
