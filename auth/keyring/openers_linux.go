package keyring

import "context"

const native = SecretService

var openers = map[Backend]func(context.Context, Config) (place, error){
	File: openFile,
}
