//go:build unix

package local

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
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

// groupName is the name of a socket's group, or its number.
func groupName(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
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
