package duplicati

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/duplibot/duplibot/secret"
)

// How much of an answer is read. With 200 backups the list is 0.1 MB; a page
// of 500 log rows can be ten.
const (
	usualLimit = 8 << 20
	logLimit   = 64 << 20
	errorLimit = 64 << 10
)

// call is one request and what its answer may be.
type call struct {
	op     string
	method string
	path   string
	query  url.Values
	body   any // sent as JSON unless nil
	header http.Header

	auth    bool         // carries a token of the client's Tokens
	bearer  secret.Value // carries this token; set by do for auth
	secrets []secret.Value

	limit   int64         // of the answer's body; 0 is usualLimit
	timeout time.Duration // beyond the client's; 0 is the client's
}

// reply is an answer with its body read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do makes the call and reads its answer into out, unless that is nil. A call
// with auth that meets a dead session is made once more with another token.
func (c *Client) do(ctx context.Context, k call, out any) error {
	_, err := c.answer(ctx, k, out)
	return err
}

// answer is do for who needs the headers too.
func (c *Client) answer(ctx context.Context, k call, out any) (*reply, error) {
	if !k.auth {
		return c.exchange(ctx, k, out)
	}
	if c.tokens == nil {
		return nil, &Error{Op: k.op, Method: k.method, Path: k.path, Kind: NotAuthorized, Text: "there is no session; nothing was sent"}
	}
	token, err := c.tokens.Access(ctx)
	if err != nil {
		return nil, err
	}
	k.bearer = token
	res, err := c.exchange(ctx, k, out)
	if KindOf(err) != NotAuthorized {
		return res, err
	}
	if k.changes() && res.status == http.StatusInternalServerError && !c.dead(ctx, token) {
		// The server refuses the token of an ended session before it looks at
		// the request; a proxy can fail like this after the server has acted.
		e := k.error(res, ServerFault, "no reason was given, and the session still counts")
		e.Uncertain = true
		return res, e
	}
	if err := c.tokens.Rejected(ctx, token); err != nil {
		return nil, err
	}
	next, again := c.tokens.Access(ctx)
	if again != nil {
		return nil, again
	}
	if next.Equal(token) {
		return nil, err
	}
	k.bearer = next
	return c.exchange(ctx, k, out)
}

// dead reports whether the server refuses a token for a mere look too.
func (c *Client) dead(ctx context.Context, token secret.Value) bool {
	_, err := c.exchange(ctx, call{op: "look whether the session lives", method: http.MethodGet, path: "/api/v1/serverstate", bearer: token}, nil)
	return KindOf(err) == NotAuthorized
}

// exchange makes the call once.
func (c *Client) exchange(ctx context.Context, k call, out any) (*reply, error) {
	if k.timeout == 0 {
		k.timeout = c.timeout
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	req, err := c.request(ctx, k)
	if err != nil {
		return nil, err
	}
	// A request is safe to forget only as long as none of it was written.
	var wrote atomic.Bool
	trace := &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { wrote.Store(true) },
		WroteRequest:     func(httptrace.WroteRequestInfo) { wrote.Store(true) },
	}
	res, err := c.http.Do(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		return nil, k.transport(ctx, err, wrote.Load())
	}
	defer res.Body.Close()
	limit := k.limit
	if limit == 0 {
		limit = usualLimit
	}
	if res.StatusCode != http.StatusOK {
		limit = errorLimit
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, k.broken(ctx, err)
	}
	r := &reply{status: res.StatusCode, header: res.Header, body: body}
	if r.status != http.StatusOK {
		return r, k.failure(r)
	}
	if int64(len(body)) > limit {
		return r, &Error{Op: k.op, Method: k.method, Path: k.path, Status: r.status, Kind: TooLarge,
			Text: "the answer is larger than this client reads", Uncertain: k.changes()}
	}
	if out == nil {
		return r, nil
	}
	return r, k.read(r, out)
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	var body io.Reader
	if k.body != nil {
		b, err := json.Marshal(k.body)
		if err != nil {
			return nil, refuse(k.op, Misused, "the request cannot be written as JSON")
		}
		body = bytes.NewReader(b)
	}
	u := *c.base
	path := c.base.EscapedPath() + k.path
	if unescaped, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = unescaped, path
	}
	u.RawQuery = k.query.Encode()
	req, err := http.NewRequestWithContext(ctx, k.method, u.String(), body)
	if err != nil {
		return nil, refuse(k.op, Misused, "the request cannot be made")
	}
	for name, values := range k.header {
		req.Header[name] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("X-UI-Language", "en-US") // some refusals are told apart by their words
	if !k.bearer.Empty() {
		req.Header.Set("Authorization", "Bearer "+k.bearer.Reveal())
	}
	return req, nil
}

// read decodes a good answer.
func (k call) read(r *reply, out any) error {
	if raw, ok := out.(*[]byte); ok {
		*raw = r.body
		return nil
	}
	if looksLikeHTML(r) {
		e := k.error(r, NotDuplicati, "a web page came instead of an answer; is there a proxy with a login in front?")
		e.Uncertain = k.changes()
		return e
	}
	if len(bytes.TrimSpace(r.body)) == 0 {
		return k.unreadableReply(r, "the answer is empty")
	}
	if err := json.Unmarshal(withoutMark(r.body), out); err != nil {
		return k.unreadableReply(r, "the answer is not the JSON that Duplicati sends here")
	}
	return nil
}

// withoutMark takes off the byte order mark that some put before a text.
func withoutMark(body []byte) []byte { return bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) }

func (k call) unreadable(text string) *Error {
	return &Error{Op: k.op, Method: k.method, Path: k.path, Status: http.StatusOK, Kind: Unreadable, Text: text, Uncertain: k.changes()}
}

func (k call) unreadableReply(r *reply, text string) *Error {
	e := k.error(r, Unreadable, text)
	e.Uncertain = k.changes()
	return e
}

func (k call) error(r *reply, kind Kind, text string) *Error {
	return &Error{Op: k.op, Method: k.method, Path: k.path, Status: r.status, Kind: kind, Text: text}
}

// changes reports whether the call does something on the server.
func (k call) changes() bool { return k.method != http.MethodGet }

// scrub takes what was secret in the request, however it is spelt, and all URLs
// out of a text that the server wrote: it may repeat the request.
func (k call) scrub(text string) string {
	for _, s := range append(k.secrets, k.bearer) {
		for _, w := range spellings(s.Reveal()) {
			text = strings.ReplaceAll(text, w, "…")
		}
	}
	return scrub(text)
}

// spellings are the ways in which a word stands in a request and in what
// repeats one.
func spellings(word string) []string {
	if word == "" {
		return nil
	}
	quoted, err := json.Marshal(word)
	if err != nil {
		return []string{word}
	}
	return []string{word, url.QueryEscape(word), url.PathEscape(word), string(quoted[1 : len(quoted)-1])}
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}
