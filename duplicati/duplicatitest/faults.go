package duplicatitest

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is something that goes wrong between a client and the server. The zero
// Fault changes nothing. One that leaves the server out (Hang, Reset, Status)
// is not seen by it; the others spoil its answer.
type Fault struct {
	Method string // of the requests it befalls; "" is any
	Prefix string // of their paths; "" is any
	Skip   int    // lets so many of them through first
	Times  int    // how many it befalls; 0 is all

	Delay time.Duration // real time before anything else happens
	Hang  bool          // no answer until the client gives up or the server closes
	Reset bool          // the connection breaks before the server sees the request

	Status int         // answered in the server's place, with Header and Body
	Header http.Header // "Content-Type" is text/html unless given
	Body   string

	LoseReply bool // the server does its work, and the connection breaks before its answer
	CutReply  int  // so many bytes of the answer's body arrive, then the connection breaks; negative is none
	Replace   func(status int, header http.Header, body []byte) (int, []byte)
}

// BadGateway is what a reverse proxy says of a server that is down.
func BadGateway() Fault {
	return Fault{Status: http.StatusBadGateway, Body: "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"}
}

// faults holds those that are in force.
type faults struct {
	mu   sync.Mutex
	list []*Fault
	free chan struct{}
}

// Inject puts a fault in force and returns what takes it away. Of several, the
// first that fits a request befalls it.
func (s *Server) Inject(f Fault) (remove func()) {
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	s.fault.list = append(s.fault.list, &f)
	return func() {
		s.fault.mu.Lock()
		defer s.fault.mu.Unlock()
		s.fault.list = slices.DeleteFunc(s.fault.list, func(g *Fault) bool { return g == &f })
	}
}

// release lets go of all that hang.
func (fs *faults) release() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = nil
	if fs.free != nil {
		close(fs.free)
		fs.free = nil
	}
}

// take finds the fault that befalls a request.
func (fs *faults) take(r *http.Request) (*Fault, <-chan struct{}) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.free == nil {
		fs.free = make(chan struct{})
	}
	for i, f := range fs.list {
		if f.Method != "" && f.Method != r.Method || !strings.HasPrefix(r.URL.RequestURI(), f.Prefix) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		taken := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				fs.list = slices.Delete(fs.list, i, i+1)
			}
		}
		return &taken, fs.free
	}
	return nil, fs.free
}

// serve does what a fault does in the server's place, and reports whether that
// was all. The fault goes on with the request to spoil its answer.
func (fs *faults) serve(w http.ResponseWriter, r *http.Request) (*Fault, bool) {
	f, free := fs.take(r)
	if f == nil {
		return nil, false
	}
	if f.Delay > 0 {
		wait := time.NewTimer(f.Delay)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-r.Context().Done():
		case <-free:
		}
	}
	switch {
	case f.Hang:
		// Read on: only so does net/http notice that the client has gone.
		io.Copy(io.Discard, io.LimitReader(r.Body, maxBody))
		select {
		case <-r.Context().Done():
		case <-free:
		}
		panic(http.ErrAbortHandler)
	case f.Reset:
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		drain(r)
		w.Header().Set("Content-Type", "text/html")
		for name, values := range f.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(f.Status)
		io.WriteString(w, f.Body)
		return f, true
	}
	return f, false
}

// spoil changes or loses the answer that the server has made.
func (f *Fault) spoil(w http.ResponseWriter, c *call) {
	switch {
	case f == nil:
	case f.LoseReply:
		panic(http.ErrAbortHandler)
	case f.CutReply != 0:
		w.Header().Del("Content-Length")
		w.WriteHeader(c.status)
		w.Write(c.out[:max(0, min(f.CutReply, len(c.out)))])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case f.Replace != nil:
		c.status, c.out = f.Replace(c.status, c.header, c.out)
		c.header.Del("Content-Length")
	}
}
