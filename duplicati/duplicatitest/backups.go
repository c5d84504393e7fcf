package duplicatitest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func backupRoutes(rs *routes, g *generation) {
	rs.add("GET", "/api/v1/backups", bearer, noBody, (*Server).listBackups)
	rs.add("POST", "/api/v1/backups", bearer, jsonBody, try((*Server).createBackup))
	const at = "/api/v1/backup/{id}"
	rs.add("GET", at, bearer, noBody, try((*Server).getBackup))
	rs.add("PUT", at, bearer, jsonBody, try((*Server).updateBackup))
	rs.add("GET", at+"/isactive", bearer, noBody, try((*Server).isActive))
	rs.add("GET", at+"/isdbusedelsewhere", bearer, noBody, try((*Server).isDBUsedElsewhere))
	rs.add("POST", at+"/copytotemp", bearer, noBody, try((*Server).copyToTemp))
}

func (s *Server) backupOf(c *call) (*backup, error) {
	if b := s.find(c.values["id"]); b != nil {
		return b, nil
	}
	return nil, errNoBackup
}

func (s *Server) listBackups(c *call) {
	order := c.query.text("orderby")
	if !c.query.has("orderby") {
		order = s.db.settings.value("backup-list-sort-order")
	}
	c.json(s.renderBackups(order, s.gen.doubledDays))
}

// renderBackups is GET backups and, without the doubled days, the event of it.
func (s *Server) renderBackups(order string, doubled bool) []object {
	list := slices.Clone(s.db.backups)
	if s.gen.nonce { // 2.1 knows no order
		sortBackups(list, order)
	}
	out := []object{}
	for _, b := range list {
		out = append(out, object{
			{"Backup", s.renderBackup(b, inList)}, {"Schedule", renderSchedule(b.schedule, b.id, doubled)},
		})
	}
	return out
}

// sortBackups orders by a comma list of names, each with "-" or "+" before it;
// unknown names are ignored.
func sortBackups(list []*backup, order string) {
	var keys []func(a, b *backup) int
	for _, name := range strings.Split(order, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		by := backupOrders[strings.TrimLeft(name, "+-")]
		if by == nil {
			continue
		}
		if strings.HasPrefix(name, "-") {
			up := by
			by = func(a, b *backup) int { return up(b, a) }
		}
		keys = append(keys, by)
	}
	slices.SortStableFunc(list, func(a, b *backup) int {
		for _, by := range keys {
			if n := by(a, b); n != 0 {
				return n
			}
		}
		return 0
	})
}

var backupOrders = map[string]func(a, b *backup) int{
	"name":            func(a, b *backup) int { return strings.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) },
	"id":              func(a, b *backup) int { return cmp.Compare(number(a.id), number(b.id)) },
	"lastrun":         byMetadata("LastBackupFinished"),
	"nextrun":         func(a, b *backup) int { return nextTime(a).Compare(nextTime(b)) },
	"schedule":        func(a, b *backup) int { return nextTime(a).Compare(nextTime(b)) },
	"backend":         func(a, b *backup) int { return strings.Compare(scheme(a.target), scheme(b.target)) },
	"sourcesize":      byNumber("SourceFilesSize"),
	"destinationsize": byNumber("TargetFilesSize"),
	"duration":        byMetadata("LastBackupDuration"),
}

func byMetadata(key string) func(a, b *backup) int {
	return func(a, b *backup) int { return strings.Compare(a.metadata.value(key), b.metadata.value(key)) }
}

func byNumber(key string) func(a, b *backup) int {
	return func(a, b *backup) int {
		return cmp.Compare(number(a.metadata.value(key)), number(b.metadata.value(key)))
	}
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

func nextTime(b *backup) time.Time {
	if b.schedule == nil {
		return time.Unix(1<<40, 0)
	}
	return b.schedule.valid(b.schedule.time, b.schedule.time)
}

func scheme(target string) string {
	s, _, _ := strings.Cut(target, "://")
	return s
}

func (s *Server) byProposedTime() []*backup {
	var list []*backup
	for _, b := range s.db.backups {
		if !s.proposed(b).IsZero() {
			list = append(list, b)
		}
	}
	slices.SortStableFunc(list, func(a, b *backup) int {
		return s.proposed(a).Compare(s.proposed(b))
	})
	return list
}

func (s *Server) getBackup(c *call) error {
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	c.json(object{
		{"Schedule", renderSchedule(b.schedule, b.id, s.gen.doubledDays)},
		{"Backup", s.renderBackup(b, single)}, {"DisplayNames", displayNames(b.sources)},
	})
	return nil
}

func (s *Server) isActive(c *call) error {
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	c.json(object{{"Status", "OK"}, {"Active", s.taskOf(b.id) != nil}})
	return nil
}

func (s *Server) isDBUsedElsewhere(c *call) error {
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	c.json(object{{"inuse", slices.ContainsFunc(s.db.backups, func(o *backup) bool {
		return o.id != b.id && o.dbPath == b.dbPath
	})}})
	return nil
}

func (s *Server) copyToTemp(c *call) error {
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	copied := b.clone()
	s.addTemporary(copied)
	c.json(object{{"ID", copied.id}, {"Temporary", false}})
	return nil
}

// createBackup answers "Temporary": false whatever it made.
func (s *Server) createBackup(c *call) error {
	temporary, err := c.query.flag("temporary")
	if err != nil {
		return err
	}
	existing, err := c.query.flag("existingdb")
	if err != nil {
		return err
	}
	b, err := readBackupAndSchedule(c.body, s.gen)
	if err != nil {
		return err
	}
	if b == nil {
		return unknownOf("a Backup that is null")
	}
	if temporary {
		s.addTemporary(b)
		c.json(object{{"ID", b.id}, {"Temporary", false}})
		return nil
	}
	if text := validate(b, s.gen); text != "" {
		return failf(http.StatusBadRequest, text)
	}
	if s.db.named(b.name, "") != nil {
		return failf(http.StatusConflict, "There already exists a backup with the name: "+b.name)
	}
	path := b.dbPath
	s.add(b)
	if existing && path != "" {
		b.dbPath = path
	}
	c.json(object{{"ID", b.id}, {"Temporary", false}})
	return nil
}

// add stores a new backup under the next ID.
func (s *Server) add(b *backup) {
	s.db.lastBackup++
	b.id, b.temporary = strconv.FormatInt(s.db.lastBackup, 10), false
	b.dbPath, b.local = newDBPath(), nil
	s.setSchedule(b, b.schedule)
	s.db.backups = append(s.db.backups, b)
	s.backupsChanged()
}

func (s *Server) addTemporary(b *backup) {
	b.id, b.temporary, b.schedule = newGUID(), true, nil
	b.dbPath, b.local = newDBPath(), nil
	s.run.temps[b.id] = b
}

// setSchedule gives a backup a schedule; one that it had keeps its ID.
func (s *Server) setSchedule(b *backup, sc *schedule) {
	old := b.schedule
	b.schedule = sc
	delete(s.run.starts, b.id)
	switch {
	case sc == nil:
	case old != nil && old != sc && old.id != 0:
		sc.id = old.id
	default:
		s.db.lastSchedule++
		sc.id = s.db.lastSchedule
	}
}

func (s *Server) backupsChanged() {
	s.bumpData()
	s.publish("backuplist")
}

// updateBackup replaces the whole configuration, but for its database, masked
// values, and metadata that was not given.
func (s *Server) updateBackup(c *call) error {
	in, err := readBackupAndSchedule(c.body, s.gen)
	if err != nil {
		return err
	}
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	if in == nil {
		return unknownOf("a Backup that is null")
	}
	in.unmask(b)
	if text := validate(in, s.gen); text != "" {
		return failf(http.StatusBadRequest, text)
	}
	if s.db.named(in.name, b.id) != nil {
		return failf(http.StatusConflict, "There already exists a backup with the name: "+in.name)
	}
	in.id, in.dbPath, in.temporary, in.local = b.id, b.dbPath, b.temporary, b.local
	if in.metadata == nil {
		in.metadata = b.metadata
	}
	sc := in.schedule
	in.schedule = b.schedule
	*b = *in
	s.setSchedule(b, sc)
	s.backupsChanged()
	c.empty(http.StatusOK)
	return nil
}

// unmask restores values that are nothing but asterisks.
func (b *backup) unmask(stored *backup) {
	for i, st := range b.settings {
		if !maskedValue(st.value) {
			continue
		}
		for _, old := range stored.settings {
			if old.name == st.name && old.filter == st.filter {
				b.settings[i].value = old.value
			}
		}
	}
	if maskedValue(b.target) {
		b.target = stored.target
	}
	for i, src := range b.sources {
		if maskedValue(src) && i < len(stored.sources) {
			b.sources[i] = stored.sources[i]
		}
	}
}
