package local

import (
	"net"

	"golang.org/x/sys/unix"
)

const supported = true

// peer asks the kernel for the uid of the process that is at the other end:
// SO_PEERCRED of unix(7), as it was at connect or listen.
func peer(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	uid = -1
	control := raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			uid = int(cred.Uid)
		}
	})
	if control != nil {
		return -1, control
	}
	return uid, err
}
