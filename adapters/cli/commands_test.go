package cli_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/tools/toolstest"
)

func TestTheAuditLogIsNotAskedForWhatNoRecordIs(t *testing.T) {
	term := unreached(t)
	wants(t, term.run(1, "audit", "--event", "refusd"), "there is no such event", "refused, requested")
	wants(t, term.run(1, "audit", "--operation", "delet"), `there is no operation "delet"`, "did you mean delete?")
	wants(t, term.run(1, "audit", "--follow", "--event", "x"), "there is no such event")

	file, err := parser.ParseFile(token.NewFileSet(), "../../tools/audit.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if kind, ok := v.Type.(*ast.Ident); ok && kind.Name == "Event" {
				known++
				event := strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)
				wants(t, term.run(1, "audit", "--event", event), "connected")
			}
		}
		return true
	})
	if known < 10 {
		t.Errorf("%d events are declared", known)
	}
}

func TestYesIsNoPhrase(t *testing.T) {
	ann := newTerminal(t, "")
	id := requestID.FindString(ann.run(5, "destroy", "Photos"))
	bob := newTerminal(t, "")
	bob.gate, bob.caller = ann.gate, toolstest.BobAtTerminal
	wants(t, bob.run(2, "approve", id, "--yes"), "--yes does not give the phrase", "--phrase TEXT")
	ann.did()
	bob.run(0, "approve", id, "--yes", "--phrase", "Photos")
	ann.did("destroy nas 1")
}

func TestAWordOfTheKeyringThatCannotBeTypedIsPiped(t *testing.T) {
	wants(t, script(t).run(2, "secret", "set", "photos"), "cannot be typed here", "duplibot secret set photos -")
}

func TestTheWordsOfACommandAreCompleted(t *testing.T) {
	term := unreached(t)
	for _, c := range []struct {
		typed []string
		want  string
	}{
		{[]string{"token", ""}, "create\t\nlist\t\nrevoke\t\n:done\n"},
		{[]string{"token", "create", "--ceiling", "v"}, "viewer\t\n:done\n"},
		{[]string{"token", "create", "--ceiling="}, "--ceiling=viewer\t\n--ceiling=operator\t\n--ceiling=admin\t\n:done\n"},
		{[]string{"token", "create", "--name", "x", "--to", ""}, ":files\n"},
		{[]string{"fetch", "a-1", "--to", ""}, ":folders\n"},
		{[]string{"secret", ""}, "set\t\nlist\t\nremove\t\n:done\n"},
		{[]string{"audit", "v"}, "verify\t\n:done\n"},
		{[]string{"audit", "--event", "ref"}, "refused\t\n:done\n"},
		{[]string{"audit", "--since", "1h", "v"}, "verify\t\n:done\n"},
		{[]string{"policy", "explain", "del"}, "delete\tDelete a backup, after a person has agreed\n:done\n"},
		{[]string{"policy", "explain", "--via", "s"}, "slack\t\n:done\n"},
		{[]string{"policy", "explain", "--as", "bob", "resu"}, "result\tShow how the last run of a backup went, with its warnings\nresume\tEnd the pause of a server\n:done\n"},
		{[]string{"completion", ""}, "bash\t\nzsh\t\nfish\t\n:done\n"},
		{[]string{"settle", "a-1", "--n"}, "--not-done\t\n--no-color\tNo colours\n:done\n"},
	} {
		term.run(0, append([]string{"__complete", "--"}, c.typed...)...)
		if got := term.out.String(); got != c.want {
			t.Errorf("%q: %q, want %q", c.typed, got, c.want)
		}
	}
}
