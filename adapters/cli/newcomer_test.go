package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// What people do who have read nothing.

func TestNearMissesOfACommandLineAreToldByWhatIsMeant(t *testing.T) {
	term := unreached(t)
	wants(t, term.run(1, "--", "status"), "connected")
	wants(t, term.run(1, "--", "--json", "status"), "connected")
	wants(t, term.run(0, "--"), "usage: duplibot COMMAND")
	wants(t, term.run(1, "help", "run", "wait"), "help takes the name of one command", "duplibot help")
	wants(t, term.run(1, "run", "-rf"), "run has no option -rf", "stands behind --")
	if text := term.run(1, "status", "-rf"); strings.Contains(text, "behind --") {
		t.Errorf("status has no word by position:\n%s", text)
	}
	wants(t, term.run(1, "run", "--", "-rf"), "connected")
	wants(t, term.run(1, "run", "a", "b"), "usage: duplibot run BACKUP")
	for _, args := range [][]string{{"audit", "--limit", "1", "--limit", "2"}, {"token", "create", "--name", "a", "--name=b"}, {"audit", "--follow", "--follow"}} {
		wants(t, term.run(1, args...), "is given twice; nothing was done")
	}
	for _, op := range operations(t) {
		for _, p := range op.Params {
			if p.Required && !p.Secret {
				wants(t, term.run(1, op.Name), op.Name+" needs "+strings.ToUpper(p.Name), "usage: duplibot "+op.Name)
			}
		}
	}
}

// That a filter finds nothing is to mean that nothing was done.

func TestQuietIsQuietOnTheWayToo(t *testing.T) {
	o := newOffice(t, "", duplicatitest.Options{})
	o.app.Terminal = script(t).app.Terminal
	o.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	wants(t, o.run(0, "run", "Photos", "--wait"), "Photos: ") // its progress, on stderr
	for _, line := range [][]string{{"run", "Photos", "--wait", "--quiet"}, {"delete", "Photos", "--yes", "--quiet"}} {
		if text := o.run(0, line...); text != "" {
			t.Errorf("%q prints\n%s", line, text)
		}
	}
}

// A token cannot be had twice, so its folder is looked at first.

func TestAFolderThatCannotBeWrittenToIsFoundBeforeAnythingIsDone(t *testing.T) {
	o := newOffice(t, "", duplicatitest.Options{})
	o.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	if err := os.WriteFile(filepath.Join(o.app.Dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"file", "file/below", "/proc/none", "~/tokens", "~"} {
		for _, line := range [][]string{{"issue-forever-token", "--yes"}, {"export", "Photos", "--generate"}} {
			wants(t, o.run(2, append(line, "--destination", folder)...), "nothing was done", "--destination")
		}
	}
	if n := o.nas.Count("POST", "/api/v1/auth/issue-forever-token"); n != 0 {
		t.Errorf("%d tokens were issued", n)
	}
	if n := len(o.gate.Records(t)); n != 0 {
		t.Errorf("%d records were written", n)
	}

	// One that is not there is made, for its owner alone, and stays when
	// something is in it.
	o.run(2, "export", "Fotos", "--generate", "--destination", "some/where/else")
	if _, err := os.Stat(filepath.Join(o.app.Dir, "some")); !os.IsNotExist(err) {
		t.Errorf("a folder was left behind for nothing: %v", err)
	}
	o.run(0, "issue-forever-token", "--yes", "--destination", "some/where")
	info, err := os.Stat(filepath.Join(o.app.Dir, "some", "where"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	left, err := os.ReadDir(filepath.Join(o.app.Dir, "some", "where"))
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// What the bot has made is in a keyring that no command shows.

func TestWhatWasMadeWithoutARequestCanBeFetched(t *testing.T) {
	o := newOffice(t, "", duplicatitest.Options{})
	o.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	text := o.run(0, "export", "Photos", "--generate", "--destination", "out")
	_, line, told := strings.Cut(text, "to have it in a file: duplibot fetch ")
	if !told {
		t.Fatalf("it is not said how:\n%s", text)
	}
	handle, _, _ := strings.Cut(line, "\n")
	text = o.run(0, "fetch", handle, "--to", "words")
	passphrase, err := os.ReadFile(filepath.Join(o.app.Dir, "words", handle+".txt"))
	if err != nil || len(passphrase) < 20 || strings.Contains(text, string(passphrase)) {
		t.Fatalf("%q, %v", passphrase, err)
	}
	wants(t, o.run(2, "fetch", handle), "it may have been fetched already")
	ref := reference(t, string(passphrase))
	o.run(0, "import", "out/1-Photos.json.aes", ref, "--backup-passphrase", ref, "--yes", "--name", "Again")

	text = o.run(0, "change-password", "generate", "--yes")
	wants(t, text, "to have it in a file: duplibot fetch a-")
	o.run(0, "fetch", requestID.FindString(text), "--to", "words")

	text = o.run(0, "export", "Photos", "--generate", "--destination", "out", "--overwrite")
	_, line, _ = strings.Cut(text, "duplibot fetch ")
	handle, _, _ = strings.Cut(line, "\n")
	o.caller = toolstest.BobAtTerminal
	wants(t, o.run(2, "fetch", handle), "nothing of that name is kept for you")
}

// readerFunc is a stdin.

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAnInterruptedQuestionHasBegunNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	term := newTerminal(t, "")
	term.gate.World.Before = func(context.Context, string) error {
		return tools.Errorf(tools.Unavailable, "nobody knows this certificate").Asking("server", "nas", "Trust it?")
	}
	term.app.Stdin = readerFunc(func([]byte) (int, error) {
		cancel() // as Ctrl-C does while somebody thinks about it
		select {}
	})
	if code := term.app.Run(ctx, []string{"start", "Photos"}); code != 130 {
		t.Errorf("exits %d", code)
	}
	wants(t, term.err.String(), "Trust it?", "interrupted; nothing was done")
	if strings.Contains(term.err.String(), "goes on there") {
		t.Errorf("it says that something goes on:\n%s", term.err)
	}
}

// What is proposed to be typed has to reach the server and the store that this
// line reached.
func TestWhatIsProposedReachesTheSame(t *testing.T) {
	term := newTerminal(t, "")
	term.app.Terminal.Out = true
	wants(t, term.run(5, "destroy", "Photos", "--config", "/etc/my own.yaml"), "duplibot --config '/etc/my own.yaml' withdraw a-")
	wants(t, term.run(5, "destroy", "Mail", "--hosturl=http://nas:8200", "--insecure", "--password", "env:WORD"), "duplibot --hosturl http://nas:8200 --insecure withdraw a-")
	wants(t, term.run(0, "start", "Mail"), "next: duplibot list-things")
	o := newOffice(t, "", duplicatitest.Options{})
	o.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	o.app.Terminal.Out = true
	text := o.run(0, "login", "--hosturl", "http://nas:8200")
	wants(t, text, "next: duplibot --hosturl http://nas:8200 list-backups")
	if strings.Contains(text, "--server") {
		t.Errorf("the server of --hosturl has no name that could be given:\n%s", text)
	}

	term.gate.World.Before = func(context.Context, string) error {
		return tools.Errorf(tools.NotLoggedIn, "nobody is logged in").WithHint("log in: duplibot login --server nas; then again")
	}
	wants(t, term.run(2, "start", "Photos", "--hosturl", "http://nas:8200"), "log in: duplibot login --hosturl http://nas:8200; then again")
	wants(t, term.run(2, "start", "Photos"), "log in: duplibot login --server nas; then again")
}
