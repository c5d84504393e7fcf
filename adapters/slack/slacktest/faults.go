package slacktest

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Fault is something that goes wrong with calls of a method: set what should happen.
type Fault struct {
	Method string                            // a Web API method, "response_url" or "upload"; empty: any of them
	Times  int                               // how many calls it hits; 0: all, until ClearFaults
	Match  func(args map[string]string) bool // nil: every call of the method

	After bool // do what was asked first, so that only the answer is lost

	Delay            time.Duration // real time before the rest happens
	Hang             bool          // never answer; ends when the caller gives up or the test ends
	Reset            bool          // cut the connection without an answer
	Status           int           // answer this status with no JSON; 429 takes RetryAfter along
	RetryAfter       int           // seconds
	Error            string        // answer ok:false with this code
	Needed, Provided string        // of Error missing_scope
}

// Fail adds a fault. The first that matches a call hits it.
func (s *Server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Times == 0 {
		f.Times = -1
	}
	s.faults = append(s.faults, &f)
}

// ClearFaults ends all faults; calls that hang go on hanging.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) takeFault(method string, a args) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.faults, func(f *Fault) bool {
		return f.Times != 0 && (f.Method == "" || f.Method == method) && (f.Match == nil || f.Match(a))
	})
	if i < 0 {
		return nil
	}
	s.faults[i].Times--
	hit := *s.faults[i]
	return &hit
}

// suffer makes a fault happen; false: the call is over.
func (s *Server) suffer(w http.ResponseWriter, r *http.Request, name string, a args, f *Fault) bool {
	note := func(refusal *apiError) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.record(name, a, refusal)
		s.touch()
	}
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
			return false
		}
	}
	switch {
	case f.Hang:
		note(&apiError{code: "fault: hang"})
		_ = s.Wait(r.Context(), func() bool { return false })
		panic(http.ErrAbortHandler)
	case f.Reset:
		note(&apiError{code: "fault: reset"})
		panic(http.ErrAbortHandler)
	case f.Status == http.StatusTooManyRequests:
		refusal := rateLimited(f.RetryAfter)
		note(refusal)
		s.reply(w, methods[name], nil, refusal)
		return false
	case f.Status != 0:
		note(&apiError{code: "fault: " + strconv.Itoa(f.Status), status: f.Status})
		http.Error(w, "<html>"+http.StatusText(f.Status)+"</html>", f.Status)
		return false
	case f.Error != "":
		refusal := &apiError{code: f.Error}
		if f.Needed != "" {
			refusal.extra = obj{"needed": f.Needed, "provided": f.Provided}
		}
		note(refusal)
		s.reply(w, methods[name], nil, refusal)
		return false
	}
	if f.After {
		note(nil)
	}
	return true
}

// Partition cuts the network to Slack for a time: open websockets die without a word, everything new is
// reset. Advance shortens it.
func (s *Server) Partition(d time.Duration) {
	s.mu.Lock()
	s.sockets.partitioned = s.clock.now().Add(d)
	s.mu.Unlock()
	s.dropSockets()
	s.clock.after(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.touch()
	})
}

func (s *Server) unlessPartitioned(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		cut := s.clock.now().Before(s.sockets.partitioned)
		s.mu.Unlock()
		if cut {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

// tiers are Slack's calls a minute by tier; tier 1 ("1+") is read as ten, what an app with ten
// connections needs. https://docs.slack.dev/apis/web-api/rate-limits
var tiers = [...]int{0, 10, 20, 50, 100}

// throttle refuses calls beyond the limits, when they are on; mu is held.
func (s *Server) throttle(name string, m method, a args) *apiError {
	if !s.opt.RateLimits {
		return nil
	}
	if name == "chat.postMessage" {
		return s.allow("post "+a["channel"], 1, time.Second)
	}
	if m.tier == 0 {
		return nil
	}
	return s.allow(name, tiers[m.tier], time.Minute)
}

// allow counts a call in a sliding window; refused calls do not count.
func (s *Server) allow(key string, n int, window time.Duration) *apiError {
	now := s.clock.now()
	past := slices.DeleteFunc(s.limits[key], func(t time.Time) bool { return now.Sub(t) >= window })
	if len(past) >= n {
		s.limits[key] = past
		wait := window - now.Sub(past[0])
		return rateLimited(int((wait + time.Second - 1) / time.Second))
	}
	s.limits[key] = append(past, now)
	return nil
}
