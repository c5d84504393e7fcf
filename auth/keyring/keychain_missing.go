//go:build !darwin || !cgo

package keyring

// HasKeychain tells whether this build can use the keychain of macOS. A
// release for macOS in which it is false must not go out.
const HasKeychain = false
