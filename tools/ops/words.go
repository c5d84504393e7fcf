package ops

import (
	"fmt"
	"strings"
	"time"

	"github.com/duplibot/duplibot/duplicati"
)

// stamp writes a time as answers hold it, RFC 3339 in UTC; "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// clock writes a time for people.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// size writes bytes for people, by 1024 as Duplicati counts.
func size(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), -1
	for value >= 1024 && unit < 4 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[unit])
}

func sizeOf(n *int64) string {
	if n == nil {
		return "-"
	}
	return size(*n)
}

func countOf(n *int64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

// length writes a duration for people.
func length(d time.Duration) string {
	switch {
	case d < time.Second:
		return "less than a second"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// phase is the server's name for what a task is at, in words:
// "Backup_ProcessingFiles" is "processing files".
func phase(name string) string {
	if i := strings.IndexByte(name, '_'); i >= 0 {
		kind, rest := name[:i], name[i+1:]
		if rest == "Running" || rest == "Begin" {
			rest = kind
		}
		name = rest
	}
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte(' ')
			}
			r += 'a' - 'A'
		}
		if r == '_' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// schedule is when a backup runs, in words.
func schedule(s *duplicati.Schedule) string {
	if s == nil {
		return "only when asked"
	}
	words := "once"
	if s.Repeat != "" {
		words = "every " + s.Repeat
	}
	var days []string
	for _, d := range s.Days {
		days = append(days, d.String()[:3])
	}
	if len(days) > 0 && len(days) < 7 {
		words += " on " + strings.Join(days, ", ")
	}
	return words
}

// cut shortens a text of somebody else's to n runes.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
