package duplicatitest

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
)

// quiet keeps the complaints of net/http about clients out of tests, and not
// those about the fake itself.
var quiet = log.New(onlyPanics{}, "", 0)

type onlyPanics struct{}

func (onlyPanics) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("panic serving")) {
		return os.Stderr.Write(p)
	}
	return len(p), nil
}

// Request is one request that the server got, as it got it, and the status it
// answered with. It holds whatever secrets the client sent.
type Request struct {
	Method string
	Path   string // with the query
	Host   string
	Header http.Header
	Body   string
	Status int // 0 while unanswered, and when a fault left it so
}

// recorder keeps the requests in the order of their arrival.
type recorder struct {
	mu   sync.Mutex
	list []*Request
}

func (rec *recorder) begin(r *http.Request) *Request {
	seen := &Request{Method: r.Method, Path: r.URL.RequestURI(), Host: r.Host, Header: r.Header.Clone()}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &recordedBody{ReadCloser: r.Body, rec: rec, to: seen}
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.list = append(rec.list, seen)
	return seen
}

func (rec *recorder) end(seen *Request, status int) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	seen.Status = status
}

// recordedBody copies what is read of a body, up to a limit.
type recordedBody struct {
	io.ReadCloser
	rec *recorder
	to  *Request
	buf bytes.Buffer
}

const recordedBytes = 1 << 20

func (b *recordedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.buf.Len() < recordedBytes {
		b.buf.Write(p[:n])
	}
	if err != nil {
		b.rec.mu.Lock()
		b.to.Body = b.buf.String()
		b.rec.mu.Unlock()
	}
	return n, err
}

// Requests lists what the server was asked so far, oldest first.
func (s *Server) Requests() []Request {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	out := make([]Request, len(s.seen.list))
	for i, r := range s.seen.list {
		out[i] = *r
	}
	return out
}

// Count is how many requests had the method (or any, for "") and a path that
// begins with prefix.
func (s *Server) Count(method, prefix string) int {
	return len(slices.DeleteFunc(s.Requests(), func(r Request) bool {
		return method != "" && r.Method != method || !strings.HasPrefix(r.Path, prefix)
	}))
}

// ForgetRequests empties the list of requests.
func (s *Server) ForgetRequests() {
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	s.seen.list = nil
}
