//go:build unix

package serverdb_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/duplibot/duplibot/auth/serverdb"
)

func TestAnotherAccountsDatabaseIsRefused(t *testing.T) {
	const foreign = "/etc/passwd" // root's, and readable
	if os.Geteuid() != 0 {
		if _, err := serverdb.Read(t.Context(), foreign, nil); !errors.Is(err, serverdb.ErrForeign) {
			t.Errorf("got %v", err)
		}
		return
	}
	dir, err := os.MkdirTemp("", "serverdb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	private := sample(t, "2.3.0.4", "plain")
	program := filepath.Join(dir, "reader")
	copyProgram(t, program)
	for _, path := range []string{foreign, private} {
		cmd := exec.Command(program)
		cmd.Dir = dir
		cmd.Env = []string{"SERVERDB_TEST_READ=" + path}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), serverdb.ErrForeign.Error()) {
			t.Errorf("%s as nobody: %s, %v", path, out, err)
		}
	}
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(file, from); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}
