package keyring

import "golang.org/x/sys/unix"

// onDisk reports whether what is in the folder outlives a restart.
func (f folder) onDisk() bool {
	var stat unix.Statfs_t
	if err := unix.Statfs(string(f), &stat); err != nil {
		return true
	}
	return stat.Type != unix.TMPFS_MAGIC && stat.Type != unix.RAMFS_MAGIC
}
