package duplicatitest

// Remote control: a fake is never registered anywhere.
func remoteRoutes(rs *routes, g *generation) {
	const at = "/api/v1/remotecontrol/"
	rs.add("GET", at+"status", bearer, noBody, func(_ *Server, c *call) { c.json(remoteStatus()) })
	for _, change := range []struct{ method, path string }{
		{"POST", "enable"}, {"POST", "disable"}, {"DELETE", "registration"}, {"POST", "register"}, {"DELETE", "register"},
	} {
		rs.add(change.method, at+change.path, bearer, noBody, refuse("a change of remote control"))
	}
	if g.nonce {
		rs.add("POST", at+"register/wait", bearer, noBody, refuse("a change of remote control"))
	}
}

func remoteStatus() object {
	return object{
		{"CanEnable", false}, {"IsEnabled", false}, {"IsConnected", false}, {"IsRegistering", false},
		{"IsRegisteringFaulted", false}, {"IsRegisteringCompleted", false}, {"RegistrationUrl", nil},
	}
}
