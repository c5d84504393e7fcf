package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// database is the file of a server, its fields encrypted unless the key is "".
func database(t *testing.T, s *duplicatitest.Server, fieldKey string) string {
	t.Helper()
	dir := t.TempDir()
	if err := s.WriteDatabase(dir, secret.New(fieldKey)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, duplicatitest.DatabaseName)
}

func TestTheServersDatabaseLogsInWithoutAPassword(t *testing.T) {
	for _, generation := range duplicatitest.Generations() {
		t.Run(generation, func(t *testing.T) {
			s := duplicatitest.Start(t, duplicatitest.Options{Generation: generation, Password: password})
			c := nas(t, s)
			c.Database = auth.Database{Use: true, Path: database(t, s, "")}
			a := newAccount(t)
			works(t, a.sessions(c))
			if s.Count("POST", signinPath) != 1 || s.Count("POST", loginPath) != 0 {
				t.Error("it did not sign in by the database")
			}
			in, err := a.sessions(c).Login(t.Context(), "nas", tools.Login{})
			if err != nil || in.By != "database" || len(in.Notes) != 0 {
				t.Errorf("got %+v, %v", in, err)
			}
		})
	}
	t.Run("its fields are encrypted", func(t *testing.T) {
		const fieldKey = "the key of the fields"
		s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
		c := bare(s)
		c.Database = auth.Database{Use: true, Path: database(t, s, fieldKey)}
		refused(t, state(t.Context(), newAccount(t).sessions(c)), tools.NotLoggedIn, "encrypted and its key is missing")
		t.Setenv("SETTINGS_ENCRYPTION_KEY", "another long key")
		refused(t, state(t.Context(), newAccount(t).sessions(c)), tools.NotLoggedIn, "encrypted with another key")
		t.Setenv("SETTINGS_ENCRYPTION_KEY", fieldKey)
		works(t, newAccount(t).sessions(c))
		t.Setenv("SETTINGS_ENCRYPTION_KEY", "")
		t.Setenv("NAS_FIELDS", fieldKey)
		c.DatabaseKey = ref(t, "env:NAS_FIELDS")
		works(t, newAccount(t).sessions(c))
	})
	t.Run("it is found where Duplicati has it", func(t *testing.T) {
		s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
		c := bare(s)
		c.Database = auth.Database{Use: true}
		t.Setenv("DUPLICATI_HOME", filepath.Dir(database(t, s, "")))
		works(t, newAccount(t).sessions(c))
		t.Setenv("DUPLICATI_HOME", t.TempDir())
		refused(t, state(t.Context(), newAccount(t).sessions(c)), tools.NotLoggedIn, "no server database in "+os.Getenv("DUPLICATI_HOME"))
		c.Database.Folder = filepath.Dir(database(t, s, ""))
		works(t, newAccount(t).sessions(c))
	})
}

func TestADatabaseThatDoesNotFitFallsBackWithASentence(t *testing.T) {
	for name, c := range map[string]struct {
		options  duplicatitest.Options
		database func(t *testing.T, s *duplicatitest.Server) auth.Database
		says     string
	}{
		"it is another server's": {
			duplicatitest.Options{Password: password},
			func(t *testing.T, _ *duplicatitest.Server) auth.Database {
				other := duplicatitest.Start(t, duplicatitest.Options{Password: password})
				return auth.Database{Use: true, Path: database(t, other, "")}
			},
			"may be another server's",
		},
		"the server takes no sign-in tokens": {
			duplicatitest.Options{Password: password, NoSigninTokens: true},
			func(t *testing.T, s *duplicatitest.Server) auth.Database {
				return auth.Database{Use: true, Path: database(t, s, "")}
			},
			"takes no sign-in tokens",
		},
		"it is not there": {
			duplicatitest.Options{Password: password},
			func(*testing.T, *duplicatitest.Server) auth.Database {
				return auth.Database{Use: true, Path: "/none/Duplicati-server.sqlite"}
			},
			"no server database at /none",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := duplicatitest.Start(t, c.options)
			server := nas(t, s)
			server.Database = c.database(t, s)
			in, err := newAccount(t).sessions(server).Login(t.Context(), "nas", tools.Login{})
			if err != nil || in.By != "password" || len(in.Notes) != 1 || !strings.Contains(in.Notes[0], c.says) {
				t.Errorf("got %+v, %v", in, err)
			}
			server.Password = secret.Ref{}
			_, err = newAccount(t).sessions(server).Login(t.Context(), "nas", tools.Login{})
			refused(t, err, tools.NotLoggedIn, c.says, "nothing was done")
		})
	}
	t.Run("no token is minted for another host", func(t *testing.T) {
		s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
		c := auth.Server{Name: "nas", URL: "http://192.0.2.1:8200", Database: auth.Database{Use: true, Path: database(t, s, "")}}
		refused(t, state(t.Context(), newAccount(t).sessions(c)), tools.NotLoggedIn, "not of this host")
	})
}

func TestWordsForALoginThatFails(t *testing.T) {
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	c := nas(t, s)
	t.Setenv("NAS_PASSWORD", "wrong-canary")
	e := refused(t, state(t.Context(), newAccount(t).sessions(c)), tools.NotLoggedIn, "did not accept the password of env:NAS_PASSWORD")
	if strings.Contains(e.Error(), "canary") {
		t.Errorf("it repeats the password: %v", e)
	}
	os.Unsetenv("NAS_PASSWORD")
	refused(t, state(t.Context(), newAccount(t).sessions(c)), tools.NotLoggedIn, "NAS_PASSWORD is not set")
	c.Password = secret.Ref{}
	refused(t, state(t.Context(), newAccount(t).sessions(c)), tools.NotLoggedIn, "no stored session, no database and no password", "duplibot login --server nas")
	_, err := newAccount(t).sessions(c).Login(t.Context(), "nas", tools.Login{Password: secret.New("wrong")})
	refused(t, err, tools.NotLoggedIn, "did not accept the password")
	c.URL = "http://127.0.0.1:1"
	refused(t, state(t.Context(), newAccount(t).sessions(nasAt(t, c.URL))), tools.Unavailable, "nas cannot be reached", "nothing listens there")
}

func nasAt(t *testing.T, url string) auth.Server {
	t.Helper()
	t.Setenv("NAS_PASSWORD", password)
	return auth.Server{Name: "nas", URL: url, Password: ref(t, "env:NAS_PASSWORD")}
}

func TestALoginEndsTheSessionBeforeIt(t *testing.T) {
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	a := newAccount(t)
	one, two := a.sessions(bare(s)), a.sessions(bare(s))
	login(t, one)
	works(t, two)
	login(t, one)
	if n := s.Count("POST", logoutPath); n != 1 {
		t.Errorf("%d sessions were ended, want 1: each would lie in the server's database for a month", n)
	}
	works(t, two) // holds the dead one, and takes up the new one
	works(t, one)
	counts(t, s, 2, 0)
}

func TestALogoutProvesThatTheTokenIsRefused(t *testing.T) {
	for _, generation := range duplicatitest.Generations() {
		t.Run(generation, func(t *testing.T) {
			clock := duplicatitest.NewStandingClock(time.Now())
			s := duplicatitest.Start(t, duplicatitest.Options{Generation: generation, Password: password, Clock: clock})
			a := newAccount(t)
			a.clock = clock.Now
			all := a.sessions(bare(s))
			for _, idle := range []time.Duration{0, time.Hour} {
				login(t, all)
				s.Advance(idle)
				s.ForgetRequests()
				out, err := all.Logout(t.Context(), "nas")
				if err != nil || !out.Had || !out.Refused || len(out.Notes) != 0 {
					t.Errorf("after %s: got %+v, %v", idle, out, err)
				}
				proven := 0
				for _, r := range s.Requests() {
					if r.Path == "/api/v1/serverstate" && r.Status != http.StatusOK && r.Header.Get("Authorization") != "" {
						proven++ // it was alive before, as the logout's own calls show
					}
				}
				if proven != 1 {
					t.Errorf("after %s its refusal was seen %d times", idle, proven)
				}
				refused(t, state(t.Context(), all), tools.NotLoggedIn)
				refused(t, state(t.Context(), a.sessions(bare(s))), tools.NotLoggedIn)
			}
			if keys, err := a.ring().List(t.Context(), ""); err != nil || len(keys) != 0 {
				t.Errorf("the keyring still has %v, %v", keys, err)
			}
			if out, err := all.Logout(t.Context(), "nas"); err != nil || out.Had || out.Refused {
				t.Errorf("without a session: %+v, %v", out, err)
			}
		})
	}
}

func TestALogoutSaysWhatItCouldNotProve(t *testing.T) {
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	a := newAccount(t)
	t.Run("the server is away", func(t *testing.T) {
		all := a.sessions(nas(t, s))
		works(t, all)
		heal := s.Inject(duplicatitest.BadGateway())
		defer heal()
		out, err := all.Logout(t.Context(), "nas")
		if err != nil || !out.Had || out.Refused || len(out.Notes) != 2 ||
			!strings.Contains(out.Notes[0], "could not be asked") || !strings.Contains(out.Notes[1], "the next call logs in again with the password of env:NAS_PASSWORD") {
			t.Errorf("got %+v, %v", out, err)
		}
	})
	t.Run("the server keeps the session", func(t *testing.T) {
		all := a.sessions(bare(s))
		login(t, all)
		heal := s.Inject(duplicatitest.Fault{Prefix: logoutPath, Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"success":true}`})
		defer heal()
		out, err := all.Logout(t.Context(), "nas")
		if err != nil || out.Refused || len(out.Notes) == 0 || !strings.Contains(out.Notes[0], "still takes the old token") {
			t.Errorf("got %+v, %v", out, err)
		}
	})
	t.Run("the session was dead before", func(t *testing.T) {
		all := a.sessions(bare(s))
		login(t, all)
		s.Restart(duplicatitest.RestartOptions{ResetKeys: true})
		out, err := all.Logout(t.Context(), "nas")
		if err != nil || !out.Had || !out.Refused {
			t.Errorf("got %+v, %v", out, err)
		}
	})
}

func TestAChangedPasswordComesBeforeTheConfigurations(t *testing.T) {
	const newer = "newer-password"
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	a := newAccount(t)
	all := a.sessions(nas(t, s))
	ctx := t.Context()

	if err := all.StagePassword(ctx, "nas", secret.New(newer)); err != nil {
		t.Fatal(err)
	}
	works(t, a.sessions(nas(t, s))) // staged: counts for nothing
	c, err := all.Client(ctx, "nas")
	if err != nil {
		t.Fatal(err)
	}
	refused(t, all.ProvePassword(ctx, "nas", secret.New(newer)), tools.NotLoggedIn)
	if err := c.SetPassword(ctx, secret.New(newer)); err != nil {
		t.Fatal(err)
	}
	logouts := s.Count("POST", logoutPath)
	if err := all.ProvePassword(ctx, "nas", secret.New(newer)); err != nil {
		t.Fatal(err)
	}
	if s.Count("POST", logoutPath) != logouts+1 {
		t.Error("the session that proves the password is left behind")
	}
	kept, err := all.KeepPassword(ctx, "nas", secret.New(newer))
	if err != nil || kept.Overrides != "env:NAS_PASSWORD" || !strings.HasPrefix(kept.Where, "keyring item duplibot.server.") || len(kept.Notes) != 0 {
		t.Fatalf("got %+v, %v", kept, err)
	}
	works(t, all)

	s.Restart(duplicatitest.RestartOptions{ResetKeys: true})
	s.ForgetRequests()
	works(t, a.sessions(nas(t, s)))
	counts(t, s, 1, 1)
	if strings.Contains(a.log.String(), newer) || strings.Contains(a.log.String(), password) {
		t.Error("the log holds a password")
	}
	keys, err := a.ring().List(ctx, "server.")
	if err != nil || len(keys) != 2 {
		t.Errorf("the keyring has %v, %v: want the session and the password, and nothing staged", keys, err)
	}

	t.Run("until the server has another one again", func(t *testing.T) {
		c, err := all.Client(ctx, "nas")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetPassword(ctx, secret.New(password)); err != nil {
			t.Fatal(err)
		}
		in, err := all.Login(ctx, "nas", tools.Login{})
		if err != nil || len(in.Notes) != 1 || !strings.Contains(in.Notes[0], "last set through the bot") {
			t.Errorf("got %+v, %v", in, err)
		}
	})
}

// certificate is a self-signed one for 127.0.0.1.
func certificate(t *testing.T, until time.Time) (cert, key []byte, pin string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "nas"},
		NotBefore: until.Add(-48 * time.Hour), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secretPart, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secretPart}),
		"sha256:" + hex.EncodeToString(sum[:])
}

func TestACertificateIsPinnedByThePersonWhoLogsIn(t *testing.T) {
	cert, key, pin := certificate(t, time.Now().Add(24*time.Hour))
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password, CertificatePEM: cert, KeyPEM: key})
	a := newAccount(t)
	all := a.sessions(nas(t, s))
	ctx := t.Context()

	e := refused(t, state(ctx, all), tools.Unavailable, pin, "no known authority", "login --pin", "nothing was done")
	if e.Ask == nil || e.Ask.Param != "pin" || e.Ask.Value != pin {
		t.Errorf("a terminal is told to ask %+v", e.Ask)
	}
	d, err := all.Diagnose(ctx, "nas")
	if err != nil || d.Certificate == nil || d.Certificate.SHA256 != pin || d.Well() {
		t.Fatalf("Diagnose shows %+v, %v: there is nothing to ask a person about", d, err)
	}
	_, err = all.Login(ctx, "nas", tools.Login{Password: secret.New(password), Pin: "sha256:" + strings.Repeat("ab", 32)})
	refused(t, err, tools.Unavailable, "not the pinned one", pin, strings.Repeat("ab", 32))
	refused(t, state(ctx, all), tools.Unavailable, "no known authority") // nothing was pinned
	for _, wrong := range []string{"*", "sha256:12", "hunter2", strings.ToUpper(pin)} {
		_, err := all.Login(ctx, "nas", tools.Login{Password: secret.New(password), Pin: wrong})
		refused(t, err, tools.InvalidArgument)
	}
	if _, err := all.Login(ctx, "nas", tools.Login{Password: secret.New(password), Pin: pin}); err != nil {
		t.Fatal(err)
	}
	works(t, all)
	works(t, a.sessions(nas(t, s)))
	if d, err := all.Diagnose(ctx, "nas"); err != nil || !d.Well() {
		t.Errorf("Diagnose: %+v, %v", d, err)
	}
	if out, err := all.Logout(ctx, "nas"); err != nil || !out.Refused {
		t.Errorf("%+v, %v", out, err)
	}
	works(t, a.sessions(nas(t, s))) // the pin outlives the session

	t.Run("a changed certificate is refused, with the old one and the new one", func(t *testing.T) {
		cert, key, newPin := certificate(t, time.Now().Add(24*time.Hour))
		moved := at(t, s, duplicatitest.Options{Password: password, CertificatePEM: cert, KeyPEM: key})
		defer moved.Close()
		e := refused(t, state(ctx, a.sessions(nas(t, s))), tools.Unavailable, "pinned is "+pin, "it presents "+newPin, "login --pin", "somebody may be in between")
		if e.Retry {
			t.Error("asking again does not help")
		}
		in, err := a.sessions(bare(s)).Login(ctx, "nas", tools.Login{Password: secret.New(password), Pin: newPin})
		if err != nil {
			t.Fatalf("%+v, %v", in, err)
		}
		works(t, a.sessions(bare(s)))
	})
}

// at starts another server in the place of s.
func at(t *testing.T, s *duplicatitest.Server, o duplicatitest.Options) *duplicatitest.Server {
	t.Helper()
	s.Close()
	address := strings.TrimPrefix(s.URL, "https://")
	other, err := duplicatitest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err = other.ListenAt(address); err == nil {
			return other
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal(err)
	return nil
}

func TestPinsOfTheConfigurationCannotBeChangedByALogin(t *testing.T) {
	cert, key, pin := certificate(t, time.Now().Add(24*time.Hour))
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password, CertificatePEM: cert, KeyPEM: key})
	c := bare(s)
	c.TLS.Pins = []string{pin}
	all := newAccount(t).sessions(c)
	if _, err := all.Login(t.Context(), "nas", tools.Login{Password: secret.New(password), Pin: pin}); err != nil {
		t.Errorf("the pin that is there: %v", err)
	}
	other := "sha256:" + strings.Repeat("ab", 32)
	_, err := all.Login(t.Context(), "nas", tools.Login{Password: secret.New(password), Pin: other})
	refused(t, err, tools.Conflict, "put "+other+" into tls.pins")
	c.TLS = auth.TLS{Insecure: true}
	all = newAccount(t).sessions(c)
	_, err = all.Login(t.Context(), "nas", tools.Login{Password: secret.New(password), Pin: other})
	refused(t, err, tools.Conflict, "tls.pins")
	in := login(t, all)
	if len(in.Notes) != 1 || !strings.Contains(in.Notes[0], "any certificate is accepted") {
		t.Errorf("insecure is not loud: %+v", in)
	}
	plain := duplicatitest.Start(t, duplicatitest.Options{Password: password})
	_, err = newAccount(t).sessions(bare(plain)).Login(t.Context(), "nas", tools.Login{Password: secret.New(password), Pin: other})
	refused(t, err, tools.InvalidArgument, "no certificate to pin")
}

func TestAnExpiredPinnedCertificateIsRefused(t *testing.T) {
	cert, key, pin := certificate(t, time.Now().Add(-time.Hour))
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password, CertificatePEM: cert, KeyPEM: key})
	c := nas(t, s)
	c.TLS.Pins = []string{pin}
	refused(t, state(t.Context(), newAccount(t).sessions(c)), tools.Unavailable, "expired")
}

func TestOldServersAreRefusedWithWords(t *testing.T) {
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login.cgi" {
			fmt.Fprint(w, `{"Status":"OK","Nonce":"bm9uY2U=","Salt":"c2FsdA=="}`)
			return
		}
		http.NotFound(w, r)
	}))
	defer old.Close()
	refused(t, state(t.Context(), newAccount(t).sessions(nasAt(t, old.URL))), tools.Unsupported, "2.0", "2.1")
}

func TestErrorsOfTheClientAreExplained(t *testing.T) {
	pin := "sha256:" + strings.Repeat("cd", 32)
	for _, c := range []struct {
		err   error
		code  tools.Code
		retry bool
		says  []string
	}{
		{&duplicati.Error{Kind: duplicati.NoAddress, Text: "the name nas.lan has no address"}, tools.Unavailable, true, []string{"nas cannot be reached", "nas.lan", "nothing was done", "url"}},
		{&duplicati.Error{Kind: duplicati.Refused, Text: "nothing listens there"}, tools.Unavailable, true, []string{"--webservice-interface=any"}},
		{&duplicati.Error{Kind: duplicati.TimedOut, Text: "slow"}, tools.Timeout, true, []string{"does not answer"}},
		{&duplicati.Error{Kind: duplicati.Unreachable, Text: "the connection was cut"}, tools.Unavailable, true, []string{"cut", "health"}},
		{&duplicati.Error{Kind: duplicati.Untrusted, Text: "the server broke off the TLS handshake"}, tools.Unavailable, false, []string{"broke off"}},
		{&duplicati.Error{Kind: duplicati.Untrusted, Text: "not pinned", Pins: []string{"sha256:old"}, Certificate: &duplicati.Certificate{SHA256: pin, Subject: "CN=\u202enas\n"}}, tools.Unavailable, false, []string{"sha256:old", pin, "CN=nas"}},
		{&duplicati.Error{Kind: duplicati.NotTLS}, tools.Unavailable, false, []string{"speaks http", "https"}},
		{&duplicati.Error{Kind: duplicati.WantsTLS, Status: 400}, tools.Unavailable, false, []string{"https://"}},
		{&duplicati.Error{Kind: duplicati.Canceled}, tools.Canceled, false, []string{"given up"}},
		{&duplicati.Error{Kind: duplicati.NotDuplicati, Status: 200, Text: "a web page came instead of an answer"}, tools.Unavailable, false, []string{"web page", "proxy"}},
		{&duplicati.Error{Kind: duplicati.NotDuplicati, Status: 502, Text: "a gateway answered"}, tools.Unavailable, true, []string{"behind the proxy"}},
		{&duplicati.Error{Kind: duplicati.Unreadable, Status: 200, Text: "the answer is empty"}, tools.Unavailable, false, []string{"empty"}},
		{&duplicati.Error{Kind: duplicati.HostnameRefused, Status: 403, Text: "Invalid hostname: nas", Quote: true}, tools.Unavailable, false, []string{`"Invalid hostname: nas"`, "--webservice-allowed-hostnames=NAME", "restart", "IP address"}},
		{&duplicati.Error{Kind: duplicati.NotAuthorized, Status: 401, Text: "the access token has expired"}, tools.NotLoggedIn, false, []string{"expired", "duplibot login"}},
		{&duplicati.Error{Kind: duplicati.LoginFailed, Status: 401}, tools.NotLoggedIn, false, []string{"duplibot login"}},
		{&duplicati.Error{Kind: duplicati.SigninDisabled, Status: 401}, tools.NotLoggedIn, false, []string{"--webservice-disable-signin-tokens=false"}},
		{&duplicati.Error{Kind: duplicati.ForeverDisabled, Status: 401}, tools.Unsupported, false, []string{"--webservice-enable-forever-token"}},
		{&duplicati.Error{Kind: duplicati.ForeverUsed, Status: 401}, tools.Conflict, false, []string{"restart it"}},
		{&duplicati.Error{Kind: duplicati.NotFound, Status: 404, Text: "Backup not found", Quote: true}, tools.NotFound, false, []string{`"Backup not found"`}},
		{&duplicati.Error{Kind: duplicati.DatabaseLocked, Status: 400}, tools.Busy, true, nil},
		{&duplicati.Error{Kind: duplicati.Busy, Status: 500, Task: 7}, tools.Busy, true, []string{"task 7"}},
		{&duplicati.Error{Kind: duplicati.Unstoppable, Status: 500}, tools.Busy, true, nil},
		{&duplicati.Error{Kind: duplicati.WrongPassphrase}, tools.WrongPassphrase, false, nil},
		{&duplicati.Error{Kind: duplicati.PassphraseGone}, tools.SecretNeeded, false, nil},
		{&duplicati.Error{Kind: duplicati.Unsupported, Text: "that needs 2.3.0"}, tools.Unsupported, false, []string{"2.3.0", "nothing was done"}},
		{&duplicati.Error{Kind: duplicati.Harmful, Text: "the run would hang"}, tools.Conflict, false, []string{"would do harm", "hang"}},
		{&duplicati.Error{Kind: duplicati.Misused, Text: "no"}, tools.InvalidArgument, false, nil},
		{&duplicati.Error{Kind: duplicati.Invalid, Status: 400, Text: strings.Repeat("x", 2000)}, tools.InvalidArgument, false, []string{"…"}},
		{&duplicati.Error{Kind: duplicati.ServerFault, Status: 500, Text: "An error occurred", Quote: true}, tools.OperationFailed, false, []string{`Duplicati says "An error occurred"`, "log"}},
		{&duplicati.Error{Kind: duplicati.ServerFault, Status: 500, Text: "no reason was given"}, tools.OperationFailed, false, []string{"nas failed: no reason was given"}},
		{&duplicati.Error{Kind: duplicati.Invalid, Status: 400}, tools.InvalidArgument, false, []string{"nas refused without a word; nothing was done"}},
		{&duplicati.Error{Kind: duplicati.TimedOut, Text: "slow", Uncertain: true}, tools.UnknownOutcome, false, []string{"may have been carried out", "look at the server"}},
		{fmt.Errorf("x: %w", tools.Errorf(tools.Denied, "no")), tools.Denied, false, nil},
	} {
		e := auth.Explain(fmt.Errorf("around: %w", c.err), "nas")
		if e == nil {
			t.Errorf("%v: no words", c.err)
			continue
		}
		refused(t, e, c.code, c.says...)
		if e.Hint == "" && c.code != tools.Denied {
			t.Errorf("%v: nothing says what to do next", c.err)
		}
		if e.Retry != c.retry {
			t.Errorf("%v: retry is %t", c.err, e.Retry)
		}
		if len(e.Message) > 600 || strings.ContainsAny(e.Error(), "\n\u202e") {
			t.Errorf("%v: %q", c.err, e.Error())
		}
		if c.code == tools.UnknownOutcome && strings.Contains(e.Message, "nothing was done") {
			t.Errorf("it says that nothing was done and does not know: %q", e.Message)
		}
	}
	for _, err := range []error{errors.New("x"), context.Canceled} {
		if e := auth.Explain(err, "nas"); e != nil {
			t.Errorf("%v is not ours, got %v", err, e)
		}
	}
}
