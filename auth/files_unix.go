//go:build unix

package auth

import (
	"io/fs"
	"os"
	"syscall"
)

// nonblock keeps an open of a pipe from waiting for a writer.
const nonblock = syscall.O_NONBLOCK

// private reports whether a folder belongs to this account and lets no other
// in.
func private(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().Perm()&0o077 == 0 && (int(st.Uid) == os.Geteuid() || os.Geteuid() == 0)
}

// syncRoot waits until the folder's entries are on the disk.
func syncRoot(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
