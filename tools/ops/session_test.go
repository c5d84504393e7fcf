package ops_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

const passwordItem = ".password"

// stored lists what the keyring has for the server.
func (h *home) stored() []string {
	h.t.Helper()
	keys, err := h.ring.List(context.Background(), "server")
	if err != nil {
		h.t.Fatal(err)
	}
	return keys
}

// bearer is the token that the newest request carried.
func (h *home) bearer() string {
	bearer := ""
	for _, r := range h.nas.Requests() {
		if b, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			bearer = b
		}
	}
	return bearer
}

// opens reports what the server answers to a token.
func (h *home) opens(bearer string) int {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.nas.URL+"/api/v1/serverstate", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func TestALoginIsKeptAndALogoutIsProven(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		h := atHome(t, duplicatitest.Options{Generation: g})
		a := h.do("login", args{"password": h.holds(password)})
		has(t, a.Result, `"by":"password"`, `"generation":"`+g+`"`, `"version":"`, `"stored":"keyring`)
		if len(h.stored()) != 1 {
			t.Errorf("the keyring has %v", h.stored())
		}
		h.do("status", nil)
		if n := h.nas.Count("POST", "/api/v1/auth/login"); n != 1 {
			t.Errorf("%d logins", n)
		}
		bearer := h.bearer()
		if h.opens(bearer) != http.StatusOK {
			t.Fatal("the token does not work before the logout")
		}

		a = h.do("logout", nil)
		has(t, a.Result, `"had_session":true`, `"proven_refused":true`)
		if !strings.Contains(a.View.Headline, "the old token is refused") || a.View.Tone != tools.Good {
			t.Errorf("%s %s", a.View.Tone, a.View.Headline)
		}
		if status := h.opens(bearer); status == http.StatusOK {
			t.Error("the server still takes the old token")
		}
		if g != "2.1" {
			nonce := false
			for _, r := range h.nas.Requests() {
				nonce = nonce || strings.HasSuffix(r.Path, "/auth/refresh/logout") && strings.Contains(r.Body, `"Nonce":"`)
			}
			if !nonce {
				t.Error("the logout carried no nonce")
			}
		}
		a = h.do("logout", nil)
		has(t, a.Result, `"had_session":false`)
		if a.View.Tone == tools.Good {
			t.Errorf("nothing was ended: %s", a.View.Headline)
		}
	})
}

func TestALogoutThatTheServerDoesNotHearIsNotCalledProven(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		h := atHome(t, duplicatitest.Options{Generation: g})
		h.do("login", nil)
		bearer := h.bearer()
		remove := h.nas.Inject(duplicatitest.Fault{Method: "POST", Prefix: "/api/v1/auth/refresh/logout", Status: http.StatusOK,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"success":true}`})
		a := h.do("logout", nil)
		remove()
		has(t, a.Result, `"had_session":true`, `"proven_refused":false`)
		if a.View.Tone != tools.Warning || !strings.Contains(strings.Join(a.View.Notes, " "), "webservice-reset-jwt-config") {
			t.Errorf("%s: %s %v", a.View.Tone, a.View.Headline, a.View.Notes)
		}
		if h.opens(bearer) != http.StatusOK {
			t.Error("the test proves nothing: the session has ended")
		}
	})
}

func TestALoginTakesAReferenceAnAliasOrWhatTheConfigNames(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	for _, given := range []args{nil, {"password": "file:" + h.path("password")}} {
		h.do("login", given)
	}
	// An alias that is another server's word is refused by that server.
	h.refused("login", args{"password": "photos-passphrase"}, tools.NotLoggedIn)
	h.refused("login", args{"password": h.holds("not the password")}, tools.NotLoggedIn)
	e := h.refused("login", args{"password": "hunter2"}, tools.NotFound)
	if strings.Contains(e.Error(), "hunter2") {
		t.Errorf("the word is repeated: %s", e)
	}
	h.do("status", nil) // the session from before is still there
	_, err := h.Run(toolstest.AnnsAssistant, "login", args{"password": "file:" + h.path("password")})
	wantError(t, nil, err, tools.InvalidArgument, "cannot be referred to from here")
}

// The whole way: asked by an assistant, entered on a page, agreed to by
// another person, set, proven, kept, and used from then on.
func TestAPasswordIsChangedFromEndToEnd(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		h := atHome(t, duplicatitest.Options{Generation: g}, toolstest.WithPages())
		h.do("status", nil)
		granted := h.around() // somebody else's session
		token, err := granted.Access(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		answer, err := h.Run(toolstest.AnnsAssistant, "change-password", nil)
		if err != nil || answer.Status != tools.Pending || answer.Approval.State != tools.StateInput {
			t.Fatalf("%+v %v", answer, err)
		}
		id := answer.Approval.ID
		if _, err := h.Decide(toolstest.BobAtTerminal, id, true); tools.CodeOf(err) != tools.SecretNeeded {
			t.Fatalf("agreed to before the password was entered: %v", err)
		}
		const word = "entered-canary-word"
		a, err := h.Desk.Provide(context.Background(), id, "new_password", secret.New(word))
		if err != nil || a.State != tools.StatePending {
			t.Fatalf("%s %v", a.State, err)
		}
		effects := strings.Join(a.Plan.Effects, " ")
		if !strings.Contains(effects, "has chosen the new one and knows it") || !strings.Contains(effects, "stay valid") || !strings.Contains(effects, "--webservice-reset-jwt-config=true") {
			t.Errorf("effects: %s", effects)
		}
		if _, err := h.Decide(toolstest.AnnAtTerminal, id, true); tools.CodeOf(err) != tools.Denied {
			t.Fatalf("she agreed to her own request: %v", err)
		}
		a, err = h.Decide(toolstest.BobAtTerminal, id, true)
		if err != nil || a.State != tools.StateDone {
			t.Fatalf("%s %v", a.State, err)
		}
		has(t, a.Result, `"changed":true`, `"proven":true`, `"kept":"keyring item`, passwordItem, `"overrides":"file:`, "stay valid", "--webservice-reset-jwt-config=true")
		var kept []string
		for _, f := range a.View.Facts {
			kept = append(kept, f.Name+" "+f.Value)
		}
		if words := strings.Join(kept, "; "); !strings.Contains(words, "Kept in keyring item") || !strings.Contains(words, "Comes before file:") {
			t.Errorf("it does not say which counts: %s", words)
		}

		// The word in the file is the old one. Only the keyring's opens it now,
		// from a session that has to begin anew.
		h.do("logout", nil)
		h.do("status", nil)
		logins := h.nas.Count("POST", "/api/v1/auth/login")
		if logins < 3 { // the first, the proof, the session's own
			t.Errorf("%d logins", logins)
		}
		h.refused("login", args{"password": h.holds(password)}, tools.NotLoggedIn)
		h.do("login", args{"password": h.holds(word)})
		// As it says: what was granted before stays valid, until the restart
		// that it names.
		if h.opens(token.Reveal()) != http.StatusOK {
			t.Error("a session of before has ended")
		}
		h.nas.Restart(duplicatitest.RestartOptions{ResetKeys: true})
		if h.opens(token.Reveal()) == http.StatusOK {
			t.Error("the session of before has survived the restart")
		}
		h.do("status", nil)
		if data, err := json.Marshal(h.Records(t)); err != nil || strings.Contains(string(data), word) {
			t.Errorf("the records hold it, or cannot be read: %v", err)
		}
	})
}

func TestAGeneratedPasswordIsShownToItsRequesterOnce(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	a, err := h.agreed("change-password", args{"new_password": "generate"})
	if err != nil || a.State != tools.StateDone || len(a.Kept) != 1 {
		t.Fatalf("%s %+v %v", a.State, a.Kept, err)
	}
	if effects := strings.Join(a.Plan.Effects, " "); !strings.Contains(effects, "the one who asks is shown the new one") {
		t.Errorf("effects: %s", effects)
	}
	ctx := context.Background()
	if _, err := h.Desk.Fetch(ctx, toolstest.BobAtTerminal, a.Kept[0].Handle); err == nil {
		t.Error("Bob got what was kept for Ann")
	}
	word, err := h.Desk.Fetch(ctx, h.ann, a.Kept[0].Handle)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Desk.Fetch(ctx, h.ann, a.Kept[0].Handle); err == nil {
		t.Error("it was given out twice")
	}
	held, err := h.Desk.Hold(ctx, h.ann, word)
	if err != nil {
		t.Fatal(err)
	}
	h.do("login", args{"password": string(held)})
}

func TestABlankPasswordIsRefused(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	h.refused("change-password", args{"new_password": h.holds("  ")}, tools.InvalidArgument, "blank", "nothing was done")
	if n := h.nas.Count("PUT", "/api/v1/serversetting/"); n != 0 {
		t.Errorf("%d calls were sent", n)
	}
}

func TestAForeverTokenGoesToTheKeyringOrAFile(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		h := atHome(t, duplicatitest.Options{Generation: g, ForeverTokens: true})
		folder := h.path("tokens")
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		a, err := h.agreed("issue-forever-token", args{"destination": folder})
		if err != nil || a.State != tools.StateDone {
			t.Fatalf("%s %v", a.State, err)
		}
		file := filepath.Join(folder, "forever-token-nas.txt")
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%v %v", info, err)
		}
		token, err := os.ReadFile(file)
		if err != nil || h.opens(strings.TrimSpace(string(token))) != http.StatusOK {
			t.Errorf("the token in the file does not open the server: %v", err)
		}
		has(t, a.Result, `"where":"`+file+`"`, "ten years", "--webservice-reset-jwt-config=true")
		for _, part := range strings.Split(string(token), ".") {
			if strings.Contains(string(a.Result), part) {
				t.Error("the answer holds a part of the token")
			}
		}

		_, err = h.agreed("issue-forever-token", nil)
		wantError(t, nil, err, tools.Conflict, "one per start", "nothing was issued")

		h.nas.Restart(duplicatitest.RestartOptions{})
		a, err = h.agreed("issue-forever-token", nil)
		if err != nil {
			t.Fatal(err)
		}
		has(t, a.Result, `"where":"keyring item duplibot.kept.forever-token-nas`)
		if len(a.Kept) != 1 {
			t.Fatalf("%+v", a.Kept)
		}
		got, err := h.Desk.Fetch(context.Background(), h.ann, a.Kept[0].Handle)
		if err != nil || h.opens(got.Reveal()) != http.StatusOK {
			t.Errorf("what was kept does not open the server: %v", err)
		}

		off := false
		h.nas.Restart(duplicatitest.RestartOptions{ForeverTokens: &off})
		_, err = h.agreed("issue-forever-token", nil)
		wantError(t, nil, err, tools.Unsupported, "--webservice-enable-forever-token", "nothing was issued")
	})
}

func TestATokenThatCannotGoWhereItShouldGoesToTheKeyring(t *testing.T) {
	h := atHome(t, duplicatitest.Options{ForeverTokens: true})
	a, err := h.agreed("issue-forever-token", args{"destination": h.path("nowhere")})
	if err != nil || a.State != tools.StateDone {
		t.Fatalf("%s %v", a.State, err)
	}
	has(t, a.Result, `"where":"keyring item`, "could not be written to "+h.path("nowhere"))
}
