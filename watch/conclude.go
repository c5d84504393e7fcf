package watch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

// conclude compares what is with what was told.
func (s *server) conclude(now time.Time) {
	is := make(map[string]Problem)
	add := func(p Problem, ok bool) {
		if ok {
			is[p.Key] = p
		}
	}
	overdue := 0
	for _, b := range s.list {
		s.names.Store(b.ID, b.Name)
		add(s.result(b))
		p, late := s.overdue(b, now)
		add(p, late)
		if late {
			overdue++
		}
		add(s.long(b, now))
	}
	add(s.pausedWithJobs(now))
	add(s.stuck(now, overdue))
	for _, key := range sortedKeys(is) {
		s.begin(is[key])
	}
	for _, key := range sortedKeys(s.memory.Problems) {
		if _, still := is[key]; !still {
			why, lost := s.ending(s.memory.Problems[key])
			s.end(key, now, why, lost)
		}
	}
	for id := range s.memory.Backups {
		if s.backup(id) == nil {
			delete(s.memory.Backups, id)
		}
	}
}

func sortedKeys(m map[string]Problem) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (s *server) backup(id string) *duplicati.Backup {
	for i := range s.list {
		if s.list[i].ID == id {
			return &s.list[i]
		}
	}
	return nil
}

// nameOf is a backup's name, or its ID where there is none.
func (s *server) nameOf(id string) string {
	if b := s.backup(id); b != nil {
		return b.Name
	}
	return "backup " + id
}

// ending says why a problem is over, and whether that leaves unknown how it is.
func (s *server) ending(p Problem) (why string, lost bool) {
	if p.Backup != "" && s.backup(p.Backup) == nil {
		return "the backup was deleted", false
	}
	if words, ok := endings[p.Kind]; ok {
		return words, false
	}
	switch s.memory.Backups[p.Backup].Verdict {
	case duplicati.Succeeded:
		return "it ran again and succeeded", false
	case "":
		return "nothing is known of that run any more", true
	}
	return "it ran again and ended otherwise", false
}

// result is the problem that the last run left.
func (s *server) result(b duplicati.Backup) (Problem, bool) {
	m := s.memory.Backups[b.ID]
	var kind Kind
	var words string
	switch m.Verdict {
	case duplicati.Fatal:
		kind, words = Failed, "failed"
	case duplicati.Erred:
		kind, words = Failed, "ended with errors"
	case duplicati.Warned:
		kind, words = Warned, "ended with warnings"
	case duplicati.Stopped:
		kind, words = Stopped, "was stopped before its end, so that its newest version is partial"
	case duplicati.Empty:
		kind, words = Empty, "succeeded and looked at no file: is its source still there?"
	case duplicati.NotKnown:
		kind, words = Unknown, "ran, and nobody can tell how it went"
	default:
		return Problem{}, false
	}
	p := s.about(kind, b.ID, b.Name, m.At)
	p.Headline, p.Said = b.Name+" on "+s.name+" "+words, m.Said
	fact := func(name, value string) { p.Facts = append(p.Facts, tools.Fact{Name: name, Value: value}) }
	if m.Why != "" {
		fact("Reason", m.Why)
	}
	if !m.At.IsZero() {
		fact("Ended", clock(m.At))
	}
	if m.Warnings > 0 {
		fact("Warnings", fmt.Sprint(m.Warnings))
	}
	if m.Errors > 0 {
		fact("Errors", fmt.Sprint(m.Errors))
	}
	if !b.Facts.LastFinished.IsZero() {
		fact("Last run to its end", clock(b.Facts.LastFinished))
	}
	return p, true
}

// overdue is a backup that should have begun, by Duplicati's own schedule, and
// neither runs nor waits. Until a run is over, the time that it was due at stays
// in the schedule.
func (s *server) overdue(b duplicati.Backup, now time.Time) (Problem, bool) {
	late := s.theirs(now).Add(-s.o.Grace)
	// A run in the future began while the server's clock was wrong. What is
	// planned after it is not what was meant.
	if b.Schedule == nil || b.Schedule.Next.IsZero() || b.Schedule.Next.After(late) && !s.future(b.Schedule.LastRun) {
		return Problem{}, false
	}
	if _, holds := s.state.Holds(b.ID); holds {
		return Problem{}, false
	}
	due, ok := b.Schedule.Due(late, s.info.Location())
	if !ok || !due.After(s.newest(b.Schedule.LastRun, b.Facts.LastStarted, b.Facts.LastError, s.memory.Backups[b.ID].Began)) {
		return Problem{}, false
	}
	p := s.about(Overdue, b.ID, b.Name, due.UTC())
	if _, open := s.memory.Problems[p.Key]; !open {
		// A server that has just been started, or whose last run of this took
		// longer than until now, is about to begin what it missed.
		if lives := now.Sub(s.life.since); lives >= 0 && lives < s.o.Patience || s.newest(b.Facts.LastFinished, b.Facts.LastError).After(late) {
			return Problem{}, false
		}
	}
	p.Headline = fmt.Sprintf("%s on %s should have begun at %s and has not", b.Name, s.name, clock(due))
	last := "never"
	if began := latest(b.Schedule.LastRun, b.Facts.LastStarted); !began.IsZero() {
		last = clock(began)
	}
	p.Facts = []tools.Fact{{Name: "Repeats", Value: orNot(b.Schedule.Repeat)}, {Name: "Last begun", Value: last}}
	switch {
	case s.state.Paused:
		p.Facts = append(p.Facts, tools.Fact{Name: "Server", Value: "paused"})
	case s.state.Active != nil:
		p.Facts = append(p.Facts, tools.Fact{Name: "Server", Value: "works on " + s.nameOf(s.state.Active.Backup)})
	default:
		p.Facts = append(p.Facts, tools.Fact{Name: "Server", Value: "idle, and its scheduler has not started it"})
	}
	return p, true
}

func orNot(repeat string) string {
	if repeat == "" {
		return "not"
	}
	return "every " + repeat
}

func latest(times ...time.Time) (t time.Time) {
	for _, u := range times {
		if u.After(t) {
			t = u
		}
	}
	return t
}

// tooLong is how long a run may take whatever its schedule says.
const tooLong = 24 * time.Hour

// long is a backup that has been at work for more than a day, so that a time has
// passed at which it should have begun anew. One that stands still is stuck.
func (s *server) long(b duplicati.Backup, now time.Time) (Problem, bool) {
	if b.Schedule == nil || s.work == nil || s.state.Paused || !s.state.Runs(b.ID) {
		return Problem{}, false
	}
	began := s.work.began
	if began.IsZero() {
		began = s.theirs(s.work.since)
		if was, open := s.memory.Problems[keyOf(s.name, b.ID, Long)]; open && !latest(b.Facts.LastFinished, b.Facts.LastError, b.Schedule.LastRun).After(was.Since) {
			began = was.Since // it is the run of before our restart
		}
	}
	due, ok := b.Schedule.Due(s.theirs(now).Add(-s.o.Grace), s.info.Location())
	if !ok || !due.After(began) || s.theirs(now).Sub(began) < tooLong {
		return Problem{}, false
	}
	p := s.about(Long, b.ID, b.Name, began.UTC())
	p.Headline = fmt.Sprintf("%s on %s has been at work since %s, past its next time", b.Name, s.name, clock(began))
	p.Facts = []tools.Fact{{Name: "Repeats", Value: orNot(b.Schedule.Repeat)}, {Name: "Task", Value: fmt.Sprint(s.work.slot.Task)}, {Name: "Waiting behind it", Value: fmt.Sprint(len(s.state.Queue))}}
	return p, true
}

// newest is the latest of times that can be.
func (s *server) newest(times ...time.Time) time.Time {
	return latest(slices.DeleteFunc(times, s.future)...)
}

// pausedWithJobs is a pause that backups wait for the end of, or that halts
// one, for longer than the grace.
func (s *server) pausedWithJobs(now time.Time) (Problem, bool) {
	if !s.state.Paused || s.state.Idle() {
		return Problem{}, false
	}
	since := now
	var names []string
	if a := s.state.Active; a != nil {
		since, names = s.paused, append(names, s.nameOf(a.Backup)+" (halted)")
	}
	for _, q := range s.state.Queue {
		began := s.queued[q.Task]
		if b := s.backup(q.Backup); b != nil && b.Schedule != nil && !b.Schedule.Next.IsZero() {
			if due := b.Schedule.Next.Add(-s.ahead); due.Before(began) {
				began = due // it was due before this was seen
			}
		}
		if began.Before(since) {
			since = began
		}
		if q.Backup != "" {
			names = append(names, s.nameOf(q.Backup))
		}
	}
	p := s.about(Paused, "", "", since)
	if _, open := s.memory.Problems[p.Key]; !open && now.Sub(since) < s.o.Grace {
		return Problem{}, false
	}
	end := "until somebody resumes it"
	if !s.state.PauseEnds.IsZero() {
		end = "until " + clock(s.state.PauseEnds)
	}
	p.Headline = fmt.Sprintf("%s is paused %s while backups wait", s.name, end)
	p.Facts = []tools.Fact{{Name: "Waiting", Value: strings.Join(names, ", ")}, {Name: "Since", Value: clock(since)}}
	return p, true
}

// stuck is a server of which nothing moves although it is not paused: a queue
// that nobody works on, several backups that the scheduler did not start, or a
// run that shows no movement. After a restart of ours, what was told stays
// until movement is seen.
func (s *server) stuck(now time.Time, overdue int) (Problem, bool) {
	if s.state.Paused {
		return Problem{}, false
	}
	_, open := s.memory.Problems[keyOf(s.name, "", Stuck)]
	switch {
	case s.work != nil:
		w := s.work
		still := now.Sub(w.moved)
		if still < s.o.Stall && !(open && !w.moved.After(w.since)) {
			return Problem{}, false
		}
		p := s.about(Stuck, "", "", w.moved)
		p.Headline = fmt.Sprintf("%s has shown no movement for a long time in its work on %s: it may hang", s.name, s.nameOf(w.slot.Backup))
		p.Facts = []tools.Fact{{Name: "Task", Value: fmt.Sprint(w.slot.Task)}, {Name: "Phase", Value: w.phase}, {Name: "Last movement", Value: clock(w.moved)},
			{Name: "Waiting behind it", Value: fmt.Sprint(len(s.state.Queue))}}
		return p, true
	case len(s.state.Queue) > 0:
		if !open && now.Sub(s.idling) < s.o.Patience {
			return Problem{}, false
		}
		p := s.about(Stuck, "", "", s.idling)
		p.Headline = fmt.Sprintf("%s works on nothing although backups wait", s.name)
		p.Facts = []tools.Fact{{Name: "Waiting", Value: fmt.Sprint(len(s.state.Queue))}, {Name: "First", Value: s.nameOf(s.state.Queue[0].Backup)}}
		return p, true
	case overdue > 1:
		p := s.about(Stuck, "", "", now)
		p.Headline = fmt.Sprintf("the scheduler of %s starts nothing: %d backups are overdue and the server is idle", s.name, overdue)
		return p, true
	}
	return Problem{}, false
}

// movement is what shows that work goes on.
func movement(p duplicati.Progress) string {
	return fmt.Sprint(p.Phase, p.DoneFiles, p.DoneBytes, p.TotalFiles, p.Transferred, p.CurrentFile, p.Fraction)
}
