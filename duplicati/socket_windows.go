package duplicati

import "golang.org/x/sys/windows"

// Winsock's own, for which syscall's names do not stand here.
const (
	errRefused = windows.WSAECONNREFUSED
	errReset   = windows.WSAECONNRESET
	errClosed  = windows.WSAECONNABORTED
)
