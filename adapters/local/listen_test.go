package local_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/adapters/local"
	"github.com/duplibot/duplibot/tools"
)

func TestListen(t *testing.T) {
	t.Run("nobody else may use the socket", func(t *testing.T) {
		path := filepath.Join(folder(t), "run", "s.sock")
		l, err := local.Listen(path, "")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		if info, _ = os.Stat(filepath.Dir(path)); info.Mode().Perm() != 0o700 {
			t.Errorf("its folder is %v", info.Mode())
		}
	})
	t.Run("two daemons are refused, and the first is not disturbed", func(t *testing.T) {
		path := filepath.Join(folder(t), "s.sock")
		l, err := local.Listen(path, "")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, err = local.Listen(path, "")
		if e := want(t, err, tools.Conflict); !strings.Contains(e.Message, "another daemon already serves") {
			t.Error(e)
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatalf("the first is gone: %v", err)
		}
		c.Close()
		l.Close()
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("the socket is left behind: %v", err)
		}
		if l, err = local.Listen(path, ""); err != nil {
			t.Fatal(err)
		}
		l.Close()
	})
	t.Run("a socket that a killed daemon left is replaced", func(t *testing.T) {
		path := filepath.Join(folder(t), "s.sock")
		old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		old.SetUnlinkOnClose(false)
		old.Close()
		l, err := local.Listen(path, "")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	})
	t.Run("a file in its place is not touched", func(t *testing.T) {
		path := filepath.Join(folder(t), "s.sock")
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := local.Listen(path, "")
		want(t, err, tools.Conflict)
		if b, _ := os.ReadFile(path); string(b) != "precious" {
			t.Errorf("it holds %q", b)
		}
	})
	t.Run("a folder that others can write to is refused", func(t *testing.T) {
		dir := folder(t)
		os.Chmod(dir, 0o777|os.ModeSticky)
		_, err := local.Listen(filepath.Join(dir, "s.sock"), "")
		want(t, err, tools.Denied)
	})
	t.Run("a path that no socket can have is said to be too long", func(t *testing.T) {
		_, err := local.Listen(filepath.Join(folder(t), strings.Repeat("x", 100), "s.sock"), "")
		want(t, err, tools.InvalidArgument)
	})
	t.Run("an unknown group leaves nothing behind", func(t *testing.T) {
		dir := folder(t)
		path := filepath.Join(dir, "s.sock")
		if _, err := local.Listen(path, "no-such-group"); err == nil || !strings.Contains(err.Error(), "no-such-group") {
			t.Fatalf("got %v", err)
		}
		left, _ := filepath.Glob(filepath.Join(dir, "s.sock*"))
		if len(left) != 1 || !strings.HasSuffix(left[0], ".lock") {
			t.Errorf("left %v", left)
		}
		l, err := local.Listen(path, "")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	})
}

func TestAClientTrustsNoFolderThatOthersCanWriteTo(t *testing.T) {
	heard := make(chan []byte, 1)
	path := fakeDaemon(t, func(c net.Conn) {
		b := make([]byte, 100)
		n, _ := c.Read(b)
		heard <- b[:n]
	})
	os.Chmod(filepath.Dir(path), 0o777|os.ModeSticky)
	r := newRig(t, nil)
	c := local.NewClient(local.ClientOptions{Path: path, Registry: r.Registry, Version: "1", Surface: tools.CLI})
	_, err := c.Ping(t.Context())
	want(t, err, tools.Denied)
	if b := <-heard; len(b) > 0 {
		t.Errorf("it was told %q", b)
	}
}

func TestWithoutADaemon(t *testing.T) {
	r := newRig(t, nil)
	at := func(path string) error {
		c := local.NewClient(local.ClientOptions{Path: path, Registry: r.Registry, Version: "1", Surface: tools.CLI})
		_, err := c.Run(t.Context(), tools.Call{Operation: "start", Args: map[string]any{"thing": "1"}})
		return err
	}
	err := at(filepath.Join(folder(t), "none", "s.sock"))
	if e := want(t, err, tools.Unavailable); !local.Absent(err) || !e.Retry || !strings.Contains(e.Error(), "nothing was done (start it") {
		t.Error(err)
	}
	stale := filepath.Join(folder(t), "s.sock")
	l, _ := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	l.SetUnlinkOnClose(false)
	l.Close()
	err = at(stale)
	if e := want(t, err, tools.Unavailable); local.Absent(err) || !strings.Contains(e.Message, "no longer there") {
		t.Error(err)
	}
	err = at(fakeDaemon(t, func(net.Conn) {}))
	if e := want(t, err, tools.Unavailable); !strings.Contains(e.Message, "hung up before it was asked") {
		t.Error(err)
	}
}
