package keyring

const native = WinCred

func openers() map[Backend]opener {
	return map[Backend]opener{
		WinCred: openWinCred,
		File:    openFile,
	}
}
