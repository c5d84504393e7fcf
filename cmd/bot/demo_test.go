package main

import (
	"bufio"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// An assistant is served on stdin and stdout meanwhile, and bob decides at
// another terminal.
func TestBobOfTheDemoHasNamesCompleted(t *testing.T) {
	demo := exec.CommandContext(t.Context(), "duplibot", "demo", "--mcp")
	stdin, err := demo.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := demo.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stdin.Close(); _ = demo.Wait() }()
	line, err := bufio.NewReader(stderr).ReadString('\n')
	file := regexp.MustCompile(`--config (\S+)`).FindStringSubmatch(line)
	if err != nil || file == nil {
		t.Fatalf("%q, %v", line, err)
	}
	for typed, want := range map[string]string{"run ": "Photos", "delete Lap": "Laptop (new)", "run --server ": "nas"} {
		words := strings.Split(typed, " ")
		out, err := exec.CommandContext(t.Context(), "duplibot", append([]string{"__complete", "--", "--config", file[1]}, words...)...).Output()
		if err != nil || !strings.Contains(string(out), want+"\t") {
			t.Errorf("%q completes to %q, %v", typed, out, err)
		}
	}
}
