package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
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
