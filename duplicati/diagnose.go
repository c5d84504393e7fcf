package duplicati

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"time"
)

// Stage is one part of the way to a server's API.
type Stage string

// The stages, in order. What cannot be looked at because one before it failed
// is Skipped; TLS is left out for http.
const (
	StageName     Stage = "name"     // DNS
	StageConnect  Stage = "connect"  // TCP
	StageTLS      Stage = "tls"      // the certificate
	StageHTTP     Stage = "http"     // something that speaks HTTP, and no proxy's own page
	StageHealth   Stage = "health"   // Duplicati says it is well
	StageHostname Stage = "hostname" // Duplicati's API accepts the name in the URL
)

// Condition is how a stage came out.
type Condition string

// The conditions.
const (
	Good    Condition = "good"
	Doubt   Condition = "doubt" // works, with something a person should know
	Bad     Condition = "bad"
	Skipped Condition = "skipped"
)

// Check is the outcome of one stage.
type Check struct {
	Stage     Stage
	Condition Condition
	Words     string // a lower-case sentence without a full stop
	Took      time.Duration
	Err       error // an *Error when the condition is Bad
}

// Diagnosis is what Diagnose found.
type Diagnosis struct {
	Checks      []Check
	Certificate *Certificate // what an https server presented, trusted or not
}

// Well reports whether every stage that was looked at is good or in doubt.
func (d Diagnosis) Well() bool { return d.Failure() == nil }

// Failure is the first stage that is bad, nil when there is none.
func (d Diagnosis) Failure() *Check {
	for i, c := range d.Checks {
		if c.Condition == Bad {
			return &d.Checks[i]
		}
	}
	return nil
}

// Diagnose looks at each part of the way to the server and says which is ill.
// It needs no session and changes nothing. An error is one of the options.
func Diagnose(ctx context.Context, o Options) (Diagnosis, error) {
	c, err := New(o)
	if err != nil {
		return Diagnosis{}, err
	}
	defer c.Close()
	d := &diagnostician{c: c}
	stages := []struct {
		stage Stage
		look  func(context.Context) Check
	}{
		{StageName, d.name}, {StageConnect, d.connect}, {StageTLS, d.tls}, {StageHTTP, d.http}, {StageHealth, d.health}, {StageHostname, d.hostname},
	}
	failed := false
	for _, s := range stages {
		if s.stage == StageTLS && c.base.Scheme != "https" {
			continue
		}
		if failed {
			d.found.Checks = append(d.found.Checks, Check{Stage: s.stage, Condition: Skipped, Words: "not looked at, as what comes before it is ill"})
			continue
		}
		begin := time.Now()
		limit, cancel := context.WithTimeout(ctx, min(c.timeout, 10*time.Second))
		check := s.look(limit)
		cancel()
		check.Stage, check.Took = s.stage, time.Since(begin)
		d.found.Checks = append(d.found.Checks, check)
		failed = check.Condition == Bad
	}
	return d.found, nil
}

// unhealthy is what the health page says of a server that is ill.
const unhealthy = "Unhealthy"

type diagnostician struct {
	c     *Client
	found Diagnosis
	page  *reply
}

func bad(op string, kind Kind, cause error, words string) Check {
	return Check{Condition: Bad, Words: words, Err: &Error{Op: op, Kind: kind, Text: words, cause: cause}}
}

func (d *diagnostician) name(ctx context.Context) Check {
	host := d.c.base.Hostname()
	if net.ParseIP(host) != nil {
		return Check{Condition: Good, Words: "the URL holds an address, no name"}
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		kind, words := sortTransport(ctx, err)
		return bad("resolve name", kind, err, words)
	}
	return Check{Condition: Good, Words: host + " is " + strings.Join(addrs, ", ")}
}

func (d *diagnostician) connect(ctx context.Context) Check {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.c.address())
	if err != nil {
		kind, words := sortTransport(ctx, err)
		return bad("connect", kind, err, words+" ("+d.c.address()+")")
	}
	conn.Close()
	return Check{Condition: Good, Words: "something listens at " + d.c.address()}
}

func (d *diagnostician) tls(ctx context.Context) Check {
	config := newTransport(d.c.trust).TLSClientConfig
	config.ServerName = d.c.base.Hostname()
	check := config.VerifyConnection
	config.VerifyConnection = func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) > 0 {
			d.found.Certificate = describe(cs.PeerCertificates[0])
		}
		return check(cs)
	}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", d.c.address())
	if err != nil {
		if own := asError(err); own != nil {
			own.Op = "check certificate"
			return Check{Condition: Bad, Words: own.Text + "; it presents " + d.found.Certificate.SHA256, Err: own}
		}
		kind, words := sortTransport(ctx, err)
		return bad("check certificate", kind, err, words)
	}
	conn.Close()
	switch cert := d.found.Certificate; {
	case d.c.trust.any:
		return Check{Condition: Doubt, Words: "any certificate is accepted, so that nobody can tell whose server this is; it presents " + cert.SHA256}
	case cert.NotAfter.Sub(d.c.now()) < 14*24*time.Hour:
		return Check{Condition: Doubt, Words: "the certificate is trusted and expires on " + cert.NotAfter.UTC().Format(time.DateOnly)}
	case len(d.c.trust.pins) > 0:
		return Check{Condition: Good, Words: "the certificate is the pinned one"}
	default:
		return Check{Condition: Good, Words: "the certificate is trusted until " + cert.NotAfter.UTC().Format(time.DateOnly)}
	}
}

func (d *diagnostician) http(ctx context.Context) Check {
	var body []byte
	r, err := d.c.answer(ctx, call{op: "ask for health", method: http.MethodGet, path: "/health"}, &body)
	d.page = r
	e := asError(err)
	switch {
	case r == nil:
		return Check{Condition: Bad, Words: e.Text, Err: e}
	case strings.TrimSpace(string(r.body)) == unhealthy:
	case e != nil && e.Kind == NotDuplicati && r.status != http.StatusNotFound && !(r.status == http.StatusUnauthorized && d.c.isOld(ctx)): // those two tell more, below
		return Check{Condition: Bad, Words: e.Text, Err: e}
	case looksLikeHTML(r):
		return bad("ask for health", NotDuplicati, nil, "a web page came instead of an answer: a proxy with a login of its own, or another program on this port")
	}
	return Check{Condition: Good, Words: "it speaks HTTP, and no proxy answers in its place"}
}

func (d *diagnostician) health(ctx context.Context) Check {
	body := strings.TrimSpace(string(d.page.body))
	switch {
	case d.page.status == http.StatusOK && body == "Healthy":
		return Check{Condition: Good, Words: "Duplicati says that it is well"}
	case body == unhealthy:
		return bad("ask for health", ServerFault, nil, "Duplicati says that it is not well")
	case d.c.isOld(ctx):
		e := tooOld("ask for health")
		return Check{Condition: Bad, Words: e.Text, Err: e}
	case d.page.status == http.StatusNotFound:
		return bad("ask for health", NotDuplicati, nil, "what answers does not know Duplicati's health page: another program, a Duplicati before 2.1, or a path missing in the URL")
	}
	return bad("ask for health", NotDuplicati, nil, "what answers is not Duplicati's health page")
}

// hostname calls the one part of the API that needs no token on any
// generation and does nothing: a refresh without a cookie.
func (d *diagnostician) hostname(ctx context.Context) Check {
	_, err := d.c.exchange(ctx, call{op: "try the API", method: http.MethodPost, path: "/api/v1/auth/refresh"}, nil)
	e := asError(err)
	switch {
	case e == nil:
		return bad("try the API", NotDuplicati, nil, "the API answers in a way that Duplicati does not")
	case e.Kind == LoginFailed:
		return Check{Condition: Good, Words: "the API answers, and accepts the name in the URL"}
	case e.Kind == HostnameRefused:
		return Check{Condition: Bad, Err: e, Words: "Duplicati does not accept the host name " + d.c.base.Hostname() + ": add it to the setting allowed-hostnames and restart the server, or use the server's IP address"}
	}
	return Check{Condition: Bad, Words: e.Text, Err: e}
}
