package keyring_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus"
	"github.com/google/go-cmp/cmp"

	"github.com/duplibot/duplibot/auth/keyring"
)

const unlockWord = "the word that logs in"

// desktop is a session bus with a gnome-keyring on it, as a login makes them.
type desktop struct {
	t       *testing.T
	bus     *exec.Cmd
	daemon  *exec.Cmd
	address string
	home    string
	run     string
	conn    *dbus.Conn
}

// startDesktop starts a bus, and no keyring yet. What the bus starts by itself
// gets the bus's environment.
func startDesktop(t *testing.T) *desktop {
	t.Helper()
	programs(t, "dbus-daemon", "gnome-keyring-daemon", "secret-tool")
	d := &desktop{t: t, home: t.TempDir(), run: t.TempDir()}
	d.bus = exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1")
	d.bus.Env = d.env()
	out, err := d.bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.bus.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.killBus)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	d.address = strings.TrimSpace(line)
	d.conn, err = dbus.Dial(d.address)
	if err == nil {
		err = d.conn.Auth(nil)
	}
	if err == nil {
		err = d.conn.Hello()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.conn.Close() })
	return d
}

func (d *desktop) env() []string {
	env := []string{"HOME=" + d.home, "XDG_RUNTIME_DIR=" + d.run, "PATH=" + os.Getenv("PATH")}
	if d.address != "" {
		env = append(env, "DBUS_SESSION_BUS_ADDRESS="+d.address)
	}
	return env
}

// startKeyring starts the daemon with a word, or without one: locked.
func (d *desktop) startKeyring(word string) {
	d.t.Helper()
	args := []string{"--foreground", "--components=secrets"}
	if word != "" {
		args = append(args, "--unlock")
	}
	daemon := exec.Command("gnome-keyring-daemon", args...)
	daemon.Env = d.env()
	daemon.Stdin = strings.NewReader(word)
	if err := daemon.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.daemon = daemon
	d.t.Cleanup(func() { daemon.Process.Kill(); daemon.Wait() })
	for range 1000 {
		if d.owned() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	d.t.Fatal("gnome-keyring-daemon did not come up within 10 s")
}

func (d *desktop) killKeyring() {
	d.t.Helper()
	d.daemon.Process.Kill()
	d.daemon.Wait()
	for range 1000 {
		if !d.owned() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	d.t.Fatal("the bus still knows a daemon that was killed")
}

func (d *desktop) killBus() {
	d.bus.Process.Kill()
	d.bus.Wait()
}

func (d *desktop) owned() (is bool) {
	if err := d.conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, "org.freedesktop.secrets").Store(&is); err != nil {
		d.t.Fatal(err)
	}
	return is
}

func (d *desktop) driver() *driver { return startDriver(d.t, d.env()...) }

// tool is another program that uses the same keyring.
func (d *desktop) tool(stdin string, args ...string) string {
	d.t.Helper()
	cmd := exec.Command("secret-tool", args...)
	cmd.Env = d.env()
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatalf("secret-tool %s: %v", args[0], err)
	}
	return string(out)
}

func TestSecretServiceKeepsWhatWasStored(t *testing.T) {
	desk := startDesktop(t)
	desk.startKeyring(unlockWord)
	d := desk.driver()
	d.ok(d.open(keyring.SecretService, 0))

	report := d.ok(d.do("probe", "", "")).Report
	if !report.Usable || report.Locked || !report.RebootSafe || report.Backend != keyring.SecretService {
		t.Errorf("Probe: %+v", report)
	}
	for key, word := range map[string]string{"server.nas": strings.Repeat("session ", 256), "file": strings.Repeat("f", 64<<10)} {
		d.ok(d.do("put", key, word))
		if got := d.ok(d.do("fresh", key, "")).Value; got != word {
			t.Errorf("%s came back with %d bytes of %d", key, len(got), len(word))
		}
	}
	d.ok(d.do("put", "server.nas", "refresh-AAA"))

	t.Run("another program sees it, and its own items are not listed", func(t *testing.T) {
		var item struct{ Data []byte }
		if err := json.Unmarshal([]byte(desk.tool("", "lookup", "profile", "duplibot.server.nas")), &item); err != nil || string(item.Data) != "refresh-AAA" {
			t.Errorf("secret-tool sees %q, %v", item.Data, err)
		}
		desk.tool("theirs", "store", "--label=theirs", "app", "other")
		keys := d.ok(d.do("list", "", "")).Keys
		if diff := cmp.Diff([]string{"file", "server.nas"}, keys); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a second process sees it", func(t *testing.T) {
		other := startDriver(t, desk.env()...)
		other.ok(other.open("", 0)) // probed
		if got := other.ok(other.do("get", "server.nas", "")).Value; got != "refresh-AAA" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("an item that another program has overwritten is damaged", func(t *testing.T) {
		desk.tool("raw words", "store", "--label=x", "profile", "duplibot.server.nas")
		a := d.do("fresh", "server.nas", "")
		d.refused(a, "corrupt", "another program")
		if strings.Contains(a.Error, "raw") {
			t.Errorf("the error repeats the secret: %s", a.Error)
		}
	})
	t.Run("what is deleted is gone for good", func(t *testing.T) {
		for range 2 {
			d.ok(d.do("delete", "file", ""))
		}
		d.refused(d.do("get", "file", ""), "not found")
	})
	t.Run("eight goroutines", func(t *testing.T) { d.ok(d.do("crowd", "", "")) })
}

func TestAnotherProgramsSecretIsFoundByItsLabel(t *testing.T) {
	const label = "duplicati-server-encryption-key"
	desk := startDesktop(t)
	d := desk.driver()
	d.refused(d.do("foreign", label, ""), "unavailable", "no Secret Service runs")
	if desk.owned() {
		t.Error("a look made the bus start a service")
	}
	desk.startKeyring(unlockWord)
	d.refused(d.do("foreign", label, ""), "not found")
	if list := desk.tool("", "search", "--all", "app", "duplicati"); list != "" {
		t.Errorf("the look has stored something: %q", list)
	}
	desk.tool("other", "store", "--label=another", "app", "other")
	desk.tool("their word", "store", "--label="+label, "app", "duplicati")
	for range 3 {
		if got := d.ok(d.do("foreign", label, "")).Value; got != "their word" {
			t.Errorf("got %q", got)
		}
	}
	desk.killKeyring()
	desk.startKeyring("")
	d.refused(d.do("foreign", label, ""), "locked")
}

func TestALockedSecretServiceIsNotAnEmptyOne(t *testing.T) {
	desk := startDesktop(t)
	desk.startKeyring(unlockWord)
	d := desk.driver()
	d.ok(d.open(keyring.SecretService, 0))
	d.ok(d.do("put", "server.nas", "word"))
	desk.killKeyring()
	desk.startKeyring("")

	const how = "gnome-keyring-daemon --replace --unlock"
	d.refused(d.do("fresh", "server.nas", ""), "locked", how)
	d.refused(d.do("fresh", "never.stored", ""), "locked")
	d.refused(d.do("put", "server.nas", "new"), "locked", how)
	d.refused(d.do("delete", "server.nas", ""), "locked")
	d.refused(d.do("list", "", ""), "locked")
	if report := d.do("probe", "", "").Report; report.Usable || !report.Locked || !strings.Contains(report.Hint, how) {
		t.Errorf("Probe: %+v", report)
	}
	t.Run("nobody named it, so it is not opened", func(t *testing.T) {
		other := startDriver(t, desk.env()...)
		other.refused(other.open("", 0), "locked", how, "set keyring.backend to one of secret-service, pass, file")
	})
	t.Run("a wrong word leaves it locked", func(t *testing.T) {
		desk.killKeyring()
		desk.startKeyring("another word")
		d.refused(d.do("fresh", "server.nas", ""), "locked")
	})
	t.Run("the right word opens it under a running program", func(t *testing.T) {
		desk.killKeyring()
		desk.startKeyring(unlockWord)
		if got := d.ok(d.do("fresh", "server.nas", "")).Value; got != "word" {
			t.Errorf("got %q", got)
		}
	})
}

func TestAnotherHomesSecretServiceIsNotAnEmptyOne(t *testing.T) {
	desk := startDesktop(t)
	d := desk.driver()
	d.ok(d.open(keyring.SecretService, 0))

	t.Run("none runs, and none is started", func(t *testing.T) {
		d.refused(d.do("get", "server.nas", ""), "unavailable", "no Secret Service runs")
		d.refused(d.do("put", "server.nas", "word"), "unavailable", "no Secret Service runs")
		d.do("probe", "", "")
		other := startDriver(t, desk.env()...)
		other.refused(other.open("", 0), "unavailable", "no Secret Service runs", "keyring.backend")
		if desk.owned() {
			t.Error("a look made the bus start a service")
		}
	})
	t.Run("one of another home, which the bus has started", func(t *testing.T) {
		var result uint32
		if err := desk.conn.BusObject().Call("org.freedesktop.DBus.StartServiceByName", 0, "org.freedesktop.secrets", uint32(0)).Store(&result); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { killOwner(desk) })
		d.refused(d.do("fresh", "server.nas", ""), "unavailable", "another home folder", "cannot be seen")
		d.refused(d.do("put", "server.nas", "word"), "unavailable", "another home folder")
	})
}

// killOwner ends the service that the bus has started by itself.
func killOwner(d *desktop) {
	var pid uint32
	if err := d.conn.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, "org.freedesktop.secrets").Store(&pid); err == nil {
		syscall.Kill(int(pid), syscall.SIGKILL)
	}
}

func TestADaemonKilledBetweenWriteAndReadLosesNothing(t *testing.T) {
	desk := startDesktop(t)
	desk.startKeyring(unlockWord)
	d := desk.driver()
	d.ok(d.open(keyring.SecretService, 0))
	d.ok(d.do("put", "server.nas", "rotated"))
	desk.killKeyring()
	if got := d.ok(d.do("get", "server.nas", "")).Value; got != "rotated" {
		t.Errorf("the memory holds %q", got)
	}
	d.refused(d.do("fresh", "server.nas", ""), "unavailable", "no Secret Service runs")
	desk.startKeyring(unlockWord)
	if got := d.ok(d.do("fresh", "server.nas", "")).Value; got != "rotated" {
		t.Errorf("got %q", got)
	}
}

func TestADaemonThatHangsIsLeftAlone(t *testing.T) {
	desk := startDesktop(t)
	desk.startKeyring(unlockWord)
	d := desk.driver()
	d.ok(d.open(keyring.SecretService, 300*time.Millisecond))
	d.ok(d.do("put", "server.nas", "word"))
	if err := desk.daemon.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	d.refused(d.do("fresh", "server.nas", ""), "timeout")
	if report := d.do("probe", "", "").Report; report.Usable {
		t.Errorf("Probe: %+v", report)
	}
	if err := desk.daemon.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := d.ok(d.do("fresh", "server.nas", "")).Value; got != "word" {
		t.Errorf("got %q", got)
	}
}

func TestADeadBusAsksForARestart(t *testing.T) {
	desk := startDesktop(t)
	desk.startKeyring(unlockWord)
	d := desk.driver()
	d.ok(d.open(keyring.SecretService, 0))
	d.ok(d.do("put", "server.nas", "word"))
	desk.killBus()
	if got := d.ok(d.do("get", "server.nas", "")).Value; got != "word" {
		t.Errorf("the memory holds %q", got)
	}
	for _, op := range []string{"fresh", "put", "delete", "list", "open"} {
		q := request{Op: op, Key: "server.nas", Value: "new"}
		q.Config.Backend = keyring.SecretService
		a := d.ask(q)
		if op == "open" {
			continue // opens: the connection is looked at with each call
		}
		d.refused(a, "unavailable", "restart this program")
	}
	d.refused(d.do("fresh", "server.nas", ""), "unavailable", "restart this program")
}

func TestNoBusIsSaidWithAWayOut(t *testing.T) {
	d := startDriver(t, "DBUS_SESSION_BUS_ADDRESS=disabled:")
	for _, backend := range []keyring.Backend{"", keyring.SecretService} {
		d.refused(d.open(backend, 0), "unavailable", "no D-Bus session bus", "keyring.backend", "openssl rand -base64 32")
	}
}

func TestNoBusIsStartedByAccident(t *testing.T) {
	// A dbus-launch that tells on whoever runs it.
	bin, mark := t.TempDir(), filepath.Join(t.TempDir(), "launched")
	if err := os.WriteFile(filepath.Join(bin, "dbus-launch"), []byte("#!/bin/sh\necho > "+mark+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/run/user/" + uid() + "/bus"); err == nil {
		t.Skip("needs an account without a session bus: godbus finds the one of this account and starts none")
	}
	for _, address := range []string{"", "autolaunch:"} {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "DBUS_SESSION_BUS_ADDRESS="+address, "PATH="+bin, "GODEBUG=inittrace=1")
		var trace bytes.Buffer
		cmd.Stderr = &trace
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(mark); err == nil {
			t.Fatalf("dbus-launch was run with the address %q", address)
		}
		guard := strings.Index(trace.String(), "init github.com/duplibot/duplibot/auth/busguard @")
		godbus := strings.Index(trace.String(), "init github.com/godbus/dbus @")
		library := strings.Index(trace.String(), "init github.com/99designs/keyring @")
		if guard < 0 || guard > godbus || godbus > library {
			t.Errorf("the guard, godbus and the library are initialised at %d, %d, %d of:\n%s", guard, godbus, library, trace.String())
		}
	}

	t.Run("without the guard it would be", func(t *testing.T) {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		if conn, err := dbus.SessionBusPrivate(); err == nil {
			conn.Close()
		}
		if _, err := os.Stat(mark); err != nil {
			t.Error("the trap does not catch what godbus does, so the test above shows nothing")
		}
	})
}

func uid() string { return strconv.Itoa(os.Getuid()) }
