package duplicatitest

import "time"

// progress is the server's one progress object. It outlives its task.
type progress struct {
	backupID string
	taskID   int64
	phase    string
	action   string // of the backend
	path     string
	size     int64
	moving   bool // path is being transferred
	speed    int64
	overall  float64
	current  string // file at work on
	currSize int64
	files    int64 // processed
	bytes    int64
	total    int64
	totalB   int64
	remains  time.Duration
	counting bool
}

// stage is a phase and the part of the task's time at which it begins.
type stage struct {
	from  float64
	phase string
}

var stages = map[operation][]stage{
	opBackup: {
		{0, "Backup_PreBackupVerify"}, {0.1, "Backup_ProcessingFiles"}, {0.85, "Backup_WaitForUpload"},
		{0.93, "Backup_PostBackupTest"},
	},
	opRestore:     {{0, "Restore_Begin"}, {0.2, "Restore_DownloadingRemoteFiles"}, {0.9, "Restore_PostRestoreVerify"}},
	opVerify:      {{0, "Verify_Running"}},
	opVacuum:      {{0, "Vacuum_Running"}},
	opCompact:     {{0, "Backup_Compact"}},
	opReport:      {{0, "BugReport_Running"}},
	opDelete:      {{0, "Delete_Listing"}, {0.5, "Delete_Deleting"}},
	opPurgeBroken: {{0, "PurgeFiles_Begin"}},
	opDeleteOld:   {{0, "Delete_Listing"}},
}

// processing are the parts of a backup's time in which files are processed.
const processFrom, processTo = 0.1, 0.85

// length is the whole time of a task; one that is held is shown as if it took
// the usual time.
func (s *Server) length(t *task) time.Duration {
	if d := t.outcome.takes(s.opts.TaskTime); d > 0 {
		return d
	}
	return time.Millisecond
}

// passed is how much of its length a task has worked.
func (s *Server) passed(t *task) time.Duration {
	whole := s.length(t)
	switch {
	case t.outcome.resumes:
		return whole - t.left
	case t.outcome.Hold && t.ends.IsZero():
		return min(s.at.Sub(t.work.began), whole*4/5)
	case t.ends.IsZero():
		return whole
	}
	return max(whole-t.ends.Sub(s.at), 0)
}

// tellEvery is how often progress is told while a phase lasts.
const tellEvery = time.Second

// nextProgress is when the progress of a task has something new to tell.
func (s *Server) nextProgress(t *task) time.Time {
	if !t.atWork || t.ends.IsZero() && !t.outcome.Hold || t.stop || t.abort {
		return time.Time{}
	}
	whole, done := s.length(t), s.passed(t)
	next := t.work.told.Add(tellEvery)
	for _, st := range stages[t.op] {
		at := time.Duration(st.from * float64(whole))
		if at > done {
			if due := s.at.Add(at - done); due.Before(next) {
				next = due
			}
			break
		}
	}
	if t.outcome.Hold && t.ends.IsZero() && done >= whole*4/5 {
		next = t.work.told.Add(tellEvery)
	}
	return next
}

// progressed brings the progress object up to date and tells of it.
func (s *Server) progressed(t *task) {
	t.work.told = s.at
	p := s.run.progress
	if p == nil || p.taskID != t.id {
		return
	}
	s.showProgress(t, p)
	s.publish("progress")
}

func (s *Server) showProgress(t *task, p *progress) {
	part := float64(s.passed(t)) / float64(s.length(t))
	p.phase = "Starting_Operation"
	for _, st := range stages[t.op] {
		if t.atWork && st.from <= part {
			p.phase = st.phase
		}
	}
	p.action, p.speed = "Get", -1
	if p.phase == "Starting_Operation" {
		p.action, p.speed = "List", 0
	}
	if t.op != opBackup || !t.atWork {
		return
	}
	files := t.work.files
	p.total, p.totalB = int64(len(files)), t.work.bytes()
	part = min(max((part-processFrom)/(processTo-processFrom), 0), 1)
	p.files, p.bytes, p.current, p.currSize = int64(part*float64(len(files))), 0, "", 0
	for i, f := range files {
		if int64(i) < p.files {
			p.bytes += f.size
		} else if p.phase == "Backup_ProcessingFiles" {
			p.current, p.currSize = f.path, f.size
			break
		}
	}
	if !s.gen.nonce && p.phase == "Backup_ProcessingFiles" { // folders count too, and transfers are shown
		p.total += int64(len(t.config.sources))
		p.action, p.path, p.speed = "Put", "ParallelUpload", p.bytes
	} else {
		p.path, p.size, p.moving = "", 0, false
		if sample := t.local.sample(); p.phase == "Backup_PostBackupTest" && len(sample) > 0 {
			p.path, p.size, p.moving = sample[0].name, sample[0].size, true
		}
	}
	p.overall = 0
	if p.phase == "Backup_ProcessingFiles" {
		p.remains = s.length(t) - s.passed(t)
	} else {
		p.remains = 0
	}
}

// endProgress shows the end of a task's work.
func (s *Server) endProgress(t *task, phase string) {
	p := s.run.progress
	if p == nil || p.taskID != t.id {
		return
	}
	p.phase, p.overall, p.current, p.currSize, p.remains = phase, 1, "", 0, 0
	if phase == "Error" {
		p.overall = 0
	}
	if t.op == opBackup {
		p.action, p.speed, p.path, p.size, p.moving = "Get", -1, "", 0, false
		if sample := t.local.sampled(); !s.gen.nonce && sample != nil {
			p.path, p.size = sample.name, sample.size
		}
		p.files, p.bytes = int64(len(t.work.seen)), sum(t.work.seen)
		p.total, p.totalB = int64(len(t.work.files)), t.work.bytes()
	}
	s.publish("progress")
}

// sampled is the volume that a verification reads last.
func (db *localDB) sampled() *volume {
	if db == nil || len(db.volumes) == 0 {
		return nil
	}
	all := db.sample()
	return &all[len(all)-1]
}

func (s *Server) renderProgress() object {
	g, p := s.gen, s.run.progress
	if t := s.run.active; t != nil && t.id == p.taskID && t.atWork {
		s.showProgress(t, p)
	}
	o := object{
		{"BackupID", orNil(p.backupID)}, {"TaskID", p.taskID}, {"BackendAction", p.action}, {"BackendPath", orNil(p.path)},
		{"BackendFileSize", p.size}, {"BackendFileProgress", p.size}, {"BackendSpeed", p.speed}, {"BackendIsBlocking", false},
		{"CurrentFilename", orNil(p.current)}, {"CurrentFilesize", p.currSize}, {"CurrentFileoffset", 0}, {"CurrentFilecomplete", false},
		{"Phase", p.phase}, {"OverallProgress", p.overall}, {"ProcessedFileCount", p.files}, {"ProcessedFileSize", p.bytes},
		{"TotalFileCount", p.total}, {"TotalFileSize", p.totalB}, {"StillCounting", p.counting},
	}
	if g.nonce {
		transfers := []object{}
		if p.moving {
			transfers = append(transfers, object{
				{"BackendAction", p.action}, {"BackendPath", p.path}, {"BackendFileSize", p.size}, {"BackendFileProgress", p.size},
				{"BackendSpeed", p.speed}, {"BackendIsBlocking", false},
			})
		}
		o = o.with("ActiveTransfers", transfers)
	}
	if g.connections {
		o = append(o, object{{"RemoteSyncDestinationIndex", 0}, {"RemoteSyncDestinationCount", 0}}...)
	}
	if g.syncMode {
		var remains any
		if p.remains > 0 {
			remains = span(p.remains)
		}
		o = o.with("EstimatedTimeToCompletion", remains)
	}
	return o
}
