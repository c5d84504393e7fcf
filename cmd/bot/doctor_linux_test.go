package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

// needs finds programs, and skips the test where one is not installed.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			lacks(t, p)
		}
	}
}

// lacks skips a test, and fails it where nothing may be skipped.
func lacks(t *testing.T, part string) {
	t.Helper()
	if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
		t.Fatalf("%s is required and not there", part)
	}
	t.Skipf("%s is not there", part)
}

// begin starts a program that is ended with the test.
func begin(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

// within waits until ok, and fails the test where it does not come about.
func within(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come about")
		}
	}
}

// A desktop that somebody has locked, or whose login had no password.
func TestDoctorKnowsALockedKeyring(t *testing.T) {
	needs(t, "dbus-daemon", "gnome-keyring-daemon", "dbus-send")
	s := newSetUp(t)
	s.serve(duplicatitest.Options{})
	run, home := t.TempDir(), t.TempDir()
	env := []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + run, "PATH=" + os.Getenv("PATH")}

	bus := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1")
	bus.Env = env
	out, err := bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begin(t, bus)
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	s.env = append(env, "DBUS_SESSION_BUS_ADDRESS="+strings.TrimSpace(address), "HOME="+s.dir)
	s.keyring = "secret-service"

	serves := func() bool {
		ask := exec.Command("dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets")
		ask.Env = s.env
		answer, err := ask.Output()
		return err == nil && strings.Contains(string(answer), "true")
	}
	unlock := func(word string) *exec.Cmd {
		args := []string{"--foreground", "--components=secrets"}
		if word != "" {
			args = append(args, "--unlock")
		}
		d := exec.Command("gnome-keyring-daemon", args...)
		d.Env, d.Stdin = s.env[:3], strings.NewReader(word)
		d.Env = append(d.Env, s.env[3])
		begin(t, d)
		within(t, serves)
		return d
	}
	open := unlock("the word that logs in")
	if text, code := s.run("login"); code != 0 {
		t.Fatalf("exit code %d: %s", code, text)
	}
	open.Process.Kill()
	open.Wait()
	within(t, func() bool { return !serves() })
	unlock("")
	s.doctor("keyring-locked", 1)
}

// Accounts of this test: any that are not root's.
const daemonUID, askerUID, strangerUID = 65532, 65533, 65531

// What an account that is only a daemon's client has or lacks is of no use to
// it, so doctor does not complain of it.
func TestDoctorOfADaemonsClientLooksAtTheDaemon(t *testing.T) {
	if os.Getuid() != 0 {
		lacks(t, "the right to start programs under other accounts")
	}
	program, err := exec.LookPath("duplibot")
	if err != nil {
		t.Fatal(err)
	}
	// A place that all of them can enter, with a folder of the daemon's own.
	dir, err := os.MkdirTemp("", "duplibot-doctor-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(dir, 0o755))
	binary, err := os.ReadFile(program)
	must(err)
	program = filepath.Join(dir, "duplibot")
	must(os.WriteFile(program, binary, 0o755))
	state, run := filepath.Join(dir, "state"), filepath.Join(dir, "run")
	must(os.Mkdir(state, 0o700))
	must(os.Mkdir(run, 0o755))
	must(os.Chown(state, daemonUID, daemonUID))
	must(os.Chown(run, daemonUID, daemonUID))
	key := filepath.Join(state, "key")
	must(os.WriteFile(key, []byte(keyring.NewPassphrase().Reveal()), 0o600))
	must(os.Chown(key, daemonUID, daemonUID))
	s := newSetUp(t)
	s.serve(duplicatitest.Options{})
	file := filepath.Join(dir, "duplibot.yaml")
	must(os.WriteFile(file, []byte(fmt.Sprintf(`servers: {nas: {url: %q}}
keyring: {backend: file, passphrase: "file:%s"}
store: "sqlite:%s/duplibot.db"
socket: "%s/d.sock"
socket_group: nogroup
people:
  ann: {identities: [uid:%d], roles: [operator, approver]}
`, s.url, key, state, run, askerUID)), 0o644))

	as := func(uid uint32, args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "DBUS_SESSION_BUS_ADDRESS=disabled:", "DUPLIBOT_CONFIG=" + file}
		cmd.Dir = dir
		// nogroup is that of the socket.
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid, Groups: []uint32{65534}}}
		return cmd
	}
	daemon := as(daemonUID, "serve")
	log := filepath.Join(dir, "log")
	out, err := os.Create(log)
	must(err)
	defer out.Close()
	daemon.Stderr = out
	begin(t, daemon)
	t.Cleanup(func() {
		if said, err := os.ReadFile(log); t.Failed() {
			t.Logf("the daemon says (%v):\n%s", err, said)
		}
	})
	within(t, func() bool { return as(askerUID, "ping").Run() == nil })

	for _, c := range []struct {
		uid  uint32
		code int
		want []string
	}{
		{askerUID, 0, []string{"ok       daemon", "under uid 65532", "this account is ann there: operator and approver", "skipped  others", "as uid 65532"}},
		{strangerUID, 1, []string{"error    people", "nobody in people has this account", "add uid:65531 to people"}},
		{0, 0, []string{"warning  people", "add uid:0 to people"}},
		{daemonUID, 0, []string{"ok       daemon", "under this account", "ok       keyring", "ok       store"}},
	} {
		cmd := as(c.uid, "doctor")
		out, _ := cmd.CombinedOutput()
		// The daemon's own account has no password for the server.
		if code := cmd.ProcessState.ExitCode(); code != c.code && c.uid != daemonUID {
			t.Errorf("uid %d: exit code %d, want %d\n%s", c.uid, code, c.code, out)
		}
		for _, w := range c.want {
			if !strings.Contains(string(out), w) {
				t.Errorf("uid %d: want %q in\n%s", c.uid, w, out)
			}
		}
		if c.uid != daemonUID && strings.Contains(string(out), "keyring  ") {
			t.Errorf("uid %d: it complains of a keyring that nothing uses:\n%s", c.uid, out)
		}
	}
}
