package duplicatitest

import (
	"slices"
	"strings"
	"time"
)

// schedule is when a backup runs by itself.
type schedule struct {
	id      int64
	time    time.Time
	repeat  string
	lastRun time.Time
	days    []time.Weekday // nil is every day
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func parseDay(s string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(s, dayNames[d]) || strings.EqualFold(s, d.String()) {
			return d, true
		}
	}
	return 0, false
}

func (sc *schedule) rule() string {
	if len(sc.days) == 0 {
		return ""
	}
	names := make([]string, len(sc.days))
	for i, d := range sc.days {
		names[i] = d.String()
	}
	return "AllowedWeekDays=" + strings.Join(names, ",")
}

func renderSchedule(sc *schedule, backupID string, doubled bool) any {
	if sc == nil {
		return nil
	}
	var days []string
	for _, d := range sc.days {
		days = append(days, dayNames[d])
		if doubled {
			days = append(days, d.String())
		}
	}
	return object{
		{"ID", sc.id}, {"Tags", []string{"ID=" + backupID}}, {"Time", utc(sc.time)}, {"Repeat", sc.repeat},
		{"LastRun", utc(sc.lastRun)}, {"Rule", sc.rule()}, {"AllowedDays", days},
	}
}

// readSchedule reads a ScheduleIn; nil for an absent one.
func readSchedule(v *jsonValue, g *generation) (*schedule, error) {
	if v.isNull() {
		return nil, nil
	}
	in := readObject(v)
	in.long("ID", false)
	in.texts("Tags")
	sc := &schedule{time: in.time("Time"), repeat: in.str("Repeat"), lastRun: in.time("LastRun").Truncate(time.Second)}
	in.str("Rule")
	seen := map[time.Weekday]bool{}
	for _, item := range in.list("AllowedDays") {
		name := in.asText(item)
		if name == nil {
			return nil, errBind
		}
		d, ok := parseDay(*name)
		if !ok || g.refusesDays && len(*name) > 3 {
			return nil, errBind
		}
		if !seen[d] {
			seen[d] = true
			sc.days = append(sc.days, d)
		}
	}
	return sc, in.err()
}

func (sc *schedule) allows(t time.Time) bool {
	return len(sc.days) == 0 || slices.Contains(sc.days, t.UTC().Weekday())
}

const maxSteps = 50_000 // of a search for a time

// valid is the first time at which the schedule runs that is not before first,
// counted from base; zero when there is none. From a day that is not allowed,
// schedules of a day and more go on by days.
func (sc *schedule) valid(base, first time.Time) time.Time {
	t := base
	step, err := parseSpan(sc.repeat)
	if err != nil || step <= 0 {
		return time.Time{}
	}
	add := func() { t, err = addSpan(t, sc.repeat) }
	if behind := first.Sub(t); behind > step && !strings.ContainsAny(sc.repeat, "MY") {
		t = t.Add(behind / step * step)
		// A Duration ends at 292 years: from the year 1, where a time that was
		// never set lies, it is still too far to go.
		if first.Sub(t)/step > maxSteps {
			return time.Time{}
		}
	}
	for n := 0; n < maxSteps && t.Before(first) && err == nil; n++ {
		add()
	}
	for n := 0; n < maxSteps && !sc.allows(t) && err == nil; n++ {
		if step >= 24*time.Hour {
			t = t.AddDate(0, 0, 1)
		} else {
			add()
		}
	}
	if err != nil || t.Before(first) || !sc.allows(t) {
		return time.Time{}
	}
	return t
}

// start is when the scheduler means to begin a backup next. It lasts until the
// Time of the schedule it was counted from changes.
type start struct{ of, at time.Time }

// nextStart is when a backup begins next by its schedule, or when it was due if
// the scheduler has not looked since; zero for never.
func (s *Server) nextStart(b *backup) time.Time {
	sc := b.schedule
	if sc == nil {
		return time.Time{}
	}
	if known, ok := s.run.starts[b.id]; ok && known.of.Equal(sc.time) {
		return known.at
	}
	if sc.lastRun.After(s.at) { // the clock was wrong, or is
		return sc.valid(s.at, s.at)
	}
	return sc.valid(sc.time, sc.lastRun)
}

// afterNow is the first start that lies ahead.
func (s *Server) afterNow(sc *schedule, at time.Time) time.Time {
	return sc.valid(at, later(s.at, at).Add(time.Second))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// proposed is the time that ServerStatus shows: the next one, or the one after
// it once that is due.
func (s *Server) proposed(b *backup) time.Time {
	at := s.nextStart(b)
	if at.IsZero() || at.After(s.at) {
		return at
	}
	return s.afterNow(b.schedule, at)
}

// enqueueDue queues the backups whose time has come, but for those that run or
// wait to. Times that have passed meanwhile are not made up for.
func (s *Server) enqueueDue() {
	for _, b := range s.db.backups {
		at := s.nextStart(b)
		if at.IsZero() || at.After(s.at) {
			continue
		}
		next := s.afterNow(b.schedule, at)
		s.run.starts[b.id] = start{of: b.schedule.time, at: next}
		if !s.backsUp(b.id) {
			t := s.newTask(b, opBackup)
			t.scheduled, t.due, t.next = true, b.schedule.time, next
			s.enqueue(t, false)
		}
	}
}

// backsUp reports whether a run of the backup is at work or waits.
func (s *Server) backsUp(id string) bool {
	if t := s.run.active; t != nil && t.op == opBackup && t.config.id == id {
		return true
	}
	return slices.ContainsFunc(s.run.queue, func(t *task) bool { return t.op == opBackup && t.config.id == id })
}

// nextDue is when enqueueDue has work again; zero for never.
func (s *Server) nextDue() time.Time {
	var first time.Time
	if s.opts.NoScheduler {
		return first
	}
	for _, b := range s.db.backups {
		if t := s.nextStart(b); !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// ran moves a schedule on when a run of it is over. Until then, Time and
// LastRun are as they were.
func (s *Server) ran(t *task) {
	b := s.db.find(t.config.id)
	if !t.scheduled || b == nil || b.schedule == nil {
		return
	}
	b.schedule.lastRun = t.began.Truncate(time.Second)
	if b.schedule.time.Equal(t.due) && !t.next.IsZero() {
		b.schedule.time = t.next
	}
}
