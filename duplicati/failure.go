package duplicati

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// failed is all shapes that a refusal of Duplicati's takes: v1, v2, and the
// one of a delete.
type failed struct {
	Error  *string
	Code   int
	HelpId *string

	Success    *bool
	StatusCode *string

	Status *string
	Reason *string
	ID     *int64
}

// agentsRefusal is the one refusal of a server that is plain text: it is hosted
// by Duplicati's Agent, which alone may talk to it.
var agentsRefusal = []byte("Invalid PreSharedKey")

// failure reads an answer that is not a 200.
func (k call) failure(r *reply) *Error {
	e := k.error(r, "", "")
	var f failed
	isJSON := json.Unmarshal(withoutMark(r.body), &f) == nil && (f.Error != nil || f.Status != nil || f.StatusCode != nil)
	bearer := !k.bearer.Empty()
	empty := len(bytes.TrimSpace(r.body)) == 0
	switch {
	case isJSON && r.status >= http.StatusBadRequest:
		k.refusal(e, f)
	case r.status/100 == 2:
		e.Kind, e.Text = NotDuplicati, "an answer came that Duplicati never gives, which always says 200"
		e.Uncertain = k.changes()
	case r.status/100 == 3:
		e.Kind, e.Location = NotDuplicati, place(r.header.Get("Location"))
		e.Text = "a redirect came instead of an answer"
		if e.Location != "" {
			e.Text = "a redirect to " + e.Location + " came instead of an answer"
		}
	case looksLikeHTML(r):
		e.Kind, e.Text = NotDuplicati, "a web page came instead of an answer"
		e.Uncertain = k.changes() && mayHavePassed(r.status)
	case r.status == http.StatusProxyAuthRequired, r.status == http.StatusUnauthorized && (!empty || foreignChallenge(r.header.Get("WWW-Authenticate"))):
		e.Kind, e.Text = NotDuplicati, "a proxy in front of the server wants a login of its own"
	case r.status == http.StatusUnauthorized:
		e.Kind, e.Text = NotAuthorized, challenge(r.header.Get("WWW-Authenticate"))
	case r.status == http.StatusInternalServerError && empty && bearer:
		// So the server answers everything that carries a token of a session
		// that was ended.
		e.Kind, e.Text = NotAuthorized, "the session was ended on the server"
	case r.status == http.StatusBadGateway || r.status == http.StatusServiceUnavailable || r.status == http.StatusGatewayTimeout:
		e.Kind, e.Text = NotDuplicati, "a gateway answered that it cannot reach the server"
		e.Uncertain = k.changes() && mayHavePassed(r.status)
	case r.status == http.StatusBadRequest && wantsTLS(r.body):
		e.Kind, e.Text = WantsTLS, "the server expects https on this port"
	case r.status == http.StatusForbidden && empty:
		e.Kind, e.Text = NotDuplicati, "something in front of the server forbids it"
	case empty && (r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed):
		e.Kind, e.Text = Unsupported, "the server does not know this request"
	case empty && r.status >= http.StatusInternalServerError:
		e.Kind, e.Text, e.Uncertain = ServerFault, "no reason was given", k.changes()
	case empty:
		e.Kind = Invalid
	case r.status == http.StatusForbidden && bytes.Equal(bytes.TrimSpace(r.body), agentsRefusal):
		e.Kind, e.Text, e.Quote = Invalid, string(agentsRefusal), true
	default:
		// What a server itself says is nothing, or JSON of its shapes. These
		// words are somebody else's. They are not repeated: they are not
		// Duplicati's, and they may be the request's, secrets and all.
		e.Kind, e.Text = NotDuplicati, "something that is not Duplicati refused it"
		if r.status >= http.StatusInternalServerError {
			e.Text, e.Uncertain = "something that is not Duplicati failed at it", k.changes()
		}
	}
	return e
}

// refusal sorts a refusal in one of Duplicati's own shapes. Texts can be in
// the server's language, so that they decide only where nothing else does.
func (k call) refusal(e *Error, f failed) {
	e.Code = f.Code
	if f.HelpId != nil {
		e.HelpID = *f.HelpId
	}
	if f.Error != nil {
		e.Text, e.Quote = k.scrub(*f.Error), true
	}
	status := e.Status
	switch {
	case f.StatusCode != nil:
		e.HelpID = *f.StatusCode
		if n, ok := strings.CutPrefix(*f.StatusCode, "HTTP-"); ok {
			status, _ = strconv.Atoi(n)
		}
	case f.Status != nil: // of a delete
		if f.ID != nil {
			e.Task = *f.ID
		}
		reason := ""
		if f.Reason != nil {
			reason = *f.Reason
		}
		e.Text, e.Quote = k.scrub(reason), true
		switch reason {
		case "backup-in-progress":
			e.Kind = Busy
		case "backup-unstoppable":
			e.Kind = Unstoppable
		default:
			e.Kind, e.Uncertain = ServerFault, k.changes()
		}
		return
	}
	switch {
	case e.HelpID == "DatabaseLocked":
		e.Kind = DatabaseLocked
	case status == http.StatusUnauthorized:
		e.Kind = LoginFailed
		switch {
		case strings.Contains(e.Text, "Signin tokens are disabled"):
			e.Kind = SigninDisabled
		case strings.Contains(e.Text, "Cannot generate multiple forever"):
			e.Kind = ForeverUsed
		case strings.HasSuffix(k.path, "/issue-forever-token"):
			e.Kind = ForeverDisabled
		}
	case status == http.StatusForbidden:
		e.Kind = HostnameRefused
	case status == http.StatusNotFound:
		e.Kind = NotFound
	case status == http.StatusConflict:
		e.Kind = Conflict
	case status >= http.StatusInternalServerError:
		// It failed at something, and does not say how far it came.
		e.Kind, e.Uncertain = ServerFault, k.changes()
	default:
		e.Kind = Invalid
	}
}

// foreign reports whether what answered does not look like the API.
func (e *Error) foreign() bool {
	return e.Kind == NotDuplicati || e.Kind == Unsupported || e.Kind == Unreadable ||
		e.Status == http.StatusUnauthorized && e.Code == 0 || e.Status == http.StatusNotFound && e.Code == 0
}

// mayHavePassed reports whether a gateway that fails like this may have passed
// the request on.
func mayHavePassed(status int) bool {
	return status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable
}

func foreignChallenge(header string) bool {
	scheme, _, _ := strings.Cut(header, " ")
	return scheme != "" && !strings.EqualFold(scheme, "Bearer")
}

// challenge is what the server says of a token it does not take.
func challenge(header string) string {
	switch {
	case strings.Contains(header, "expired"):
		return "the access token has expired"
	case strings.Contains(header, "signature key was not found"):
		return "the server's signing key has changed, so its old tokens are dead"
	case strings.Contains(header, "invalid_token"):
		return "the server does not accept the access token"
	}
	return "the server wants a token"
}

// place is scheme and host of a redirect's target.
func place(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func looksLikeHTML(r *reply) bool {
	if strings.HasPrefix(strings.ToLower(r.header.Get("Content-Type")), "text/html") {
		return true
	}
	b := bytes.TrimSpace(r.body)
	return len(b) > 0 && b[0] == '<'
}

// wantsTLS knows how Kestrel, nginx and Go say that they were spoken to in
// the clear.
func wantsTLS(body []byte) bool {
	return bytes.Contains(body, []byte("HTTPS port")) || bytes.Contains(body, []byte("HTTP request to an HTTPS server"))
}

// transport sorts what went wrong on the way. The error's own text is not
// kept: it repeats the URL, with tokens in it.
func (k call) transport(ctx context.Context, err error, wrote bool) *Error {
	if own := asError(err); own != nil { // from the check of the certificate
		e := *own
		e.Op, e.Method, e.Path = k.op, k.method, k.path
		return &e
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	e := &Error{Op: k.op, Method: k.method, Path: k.path, Uncertain: wrote && k.changes(), cause: err}
	e.Kind, e.Text = sortTransport(ctx, err)
	return e
}

// broken sorts what went wrong while an answer was read.
func (k call) broken(ctx context.Context, err error) *Error {
	e := k.transport(ctx, err, true)
	if e.Kind == Unreachable && e.Text != wasCut {
		e.Kind, e.Text = Unreadable, "the answer is garbled on its way"
	}
	return e
}

const wasCut = "the connection was cut"

func sortTransport(ctx context.Context, err error) (Kind, string) {
	var dns *net.DNSError
	var netErr net.Error
	text := err.Error()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return Canceled, "the call was given up"
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout():
		if errors.As(err, &dns) {
			return NoAddress, "the name server does not answer"
		}
		return TimedOut, "the server did not answer in time"
	case errors.As(err, &dns):
		return NoAddress, "the name " + dns.Name + " has no address"
	case errors.Is(err, errRefused):
		return Refused, "nothing listens there"
	case strings.Contains(text, "server gave HTTP response to HTTPS client"), strings.Contains(text, "first record does not look like a TLS handshake"):
		return NotTLS, "the server speaks http, not https"
	case strings.Contains(text, "remote error: tls"):
		return Untrusted, "the server broke off the TLS handshake"
	case strings.Contains(text, "tls: "):
		return Untrusted, "the TLS handshake did not work: does the server know TLS 1.2?"
	case errors.Is(err, errReset), errors.Is(err, errClosed), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		strings.Contains(text, "EOF"), strings.Contains(text, "server closed idle connection"):
		return Unreachable, wasCut
	case strings.Contains(text, "malformed"), strings.Contains(text, "headers exceeded"), strings.Contains(text, "unsupported transfer encoding"),
		strings.Contains(text, "1xx"), strings.Contains(text, "parse Location"):
		return NotDuplicati, "what answered does not speak http; is it the right port?"
	}
	return Unreachable, "the server cannot be reached"
}
