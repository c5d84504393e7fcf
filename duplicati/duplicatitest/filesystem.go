package duplicatitest

import (
	"net/http"
	"slices"
	"strings"
)

func filesystemRoutes(rs *routes, g *generation) {
	rs.add("POST", "/api/v1/filesystem", bearer, jsonBody, try((*Server).browse))
	rs.add("POST", "/api/v1/filesystem/validate", bearer, jsonBody, try((*Server).validatePath))
	if g.connections {
		rs.add("POST", "/api/v2/filesystem/test-filter", bearer, jsonBody, try((*Server).testFilter))
	}
}

// browse lists a folder of the simulated disk.
func (s *Server) browse(c *call) error {
	onlyFolders, err := c.query.flag("onlyfolders")
	if err != nil {
		return err
	}
	if _, err := c.query.flag("showhidden"); err != nil {
		return err
	}
	p, err := s.pathInBody(c)
	if err != nil {
		return err
	}
	switch {
	case strings.TrimSpace(p) == "":
		return failf(http.StatusBadRequest, "No path was found")
	case !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "%"):
		return failf(http.StatusBadRequest, "The path must start with a forward-slash")
	}
	entries, ok := s.disk.entries(withSlash(p))
	if !ok {
		return &crash{"System.IO.DirectoryNotFoundException", "Could not find a part of the path '" + p + "'."}
	}
	out := []object{}
	for _, e := range entries {
		folder := strings.HasSuffix(e.path, "/")
		if onlyFolders && !folder {
			continue
		}
		name := strings.TrimSuffix(e.path, "/")
		out = append(out, object{
			{"text", name[strings.LastIndexByte(name, '/')+1:]}, {"id", e.path}, {"cls", "folder"}, {"iconCls", "x-tree-icon-parent"},
			{"check", false}, {"leaf", !folder}, {"resolvedpath", e.path}, {"hidden", false}, {"systemFile", false},
			{"temporary", false}, {"symlink", false}, {"fileSize", e.size},
		})
	}
	c.json(out)
	return nil
}

func (s *Server) validatePath(c *call) error {
	p, err := s.pathInBody(c)
	if err != nil {
		return err
	}
	if _, ok := s.disk.entries(withSlash(p)); !ok && !s.disk.holds(p) {
		return failf(http.StatusNotFound, "The path does not exist")
	}
	c.empty(http.StatusOK)
	return nil
}

func (s *Server) testFilter(c *call) error {
	in := readObject(c.body)
	paths, filters := in.texts("Paths"), in.texts("Filters")
	in.texts("Sources")
	if err := in.err(); err != nil {
		return err
	}
	out := []object{}
	for _, p := range paths {
		included, matched := true, any(nil)
		for _, f := range filters {
			if len(f) > 1 && glob(strings.ToLower(f[1:]), strings.ToLower(p)) {
				included, matched = f[0] != '-', f
				break
			}
		}
		out = append(out, object{{"Path", p}, {"Included", included}, {"MatchedFilter", matched}})
	}
	c.envelope(object{{"Data", out}})
	return nil
}

// entries lists a folder: the files of one that was written, and the folders
// on the way to those.
func (d *Disk) entries(folder string) ([]diskFile, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Clone(d.folders[folder])
	found := folder == "/" || d.folders[folder] != nil
	for path := range d.folders {
		rest, below := strings.CutPrefix(withSlash(path), folder)
		if !below || rest == "" {
			continue
		}
		found = true
		name, _, _ := strings.Cut(rest, "/")
		if sub := (diskFile{path: folder + name + "/", size: -1}); !slices.Contains(out, sub) {
			out = append(out, sub)
		}
	}
	slices.SortFunc(out, func(a, b diskFile) int { return strings.Compare(a.path, b.path) })
	return out, found
}

func (d *Disk) holds(file string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.folders[folderOf(file)], func(f diskFile) bool { return f.path == file })
}
