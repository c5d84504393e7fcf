package duplicati_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
)

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate, self-signed when by is nil.
func issue(t *testing.T, by *authority, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "nas.lan"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}, DNSNames: []string{"nas.lan"},
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func ca(c *x509.Certificate) {
	c.IsCA = true
	c.Subject.CommonName = "home CA"
	c.DNSNames, c.IPAddresses = nil, nil
}

func (a *authority) sha256() string {
	sum := sha256.Sum256(a.cert.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (a *authority) sha1() string {
	sum := sha1.Sum(a.cert.Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func (a *authority) file(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// secure serves TLS with leaf and sends others along.
func secure(t *testing.T, leaf *authority, others ...*authority) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, idle.Response.Body)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of refused handshakes
	chain := [][]byte{leaf.cert.Raw}
	for _, o := range others {
		chain = append(chain, o.cert.Raw)
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: chain, PrivateKey: leaf.key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestCertificatesAreTrustedByPinFileOrNotAtAll(t *testing.T) {
	root, stranger := issue(t, nil, ca), issue(t, nil, ca)
	leaf := issue(t, root, nil)
	lone := issue(t, nil, nil)
	forged := issue(t, stranger, nil)
	expired := issue(t, nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	early := issue(t, nil, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })
	elsewhere := issue(t, root, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.lan"} })
	for _, c := range []struct {
		name   string
		leaf   *authority
		others []*authority
		o      duplicati.Options
		words  string // of the refusal; "" is accepted
	}{
		{"self-signed, nothing given", lone, nil, duplicati.Options{}, "no known authority"},
		{"SHA-256 pin", lone, nil, duplicati.Options{Pins: []string{lone.sha256()}}, ""},
		{"SHA-256 pin in capitals with colons", lone, nil, duplicati.Options{Pins: []string{strings.ToUpper(lone.sha256())}}, ""},
		{"SHA-1 pin as ServerUtil writes it", lone, nil, duplicati.Options{Pins: []string{lone.sha1()}}, ""},
		{"SHA-1 pin in small letters", lone, nil, duplicati.Options{Pins: []string{strings.ToLower(lone.sha1())}}, ""},
		{"one of several pins", lone, nil, duplicati.Options{Pins: []string{leaf.sha256(), lone.sha256()}}, ""},
		{"a pin for any", lone, nil, duplicati.Options{Pins: []string{"*"}}, ""},
		{"insecure", expired, nil, duplicati.Options{Insecure: true}, ""},
		{"another pin", lone, nil, duplicati.Options{Pins: []string{leaf.sha256()}}, "not the pinned one"},
		{"pinned and expired", expired, nil, duplicati.Options{Pins: []string{expired.sha256()}}, "expired"},
		{"pinned and not valid yet", early, nil, duplicati.Options{Pins: []string{early.sha256()}}, "not valid yet"},
		{"CA file", leaf, nil, duplicati.Options{CAFile: root.file(t)}, ""},
		{"another CA file", leaf, nil, duplicati.Options{CAFile: stranger.file(t)}, "no known authority"},
		{"CA file, certificate for another name", elsewhere, nil, duplicati.Options{CAFile: root.file(t)}, "another name"},
		{"pinned for another name", elsewhere, nil, duplicati.Options{Pins: []string{elsewhere.sha256()}}, ""},
		{"pinned authority", leaf, []*authority{root}, duplicati.Options{Pins: []string{root.sha256()}}, ""},
		{"pinned authority that signed something else", forged, []*authority{root}, duplicati.Options{Pins: []string{root.sha256()}}, "not the pinned one"},
		{"pinned authority, certificate for another name", elsewhere, []*authority{root}, duplicati.Options{Pins: []string{root.sha256()}}, "not the pinned one"},
		{"a pin beside a CA file that would do", leaf, nil, duplicati.Options{CAFile: root.file(t), Pins: []string{lone.sha256()}}, "not the pinned one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.URL = secure(t, c.leaf, c.others...)
			client, err := duplicati.New(c.o)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.With(fixed{}).State(context.Background())
			if c.words == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *duplicati.Error
			if !errors.As(err, &e) || e.Kind != duplicati.Untrusted || !strings.Contains(e.Text, c.words) {
				t.Fatalf("got %v, want %q", err, c.words)
			}
			if e.Certificate == nil || e.Certificate.SHA256 != c.leaf.sha256() || e.Certificate.SHA1 != c.leaf.sha1() {
				t.Errorf("the error does not say what was presented: %+v", e.Certificate)
			}
			if len(e.Pins) != len(c.o.Pins) {
				t.Errorf("the error does not say what was wanted: %v", e.Pins)
			}
		})
	}
}

func TestWrongPinsAndFilesAreRefusedAtOnce(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []duplicati.Options{
		{Pins: []string{""}}, {Pins: []string{"sha256:abcd"}}, {Pins: []string{"zz"}}, {Pins: []string{"md5:d41d8cd98f00b204e9800998ecf8427e"}},
		{CAFile: "/no/such/file"}, {CAFile: empty}, {Timeout: -1},
	} {
		o.URL = "https://nas"
		if _, err := duplicati.New(o); duplicati.KindOf(err) != duplicati.Misused {
			t.Errorf("%+v gave %v", o, err)
		}
	}
}
