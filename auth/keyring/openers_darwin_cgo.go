//go:build darwin && cgo

package keyring

import "context"

// HasKeychain tells whether this build can use the keychain of macOS. A
// release for macOS in which it is false must not go out.
const HasKeychain = true

const native = Keychain

var openers = map[Backend]func(context.Context, Config) (place, error){
	Keychain: openKeychain,
	Pass:     openPass,
	File:     openFile,
}
