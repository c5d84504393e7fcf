//go:build unix

package store

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// owned reports whether the file is this account's. Root reads every file
// anyway, so for root any owner will do.
func owned(info fs.FileInfo) bool {
	uid := os.Geteuid()
	st, ok := info.Sys().(*syscall.Stat_t)
	return uid == 0 || ok && int(st.Uid) == uid
}

func free(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil //nolint:unconvert // another type on FreeBSD
}
