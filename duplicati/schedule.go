package duplicati

import (
	"slices"
	"strings"
	"time"
)

// Schedule says when a backup runs by itself.
type Schedule struct {
	Next    time.Time // once a run is over, the time after it; in the past while a due run waits or is at work
	Repeat  string    // as ParseDuration reads it, but calendar months and days: "1D", "1M"; "" runs once
	LastRun time.Time // when the last run that was due began, once that is over; zero: none yet
	Days    []time.Weekday
}

type wireSchedule struct {
	Time        stamp
	Repeat      words
	LastRun     stamp
	AllowedDays []string
}

func (w *wireSchedule) schedule() *Schedule {
	if w == nil {
		return nil
	}
	return &Schedule{Next: time.Time(w.Time), Repeat: string(w.Repeat), LastRun: time.Time(w.LastRun), Days: weekdays(w.AllowedDays)}
}

// weekdays reads day names, short or full; 2.1 sends each day twice, once so
// and once so. No known day means any day, as for the server.
func weekdays(names []string) []time.Weekday {
	var days []time.Weekday
	for _, name := range names {
		for d := time.Sunday; d <= time.Saturday; d++ {
			full := strings.ToLower(d.String())
			if n := strings.ToLower(name); (n == full || n == full[:3]) && !slices.Contains(days, d) {
				days = append(days, d)
			}
		}
	}
	return days
}

// Allows reports whether the schedule runs on a day.
func (s Schedule) Allows(d time.Weekday) bool { return len(s.Days) == 0 || slices.Contains(s.Days, d) }

// Due is the last time, not after now, at which the backup should have begun,
// by the calendar of the server's time zone. ok is false when none is known:
// before the first one, and for a repetition that cannot be read. A time that
// lies before the backup was made is due as well; compare with what is known
// of it.
func (s Schedule) Due(now time.Time, zone *time.Location) (due time.Time, ok bool) {
	if s.Next.IsZero() {
		return time.Time{}, false
	}
	if zone == nil {
		zone = time.UTC
	}
	// While a run waits or is at work, Next stays where it is and later times
	// fall away.
	at := s.Next.In(zone)
	every, _ := ParseDuration(s.Repeat)
	long := every >= 24*time.Hour
	for steps := 0; steps < longestWalk && !at.After(now); steps++ {
		next, stepped := s.step(at, 1)
		switch {
		case s.Allows(at.Weekday()):
			due, ok = at, true
		case stepped && long:
			next = at.Add(24 * time.Hour) // on to a day that is allowed
		}
		if !stepped {
			break
		}
		at = next
	}
	at = s.Next.In(zone)
	for steps := 0; steps < longestWalk && !ok; steps++ {
		before, stepped := s.step(at, -1)
		if !stepped {
			break
		}
		at = before
		if !at.After(now) && s.Allows(at.Weekday()) {
			due, ok = at, true
		}
	}
	return due, ok
}

// longestRepeat is more than any repetition takes to say, in bytes. It is read
// again for each step.
const longestRepeat = 64

// longestWalk bounds the search: every six minutes for 40 days.
const longestWalk = 10_000

// step goes one repetition on or back, by the calendar: a day is the same time
// of day, also when the clocks change.
func (s Schedule) step(t time.Time, by int) (time.Time, bool) {
	parts, ok := repeatParts(s.Repeat)
	if !ok {
		return time.Time{}, false
	}
	before := t
	for _, p := range parts {
		n := p.n * by
		switch p.unit {
		case "Y":
			t = t.AddDate(n, 0, 0)
		case "M":
			t = t.AddDate(0, n, 0)
		case "W":
			t = t.AddDate(0, 0, 7*n)
		case "D":
			t = t.AddDate(0, 0, n)
		default:
			t = t.Add(time.Duration(n) * spanUnit[p.unit])
		}
	}
	if by > 0 && !t.After(before) || by < 0 && !t.Before(before) {
		return time.Time{}, false
	}
	return t, true
}

type repeatPart struct {
	n    int
	unit string
}

// repeatParts reads a repetition. The server refuses five minutes and less.
func repeatParts(text string) ([]repeatPart, bool) {
	if len(text) > longestRepeat {
		return nil, false
	}
	d, err := ParseDuration(text)
	if err != nil || d <= 5*time.Minute {
		return nil, false
	}
	rest := strings.TrimSpace(text)
	var parts []repeatPart
	for rest != "" {
		m := spanPart.FindStringSubmatch(rest)
		if m == nil { // seconds alone
			return []repeatPart{{n: int(d / time.Second), unit: "s"}}, true
		}
		n := 0
		for _, r := range strings.TrimLeft(m[1], "+-") {
			n = n*10 + int(r-'0')
		}
		if strings.HasPrefix(m[1], "-") {
			n = -n
		}
		parts = append(parts, repeatPart{n: n, unit: m[2]})
		rest = strings.TrimSpace(rest[len(m[0]):])
	}
	return parts, true
}
