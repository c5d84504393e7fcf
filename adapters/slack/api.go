package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
	"golang.org/x/time/rate"
)

// errMaybeSent says that a message may be there although no answer came: it is
// not sent again.
var errMaybeSent = errors.New("the message may have been sent; it is not sent again")

// Times and rates of calls. Slack takes one post a second and channel, and some
// fifty edits a minute. https://docs.slack.dev/apis/web-api/rate-limits
const (
	callWithin  = 10 * time.Second
	retryWithin = 2 * time.Minute // how long a call waits for its turn and its repeats
	wholeWithin = 20 * time.Second
	tries       = 4
)

// api is the part of Slack's Web API that the adapter uses. Calls have a time
// limit, honour Retry-After, and are repeated only where that can do no harm.
type api struct {
	client *slack.Client
	http   *http.Client
	clock  *clockWatch

	edits *rate.Limiter // progress edits; those that must come wait for nobody

	mu      sync.Mutex
	posts   map[string]*rate.Limiter // by channel
	blocked map[string]time.Time     // by method, by Retry-After
}

func newAPI(o Options) *api {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = callWithin
	watch := &clockWatch{now: o.Now}
	a := &api{
		http:    &http.Client{Timeout: callWithin, Transport: &opener{next: transport, clock: watch, opens: rate.NewLimiter(rate.Every(3*time.Second), 6)}},
		clock:   watch,
		edits:   rate.NewLimiter(rate.Every(1500*time.Millisecond), 5),
		posts:   map[string]*rate.Limiter{},
		blocked: map[string]time.Time{},
	}
	options := []slack.Option{
		slack.OptionHTTPClient(a.http), slack.OptionAppLevelToken(o.AppToken.Reveal()),
		slack.OptionLog(log.New(io.Discard, "", 0)),
	}
	if o.APIURL != "" {
		options = append(options, slack.OptionAPIURL(strings.TrimSuffix(o.APIURL, "/")+"/"))
	}
	a.client = slack.New(o.BotToken.Reveal(), options...)
	return a
}

// opener holds back apps.connections.open: a socket that is refused as soon as
// it is open would otherwise be opened again thousands of times a second.
type opener struct {
	next  http.RoundTripper
	clock *clockWatch
	opens *rate.Limiter
}

func (o *opener) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/apps.connections.open") {
		if err := o.opens.Wait(r.Context()); err != nil {
			return nil, err
		}
	}
	answer, err := o.next.RoundTrip(r)
	if err == nil {
		o.clock.see(answer.Header.Get("Date"))
	}
	return answer, err
}

// clockWatch compares this host's clock with the one in Slack's answers: with
// more than five minutes between them no signature would hold.
type clockWatch struct {
	now  func() time.Time
	mu   sync.Mutex
	skew time.Duration
}

func (c *clockWatch) see(header string) {
	at, err := http.ParseTime(header)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skew = c.now().Sub(at).Truncate(time.Second)
}

func (c *clockWatch) read() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.skew
}

// call makes one call. A call that is repeatable is made again after a lost
// answer; one that is not gives errMaybeSent.
func (a *api) call(ctx context.Context, method string, repeatable bool, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, retryWithin)
	defer cancel()
	for attempt := 1; ; attempt++ {
		if err := a.turn(ctx, method); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		once, done := context.WithTimeout(ctx, callWithin)
		err := bare(f(once))
		done()
		wait := time.Duration(1<<min(attempt, 5)) * 250 * time.Millisecond
		var limited *slack.RateLimitedError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &limited):
			a.block(method, limited.RetryAfter)
			wait = 0
		case unsent(err):
		case lost(err) && !repeatable:
			return fmt.Errorf("%s: %w (%w)", method, errMaybeSent, err)
		case !lost(err):
			return fmt.Errorf("%s: %w", method, err)
		}
		// What surely was not sent is tried for as long as a call may take.
		if attempt >= tries && !unsent(err) {
			return fmt.Errorf("%s: %w", method, err)
		}
		if err := pause(ctx, wait); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
	}
}

// turn waits until Slack takes calls of this method again.
func (a *api) turn(ctx context.Context, method string) error {
	a.mu.Lock()
	wait := time.Until(a.blocked[method])
	a.mu.Unlock()
	return pause(ctx, wait)
}

func (a *api) block(method string, d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if until := time.Now().Add(max(d, time.Second)); until.After(a.blocked[method]) {
		a.blocked[method] = until
	}
}

// pause waits, not beyond the end of ctx: a wait that would be in vain is not begun.
func pause(ctx context.Context, d time.Duration) error {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return context.DeadlineExceeded
	}
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// whole gives a message that is being sent its time even where the bot is about
// to end: whether it was sent would not be known otherwise.
func whole(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), wholeWithin)
}

// bare takes the address out of an error: a response_url is a right to post.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// unsent reports whether nothing can have reached Slack.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// lost reports whether the call ended without Slack's word on it.
func lost(err error) bool {
	var status slack.StatusCodeError
	if errors.As(err, &status) {
		return status.Code >= 500
	}
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) {
		return refused.Err == "internal_error" || refused.Err == "fatal_error" || refused.Err == "service_unavailable"
	}
	var syntax *json.SyntaxError
	var network net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network) ||
		errors.As(err, &syntax) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// refusal is Slack's error code, "" for other errors.
func refusal(err error) string {
	var refused slack.SlackErrorResponse
	if errors.As(err, &refused) {
		return refused.Err
	}
	return ""
}

// unasked is what to do about a question that Slack did not answer.
func unasked(err error) string {
	if refusal(err) == "missing_scope" {
		return "the app lacks a scope: an administrator's duplibot doctor names it"
	}
	return "try again in a minute"
}

// ref is where a posted message is.
type ref struct{ Channel, TS string }

// post sends a message to a channel. What is said in a thread is shown in the
// channel as well: nobody is told of a reply to a message of the bot's.
func (a *api) post(ctx context.Context, channel, thread string, m message) (ref, error) {
	if err := a.poster(channel).Wait(ctx); err != nil {
		return ref{}, err
	}
	options := m.options()
	if thread != "" {
		options = append(options, slack.MsgOptionTS(thread), slack.MsgOptionBroadcast())
	}
	var at ref
	err := a.call(ctx, "chat.postMessage", false, func(ctx context.Context) (err error) {
		at.Channel, at.TS, err = a.client.PostMessageContext(ctx, channel, options...)
		return err
	})
	return at, err
}

func (a *api) poster(channel string) *rate.Limiter {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.posts[channel]
	if l == nil {
		// A little over a second: the network may bring two closer together.
		l = rate.NewLimiter(rate.Every(1150*time.Millisecond), 1)
		a.posts[channel] = l
	}
	return l
}

// update edits a message until it is edited or Slack refuses.
func (a *api) update(ctx context.Context, at ref, m message) error {
	return a.call(ctx, "chat.update", true, func(ctx context.Context) error {
		_, _, _, err := a.client.UpdateMessageContext(ctx, at.Channel, at.TS, m.options()...)
		return err
	})
}

// glimpse edits a message if there is a turn for it now; the next one is newer.
func (a *api) glimpse(ctx context.Context, at ref, m message) error {
	a.mu.Lock()
	blocked := time.Now().Before(a.blocked["chat.update"])
	a.mu.Unlock()
	if blocked || !a.edits.Allow() {
		return nil
	}
	return a.update(ctx, at, m)
}

// ephemeral shows a message to one member of a channel.
func (a *api) ephemeral(ctx context.Context, channel, user string, m message) error {
	return a.call(ctx, "chat.postEphemeral", false, func(ctx context.Context) error {
		_, err := a.client.PostEphemeralContext(ctx, channel, user, m.options()...)
		return err
	})
}

// respond posts to the response_url of a command or click.
func (a *api) respond(ctx context.Context, to string, m message, replace bool) error {
	body, err := json.Marshal(struct {
		Type    string        `json:"response_type,omitempty"`
		Replace bool          `json:"replace_original"`
		Text    string        `json:"text"`
		Blocks  []slack.Block `json:"blocks,omitempty"`
		Links   bool          `json:"unfurl_links"`
		Media   bool          `json:"unfurl_media"`
	}{Type: "ephemeral", Replace: replace, Text: m.Text, Blocks: m.Blocks})
	if err != nil {
		return err
	}
	return a.call(ctx, "response_url", false, func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
		if err != nil {
			return errors.New("the response_url is none")
		}
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		answer, err := a.http.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode/100 == 2 {
			return nil
		}
		if answer.StatusCode == http.StatusTooManyRequests {
			seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
			return &slack.RateLimitedError{RetryAfter: time.Duration(seconds) * time.Second}
		}
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 300))
		if answer.StatusCode >= 500 {
			return slack.StatusCodeError{Code: answer.StatusCode, Status: answer.Status}
		}
		return fmt.Errorf("Slack answered %d: %.80q", answer.StatusCode, said)
	})
}

// open shows a modal; it must come within three seconds of the click.
func (a *api) open(ctx context.Context, trigger string, v slack.ModalViewRequest) (id string, err error) {
	err = a.call(ctx, "views.open", false, func(ctx context.Context) error {
		answer, err := a.client.OpenViewContext(ctx, trigger, v)
		if err == nil {
			id = answer.ID
		}
		return err
	})
	return id, err
}

func (a *api) change(ctx context.Context, id string, v slack.ModalViewRequest) error {
	return a.call(ctx, "views.update", true, func(ctx context.Context) error {
		_, err := a.client.UpdateViewContext(ctx, v, "", "", id)
		return err
	})
}

func (a *api) publish(ctx context.Context, user string, blocks []slack.Block) error {
	view := slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: blocks}}
	return a.call(ctx, "views.publish", true, func(ctx context.Context) error {
		_, err := a.client.PublishViewContext(ctx, slack.PublishViewContextRequest{UserID: user, View: view})
		return err
	})
}

func (a *api) user(ctx context.Context, id string) (*slack.User, error) {
	var u *slack.User
	err := a.call(ctx, "users.info", true, func(ctx context.Context) (err error) {
		u, err = a.client.GetUserInfoContext(ctx, id)
		return err
	})
	return u, err
}

func (a *api) members(ctx context.Context, group string) ([]string, error) {
	var list []string
	err := a.call(ctx, "usergroups.users.list", true, func(ctx context.Context) (err error) {
		list, err = a.client.GetUserGroupMembersContext(ctx, group)
		return err
	})
	return list, err
}

func (a *api) channel(ctx context.Context, id string) (*slack.Channel, error) {
	var c *slack.Channel
	err := a.call(ctx, "conversations.info", true, func(ctx context.Context) (err error) {
		c, err = a.client.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: id})
		return err
	})
	return c, err
}

// direct is the direct message channel with a user.
func (a *api) direct(ctx context.Context, user string) (string, error) {
	id := ""
	err := a.call(ctx, "conversations.open", true, func(ctx context.Context) error {
		c, _, _, err := a.client.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{user}})
		if err == nil {
			id = c.ID
		}
		return err
	})
	return id, err
}

// upload puts a text file into a thread.
func (a *api) upload(ctx context.Context, at ref, name, content string) error {
	return a.call(ctx, "files.upload", false, func(ctx context.Context) error {
		_, err := a.client.UploadFileContext(ctx, slack.UploadFileParameters{Channel: at.Channel, ThreadTimestamp: at.TS,
			Filename: name, Title: name, Content: content, FileSize: len(content), SnippetType: "text"})
		return err
	})
}

// whoami asks which workspace and app a token belongs to, and what it may do.
func (a *api) whoami(ctx context.Context) (*slack.AuthTestResponse, error) {
	var me *slack.AuthTestResponse
	err := a.call(ctx, "auth.test", true, func(ctx context.Context) (err error) {
		me, err = a.client.AuthTestContext(ctx)
		return err
	})
	return me, err
}
