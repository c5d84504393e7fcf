package duplicatitest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

func deleteRoutes(rs *routes, _ *generation) {
	rs.add("DELETE", "/api/v1/backup/{id}", bearer, noBody, try((*Server).deleteBackup))
}

// forceWait is how long a forced delete waits for the run to end.
const forceWait = 10 * time.Second

// deleteBackup queues the deletion. A running backup stops it, or with force
// is stopped by it; 2.1 only queues.
func (s *Server) deleteBackup(c *call) error {
	remote, err := c.query.flag("delete-remote-files")
	if err != nil {
		return err
	}
	localDB, err := c.query.flag("delete-local-db")
	if err != nil {
		return err
	}
	force, err := c.query.flag("force")
	if err != nil {
		return err
	}
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	if b.temporary {
		delete(s.run.temps, b.id)
	}
	if running := s.run.active; s.gen.guardsDelete && running != nil && running.config.id == b.id {
		if !force {
			refuseDelete(c, "backup-in-progress", running.id)
			return nil
		}
		if !s.stopFor(c, running) {
			refuseDelete(c, "backup-unstoppable", running.id)
			return nil
		}
	}
	t := s.newTask(b, opDelete)
	t.deleteRemote, t.deleteLocal = remote, localDB
	c.json(object{{"Status", "OK"}, {"Reason", nil}, {"ID", s.enqueue(t, false)}})
	return nil
}

func refuseDelete(c *call, reason string, task int64) {
	c.json(object{{"Status", "failed"}, {"Reason", reason}, {"ID", task}})
	c.status = http.StatusInternalServerError
}

// stopFor pauses the server, aborts the task and waits for its end.
func (s *Server) stopFor(c *call, t *task) bool {
	paused := s.run.paused
	if !paused {
		s.run.paused = true
		s.bump()
	}
	gone := s.run
	if !t.wedged {
		t.abort = true
		t.outcome.resumes = false
		if t.ends.IsZero() || t.ends.After(s.at.Add(endSoonAfter)) {
			t.ends = s.at.Add(endSoonAfter)
		}
		t.dying = true
		s.changed()
	}
	ended := s.wait(c.ctx, s.at.Add(forceWait), func() bool { return !t.finished.IsZero() || s.run != gone })
	if !paused && s.run == gone {
		s.run.paused = false
		s.bump()
		s.dispatch()
	}
	return ended && s.run == gone
}

// drop does what a delete task does: remote files, local database,
// configuration, in this order.
func (s *Server) drop(t *task) {
	b := s.db.find(t.config.id)
	if b == nil {
		return // a second delete finds nothing, and that is no failure
	}
	if t.deleteRemote && b.local != nil {
		b.local.volumes, b.local.versions = nil, nil
		if s.disk.isLost(b.target) {
			s.disk.RestoreDestination(b.target)
		}
	}
	if t.deleteLocal {
		b.local = nil
	}
	s.db.backups = slices.DeleteFunc(s.db.backups, func(o *backup) bool { return o == b })
	delete(s.run.starts, b.id)
	s.backupsChanged()
}

func databaseRoutes(rs *routes, _ *generation) {
	const at = "/api/v1/backup/{id}/"
	rs.add("POST", at+"deletedb", bearer, noBody, try(func(s *Server, c *call) error {
		b, err := s.backupOf(c)
		if err != nil {
			return err
		}
		b.local = nil
		c.empty(http.StatusOK)
		return nil
	}))
	rs.add("POST", at+"movedb", bearer, jsonBody, try((*Server).moveDB))
	rs.add("POST", at+"updatedb", bearer, jsonBody, try((*Server).moveDB))
}

func (s *Server) moveDB(c *call) error {
	in := readObject(c.body)
	path := in.str("path")
	if err := in.err(); err != nil {
		return err
	}
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	moves := strings.HasSuffix(strings.ToLower(strings.TrimSuffix(c.r.URL.Path, "/")), "movedb")
	switch {
	case strings.TrimSpace(path) == "":
		return failf(http.StatusBadRequest, "No target path supplied")
	case !strings.HasPrefix(path, "/"):
		return failf(http.StatusBadRequest, "Target path is relative, please supply a fully qualified path")
	case moves && slices.ContainsFunc(s.db.backups, func(o *backup) bool { return o.dbPath == path && o.local != nil }):
		return failf(http.StatusConflict, "A file already exists at the new location")
	}
	if moves && b.local == nil {
		return unknownOf("moving a database that is not there")
	}
	b.dbPath = path
	s.bumpData()
	c.empty(http.StatusOK)
	return nil
}
