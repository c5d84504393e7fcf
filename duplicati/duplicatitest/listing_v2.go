package duplicatitest

import (
	"strings"
	"time"
)

// v2 listings: paged, in an envelope.

func (s *Server) listFilesets(c *call) error {
	in := readObject(c.body)
	in.flag("ForceRemoteListing", true)
	b, err := s.backupInBody(in)
	if err != nil {
		return err
	}
	versions, err := s.readable(c, b, "ListFilesets")
	if err != nil {
		return err
	}
	out, logged := []object{}, []object{}
	for i, v := range versions {
		files := len(v.files) + v.dirs
		out = append(out, object{
			{"Version", i}, {"Time", utc(v.time)}, {"IsFullBackup", v.full}, {"FileCount", files}, {"FileSizes", v.bytes()},
		})
		logged = append(logged, object{
			{"Version", i}, {"ID", len(versions) - i}, {"IsFullBackup", v.full}, {"Time", utc(v.time)}, {"FileCount", files}, {"FileSizes", v.bytes()},
		})
	}
	s.listed(b, "ListFilesets", object{{"MainOperation", "ListFilesets"}, {"Filesets", logged}, {"EncryptedFiles", nil}}, true)
	c.envelopePage(onePage(len(out)), out)
	return nil
}

// onePage is the PageInfo of a list that has no pages.
func onePage(n int) member { return page(1, int64(n), int64(n), 1) }

// paging are "PageSize", 1000 when null, and "Page", from 0.
func (r *reader) paging() (size, number int64) {
	r.require("PageSize", "Page")
	size = 1000
	if n := r.long("PageSize", true); n != nil {
		size = *n
	}
	if n := r.long("Page", true); n != nil {
		number = *n
	}
	if size < 1 || number < 0 {
		r.strange = "a page of no length, or before the first"
	}
	return size, number
}

// cut is one page of a list and its PageInfo.
func cut(list []object, size, number int64) ([]object, member) {
	total := int64(len(list))
	pages := (total + size - 1) / size
	from := min(number*size, total)
	return list[from:min(from+size, total)], page(number, size, total, pages)
}

// entry is a file or folder in a v2 list.
func (s *Server) entry(p string, size int64, dir bool, at time.Time) object {
	o := object{
		{"Path", p}, {"Size", size}, {"IsDirectory", dir}, {"IsSymlink", false}, {"LastModified", utc(at)},
	}
	if !s.gen.connections {
		return o
	}
	return o.with("Metadata", nil)
}

// logged is an entry as the engine's result has it.
func (s *Server) logged(e object, id int, ranged bool) object {
	var o object
	if s.gen.connections {
		o = object{{"FileId", id}}
	}
	match := func() {
		if ranged {
			end := object{{"Value", 0}, {"IsFromEnd", false}}
			o = o.with("MatchedPathRange", object{{"Start", end}, {"End", end}})
		}
	}
	for _, m := range e {
		if m.name == "Metadata" {
			match()
		}
		o = append(o, m)
	}
	if !s.gen.connections {
		match()
	}
	return o
}

func (s *Server) loggedPage(entries []object, info member, ranged bool) object {
	items := []object{}
	for i, e := range entries {
		items = append(items, s.logged(e, i+1, ranged))
	}
	p := info.value.(object)
	return object{{"Page", p[0].value}, {"PageSize", p[1].value}, {"TotalPages", p[3].value}, {"TotalCount", p[2].value}, {"Items", items}}
}

func (s *Server) listFolder(c *call) error {
	in := readObject(c.body)
	in.require("Paths", "Time")
	paths, at := in.texts("Paths"), in.str("Time")
	size, number := in.paging()
	in.flag("ReturnExtended", true)
	b, err := s.backupInBody(in)
	if err != nil {
		return err
	}
	when, err := parseTime(at, s.at)
	if err != nil {
		return errUnexpected
	}
	versions, err := s.readable(c, b, "ListFolder")
	if err != nil {
		return err
	}
	versions = newestBefore(versions, when)
	entries := []object{}
	roots := strings.Join(paths, "") == ""
	for _, d := range folders(versions) {
		if roots {
			entries = append(entries, s.entry(d, -1, true, versions[0].time))
		}
	}
	for _, v := range versions {
		for _, f := range v.files {
			for _, p := range paths {
				if p != "" && folderOf(f.path) == withSlash(p) {
					entries = append(entries, s.entry(f.path, f.size, false, v.time))
				}
			}
		}
	}
	shown, info := cut(entries, size, number)
	if roots { // its only page is as long as it is
		shown, info = entries, page(0, int64(len(entries)), int64(len(entries)), 1)
	}
	s.listed(b, "ListFolder", object{{"MainOperation", "ListFolder"}, {"Entries", s.loggedPage(shown, info, false)}}, false)
	c.envelopePage(info, shown)
	return nil
}

// oddTime is the time of a version as search tells it: its Unix seconds taken
// for ticks.
func oddTime(t time.Time) time.Time {
	return time.Time{}.Add(time.Duration(t.Unix()) * tick)
}

func (s *Server) search(c *call) error {
	in := readObject(c.body)
	in.require("Paths", "Filters")
	paths, filters := in.texts("Paths"), in.texts("Filters")
	at := in.text("Time")
	size, number := in.paging()
	in.flag("ReturnExtended", true)
	in.flag("CaseSensitiveSearch", true)
	in.flag("SearchMetadata", true)
	b, err := s.backupInBody(in)
	if err != nil {
		return err
	}
	when := s.at
	if at != nil {
		if when, err = parseTime(*at, s.at); err != nil {
			return errUnexpected
		}
	}
	versions, err := s.readable(c, b, "SearchFiles")
	if err != nil {
		return err
	}
	if at != nil {
		versions = newestBefore(versions, when)
	}
	entries := []object{}
	for i, v := range versions {
		for _, f := range v.files {
			if !under(paths, f.path) || !matchesAny(filters, f.path) {
				continue
			}
			e := object{{"Version", i}, {"Time", utc(oddTime(v.time))}}
			entries = append(entries, append(e, s.entry(f.path, f.size, false, v.time)...))
		}
	}
	shown, info := cut(entries, size, number)
	s.listed(b, "SearchFiles", object{{"MainOperation", "SearchFiles"}, {"FileVersions", s.loggedPage(shown, info, true)}}, false)
	c.envelopePage(info, shown)
	return nil
}

func under(paths []string, file string) bool {
	if strings.Join(paths, "") == "" {
		return true
	}
	for _, p := range paths {
		if p != "" && strings.HasPrefix(file, p) {
			return true
		}
	}
	return false
}

func matchesAny(filters []string, file string) bool {
	for _, f := range filters {
		if matchFilter(f, file) {
			return true
		}
	}
	return len(filters) == 0
}

// listVersions finds the versions of what lies in the folders that are given;
// of a file it finds none.
func (s *Server) listVersions(c *call) error {
	in := readObject(c.body)
	in.require("Paths")
	paths := in.texts("Paths")
	size, number := in.paging()
	b, err := s.backupInBody(in)
	if err != nil {
		return err
	}
	versions, err := s.readable(c, b, "ListFileVersions")
	if err != nil {
		return err
	}
	entries := []object{}
	for i, v := range versions {
		for _, f := range v.files {
			for _, p := range paths {
				if strings.HasSuffix(p, "/") && folderOf(f.path) == p {
					e := object{{"Version", i}, {"Time", utc(v.time)}}
					entries = append(entries, append(e, s.entry(f.path, f.size, false, v.time)...))
				}
			}
		}
	}
	shown, info := cut(entries, size, number)
	s.listed(b, "ListFileVersions", object{{"MainOperation", "ListFileVersions"}, {"FileVersions", s.loggedPage(shown, info, true)}}, false)
	c.envelopePage(info, shown)
	return nil
}

func (s *Server) listBroken(c *call) error {
	b, err := s.backupInBody(readObject(c.body))
	if err != nil {
		return err
	}
	if _, err := s.readable(c, b, "ListBrokenFiles"); err != nil {
		return err
	}
	r := s.newReport("ListBrokenFiles", s.at, b)
	r.info("Operation.ListBrokenFilesHandler-NoBrokenFilesetsInDatabase", "No broken filesets found in database, checking for missing remote files")
	r.list(len(b.local.volumes))
	r.info("Operation.ListBrokenFilesHandler-NoMissingFilesFound", "Skipping operation because no files were found to be missing, and no filesets were recorded as broken.")
	r.own = object{{"MainOperation", "ListBrokenFiles"}, {"BrokenFiles", nil}}
	s.within(b, r)
	s.gotWarnings(b, r)
	c.envelopePage(onePage(0), []object{})
	return nil
}
