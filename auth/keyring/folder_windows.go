package keyring

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/windows"
)

func ownedByUs(fs.FileInfo) bool { return true }

// patience is how long another process is waited for that has a file open.
const patience = time.Second

// patiently does what another process can keep from being done for a moment: a
// file that it reads cannot be replaced or removed here, and one that it
// replaces cannot be read.
func patiently(do func() error) error {
	for end := time.Now().Add(patience); ; time.Sleep(patience / 200) {
		err := do()
		kept := errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_SHARING_VIOLATION)
		if !kept || time.Now().After(end) {
			return err
		}
	}
}
