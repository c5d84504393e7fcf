package duplicati_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

func TestADiagnosisFindsThePartThatIsIll(t *testing.T) {
	answer := func(status int, contentType, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			io.WriteString(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	good := duplicatitest.Start(t, duplicatitest.Options{})
	lone := issue(t, nil, nil)
	for _, c := range []struct {
		name, url string
		stage     duplicati.Stage
		kind      duplicati.Kind
		words     string
	}{
		{"no such name", "http://no-such-host.invalid:8200", duplicati.StageName, duplicati.NoAddress, "no-such-host.invalid"},
		{"nothing listens", closed.URL, duplicati.StageConnect, duplicati.Refused, "nothing listens"},
		{"https to an http port", strings.Replace(good.URL, "http", "https", 1), duplicati.StageTLS, duplicati.NotTLS, "http, not https"},
		{"self-signed", secure(t, lone), duplicati.StageTLS, duplicati.Untrusted, lone.sha256()},
		{"proxy's page", answer(200, "text/html", "<html>log in</html>"), duplicati.StageHTTP, duplicati.NotDuplicati, "web page"},
		{"gateway", answer(502, "text/html", "<html>bad gateway</html>"), duplicati.StageHTTP, duplicati.NotDuplicati, "web page"},
		{"unhealthy", answer(503, "text/plain", "Unhealthy"), duplicati.StageHealth, duplicati.ServerFault, "not well"},
		{"another program", answer(404, "text/plain", "nope"), duplicati.StageHealth, duplicati.NotDuplicati, "another program"},
		{"says yes to all", answer(200, "text/plain", "Healthy"), duplicati.StageHostname, duplicati.NotDuplicati, "way that Duplicati does not"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := duplicati.Diagnose(context.Background(), duplicati.Options{URL: c.url})
			if err != nil {
				t.Fatal(err)
			}
			f := d.Failure()
			if f == nil || d.Well() || f.Stage != c.stage || duplicati.KindOf(f.Err) != c.kind || !strings.Contains(f.Words, c.words) {
				t.Fatalf("got %+v, want %s %s", d, c.stage, c.kind)
			}
			after := false
			for _, check := range d.Checks {
				if after && check.Condition != duplicati.Skipped {
					t.Errorf("%s was looked at after %s had failed", check.Stage, c.stage)
				}
				after = after || check.Condition == duplicati.Bad
			}
		})
	}
}

func TestADiagnosisOfAWellServerChangesNothing(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		s := duplicatitest.Start(t, duplicatitest.Options{Generation: g, TLS: true})
		d, err := duplicati.Diagnose(context.Background(), duplicati.Options{URL: s.URL, Insecure: true})
		if err != nil || !d.Well() || len(d.Checks) != 6 || d.Certificate == nil {
			t.Fatalf("%+v, %v", d, err)
		}
		if d.Checks[2].Condition != duplicati.Doubt {
			t.Errorf("any certificate is accepted, and nothing is said about it: %+v", d.Checks[2])
		}
		pinned, err := duplicati.Diagnose(context.Background(), duplicati.Options{URL: s.URL, Pins: []string{d.Certificate.SHA256}})
		if err != nil || !pinned.Well() {
			t.Fatalf("%+v, %v", pinned, err)
		}
	})
}

func TestADiagnosisFindsTheHostnameFilter(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		s := duplicatitest.Start(t, duplicatitest.Options{Generation: g})
		// A name that resolves here and that the server does not know.
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Host = "nas.example.com"
			s.ServeHTTP(w, r)
		}))
		defer front.Close()
		d, err := duplicati.Diagnose(context.Background(), duplicati.Options{URL: front.URL})
		if err != nil {
			t.Fatal(err)
		}
		f := d.Failure()
		if f == nil || f.Stage != duplicati.StageHostname || duplicati.KindOf(f.Err) != duplicati.HostnameRefused || !strings.Contains(f.Words, "allowed-hostnames") {
			t.Fatalf("%+v", d)
		}
	})
}
