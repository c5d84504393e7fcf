//go:build linux

package packaging_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/config"
)

// built is the program as the Dockerfile builds it.
var built = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile(filepath.Join("docker", "Dockerfile"))
	if err != nil {
		return "", err
	}
	line := regexp.MustCompile(`(?m)^RUN CGO_ENABLED=0 (go build .*) -o /out/duplibot (\S+)$`).FindSubmatch(text)
	if line == nil {
		return "", os.ErrNotExist
	}
	dir, err := os.MkdirTemp("", "duplibot-packaging-")
	if err != nil {
		return "", err
	}
	args := append(strings.Fields(string(line[1])), "-o", filepath.Join(dir, "duplibot"), string(line[2]))
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		os.Stderr.Write(out)
		return "", err
	}
	return filepath.Join(dir, "duplibot"), nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := built(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func program(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatalf("the program was not built as the Dockerfile says: %v", err)
	}
	return path
}

// configs are the examples in docs/headless.md that are whole configs: for the
// service, for the container, and for no daemon.
func configs(t *testing.T) []string {
	t.Helper()
	var whole []string
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, "..", "docs", "headless.md"), -1) {
		if strings.HasPrefix(block[1], "servers:") {
			whole = append(whole, block[1])
		}
	}
	if len(whole) != 3 {
		t.Fatalf("docs/headless.md has %d whole configs, want 3", len(whole))
	}
	return whole
}

// account is this account as the config names it.
func account() string { return "uid:" + strconv.Itoa(os.Getuid()) }

func TestTheExamplesInTheDocumentCanBeUsed(t *testing.T) {
	for i, text := range configs(t) {
		// Their accounts are not here.
		text = strings.NewReplacer("os:ann", "uid:1000", "os:bob", "uid:1001").Replace(text)
		if _, err := config.Parse([]byte(text), config.Options{}); err != nil {
			t.Errorf("example %d: %v", i+1, err)
		}
	}
}

// daemon is the program, started as somebody's process.
type daemon struct {
	*exec.Cmd
	log   bytes.Buffer
	told  *net.UnixConn // what it says to systemd
	ended chan error
}

// start starts it with the environment of a service and waits until it says
// that it is ready.
func start(t *testing.T, cmd *exec.Cmd, notify string, told *net.UnixConn) *daemon {
	t.Helper()
	d := &daemon{Cmd: cmd, told: told, ended: make(chan error, 1)}
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+notify, "DBUS_SESSION_BUS_ADDRESS=disabled:")
	cmd.Stdout, cmd.Stderr = &d.log, &d.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	d.hears(t, "READY=1")
	return d
}

// hears waits for a word to systemd.
func (d *daemon) hears(t *testing.T, word string) string {
	t.Helper()
	d.told.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 4096)
	for {
		n, err := d.told.Read(b)
		if err != nil {
			d.Process.Kill()
			<-d.ended
			t.Fatalf("it did not say %s: %v\n%s", word, err, &d.log)
		}
		if text := string(b[:n]); strings.Contains(text, word) {
			return text
		}
	}
}

// stops stops it as systemd does.
func (d *daemon) stops(t *testing.T) {
	t.Helper()
	d.Process.Signal(syscall.SIGTERM)
	d.hears(t, "STOPPING=1")
	if err := <-d.ended; err != nil {
		t.Errorf("it ended with %v\n%s", err, &d.log)
	}
}

func listen(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// TestTheServiceRuns does by hand what systemd does by the unit, with the
// config of the document: its folders, its credential, its words.
func TestTheServiceRuns(t *testing.T) {
	// The path of a socket is short.
	root, err := os.MkdirTemp("", "dpb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	in := func(path string) string { return filepath.Join(root, path) }
	text := strings.NewReplacer("/var/lib/", in("var")+"/", "/run/", in("run")+"/", "os:ann", account(), "os:bob", "uid:4294967",
		"socket_group: duplibot\n", "", "127.0.0.1:8485", "127.0.0.1:0").Replace(configs(t)[0])
	write(t, in("etc/duplibot.yaml"), text, 0o644)
	write(t, in("credentials/keyring"), keyring.NewPassphrase().Reveal()+"\n", 0o400)

	line := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(read(t, "systemd", "duplibot.service"))
	args := strings.Fields(strings.Replace(line[1], "/etc/duplibot/", in("etc")+"/", 1))
	cmd := exec.Command(program(t), args[1:]...)
	cmd.Env = []string{"CREDENTIALS_DIRECTORY=" + in("credentials"), "WATCHDOG_USEC=400000"}
	d := start(t, cmd, in("notify"), listen(t, in("notify")))
	d.hears(t, "WATCHDOG=1")
	d.hears(t, "WATCHDOG=1")

	ask := func(args ...string) string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, program(t), append(args, "--config", in("etc/duplibot.yaml"))...)
		cmd.Env = []string{"HOME=" + root}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := ask("servers"); !strings.Contains(out, "nas") {
		t.Errorf("servers:\n%s", out)
	}
	if out := ask("audit", "verify"); !strings.Contains(out, "hold") {
		t.Errorf("audit verify:\n%s", out)
	}
	for _, path := range []string{"var/duplibot/duplibot.db", "var/duplibot/keyring", "run/duplibot/duplibot.sock"} {
		if info, err := os.Stat(in(path)); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	d.stops(t)
	if strings.Contains(d.log.String(), "level=ERROR") {
		t.Errorf("it complained:\n%s", &d.log)
	}
}

// TestTheContainerHoldsAllThatIsNeeded lays out the file system of the image,
// which has no shell and no libraries, and runs the program in it as the
// image's account, with the config of the document.
func TestTheContainerHoldsAllThatIsNeeded(t *testing.T) {
	if os.Getuid() != 0 {
		missing(t, "to change the root folder takes root")
	}
	const uid = 65532
	docker := read(t, "docker", "Dockerfile")
	for _, line := range []string{"FROM scratch", "USER 65532:65532", "ENTRYPOINT [\"duplibot\"]", "CMD [\"serve\"]"} {
		if !strings.Contains(docker, "\n"+line+"\n") {
			t.Fatalf("the Dockerfile lacks %s", line)
		}
	}
	root, err := os.MkdirTemp("", "dpb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	in := func(path string) string { return filepath.Join(root, path) }
	for _, dir := range []string{"etc/ssl/certs", "etc/duplibot", "usr/local/bin", "var/lib", "run/secrets"} {
		if err := os.MkdirAll(in(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"var/lib/duplibot", "var/lib/duplibot/import", "var/lib/duplibot/export", "run/duplibot"} {
		if err := os.Mkdir(in(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(in(dir), uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(program(t), in("usr/local/bin/duplibot")); err != nil {
		t.Fatal(err)
	}
	write(t, in("etc/duplibot/duplibot.yaml"), strings.Replace(configs(t)[1], "0.0.0.0:8485", "127.0.0.1:0", 1), 0o644)
	write(t, in("run/secrets/keyring"), keyring.NewPassphrase().Reveal()+"\n", 0o400)
	if err := os.Chown(in("run/secrets/keyring"), uid, uid); err != nil {
		t.Fatal(err)
	}
	told := listen(t, in("run/notify"))
	if err := os.Chmod(in("run/notify"), 0o666); err != nil {
		t.Fatal(err)
	}
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.Command("/usr/local/bin/duplibot", args...)
		cmd.Env = []string{"PATH=/usr/local/bin", "HOME=/var/lib/duplibot", "TMPDIR=/var/lib/duplibot", "DUPLIBOT_CONFIG=/etc/duplibot/duplibot.yaml"}
		for _, set := range cmd.Env {
			if !strings.Contains(docker, set) {
				t.Errorf("the Dockerfile does not set %s", set)
			}
		}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		return cmd
	}
	d := start(t, inside("serve"), "/run/notify", told)
	for _, args := range [][]string{{"version"}, {"servers"}, {"token", "create", "--name", "claude"}, {"audit", "verify"}, {"demo", "--", "status"}} {
		if out, err := inside(args...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	d.stops(t)
}

// TestWhatIsInstalledGoesWhereTheDocumentSays runs the document's lines below a
// folder that has what a small Debian has.
func TestWhatIsInstalledGoesWhereTheDocumentSays(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"usr/local/bin", "etc/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	block := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(read(t, "..", "docs", "headless.md"))
	lines := regexp.MustCompile(`(?m)^sudo (install .*)$`).FindAllStringSubmatch(block[1], -1)
	if len(lines) != 4 {
		t.Fatalf("the document installs %d times, want 4", len(lines))
	}
	for _, line := range lines {
		args := strings.Fields(line[1])
		last := len(args) - 1
		args[last] = filepath.Join(root, args[last]) + args[last][len(strings.TrimSuffix(args[last], "/")):]
		for i, arg := range args {
			if arg == "duplibot" {
				args[i] = program(t)
			}
		}
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = ".."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line[1], err, out)
		}
	}
	for _, path := range []string{"usr/local/bin/duplibot", "etc/sysusers.d/duplibot.conf", "etc/systemd/system/duplibot.service", "etc/duplibot"} {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Error(err)
		}
	}
}

// TestAKeyBesideTheComposeFileIsNotSentToTheBuilder: who builds may not be able
// to read it, and then nothing is built.
func TestAKeyBesideTheComposeFileIsNotSentToTheBuilder(t *testing.T) {
	ignored := func(name string) bool {
		for _, pattern := range strings.Fields(regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(read(t, "..", ".dockerignore"), "")) {
			if ok, err := filepath.Match(pattern, name); ok && err == nil {
				return true
			}
		}
		return false
	}
	host := regexp.MustCompile(`\./([\w.]+)`).FindAllStringSubmatch(strings.ReplaceAll(read(t, "docker", "compose.yaml"), "../..", ""), -1)
	if len(host) != 2 {
		t.Fatalf("the compose file takes %d files from beside it, want 2: %q", len(host), host)
	}
	for _, file := range host {
		if name := filepath.Join("packaging", "docker", file[1]); !ignored(name) {
			t.Errorf("%s is sent to the builder", name)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "cmd/bot/main.go", ".git/HEAD"} {
		if ignored(name) {
			t.Errorf("%s is missing in the build", name)
		}
	}
}

func TestTheComposeFileFitsTheImageAndTheConfig(t *testing.T) {
	var file struct {
		Services map[string]struct {
			ReadOnly bool     `yaml:"read_only"`
			CapDrop  []string `yaml:"cap_drop"`
			Security []string `yaml:"security_opt"`
			Build    struct{ Context, Dockerfile string }
			Volumes  []string
			Tmpfs    []string
			Secrets  []string
			Ports    []string
		}
		Volumes map[string]any
		Secrets map[string]struct{ File string }
	}
	if err := yaml.Unmarshal([]byte(read(t, "docker", "compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	s, text := file.Services["duplibot"], configs(t)[1]
	if !s.ReadOnly || len(s.CapDrop) != 1 || s.CapDrop[0] != "ALL" || len(s.Security) != 1 {
		t.Errorf("it may do more than it must: %+v", s)
	}
	if _, err := os.Stat(filepath.Join("docker", s.Build.Context, s.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
	if len(s.Secrets) != 1 || file.Secrets[s.Secrets[0]].File == "" || !strings.Contains(text, "file:/run/secrets/"+s.Secrets[0]+"\n") {
		t.Errorf("the config does not read the secret %q", s.Secrets)
	}
	cfg, err := config.Parse([]byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	holds := func(list []string, path string) bool {
		for _, entry := range list {
			if strings.Contains(":"+entry, ":"+path) {
				return true
			}
		}
		return false
	}
	if dir := filepath.Dir(cfg.Store.Path); !holds(s.Volumes, dir) || len(file.Volumes) != 1 {
		t.Errorf("what is in %s is lost with the container: %q", dir, s.Volumes)
	}
	if dir := filepath.Dir(cfg.Socket); !holds(s.Tmpfs, dir) {
		t.Errorf("the socket cannot be made in %s: %q", dir, s.Tmpfs)
	}
	_, port, _ := net.SplitHostPort(cfg.Web.Listen)
	if len(s.Ports) != 1 || !strings.HasSuffix(s.Ports[0], ":"+port) {
		t.Errorf("the pages at port %s are not to be reached: %q", port, s.Ports)
	}
}
