package ops_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// hunt looks for secrets in everything that comes out of a bot.
type hunt struct {
	*home
	words map[string]bool
	done  map[string]bool // which operations came to their end
}

// startHunt is a home whose server has secrets everywhere.
func startHunt(t *testing.T, generation string) *hunt {
	t.Helper()
	h := &hunt{words: map[string]bool{}, done: map[string]bool{}, home: atHome(t, duplicatitest.Options{Generation: generation, ForeverTokens: true, TaskTime: 2 * time.Millisecond}, toolstest.WithPages())}
	for _, w := range h.nas.PlantCanaries() {
		h.words[w] = true
	}
	for _, w := range aliases {
		h.words[w] = true
	}
	h.words["canary"] = true
	target := "ftp://canary-user:canary-userinfo@store.example/photos?auth-username=canary-name&auth-password=canary-url"
	message := "cannot log in to " + target + " with --auth-password=canary-url"
	photos := h.nas.AddBackup(duplicatitest.Backup{
		Name: "Photos", Passphrase: "canary-passphrase", TargetURL: target, Every: "1D", Next: time.Now().Add(time.Hour),
		Sources:  []string{"/data/photos/", "@/mail|imap://me:canary-source@mail.example/?auth-password=canary-source"},
		Settings: []string{"--send-mail-password=canary-mail", "--send-http-url=https://hooks.example/canary-hook"},
		Runs: []duplicatitest.Run{{Ago: 3 * time.Hour}, {Ago: 2 * time.Hour, Outcome: duplicatitest.Outcome{Result: duplicatitest.Fails, Message: message}},
			{Ago: time.Hour, Outcome: duplicatitest.Outcome{Result: duplicatitest.Warns, Message: message}}},
	})
	h.nas.SetOutcome(photos, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: message, Exception: "System.Exception: " + message},
		duplicatitest.Outcome{Result: duplicatitest.Errs, Message: message}, duplicatitest.Outcome{Result: duplicatitest.Warns, Message: message})
	h.brings("file", exportFile(nil))
	return h
}

// look fails the test if text holds a secret, as it stands or as encodings
// leave it.
func (h *hunt) look(where string, text []byte) {
	h.t.Helper()
	for w := range h.words {
		for _, form := range []string{w, url.QueryEscape(w), base64.StdEncoding.EncodeToString([]byte(w))} {
			if i := bytes.Index(text, []byte(form)); i >= 0 {
				h.t.Errorf("%s holds %.40q: …%.300s", where, form, text[max(0, i-120):])
				return
			}
		}
	}
}

func (h *hunt) lookAt(where string, v any) {
	h.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		h.t.Fatal(err)
	}
	h.look(where, b)
	h.look(where, fmt.Appendf(nil, "%+v %#v", v, v))
}

// tokens adds what the requests so far carried: access tokens, cookies,
// nonces, passwords.
func (h *hunt) tokens() {
	for _, r := range h.nas.Requests() {
		if b, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			h.words[b] = true
		}
		if _, c, ok := strings.Cut(r.Header.Get("Cookie"), "="); ok {
			h.words[c] = true
		}
		var body struct{ Nonce, Password string }
		if json.Unmarshal([]byte(r.Body), &body) == nil {
			for _, w := range []string{body.Nonce, body.Password} {
				if len(w) > 8 {
					h.words[w] = true
				}
			}
		}
	}
}

// call makes a call, and has it agreed to, and looks at all that comes of it.
func (h *hunt) call(c tools.Caller, op *tools.Operation, a args) {
	h.t.Helper()
	where := fmt.Sprintf("%s %v by %s", op.Name, a, c.Surface)
	progress := func(p tools.Progress) { h.lookAt("progress of "+where, p) }
	answer, err := h.Runner.Run(context.Background(), tools.Call{Operation: op.Name, Args: a, Caller: c, Progress: progress, Reason: "to try it"})
	h.lookAt("the answer to "+where, answer)
	h.fails(where, err)
	if err != nil || answer.Status != tools.Pending {
		h.done[op.Name] = h.done[op.Name] || err == nil
		return
	}
	id := answer.Approval.ID
	for range 3 { // what is to be entered on pages
		request, err := h.Desk.Request(context.Background(), id)
		if err != nil {
			h.t.Fatal(err)
		}
		h.lookAt("the request of "+where, request)
		if request.State != tools.StateInput {
			break
		}
		h.words["entered-"+request.Needs[0]] = true
		_, err = h.Desk.Provide(context.Background(), id, request.Needs[0], secret.New("entered-"+request.Needs[0]))
		h.fails(where, err)
	}
	request, err := h.Desk.Decide(context.Background(), tools.Decision{ID: id, Caller: toolstest.BobAtTerminal, Yes: true, Phrase: phraseFor(h, id), Progress: progress})
	h.lookAt("the outcome of "+where, request)
	h.fails("the outcome of "+where, err)
	h.done[op.Name] = h.done[op.Name] || request.State == tools.StateDone
	followed, err := h.Run(c, "approval", args{"id": id})
	h.lookAt("approval of "+where, followed)
	h.fails("approval of "+where, err)
}

func phraseFor(h *hunt, id string) string {
	a, err := h.Desk.Request(context.Background(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return a.Plan.Phrase
}

// fails looks at an error, and at what it wraps as the log would.
func (h *hunt) fails(where string, err error) {
	if err == nil {
		return
	}
	h.look("the error of "+where, []byte(err.Error()))
	h.look("the error of "+where, fmt.Appendf(nil, "%+v %#v", err, err))
}

// files looks through whatever the bot has on disk, but for what is to hold
// secrets: the words that tests put there themselves.
func (h *hunt) files() {
	h.t.Helper()
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(h.dir, path)
		if name == "password" || aliases[name] != "" || filepath.Dir(name) == "import" || filepath.Ext(name) == ".json" { // an export in clear keeps user names
			return nil
		}
		data, err := os.ReadFile(path)
		h.look("the file "+name, data)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	folder := filepath.Dir(h.Path)
	entries, err := os.ReadDir(folder)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			data, err := os.ReadFile(filepath.Join(folder, e.Name()))
			if err != nil {
				h.t.Fatal(err)
			}
			h.look("the store's "+e.Name(), data)
		}
	}
}

// Whatever operation is called, by whom and on which server: no answer, view,
// card, progress, error, log line, audit record or file of the bot holds a
// secret of the server's, of the people's or of its own.
func TestNoOperationLetsASecretOut(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		h := startHunt(t, g)
		h.do("login", nil)
		h.tokens()
		callers := []tools.Caller{h.ann, toolstest.AnnsAssistant, toolstest.AnnInSlack}
		each(func(op *tools.Operation, a args) {
			if op.Name == "delete" || op.Name == "logout" {
				return // at the end
			}
			for _, c := range callers {
				h.call(c, op, a)
			}
			h.Clock.Add(2 * time.Hour) // only so many may be asked for within an hour
		})
		for _, a := range []args{
			{"file": "file", "name": "New"}, {"file": "file", "name": "New too", "backup_url": "new-target", "backup_passphrase": "photos-passphrase"},
			{"file": h.holds("{}")}, {"file": h.brings("damaged", exportFile(nil)[:400])},
			{"file": h.brings("sealed", sealed(t, exportFile(nil), "canary-word")), "passphrase": h.holds("not the canary word")},
		} {
			h.call(h.ann, h.operation("import"), a)
		}
		h.Clock.Add(2 * time.Hour)
		for _, name := range []string{"delete", "logout"} {
			for _, a := range samples[name] {
				h.call(h.ann, h.operation(name), a)
			}
		}
		h.tokens()
		h.everywhere()
		if h.log.String() == "" {
			t.Error("nothing was logged")
		}
		for _, op := range all() {
			if !h.done[op.Name] {
				t.Errorf("%s never came to its end, so that this proves nothing of it", op.Name)
			}
		}
	})
}

func (h *hunt) operation(name string) *tools.Operation {
	h.t.Helper()
	op, err := h.Registry.Lookup(name)
	if err != nil {
		h.t.Fatal(err)
	}
	return op
}

// everywhere looks at what is left behind.
func (h *hunt) everywhere() {
	h.t.Helper()
	h.lookAt("the audit log", h.Records(h.t))
	h.lookAt("what was notified", h.Heard.All())
	requests, err := h.Desk.Requests(context.Background(), tools.Filter{Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	h.lookAt("the requests", requests)
	h.look("the log", []byte(h.log.String()))
	h.files()
}

// The same with a server, or something in its place, that puts secrets into
// its errors.
func TestNoErrorLetsASecretOut(t *testing.T) {
	leak := "cannot log in to ftp://u:canary-error@host/x?auth-password=canary-error with --auth-password=canary-error"
	for name, fault := range map[string]duplicatitest.Fault{
		"Duplicati's error":    answers(http.StatusInternalServerError, "application/json", `{"Error":"`+leak+`","Code":500}`),
		"Duplicati's refusal":  answers(http.StatusBadRequest, "application/json", `{"Error":"`+leak+`","Code":400,"HelpId":"Help"}`),
		"a failed delete":      answers(http.StatusInternalServerError, "application/json", `{"Status":"error","Reason":"`+leak+`","ID":null}`),
		"a page":               {Status: http.StatusBadGateway, Body: "<html>" + leak},
		"a text":               answers(http.StatusServiceUnavailable, "text/plain", leak),
		"a challenge":          {Status: http.StatusUnauthorized, Header: http.Header{"Www-Authenticate": {`Basic realm="nas"`}}},
		"a redirect":           {Status: http.StatusFound, Header: http.Header{"Location": {"https://u:canary-error@sso.example/login?token=canary-error"}}},
		"JSON of another kind": answers(http.StatusOK, "application/json", `{"key":"`+leak+`"}`),
		"cut JSON":             answers(http.StatusOK, "application/json", `[{"Backup":{"TargetURL":"`+leak),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startHunt(t, "")
			h.do("login", nil)
			remove := h.nas.Inject(fault)
			each(func(op *tools.Operation, a args) {
				if op.Name != "run" && op.Name != "wait" { // which wait for a server that is away
					h.call(h.ann, op, a)
				}
			})
			remove()
			h.tokens()
			h.everywhere()
		})
	}
}

// A secret that somebody types where none belongs is refused, and is nowhere.
func TestASecretTypedByMistakeIsNowhere(t *testing.T) {
	h := startHunt(t, "")
	h.words["hunter2"] = true
	for _, c := range []tools.Caller{h.ann, toolstest.AnnsAssistant, toolstest.AnnInSlack} {
		for _, op := range all() {
			for _, p := range op.Params {
				if !p.Secret {
					continue
				}
				for _, text := range []string{"hunter2", "https://u:hunter2@host/x", "env:hunter2 hunter2"} {
					a := args{}
					for k, v := range samples[op.Name][0] {
						a[k] = v
					}
					a[p.Name] = text
					where := fmt.Sprintf("%s with %s", op.Name, p.Name)
					answer, err := h.Run(c, op.Name, a)
					if err == nil {
						t.Errorf("%s by %s: %s", where, c.Surface, answer.Status)
					} else if strings.Contains(err.Error(), "hunter2") {
						t.Errorf("%s by %s: %v", where, c.Surface, err)
					}
				}
			}
		}
	}
	h.everywhere()
}
