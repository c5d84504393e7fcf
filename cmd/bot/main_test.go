package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/duplibot/duplibot/config"
)

// crashVariable tells a process of this test program that it is one to be
// killed, and what it does before.
const crashVariable = "DUPLIBOT_TEST_CRASH"

// crashed does what crashVariable says.
var crashed func(string)

func TestMain(m *testing.M) {
	if text := os.Getenv(crashVariable); text != "" && crashed != nil {
		crashed(text)
		os.Exit(3)
	}
	// Scripts run this program, and so does whatever they start.
	testscript.Main(m, map[string]func(){"duplibot": main})
}

func TestEveryToolsetCanBeConfigured(t *testing.T) {
	for _, op := range operations().All() {
		file := filepath.Join(t.TempDir(), "duplibot.yaml")
		text := "servers: {nas: {url: \"https://nas.lan\"}}\nmcp: {toolsets: [" + op.Toolset + "]}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(file, config.Options{}); err != nil {
			t.Errorf("%s is of the toolset %s: %v", op.Name, op.Toolset, err)
		}
	}
}
