package ops_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

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
