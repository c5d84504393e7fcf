package duplicatitest

import (
	"slices"
	"strings"
	"time"
)

// connection is a stored connection string.
type connection struct {
	id                         int64
	name, description, baseURL string
	created, updated           time.Time
}

func connectionRoutes(rs *routes, g *generation) {
	if !g.connections {
		return
	}
	const one = "/api/v2/connection-string/{id}"
	rs.add("GET", "/api/v2/connection-strings", bearer, noBody, (*Server).listConnections)
	rs.add("POST", "/api/v2/connection-strings", bearer, jsonBody, try((*Server).createConnection))
	rs.add("GET", one, bearer, noBody, try((*Server).getConnection))
	rs.add("PUT", one, bearer, jsonBody, try((*Server).updateConnection))
	rs.add("DELETE", one, bearer, noBody, try((*Server).deleteConnection))
	rs.add("POST", one+"/update-backups", bearer, jsonBody, refuse("what a change of many backups answers"))
}

func (s *Server) renderConnection(k *connection) object {
	users := []object{}
	for _, b := range s.db.backups {
		if b.connection == k.id {
			users = append(users, object{{"ID", b.id}, {"Name", b.name}})
		}
	}
	return object{
		{"ID", k.id}, {"Name", k.name}, {"Description", k.description}, {"BaseUrl", s.maskedURL(k.baseURL)},
		{"CreatedAt", utc(k.created)}, {"UpdatedAt", utc(k.updated)}, {"Backups", users},
	}
}

// maskedURL hides the values of a URL's passwords.
func (s *Server) maskedURL(url string) string {
	base, query, has := strings.Cut(url, "?")
	if !has {
		return url
	}
	parts := strings.Split(query, "&")
	for i, p := range parts {
		if name, _, ok := strings.Cut(p, "="); ok && isSecret(name) {
			parts[i] = name + "=" + s.gen.placeholder
		}
	}
	return base + "?" + strings.Join(parts, "&")
}

func (s *Server) listConnections(c *call) {
	out := []object{}
	for _, k := range s.db.connections {
		out = append(out, s.renderConnection(k))
	}
	c.envelope(object{{"Data", out}})
}

func (s *Server) connectionOf(c *call) (*connection, error) {
	id, err := parseLong(c.values["id"])
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(s.db.connections, func(k *connection) bool { return k.id == id })
	if i < 0 {
		return nil, unknownOf("a connection string that is not there")
	}
	return s.db.connections[i], nil
}

func readConnection(c *call) (connection, error) {
	in := readObject(c.body)
	in.require("Name", "Description", "BaseUrl")
	k := connection{name: in.str("Name"), description: in.str("Description"), baseURL: in.str("BaseUrl")}
	return k, in.err()
}

func (s *Server) nameTaken(name string, except int64) bool {
	return slices.ContainsFunc(s.db.connections, func(k *connection) bool { return k.id != except && strings.EqualFold(k.name, name) })
}

func (s *Server) createConnection(c *call) error {
	k, err := readConnection(c)
	if err != nil {
		return err
	}
	if s.nameTaken(k.name, 0) {
		return unknownOf("a second connection string of a name")
	}
	s.db.lastConn++
	k.id, k.created, k.updated = s.db.lastConn, s.at, s.at
	s.db.connections = append(s.db.connections, &k)
	s.bumpData()
	c.envelope(object{{"Data", s.renderConnection(&k)}})
	return nil
}

func (s *Server) getConnection(c *call) error {
	k, err := s.connectionOf(c)
	if err != nil {
		return err
	}
	c.envelope(object{{"Data", s.renderConnection(k)}})
	return nil
}

func (s *Server) updateConnection(c *call) error {
	in, err := readConnection(c)
	if err != nil {
		return err
	}
	k, err := s.connectionOf(c)
	if err != nil {
		return err
	}
	if s.nameTaken(in.name, k.id) {
		return unknownOf("a second connection string of a name")
	}
	k.name, k.description, k.updated = in.name, in.description, s.at
	if !hasMask(in.baseURL) {
		k.baseURL = in.baseURL
	}
	s.bumpData()
	c.envelope(object{{"Data", s.renderConnection(k)}})
	return nil
}

func (s *Server) deleteConnection(c *call) error {
	k, err := s.connectionOf(c)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(s.db.backups, func(b *backup) bool { return b.connection == k.id }) {
		return unknownOf("the words in which a connection string in use is not deleted")
	}
	s.db.connections = slices.DeleteFunc(s.db.connections, func(o *connection) bool { return o == k })
	s.bumpData()
	c.envelope(object{{"Data", nil}})
	return nil
}
