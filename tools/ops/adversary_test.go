package ops_test

import (
	"context"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// meanwhile is done once, after everything was checked for the last time and
// before anything is.
func meanwhile(do func()) toolstest.Option {
	var once sync.Once
	return toolstest.OnStep(func(s tools.Step) {
		if s == tools.AfterIntent {
			once.Do(do)
		}
	})
}

// TestAnExportIsOfTheBackupsThatWereShown: a name means another backup by the
// time the export begins, and "all" means more.
func TestAnExportIsOfTheBackupsThatWereShown(t *testing.T) {
	for name, tc := range map[string]struct {
		asked []string
		then  func(*duplicatitest.Server)
	}{
		"another one has its name": {[]string{"Shown"}, func(s *duplicatitest.Server) {
			s.Inject(duplicatitest.Fault{Method: "GET", Prefix: "/api/v1/backups", Replace: func(status int, _ http.Header, body []byte) (int, []byte) {
				text := strings.ReplaceAll(string(body), `"Name":"Shown"`, `"Name":"Was"`)
				return status, []byte(strings.ReplaceAll(text, `"Name":"Secret"`, `"Name":"Shown"`))
			}})
		}},
		"there are more": {[]string{"all"}, func(s *duplicatitest.Server) {
			s.AddBackup(duplicatitest.Backup{Name: "New", TargetURL: "file:///mnt/new?auth-password=canary-new"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var h *home
			h = atHome(t, duplicatitest.Options{}, meanwhile(func() { tc.then(h.nas) }))
			h.nas.AddBackup(duplicatitest.Backup{Name: "Shown", TargetURL: "file:///mnt/shown"})
			if name != "there are more" {
				h.nas.AddBackup(duplicatitest.Backup{Name: "Secret", TargetURL: "file:///mnt/x?auth-password=canary-secret"})
			}
			a, err := h.agreed("export", args{"backups": tc.asked, "export_passwords": true, "unencrypted": true})
			wantError(t, a, err, tools.Changed, "not the ones that were shown", "nothing was exported")
			files, err := os.ReadDir(h.path("export"))
			if err != nil || len(files) != 0 {
				t.Errorf("written: %v %v", files, err)
			}
			if n := h.nas.Count("GET", "/api/v1/backup/"); n != 0 {
				t.Errorf("%d calls for one backup", n)
			}
		})
	}
}

// TestAnAliasThatChangesIsNotWhatWasShown: the word behind a name is another
// one by the time it is used.
func TestAnAliasThatChangesIsNotWhatWasShown(t *testing.T) {
	change := func(h **home, alias, word string) toolstest.Option {
		return meanwhile(func() {
			if err := os.WriteFile((*h).path(alias), []byte(word), 0o600); err != nil {
				(*h).t.Error(err)
			}
		})
	}
	t.Run("password", func(t *testing.T) {
		var h *home
		h = atHome(t, duplicatitest.Options{}, change(&h, "new-password", "another word"))
		a, err := h.agreed("change-password", args{"new_password": "new-password"})
		wantError(t, a, err, tools.Changed, "not the one that was shown", "nothing was done")
		if n := h.nas.Count("PUT", "/api/v1/serversetting/"); n != 0 {
			t.Errorf("%d passwords were set", n)
		}
	})
	for name, tc := range map[string]struct{ param, alias, word string }{
		"target":     {"backup_url", "new-target", "s3://evil/new?auth-username=u&auth-password=p"},
		"passphrase": {"backup_passphrase", "new-password", "another word"},
	} {
		t.Run(name, func(t *testing.T) {
			var h *home
			h = atHome(t, duplicatitest.Options{}, change(&h, tc.alias, tc.word))
			a, err := h.agreed("import", args{"file": h.brings("file", exportFile(nil)), tc.param: tc.alias})
			wantError(t, a, err, tools.Changed, "not what was shown", "nothing was imported")
			if n := h.nas.Count("POST", "/api/v1/backups/import"); n != 0 {
				t.Errorf("%d imports were sent", n)
			}
		})
	}
}

// TestAnotherRequestTakesNoPasswordAway: while a new password is being proven,
// somebody else asks for another one. It is not that one that is kept.
func TestAnotherRequestTakesNoPasswordAway(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	h.do("status", nil)
	request := h.asked("change-password", args{"new_password": h.holds("the-new-password")}).Approval.ID
	var once sync.Once
	remove := h.nas.Inject(duplicatitest.Fault{Method: "POST", Prefix: "/api/v1/auth/login", Replace: func(status int, _ http.Header, body []byte) (int, []byte) {
		once.Do(func() {
			a, err := h.Runner.Run(context.Background(), tools.Call{Operation: "change-password", Args: args{"new_password": "new-password"}, Caller: toolstest.BobAtTerminal})
			if err != nil || a.Status != tools.Pending {
				t.Errorf("the other request: %+v %v", a, err)
			}
		})
		return status, body
	}})
	defer remove()
	a, err := h.Decide(toolstest.BobAtTerminal, request, true)
	if err != nil || a.State != tools.StateDone || a.View.Tone != tools.Good {
		t.Fatalf("%s %+v %v", a.State, a.View, err)
	}
	h.do("logout", nil)
	h.do("status", nil) // by what is kept: the config's word is the old one
}

// TestALongNameCostsLittle: a name comes from a server, of any length.
func TestALongNameCostsLittle(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	h.nas.AddBackup(duplicatitest.Backup{Name: "Long"})
	h.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	h.nas.Inject(duplicatitest.Fault{Method: "GET", Prefix: "/api/v1/backups", Replace: func(status int, _ http.Header, body []byte) (int, []byte) {
		return status, []byte(strings.Replace(string(body), `"Name":"Long"`, `"Name":"`+strings.Repeat("..é", 1<<19)+`"`, 1))
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		a, err := h.Runner.Run(ctx, tools.Call{Operation: "export", Args: args{"backups": []string{"1"}, "encryption_passphrase": "photos-passphrase"}, Caller: h.ann})
		if err != nil || a.Exit != 0 {
			t.Errorf("export: exit %d, %v", a.Exit, err)
		}
	}()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("the export does not end")
	}
	files, err := os.ReadDir(h.path("export"))
	if err != nil || len(files) != 1 || len(files[0].Name()) > 150 {
		t.Errorf("%v %v", files, err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	e := h.refused("run", args{"backup": "Photo"}, tools.NotFound, `did you mean "Photos"`)
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 200 || len(e.Error()) > 1000 {
		t.Errorf("a wrong name took %d MB, and the error is %d bytes long", took, len(e.Error()))
	}
}

// TestCompletionOffersWhatIsTakenForIt: a name that could mean another backup
// is offered as an ID.
func TestCompletionOffersWhatIsTakenForIt(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	names := []string{"Photos", "photos", "Mail", "Mail", "2", "id:1", "-x", "odd\u202ename", "7"}
	for _, name := range names {
		h.nas.AddBackup(duplicatitest.Backup{Name: name})
	}
	choices, err := h.Runner.Complete(t.Context(), h.ann, "run", "backup", "", "nas")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range choices {
		got = append(got, c.Value)
	}
	if want := "Photos photos 3 4 5 6 id:7 8 9"; strings.Join(got, " ") != want {
		t.Errorf("offered %q, want %q", got, want)
	}
	for i, c := range choices {
		a := h.do("result", args{"backup": c.Value})
		if !strings.Contains(string(a.Result), `"backup_id":"`+strconv.Itoa(i+1)+`"`) {
			t.Errorf("%s is taken for %s", c.Value, a.Result)
		}
	}
}

// TestEachPlanIsBoundToTheAddressOfItsServer: a name can be given to another
// server, by the config or by --hosturl, while a request waits.
func TestEachPlanIsBoundToTheAddressOfItsServer(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	h.nas.AddBackup(duplicatitest.Backup{Name: "Photos", TargetURL: "file:///mnt/photos"})
	h.brings("file", exportFile(nil))
	plans := 0
	each(func(op *tools.Operation, a args) {
		answer, err := h.Run(h.ann, op.Name, a)
		if err != nil || answer.Status != tools.Pending {
			return
		}
		h.Clock.Add(2 * time.Hour) // five an hour
		r, err := h.Desk.Request(t.Context(), answer.Approval.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Plan.Bound("address"); got != h.nas.URL {
			t.Errorf("%s %v is bound to %q, want %q", op.Name, a, got, h.nas.URL)
		}
		plans++
	})
	if plans < 8 {
		t.Errorf("%d plans were looked at", plans)
	}
}

// TestNoAssistantReplacesAnExport: what is in the export folder may be the only
// copy of a configuration, with the passphrase of its backup.
func TestNoAssistantReplacesAnExport(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	h.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	file := h.path("export", "1-Photos.json.aes")
	if err := os.WriteFile(file, []byte("the only copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := h.Run(toolstest.AnnsAssistant, "export", args{"backups": []string{"all"}, "encryption_passphrase": "generate", "overwrite": true})
	if err != nil || a.Status != tools.Pending {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := h.Run(toolstest.AnnsAssistant, "export", args{"backups": []string{"all"}, "encryption_passphrase": "photos-passphrase"}); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "the only copy" {
		t.Errorf("it is %q, %v", data, err)
	}
	done, err := h.Decide(toolstest.BobAtTerminal, a.Approval.ID, true)
	if err != nil || done.State != tools.StateDone || !strings.Contains(strings.Join(done.Plan.Effects, " "), "replaced") {
		t.Errorf("agreed to: %s %v %v", done.State, done.Plan.Effects, err)
	}
}

// TestNoOperatorSaysWhichCertificateIsTrusted: who could, and stands in between,
// would be given the password.
func TestNoOperatorSaysWhichCertificateIsTrusted(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	olaf := tools.Caller{Identity: "uid:1003", Surface: tools.CLI} // operator
	pin := "sha256:" + strings.Repeat("ab", 32)
	a, err := h.Run(olaf, "login", args{"pin": pin})
	wantError(t, a, err, tools.Denied, "for admins and approvers", "nothing was done")
	if n := h.nas.Count("POST", "/api/v1/auth/"); n != 0 {
		t.Errorf("%d logins", n)
	}
	if _, err := h.Run(olaf, "login", nil); err != nil {
		t.Error(err)
	}
	// An approver is told what is wrong with it here.
	h.refused("login", args{"pin": pin}, tools.InvalidArgument, "http", "nothing was done")
}
