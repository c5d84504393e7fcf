//go:build !linux && !darwin && !windows

package keyring

const native Backend = ""

func openers() map[Backend]opener {
	return map[Backend]opener{
		Pass: openPass,
		File: openFile,
	}
}
