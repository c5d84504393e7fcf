package keyring

import "context"

const native = WinCred

var openers = map[Backend]func(context.Context, Config) (place, error){
	WinCred: openWinCred,
	File:    openFile,
}
