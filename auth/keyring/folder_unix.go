//go:build unix

package keyring

import (
	"io/fs"
	"os"
	"syscall"
)

// ownedByUs reports whether the file is this account's. Root gets into every
// folder anyway, so for root any owner will do.
func ownedByUs(info fs.FileInfo) bool {
	uid := os.Geteuid()
	stat, ok := info.Sys().(*syscall.Stat_t)
	return uid == 0 || ok && int(stat.Uid) == uid
}

// patiently does what nobody can keep from being done here.
func patiently(do func() error) error { return do() }
