package slacktest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"
)

// httpApp is an app in HTTP mode that verifies signatures with slack-go.
type httpApp struct {
	t    *testing.T
	url  string
	seen chan seen

	mu     sync.Mutex
	status int
	body   string
}

type seen struct{ body, retry, reason string }

func newHTTPApp(t *testing.T, r *rig) *httpApp {
	a := &httpApp{t: t, seen: make(chan seen, 100), status: http.StatusOK}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		verifier, err := slack.NewSecretsVerifier(req.Header, r.SigningSecret())
		if err == nil {
			_, _ = verifier.Write(body)
			err = verifier.Ensure()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if strings.Contains(string(body), `"url_verification"`) {
			_, _ = w.Write(body)
			return
		}
		a.seen <- seen{string(body), req.Header.Get("X-Slack-Retry-Num"), req.Header.Get("X-Slack-Retry-Reason")}
		a.mu.Lock()
		defer a.mu.Unlock()
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(srv.Close)
	a.url = srv.URL
	return a
}

func (a *httpApp) answer(status int, body string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status, a.body = status, body
}

func (a *httpApp) next(want func(seen) bool) seen {
	a.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case s := <-a.seen:
			if want(s) {
				return s
			}
		case <-limit:
			a.t.Fatal("the request never came")
		}
	}
}
