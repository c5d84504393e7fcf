package duplicatitest

import (
	"slices"
	"time"
)

// operation is what a task does.
type operation string

const (
	opBackup      operation = "Backup"
	opVerify      operation = "Verify"
	opCompact     operation = "Compact"
	opRepair      operation = "Repair"
	opRepairLast  operation = "RepairUpdate"
	opVacuum      operation = "Vacuum"
	opReport      operation = "CreateReport"
	opRemoteSize  operation = "ListRemote"
	opRestore     operation = "Restore"
	opDelete      operation = "Delete"
	opPurgeBroken operation = "PurgeBrokenFiles"
	opDeleteOld   operation = "DeleteVersions"
)

// task is one entry of the queue.
type task struct {
	id        int64
	op        operation
	config    *backup // as it was when the task was queued
	scheduled bool
	due, next time.Time // of one that is scheduled: the schedule's Time, now and once it is over

	began     time.Time
	started   time.Time // as shown
	finished  time.Time
	atWork    bool // past the first moment, when TaskStarted is still in UTC
	left      time.Duration
	ends      time.Time // zero while held, paused or wedged
	outcome   Outcome
	stop      bool
	abort     bool
	wedged    bool
	dying     bool // aborted by a forced delete: it ends although the server is paused
	failed    bool
	errorText string
	failure   string

	deleteRemote, deleteLocal bool
	restorePaths              []string
	restoreTo                 string
	deletes                   []int64
	work                      *backupWork
	local                     *localDB // that its work holds open
}

// startup is how long a task stays in its first moment.
const startup = 10 * time.Millisecond

// keptTasks is how many finished tasks are remembered.
const keptTasks = 99

func (s *Server) newTask(b *backup, op operation) *task {
	s.run.lastTask++
	return &task{id: s.run.lastTask, op: op, config: b.clone()}
}

// spendTask uses up a task ID, as operations do that run within a request.
func (s *Server) spendTask() { s.run.lastTask++ }

// taskOf is the task of a backup that runs or waits, or nil.
func (s *Server) taskOf(backupID string) *task {
	if t := s.run.active; t != nil && t.config.id == backupID {
		return t
	}
	for _, t := range s.run.queue {
		if t.config.id == backupID {
			return t
		}
	}
	return nil
}

// isRunning reports whether a task of the backup is at work.
func (s *Server) isRunning(backupID string) bool {
	return s.run.active != nil && s.run.active.config.id == backupID
}

func (s *Server) findTask(id int64) *task {
	if t := s.run.active; t != nil && t.id == id {
		return t
	}
	for _, t := range slices.Concat(s.run.queue, s.run.finished) {
		if t.id == id {
			return t
		}
	}
	return nil
}

// enqueue puts a task at the end of the queue or at its head, and lets it begin
// if nothing is in its way.
func (s *Server) enqueue(t *task, first bool) int64 {
	if first {
		s.run.queue = slices.Insert(s.run.queue, 0, t)
	} else {
		s.run.queue = append(s.run.queue, t)
	}
	s.bump()
	s.publish("taskqueue")
	s.dispatch()
	return t.id
}

// dispatch begins the next task when none is at work.
func (s *Server) dispatch() {
	if s.run.active != nil || s.run.paused || len(s.run.queue) == 0 {
		return
	}
	t := s.run.queue[0]
	s.run.queue = s.run.queue[1:]
	if s.gen.v2 && !s.gen.connections { // 2.2 shows for a moment neither
		s.run.starting = true
		s.bump()
		s.run.starting, s.run.active = false, t
	} else {
		s.run.active = t
		s.bump()
	}
	s.publish("taskqueue")
	t.started, t.began = s.at, s.at
	t.outcome = s.nextOutcome(t)
	t.left = t.outcome.takes(s.opts.TaskTime)
	t.ends = s.at.Add(t.left)
	if t.outcome.Hold {
		t.ends = time.Time{}
	}
	s.begin(t)
	s.changed()
}

// step brings the server to the present: whatever fell due since the last
// request happens at its own time.
func (s *Server) step() {
	now := s.clock.Now()
	for range 100_000 {
		due := s.nextEvent()
		if due.IsZero() || due.After(now) {
			break
		}
		if due.After(s.at) {
			s.at = due
		}
		s.happen()
	}
	s.at = now
}

// nextEvent is the earliest moment at which something happens by itself.
func (s *Server) nextEvent() time.Time {
	p := s.run
	var first time.Time
	consider := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if p.paused {
		consider(p.resumeAt)
	}
	consider(s.nextDue())
	if t := p.active; t != nil && (!p.paused || t.dying) && !t.wedged {
		if !t.atWork && !t.started.IsZero() {
			consider(t.started.Add(min(startup, max(t.left, 0))))
		}
		consider(t.ends)
		consider(s.nextProgress(t))
	}
	return first
}

// happen does what is due at s.at.
func (s *Server) happen() {
	p := s.run
	if p.paused && !p.resumeAt.IsZero() && !p.resumeAt.After(s.at) {
		s.resumeNow()
	}
	s.enqueueDueOnce()
	t := p.active
	if t == nil || p.paused && !t.dying || t.wedged {
		return
	}
	if !t.atWork && !t.started.Add(min(startup, max(t.left, 0))).After(s.at) {
		t.atWork = true
		t.started = s.at
		s.bump()
		s.progressed(t)
	}
	if !t.ends.IsZero() && !t.ends.After(s.at) {
		s.finish(t)
		return
	}
	if due := s.nextProgress(t); !due.IsZero() && !due.After(s.at) {
		s.progressed(t)
	}
}

// enqueueDueOnce keeps enqueueDue from being entered again through dispatch.
func (s *Server) enqueueDueOnce() {
	if due := s.nextDue(); !due.IsZero() && !due.After(s.at) {
		s.enqueueDue()
	}
}

// finish ends the task at work and begins the next.
func (s *Server) finish(t *task) {
	t.atWork = true
	s.complete(t)
	s.ran(t)
	t.finished = s.at
	t.ends = time.Time{}
	s.run.active = nil
	s.run.finished = append(s.run.finished, t)
	if len(s.run.finished) > keptTasks {
		s.run.finished = s.run.finished[1:]
	}
	s.bump()
	s.publish("taskqueue")
	s.publishTask(t)
	s.publish("progress")
	s.dispatch()
	s.changed()
}

// setTimer sees to it that what falls due happens although nobody asks.
func (s *Server) setTimer() {
	if s.clock.Stands() || s.closed {
		return
	}
	due := s.nextEvent()
	if s.timer != nil {
		s.timer.Stop()
	}
	if due.IsZero() {
		return
	}
	s.timer = time.AfterFunc(max(due.Sub(s.clock.Now()), time.Millisecond), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			return
		}
		s.step()
		s.changed()
	})
}

// holdActive stops the clock of the task at work, as a pause does.
func (s *Server) holdActive() {
	if t := s.run.active; t != nil && !t.ends.IsZero() {
		t.left = t.ends.Sub(s.at)
		t.ends = time.Time{}
		t.outcome.resumes = true
	}
}

// releaseActive lets it go on with what was left.
func (s *Server) releaseActive() {
	if t := s.run.active; t != nil && t.outcome.resumes {
		t.outcome.resumes = false
		t.ends = s.at.Add(t.left)
	}
}

// state is the TaskState of a task; queued ones say Waiting only where asked
// for by ID.
func (s *Server) taskState(t *task, byID bool) object {
	status := "Running"
	switch {
	case !t.finished.IsZero() && t.failed && s.gen.failsTruly:
		status = "Failed"
	case !t.finished.IsZero():
		status = "Completed"
	case t.started.IsZero() && byID:
		status = "Waiting"
	}
	o := object{{"Status", status}, {"ID", t.id}}
	if s.gen.taskTimes {
		var started, finished any
		switch {
		case t.started.IsZero():
		case t.atWork:
			started = local(t.started)
		case s.gen.pauseZone:
			started = utc(t.started)
		}
		if !t.finished.IsZero() {
			finished = local(t.finished)
		}
		o = append(o, object{{"TaskStarted", started}, {"TaskFinished", finished}}...)
	}
	var text, failure any
	if t.failed && s.gen.failsTruly {
		text, failure = t.errorText, t.failure
	}
	return append(o, object{{"ErrorMessage", text}, {"Exception", failure}}...)
}

func taskRoutes(rs *routes, g *generation) {
	const at = "/api/v1/task"
	rs.add("GET", at+"s", bearer, noBody, (*Server).listTasks)
	rs.add("GET", at+"/{taskid}", bearer, noBody, try((*Server).getTask))
	rs.add("POST", at+"/{taskid}/abort", bearer, noBody, try((*Server).abortTask))
	if g.stopVerb {
		rs.add("POST", at+"/{taskid}/stop", bearer, noBody, try((*Server).stopTask))
	} else {
		rs.add("POST", at+"/{taskid}/stopaftercurrentfile", bearer, noBody, try((*Server).stopTask))
		rs.add("POST", at+"/{taskid}/stopnow", bearer, noBody, try((*Server).stopTask))
	}
}

func (s *Server) listTasks(c *call) { c.json(s.taskList()) }

func (s *Server) taskList() []object {
	out := []object{}
	tasks := s.run.queue
	if s.run.active != nil {
		tasks = append([]*task{s.run.active}, tasks...)
	}
	for _, t := range tasks {
		if s.gen.taskStates {
			out = append(out, s.taskState(t, false))
		} else {
			out = append(out, s.internalTask(t))
		}
	}
	return out
}

// internalTask is how 2.1 lists tasks: whole, secrets and all.
func (s *Server) internalTask(t *task) object {
	b := s.renderBackup(t.config, inTask)
	return object{
		{"Backup", b}, {"ExtraOptions", nil}, {"FilterStrings", nil}, {"TaskID", t.id}, {"BackupID", t.config.id}, {"Operation", string(t.op)},
	}
}

func (s *Server) taskOfPath(c *call) (*task, error) {
	id, err := parseLong(c.values["taskid"])
	if err != nil {
		return nil, err
	}
	t := s.findTask(id)
	if t == nil {
		return nil, errNoTask
	}
	return t, nil
}

func (s *Server) getTask(c *call) error {
	t, err := s.taskOfPath(c)
	if err != nil {
		return err
	}
	c.json(s.taskState(t, true))
	return nil
}

// stopTask lets the task at work end early; for any other it does nothing and
// says 200 all the same.
func (s *Server) stopTask(c *call) error {
	t, err := s.taskOfPath(c)
	if err != nil {
		return err
	}
	if t == s.run.active && !t.wedged {
		t.stop = true
		s.endSoon(t)
	}
	c.empty(200)
	return nil
}

func (s *Server) abortTask(c *call) error {
	t, err := s.taskOfPath(c)
	if err != nil {
		return err
	}
	if t == s.run.active && !t.wedged {
		t.abort = true
		s.endSoon(t)
	}
	c.empty(200)
	return nil
}

// endSoonAfter is how long a stopped task still needs.
const endSoonAfter = 20 * time.Millisecond

func (s *Server) endSoon(t *task) {
	switch soon := s.at.Add(endSoonAfter); {
	case t.outcome.HoldStop:
	case t.outcome.resumes:
		t.left = min(t.left, endSoonAfter)
	case t.ends.IsZero() || t.ends.After(soon):
		t.ends = soon
	}
	s.changed()
}
