package ops_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// mortal is a home whose process dies at a step.
type mortal struct {
	*home
	at tools.Step
}

type death struct{}

func mayDie(t *testing.T, g string) *mortal {
	t.Helper()
	m := &mortal{}
	m.home = atHome(t, duplicatitest.Options{Generation: g, ForeverTokens: true}, toolstest.OnStep(func(s tools.Step) {
		if s == m.at {
			panic(death{})
		}
	}))
	return m
}

// dies asks for a call, agrees to it, and dies at the step; then another
// process comes, on the same store, keyring and vault.
func (m *mortal) dies(step tools.Step, operation string, a args) (id string) {
	m.t.Helper()
	id = m.asked(operation, a).Approval.ID
	func() {
		defer func() {
			if v := recover(); v != (death{}) {
				panic(v)
			}
		}()
		m.at = step
		m.Decide(toolstest.BobAtTerminal, id, true)
		m.t.Fatalf("%s lived through %s", operation, step)
	}()
	m.at = ""
	m.another()
	return id
}

func (m *mortal) another() {
	m.t.Helper()
	m.end()
	m.Gate = toolstest.New(m.t, append(m.opts, toolstest.After(m.Gate))...)
}

// recovers takes up what was left, and returns the request.
func (b *bench) recovers(id string) tools.Approval {
	b.t.Helper()
	if err := b.Desk.Recover(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	a, err := b.Desk.Request(context.Background(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func wantSettled(t *testing.T, a tools.Approval, words string) {
	t.Helper()
	if a.State != tools.StateSettled || !strings.Contains(a.Settlement, words) {
		t.Errorf("%s is %s (%q), want settled: %s", a.Operation, a.State, a.Settlement, words)
	}
}

const (
	took   = "it took effect, as the server shows"
	didNot = "it took no effect, as the server shows"
)

func TestAfterACrashTheServerProvesWhatHappened(t *testing.T) {
	for name, c := range map[string]struct {
		operation string
		args      func(*home) args
		sent      string // what the server must see once, or never
	}{
		"delete":          {"delete", func(*home) args { return args{"backup": "Photos"} }, "DELETE /api/v1/backup/1"},
		"change-password": {"change-password", func(h *home) args { return args{"new_password": h.holds("the-new-word")} }, "PUT /api/v1/serversetting/"},
		"import":          {"import", func(h *home) args { return args{"file": h.brings("file", exportFile(nil))} }, "POST /api/v1/backups/import"},
		"pause":           {"pause", func(*home) args { return args{"until_resumed": true} }, "POST /api/v1/serverstate/pause"},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, func(t *testing.T, g string) {
				method, path, _ := strings.Cut(c.sent, " ")
				for step, words := range map[tools.Step]string{tools.AfterIntent: didNot, tools.AfterCall: took, tools.BeforeOutcome: took} {
					m := mayDie(t, g)
					m.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
					id := m.dies(step, c.operation, c.args(m.home))
					wantSettled(t, m.recovers(id), words)
					m.recovers(id)
					if n := m.nas.Count(method, path); n != map[string]int{didNot: 0, took: 1}[words] {
						t.Errorf("%s: the server saw it %d times", step, n)
					}
					_, err := m.Decide(toolstest.BobAtTerminal, id, true)
					if tools.CodeOf(err) != tools.AlreadyDecided {
						t.Errorf("it can be decided again: %v", err)
					}
				}
			})
		})
	}
}

// Nothing but its answer says what a server did when it issues a token, and
// nothing at the server tells of an export.
func TestWhatNoServerCanProveIsAPersonsToSay(t *testing.T) {
	for name, a := range map[string]args{
		"issue-forever-token": nil,
		"export":              {"backups": []string{"Photos"}, "unencrypted": true},
	} {
		t.Run(name, func(t *testing.T) {
			m := mayDie(t, "")
			m.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
			id := m.dies(tools.AfterCall, name, a)
			before := len(m.nas.Requests())
			if r := m.recovers(id); r.State != tools.StateUnknown || !strings.Contains(r.Failure.Error(), "look at the server") {
				t.Errorf("%s %v", r.State, r.Failure)
			}
			if n := len(m.nas.Requests()); n != before {
				t.Errorf("%d requests were sent", n-before)
			}
			if _, err := m.Desk.Settle(context.Background(), id, toolstest.AnnsAssistant, true); tools.CodeOf(err) != tools.Denied {
				t.Errorf("an assistant settled it: %v", err)
			}
			r, err := m.Desk.Settle(context.Background(), id, toolstest.BobAtTerminal, true)
			if err != nil || r.State != tools.StateSettled || !strings.Contains(r.Settlement, "says bob") {
				t.Errorf("%s %q %v", r.State, r.Settlement, err)
			}
		})
	}
}

// A server that is away proves nothing, and is asked again.
func TestASettlementWaitsForTheServer(t *testing.T) {
	for operation, of := range map[string]func(*home) args{
		"delete":          func(*home) args { return args{"backup": "Photos"} },
		"change-password": func(h *home) args { return args{"new_password": h.holds("the-new-word")} },
		"import":          func(h *home) args { return args{"file": h.brings("file", exportFile(nil))} },
		"pause":           func(*home) args { return args{"until_resumed": true} },
	} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			m := mayDie(t, "")
			m.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
			id := m.dies(tools.AfterCall, operation, of(m.home))
			for _, fault := range []duplicatitest.Fault{duplicatitest.BadGateway(), {Reset: true}, {Status: http.StatusInternalServerError}} {
				remove := m.nas.Inject(fault)
				if a := m.recovers(id); a.State != tools.StateUnknown {
					t.Errorf("%+v: %s %q", fault, a.State, a.Settlement)
				}
				remove()
			}
			wantSettled(t, m.recovers(id), took)
		})
	}
}

func TestALookThatCannotTellSettlesNothing(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		t.Run("delete, while something of the backup is at work", func(t *testing.T) {
			m := mayDie(t, g)
			id := m.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
			request := m.dies(tools.AfterIntent, "delete", args{"backup": "Photos"})
			m.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
			m.running("Photos")
			if a := m.recovers(request); a.State != tools.StateUnknown {
				t.Errorf("%s %q", a.State, a.Settlement)
			}
			m.nas.Finish()
			eventually(t, func() bool { return m.recovers(request).State == tools.StateSettled })
			wantSettled(t, m.recovers(request), didNot)
		})
		t.Run("delete with remote files, that has failed on the way", func(t *testing.T) {
			m := mayDie(t, g)
			id := m.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
			request := m.dies(tools.AfterIntent, "delete", args{"backup": "Photos", "delete_remote_files": true})
			m.nas.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Fails})
			m.do("run", args{"backup": "Photos", "wait": true})
			if a := m.recovers(request); a.State != tools.StateUnknown {
				t.Errorf("%s %q", a.State, a.Settlement)
			}
		})
		t.Run("import, and the name is another backup's now", func(t *testing.T) {
			m := mayDie(t, g)
			request := m.dies(tools.AfterIntent, "import", args{"file": m.brings("file", exportFile(nil))})
			m.nas.AddBackup(duplicatitest.Backup{Name: "Office", TargetURL: "file:///elsewhere"})
			if a := m.recovers(request); a.State != tools.StateUnknown {
				t.Errorf("%s %q", a.State, a.Settlement)
			}
		})
		t.Run("pause, and it is paused with an end", func(t *testing.T) {
			m := mayDie(t, g)
			request := m.dies(tools.AfterIntent, "pause", args{"until_resumed": true})
			m.do("pause", args{"duration": "1h"})
			if a := m.recovers(request); a.State != tools.StateUnknown {
				t.Errorf("%s %q", a.State, a.Settlement)
			}
		})
		t.Run("change-password, and the new one is gone", func(t *testing.T) {
			m := mayDie(t, g)
			held := m.holds("the-new-word")
			request := m.dies(tools.AfterIntent, "change-password", args{"new_password": held})
			if err := m.home.vault.Drop(context.Background(), strings.TrimPrefix(held, "held:")); err != nil {
				t.Fatal(err)
			}
			if a := m.recovers(request); a.State != tools.StateUnknown {
				t.Errorf("%s %q", a.State, a.Settlement)
			}
		})
	})
}

// The password is set and the bot dies before it is proven and kept: the next
// process proves it, and works with it.
func TestAPasswordThatWasSetAndNotKeptIsKeptByTheSettlement(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		h := atHome(t, duplicatitest.Options{Generation: g})
		h.do("status", nil)
		request := h.asked("change-password", args{"new_password": h.holds("the-new-word")}).Approval.ID
		remove := h.nas.Inject(duplicatitest.Fault{Method: "POST", Prefix: "/api/v1/auth/login", Status: http.StatusBadGateway, Body: "<html>"})
		a, err := h.Decide(toolstest.BobAtTerminal, request, true)
		wantError(t, a, err, tools.UnknownOutcome, "could not be proven", "kept in the keyring and not in use")
		if a.State != tools.StateUnknown {
			t.Errorf("%s", a.State)
		}
		remove()
		wantSettled(t, h.recovers(request), took)
		h.do("logout", nil)
		h.do("status", nil) // the word in the config's file is the old one
		h.do("login", args{"password": h.holds("the-new-word")})
	})
}

func TestALostAnswerIsLookedInto(t *testing.T) {
	lose := func(method, prefix string) duplicatitest.Fault {
		return duplicatitest.Fault{Method: method, Prefix: prefix, Times: 1, LoseReply: true}
	}
	t.Run("change-password", func(t *testing.T) {
		on(t, func(t *testing.T, g string) {
			h := atHome(t, duplicatitest.Options{Generation: g})
			h.do("status", nil)
			request := h.asked("change-password", args{"new_password": h.holds("the-new-word")}).Approval.ID
			h.nas.Inject(lose("PUT", "/api/v1/serversetting/"))
			a, err := h.Decide(toolstest.BobAtTerminal, request, true)
			if err != nil || a.State != tools.StateDone || !strings.Contains(string(a.Result), "answer was lost") {
				t.Fatalf("%s %s %v", a.State, a.Result, err)
			}
			// And where it was not carried out.
			request = h.asked("change-password", args{"new_password": h.holds("a-third-word")}).Approval.ID
			h.nas.Inject(duplicatitest.Fault{Method: "PUT", Prefix: "/api/v1/serversetting/", Times: 1, Reset: true})
			a, err = h.Decide(toolstest.BobAtTerminal, request, true)
			wantError(t, a, err, tools.OperationFailed, "was not changed; the old one still works")
			h.do("login", args{"password": h.holds("the-new-word")})
		})
	})
	t.Run("delete", func(t *testing.T) {
		on(t, func(t *testing.T, g string) {
			b := start(t, duplicatitest.Options{Generation: g})
			b.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
			request := b.asked("delete", args{"backup": "Photos"}).Approval.ID
			b.nas.Inject(lose("DELETE", "/api/v1/backup/"))
			b.Decide(toolstest.BobAtTerminal, request, true)
			eventually(t, func() bool { return b.recovers(request).State == tools.StateSettled })
			wantSettled(t, b.recovers(request), took)
			if n := b.nas.Count("DELETE", "/api/v1/backup/"); n != 1 {
				t.Errorf("it was sent %d times", n)
			}
		})
	})
	t.Run("import", func(t *testing.T) {
		on(t, func(t *testing.T, g string) {
			h := atHome(t, duplicatitest.Options{Generation: g})
			request := h.asked("import", args{"file": h.brings("file", exportFile(nil))}).Approval.ID
			h.nas.Inject(lose("POST", "/api/v1/backups/import"))
			a, err := h.Decide(toolstest.BobAtTerminal, request, true)
			if err != nil && tools.CodeOf(err) != tools.UnknownOutcome {
				t.Fatal(err)
			}
			wantSettled(t, a, took)
		})
	})
	t.Run("issue-forever-token", func(t *testing.T) {
		h := atHome(t, duplicatitest.Options{ForeverTokens: true})
		request := h.asked("issue-forever-token", nil).Approval.ID
		h.nas.Inject(lose("POST", "/api/v1/auth/issue-forever-token"))
		a, err := h.Decide(toolstest.BobAtTerminal, request, true)
		wantError(t, a, err, tools.UnknownOutcome, "may have issued one that nobody has", "restart")
		if a.State != tools.StateUnknown {
			t.Errorf("%s", a.State)
		}
	})
}

// A token that was issued and cannot be kept anywhere is lost, and that is
// said.
func TestATokenThatCannotBeKeptIsSaidToBeLost(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("the keyring's folder is taken away, as root may write into every other")
	}
	h := atHome(t, duplicatitest.Options{ForeverTokens: true})
	request := h.asked("issue-forever-token", nil).Approval.ID
	h.nas.Inject(duplicatitest.Fault{Method: "POST", Prefix: "/api/v1/auth/issue-forever-token", Times: 1, Replace: func(s int, _ http.Header, b []byte) (int, []byte) {
		if err := os.RemoveAll(h.path("ring")); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(h.path("ring"), nil, 0o600); err != nil {
			t.Error(err)
		}
		return s, b
	}})
	a, err := h.Decide(toolstest.BobAtTerminal, request, true)
	e := wantError(t, a, err, tools.OperationFailed, "thrown away", "nobody has it")
	if strings.Contains(e.Error(), "eyJ") {
		t.Errorf("%s", e)
	}
}
