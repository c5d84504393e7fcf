package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/cli"
	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/ops"
	"github.com/duplibot/duplibot/tools/toolstest"
)

const serverPassword = "correct-password-canary"

// office is every operation at a terminal, over real sessions, vault and
// store, against a simulated Duplicati server.
type office struct {
	*terminal
	nas *duplicatitest.Server
}

// reference writes a secret to a file of this account and refers to it.
func reference(t *testing.T, word string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "word")
	if err := os.WriteFile(path, []byte(word), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file:" + path
}

func newOffice(t *testing.T, typed string, o duplicatitest.Options, opts ...toolstest.Option) *office {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	o.Password, o.ForeverTokens = serverPassword, true
	nas := duplicatitest.Start(t, o)
	ctx, state := context.Background(), filepath.Join(t.TempDir(), "state")
	must(os.Mkdir(state, 0o700))
	ring, err := keyring.Open(ctx, keyring.Config{Backend: keyring.File, Dir: filepath.Join(state, "keyring"), Passphrase: keyring.NewPassphrase()})
	must(err)
	locks, err := store.OpenLocks(filepath.Join(state, "locks"))
	must(err)
	ref, err := secret.ParseRef(reference(t, serverPassword))
	must(err)
	log, references := slog.New(slog.DiscardHandler), auth.NewReferences(ring)
	sessions, err := auth.New(auth.Options{
		Servers: []auth.Server{{Name: "nas", URL: nas.URL, Password: ref}},
		Ring:    ring, Locks: locks, References: references, Timeout: 10 * time.Second, Log: log,
	})
	must(err)
	t.Cleanup(func() { sessions.Close(context.Background()) })
	vault, err := auth.NewVault(auth.VaultOptions{
		Ring: ring, Keys: auth.NewKeys(ring, locks), References: references, Folder: filepath.Join(state, "vault"), Export: t.TempDir(), Log: log,
	})
	must(err)
	operations := ops.All(ops.Deps{
		Servers: sessions, Poll: 20 * time.Millisecond,
		Key: func(context.Context) ([]byte, error) { return bytes.Repeat([]byte{9}, 32), nil },
	})
	opts = append([]toolstest.Option{
		toolstest.WithOperations(operations...), toolstest.WithVault(vault), toolstest.WithServers("nas", "nas"),
		toolstest.WithExplain(auth.Explain), toolstest.WithPeople(toolstest.Solo),
	}, opts...)
	term := newTerminal(t, typed, opts...)
	term.resolve = references.Resolve
	return &office{term, nas}
}

// object runs a line with --json and reads the one object that there must be.
func (term *terminal) object(code int, args ...string) object {
	term.t.Helper()
	term.run(code, append(args, "--json")...)
	return term.parse(args...)
}

// object is what --json prints: all that ServerUtil's has, and ours.
type object struct {
	Timestamp     time.Time
	UnixTimestamp int64
	Command       *string
	Success       *bool
	ExitCode      *int
	Messages      []string
	Exceptions    []string
	Status        string
	Result        json.RawMessage
	Approval      *tools.Waiting
	Error         *tools.Error
}

func (term *terminal) parse(args ...string) (o object) {
	term.t.Helper()
	text := term.out.String()
	dec := json.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(&o); err != nil {
		term.t.Fatalf("%q prints no JSON object: %v\n%s%s", args, err, text, term.err)
	}
	if _, err := dec.Token(); err == nil {
		term.t.Errorf("%q prints more than one object:\n%s", args, text)
	}
	if o.Command == nil || o.Success == nil || o.ExitCode == nil || o.Messages == nil || o.Exceptions == nil || o.Timestamp.IsZero() || o.UnixTimestamp == 0 || o.Status == "" {
		term.t.Errorf("%q lacks a key:\n%s", args, text)
	}
	return o
}

func TestEveryCommandOfServerUtilWorksAsItsUsersTypeIt(t *testing.T) {
	for _, generation := range duplicatitest.Generations() {
		t.Run(generation, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, "", duplicatitest.Options{Generation: generation})
			o.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
			o.nas.AddBackup(duplicatitest.Backup{Name: "Old mail"})
			passphrase := reference(t, "file-canary-passphrase")
			word := reference(t, "new-canary-password")
			var all bytes.Buffer
			for _, c := range []struct {
				line string
				want string
			}{
				{"health", "is healthy"},
				{"login", "logged in to nas"},
				{"list-backups", "Photos"},
				{"list-backups --detailed", "Old mail"},
				{"status", "nas is idle"},
				{"run Photos", "Photos"},
				{"wait Photos", "succeeded"},
				{"run photos --wait --poll-interval 1s", "Photos succeeded"},
				{"run 2 --wait --skip-queue", "Old mail succeeded"},
				{"result Photos", "succeeded"},
				{"progress", "nothing runs"},
				{"pause 30m", "is paused until"},
				{"resume", "goes on"},
				{"pause --until-resumed --yes", "is paused"},
				{"resume", "goes on"},
				{"export Photos --destination out --encryption-passphrase " + passphrase, "1-Photos.json.aes"},
				{"export all --destination clear --unencrypted --export-passwords --yes", "2-Old mail.json"},
				{"delete 'Old mail' --delete-remote-files true --delete-local-db --force false --yes", "is deleted"},
				{"import 'clear/2-Old mail.json' --yes", "Old mail"},
				{"issue-forever-token --destination tokens --yes", "tokens/"},
				{"change-password " + word + " --yes", "password"},
				{"servers", "nas"},
				{"approval", "request"},
				{"logout", "the old token is refused"},
				{"list-backups --no-detailed", "Photos"},
			} {
				words, err := tools.Split(c.line)
				if err != nil {
					t.Fatal(err)
				}
				text := o.run(0, words...)
				wants(t, text, c.want)
				all.WriteString(text)
			}
			for _, canary := range []string{"canary", "eyJ"} {
				if strings.Contains(all.String(), canary) {
					t.Errorf("%q is shown in\n%s", canary, &all)
				}
			}
			for _, file := range []string{"out/1-Photos.json.aes", "clear/1-Photos.json", "clear/2-Old mail.json"} {
				info, err := os.Stat(filepath.Join(o.app.Dir, file))
				if err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
					t.Errorf("%s: %v, %v", file, info, err)
				}
			}
			kept, err := filepath.Glob(filepath.Join(o.app.Dir, "tokens", "*"))
			if err != nil || len(kept) != 1 {
				t.Fatalf("tokens: %v, %v", kept, err)
			}
			if token, _ := os.ReadFile(kept[0]); !strings.HasPrefix(string(token), "eyJ") {
				t.Errorf("%s holds no token", kept[0])
			}
		})
	}
}

func TestRunWithWaitExitsAsServerUtilDoes(t *testing.T) {
	o := newOffice(t, "", duplicatitest.Options{})
	id := o.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	for result, code := range map[duplicatitest.Result]int{
		duplicatitest.Succeeds: 0, duplicatitest.Warns: 2, duplicatitest.Errs: 3, duplicatitest.Fails: 4,
	} {
		o.nas.SetOutcome(id, duplicatitest.Outcome{Result: result, Message: "as planned"})
		got := o.object(code, "run", "Photos", "--wait")
		if *got.ExitCode != code || *got.Success != (code == 0) || *got.Command != "run" || got.Status != "done" {
			t.Errorf("%v: %+v", result, got)
		}
		o.run(code, "run", "Photos", "--wait", "--quiet")
		if quiet := o.out.String() == ""; quiet != (code == 0) {
			t.Errorf("--quiet, exit code %d, prints %q", code, o.out)
		}
	}
	if got := o.object(2, "run", "Fotos", "--wait"); got.Error.Code != tools.NotFound || len(got.Exceptions) != 1 {
		t.Errorf("%+v", got)
	}
	o.nas.Close()
	if got := o.object(1, "health"); got.Status != "done" {
		t.Errorf("%+v", got)
	}
}

func TestAnInterruptedWaitLeavesTheBackupToGoOn(t *testing.T) {
	o := newOffice(t, "", duplicatitest.Options{})
	id := o.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	o.nas.SetOutcome(id, duplicatitest.Outcome{Hold: true})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for !strings.Contains(o.err.String(), "Photos") && ctx.Err() == nil { // its progress
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if code := o.app.Run(ctx, []string{"run", "Photos", "--wait"}); code != cli.ExitInterrupted {
		t.Errorf("exits %d\n%s", code, o.err)
	}
	wants(t, o.err.String(), "interrupted; what was begun at the server goes on there", "meanwhile: duplibot progress", "meanwhile: duplibot stop")
	wants(t, o.run(0, "progress", "Photos"), "Photos")
	if !o.nas.Finish() {
		t.Error("nothing runs at the server any more")
	}
}

func TestTheWorstIsAskedForWithThePhraseAndRunsOnce(t *testing.T) {
	o := newOffice(t, "photos\nPhotos\n", duplicatitest.Options{})
	o.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	text := o.run(0, "delete", "Photos", "--delete-remote-files")
	wants(t, text, `delete: backup "Photos" (1) on nas`, "destination", "all its versions", "that is not it", "is deleted")
	if n := o.nas.Count("DELETE", "/api/v1/backup/"); n != 1 {
		t.Errorf("deleted %d times", n)
	}
	wants(t, o.run(2, "delete", "Photos", "--yes"), "nas has no backup")
}

func TestNoSecretOfAServerReachesATerminal(t *testing.T) {
	o := newOffice(t, "", duplicatitest.Options{})
	o.nas.AddBackup(duplicatitest.Backup{Name: "Photos", Runs: []duplicatitest.Run{{Ago: time.Hour}}})
	canaries := append(o.nas.PlantCanaries(), serverPassword)
	for _, line := range []string{
		"list-backups --detailed", "status", "health", "result Photos", "servers", "run Photos --wait", "progress", "login",
		"export all --destination out --generate", "delete Photos --yes", "approvals --all", "help", "logout",
	} {
		for _, how := range []string{"", " --json"} {
			words, _ := tools.Split(line + how)
			o.out.b.Reset()
			o.err.b.Reset()
			o.app.Run(context.Background(), words)
			for _, c := range canaries {
				if text := o.out.String() + o.err.String(); strings.Contains(text, c) {
					t.Errorf("%q shows %q:\n%s", words, c, text)
				}
			}
		}
	}
	records, err := json.Marshal(o.gate.Records(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range canaries {
		if bytes.Contains(records, []byte(c)) {
			t.Errorf("the audit log holds %q", c)
		}
	}
}

// operations is every operation there is.
func operations(t *testing.T) []*tools.Operation {
	t.Helper()
	return tools.NewRegistry(ops.All(ops.Deps{})...).All()
}

// unreached is a terminal with every operation that never gets to a gate.
func unreached(t *testing.T) *terminal {
	term := script(t)
	term.app.Registry = tools.NewRegistry(ops.All(ops.Deps{})...)
	term.app.Connect = func(_ context.Context, g cli.Globals) (*cli.Link, error) {
		term.seen = g
		return nil, errors.New("connected")
	}
	return term
}
