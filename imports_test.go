// Package duplibot holds no code: this test of the whole module lives here.
package duplibot

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/duplibot/duplibot/"

// mayImport says which packages of this module each package may import beside
// its own sub-packages. The longest prefix that fits counts. Test files are
// exempt.
var mayImport = map[string][]string{
	"secret":                   {},
	"tools":                    {"secret"},
	"tools/toolstest":          {"tools", "secret", "store"}, // for tests alone
	"tools/ops":                {"tools", "duplicati", "duplicati/aescrypt", "secret"},
	"duplicati":                {"secret"},
	"duplicati/aescrypt":       {"secret"},
	"duplicati/duplicatitest":  {"secret", "duplicati/aescrypt"},
	"config":                   {"secret"},
	"auth":                     {"tools", "duplicati", "duplicati/aescrypt", "secret"},
	"auth/keyring":             {"secret", "auth/busguard"},
	"auth/busguard":            {},
	"watch":                    {"tools", "duplicati", "secret"},
	"store":                    {"tools", "secret"},
	"adapters":                 {"tools", "secret"},
	"adapters/slack/slacktest": {},
	"cmd/bot":                  {"*"},
	"bench":                    {"*"},
	"packaging/mcp":            {},
}

func TestPackagesImportWhatTheyMay(t *testing.T) {
	checked := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "node_modules" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		pkg := path.Dir(filepath.ToSlash(name))
		allowed, known := rule(pkg)
		if !known {
			t.Errorf("%s: no rule says what %s may import", name, pkg)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		checked++
		for _, spec := range f.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if imported == "text/template" || imported == "html/template" {
				t.Errorf("%s imports %s, which costs a seventh of the program: docs/decisions/0009-pages-without-templates.md", name, imported)
			}
			ours, isOurs := strings.CutPrefix(imported, module)
			if !isOurs || strings.HasPrefix(ours+"/", pkg+"/") || slices.Contains(allowed, ours) || slices.Contains(allowed, "*") {
				continue
			}
			t.Errorf("%s imports %s; %s may import %s", name, ours, pkg, strings.Join(allowed, ", "))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 50 {
		t.Errorf("only %d files were checked", checked)
	}
}

func rule(pkg string) (allowed []string, known bool) {
	for p := pkg; p != "."; p = path.Dir(p) {
		if allowed, known = mayImport[p]; known {
			return allowed, true
		}
	}
	return nil, false
}

// A sub-package of a test fake, or a test harness, must not get into the
// binary by any way but the demo.
func TestHarnessesStayOutOfTheBinary(t *testing.T) {
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if imported == "testing" && !strings.Contains(name, "test/") && !strings.HasPrefix(name, "adapters/mcp/mcptest") {
				t.Errorf("%s imports testing", name)
			}
			if strings.HasSuffix(imported, "/toolstest") || strings.HasSuffix(imported, "/slacktest") {
				t.Errorf("%s imports %s", name, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
