package keyring

import "io/fs"

func ownedByUs(fs.FileInfo) bool { return true }
