package store

import (
	"io/fs"

	"golang.org/x/sys/windows"
)

func owned(fs.FileInfo) bool { return true }

func free(dir string) (uint64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var n uint64
	err = windows.GetDiskFreeSpaceEx(name, &n, nil, nil)
	return n, err
}
