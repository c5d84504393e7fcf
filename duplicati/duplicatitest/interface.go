package duplicatitest

import (
	"net/http"
	"slices"
)

// What the web interface asks for, and no client of ours.
func interfaceRoutes(rs *routes, g *generation) {
	for _, page := range []string{"/", "/index.html", "/login.html", "/signin.html", "/ngclient/{*path}", "/ngax/{*path}"} {
		rs.add("", page, anyone, noBody, refuse("the web interface, which a fake has not"))
	}
	for _, captcha := range []string{"/api/v1/captcha", "/api/v1/captcha/{token}"} {
		rs.add("", captcha, anyone, noBody, refuse("captchas: 2.1.0.5 and later want none to delete, and none were recorded"))
	}
	rs.add("GET", "/api/v1/uisettings", bearer, noBody, func(s *Server, c *call) {
		schemes := []string{}
		for name := range s.db.ui {
			schemes = append(schemes, name)
		}
		slices.Sort(schemes)
		c.json(schemes)
	})
	rs.add("POST", "/api/v1/uisettings", bearer, jsonBody, refuse("a certificate put in place"))
	rs.add("GET", "/api/v1/uisettings/{scheme}", bearer, noBody, func(s *Server, c *call) {
		values := s.db.ui[c.values["scheme"]]
		if values == nil {
			values = pairs{}
		}
		c.json(values)
	})
	rs.add("PATCH", "/api/v1/uisettings/{scheme}", bearer, jsonBody, try((*Server).patchInterface))
	rs.add("POST", "/api/v1/updates/check", bearer, noBody, func(_ *Server, c *call) { c.empty(http.StatusOK) })
	rs.add("GET", "/api/v1/changelog", bearer, noBody, try(func(s *Server, c *call) error {
		update, err := c.query.flag("from-update")
		if err != nil {
			return err
		}
		if update {
			return failf(http.StatusNotFound, "No update found")
		}
		c.json(object{{"Version", s.gen.version}, {"Changelog", ""}})
		return nil
	}))
	rs.add("GET", "/api/v1/acknowledgements", bearer, noBody, func(_ *Server, c *call) {
		c.json(object{{"Acknowledgements", ""}})
	})
	rs.add("GET", "/api/v1/licenses", bearer, noBody, func(_ *Server, c *call) { c.json([]object{}) })
	rs.add("GET", "/api/v1/webmodules", bearer, noBody, refuse("the modules of the web interface"))
	rs.add("POST", "/api/v1/webmodule/{key}", bearer, jsonBody, refuse("the modules of the web interface"))
	if !g.nonce {
		for _, kind := range []string{"hyperv", "mssql"} {
			rs.add("GET", "/api/v1/"+kind, bearer, noBody, refuse("what only Windows has"))
			rs.add("GET", "/api/v1/"+kind+"/{key}", bearer, noBody, refuse("what only Windows has"))
		}
	}
	if g.connections {
		disabled := try(func(*Server, *call) error {
			return failf(http.StatusServiceUnavailable, "Folder status service is disabled")
		})
		rs.add("GET", "/api/v1/folderstatus", bearer, noBody, disabled)
		rs.add("GET", "/api/v1/folderstatus/{*path}", bearer, noBody, disabled)
	}
}

// patchInterface keeps what a page wants to remember; null deletes.
func (s *Server) patchInterface(c *call) error {
	if c.body.kind != 'o' {
		return errBind
	}
	values := s.db.ui[c.values["scheme"]]
	for _, m := range c.body.members {
		switch {
		case m.value.isNull():
			values.remove(m.name)
		case m.value.kind == 's':
			values.set(m.name, m.value.text)
		default:
			return unknownOf("a setting of the web interface that is no text")
		}
	}
	s.db.ui[c.values["scheme"]] = values
	c.empty(http.StatusOK)
	return nil
}
