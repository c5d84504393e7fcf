//go:build darwin && !cgo

package keyring

const native = Keychain

func openers() map[Backend]opener {
	return map[Backend]opener{
		Pass: openPass,
		File: openFile,
	}
}
