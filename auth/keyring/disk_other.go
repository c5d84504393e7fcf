//go:build !linux

package keyring

// onDisk takes every folder for one on a disk: file systems in memory are rare
// outside Linux.
func (f folder) onDisk() bool { return true }
