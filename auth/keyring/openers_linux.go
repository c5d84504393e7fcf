package keyring

const native = SecretService

func openers() map[Backend]opener {
	return map[Backend]opener{
		SecretService: openSecretService,
		Pass:          openPass,
		File:          openFile,
	}
}
