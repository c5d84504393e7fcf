package duplicatitest

import (
	"embed"
	"net/http"
	"slices"
	"strings"
)

// The catalogues of a server: what it can store to, and its options. They are
// of no use to a fake beyond their shape, and kept as each generation gives
// them, cut to their first entries.
//
//go:embed catalogue
var catalogue embed.FS

func (g *generation) catalogue(name string) []byte {
	raw, err := catalogue.ReadFile("catalogue/" + name + "-" + g.name + ".json")
	if err != nil {
		panic(err) // each generation has each of them
	}
	return raw
}

func systemRoutes(rs *routes, g *generation) {
	rs.add("", "/health", anyone, noBody, func(_ *Server, c *call) {
		c.header.Set("Content-Type", "text/plain")
		c.chunked([]byte("Healthy"))
	})
	rs.add("GET", "/api/v1/systeminfo", bearer, noBody, (*Server).systemInfo)
	rs.add("GET", "/api/v1/systeminfo/filtergroups", bearer, noBody, func(_ *Server, c *call) {
		c.json(object{{"FilterGroups", object{
			{"SystemFiles", []string{}}, {"OperatingSystem", []string{}}, {"CacheFiles", []string{}},
			{"TemporaryFiles", []string{}}, {"Applications", []string{}}, {"DefaultExcludes", []string{}},
		}}})
	})
	rs.add("GET", "/api/v1/backupdefaults", bearer, noBody, func(s *Server, c *call) {
		c.header.Set("Content-Type", "application/json")
		c.chunked(s.gen.catalogue("backupdefaults"))
	})
	rs.add("GET", "/api/v1/progressstate", bearer, noBody, try((*Server).getProgress))
	if g.connections {
		rs.add("POST", "/api/v2/system/temp-disk-space", bearer, jsonBody, try((*Server).tempSpace))
	}
}

// systemInfo answers with the catalogue and, in it, what depends on the moment.
func (s *Server) systemInfo(c *call) {
	info, err := parseJSON(s.gen.catalogue("systeminfo"))
	if err != nil {
		panic(err) // it is part of the program
	}
	hidden := strings.Split(s.db.settings.value("disable-api-extensions"), ";")
	for i, m := range info.members {
		switch m.name {
		case "ServerTime":
			info.members[i].value = &jsonValue{kind: 's', text: local(s.at)}
		case "APIExtensions":
			m.value.items = slices.DeleteFunc(m.value.items, func(v *jsonValue) bool {
				return slices.ContainsFunc(hidden, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), v.text) })
			})
		}
	}
	c.json(info)
}

func (s *Server) tempSpace(c *call) error {
	in := readObject(c.body)
	id := in.str("BackupId")
	if err := in.err(); err != nil {
		return err
	}
	size := int64(50 << 20)
	if id != "" {
		b := s.find(id)
		if b == nil {
			return errNoBackup
		}
		if v, ok := b.option("dblock-size"); ok {
			if n, err := parseSize(v, "mb"); err == nil {
				size = n
			}
		}
	}
	c.envelope(object{{"Data", object{
		{"TempPath", "/tmp/"}, {"FreeSpace", int64(freeSpace)}, {"TotalSpace", int64(totalSpace)},
		{"DblockSize", size}, {"RestoreCacheMax", int64(4096)},
	}}})
	return nil
}

// envelope is how v2 answers that all is well.
func (c *call) envelope(o object) {
	c.json(append(o, object{{"Success", true}, {"Error", nil}, {"StatusCode", "OK"}}...))
}

// page is the PageInfo of a v2 list.
func page(page, size, total, pages int64) member {
	return member{"PageInfo", object{{"Page", page}, {"PageSize", size}, {"Total", total}, {"Pages", pages}}}
}

func (c *call) envelopePage(info member, data []object) {
	c.envelope(object{info, {"Data", data}})
}

func (s *Server) getProgress(c *call) error {
	if s.run.progress == nil {
		return failf(http.StatusNotFound, "No active backup")
	}
	c.json(s.renderProgress())
	return nil
}
