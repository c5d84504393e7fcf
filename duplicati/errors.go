package duplicati

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says what went wrong. Each is an error by itself, so that
// errors.Is(err, duplicati.NotFound) asks for it.
type Kind string

// Error returns the kind's name.
func (k Kind) Error() string { return string(k) }

// Nothing was reached. All but Canceled are Unreachable too.
const (
	Unreachable Kind = "unreachable"
	NoAddress   Kind = "no address" // the name has none in DNS
	Refused     Kind = "connection refused"
	TimedOut    Kind = "timed out"
	Untrusted   Kind = "certificate not trusted" // Error.Certificate is what was presented
	NotTLS      Kind = "no TLS"                  // https was asked for, the server speaks http
	WantsTLS    Kind = "wants TLS"               // http was asked for, the server speaks https
	Canceled    Kind = "canceled"                // by the caller's context
)

// Something answered, but not Duplicati's API.
const (
	NotDuplicati Kind = "not Duplicati" // an HTML page, a gateway's error, a redirect, another program
	Unreadable   Kind = "unreadable answer"
	TooLarge     Kind = "answer too large"
)

// Duplicati refused.
const (
	HostnameRefused Kind = "hostname refused" // the name in the URL is not among allowed-hostnames
	NotAuthorized   Kind = "not authorized"   // no session, or a dead one
	LoginFailed     Kind = "login failed"     // the password, sign-in token or refresh token is not accepted
	SigninDisabled  Kind = "sign-in tokens disabled"
	ForeverDisabled Kind = "forever tokens disabled"
	ForeverUsed     Kind = "forever token issued already" // one per start of the server
	NotFound        Kind = "not found"
	Conflict        Kind = "conflict"
	DatabaseLocked  Kind = "database locked" // another operation uses the backup's database: try again
	Busy            Kind = "busy"            // the backup runs; Error.Task is its task
	Unstoppable     Kind = "unstoppable"     // force did not stop it within ten seconds
	WrongPassphrase Kind = "wrong passphrase"
	PassphraseGone  Kind = "passphrase missing"
	Invalid         Kind = "invalid request"
	ServerFault     Kind = "server fault" // any other 5xx
)

// This client refused, and sent nothing.
const (
	Unsupported Kind = "unsupported" // this generation cannot do it
	Harmful     Kind = "harmful"     // the call would break something on the server
	Misused     Kind = "misused"     // the arguments make no sense
)

// Error is what a call failed with. It holds no secret: no query of a URL, no
// token, no password.
type Error struct {
	Op     string // what was being done: "list backups"
	Method string
	Path   string // below the server's URL, without the query
	Status int    // 0 when there was no answer
	Code   int    // the answer's Code, or 0
	HelpID string // "DatabaseLocked"; StatusCode of a v2 answer
	Text   string // this client's words; with Quote the server's, cut, without URLs
	Quote  bool   // Text is untrusted
	Kind   Kind

	Task        int64        // of a refused delete: the task that stands in the way
	Uncertain   bool         // the request was sent and may have been carried out
	Certificate *Certificate // of Untrusted: what the server presented
	Pins        []string     // of Untrusted: what would have been accepted
	Location    string       // of a redirect: scheme and host it points to

	cause error
}

// Error returns one line: "read backup: GET /api/v1/backup/7: 404 not found: it
// says "Backup not found"".
func (e *Error) Error() string {
	parts := make([]string, 0, 4)
	if e.Op != "" {
		parts = append(parts, e.Op)
	}
	if e.Method != "" {
		parts = append(parts, e.Method+" "+e.Path)
	}
	what := string(e.Kind)
	if e.Status != 0 {
		what = fmt.Sprintf("%d %s", e.Status, what)
	}
	parts = append(parts, what)
	switch {
	case e.Text == "" || e.Text == string(e.Kind):
	case e.Quote:
		parts = append(parts, fmt.Sprintf("it says %q", e.Text))
	default:
		parts = append(parts, e.Text)
	}
	if e.Certificate != nil {
		parts = append(parts, "it presents "+e.Certificate.SHA256)
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns what the network said, if it did.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is the error's Kind; every failure to get an
// answer is Unreachable as well.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && (e.Kind == k || k == Unreachable && e.Kind.unreachable())
}

func (k Kind) unreachable() bool {
	switch k {
	case Unreachable, NoAddress, Refused, TimedOut, Untrusted, NotTLS, WantsTLS:
		return true
	}
	return false
}

// KindOf returns the kind of err, and "" for nil and errors of others.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// refuse is an error of this client's own, about a call that was not made.
func refuse(op string, kind Kind, format string, args ...any) *Error {
	return &Error{Op: op, Kind: kind, Text: fmt.Sprintf(format, args...)}
}
