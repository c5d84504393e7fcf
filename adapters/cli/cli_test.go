package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/cli"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// terminal is a program at a terminal, or without one, and a gate behind it.
type terminal struct {
	t       *testing.T
	gate    *toolstest.Gate
	app     *cli.App
	out     *safeBuffer
	err     *safeBuffer
	secrets []string // typed without echo, in order
	caller  tools.Caller
	seen    cli.Globals // what Connect was given
	admin   cli.Admin
	resolve func(context.Context, secret.Ref) (secret.Value, error)
}

// safeBuffer can be written to by a command and read by its test.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newTerminal(t *testing.T, typed string, opts ...toolstest.Option) *terminal {
	t.Helper()
	term := &terminal{t: t, gate: toolstest.New(t, opts...), out: &safeBuffer{}, err: &safeBuffer{}, caller: toolstest.AnnAtTerminal}
	term.app = &cli.App{
		Name: "duplibot", Version: "1.0", Registry: term.gate.Registry,
		Connect: func(_ context.Context, g cli.Globals) (*cli.Link, error) {
			term.seen = g
			return &cli.Link{Door: term.gate.Runner, Decisions: term.gate.Desk, Caller: term.caller, Admin: term.admin, Resolve: term.resolve}, nil
		},
		Stdin: strings.NewReader(typed), Stdout: term.out, Stderr: term.err, Dir: t.TempDir(),
		Now:  func() time.Time { return term.gate.Clock.Now() },
		Poll: 5 * time.Millisecond,
		Terminal: cli.Terminal{
			In: true, Width: func() int { return 0 },
			ReadSecret: func(context.Context) (string, error) {
				if len(term.secrets) == 0 {
					return "", io.EOF
				}
				word := term.secrets[0]
				term.secrets = term.secrets[1:]
				return word, nil
			},
		},
	}
	return term
}

// script is a program whose streams are no terminals.
func script(t *testing.T, opts ...toolstest.Option) *terminal {
	t.Helper()
	term := newTerminal(t, "", opts...)
	term.app.Terminal = cli.Terminal{}
	return term
}

// run runs one command line and checks its exit code.
func (term *terminal) run(code int, args ...string) string {
	term.t.Helper()
	term.out.b.Reset()
	term.err.b.Reset()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if got := term.app.Run(ctx, args); got != code {
		term.t.Errorf("%q exits %d, want %d\n%s%s", args, got, code, term.out, term.err)
	}
	return term.out.String() + term.err.String()
}

func (term *terminal) did(want ...string) {
	term.t.Helper()
	if diff := cmp.Diff(append([]string(nil), want...), term.gate.World.Did()); diff != "" {
		term.t.Errorf("done, want - got +:\n%s", diff)
	}
}

func wants(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("want %q in\n%s", w, text)
		}
	}
}

var (
	requestID = regexp.MustCompile(`a-[2-9a-z]{12}`)
	timestamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.0-9]*(Z|[+-]\d\d:\d\d)`)
	unixTime  = regexp.MustCompile(`("UnixTimestamp": )\d+`)
)

// golden compares text, with what differs each time taken out, with a file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	text = requestID.ReplaceAllString(text, "a-ID")
	text = timestamp.ReplaceAllString(text, "TIME")
	text = unixTime.ReplaceAllString(text, "${1}0")
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s, want - got + (go test -update rewrites it):\n%s", path, diff)
	}
}

func TestWhatIsPrinted(t *testing.T) {
	for _, c := range []struct {
		name, typed string
		code        int
		args        []string
	}{
		{"help", "", 0, []string{"help"}},
		{"help-operation", "", 0, []string{"help", "destroy"}},
		{"help-secret", "", 0, []string{"set-word", "--help"}},
		{"help-command", "", 0, []string{"approve", "-h"}},
		{"list", "", 0, []string{"list-things"}},
		{"list-all", "", 0, []string{"list-things", "--server", "all"}},
		{"list-json", "", 0, []string{"list-things", "--json"}},
		{"start", "", 0, []string{"start", "Photos"}},
		{"start-json", "", 0, []string{"--json", "start", "Photos"}},
		{"not-found", "", 2, []string{"start", "Fotos"}},
		{"not-found-json", "", 2, []string{"start", "Fotos", "--json"}},
		{"unknown-command", "", 1, []string{"strat"}},
		{"unknown-option", "", 1, []string{"start", "Photos", "--wiat"}},
		{"pending", "", 5, []string{"destroy", "Photos"}},
		{"pending-json", "", 5, []string{"destroy", "Photos", "--json", "--yes"}},
		{"approvals-none", "", 0, []string{"approvals"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			term := newTerminal(t, c.typed)
			term.run(c.code, c.args...)
			golden(t, c.name, "stdout:\n"+term.out.String()+"stderr:\n"+term.err.String())
		})
	}
}

func TestTheRequesterConfirmsWithThePhrase(t *testing.T) {
	term := newTerminal(t, "fotos\nPhotos\n", toolstest.WithPeople(toolstest.Solo))
	term.run(0, "destroy", "Photos")
	golden(t, "confirm", "stdout:\n"+term.out.String()+"stderr:\n"+term.err.String())
	term.did("destroy nas 1")
}

func TestNotConfirmedIsNotDoneAndCanBeAskedAgainAtOnce(t *testing.T) {
	term := newTerminal(t, "\nno\nno\nno\nPhotos\n", toolstest.WithPeople(toolstest.Solo))
	wants(t, term.run(2, "destroy", "Photos"), "not confirmed; nothing was done")
	wants(t, term.run(2, "destroy", "Photos"), "that is not it", "not confirmed; nothing was done")
	term.did()
	term.run(0, "destroy", "Photos")
	term.did("destroy nas 1")
}

func TestYesConfirmsInAScriptAndIsRecorded(t *testing.T) {
	term := script(t, toolstest.WithPeople(toolstest.Solo))
	wants(t, term.run(0, "destroy", "Photos", "--yes", "--reason", "old"), "destroyed Photos")
	term.did("destroy nas 1")
	found := false
	for _, rec := range term.gate.Records(t) {
		found = found || rec.Event == tools.EventVoted && strings.Contains(rec.Detail, "--yes")
	}
	if !found {
		t.Error("the audit log does not say that --yes confirmed it")
	}
}

func TestAScriptWithoutYesIsNotAskedAndDoesNotHang(t *testing.T) {
	term := script(t, toolstest.WithPeople(toolstest.Solo))
	r, w := io.Pipe() // a read from it would wait for ever
	defer w.Close()
	term.app.Stdin = r
	text := term.run(5, "destroy", "Photos")
	wants(t, text, "add --yes", "duplibot approve a-")
	term.did()
	// The request can be agreed to by the same person elsewhere.
	id := requestID.FindString(text)
	wants(t, term.run(2, "approve", id), "nobody can be asked here", "--phrase TEXT")
	term.run(0, "approve", id, "--phrase", "Photos")
	term.did("destroy nas 1")
}

func TestAnotherPersonApprovesAtAnotherTerminal(t *testing.T) {
	ann := newTerminal(t, "")
	id := requestID.FindString(ann.run(5, "destroy", "Photos", "--reason", "it is old"))
	wants(t, ann.run(2, "approve", id), "you asked for this yourself; another person must agree")
	wants(t, ann.run(2, "approve", id, "--yes"), "you asked for this yourself; another person must agree")

	bob := newTerminal(t, "Photos\n")
	bob.gate, bob.caller = ann.gate, toolstest.BobAtTerminal
	bob.app.Registry = ann.gate.Registry
	wants(t, bob.run(0, "approvals"), id, "1 request, 1 for you to decide", "can decide")
	bob.run(0, "approve", id)
	golden(t, "approve", "stdout:\n"+bob.out.String()+"stderr:\n"+bob.err.String())
	ann.did("destroy nas 1")
	wants(t, bob.run(2, "approve", id), "is already done")
	wants(t, bob.run(0, "approvals"), "nothing waits")
	wants(t, bob.run(0, "approvals", "--all"), id, "done")
}

func TestWaitApprovalWaitsForTheOthersAndShowsTheResult(t *testing.T) {
	ann := newTerminal(t, "")
	decide := func(yes bool) {
		go func() {
			for {
				list, err := ann.gate.Desk.Requests(context.Background(), tools.Filter{States: []tools.State{tools.StatePending}})
				if err == nil && len(list) == 1 {
					ann.gate.Decide(toolstest.BobAtTerminal, list[0].ID, yes)
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
	}
	decide(true)
	wants(t, ann.run(0, "destroy", "Photos", "--wait-approval"), "destroyed Photos")
	ann.did("destroy nas 1")
	decide(false)
	wants(t, ann.run(2, "destroy", "Mail", "--wait-approval"), "is denied by bob; nothing was done")
	ann.did("destroy nas 1")
}

func TestWaitingCanBeInterruptedAndTheRequestStays(t *testing.T) {
	ann := newTerminal(t, "")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if code := ann.app.Run(ctx, []string{"destroy", "Photos", "--wait-approval"}); code != cli.ExitInterrupted {
		t.Errorf("exits %d", code)
	}
	wants(t, ann.err.String(), "interrupted; the request still waits", "duplibot withdraw a-")
	id := requestID.FindString(ann.err.String())
	wants(t, ann.run(0, "withdraw", id), "is withdrawn; nothing was done")
	ann.did()
}

func TestDenyNeedsNoQuestion(t *testing.T) {
	ann := newTerminal(t, "")
	id := requestID.FindString(ann.run(5, "destroy", "Photos"))
	ann.caller = toolstest.VeraAtTerminal
	wants(t, ann.run(2, "deny", id), "vera is not an approver")
	ann.caller = toolstest.BobAtTerminal
	wants(t, ann.run(0, "deny", id), "is denied; nothing was done")
	ann.caller = toolstest.AnnAtTerminal
	wants(t, ann.run(2, "destroy", "Photos"), "this was denied at")
}

func TestAnUnknownOutcomeIsSettledByAPersonWhoLooked(t *testing.T) {
	term := newTerminal(t, "", toolstest.WithPeople(toolstest.Solo))
	term.gate.World.Before = func(context.Context, string) error {
		return tools.Errorf(tools.UnknownOutcome, "the connection broke")
	}
	// bring cannot be settled by a look at the server.
	os.WriteFile(filepath.Join(term.app.Dir, "x.json"), []byte("{}"), 0o600)
	wants(t, term.run(2, "bring", "x.json", "--yes"), "the connection broke")
	id := requestID.FindString(term.run(0, "approvals"))
	wants(t, term.run(1, "settle", id), "--done or --not-done")
	wants(t, term.run(0, "settle", id, "--not-done"), "it took no effect, says ann")
	wants(t, term.run(2, "settle", id, "--done"), "is settled and not unknown")
}

func TestANewSecretIsTypedTwiceAndNeverShown(t *testing.T) {
	term := newTerminal(t, "y\n", toolstest.WithPeople(toolstest.Solo), toolstest.WithOperations(newWord(t)))
	term.secrets = []string{"canary-1", "canary-2", "canary-11", "canary-11"}
	text := term.run(0, "set-word", "--yes")
	wants(t, text, "Word: ", "Word, once more: ", "the two are not the same", "9 letters")
	if strings.Contains(text, "canary") {
		t.Errorf("the secret is shown:\n%s", text)
	}
	if term.gate.Vault.Holding() != 0 {
		t.Error("a secret is still held")
	}
}

type newWordIn struct {
	Word tools.Secret `json:"word" jsonschema:"The new word" tool:"new"`
	tools.OnServer
}

func newWord(t *testing.T) tools.Operation {
	return tools.Define(tools.Spec{Name: "set-word", Summary: "Set the word", Group: "things", Toolset: "core", Risk: tools.Critical},
		tools.Handler[newWordIn, toolstest.Outcome]{
			Plan: func(context.Context, tools.Env, newWordIn) (tools.Plan, error) {
				return tools.Plan{Target: tools.Target{Server: "nas", Kind: "server", Name: "nas"}, Effects: []string{"the old word is gone"}}, nil
			},
			Do: func(ctx context.Context, env tools.Env, in newWordIn) (toolstest.Outcome, error) {
				word, err := env.Secret(ctx, in.Word)
				return toolstest.Outcome{Done: regexp.MustCompile(`.`).ReplaceAllString(word.Reveal(), "x")}, err
			},
			View: func(o toolstest.Outcome) tools.View {
				return tools.View{Headline: strings.TrimSpace(itoa(len(o.Done)) + " letters")}
			},
		})
}

func itoa(n int) string { return string(rune('0' + n)) }

func TestSecretsComeByReferenceByPageOrGenerated(t *testing.T) {
	term := script(t, toolstest.WithPeople(toolstest.Solo))
	wants(t, term.run(2, "set-word", "Photos"), "set-word needs the word, which cannot be typed here", "--word env:NAME")
	wants(t, term.run(0, "set-word", "Photos", "--word", "env:WORD", "--yes"), "set the word of Photos")
	wants(t, term.run(0, "set-word", "Photos", "--word=photos-passphrase", "--yes"), "set the word of Photos")
	wants(t, term.run(0, "set-word", "Photos", "--generate", "--yes"), "set the word of Photos")
	term.did("set-word of 13 letters nas 1", "set-word of 15 letters nas 1", "set-word of 18 letters nas 1")
	wants(t, term.run(2, "start", "Photos", "--generate"), "lacks no secret that could be generated")
	text := term.run(2, "set-word", "Photos", "--word", "hunter2", "--yes")
	if strings.Contains(text, "hunter2") {
		t.Errorf("what was typed for a reference is repeated:\n%s", text)
	}
}

func TestASecretOptionWithoutAValueIsTyped(t *testing.T) {
	term := newTerminal(t, "y\n", toolstest.WithPeople(toolstest.Solo))
	term.secrets = []string{"canary"}
	term.run(0, "set-word", "--word", "--yes", "Photos")
	term.did("set-word of 6 letters nas 1")
}

func TestAFileIsReadHereAndHeldForTheCall(t *testing.T) {
	term := newTerminal(t, "y\n", toolstest.WithPeople(toolstest.Solo))
	if err := os.WriteFile(filepath.Join(term.app.Dir, "photos.json"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	term.run(0, "bring", "photos.json")
	term.did("bring 5 bytes nas")
	wants(t, term.run(2, "bring", "none.json"), "none.json cannot be read: no such file or directory; nothing was done")
	wants(t, term.run(2, "bring", "."), "is not a regular file")
	wants(t, term.run(1, "bring", "a", "b"), "takes no further word by position")
	wants(t, term.run(1, "bring"), "bring needs FILE; nothing was done", "usage: duplibot bring [FILE]")

	piped := script(t, toolstest.WithPeople(toolstest.Solo))
	piped.app.Stdin = strings.NewReader("1234567")
	piped.run(0, "bring", "-", "--yes")
	piped.did("bring 7 bytes nas")
}

func TestWhatIsKeptIsWrittenWholeAndPrivateOrNotAtAll(t *testing.T) {
	term := script(t, toolstest.WithPeople(toolstest.Solo))
	term.run(0, "make-token", "--yes", "--folder", "out")
	path := filepath.Join(term.app.Dir, "out", "nas-token.txt")
	wants(t, term.out.String(), "it is in "+path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	first, _ := os.ReadFile(path)
	if !strings.HasPrefix(string(first), "generated-canary-") {
		t.Errorf("the file holds %q", first)
	}
	wants(t, term.run(2, "make-token", "--yes", "--folder", "out"), "is there already and was left as it is", "--overwrite")
	if again, _ := os.ReadFile(path); !bytes.Equal(first, again) {
		t.Error("the file was replaced")
	}
	// It can still be fetched, elsewhere.
	text := term.run(0, "approvals", "--all")
	id := requestID.FindString(text)
	term.run(0, "fetch", id, "--to", "other")
	second, err := os.ReadFile(filepath.Join(term.app.Dir, "other", "nas-token.txt"))
	if err != nil || bytes.Equal(first, second) {
		t.Errorf("%q, %v", second, err)
	}
	wants(t, term.run(2, "fetch", id, "--to", "third"), "it may have been fetched already")
	if left, _ := os.ReadDir(filepath.Join(term.app.Dir, "third")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	term.run(0, "make-token", "--yes", "--folder", "out", "--overwrite")
	if again, _ := os.ReadFile(path); bytes.Equal(first, again) {
		t.Error("--overwrite did not replace it")
	}
	if strings.Contains(text+term.out.String(), "generated-canary") {
		t.Error("the secret is shown")
	}
}

func TestNothingOfAServerReachesATerminalAsItIs(t *testing.T) {
	for _, args := range [][]string{{"list-things"}, {"list-things", "--json"}, {"start", "3"}, {"destroy", "3"}, {"start", "3", "--json"}} {
		term := newTerminal(t, "x\n", toolstest.WithPeople(toolstest.Solo))
		term.app.Terminal.Out, term.app.Terminal.Err = true, true
		term.app.Env = func(name string) string { return map[string]string{"NO_COLOR": "1"}[name] }
		ctx := context.Background()
		term.app.Run(ctx, args)
		for _, text := range []string{term.out.String(), term.err.String()} {
			for _, bad := range []string{"\x1b", "\u202e", "\u009b"} {
				if strings.Contains(text, bad) {
					t.Errorf("%q prints %q:\n%q", args, bad, text)
				}
			}
		}
	}
}

func TestAPhraseThatCannotBeTypedIsTypedAsShown(t *testing.T) {
	term := newTerminal(t, "<!channel> *bold* `code` gnp.exe\n", toolstest.WithPeople(toolstest.Solo))
	term.run(0, "destroy", "3")
	term.did("destroy nas 3")
}

func TestProgressIsABarAtATerminalAndLinesElsewhere(t *testing.T) {
	term := newTerminal(t, "")
	term.run(0, "start", "Photos")
	wants(t, term.err.String(), "step 1 of 5 (20%)\n")
	if strings.Contains(term.err.String(), "\r") {
		t.Errorf("drawn over: %q", term.err)
	}
	term.app.Terminal.Err = true
	term.run(0, "start", "Photos")
	wants(t, term.err.String(), "\r[########################] 100%  step 5 of 5")
	if !strings.HasSuffix(term.err.String(), "\r") {
		t.Errorf("the bar is left behind: %q", term.err)
	}
	term.run(0, "start", "Photos", "--json")
	if term.err.String() != "" {
		t.Errorf("progress with --json: %q", term.err)
	}
}

func TestAnInterruptedCallSaysWhatGoesOn(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	term := newTerminal(t, "")
	term.gate.World.Before = func(ctx context.Context, _ string) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	if code := term.app.Run(ctx, []string{"start", "Photos"}); code != cli.ExitInterrupted {
		t.Errorf("exits %d", code)
	}
	wants(t, term.err.String(), "interrupted; what was begun at the server goes on there")

	ctx, cancel = context.WithCancel(context.Background())
	term = newTerminal(t, "", toolstest.WithPeople(toolstest.Solo))
	term.gate.World.Before = func(context.Context, string) error {
		cancel()
		time.Sleep(20 * time.Millisecond)
		return nil
	}
	if code := term.app.Run(ctx, []string{"destroy", "Photos", "--yes"}); code != cli.ExitDone {
		t.Errorf("what was agreed to ends with %d", code)
	}
	wants(t, term.err.String(), "it was agreed to and is being done")
	term.did("destroy nas 1")
}

func TestServerUtilsOptionsAreReadInOnePlace(t *testing.T) {
	term := script(t)
	term.run(0, "--hosturl", "https://nas:8200", "list-things", "--password=env:PW", "--host-cert", "ab,cd;*", "--server-datafolder", "data", "--portable-mode", "true", "--insecure", "false", "--no-color")
	g := term.seen
	if g.HostURL != "https://nas:8200" || g.Password.String() != "env:PW" || !g.Insecure && len(g.HostCert) != 2 || g.DataFolder != filepath.Join(term.app.Dir, "data") || !g.Portable || !g.NoColor {
		t.Errorf("%+v", g)
	}
	wants(t, term.run(0, "list-things", "--settings-file", "x.json", "--ignore-revocation-failure"), "--settings-file has no effect: logins are kept in the keyring", "--ignore-revocation-failure has no effect")
	wants(t, term.run(2, "list-things", "--password"), "the server password cannot be typed here")
	for _, args := range [][]string{{"list-things", "--password=hunter2"}, {"list-things", "--settings-encryption-key", "hunter2"}} {
		text := term.run(1, args...)
		wants(t, text, "takes a reference and not the secret itself")
		if strings.Contains(text, "hunter2") {
			t.Errorf("the password is repeated:\n%s", text)
		}
	}
	wants(t, term.run(1, "list-things", "--secret-provider", "env://"), "--secret-provider is not taken here")
	wants(t, term.run(1, "--cofnig", "x"), "there is no option --cofnig", "did you mean --config?")
	wants(t, term.run(1, "--config"), "--config needs a value")
	wants(t, term.run(0, "start", "Ledger", "--server", "office"), "started Ledger")
	wants(t, term.run(0, "--server", "office", "start", "Ledger"), "started Ledger")

	asked := newTerminal(t, "")
	asked.secrets = []string{"canary"}
	asked.run(0, "list-things", "--password")
	if asked.seen.Typed.Reveal() != "canary" {
		t.Error("the typed password did not arrive")
	}
}

func TestHelpHasServerUtilsAliases(t *testing.T) {
	term := script(t)
	for _, args := range [][]string{{}, {"--help"}, {"-h"}, {"-?"}, {"/h"}, {"help"}, {"/help"}, {"usage"}, {"--usage"}, {"/usage"}} {
		wants(t, term.run(0, args...), "usage: duplibot COMMAND", "list-things")
	}
	wants(t, term.run(0, "--version"), "duplibot 1.0")
	wants(t, term.run(1, "help", "nonsense"), "there is no command")
}

func TestErrorsOfConnectingAreTold(t *testing.T) {
	term := script(t)
	term.app.Connect = func(context.Context, cli.Globals) (*cli.Link, error) {
		return nil, tools.Errorf(tools.Unavailable, "the daemon does not answer; nothing was done").WithHint("systemctl status duplibot")
	}
	wants(t, term.run(2, "list-things"), "duplibot: error: the daemon does not answer", "duplibot: hint: systemctl status duplibot")
	term.app.Connect = func(context.Context, cli.Globals) (*cli.Link, error) { return nil, errors.New("broken") }
	wants(t, term.run(1, "approvals"), "duplibot: error: broken")
}
