//go:build darwin && cgo

package keyring

// HasKeychain tells whether this build can use the keychain of macOS. A
// release for macOS in which it is false must not go out.
const HasKeychain = true

const native = Keychain

func openers() map[Backend]opener {
	return map[Backend]opener{
		Keychain: openKeychain,
		Pass:     openPass,
		File:     openFile,
	}
}
