package duplicatitest

import (
	"encoding/base64"
	"net/http"
	"slices"
)

// What the web interface asks for, and no client of ours.
func interfaceRoutes(rs *routes, g *generation) {
	rs.add("GET", "/api/v1/uisettings", bearer, noBody, func(s *Server, c *call) {
		schemes := []string{}
		for name := range s.db.ui {
			schemes = append(schemes, name)
		}
		slices.Sort(schemes)
		c.json(schemes)
	})
	rs.add("POST", "/api/v1/uisettings", bearer, jsonBody, try(func(_ *Server, c *call) error {
		in := readObject(c.body)
		certificate := in.str("Certificate")
		in.str("Password")
		if err := in.err(); err != nil {
			return err
		}
		if _, err := base64.StdEncoding.DecodeString(certificate); err != nil || certificate == "" {
			return failf(http.StatusBadRequest, "Invalid certificate: the data is not valid")
		}
		c.empty(http.StatusOK)
		return nil
	}))
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
	rs.add("GET", "/api/v1/webmodules", bearer, noBody, func(_ *Server, c *call) { c.json([]object{}) })
	rs.add("POST", "/api/v1/webmodule/{key}", bearer, jsonBody, try(func(*Server, *call) error {
		return failf(http.StatusNotFound, "No such module found")
	}))
	if !g.nonce {
		for _, kind := range []string{"hyperv", "mssql"} {
			rs.add("GET", "/api/v1/"+kind, bearer, noBody, func(_ *Server, c *call) { c.json([]object{}) })
			rs.add("GET", "/api/v1/"+kind+"/{key}", bearer, noBody, func(_ *Server, c *call) { c.json([]object{}) })
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
			return errBind
		}
	}
	s.db.ui[c.values["scheme"]] = values
	c.empty(http.StatusOK)
	return nil
}
