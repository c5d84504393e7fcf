package duplicatitest

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

func listingRoutes(rs *routes, g *generation) {
	const at = "/api/v1/backup/{id}/"
	rs.add("GET", at+"log", bearer, noBody, try((*Server).backupLog))
	rs.add("GET", at+"remotelog", bearer, noBody, try((*Server).remoteLog))
	rs.add("GET", at+"filesets", bearer, noBody, try((*Server).filesets))
	rs.add("GET", at+"files", bearer, noBody, try((*Server).files))
	if g.v2 {
		const at = "/api/v2/backup/"
		rs.add("POST", at+"list-filesets", bearer, jsonBody, try((*Server).listFilesets))
		rs.add("POST", at+"list-folder", bearer, jsonBody, try((*Server).listFolder))
		rs.add("POST", at+"list-versions", bearer, jsonBody, try((*Server).listVersions))
		rs.add("POST", at+"search", bearer, jsonBody, try((*Server).search))
	}
	if g.brokenFiles {
		rs.add("POST", "/api/v2/backup/list-broken-files", bearer, jsonBody, try((*Server).listBroken))
	}
}

// pageOf is the "offset" and "pagesize" of a log, and the rows below offset.
func (q query) pageOf() (below, size int64, err error) {
	below, given, err := q.long("offset")
	if err != nil {
		return 0, 0, err
	}
	if !given {
		below = 1<<63 - 1
	}
	size, err = q.pageSize(10, 500)
	return below, size, err
}

func (s *Server) lockedLog(c *call) (b *backup, below, size int64, err error) {
	below, size, err = c.query.pageOf()
	if err != nil {
		return nil, 0, 0, err
	}
	if b, err = s.backupOf(c); err != nil {
		return nil, 0, 0, err
	}
	if s.gen.locks && s.isRunning(b.id) {
		return nil, 0, 0, errLocked
	}
	return b, below, size, nil
}

func (s *Server) backupLog(c *call) error {
	b, below, size, err := s.lockedLog(c)
	if err != nil {
		return err
	}
	out := []object{}
	if b.local != nil {
		for _, row := range slices.Backward(b.local.rows) {
			if row.id < below && int64(len(out)) < size {
				out = append(out, object{
					{"ID", row.id}, {"OperationID", row.operation}, {"Timestamp", row.at.Unix()}, {"Type", "Result"},
					{"Message", row.message}, {"Exception", object{}},
				})
			}
		}
	}
	c.json(out)
	return nil
}

func (s *Server) remoteLog(c *call) error {
	b, below, size, err := s.lockedLog(c)
	if err != nil {
		return err
	}
	out := []object{}
	if b.local != nil {
		rows := b.local.remote
		if t := s.run.active; s.isRunning(b.id) && t.op == opBackup && len(rows) == 0 {
			_, rows = s.underway(t)
		}
		for _, row := range slices.Backward(rows) {
			if row.id < below && int64(len(out)) < size {
				var data any = object{} // a database NULL
				if row.data != "" {
					data = row.data
				}
				out = append(out, object{
					{"ID", row.id}, {"OperationID", row.operation}, {"Timestamp", row.at.Unix()}, {"Operation", row.action},
					{"Path", row.path}, {"Data", data},
				})
			}
		}
	}
	c.json(out)
	return nil
}

// readable is what stands before every listing of a backup's versions. On
// 2.3.0, the v1 one of a run ends that run's progress for ever.
func (s *Server) readable(c *call, b *backup, main string) ([]*version, error) {
	running := s.isRunning(b.id)
	v2 := c.isV2()
	switch {
	case running && s.gen.locks:
		s.spendTask()
		return nil, errLocked
	case running && !s.gen.nonce:
		s.spendTask()
		return nil, errUnexpected
	case running && b.local == nil: // deleted under the run
		return nil, s.listingFailed(b, main)
	case running && v2 && s.gen.listWaits:
		return s.waitedFor(c, b)
	case running && s.gen.hangs && s.run.active.op == opBackup:
		s.run.active.wedged = true
		fallthrough
	case running && s.run.active.op == opBackup && len(b.local.versions) == 0:
		if len(b.local.versions) == 0 {
			v, _ := s.underway(s.run.active)
			return []*version{v}, nil
		}
	}
	if b.local == nil || len(b.local.versions) == 0 {
		return nil, s.listingFailed(b, main)
	}
	return b.local.newestFirst(), nil
}

// waitedFor lists the versions as they were when it was asked, once the run has
// ended.
func (s *Server) waitedFor(c *call, b *backup) ([]*version, error) {
	gone, t := s.run, s.run.active
	versions := b.local.newestFirst()
	if t.op == opBackup && len(versions) == 0 {
		v, _ := s.underway(t)
		versions = []*version{v}
	}
	if !s.wait(c.ctx, time.Time{}, func() bool { return s.run != gone || !t.finished.IsZero() }) || s.run != gone {
		return nil, errUnexpected
	}
	return versions, nil
}

func fullFlag(v *version) int {
	if v.full {
		return 1
	}
	return 0
}

// fileset is a version in a v1 list, with or without what it holds.
func fileset(n int, v *version, counted bool) object {
	count, size := int64(-1), int64(-1)
	if counted {
		count, size = int64(len(v.files)), v.bytes()
	}
	return object{
		{"Version", n}, {"IsFullBackup", fullFlag(v)}, {"Time", local(v.time)}, {"FileCount", count}, {"FileSizes", size},
	}
}

func (s *Server) filesets(c *call) error {
	if _, err := c.query.flag("include-metadata"); err != nil {
		return err
	}
	remote, err := c.query.flag("from-remote-only")
	if err != nil {
		return err
	}
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	if remote && s.isRunning(b.id) { // it reads the destination alone, and locks nothing
		if b.local == nil {
			return errEmptyRemote
		}
		c.json(filesetList(b.local.newestFirst(), false))
		return nil
	}
	versions, err := s.readable(c, b, "List")
	if err != nil {
		return err
	}
	out := filesetList(versions, false)
	s.listed(b, "List", object{{"EncryptedFiles", false}, {"Filesets", out}, {"Files", nil}, {"MainOperation", "List"}}, true)
	c.json(out)
	return nil
}

func filesetList(versions []*version, counted bool) []object {
	out := []object{}
	for i, v := range versions {
		out = append(out, fileset(i, v, counted))
	}
	return out
}

// listed writes down a listing; not all of them tell of their warnings.
func (s *Server) listed(b *backup, main string, own object, tells bool) {
	r := s.newReport(main, s.at, b)
	r.own = own
	s.within(b, r)
	if tells {
		s.gotWarnings(b, r)
	}
}

func (s *Server) files(c *call) error {
	flags := map[string]bool{}
	for _, name := range []string{"all-versions", "prefix-only", "folder-contents"} {
		v, err := c.query.flag(name)
		if err != nil {
			return err
		}
		flags[name] = v
	}
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	at := s.at
	if !flags["all-versions"] {
		if strings.TrimSpace(c.query.text("time")) == "" {
			return failf(http.StatusBadRequest, "Invalid or missing time")
		}
		if at, err = parseTime(c.query.text("time"), s.at); err != nil {
			return errUnexpected
		}
	}
	versions, err := s.readable(c, b, "List")
	if err != nil {
		return err
	}
	if !flags["all-versions"] {
		versions = newestBefore(versions, at)
	}
	sets := filesetList(versions, true)
	files := listFiles(versions, c.query.text("filter"), flags["prefix-only"], flags["folder-contents"])
	s.listed(b, "List", object{{"EncryptedFiles", false}, {"Filesets", sets}, {"Files", files}, {"MainOperation", "List"}}, true)
	c.json(object{{"Filesets", sets}, {"Files", files}})
	return nil
}

// newestBefore is the version of a time: the newest that is not after it, or
// else the oldest.
func newestBefore(versions []*version, at time.Time) []*version {
	for _, v := range versions {
		if !v.time.After(at) {
			return []*version{v}
		}
	}
	if len(versions) == 0 {
		return nil
	}
	return versions[len(versions)-1:]
}

// folderOf is the folder that holds a file, with its slash.
func folderOf(file string) string { return path.Dir(strings.TrimSuffix(file, "/")) + "/" }

// folders are those that hold files of the versions, each once.
func folders(versions []*version) []string {
	var out []string
	for _, v := range versions {
		for _, f := range v.files {
			if d := folderOf(f.path); !slices.Contains(out, d) {
				out = append(out, d)
			}
		}
	}
	slices.Sort(out)
	return out
}

func listFiles(versions []*version, filter string, prefixOnly, contents bool) []object {
	out := []object{}
	add := func(p string, sizes []int64) {
		out = append(out, object{{"Path", p}, {"Sizes", sizes}})
	}
	for _, d := range folders(versions) {
		if !contents || d == filter {
			add(d, []int64{})
		}
	}
	if prefixOnly {
		return out
	}
	var names []string
	sizes := map[string][]int64{}
	for _, v := range versions {
		for _, f := range v.files {
			if contents && folderOf(f.path) != filter || !contents && !matchFilter(filter, f.path) {
				continue
			}
			if _, ok := sizes[f.path]; !ok {
				names = append(names, f.path)
			}
			sizes[f.path] = append(sizes[f.path], f.size)
		}
	}
	for _, n := range names {
		add(n, sizes[n])
	}
	return out
}

// matchFilter matches "*" and "?"; an empty filter matches everything.
func matchFilter(filter, name string) bool {
	filter = strings.TrimPrefix(filter, "@")
	if filter == "" {
		return true
	}
	return glob(strings.ToLower(filter), strings.ToLower(name))
}

func glob(pattern, s string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			for i := len(s); i >= 0; i-- {
				if glob(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case '?':
			if s == "" {
				return false
			}
		default:
			if s == "" || s[0] != pattern[0] {
				return false
			}
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}
