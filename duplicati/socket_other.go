//go:build !windows

package duplicati

import "syscall"

const (
	errRefused = syscall.ECONNREFUSED
	errReset   = syscall.ECONNRESET
	errClosed  = syscall.EPIPE
)
