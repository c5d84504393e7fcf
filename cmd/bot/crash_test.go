//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/config"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// crashCase is a critical call and how the server shows that it took effect.
type crashCase struct {
	operation string
	args      map[string]any
	secret    string // parameter that is held
	word      string
	method    string
	path      string
	// repeats says that the request may be sent again without a second effect:
	// reading an export changes nothing at the server.
	repeats bool
}

var crashCases = []crashCase{
	{operation: "delete", args: map[string]any{"backup": "Photos"}, method: "DELETE", path: "/api/v1/backup/"},
	{operation: "change-password", secret: "new_password", word: "crash-canary-new-password", method: "PUT", path: "/api/v1/serversetting/server-passphrase"},
	{operation: "issue-forever-token", method: "POST", path: "/api/v1/auth/issue-forever-token"},
	{operation: "import", secret: "file", word: "EXPORT", method: "POST", path: "/api/v1/backups/import"},
	{operation: "export", args: map[string]any{"backups": []string{"Photos"}, "unencrypted": true}, method: "GET", path: "/api/v1/backup/1/export", repeats: true},
	{operation: "pause", args: map[string]any{"until_resumed": true}, method: "POST", path: "/api/v1/serverstate/pause"},
}

// crashChild is what a process that is about to be killed is told.
type crashChild struct {
	URL, State, Key string
	Step            tools.Step
	Case            int
	Word            string
}

func init() { crashed = crash }

// crash asks for the call, agrees to it, and dies at its step.
func crash(text string) {
	var c crashChild
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	armed := false
	b, err := crashBot(c.URL, c.State, c.Key, func(s tools.Step) {
		if armed && s == c.Step {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	ctx := context.Background()
	caller, err := ownCaller(tools.CLI, "")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	k := crashCases[c.Case]
	args := map[string]any{}
	for name, v := range k.args {
		args[name] = v
	}
	if k.secret != "" {
		held, err := b.desk.Hold(ctx, caller, secret.New(c.Word))
		if err != nil {
			fmt.Fprintln(os.Stderr, "hold:", err)
			return
		}
		args[k.secret] = string(held)
	}
	answer, err := b.runner.Run(ctx, tools.Call{Operation: k.operation, Args: args, Caller: caller})
	if err != nil || answer.Approval == nil {
		fmt.Fprintf(os.Stderr, "run: %+v %v\n", answer, err)
		return
	}
	armed = true
	a, err := b.desk.Decide(ctx, tools.Decision{ID: answer.Approval.ID, Caller: caller, Yes: true, Unattended: true})
	fmt.Fprintln(os.Stderr, "lived:", a.State, err)
}

func crashBot(url, state, key string, onStep func(tools.Step)) (*bot, error) {
	id, err := config.OwnIdentity()
	if err != nil {
		return nil, err
	}
	ref, err := secret.ParseRef("file:" + filepath.Join(state, "password"))
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Open(context.Background(), keyring.Config{Backend: keyring.File, Dir: filepath.Join(state, "keyring"), Passphrase: secret.New(key)})
	if err != nil {
		return nil, err
	}
	return newBot(&config.Config{
		Servers: []config.Server{{Name: "nas", URL: url, Password: ref}}, DefaultServer: "nas",
		Store:   config.Store{Path: filepath.Join(state, "duplibot.db")},
		People:  []config.Person{{Name: "owner", Identities: []string{id, "uid:4242"}, Roles: []string{"admin", "approver"}}, {Name: "other", Roles: []string{"operator"}}},
		Folders: config.Folders{Export: filepath.Join(state, "exports")},
	}, botOptions{Ring: ring, OnStep: onStep})
}

// TestAKillRunsNothingTwice kills the process at each step of every critical
// operation. Whatever happens, the call reaches the server at most once, and
// the next process knows of it.
func TestAKillRunsNothingTwice(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("as root: the store's owner is root, who is an entry of people here")
	}
	times := 1
	if n, err := strconv.Atoi(os.Getenv("DUPLIBOT_KILLS")); err == nil {
		times = n
	}
	listed := map[string]bool{}
	for i, k := range crashCases {
		listed[k.operation] = true
		for _, step := range []tools.Step{tools.BeforeIntent, tools.AfterIntent, tools.AfterCall, tools.BeforeOutcome} {
			t.Run(k.operation+"/"+strings.ReplaceAll(string(step), " ", "-"), func(t *testing.T) {
				for range times {
					killAt(t, i, k, step)
				}
			})
		}
	}
	for _, op := range operations().All() {
		if op.Risk == tools.Critical && !listed[op.Name] {
			t.Errorf("%s is critical and no case kills it", op.Name)
		}
	}
}

func killAt(t *testing.T, i int, k crashCase, step tools.Step) {
	t.Helper()
	s := duplicatitest.Start(t, duplicatitest.Options{Password: "old-password", ForeverTokens: true, TaskTime: -1})
	s.AddBackup(duplicatitest.Backup{Name: "Photos", TargetURL: "file:///mnt/photos", Passphrase: "p", Sources: []string{"/data/"}, Runs: []duplicatitest.Run{{Ago: time.Hour}}})
	state := t.TempDir()
	if err := os.Chmod(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(state, "exports"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "password"), []byte("old-password"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := keyring.NewPassphrase().Reveal()
	word := k.word
	if word == "EXPORT" {
		word = `{"CreatedBy":"test","Backup":{"Name":"Brought","TargetURL":"file:///mnt/brought","Sources":["/data/"],"Settings":[{"Name":"--no-encryption","Value":"true"}],"Filters":[]},"Schedule":null}`
	}
	text, err := json.Marshal(crashChild{URL: s.URL, State: state, Key: key, Step: step, Case: i, Word: word})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashVariable+"="+string(text))
	out, err := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		t.Fatalf("the process was not killed: %v\n%s", err, out)
	}
	effects := func() int { return s.Count(k.method, k.path) }
	atKill := effects()
	if called := step == tools.AfterCall || step == tools.BeforeOutcome; called != (atKill > 0) {
		t.Fatalf("killed %s: the server had seen %d calls", step, atKill)
	}

	b, err := crashBot(s.URL, state, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close(context.Background())
	ctx := context.Background()
	for range 2 { // a second look must do no more than the first
		if err := b.desk.Recover(ctx); err != nil {
			t.Fatal(err)
		}
	}
	list, err := b.desk.Requests(ctx, tools.Filter{})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d requests, %v: the request is lost", len(list), err)
	}
	a := list[0]
	n := effects()
	if n > 1 && !k.repeats {
		t.Errorf("the server was called %d times", n)
	}
	switch step {
	case tools.BeforeIntent:
		if a.State != tools.StateDone || n == 0 {
			t.Errorf("agreed and not begun: now %s after %d calls (%v)", a.State, n, a.Failure)
		}
	case tools.AfterIntent:
		if n != 0 || a.State != tools.StateUnknown && !(a.State == tools.StateSettled && strings.Contains(a.Settlement, "no effect")) {
			t.Errorf("never called: now %s, %q, after %d calls", a.State, a.Settlement, n)
		}
	default:
		if a.State != tools.StateUnknown && !(a.State == tools.StateSettled && strings.Contains(a.Settlement, "took effect")) {
			t.Errorf("called once: now %s, %q (%v)", a.State, a.Settlement, a.Failure)
		}
	}
	anchors, err := b.admin.anchors(ctx)
	if err != nil {
		t.Fatal(err)
	}
	db, err := b.store.DB(ctx)
	if err != nil {
		t.Fatal(err)
	}
	report, err := db.Audit.Verify(ctx, anchors...)
	if err != nil || !report.OK() {
		t.Errorf("the audit log does not hold: %+v %v", report, err)
	}
}
