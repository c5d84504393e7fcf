//go:build !linux && !darwin && !freebsd

package local

import (
	"errors"
	"net"
)

const supported = false

func peer(*net.UnixConn) (int, error) {
	return -1, errors.New("this system does not tell who is at the other end of a socket")
}
