//go:build unix

package local

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// owner returns who a file belongs to.
func owner(info fs.FileInfo) (uid, gid int) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1, -1
	}
	return int(st.Uid), int(st.Gid)
}

// openTo is the group whose members may use a socket, "" when there is none or
// it cannot be seen. Who may not enter the socket's folder sees the folder.
func openTo(path string) string {
	info, err := os.Lstat(path)
	lets := fs.FileMode(0o020)
	if errors.Is(err, fs.ErrPermission) {
		info, err = os.Lstat(filepath.Dir(path))
		lets = 0o010
	}
	if err != nil || info.Mode().Perm()&lets == 0 {
		return ""
	}
	_, gid := owner(info)
	if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
		return g.Name
	}
	return strconv.Itoa(gid)
}

// refusedByNobody reports whether a socket's file is there and nobody listens.
func refusedByNobody(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
