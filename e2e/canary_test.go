package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/ops"
)

// lines are calls of every operation, as they are typed after its name. $N
// differs from surface to surface. Long runs until it is stopped.
var lines = map[string][]string{
	"list-backups":        {"", "--detailed", "--problems"},
	"run":                 {"Photos --wait", "Long"},
	"wait":                {"Photos --seconds 1"},
	"progress":            {"", "Long"},
	"result":              {"Photos", "Canary", "Long"},
	"stop":                {"Long --abort --seconds 20"},
	"export":              {"all --encryption-passphrase generate", "Photos --export-passwords --encryption-passphrase photos-passphrase --overwrite"},
	"import":              {"office.json --name Office-$N --backup-url target-$N --backup-passphrase photos-passphrase"},
	"delete":              {shown + "-$N"},
	"status":              {""},
	"health":              {""},
	"pause":               {"5m"},
	"resume":              {""},
	"change-password":     {"new-password"},
	"issue-forever-token": {""},
	"login":               {""},
	"logout":              {""},
	"approval":            {""},
	"servers":             {""},
}

// atTerminal are those that a terminal has besides, or has differently.
var atTerminal = map[string][]string{
	"export":              {"Photos --unencrypted --overwrite --destination out"},
	"pause":               {"--until-resumed"},
	"change-password":     {"generate"},
	"issue-forever-token": {"--destination token-$N"},
}

// shown begins the names of some backups. It is no secret: that it is found
// shows that whatever comes out is looked through.
const shown = "Seen-everywhere"

// Where things come out.
const (
	daemonLog = "the daemon's log"
	asText    = "terminal"
	asJSON    = "terminal --json"
)

// hunt looks for secrets in whatever comes out of the program.
type hunt struct {
	*home
	t        *testing.T
	server   *duplicatitest.Server
	words    map[string]bool
	heard    map[string]*notes          // by where it came out
	ended    map[string]map[string]bool // which operations came to their end, by surface
	slack    *slacktest.Server
	waits    map[string]string // the request in Slack, by operation
	registry *tools.Registry
}

// startHunt is an account with a server that has secrets everywhere, and with a
// Slack.
func startHunt(t *testing.T) *hunt {
	t.Helper()
	h := &hunt{home: newHome(t), t: t, words: map[string]bool{"canary": true}, heard: map[string]*notes{}, ended: map[string]map[string]bool{}, waits: map[string]string{},
		slack: slacktest.New(t, slacktest.Options{TeamID: "T0001"}), registry: tools.NewRegistry(ops.All(ops.Deps{})...)}
	folder := func(name string) string {
		path := filepath.Join(h.folder, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	h.env = append(h.env, "SLACK_APP="+h.slack.AppToken(), "SLACK_BOT="+h.slack.BotToken(), "PHOTOS=canary-alias-41", "CHANGED=canary-alias-42")
	targets := "" // a request is for a place that no other backup has come to meanwhile
	for n := range 4 {
		h.env = append(h.env, fmt.Sprintf("TARGET_%d=s3://bucket-%d/new?auth-username=canary-alias-43&auth-password=canary-alias-44", n, n))
		targets += fmt.Sprintf("  target-%d: {from: \"env:TARGET_%d\", for: [import], servers: [nas]}\n", n, n)
	}
	for _, v := range h.env {
		if name, word, _ := strings.Cut(v, "="); slices.Contains([]string{"RING_KEY", "NAS_PASSWORD", "SLACK_APP", "SLACK_BOT"}, name) {
			h.words[word] = true
		}
	}
	imports := folder("import")
	for _, name := range []string{"out", "token-2", "token-3"} {
		folder(name)
	}
	h.server = h.withServer(t, fmt.Sprintf(`people:
  ann: {identities: ["slack:T0001/U0ANN"], roles: [operator, approver]}
  bob: {identities: ["slack:T0001/U0BOB"], roles: [operator, approver]}
  eve: {identities: ["uid:%d"], roles: [operator, approver]}
policy: {rules: [{risks: [critical], surfaces: [cli], verdict: confirm}]}
slack: {app_token: "env:SLACK_APP", bot_token: "env:SLACK_BOT", approvals_channel: C0CARDS, api_url: %q, alerts: {channels: {other: C0ALERTS}}}
mcp: {toolsets: [core, admin]}
folders: {import: %q, export: %q}
secrets:
  photos-passphrase: {from: "env:PHOTOS", for: [export, import], servers: [nas]}
  new-password: {from: "env:CHANGED", for: [change-password], servers: [nas]}
%slog: {level: debug}
`, os.Getuid(), h.slack.APIURL(), imports, folder("export"), targets))
	for _, w := range h.server.PlantCanaries() {
		h.words[w] = true
	}
	const target = "ftp://canary-user:canary-userinfo@store.example/photos?auth-username=canary-name&auth-password=canary-url"
	fails := duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "cannot log in to " + target, Exception: "System.Exception: " + target}
	plant := func(name string, o ...duplicatitest.Outcome) {
		h.server.AddBackup(duplicatitest.Backup{
			Name: name, Passphrase: "canary-passphrase", TargetURL: strings.Replace(target, "photos", name, 1), Sources: []string{"/data/photos/", "@/mail|imap://me:canary-source@mail.example/?auth-password=canary-source"},
			Settings: []string{"--send-mail-password=canary-mail", "--send-http-url=https://hooks.example/canary-hook"},
			Runs:     []duplicatitest.Run{{Ago: 2 * time.Hour, Outcome: fails}, {Ago: time.Hour, Outcome: duplicatitest.Outcome{Result: duplicatitest.Warns, Message: fails.Message}}},
			Outcomes: o,
		})
	}
	plant("Long", duplicatitest.Outcome{Hold: true, Message: fails.Message})
	for n := range 4 {
		plant(fmt.Sprintf("%s-%d", shown, n))
	}
	h.server.SetOutcome("1", fails, duplicatitest.Outcome{Result: duplicatitest.Errs, Message: fails.Message}, duplicatitest.Outcome{Result: duplicatitest.Warns, Message: fails.Message})
	for _, f := range []string{imports, h.folder} { // a terminal reads the file itself
		if err := os.WriteFile(filepath.Join(f, "office.json"), []byte(`{"CreatedByVersion":"2.3.1.0","Backup":{"ID":"7","Name":"Office","TargetURL":"`+target+`","Sources":["/srv/office/"],
			"Settings":[{"Name":"encryption-module","Value":"aes"},{"Name":"passphrase","Value":"canary-imported"},{"Name":"--send-mail-password","Value":"canary-imported"}],"Filters":[],"Metadata":{}}}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// hears is where what comes out is kept until all secrets are known.
func (h *hunt) hears(where string) *notes {
	if h.heard[where] == nil {
		h.heard[where] = &notes{}
	}
	return h.heard[where]
}

func (h *hunt) done(surface, operation string) {
	if h.ended[surface] == nil {
		h.ended[surface] = map[string]bool{}
	}
	h.ended[surface][operation] = true
}

// find returns a secret that text holds, as it stands or as encodings leave it,
// and where.
func find(text, word string) (around string, found bool) {
	forms := []string{word, url.QueryEscape(word), url.PathEscape(word), html.EscapeString(word), hex.EncodeToString([]byte(word))}
	for skip := range 3 { // wherever in an encoded text it begins; its ends depend on its neighbours
		coded := base64.RawStdEncoding.EncodeToString(append(make([]byte, skip), word...))
		if coded = coded[4*((skip+2)/3) : len(coded)-2]; len(coded) >= 6 {
			forms = append(forms, coded)
		}
	}
	for _, form := range forms {
		if i := strings.Index(text, form); i >= 0 {
			return fmt.Sprintf("…%.300s", text[max(0, i-120):]), true
		}
	}
	return "", false
}

// only is the lines that begin with a word.
func only(all *notes, word string) *notes {
	some := &notes{}
	for line := range strings.Lines(all.String()) {
		if strings.HasPrefix(line, word) {
			fmt.Fprint(some, line)
		}
	}
	return some
}

// learn adds what the server was sent and what was written for people: tokens,
// cookies, nonces, passwords, passphrases.
func (h *hunt) learn() {
	h.t.Helper()
	add := func(word string) {
		if len(word) >= 8 {
			h.words[word] = true
		}
	}
	for _, r := range h.server.Requests() {
		if b, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			add(b)
		}
		_, cookie, _ := strings.Cut(r.Header.Get("Cookie"), "=")
		add(cookie)
		if u, err := url.Parse(r.Path); err == nil {
			add(u.Query().Get("passphrase"))
		}
		var body struct{ Nonce, Password, Passphrase string }
		_ = json.Unmarshal([]byte(r.Body), &body) // not every body is an object
		add(body.Nonce)
		add(body.Password)
		add(body.Passphrase)
	}
	files, err := filepath.Glob(filepath.Join(h.folder, "token-*", "*"))
	if err != nil || len(files) == 0 {
		h.t.Fatalf("no forever token was written: %v", err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			h.t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(b), ".") // every token of the server begins so
		add(head)
	}
}

// serve starts the daemon that all surfaces are served by.
func (h *hunt) serve() (end func()) {
	h.t.Helper()
	daemon := h.command(h.t, "serve")
	log := h.hears(daemonLog)
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		h.t.Fatal(err)
	}
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		_ = daemon.Process.Signal(syscall.SIGTERM)
		if err := daemon.Wait(); err != nil {
			h.t.Errorf("serve: %v\n%s", err, tail([]byte(log.String()), 3000))
		}
	}
	h.t.Cleanup(end)
	h.slack.WaitConnections(2)
	return end
}

// terminal runs a command and returns its exit code and standard output.
func (h *hunt) terminal(surface string, args ...string) (int, string) {
	h.t.Helper()
	var out bytes.Buffer
	cmd := h.command(h.t, args...)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, h.hears(surface+", stdout")), h.hears(surface+", stderr")
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatalf("duplibot %v: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

func (h *hunt) atTerminal(surface string, op *tools.Operation, words []string) {
	h.t.Helper()
	args := append([]string{"--yes", op.Name}, words...)
	if surface == asJSON {
		args = append([]string{"--json"}, args...)
	}
	code, out := h.terminal(surface, args...)
	h.t.Logf("%s: %v exits %d: %.200s", surface, args, code, out)
	ended := code != 5 && out != "" // an error is said on standard error alone
	if surface == asJSON {
		var answer struct{ Status string }
		if err := json.Unmarshal([]byte(out), &answer); err != nil {
			h.t.Errorf("%v: %v: %s", args, err, out)
		}
		ended = answer.Status == "done"
	}
	if ended {
		h.done(surface, op.Name)
	}
}

// client is an assistant over stdio, all of whose messages are kept.
func (h *hunt) client() *sdk.ClientSession {
	h.t.Helper()
	cmd := h.command(h.t, "mcp")
	cmd.Stderr = h.hears("MCP, stderr")
	s, err := sdk.NewClient(&sdk.Implementation{Name: "e2e", Version: "1"}, nil).Connect(context.Background(),
		&sdk.LoggingTransport{Transport: &sdk.CommandTransport{Command: cmd}, Writer: h.hears("MCP")}, nil)
	if err != nil {
		h.t.Fatalf("%v\n%s", err, h.hears("MCP, stderr"))
	}
	h.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (h *hunt) byAssistant(s *sdk.ClientSession, op *tools.Operation, words []string) {
	args, err := op.ParseArgs(words, tools.MCP)
	if err != nil {
		h.t.Fatal(err)
	}
	params := &sdk.CallToolParams{Name: op.MCPName(), Arguments: args}
	params.SetProgressToken(op.Name)
	r, err := s.CallTool(context.Background(), params)
	if err != nil {
		h.t.Fatalf("%s: %v", op.Name, err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Logf("MCP: %s %v: %.300s", op.Name, words, text)
	if !r.IsError {
		h.done("MCP", op.Name)
	}
	if id := requestID.Find(text); id != nil && op.Risk == tools.Critical {
		call(h.t, s, "duplicati_approval", map[string]any{"id": string(id)})
	}
}

// inSlack types a command and waits for what its person is told. Progress is
// no answer, nor is the card of another command.
func (h *hunt) inSlack(op *tools.Operation, words []string) {
	h.t.Helper()
	dm := h.slack.DM("U0ANN")
	told := func() []slacktest.Message {
		return slices.DeleteFunc(h.slack.Messages(""), func(m slacktest.Message) bool {
			return m.EphemeralTo != "U0ANN" && m.Channel != dm || strings.Contains(m.AllText(), "is under way") || strings.HasPrefix(m.Text, "Approval needed")
		})
	}
	before := len(told())
	line := strings.Join(append([]string{op.Name}, words...), " ")
	h.slack.Slash("U0ANN", "C0NAS", line).Acked()
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	if err := h.slack.Wait(ctx, func() bool { return len(told()) > before }); err != nil {
		h.t.Fatalf("Slack: no answer to %s: %v", line, err)
	}
	answer := told()[before].AllText()
	h.t.Logf("Slack: %s: %.200q", line, answer)
	if strings.Contains(answer, "waits for agreement") {
		h.waits[op.Name] = requestID.FindString(answer)
	}
}

// agree has bob agree to what was asked for in Slack, and waits for its end.
func (h *hunt) agree() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	cards := map[string]slacktest.Message{}
	reads := func(operation string) string {
		m, _ := h.slack.Message("C0CARDS", cards[operation].TS)
		return m.AllText()
	}
	for operation, id := range h.waits {
		cards[operation] = h.slack.WaitMessage("C0CARDS", slacktest.Offering("approve"), slacktest.Saying(id))
		h.slack.Click(cards[operation], "approve", "U0BOB").Acked()
		var form slacktest.View
		if err := h.slack.Wait(ctx, func() bool {
			form, _ = h.slack.Modal("U0BOB")
			_, asks := form.Element("phrase")
			return asks || !strings.HasPrefix(reads(operation), "Approval needed")
		}); err != nil {
			h.t.Fatalf("Slack: %s: nothing came of a yes: %s", operation, reads(operation))
		}
		if _, asks := form.Element("phrase"); asks {
			h.slack.Submit(form, map[string]any{"phrase": shown + "-1"}, "U0BOB").Acked()
		}
	}
	for operation := range cards {
		before := regexp.MustCompile("^(Approval needed|Approved|Under way): ")
		err := h.slack.Wait(ctx, func() bool { return !before.MatchString(reads(operation)) })
		if err != nil || !strings.Contains(reads(operation), "Done:") {
			h.t.Errorf("Slack: what came of %s, %v: %s", operation, err, reads(operation))
		}
	}
}

// records marks what the gate itself says of calls from Slack, where an answer
// that tells of a failed backup looks like one that tells of a failed call.
func (h *hunt) records(audit string) {
	h.t.Helper()
	for _, op := range h.registry.All() {
		if regexp.MustCompile(`msg=read operation=` + op.Name + ` .* surface=slack .* code=""`).MatchString(h.hears(daemonLog).String()) {
			h.done("Slack", op.Name)
		}
	}
	var answer struct{ Result []tools.Record }
	if err := json.Unmarshal([]byte(audit), &answer); err != nil {
		h.t.Fatalf("%v: %.300s", err, audit)
	}
	for _, r := range answer.Result {
		if r.Surface == tools.Slack && r.Event == tools.EventOutcome && r.Code == "" {
			h.done("Slack", r.Operation)
		}
	}
}

// Whatever operation is called, at a terminal, by an assistant and in Slack:
// nothing that comes out of the program holds a secret of the server's, of the
// people's or of its own.
func TestNoSurfaceLetsASecretOut(t *testing.T) {
	h := startHunt(t)
	for id, name := range map[string]string{"U0ANN": "ann", "U0BOB": "bob"} {
		h.slack.AddUser(slacktest.User{ID: id, Name: name})
	}
	for _, id := range []string{"C0NAS", "C0CARDS", "C0ALERTS"} {
		h.slack.AddChannel(slacktest.Channel{ID: id, Name: strings.ToLower(id), Members: []string{"U0ANN", "U0BOB", h.slack.BotUserID()}})
	}
	end := h.serve()
	assistant := h.client()
	each := func(n int, more map[string][]string, call func(*tools.Operation, []string)) {
		for _, op := range h.registry.All() {
			if len(lines[op.Name]) == 0 {
				t.Errorf("%s is called nowhere", op.Name)
			}
			for _, line := range slices.Concat(lines[op.Name], more[op.Name]) {
				words, err := tools.Split(strings.ReplaceAll(line, "$N", fmt.Sprint(n)))
				if err != nil {
					t.Fatal(err)
				}
				call(op, words)
			}
		}
	}
	each(0, nil, func(op *tools.Operation, words []string) { h.byAssistant(assistant, op, words) })
	for r, err := range assistant.Resources(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := assistant.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: r.URI}); err != nil {
			t.Errorf("%s: %v", r.URI, err)
		}
	}
	each(1, nil, h.inSlack)
	h.slack.OpenHome("U0ANN").Acked()
	h.slack.WaitHome("U0ANN", func(v slacktest.View) bool { return strings.Contains(v.AllText(), shown) })
	surfaces := []string{"MCP", "Slack"}
	for n, surface := range []string{asText, asJSON} {
		surfaces = append(surfaces, surface)
		each(2+n, atTerminal, func(op *tools.Operation, words []string) { h.atTerminal(surface, op, words) })
		h.server.Restart(duplicatitest.RestartOptions{}) // it issues one forever token per start
	}
	h.agree()
	h.terminal("audit", "audit", "--limit", "1000")
	_, audit := h.terminal("audit --json", "--json", "audit", "--limit", "1000")
	h.terminal("doctor", "doctor")
	h.slack.WaitMessage(h.slack.DM("U0ANN"), slacktest.That("how the stopped run ended", func(m slacktest.Message) bool {
		return strings.Contains(m.AllText(), "Long") && len(m.Edits) > 0 && !strings.Contains(m.AllText(), "░")
	}))
	end()
	h.heard["MCP"] = only(h.heard["MCP"], "read: ") // and not what the client said
	for _, sent := range h.slack.Sent() {
		if sent != h.slack.BotToken() { // by which it proves itself to Slack
			fmt.Fprintln(h.hears("Slack"), strings.Replace(sent, "token="+h.slack.BotToken(), "", 1))
		}
	}

	h.records(audit)
	h.learn()
	for _, where := range slices.Sorted(maps.Keys(h.heard)) {
		text := h.heard[where].String()
		for _, word := range slices.Sorted(maps.Keys(h.words)) {
			if around, found := find(text, word); found {
				t.Errorf("%s holds %.40q: %s", where, word, around)
				break
			}
		}
	}
	for _, surface := range surfaces {
		for _, op := range h.registry.All() {
			if !h.ended[surface][op.Name] {
				t.Errorf("%s: %s never came to its end, so that this proves nothing of it", surface, op.Name)
			}
		}
	}
	for where, word := range map[string]string{
		"MCP": shown, "Slack": shown, asText + ", stdout": shown, asText + ", stderr": shown, asJSON + ", stdout": shown,
		"audit, stdout": shown, "audit --json, stdout": shown, daemonLog: "surface=slack",
	} {
		if _, found := find(h.hears(where).String(), word); !found {
			t.Errorf("%s does not even hold %q, so that this proves nothing of it", where, word)
		}
	}
}

// What a hunt looks for is there to be found: the server itself tells most of
// it to whoever asks with a token, and no encoding hides it.
func TestTheHuntFindsSecrets(t *testing.T) {
	s, err := duplicatitest.New(duplicatitest.Options{Password: password})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	canaries := s.PlantCanaries()
	ask := func(method, path, token, body string) string {
		req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s, %v", method, path, resp.Status, err)
		}
		return string(b)
	}
	var login struct{ AccessToken string }
	if err := json.Unmarshal([]byte(ask("POST", "/api/v1/auth/login", "", fmt.Sprintf(`{"Password":%q}`, password))), &login); err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, path := range []string{"v1/backups", "v1/backup/1/export-argsonly?export-passwords=true", "v1/serversettings"} {
		told += ask("GET", "/api/"+path, login.AccessToken, "")
	}
	for _, r := range s.Requests() {
		told += r.Body
	}
	for _, c := range canaries[:len(canaries)-2] { // it masks that of a connection, and no request reads the signing key
		if _, found := find(told, c); !found {
			t.Errorf("the server does not tell %s", c)
		}
	}
	for _, c := range canaries {
		for name, hidden := range map[string]string{
			"plain": c, "a URL's query": url.Values{"a": {"b " + c}}.Encode(), "a URL's path": url.PathEscape(c), "HTML": html.EscapeString("<" + c + ">"),
			"base64": base64.StdEncoding.EncodeToString([]byte(c)), "base64, a byte in": base64.URLEncoding.EncodeToString([]byte("u" + c + ".")),
			"base64, two bytes in": base64.RawStdEncoding.EncodeToString([]byte("u:" + c + "..")), "hex": fmt.Sprintf("%x", "u:"+c),
		} {
			if _, found := find("said: "+hidden, c); !found {
				t.Errorf("%s is not found as %s: %s", c, name, hidden)
			}
		}
		if around, found := find(c[1:], c); found {
			t.Errorf("%s is found in %s", c, around)
		}
	}
}
