package slacktest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
)

type reply struct {
	OK     bool
	Error  string
	TS     string
	Needed string `json:"needed"`
	Files  string
	View   struct{ ID, Hash string }
	Meta   struct {
		Messages []string
		Cursor   string `json:"next_cursor"`
	} `json:"response_metadata"`
	MessageTS string `json:"message_ts"`
	Members   []string
	Channel   json.RawMessage
	User      map[string]any

	Status int
	Header http.Header
}

// call posts a form with the bot token in the header; the first word may be "POST token=…" free.
func (r *rig) call(method string, args ...string) reply {
	r.t.Helper()
	return r.callAs(r.BotToken(), method, args...)
}

func (r *rig) callAs(token, method string, args ...string) reply {
	r.t.Helper()
	form := url.Values{}
	for i := 0; i < len(args); i += 2 {
		form.Set(args[i], args[i+1])
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.APIURL()+method, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return r.do(req)
}

func (r *rig) do(req *http.Request) reply {
	r.t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{Error: "no answer"}
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	out := reply{Status: res.StatusCode, Header: res.Header}
	_ = json.Unmarshal(body, &out)
	return out
}

const hello = `[{"type":"section","text":{"type":"plain_text","text":"hello"}}]`

func TestCallsAreRefusedAsSlackRefusesThem(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	bob := r.AddUser(slacktest.User{Name: "bob"})
	gone := r.AddUser(slacktest.User{Name: "gone", Deleted: true})
	foreign := r.AddChannel(slacktest.Channel{Name: "foreign"})
	secret := r.AddChannel(slacktest.Channel{Name: "secret", Private: true, Members: []string{bob.ID}})
	old := r.AddChannel(slacktest.Channel{Name: "old", Archived: true, Members: []string{r.BotUserID()}})
	group := r.AddUserGroup(slacktest.UserGroup{Handle: "approvers", Users: []string{bob.ID}, Disabled: true})
	theirs := r.PostAs(bob.ID, r.nas.ID, "mine")
	ephemeral := r.call("chat.postEphemeral", "channel", r.nas.ID, "user", r.ann.ID, "text", "psst")
	mine := r.call("chat.postMessage", "channel", r.nas.ID, "text", "mine")

	for _, c := range []struct {
		name, method string
		args         []string
		want         string
	}{
		{"a private channel the bot is not in", "chat.postMessage", []string{"channel", secret.ID, "text", "x"}, "channel_not_found"},
		{"a public channel the bot is not in", "chat.postMessage", []string{"channel", foreign.ID, "text", "x"}, "not_in_channel"},
		{"an archived channel", "chat.postMessage", []string{"channel", old.ID, "text", "x"}, "is_archived"},
		{"a channel by name", "chat.postMessage", []string{"channel", "#nas", "text", "x"}, "channel_not_found"},
		{"a deactivated person", "chat.postMessage", []string{"channel", gone.ID, "text", "x"}, "channel_not_found"},
		{"nothing to say", "chat.postMessage", []string{"channel", r.nas.ID}, "no_text"},
		{"another name without the scope", "chat.postMessage", []string{"channel", r.nas.ID, "text", "x", "username", "root"}, "missing_scope"},
		{"ephemeral to somebody outside", "chat.postEphemeral", []string{"channel", r.nas.ID, "user", bob.ID, "text", "x"}, "user_not_in_channel"},
		{"ephemeral in an unknown channel", "chat.postEphemeral", []string{"channel", "C404", "user", bob.ID, "text", "x"}, "channel_not_found"},
		{"editing an ephemeral message", "chat.update", []string{"channel", r.nas.ID, "ts", ephemeral.MessageTS, "text", "x"}, "message_not_found"},
		{"editing what a person wrote", "chat.update", []string{"channel", r.nas.ID, "ts", theirs.TS, "text", "x"}, "cant_update_message"},
		{"editing by user ID", "chat.update", []string{"channel", r.ann.ID, "ts", mine.TS, "text", "x"}, "channel_not_found"},
		{"editing nothing known", "chat.update", []string{"channel", r.nas.ID, "ts", "1.000001", "text", "x"}, "message_not_found"},
		{"deleting what a person wrote", "chat.delete", []string{"channel", r.nas.ID, "ts", theirs.TS}, "cant_delete_message"},
		{"an unknown person", "users.info", []string{"user", "U404"}, "user_not_found"},
		{"an unknown channel", "conversations.info", []string{"channel", "C404"}, "channel_not_found"},
		{"a private channel from outside", "conversations.info", []string{"channel", secret.ID}, "channel_not_found"},
		{"a direct message without im:read", "conversations.info", []string{"channel", r.DM(bob.ID)}, "missing_scope"},
		{"a disabled group", "usergroups.users.list", []string{"usergroup", group.ID}, "no_such_subteam"},
		{"a direct message to nobody", "conversations.open", nil, "users_list_not_supplied"},
		{"a direct message to a deactivated person", "conversations.open", []string{"users", gone.ID}, "user_disabled"},
		{"a modal without trigger", "views.open", []string{"view", `{"type":"modal","title":{"type":"plain_text","text":"T"},"blocks":` + hello + `}`}, "invalid_trigger_id"},
		{"an upload without length", "files.getUploadURLExternal", []string{"filename", "a"}, "invalid_arguments"},
		{"completing what was not uploaded", "files.completeUploadExternal", []string{"files", `[{"id":"F404"}]`}, "file_not_found"},
		{"opening a socket with the bot token", "apps.connections.open", nil, "not_allowed_token_type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := r.call(c.method, c.args...); got.OK || got.Error != c.want {
				t.Errorf("%s answered %q, want %q", c.method, got.Error, c.want)
			}
		})
	}
	if v := r.TakeViolations(); len(v) != 0 {
		t.Errorf("a refusal that is no mistake of form must not be a violation: %q", v)
	}
}

func TestTokensCountWhereSlackReadsThem(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	get := func(rawURL, auth, kind, body string) reply {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, rawURL, strings.NewReader(body))
		if kind != "" {
			req.Header.Set("Content-Type", kind)
		}
		if auth != "" {
			req.Header.Set("Authorization", "Bearer "+auth)
		}
		return r.do(req)
	}
	const form, jsonType = "application/x-www-form-urlencoded", "application/json; charset=utf-8"
	at := r.APIURL() + "auth.test"
	for _, c := range []struct{ name, got, want string }{
		{"in the header", get(at, r.BotToken(), form, "").Error, ""},
		{"in a form", get(at, "", form, "token="+r.BotToken()).Error, ""},
		{"in the query", get(at+"?token="+r.BotToken(), "", form, "").Error, "not_authed"},
		{"inside JSON", get(at, "", jsonType, `{"token":"`+r.BotToken()+`"}`).Error, "not_authed"},
		{"an unknown one", get(at, "xoxb-0", form, "").Error, "invalid_auth"},
		{"an app token for a bot's method", get(r.APIURL()+"users.info", r.AppToken(), form, "").Error, "not_allowed_token_type"},
		{"JSON where only a form is read", get(r.APIURL()+"users.info", r.BotToken(), jsonType, `{"user":"`+r.ann.ID+`"}`).Error, "user_not_found"},
		{"JSON where it is read", get(r.APIURL()+"chat.postMessage", r.BotToken(), jsonType, `{"channel":"`+r.nas.ID+`","text":"x","blocks":`+hello+`}`).Error, ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
	if got := r.call("auth.test"); !strings.Contains(got.Header.Get("X-OAuth-Scopes"), "chat:write") {
		t.Errorf("scopes are not in the header: %v", got.Header)
	}
}

func TestMissingScopesAreNamed(t *testing.T) {
	r := newRig(t, slacktest.Options{Scopes: []string{"commands"}})
	for method, scope := range map[string]string{"chat.postMessage": "chat:write", "usergroups.list": "usergroups:read",
		"users.info": "users:read", "files.getUploadURLExternal": "files:write", "conversations.open": "im:write"} {
		if got := r.call(method, "channel", r.nas.ID, "users", r.ann.ID); got.Error != "missing_scope" || got.Needed != scope {
			t.Errorf("%s: %q needs %q, want %q", method, got.Error, got.Needed, scope)
		}
	}
	r.SetScopes("chat:write", "chat:write.public")
	elsewhere := r.AddChannel(slacktest.Channel{Name: "elsewhere"})
	if got := r.call("chat.postMessage", "channel", elsewhere.ID, "text", "x"); !got.OK {
		t.Errorf("chat:write.public: %q", got.Error)
	}
}

func TestTextLimitsDifferBetweenPostAndEdit(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	long := strings.Repeat("ä", 4001)
	posted := r.call("chat.postMessage", "channel", r.nas.ID, "text", long)
	if !posted.OK {
		t.Fatalf("post: %q", posted.Error)
	}
	if got := r.call("chat.update", "channel", r.nas.ID, "ts", posted.TS, "text", long); got.Error != "msg_too_long" {
		t.Errorf("update: %q", got.Error)
	}
	r.call("chat.postMessage", "channel", r.nas.ID, "text", strings.Repeat("x", 40_001))
	if m := r.WaitMessage(r.nas.ID); len(m.Text) != 40_000 {
		t.Errorf("%d characters, want the text cut", len(m.Text))
	}
	text := strings.Repeat("x", 2900)
	block := `{"type":"section","text":{"type":"plain_text","text":"` + text + `"}}`
	five := "[" + strings.Repeat(block+",", 4) + block + "]"
	if got := r.call("chat.postMessage", "channel", r.nas.ID, "text", "x", "blocks", five); got.Error != "msg_blocks_too_long" {
		t.Errorf("blocks of 14500 characters: %q", got.Error)
	}
	if v := r.TakeViolations(); len(v) != 3 {
		t.Errorf("violations: %q", v)
	}
}

func TestRefusedBlocksPointAtThePlace(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	got := r.call("chat.postMessage", "channel", r.nas.ID, "text", "x", "blocks",
		`[{"type":"divider"},{"type":"actions","elements":[{"type":"button","action_id":"a","text":{"type":"plain_text","text":"`+strings.Repeat("x", 76)+`"}}]}]`)
	if got.Error != "invalid_blocks" || len(got.Meta.Messages) != 1 || !strings.Contains(got.Meta.Messages[0], "[json-pointer:/blocks/1/elements/0/text/text]") {
		t.Errorf("%+v", got)
	}
	if got := r.call("chat.postMessage", "channel", r.nas.ID, "text", "x", "blocks", `{"type":"divider"}`); got.Error != "invalid_blocks_format" {
		t.Errorf("%+v", got)
	}
	if len(r.Messages(r.nas.ID)) != 0 || len(r.TakeViolations()) != 2 {
		t.Error("a refused message was posted, or the refusal is no violation")
	}
}

func TestADirectMessageIsOpenedByUserID(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	posted := r.call("chat.postMessage", "channel", r.ann.ID, "text", "for you")
	dm := r.DM(r.ann.ID)
	if m, ok := r.Message(dm, posted.TS); !ok || m.Text != "for you" {
		t.Errorf("%+v", m)
	}
	if got := r.call("chat.update", "channel", dm, "ts", posted.TS, "text", "yours"); !got.OK {
		t.Errorf("update: %q", got.Error)
	}
}

func TestMembersComeInPages(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	var members []string
	for range 7 {
		members = append(members, r.AddUser(slacktest.User{}).ID)
	}
	c := r.AddChannel(slacktest.Channel{Members: members})
	var got []string
	for cursor := ""; ; {
		page := r.call("conversations.members", "channel", c.ID, "limit", "3", "cursor", cursor)
		got = append(got, page.Members...)
		if cursor = page.Meta.Cursor; cursor == "" {
			break
		}
	}
	if len(got) != 7 {
		t.Errorf("members: %v", got)
	}
}

func TestGuestsStrangersAndSharedChannelsLookLikeThemselves(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	for _, c := range []struct {
		user slacktest.User
		flag string
		want any
	}{
		{slacktest.User{IsRestricted: true}, "is_restricted", true},
		{slacktest.User{IsUltraRestricted: true}, "is_ultra_restricted", true},
		{slacktest.User{Deleted: true}, "deleted", true},
		{slacktest.User{IsBot: true}, "is_bot", true},
		{slacktest.User{TeamID: "T0OTHER"}, "team_id", "T0OTHER"},
	} {
		if got := r.call("users.info", "user", r.AddUser(c.user).ID); got.User[c.flag] != c.want {
			t.Errorf("%s: %v", c.flag, got.User)
		}
	}
	shared := r.AddChannel(slacktest.Channel{SharedWith: []string{"T0OTHER"}})
	if got := r.call("conversations.info", "channel", shared.ID); !strings.Contains(string(got.Channel), `"is_ext_shared":true`) {
		t.Errorf("%s", got.Channel)
	}
}

func TestRateLimitsAnswer429(t *testing.T) {
	r := newRig(t, slacktest.Options{RateLimits: true})
	post := func() reply { return r.call("chat.postMessage", "channel", r.nas.ID, "text", "x") }
	if got := post(); !got.OK {
		t.Fatalf("first: %q", got.Error)
	}
	if got := post(); got.Status != 429 || got.Header.Get("Retry-After") != "1" || got.Error != "ratelimited" {
		t.Errorf("second within a second: %+v", got)
	}
	if got := r.call("chat.postMessage", "channel", r.ann.ID, "text", "x"); !got.OK {
		t.Errorf("another channel: %q", got.Error)
	}
	r.Advance(time.Second)
	if got := post(); !got.OK {
		t.Errorf("a second later: %q", got.Error)
	}
	for range 20 {
		r.call("usergroups.list")
	}
	if got := r.call("usergroups.list"); got.Status != 429 {
		t.Errorf("21st call of a tier 2 method in a minute: %+v", got)
	}
}

func TestFaultsHappenOnDemand(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	post := func() reply { return r.call("chat.postMessage", "channel", r.nas.ID, "text", "x") }
	for _, c := range []struct {
		name  string
		fault slacktest.Fault
		check func(reply) bool
	}{
		{"429", slacktest.Fault{Status: 429, RetryAfter: 7}, func(g reply) bool { return g.Status == 429 && g.Header.Get("Retry-After") == "7" }},
		{"500", slacktest.Fault{Status: 500}, func(g reply) bool { return g.Status == 500 && !g.OK }},
		{"reset", slacktest.Fault{Reset: true}, func(g reply) bool { return g.Error == "no answer" }},
		{"missing scope", slacktest.Fault{Error: "missing_scope", Needed: "chat:write"}, func(g reply) bool { return g.Needed == "chat:write" }},
	} {
		c.fault.Method, c.fault.Times = "chat.postMessage", 1
		r.Fail(c.fault)
		if got := post(); !c.check(got) {
			t.Errorf("%s: %+v", c.name, got)
		}
		if n := len(r.Messages(r.nas.ID)); n != 0 {
			t.Errorf("%s: %d messages were posted", c.name, n)
		}
	}
	r.Fail(slacktest.Fault{Method: "chat.postMessage", Times: 1, Reset: true, After: true})
	if got := post(); got.Error != "no answer" || len(r.Messages(r.nas.ID)) != 1 {
		t.Error("only the answer was to be lost")
	}
	if got := post(); !got.OK {
		t.Errorf("after the faults: %q", got.Error)
	}
	if calls := r.Calls("chat.postMessage"); len(calls) != 6 {
		t.Errorf("%d calls were recorded, want 6", len(calls))
	}
}

func TestHangEndsWithTheCaller(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	r.Fail(slacktest.Fault{Method: "auth.test", Hang: true})
	client := &http.Client{Timeout: 50 * time.Millisecond}
	res, err := client.PostForm(r.APIURL()+"auth.test", nil)
	if err == nil {
		res.Body.Close()
		t.Error("it answered")
	}
	go func() { _, _ = http.PostForm(r.APIURL()+"auth.test", nil) }() // cut by the end of the test
	r.WaitCalls(2, "auth.test")
}

func TestSlacksOwnValidatorsAnswer(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	broken := strings.Replace(slacktest.DefaultManifest, `"/duplicati"`, `"duplicati"`, 1)
	if got := r.callAs(r.ConfigToken(), "apps.manifest.validate", "manifest", slacktest.DefaultManifest); !got.OK {
		t.Errorf("the default manifest: %q", got.Error)
	}
	if got := r.callAs(r.ConfigToken(), "apps.manifest.validate", "manifest", broken); got.Error != "invalid_manifest" {
		t.Errorf("a broken manifest: %q", got.Error)
	}
	if got := r.call("blocks.validate", "blocks", hello); !got.OK {
		t.Errorf("good blocks: %q", got.Error)
	}
	if got := r.call("blocks.validate", "blocks", `[{"type":"section"}]`); got.Error != "invalid_blocks" {
		t.Errorf("bad blocks: %q", got.Error)
	}
}

func TestSentShowsWordsThroughEveryEncoding(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	r.call("chat.postMessage", "channel", r.nas.ID, "text", "x", "blocks",
		`[{"type":"section","block_id":"b","text":{"type":"plain_text","text":"a<b\u0026\"quoted\""}}]`)
	for _, text := range r.Sent() {
		if text == `a<b&"quoted"` {
			return
		}
	}
	t.Errorf("not found in %q", r.Sent())
}
