//go:build unix

package serverdb

import (
	"io/fs"
	"os"
	"syscall"
)

// ours reports whether the file is this account's; root's SQLite gives what it
// leaves beside the file to its owner.
func ours(info fs.FileInfo) bool {
	uid := os.Geteuid()
	st, ok := info.Sys().(*syscall.Stat_t)
	return uid == 0 || ok && int(st.Uid) == uid
}
