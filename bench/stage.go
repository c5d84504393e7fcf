package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
)

// stage is what everything is measured on: the two programs, a simulated
// server with five backups, a config, and a session in a keyring file.
type stage struct {
	dir, binary, bare, config string

	server   *backend
	endpoint string // where `duplibot serve` listens for assistants
	token    string // an access token, for bare requests
}

const password = "correct horse"

func newStage(ctx context.Context, binary string) (_ *stage, err error) {
	dir, err := os.MkdirTemp("", "duplibot-bench-")
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, binary: binary, config: filepath.Join(dir, "duplibot.yaml")}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.bare, err = build(ctx, dir, "./bench/bare"); err != nil {
		return nil, err
	}
	if binary == "" {
		if s.binary, err = build(ctx, dir, "./cmd/bot"); err != nil {
			return nil, err
		}
	}
	program, err := build(ctx, dir, "./bench/backend")
	if err != nil {
		return nil, err
	}
	if s.server, err = startBackend(ctx, program); err != nil {
		return nil, err
	}
	if err := s.configure(); err != nil {
		return nil, err
	}
	if out, err := s.command(ctx, "login").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("duplibot login: %w\n%s", err, out)
	}
	return s, s.logIn(ctx)
}

// build makes a program as a release is made.
func build(ctx context.Context, dir, pkg string) (string, error) {
	path := filepath.Join(dir, filepath.Base(pkg))
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// configure writes a config for commands that work by themselves, and one more
// for a daemon.
func (s *stage) configure() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	listen := l.Addr().String() // free, as far as one can know
	if err := l.Close(); err != nil {
		return err
	}
	s.endpoint = "http://" + listen + "/mcp"
	config := fmt.Sprintf(`servers:
  nas: {url: %q, password: %q}
keyring: {backend: file, passphrase: %q, folder: %q}
store: %q
people:
  me: {identities: ["uid:%d", "mcp:bench"], roles: [admin, approver]}
`, s.server.url, "file:"+filepath.Join(s.dir, "password"), "file:"+filepath.Join(s.dir, "key"),
		filepath.Join(s.dir, "keyring"), "sqlite:"+filepath.Join(s.dir, "state", "duplibot.db"), os.Getuid())
	files := map[string]string{
		"key":           keyring.NewPassphrase().Reveal(),
		"password":      password,
		"duplibot.yaml": config,
		"daemon.yaml":   config + fmt.Sprintf("socket: %q\nmcp: {http: {listen: %q}}\n", filepath.Join(s.dir, "socket"), listen),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// command is a command of the real program.
func (s *stage) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, s.binary, append([]string{"--config", s.config}, args...)...)
}

// daemonCommand is one that a daemon is, or is asked for.
func (s *stage) daemonCommand(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, s.binary, append([]string{"--config", filepath.Join(s.dir, "daemon.yaml")}, args...)...)
}

// bareCommand is the bare program.
func (s *stage) bareCommand(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.bare)
	cmd.Env = append(os.Environ(), "BARE_URL="+s.server.url, "BARE_TOKEN="+s.token)
	return cmd
}

// logIn takes an access token that bare requests are made with.
func (s *stage) logIn(ctx context.Context) error {
	c, err := duplicati.New(duplicati.Options{URL: s.server.url})
	if err != nil {
		return err
	}
	defer c.Close()
	session, err := c.Login(ctx, secret.New(password), false)
	if err != nil {
		return err
	}
	s.token = session.Access.Reveal()
	return nil
}

// request is the bare request for what the command status shows.
func (s *stage) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.url+"/api/v1/serverstate", nil)
	if err == nil {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	return req, err
}

func (s *stage) close() {
	if s.server != nil {
		s.server.end()
	}
	os.RemoveAll(s.dir)
}

// memory reads a figure of a process in MiB, such as VmRSS, what it holds, or
// VmHWM, the most that it ever held.
func memory(pid int, figure string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for l := range bytes.Lines(text) {
		if fields := strings.Fields(string(l)); len(fields) == 3 && fields[0] == figure+":" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("the process %d has no %s", pid, figure)
}
