//go:build !linux && !darwin && !windows

package keyring

import "context"

const native Backend = ""

var openers = map[Backend]func(context.Context, Config) (place, error){
	Pass: openPass,
	File: openFile,
}
