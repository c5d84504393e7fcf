//go:build darwin && !cgo

package keyring

import "context"

const native = Keychain

var openers = map[Backend]func(context.Context, Config) (place, error){
	Pass: openPass,
	File: openFile,
}
