package duplicatitest

import "net/http"

// Remote control: a fake is never registered anywhere.
func remoteRoutes(rs *routes, g *generation) {
	const at = "/api/v1/remotecontrol/"
	status := func(_ *Server, c *call) { c.json(remoteStatus()) }
	rs.add("GET", at+"status", bearer, noBody, status)
	rs.add("POST", at+"enable", bearer, noBody, try(func(*Server, *call) error {
		return failf(http.StatusBadRequest, "Remote control is not registered")
	}))
	rs.add("POST", at+"disable", bearer, noBody, status)
	rs.add("DELETE", at+"registration", bearer, noBody, status)
	rs.add("POST", at+"register", bearer, jsonBody, try(func(_ *Server, c *call) error {
		in := readObject(c.body)
		in.str("RegistrationUrl")
		if err := in.err(); err != nil {
			return err
		}
		return failf(http.StatusBadRequest, "Failed to register")
	}))
	rs.add("DELETE", at+"register", bearer, noBody, status)
	if g.nonce {
		rs.add("POST", at+"register/wait", bearer, noBody, status)
	}
}

func remoteStatus() object {
	return object{
		{"CanEnable", false}, {"IsEnabled", false}, {"IsConnected", false}, {"IsRegistering", false},
		{"IsRegisteringFaulted", false}, {"IsRegisteringCompleted", false}, {"RegistrationUrl", nil},
	}
}
