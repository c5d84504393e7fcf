package ops_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// offline are the operations that ask no server.
var offline = map[string]bool{"approval": true, "servers": true}

// answers is what somebody else answers in the server's place.
func answers(status int, kind, body string) duplicatitest.Fault {
	return duplicatitest.Fault{Status: status, Header: http.Header{"Content-Type": {kind}}, Body: body}
}

var troubles = map[string]func(*duplicatitest.Server) (end func()){
	"it is gone":                func(s *duplicatitest.Server) func() { s.Close(); return func() {} },
	"a gateway answers":         injects(duplicatitest.BadGateway()),
	"connections break":         injects(duplicatitest.Fault{Reset: true}),
	"it hangs":                  injects(duplicatitest.Fault{Hang: true}),
	"answers are cut":           injects(duplicatitest.Fault{CutReply: -1}),
	"answers are lost":          injects(duplicatitest.Fault{LoseReply: true}),
	"a login page answers":      injects(answers(http.StatusOK, "text/html", "<html><body>Please log in to canary-proxy</body></html>")),
	"answers are empty":         injects(answers(http.StatusOK, "application/json", "")),
	"it fails at everything":    injects(answers(http.StatusInternalServerError, "application/json", `{"Error":"An error occurred","Code":500}`)),
	"it takes no token":         injects(answers(http.StatusUnauthorized, "", "")),
	"it does not know the host": injects(answers(http.StatusForbidden, "application/json", `{"Error":"Invalid hostname: nas","Code":403}`)),
}

func injects(f duplicatitest.Fault) func(*duplicatitest.Server) func() {
	return func(s *duplicatitest.Server) func() { return s.Inject(f) }
}

// troubled is a bench whose calls give up after a time.
func troubled(t *testing.T, within time.Duration) *bench {
	t.Helper()
	b := startWithin(t, within, duplicatitest.Options{ForeverTokens: true, TaskTime: -1})
	b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
	b.Vault.Files["file"] = secret.New(exportFile(nil))
	b.do("status", nil)
	return b
}

// patience is more than any call in trouble takes, on a machine under load.
const patience = time.Minute

// wantClear wants an error that a reader can use: a code, words of ours, what
// to do next, and nothing of what came over the wire.
func wantClear(t *testing.T, err error) {
	t.Helper()
	var e *tools.Error
	if !errors.As(err, &e) {
		t.Errorf("%T %v is not for readers", err, err)
		return
	}
	if e.Code == tools.Internal || e.Code == "" || e.Message == "" || e.Hint == "" {
		t.Errorf("not clear: %s %q, hint %q", e.Code, e.Message, e.Hint)
	}
	for _, raw := range []string{"<html", "canary", "127.0.0.1", "/api/v", "eyJ", "EOF", "goroutine", "dial tcp", "json:", "%!"} {
		if strings.Contains(e.Error(), raw) {
			t.Errorf("it holds %q: %s", raw, e)
		}
	}
	if strings.Contains(e.Message, "nothing was done") && e.Code == tools.UnknownOutcome {
		t.Errorf("it says both: %s", e)
	}
}

func TestAServerInTroubleIsAClearErrorOfEveryOperation(t *testing.T) {
	for name, trouble := range troubles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := troubled(t, time.Second) // what hangs takes all of it
			end := trouble(b.nas)
			each(func(op *tools.Operation, a args) {
				began := time.Now()
				answer, err := b.Run(b.ann, op.Name, a)
				if took := time.Since(began); took > patience {
					t.Errorf("%s took %s", op.Name, took)
				}
				switch {
				case offline[op.Name]:
					if err != nil {
						t.Errorf("%s: %v", op.Name, err)
					}
				case op.Name == "health":
					if err != nil || answer.Exit != 1 || answer.View.Tone != tools.Bad {
						t.Errorf("health: exit %d, %+v, %v", answer.Exit, answer.View, err)
					}
				case op.Name == "logout" && err == nil:
					// There can be nothing to end, or no proof; never the proof.
					if strings.Contains(string(answer.Result), `"proven_refused":true`) && name != "it takes no token" {
						t.Errorf("logout: %s", answer.Result)
					}
				case err == nil:
					t.Errorf("%s %v: %s %s", op.Name, a, answer.Status, answer.View.Headline)
				default:
					t.Run(op.Name, func(t *testing.T) { wantClear(t, err) })
				}
			})
			end()
			if bytes.Contains(b.Log.Bytes(), []byte("internal error")) || bytes.Contains(b.Log.Bytes(), []byte("panicked")) {
				t.Errorf("the log has:\n%s", b.Log)
			}
		})
	}
}

// deed is a call that changes something, and how to see at the server whether
// it did.
type deed struct {
	args  args
	asks  bool   // somebody must agree
	sends string // the beginning of the request that does it
	took  func(*bench) bool
}

var deeds = map[string]deed{
	"delete": {args{"backup": "Photos"}, true, "DELETE /api/v1/backup/1", func(b *bench) bool { return len(b.backups()) == 0 }},
	"import": {args{"file": "file"}, true, "POST /api/v1/backups/import", func(b *bench) bool { return len(b.backups()) == 2 }},
	"change-password": {args{"new_password": "photos-passphrase"}, true, "PUT /api/v1/serversetting/server-passphrase", func(b *bench) bool {
		_, err := b.around().bare.Login(b.t.Context(), b.Vault.Aliases["photos-passphrase"], false)
		return err == nil
	}},
	"pause": {args{"until_resumed": true}, true, "POST /api/v1/serverstate/pause", func(b *bench) bool {
		s, err := b.around().client.State(b.t.Context())
		return err == nil && s.Paused
	}},
	"issue-forever-token": {nil, true, "POST /api/v1/auth/issue-forever-token", nil},
	"export":              {args{"backups": []string{"Photos"}, "unencrypted": true}, true, "", nil},
	"resume":              {nil, false, "POST /api/v1/serverstate/resume", nil},
	"run":                 {args{"backup": "Photos", "wait": true}, false, "POST /api/v1/backup/1/run", nil},
	"login":               {nil, false, "POST /api/v1/auth/login", nil},
}

// around is an account of its own at the server.
func (b *bench) around() *account {
	b.t.Helper()
	return newFleet(b.t, callWithin, map[string]*duplicatitest.Server{"nas": b.nas}).account("nas")
}

func (b *bench) backups() []duplicati.Backup {
	b.t.Helper()
	list, err := b.around().client.Backups(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// The trouble begins with the first, the second, the third ... request of a
// call. Wherever that is, nothing is sent twice, what is called failed did not
// happen, what is called done did, and what nobody can tell is found out once
// the server is back.
func TestTroubleHalfWayLosesNothingAndIsToldAsItIs(t *testing.T) {
	for name, fault := range map[string]duplicatitest.Fault{
		"connections break": {Reset: true},
		"answers are lost":  {LoseReply: true},
		"a gateway answers": duplicatitest.BadGateway(),
	} {
		for operation, d := range deeds {
			t.Run(operation+", "+name, func(t *testing.T) {
				t.Parallel()
				fault := fault // each skips its own way through
				for fault.Skip = 0; d.meets(t, operation, fault); fault.Skip++ {
					if fault.Skip > 40 {
						t.Fatal("it asks for ever")
					}
				}
			})
		}
	}
}

// meets reports whether the call got as far as the fault.
func (d deed) meets(t *testing.T, operation string, fault duplicatitest.Fault) bool {
	t.Helper()
	b := troubled(t, callWithin)
	id := ""
	if d.asks {
		id = b.asked(operation, d.args).Approval.ID
	}
	b.nas.ForgetRequests()
	end := b.nas.Inject(fault)
	var a tools.Approval
	var err error
	if d.asks {
		a, err = b.Decide(toolstest.BobAtTerminal, id, true)
	} else {
		_, err = b.Run(b.ann, operation, d.args)
	}
	end()
	where := fmt.Sprintf("%s, from request %d on: %s %v", operation, fault.Skip+1, a.State, err)
	sent := 0
	for _, r := range b.nas.Requests() {
		if d.sends != "" && strings.HasPrefix(r.Method+" "+r.Path, d.sends) {
			sent++
		}
	}
	if sent > 1 {
		t.Errorf("%s: it was sent %d times", where, sent)
	}
	met := len(b.nas.Requests()) > fault.Skip
	switch {
	case err != nil && !met:
		t.Errorf("%s, without trouble", where)
	case err != nil:
		wantClear(t, err)
	}
	if d.took == nil {
		return met
	}
	eventually(t, func() bool { a = b.recovers(id); return a.State != tools.StateUnknown })
	told := a.State == tools.StateDone || strings.Contains(a.Settlement, took)
	if truth := d.took(b); truth != told {
		t.Errorf("%s, then %s %q; in truth it took effect: %t", where, a.State, a.Settlement, truth)
	}
	return met
}

func TestASlowServerIsWaitedFor(t *testing.T) {
	t.Parallel()
	for operation, list := range samples {
		b := startWithin(t, 20*time.Second, duplicatitest.Options{ForeverTokens: true, TaskTime: -1})
		b.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
		b.Vault.Files["file"] = secret.New(exportFile(nil))
		b.nas.Inject(duplicatitest.Fault{Delay: 20 * time.Millisecond})
		answer, err := b.Run(b.ann, operation, list[0])
		if err == nil && answer.Status == tools.Pending {
			_, err = b.Decide(toolstest.BobAtTerminal, answer.Approval.ID, true)
		}
		if err != nil {
			t.Errorf("%s: %v", operation, err)
		}
	}
}
