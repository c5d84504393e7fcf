package duplicatitest

import (
	"slices"
	"time"
)

// Result is how a run ends by itself.
type Result int

const (
	Succeeds         Result = iota
	Warns                   // one more warning than the configuration has earned
	Errs                    // errors in the result, though the task completes
	Fails                   // the task fails with Outcome.Message; ParsedResult Fatal
	LosesSource             // a source folder is not there
	LosesDestination        // the destination has lost its files
	Vanishes                // the task completes, and no log row tells of it
)

// Outcome says how one run of a backup goes.
type Outcome struct {
	Result    Result
	Takes     time.Duration // 0 is Options.TaskTime; negative finishes at once
	Hold      bool          // runs until Finish, or until a client stops it
	HoldStop  bool          // with Hold: a stop or abort waits for Finish too
	Partial   bool          // ends early by itself: PartialBackup, a warning
	Message   string        // of the warning, error or failure; of a held run, of the failure once it is aborted
	Exception string        // of the failure, as the server has it
	Count     int           // of warnings or errors; 0 is one
	Done      int           // files done when a held run is stopped; 0 is half of them

	resumes bool // left counts again once the pause is over
}

func (o Outcome) takes(usual time.Duration) time.Duration {
	switch {
	case o.Takes > 0:
		return o.Takes
	case o.Takes < 0 || usual < 0:
		return 0
	}
	return usual
}

// SetOutcome plans the coming runs of a backup, one after the other; the last
// outcome stays. The ID "" plans for all backups without a plan of their own.
func (s *Server) SetOutcome(backupID string, outcomes ...Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plans[backupID] = slices.Clone(outcomes)
}

// nextOutcome takes the plan of a task that begins. Only backups have one of
// their own; the pace of the general plan holds for everything.
func (s *Server) nextOutcome(t *task) Outcome {
	id := t.config.id
	plan, ok := s.plans[id]
	if !ok || t.op != opBackup {
		id = ""
		plan = s.plans[id]
	}
	if len(plan) == 0 {
		return Outcome{}
	}
	if len(plan) > 1 {
		s.plans[id] = plan[1:]
	}
	o := plan[0]
	if t.op != opBackup {
		o = Outcome{Takes: o.Takes, Hold: o.Hold, HoldStop: o.HoldStop}
	}
	return o
}

// Finish ends the task at work now. It reports whether there was one.
func (s *Server) Finish() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step()
	t := s.run.active
	if t == nil {
		return false
	}
	t.wedged = false
	s.finish(t)
	s.step()
	return true
}

// Hang wedges the task at work as listing versions does on 2.3.0: nothing but
// Finish or Restart ends it.
func (s *Server) Hang() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step()
	if s.run.active == nil {
		return false
	}
	s.run.active.wedged = true
	s.setTimer()
	return true
}
