package duplicatitest

func operationRoutes(rs *routes, g *generation) {
	const at = "/api/v1/backup/{id}/"
	rs.add("POST", at+"run", bearer, noBody, try((*Server).runBackup))
	rs.add("POST", at+"start", bearer, noBody, try((*Server).runBackup))
	for verb, op := range map[string]operation{
		"verify": opVerify, "compact": opCompact, "vacuum": opVacuum,
		"createreport": opReport, "report-remote-size": opRemoteSize,
	} {
		rs.add("POST", at+verb, bearer, noBody, try(queueOperation(op)))
	}
	rs.add("POST", at+"repair", bearer, optionalBody, try(queueRepair(opRepair)))
	rs.add("POST", at+"repairupdate", bearer, optionalBody, try(queueRepair(opRepairLast)))
	rs.add("POST", at+"restore", bearer, jsonBody, try((*Server).restore))
	if g.brokenFiles {
		rs.add("POST", "/api/v2/backup/purge-broken-files", bearer, jsonBody, try((*Server).purgeBroken))
		rs.add("POST", "/api/v2/backup/delete-versions", bearer, jsonBody, try((*Server).deleteVersions))
	}
}

// runBackup queues a run, unless the backup has a task of whatever kind: then
// it answers with that one's ID.
func (s *Server) runBackup(c *call) error {
	first := s.gen.headOfQueue
	if s.gen.v2 {
		skip, err := c.query.flag("skipqueue")
		if err != nil {
			return err
		}
		first = skip
	}
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	if t := s.taskOf(b.id); t != nil {
		c.started(t.id)
		return nil
	}
	c.started(s.enqueue(s.newTask(b, opBackup), first))
	return nil
}

func queueOperation(op operation) func(*Server, *call) error {
	return func(s *Server, c *call) error {
		b, err := s.backupOf(c)
		if err != nil {
			return err
		}
		c.started(s.enqueue(s.newTask(b, op), false))
		return nil
	}
}

// queueRepair reads the options of a repair only to see whether they are of
// the right kinds.
func queueRepair(op operation) func(*Server, *call) error {
	queue := queueOperation(op)
	return func(s *Server, c *call) error {
		if !c.body.isNull() {
			in := readObject(c.body)
			in.flag("only_paths", true)
			in.flag("refresh_lock_info", true)
			in.text("time")
			in.text("version")
			in.texts("paths")
			if err := in.err(); err != nil {
				return err
			}
		}
		return queue(s, c)
	}
}

func (s *Server) restore(c *call) error {
	in := readObject(c.body)
	paths, to, at := in.texts("paths"), in.str("restore_path"), in.str("time")
	in.text("passphrase")
	in.flag("overwrite", true)
	in.flag("permissions", true)
	in.flag("skip_metadata", true)
	if err := in.err(); err != nil {
		return err
	}
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	if _, err := parseTime(at, s.at); err != nil {
		return errUnexpected
	}
	t := s.newTask(b, opRestore)
	t.restorePaths, t.restoreTo = paths, to
	c.started(s.enqueue(t, false))
	return nil
}

// backupInBody finds the backup that a v2 request names.
func (s *Server) backupInBody(in *reader) (*backup, error) {
	in.require("BackupId")
	id := in.text("BackupId")
	if err := in.err(); err != nil {
		return nil, err
	}
	if id == nil {
		return nil, errUnexpected
	}
	if b := s.find(*id); b != nil {
		return b, nil
	}
	return nil, errNoBackup
}

func (s *Server) purgeBroken(c *call) error {
	b, err := s.backupInBody(readObject(c.body))
	if err != nil {
		return err
	}
	c.started(s.enqueue(s.newTask(b, opPurgeBroken), false))
	return nil
}

func (s *Server) deleteVersions(c *call) error {
	in := readObject(c.body)
	in.require("Versions")
	if v := in.v.member("Versions"); v != nil && v.isNull() {
		in.strange = "Versions that are null"
	}
	var versions []int64
	for _, item := range in.list("Versions") {
		if n := in.asLong(item); n != nil {
			versions = append(versions, *n)
		}
	}
	in.flag("AllowFullRemoval", true)
	in.flag("SuppressCompact", true)
	b, err := s.backupInBody(in)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		return failf(400, "No versions supplied")
	}
	t := s.newTask(b, opDeleteOld)
	t.deletes = versions
	c.started(s.enqueue(t, false))
	return nil
}
