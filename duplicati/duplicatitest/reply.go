package duplicatitest

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// call is one request on its way through the server, and its reply.
type call struct {
	ctx    context.Context
	r      *http.Request
	values map[string]string // of the route
	query  query
	body   *jsonValue
	host   string // of the Host header, without port
	port   int    // of the Host header, 0 without one
	user   identity

	bodyErr error   // to be told in its turn
	socket  *socket // it goes on as one
	status  int
	header  http.Header
	out     []byte
}

// fail is a deliberate error of the server.
type fail struct {
	status int
	text   string
	helpID string
}

func (f *fail) Error() string { return f.text }

// unknown is a request of which nobody knows how a real server answers. It is
// refused, so that no test relies on what the fake has made up.
type unknown struct{ what string }

func (u *unknown) Error() string { return u.what }

func unknownOf(what string) error { return &unknown{what} }

func failf(status int, text string) *fail { return &fail{status: status, text: text} }

var (
	errNoBackup     = failf(http.StatusNotFound, "Backup not found")
	errNoTask       = failf(http.StatusNotFound, "No such task found")
	errUnexpected   = failf(http.StatusInternalServerError, "An error occurred")
	errLocked       = &fail{http.StatusBadRequest, "The backup database is currently in use by another operation and cannot be accessed concurrently. Please wait for the running operation to finish and try again.", "DatabaseLocked"}
	errEmptyRemote  = &fail{http.StatusBadRequest, "No filesets found on remote target", "EmptyRemoteFolder"}
	errNoSetting    = failf(http.StatusNotFound, "Key not found")
	errNotification = failf(http.StatusNotFound, "Notification not found")
)

const jsonType = "application/json; charset=utf-8"

// json answers 200 with a value.
func (c *call) json(v any) {
	c.header.Set("Content-Type", jsonType)
	c.chunked(appendJSON(make([]byte, 0, 512), v, true))
}

// chunked sends a body without announcing its length, as the server does.
func (c *call) chunked(out []byte) {
	c.header.Set("Transfer-Encoding", "chunked")
	c.out = out
}

// empty answers with a status and nothing else.
func (c *call) empty(status int) {
	c.status, c.out = status, nil
	c.header.Del("Content-Type")
	c.header.Del("Transfer-Encoding")
	c.header.Set("Content-Length", "0")
}

// fail answers with the error shape of v1 or, under v2, with the envelope of a
// failure and 200. A binding failure is an empty 400 on both.
func (c *call) fail(g *generation, err error) {
	switch err {
	case errBind:
		c.empty(http.StatusBadRequest)
		return
	case errTooLarge:
		c.empty(http.StatusRequestEntityTooLarge)
		return
	case errMediaType:
		c.empty(http.StatusUnsupportedMediaType)
		return
	}
	if u, ok := err.(*unknown); ok {
		c.status = http.StatusNotImplemented
		c.header.Set("Content-Type", "text/plain; charset=utf-8")
		c.out = []byte("duplicatitest: not known of a real server: " + u.what + "\n")
		return
	}
	f, ok := err.(*fail)
	if !ok {
		f = errUnexpected
	}
	if f.helpID != "" && !g.helpIDs {
		f = errUnexpected
	}
	c.header.Set("Content-Type", "application/json")
	if c.isV2() && f != errUnexpected {
		code := f.helpID
		if code == "" {
			code = "HTTP-" + strconv.Itoa(f.status)
		}
		c.status = http.StatusOK
		c.chunked(appendJSON(nil, object{{"Success", false}, {"Error", f.text}, {"StatusCode", code}}, false))
		return
	}
	o := object{{"Error", f.text}, {"Code", f.status}}
	if f.helpID != "" {
		o = o.with("HelpId", f.helpID)
	}
	c.status = f.status
	c.chunked(appendJSON(nil, o, false))
}

func (c *call) isV2() bool {
	const prefix = "/api/v2/"
	return len(c.r.URL.Path) > len(prefix) && equalFoldASCII(c.r.URL.Path[:len(prefix)], prefix)
}

func equalFoldASCII(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if 'A' <= y && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}

// started answers as every endpoint does that queued a task.
func (c *call) started(id int64) { c.json(object{{"Status", "OK"}, {"ID", id}}) }

// setCookie writes the refresh cookie in the order of attributes that the
// server has.
func (c *call) setCookie(value string, expires time.Time, secure bool) {
	s := "RefreshToken_" + strconv.Itoa(c.port) + "=" + value +
		"; expires=" + expires.UTC().Format(http.TimeFormat) +
		"; domain=" + c.host + "; path=/api/v1/auth/refresh"
	if secure {
		s += "; secure"
	}
	c.header.Add("Set-Cookie", s+"; samesite=strict; httponly")
}

// clearCookie takes the refresh cookie away.
func (c *call) clearCookie(withPath bool) {
	s := "RefreshToken_" + strconv.Itoa(c.port) + "=; expires=Thu, 01 Jan 1970 00:00:00 GMT"
	if withPath {
		s += "; domain=" + c.host + "; path=/api/v1/auth/refresh"
	} else {
		s += "; path=/"
	}
	c.header.Add("Set-Cookie", s)
}
