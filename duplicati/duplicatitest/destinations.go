package duplicatitest

import (
	"net/http"
	"strings"
)

func destinationRoutes(rs *routes, g *generation) {
	const v1 = "/api/v1/remoteoperation/"
	rs.add("POST", v1+"dbpath", bearer, jsonBody, try((*Server).remoteDBPath))
	rs.add("POST", v1+"test", bearer, jsonBody, try((*Server).remoteTest))
	rs.add("POST", v1+"create", bearer, jsonBody, try((*Server).remoteCreate))
	if g.v2 {
		rs.add("POST", "/api/v2/destination/test", bearer, jsonBody, try((*Server).testDestination))
	}
	if g.brokenFiles {
		rs.add("POST", "/api/v2/destination/list", bearer, jsonBody, try((*Server).listDestination))
	}
}

// volumesAt are the files at a destination, and whether there is such a place:
// one that a backup has written to or a client has made.
func (s *Server) volumesAt(target string) ([]volume, bool) {
	there := s.db.folders[place(target)]
	for _, b := range s.db.backups {
		if place(b.target) == place(target) && b.local != nil && !s.disk.isLost(b.target) {
			return b.local.volumes, true
		}
	}
	return nil, there
}

func (s *Server) makeFolder(target string) {
	if s.db.folders == nil {
		s.db.folders = map[string]bool{}
	}
	s.db.folders[place(target)] = true
}

func (s *Server) pathInBody(c *call) (string, error) {
	in := readObject(c.body)
	p := in.str("path")
	return p, in.err()
}

func (s *Server) remoteDBPath(c *call) error {
	p, err := s.pathInBody(c)
	if err != nil {
		return err
	}
	for _, b := range s.db.backups {
		if place(b.target) == place(p) {
			c.json(object{{"Exists", b.local != nil}, {"Path", b.dbPath}})
			return nil
		}
	}
	c.json(object{{"Exists", false}, {"Path", ""}})
	return nil
}

func (s *Server) remoteTest(c *call) error {
	create, err := c.query.flag("autocreate")
	if err != nil {
		return err
	}
	p, err := s.pathInBody(c)
	if err != nil {
		return err
	}
	if _, ok := s.volumesAt(p); !ok {
		if !create {
			return failf(http.StatusInternalServerError, "missing-folder")
		}
		s.makeFolder(p)
	}
	c.empty(http.StatusOK)
	return nil
}

func (s *Server) remoteCreate(c *call) error {
	p, err := s.pathInBody(c)
	if err != nil {
		return err
	}
	s.makeFolder(p)
	c.empty(http.StatusOK)
	return nil
}

func (s *Server) testDestination(c *call) error {
	in := readObject(c.body)
	in.require("DestinationUrl", "Options", "AutoCreate")
	target, create := in.str("DestinationUrl"), in.isTrue("AutoCreate", false)
	if err := in.err(); err != nil {
		return err
	}
	volumes, ok := s.volumesAt(target)
	if !ok && create {
		s.makeFolder(target)
		ok = true
	}
	var empty, holds, encrypted any
	if ok {
		aes := len(volumes) > 0 && strings.HasSuffix(volumes[0].name, ".aes")
		empty, holds, encrypted = len(volumes) == 0, len(volumes) > 0, aes
	}
	data := object{
		{"FolderExists", ok}, {"FolderIsEmpty", empty}, {"FolderContainsBackupFiles", holds},
		{"FolderContainsEncryptedBackupFiles", encrypted}, {"AfterConnect", ok}, {"HostCertificate", nil},
		{"ReportedHostKey", nil}, {"AcceptedHostKey", nil},
	}
	if ok {
		c.envelope(object{{"Data", data}})
		return nil
	}
	c.json(object{{"Data", data}, {"Success", false}, {"Error", "Folder does not exist"}, {"StatusCode", "missing-folder"}})
	return nil
}

// listLimit is the most that one page of a destination's files holds.
const listLimit = 200

func (s *Server) listDestination(c *call) error {
	in := readObject(c.body)
	in.require("BackupId", "DestinationUrl", "Path", "Offset", "Limit")
	target := in.str("DestinationUrl")
	offset, limit := int64(0), int64(listLimit)
	if n := in.long("Offset", true); n != nil {
		offset = *n
	}
	if n := in.long("Limit", true); n != nil {
		limit = *n
	}
	if offset < 0 || limit < 1 || limit > listLimit {
		in.strange = "a part of a list outside of its bounds"
	}
	id := in.str("BackupId")
	if err := in.err(); err != nil {
		return err
	}
	if id != "" {
		b := s.find(id)
		if b == nil {
			return errNoBackup
		}
		if target == "" {
			target = b.target
		}
	}
	volumes, ok := s.volumesAt(target)
	if !ok {
		return unknownOf("the words in which a destination that is not there is not listed")
	}
	total := int64(len(volumes))
	offset = min(offset, total)
	items := []object{}
	for _, v := range volumes[offset:min(offset+limit, total)] {
		items = append(items, object{{"Path", v.name}, {"Size", v.size}, {"Metadata", nil}})
	}
	c.json(object{
		{"Data", object{{"Items", items}, {"Offset", offset}, {"HasMore", offset+limit < total}}},
		{"Success", true}, {"Error", nil}, {"StatusCode", "Success"},
	})
	return nil
}
