//go:build darwin || freebsd

package local

import (
	"net"

	"golang.org/x/sys/unix"
)

const supported = true

// solLocal is SOL_LOCAL of sys/un.h, 0 on macOS and FreeBSD.
const solLocal = 0

// peer asks the kernel for the uid of the process that is at the other end:
// LOCAL_PEERCRED of unix(4), as it was at connect or listen.
func peer(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	uid = -1
	control := raw.Control(func(fd uintptr) {
		var cred *unix.Xucred
		if cred, err = unix.GetsockoptXucred(int(fd), solLocal, unix.LOCAL_PEERCRED); err == nil {
			uid = int(cred.Uid)
		}
	})
	if control != nil {
		return -1, control
	}
	return uid, err
}
