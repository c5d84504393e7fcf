package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/web"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

const canary = "page-canary-77"

func TestAWordIsEnteredOnce(t *testing.T) {
	r := newRig(t, nil)
	a := r.waiting()
	opened := r.enter(a)
	for range 3 { // a preview, a scanner, the person
		get(t, opened.Link).wants(t, http.StatusOK, "Enter a secret", "ann", "nas", "Set word", "an assistant that calls itself test-client/1", a.ID, "about 10 minutes", "The new word.")
	}
	head, _ := http.NewRequestWithContext(t.Context(), http.MethodHead, opened.Link, nil)
	if res := do(t, head); res.status != http.StatusOK {
		t.Errorf("HEAD: %d", res.status)
	}
	if got := r.request(a.ID); got.State != tools.StateInput {
		t.Fatalf("looking at the page made the request %s", got.State)
	}
	post(t, opened.Link, word(opened.Code.Reveal(), canary)).wants(t, http.StatusOK, "Thank you", "somebody else has to agree")
	if got := r.request(a.ID); got.State != tools.StatePending {
		t.Fatalf("the request is %s", got.State)
	}
	post(t, opened.Link, word(opened.Code.Reveal(), "second")).wants(t, http.StatusGone, "used already", "tell an admin")
	get(t, opened.Link).wants(t, http.StatusGone, "used already")
	if _, err := r.Decide(toolstest.BobInSlack, a.ID, true); err != nil {
		t.Fatal(err)
	}
	if did := r.World.Did(); len(did) != 1 || did[0] != fmt.Sprintf("set-word of %d letters nas 1", len(canary)) {
		t.Errorf("did %v", did)
	}
	r.hasNowhere(canary, opened.Code.Reveal(), opened.Link[strings.LastIndex(opened.Link, "/")+1:])
}

// hasNowhere looks for words in the log, the audit log and the store's files.
func (r *rig) hasNowhere(words ...string) {
	r.t.Helper()
	places := map[string]string{"the page's log": r.log.String(), "the audit log": fmt.Sprint(r.Records(r.t))}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(r.Path), "*"))
	if err != nil || len(files) == 0 {
		r.t.Fatalf("no store: %v", err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			places[f] = string(b)
		}
	}
	for place, content := range places {
		for _, w := range words {
			for _, form := range []string{w, strings.ReplaceAll(w, "-", "")} {
				if strings.Contains(content, form) {
					r.t.Errorf("%s holds %q", place, w)
				}
			}
		}
	}
}

func TestTheLinkOfAnAssistantIsNotEnough(t *testing.T) {
	r := newRig(t, nil)
	a := r.waiting()
	link, ok := r.web.Link(a.ID)
	if !ok || !strings.HasSuffix(link, "/r/"+a.ID) {
		t.Fatalf("link %q %v", link, ok)
	}
	get(t, link).wants(t, http.StatusNotFound, "no page open", "duplibot code")
	get(t, strings.Replace(link, a.ID, "a-nobodys-request", 1)).wants(t, http.StatusNotFound, "no page open")

	for _, person := range []string{"bob", "", "vera"} {
		if _, err := r.web.Code(t.Context(), person, a.ID); tools.CodeOf(err) != tools.Denied {
			t.Errorf("%q got a code: %v", person, err)
		}
	}
	code, err := r.web.Code(t.Context(), "ann", a.ID)
	if err != nil {
		t.Fatal(err)
	}
	page := get(t, link)
	page.wants(t, http.StatusOK, "ann", "Set word")
	if strings.Contains(page.body, "alias") {
		t.Errorf("the page speaks of other ways to give it:\n%s", page.body)
	}
	to := action(t, link, page.body)
	post(t, to, word("BBBB-BBBB", canary)).wants(t, http.StatusForbidden, "The code is wrong", "tries left: 4")
	post(t, to, word("", canary)).wants(t, http.StatusUnprocessableEntity, "Enter the code.")
	if got := r.request(a.ID); got.State != tools.StateInput {
		t.Fatalf("without the code it became %s", got.State)
	}
	again, err := r.web.Code(t.Context(), "ann", a.ID)
	if err != nil {
		t.Fatal(err)
	}
	post(t, to, word(code.Reveal(), canary)).wants(t, http.StatusGone, "has expired")
	to = action(t, link, get(t, link).body)
	post(t, to, word(strings.ToLower(" "+strings.ReplaceAll(again.Reveal(), "-", " ")+" "), canary)).wants(t, http.StatusOK, "Thank you")
	if got := r.request(a.ID); got.State != tools.StatePending {
		t.Errorf("the request is %s", got.State)
	}
	get(t, link).wants(t, http.StatusGone, "used already")
}

func TestWrongCodesCloseAPage(t *testing.T) {
	r := newRig(t, nil)
	a := r.waiting()
	opened := r.enter(a)
	for i := range 5 {
		post(t, opened.Link, word("BCDF-GHJK", canary)).wants(t, http.StatusForbidden, fmt.Sprintf("tries left: %d", 4-i))
	}
	post(t, opened.Link, word(opened.Code.Reveal(), canary)).wants(t, http.StatusGone, "too often")
	get(t, opened.Link).wants(t, http.StatusGone, "too often")
	if got := r.request(a.ID); got.State != tools.StateInput {
		t.Errorf("the request is %s", got.State)
	}
}

func TestForgedForeignAndLatePages(t *testing.T) {
	r := newRig(t, nil)
	a := r.waiting()
	opened := r.enter(a)
	forged := opened.Link[:len(opened.Link)-1] + "0"
	for _, link := range []string{forged, opened.Link + "x", opened.Link[:strings.LastIndex(opened.Link, "/")] + "/", opened.Link + "/../../p/x"} {
		res := get(t, link)
		if res.status != http.StatusNotFound || strings.Contains(res.body, "ann") {
			t.Errorf("%s: %d\n%s", link, res.status, res.body)
		}
		if res := post(t, link, word(opened.Code.Reveal(), canary)); res.status == http.StatusOK {
			t.Errorf("%s took it", link)
		}
	}
	// The code of another request's page opens nothing here.
	other := r.enter(r.ask(toolstest.AnnsAssistant, "set-word", map[string]any{"thing": "2", "word": "page"}))
	post(t, opened.Link, word(other.Code.Reveal(), canary)).wants(t, http.StatusForbidden, "The code is wrong")
	pageID := func(link string) string { l, _ := r.web.Link(a.ID); return action(t, l, get(t, l).body) }
	foreign := strings.Replace(pageID(opened.Link), a.ID, "a222222222222", 1)
	get(t, foreign).wants(t, http.StatusNotFound, "no page open")

	r.Clock.Add(10*time.Minute + time.Second)
	get(t, opened.Link).wants(t, http.StatusGone, "has expired", "nothing was changed")
	post(t, opened.Link, word(opened.Code.Reveal(), canary)).wants(t, http.StatusGone, "has expired")
	if got := r.request(a.ID); got.State == tools.StatePending {
		t.Errorf("the request is %s", got.State)
	}
}

func TestARequestThatIsOverTakesNothing(t *testing.T) {
	r := newRig(t, nil)
	a := r.waiting()
	opened := r.enter(a)
	if _, err := r.Desk.Withdraw(t.Context(), a.ID, toolstest.AnnInSlack); err != nil {
		t.Fatal(err)
	}
	get(t, opened.Link).wants(t, http.StatusGone, "it is withdrawn; nothing was changed")
	post(t, opened.Link, word(opened.Code.Reveal(), canary)).wants(t, http.StatusGone, "it is withdrawn")
	if _, err := r.web.Enter(t.Context(), r.request(a.ID)); tools.CodeOf(err) != tools.AlreadyDecided {
		t.Errorf("a page was opened: %v", err)
	}
	if _, err := r.web.Code(t.Context(), "ann", a.ID); tools.CodeOf(err) != tools.NotFound {
		t.Errorf("a code was made: %v", err)
	}
}

func TestOnePostOfManyWins(t *testing.T) {
	r := newRig(t, nil)
	a := r.waiting()
	opened := r.enter(a)
	var wg sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		req := formOf(t, opened.Link, word(opened.Code.Reveal(), canary))
		wg.Go(func() {
			if res, err := client.Do(req); err == nil {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				statuses[i] = res.StatusCode
			}
		})
	}
	wg.Wait()
	won := 0
	for _, s := range statuses {
		switch s {
		case http.StatusOK:
			won++
		case http.StatusGone:
		default:
			t.Errorf("status %d", s)
		}
	}
	if won != 1 {
		t.Errorf("%d posts won: %v", won, statuses)
	}
}

func TestMistypingUsesNothingUp(t *testing.T) {
	r := newRig(t, nil)
	a := r.waiting()
	opened := r.enter(a)
	code := opened.Code.Reveal()
	post(t, opened.Link, map[string]string{"code": code, "give.word": canary, "give.word.again": canary + "x"}).wants(t, http.StatusUnprocessableEntity, "The two are not the same", `aria-invalid="true"`)
	post(t, opened.Link, map[string]string{"code": code}).wants(t, http.StatusUnprocessableEntity, "This is empty.")
	post(t, opened.Link, word(code, "file:a file in the place of a word")).wants(t, http.StatusUnprocessableEntity, "This is empty.")
	post(t, opened.Link, word(code, strings.Repeat("x", 5000))).wants(t, http.StatusUnprocessableEntity, "too large", "a password 4 KiB")
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, opened.Link, strings.NewReader("code="+code))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	do(t, req).wants(t, http.StatusUnprocessableEntity, "could not be read")
	if res := post(t, opened.Link, word(code, "  "+canary+"  ")); res.status != http.StatusOK || strings.Contains(res.body, canary) {
		t.Errorf("%d\n%s", res.status, res.body)
	}
	if got := r.request(a.ID); got.State != tools.StatePending {
		t.Errorf("the request is %s", got.State)
	}
}

func TestAFileIsGiven(t *testing.T) {
	r := newRig(t, nil)
	a := r.ask(toolstest.AnnInSlack, "bring", map[string]any{"file": "page"})
	opened := r.enter(a)
	code := opened.Code.Reveal()
	get(t, opened.Link).wants(t, http.StatusOK, "Give a file", `type="file"`, "Slack")
	for what, sent := range map[string]map[string]string{
		"an empty file":    {"code": code, "give.file": "file:"},
		"no file":          {"code": code},
		"a word":           {"code": code, "give.file": "no file"},
		"a file elsewhere": {"code": code, "give.other": "file:content"},
	} {
		if res := post(t, opened.Link, sent); res.status != http.StatusUnprocessableEntity || !strings.Contains(res.body, "Choose a file that is not empty.") {
			t.Errorf("%s: %d\n%s", what, res.status, res.body)
		}
	}
	post(t, opened.Link, map[string]string{"code": code, "give.file": "file:" + strings.Repeat("x", web.MaxSecret+1)}).wants(t, http.StatusUnprocessableEntity, "too large", "16 MiB")
	content := strings.Repeat("y", web.MaxSecret)
	post(t, opened.Link, map[string]string{"code": code, "give.file": "file:" + content}).wants(t, http.StatusOK, "Thank you")
	if _, err := r.Decide(toolstest.BobInSlack, a.ID, true); err != nil {
		t.Fatal(err)
	}
	if did := r.World.Did(); len(did) != 1 || did[0] != fmt.Sprintf("bring %d bytes nas", web.MaxSecret) {
		t.Errorf("did %v", did)
	}
}

// twice needs a file and the word that opens it, which it checks when it plans.
func twice() tools.Operation {
	type in struct {
		File tools.File   `json:"file" jsonschema:"The file"`
		Word tools.Secret `json:"passphrase" jsonschema:"What opens the file"`
		tools.OnServer
	}
	return tools.Define(tools.Spec{Name: "open-file", Summary: "Open a file", Group: "things", Toolset: "core", Risk: tools.Critical},
		tools.Handler[in, toolstest.Outcome]{
			Plan: func(ctx context.Context, env tools.Env, in in) (tools.Plan, error) {
				if w, err := env.Secret(ctx, in.Word); err != nil || w.Reveal() != canary {
					return tools.Plan{}, errors.Join(err, tools.Errorf(tools.WrongPassphrase, "the passphrase does not open the file; nothing was done").Retryable())
				}
				return tools.Plan{Target: tools.Target{Server: env.Server, Kind: "server", Name: env.Server}, Effects: []string{"it is open"}}, nil
			},
			Do: func(context.Context, tools.Env, in) (toolstest.Outcome, error) {
				return toolstest.Outcome{Done: "it"}, nil
			},
			View: func(toolstest.Outcome) tools.View { return tools.View{Headline: "opened"} },
		})
}

func TestAWrongPassphraseCanBeEnteredAgain(t *testing.T) {
	r := newRig(t, nil, toolstest.WithOperations(twice()))
	a := r.ask(toolstest.AnnsAssistant, "open-file", map[string]any{"file": "page", "passphrase": "page"})
	code, err := r.web.Code(t.Context(), "ann", a.ID)
	if err != nil {
		t.Fatal(err)
	}
	link, _ := r.web.Link(a.ID)
	page := get(t, link)
	page.wants(t, http.StatusOK, "Open file")
	first := action(t, link, page.body)
	sent := map[string]string{"code": code.Reveal(), "give.file": "file:content", "give.passphrase": "wrong", "give.passphrase.again": "wrong"}
	res := post(t, first, sent)
	res.wants(t, http.StatusUnprocessableEntity, "The passphrase does not open the file", "Passphrase")
	if strings.Contains(res.body, `type="file"`) {
		t.Error("the file is asked for again")
	}
	post(t, first, sent).wants(t, http.StatusGone, "used already")
	second := action(t, first, res.body)
	if second == first {
		t.Fatal("the page was used twice")
	}
	post(t, second, map[string]string{"code": "BCDF-GHJK", "give.passphrase": canary, "give.passphrase.again": canary}).wants(t, http.StatusForbidden, "The code is wrong")
	post(t, second, map[string]string{"code": code.Reveal(), "give.passphrase": canary, "give.passphrase.again": canary}).wants(t, http.StatusOK, "Thank you")
	if got := r.request(a.ID); got.State != tools.StatePending {
		t.Errorf("the request is %s", got.State)
	}
}

func TestATokenIsReadOnce(t *testing.T) {
	r := newRig(t, nil)
	a := r.kept()
	link, _ := r.web.Link(a.ID)
	code, err := r.web.Code(t.Context(), "ann", a.ID)
	if err != nil {
		t.Fatal(err)
	}
	page := get(t, link)
	page.wants(t, http.StatusOK, "Read it once", "Make token", "ann")
	if strings.Contains(page.body, "generated-canary") {
		t.Fatal("looking shows it")
	}
	to := action(t, link, page.body)
	post(t, to, map[string]string{"code": "BCDF-GHJK"}).wants(t, http.StatusForbidden, "The code is wrong")

	t.Run("a page that expires destroys nothing", func(t *testing.T) {
		r.Clock.Add(11 * time.Minute)
		post(t, to, map[string]string{"code": code.Reveal()}).wants(t, http.StatusGone, "has expired")
		if code, err = r.web.Code(t.Context(), "ann", a.ID); err != nil {
			t.Fatal(err)
		}
		to = action(t, link, get(t, link).body)
	})
	res := post(t, to, map[string]string{"code": code.Reveal()})
	res.wants(t, http.StatusOK, "generated-canary-", "shown this once")
	if cache := res.header.Get("Cache-Control"); cache != "no-store" {
		t.Errorf("Cache-Control %q", cache)
	}
	if res = post(t, to, map[string]string{"code": code.Reveal()}); res.status != http.StatusGone || strings.Contains(res.body, "generated-canary") {
		t.Errorf("%d\n%s", res.status, res.body)
	}
	opened, err := r.web.Show(t.Context(), a.Caller, a.Kept[0].Handle)
	if err != nil {
		t.Fatal(err)
	}
	post(t, opened.Link, map[string]string{"code": opened.Code.Reveal()}).wants(t, http.StatusGone, "was read already")
	r.hasNowhere("generated-canary-1", code.Reveal())
}

// desk is a gate's desk, but for what a test gives out in its place.
type desk struct {
	web.Desk
	fetch func() (secret.Value, error)
}

func (d desk) Fetch(context.Context, tools.Caller, string) (secret.Value, error) { return d.fetch() }

func TestWhatCannotBeReadNowIsNotLost(t *testing.T) {
	locked, content := true, "a\x00binary"
	r := newRig(t, func(o *web.Options) {
		o.Desk = desk{o.Desk, func() (secret.Value, error) {
			if locked {
				return secret.Value{}, tools.Errorf(tools.Unavailable, "the keyring is locked").Retryable()
			}
			return secret.New(content), nil
		}}
	})
	opened, err := r.web.Show(t.Context(), toolstest.AnnInSlack, "handle")
	get(t, opened.Link).wants(t, http.StatusOK, "slack:T0001/U0ANN")
	if err != nil {
		t.Fatal(err)
	}
	res := post(t, opened.Link, map[string]string{"code": opened.Code.Reveal()})
	res.wants(t, http.StatusServiceUnavailable, "The keyring is locked", "Show it")
	locked = false
	res = post(t, action(t, opened.Link, res.body), map[string]string{"code": opened.Code.Reveal()})
	res.wants(t, http.StatusOK)
	if res.body != content || res.header.Get("Content-Type") != "application/octet-stream" || res.header.Get("Content-Disposition") != "attachment; filename=duplibot-export.bin" {
		t.Errorf("%q %v", res.body, res.header)
	}
}

func TestWhatIsEnteredRunsAtOnceWhereNobodyMustAgree(t *testing.T) {
	type in struct {
		Word tools.Secret `json:"word" jsonschema:"The word"`
		tools.OnServer
	}
	op := tools.Define(tools.Spec{Name: "say", Summary: "Say a word", Group: "things", Toolset: "core", Risk: tools.Change},
		tools.Handler[in, toolstest.Outcome]{
			Do:   func(context.Context, tools.Env, in) (toolstest.Outcome, error) { return toolstest.Outcome{}, nil },
			View: func(toolstest.Outcome) tools.View { return tools.View{Headline: "<b>said</b>\u202e"} },
		})
	r := newRig(t, nil, toolstest.WithOperations(op))
	a := r.ask(toolstest.AnnsAssistant, "say", map[string]any{"word": "page"})
	opened := r.enter(a)
	res := post(t, opened.Link, word(opened.Code.Reveal(), canary))
	res.wants(t, http.StatusOK, "It is done: &lt;b&gt;said&lt;/b&gt;.")
	if strings.Contains(res.body, "\u202e") {
		t.Error("an invisible letter came through")
	}
}

func TestPagesOutliveARestart(t *testing.T) {
	r := newRig(t, nil)
	opened := r.enter(r.waiting())
	r.restart()
	post(t, opened.Link, word(opened.Code.Reveal(), canary)).wants(t, http.StatusOK, "Thank you")
}

func hostOf(s *web.Server) string {
	link, _ := s.Link("a222222222222")
	return strings.Split(link, "/")[2]
}

func TestOnlyHashesAreStored(t *testing.T) {
	r := newRig(t, nil)
	a := r.waiting()
	opened := r.enter(a)
	list, err := r.DB.Pages.Of(t.Context(), a.ID)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	stored := fmt.Sprintf("%+v", list[0])
	code := opened.Code.Reveal()
	for _, w := range []string{code, strings.ReplaceAll(code, "-", ""), opened.Link[strings.LastIndex(opened.Link, "/")+1:]} {
		if strings.Contains(stored, w) {
			t.Errorf("stored %s", stored)
		}
	}
	if len(list[0].Link) != 64 || len(list[0].Code) != 64 || list[0].Person != "ann" {
		t.Errorf("stored %s", stored)
	}
	if fmt.Sprint(opened) == "" || bytes.Contains([]byte(fmt.Sprintf("%+v", opened)), []byte(code)) {
		t.Error("a code prints itself")
	}
}
