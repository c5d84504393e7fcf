package local

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/gofrs/flock"

	"github.com/duplibot/duplibot/tools"
)

// SocketName is the socket's name in its folder.
const SocketName = "duplibot.sock"

// maxPath is how long a socket's path can be: sun_path of macOS holds 104
// bytes with the closing zero, that of Linux 108.
const maxPath = 103

// Listener is the daemon's socket. One daemon at a time has it.
type Listener struct {
	*net.UnixListener
	path string
	lock *flock.Flock
	once sync.Once
}

// Path is where the socket is.
func (l *Listener) Path() string { return l.path }

// Listen makes the socket at path, in a folder that nobody but its owner can
// write to; a missing folder is made. With a group, its members can connect;
// without one nobody but this account and root can. A socket that a killed
// daemon left is replaced; one whose daemon lives is an Error of code Conflict.
func Listen(path, group string) (*Listener, error) {
	if !supported {
		return nil, tools.Errorf(tools.Unsupported, "this system does not tell who is at the other end of a socket, so no daemon can serve others here").
			WithHint("each command works by itself")
	}
	if len(path) > maxPath {
		return nil, tools.Errorf(tools.InvalidArgument, "the socket's path %s is longer than %d bytes, which is what the system takes", path, maxPath).
			WithHint("choose a shorter folder")
	}
	folder := filepath.Dir(path)
	mode := fs.FileMode(0o700)
	if group != "" {
		mode = 0o755
	}
	if err := os.MkdirAll(folder, mode); err != nil {
		return nil, placeError("make the folder of the socket", err)
	}
	if err := trusted(folder, os.Geteuid()); err != nil {
		return nil, err
	}
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	mine, err := lock.TryLock()
	if err != nil {
		return nil, placeError("lock the socket", err)
	}
	if !mine {
		return nil, tools.Errorf(tools.Conflict, "another daemon already serves %s; this one was not started", path).
			WithHint("stop that one first, or give this one another socket")
	}
	l, err := bind(path, group)
	if err != nil {
		lock.Unlock()
		return nil, err
	}
	return &Listener{UnixListener: l, path: path, lock: lock}, nil
}

// bind makes the socket under another name, gives it its rights, and only then
// its place: nobody connects before.
func bind(path, group string) (*net.UnixListener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, tools.Errorf(tools.Conflict, "%s is there and is not a socket; it was not touched", path).
			WithHint("move it away, or choose another place for the socket")
	}
	fresh := path + "~"
	if len(fresh) > maxPath {
		fresh = filepath.Join(filepath.Dir(path), "~")
	}
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, placeError("clear the way for the socket", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, placeError("make the socket", err)
	}
	l.SetUnlinkOnClose(false)
	if err = open(fresh, group); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		l.Close()
		os.Remove(fresh)
		return nil, placeError("give the socket its place", err)
	}
	return l, nil
}

func open(path, group string) error {
	if group == "" {
		return os.Chmod(path, 0o600)
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return err
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return fmt.Errorf("give it to group %s: %w", group, err)
	}
	return os.Chmod(path, 0o660)
}

// Close removes the socket and lets another daemon serve.
func (l *Listener) Close() error {
	var err error
	l.once.Do(func() {
		os.Remove(l.path)
		err = l.UnixListener.Close()
		l.lock.Unlock()
	})
	return err
}

// trusted checks that nobody can put another socket into folder but root and
// who it belongs to, who must be one of known.
func trusted(folder string, known ...int) error {
	info, err := os.Stat(folder)
	if err != nil {
		return placeError("look at the folder of the socket", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return tools.Errorf(tools.Denied, "others can write to the folder %s, so they could put a socket of their own there; nothing was done", folder).
			WithHint("chmod go-w %s, or choose another folder for the socket", folder)
	}
	uid, _ := owner(info)
	if uid == 0 || uid == os.Geteuid() {
		return nil
	}
	for _, k := range known {
		if uid == k {
			return nil
		}
	}
	return tools.Errorf(tools.Denied, "the folder %s belongs to uid %d, which is neither this account, the daemon's nor root; nothing was done", folder, uid).
		WithHint("choose another folder for the socket")
}

func placeError(what string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return tools.Errorf(tools.Denied, "this account (uid %d) may not %s: %v", os.Geteuid(), what, err).
			WithHint("let systemd make the folder (RuntimeDirectory=duplibot), or choose one of this account's").Because(err)
	}
	return tools.Errorf(tools.Unavailable, "could not %s: %v", what, err).Because(err)
}

// Paths is where a client looks for the daemon's socket, in this order: the
// system's, then this account's own.
func Paths() []string {
	paths := []string{filepath.Join("/run", "duplibot", SocketName)}
	if run := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(run) {
		paths = append(paths, filepath.Join(run, "duplibot", SocketName))
	}
	return paths
}
