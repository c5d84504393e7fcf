package duplicatitest

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// tick is the resolution of the server's clock texts.
const tick = 100 * time.Nanosecond

// utc is how the server writes a time in UTC; the zero time is .NET's
// DateTime.MinValue.
func utc(t time.Time) string {
	return t.UTC().Truncate(tick).Format("2006-01-02T15:04:05.9999999Z")
}

// local is how it writes a local time. The fake lives in UTC.
func local(t time.Time) string {
	return t.UTC().Truncate(tick).Format("2006-01-02T15:04:05.9999999-07:00")
}

// serialized is the form of times in metadata and file names.
func serialized(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// ticks counts 100 ns since the year 1, the unit of some settings and columns.
func ticks(t time.Time) int64 {
	return (t.Unix()+62135596800)*10_000_000 + int64(t.Nanosecond()/100)
}

// span is .NET's constant format of a TimeSpan.
func span(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	days, rest := d/(24*time.Hour), d%(24*time.Hour)
	s := fmt.Sprintf("%02d:%02d:%02d", rest/time.Hour, rest/time.Minute%60, rest/time.Second%60)
	if frac := rest % time.Second / tick; frac != 0 {
		s += fmt.Sprintf(".%07d", frac)
	}
	if days != 0 {
		s = fmt.Sprintf("%d.%s", days, s)
	}
	return sign + s
}

// sizeText is a size for people. Version 2.1 wrote KB, later ones KiB.
func sizeText(n int64, units string) string {
	switch {
	case n >= 1<<40:
		return fmt.Sprintf("%.2f T%s", float64(n)/(1<<40), units)
	case n >= 1<<30:
		return fmt.Sprintf("%.2f G%s", float64(n)/(1<<30), units)
	case n >= 1<<20:
		return fmt.Sprintf("%.2f M%s", float64(n)/(1<<20), units)
	case n >= 1<<10:
		return fmt.Sprintf("%.2f K%s", float64(n)/(1<<10), units)
	}
	return fmt.Sprintf("%d bytes", n)
}

// parseISO reads what System.Text.Json accepts as a DateTime.
func parseISO(s string) (time.Time, bool) {
	for _, layout := range []string{
		"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999",
		"2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

var errSpan = errors.New("not a time span")

var spanUnits = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour,
	'D': 24 * time.Hour, 'W': 7 * 24 * time.Hour, 'M': 30 * 24 * time.Hour, 'Y': 365 * 24 * time.Hour,
}

type spanPart struct {
	count int64
	unit  byte
}

// parseSpan reads the server's option text for a duration: parts of a number
// and a case-sensitive unit that add up, or a bare number of seconds. Empty is
// zero, and nothing stops a negative one.
func parseSpan(s string) (time.Duration, error) {
	if strings.TrimSpace(s) == "" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
		return seconds(n)
	}
	parts, err := spanParts(s)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, p := range parts {
		unit := spanUnits[p.unit]
		if p.count != 0 && (math.Abs(float64(p.count)) > float64(math.MaxInt64)/float64(unit)) {
			return 0, errSpan
		}
		sum += time.Duration(p.count) * unit
	}
	return sum, nil
}

func seconds(n int64) (time.Duration, error) {
	if n > math.MaxInt64/int64(time.Second) || n < math.MinInt64/int64(time.Second) {
		return 0, errSpan
	}
	return time.Duration(n) * time.Second, nil
}

func spanParts(s string) ([]spanPart, error) {
	var parts []spanPart
	i := 0
	blanks := func() {
		for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
			i++
		}
	}
	for blanks(); i < len(s); blanks() {
		start := i
		if s[i] == '+' || s[i] == '-' {
			i++
		}
		digits := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		if i == digits {
			return nil, errSpan
		}
		n, err := strconv.ParseInt(s[start:i], 10, 32)
		if err != nil {
			return nil, errSpan
		}
		blanks()
		if i >= len(s) {
			return nil, errSpan // a trailing number without unit
		}
		if _, ok := spanUnits[s[i]]; !ok {
			return nil, errSpan
		}
		parts = append(parts, spanPart{n, s[i]})
		i++
	}
	return parts, nil
}

// addSpan adds a duration text to a time, months and years by the calendar.
func addSpan(t time.Time, s string) (time.Time, error) {
	if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
		d, err := seconds(n)
		return t.Add(d), err
	}
	parts, err := spanParts(s)
	if err != nil {
		return t, err
	}
	for _, p := range parts {
		switch p.unit {
		case 'M':
			t = t.AddDate(0, int(p.count), 0)
		case 'Y':
			t = t.AddDate(int(p.count), 0, 0)
		default:
			t = t.Add(time.Duration(p.count) * spanUnits[p.unit])
		}
	}
	return t, nil
}

var errTime = errors.New("not a time")

// parseTime reads a "time" parameter. A relative one points to the future.
func parseTime(s string, now time.Time) (time.Time, error) {
	if strings.TrimSpace(s) == "" || strings.EqualFold(s, "now") {
		return now, nil
	}
	if t, err := addSpan(now, s); err == nil {
		return t, nil
	}
	if t, ok := parseISO(s); ok {
		return t, nil
	}
	for _, layout := range []string{"20060102T150405Z", "2006-01-02 15:04:05", "01/02/2006 15:04:05", "01/02/2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errTime
}

var sizeUnits = map[string]int64{
	"b": 1, "kb": 1 << 10, "kib": 1 << 10, "mb": 1 << 20, "mib": 1 << 20,
	"gb": 1 << 30, "gib": 1 << 30, "tb": 1 << 40, "tib": 1 << 40,
}

var errSize = errors.New("not a size")

// parseSize reads a whole number and a unit of any case, always 1024-based.
func parseSize(s, unit string) (int64, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, errSize
	}
	if u := strings.TrimSpace(s[len(digits):]); u != "" {
		unit = u
	}
	factor, ok := sizeUnits[unit]
	if !ok || n < 0 || n > math.MaxInt64/factor {
		return 0, errSize
	}
	return n * factor, nil
}

// isOn is how the server reads a boolean option that is present.
func isOn(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "0", "off", "false", "no":
		return false
	}
	return true
}
