package duplicati

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode"
)

// Certificate is what a server presented.
type Certificate struct {
	SHA256    string // "sha256:" and lower-case hex, as a pin is written
	SHA1      string // upper-case hex, as ServerUtil writes one
	Subject   string
	Issuer    string
	Names     []string // host names and addresses it is for
	NotBefore time.Time
	NotAfter  time.Time
}

// trust decides about certificates. Pins are not added to the roots, as
// ServerUtil's are: where pins are given, nothing else is accepted.
type trust struct {
	host  string
	roots *x509.CertPool // nil: the system's
	pins  []string       // "sha256:…" or 40 upper-case hex digits
	any   bool
	now   func() time.Time
}

func newTrust(host string, o Options) (*trust, error) {
	const op = "open client"
	t := &trust{host: host, any: o.Insecure}
	for _, pin := range o.Pins {
		p, ok := readPin(pin)
		switch {
		case !ok:
			return nil, refuse(op, Misused, "a certificate pin is neither sha256: and 64 hex digits nor 40 hex digits of a SHA-1")
		case p == "*":
			t.any = true
		default:
			t.pins = append(t.pins, p)
		}
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			e := refuse(op, Misused, "the CA file cannot be read")
			e.cause = err
			return nil, e
		}
		t.roots = x509.NewCertPool()
		if !t.roots.AppendCertsFromPEM(pem) {
			return nil, refuse(op, Misused, "the CA file holds no certificate in PEM")
		}
	}
	return t, nil
}

// readPin returns a pin as it is compared.
func readPin(text string) (string, bool) {
	text = strings.TrimSpace(text)
	if text == "*" {
		return text, true
	}
	kind, digits, found := strings.Cut(strings.ToLower(text), ":")
	if !found || len(kind) == 2 { // colons between the bytes
		kind, digits = "sha1", text
	}
	b, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	switch {
	case err != nil:
		return "", false
	case kind == "sha256" && len(b) == sha256.Size:
		return "sha256:" + hex.EncodeToString(b), true
	case kind == "sha1" && len(b) == sha1.Size:
		return strings.ToUpper(hex.EncodeToString(b)), true
	}
	return "", false
}

func describe(c *x509.Certificate) *Certificate {
	s1, s256 := sha1.Sum(c.Raw), sha256.Sum256(c.Raw)
	d := &Certificate{
		SHA256: "sha256:" + hex.EncodeToString(s256[:]), SHA1: strings.ToUpper(hex.EncodeToString(s1[:])),
		Subject: printable(c.Subject.String()), Issuer: printable(c.Issuer.String()),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter,
	}
	for _, n := range c.DNSNames {
		d.Names = append(d.Names, printable(n))
	}
	for _, ip := range c.IPAddresses {
		d.Names = append(d.Names, ip.String())
	}
	return d
}

// check is called at each handshake with what the server presented.
func (t *trust) check(cs tls.ConnectionState) error {
	if t.any {
		return nil
	}
	chain := cs.PeerCertificates
	if len(chain) == 0 {
		return &Error{Kind: Untrusted, Text: "the server presented no certificate"}
	}
	leaf, now := chain[0], t.now()
	refused := func(text string) error {
		return &Error{Kind: Untrusted, Text: text, Certificate: describe(leaf), Pins: t.pins}
	}
	if now.After(leaf.NotAfter) {
		return refused("the certificate has expired")
	}
	if now.Before(leaf.NotBefore) {
		return refused("the certificate is not valid yet; is the clock right?")
	}
	options := x509.VerifyOptions{Roots: t.roots, Intermediates: x509.NewCertPool(), CurrentTime: now, DNSName: t.host}
	for _, c := range chain[1:] {
		options.Intermediates.AddCert(c)
	}
	if len(t.pins) == 0 {
		if _, err := leaf.Verify(options); err != nil {
			return refused(whyUntrusted(err))
		}
		return nil
	}
	if t.pinned(leaf) {
		return nil // the very certificate, whatever names are in it
	}
	// A pinned authority counts only for what it really signed: anybody can
	// send its certificate along.
	for _, c := range chain[1:] {
		if !t.pinned(c) {
			continue
		}
		options.Roots = x509.NewCertPool()
		options.Roots.AddCert(c)
		if _, err := leaf.Verify(options); err == nil {
			return nil
		}
	}
	return refused("the certificate is not the pinned one")
}

func (t *trust) pinned(c *x509.Certificate) bool {
	d := describe(c)
	for _, p := range t.pins {
		if p == d.SHA256 || p == d.SHA1 {
			return true
		}
	}
	return false
}

func whyUntrusted(err error) string {
	switch err.(type) {
	case x509.UnknownAuthorityError:
		return "no known authority has signed the certificate"
	case x509.HostnameError:
		return "the certificate is for another name"
	}
	return "the certificate does not verify"
}

func newTransport(t *trust) *http.Transport {
	return &http.Transport{
		// No proxy from the environment: it does not decide where tokens go.
		Proxy:       nil,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			// check does it all, so that it can say what was presented.
			InsecureSkipVerify: true, //nolint:gosec
			VerifyConnection:   t.check,
		},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        90 * time.Second, // Kestrel closes after 130
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// printable takes out of words that somebody else wrote what does not show, or
// shows otherwise than it is: control characters, and those that turn text
// around or have no width.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r) || unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
}
