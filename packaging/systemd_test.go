//go:build linux

// Package packaging_test holds what the packages promise against the programs
// that read them and against the bot itself.
package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// threshold is how exposed the service may be, in tenths, by the measure of
// systemd-analyze security: 10 is nothing, 100 is a service without any
// protection. It needs the network and a socket that others can reach.
const threshold = "18"

// missing skips a test whose part is not installed, and fails where nothing
// may be skipped.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		missing(t, program+" is not installed: apt-get install systemd")
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// unit writes the unit with changes, as pairs, to a file of its name. Its
// program and account are none of this machine's, so others stand for them.
func unit(t *testing.T, changes ...string) string {
	t.Helper()
	text := read(t, "systemd", "duplibot.service")
	changes = append([]string{"/usr/local/bin/duplibot ", "/bin/true ", "User=duplibot\n", "User=daemon\n", "Group=duplibot\n", "Group=daemon\n"}, changes...)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("the unit lacks %q", changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	path := filepath.Join(t.TempDir(), "duplibot.service")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	return string(out), err
}

func TestSystemdFindsNoFaultInTheUnit(t *testing.T) {
	need(t, "systemd-analyze")
	if out, err := run("systemd-analyze", "verify", "--man=no", unit(t)); err != nil || out != "" {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _ := run("systemd-analyze", "verify", "--man=no", unit(t, "WatchdogSec=", "WatchdogSecs=")); !strings.Contains(out, "WatchdogSecs") {
		t.Errorf("a fault would not be found:\n%s", out)
	}
}

func TestTheUnitIsNotMoreExposedThanItMustBe(t *testing.T) {
	need(t, "systemd-analyze")
	security := func(path string) (string, error) {
		return run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+threshold, path)
	}
	if out, err := security(unit(t)); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, line := range []string{"CapabilityBoundingSet=\n", "SystemCallFilter=@system-service\n", "User=daemon\n"} {
		if out, err := security(unit(t, line, "")); err == nil {
			t.Errorf("without %s it would pass:\n%s", line, out)
		}
	}
}

// What the programs that measure do not know.
func TestTheUnitFitsTheBot(t *testing.T) {
	text := read(t, "systemd", "duplibot.service")
	for why, line := range map[string]string{
		"serve says when it is ready":                          "Type=notify",
		"serve says that it lives":                             "WatchdogSec=60",
		"the group may enter the socket's folder":              "RuntimeDirectoryMode=0750",
		"nobody else may read the store":                       "StateDirectoryMode=0700",
		"the socket is given to its group, which takes chown":  "SystemCallFilter=@chown",
		"the key of the keyring comes from a file only root's": "LoadCredential=keyring:/etc/duplibot/keyring.key",
	} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(line) + `$`).MatchString(text) {
			t.Errorf("%s: the unit lacks %s", why, line)
		}
	}
	if regexp.MustCompile(`(?m)^PrivateUsers=`).MatchString(text) {
		t.Error("with PrivateUsers= every caller at the socket has the uid of nobody")
	}
}

func TestTheAccountIsMade(t *testing.T) {
	need(t, "systemd-sysusers")
	file, err := filepath.Abs(filepath.Join("systemd", "duplibot.sysusers"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := run("systemd-sysusers", "--root="+root, file); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if passwd := read(t, root, "etc", "passwd"); !regexp.MustCompile(`(?m)^duplibot:.*:/var/lib/duplibot:\S*nologin$`).MatchString(passwd) {
		t.Errorf("made %s", passwd)
	}
	if group := read(t, root, "etc", "group"); !strings.HasPrefix(group, "duplibot:") {
		t.Errorf("made %s", group)
	}
}
