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

const maxSteps = 100_000 // of a search for a time; a daily schedule of 270 years

// next is the first allowed time at or after Time; zero when there is none.
func (sc *schedule) next() time.Time {
	t := sc.time
	for range maxSteps {
		if sc.allows(t) {
			return t
		}
		later, err := addSpan(t, sc.repeat)
		if err != nil || !later.After(t) {
			return time.Time{}
		}
		t = later
	}
	return time.Time{}
}

// after is the first allowed time that lies after now; zero when there is none.
func (sc *schedule) after(now time.Time) time.Time {
	t := sc.time
	if step, err := parseSpan(sc.repeat); err == nil && step > 0 && !strings.ContainsAny(sc.repeat, "MY") {
		if behind := now.Sub(t); behind > step {
			t = t.Add(behind / step * step)
		}
	}
	for range maxSteps {
		if t.After(now) && sc.allows(t) {
			return t
		}
		later, err := addSpan(t, sc.repeat)
		if err != nil || !later.After(t) {
			return time.Time{}
		}
		t = later
	}
	return time.Time{}
}

// proposed is the time ServerStatus shows: the next one, or the one after it
// once that is due.
func (sc *schedule) proposed(now time.Time) time.Time {
	if next := sc.next(); next.IsZero() || next.After(now) {
		return next
	}
	return sc.after(now)
}

// enqueueDue queues the backups whose time has come, each time once.
func (s *Server) enqueueDue() {
	if s.opts.NoScheduler {
		return
	}
	for _, b := range s.db.backups {
		sc := b.schedule
		if sc == nil {
			continue
		}
		next := sc.next()
		if next.IsZero() || next.After(s.at) || s.run.due[b.id].Equal(sc.time) {
			continue
		}
		s.run.due[b.id] = sc.time
		if s.taskOf(b.id) == nil {
			t := s.newTask(b, opBackup)
			t.scheduled = true
			s.enqueue(t, false)
		}
	}
}

// nextDue is when enqueueDue has work again; zero for never.
func (s *Server) nextDue() time.Time {
	var first time.Time
	if s.opts.NoScheduler {
		return first
	}
	for _, b := range s.db.backups {
		if b.schedule == nil || s.run.due[b.id].Equal(b.schedule.time) {
			continue
		}
		if t := b.schedule.next(); !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// began moves a schedule on when its run has begun.
func (sc *schedule) began(now time.Time) {
	sc.lastRun = now.Truncate(time.Second)
	if t := sc.after(now); !t.IsZero() {
		sc.time = t
	}
}
