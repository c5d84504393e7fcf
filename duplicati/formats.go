package duplicati

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// stamp reads a time of the API. Unset, which is the year 1, null or nothing,
// is the zero time; one without a zone is UTC.
type stamp time.Time

func (t *stamp) UnmarshalJSON(b []byte) error {
	var text *string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	if text == nil || *text == "" {
		return nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if v, err := time.Parse(layout, *text); err == nil {
			if v.Year() > 1 {
				*t = stamp(v)
			}
			return nil
		}
	}
	return fmt.Errorf("%.40q is not a time", *text)
}

// compactTime reads a time of a backup's metadata, "20260831T023000Z"; the
// zero time for anything else.
func compactTime(text string) time.Time {
	t, err := time.Parse("20060102T150405Z", text)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

var clockSpan = regexp.MustCompile(`^(-?)(?:(\d{1,8})\.)?(\d{1,2}):([0-5]\d):([0-5]\d)(?:\.(\d{1,7}))?$`)

// ParseSpan reads a length of time as results and metadata hold it:
// "00:01:23.4560000", "1.02:03:04", with a sign before it.
func ParseSpan(text string) (d time.Duration, ok bool) {
	m := clockSpan.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n := func(s string) int64 { v, _ := strconv.ParseInt(s, 10, 64); return v }
	days, hours := n(m[2]), n(m[3])
	if hours > 23 || days > 100_000 {
		return 0, false
	}
	fraction := n((m[6] + "0000000")[:7])
	d = time.Duration(days)*24*time.Hour + time.Duration(hours)*time.Hour + time.Duration(n(m[4]))*time.Minute +
		time.Duration(n(m[5]))*time.Second + time.Duration(fraction)*100
	if m[1] == "-" {
		d = -d
	}
	return d, true
}

var spanPart = regexp.MustCompile(`^\s*([+-]?\d+)\s*([smhDWMY])`)

var spanUnit = map[string]time.Duration{
	"s": time.Second, "m": time.Minute, "h": time.Hour,
	"D": 24 * time.Hour, "W": 7 * 24 * time.Hour, "M": 30 * 24 * time.Hour, "Y": 365 * 24 * time.Hour,
}

// ParseDuration reads a duration as Duplicati's options take it: "90",
// "1h30m", "2D", parts added up. The units s, m, h, D, W, M and Y are
// case-sensitive; a month is 30 days and a year 365. Empty is zero, as for
// the server. Negative totals are returned as such.
func ParseDuration(text string) (time.Duration, error) {
	rest := strings.TrimSpace(text)
	if rest == "" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(rest, 10, 64); err == nil {
		if n > math.MaxInt64/int64(time.Second) || n < math.MinInt64/int64(time.Second) {
			return 0, fmt.Errorf("the duration is too long")
		}
		return time.Duration(n) * time.Second, nil
	}
	var total time.Duration
	for rest != "" {
		m := spanPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, fmt.Errorf("%.40q is not a duration: write numbers with the units s, m, h, D, W, M or Y, as in 1h30m", text)
		}
		n, err := strconv.ParseInt(m[1], 10, 32)
		part := time.Duration(n) * spanUnit[m[2]]
		if err != nil || part/spanUnit[m[2]] != time.Duration(n) || n > 0 && total+part < total || n < 0 && total+part > total {
			return 0, fmt.Errorf("the duration is too long")
		}
		total += part
		rest = strings.TrimSpace(rest[len(m[0]):])
	}
	return total, nil
}

// FormatDuration writes d, in whole seconds, as Duplicati reads it.
func FormatDuration(d time.Duration) string {
	n := int64(d / time.Second)
	if n != int64(int32(n)) { // too large for a number with a unit
		return strconv.FormatInt(n, 10)
	}
	return strconv.FormatInt(n, 10) + "s"
}

var sizeText = regexp.MustCompile(`^\s*(\d+)\s*([a-z]*)\s*$`)

// ParseSize reads a size as Duplicati's options take it, "50mb", in bytes.
// Units count by 1024; unit is the one of a bare number, which differs from
// option to option.
func ParseSize(text, unit string) (int64, error) {
	m := sizeText.FindStringSubmatch(strings.ToLower(text))
	if m == nil {
		return 0, fmt.Errorf("%.40q is not a size: write a whole number with b, kb, mb, gb or tb", text)
	}
	if m[2] == "" {
		m[2] = strings.ToLower(unit)
	}
	shift := map[string]uint{"": 0, "b": 0, "kb": 10, "kib": 10, "mb": 20, "mib": 20, "gb": 30, "gib": 30, "tb": 40, "tib": 40}
	s, ok := shift[m[2]]
	n, err := strconv.ParseInt(m[1], 10, 64)
	if !ok || err != nil || n > math.MaxInt64>>s {
		return 0, fmt.Errorf("%.40q is not a size: write a whole number with b, kb, mb, gb or tb", text)
	}
	return n << s, nil
}

// words reads a text that may be null or, where the database has NULL, {}.
type words string

func (w *words) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*w = words(text)
	}
	return nil
}

// identifier reads an ID that is a text in one place and a number in another.
type identifier string

func (i *identifier) UnmarshalJSON(b []byte) error {
	var text string
	var number int64
	switch {
	case json.Unmarshal(b, &text) == nil:
		*i = identifier(text)
	case json.Unmarshal(b, &number) == nil:
		*i = identifier(strconv.FormatInt(number, 10))
	}
	return nil
}

const longestText = 400

var (
	anyURL    = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>|]*`)
	anyToken  = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}[A-Za-z0-9._-]*|(?i)\b(?:bearer|basic|preauth)\s+[A-Za-z0-9+/._~=-]{8,}`)
	anySecret = regexp.MustCompile(`(?i)([A-Za-z0-9_-]*(?:password|passphrase|secret|token|authid|api-?key|access-?key|signingkey|nonce)[A-Za-z0-9_-]*["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s&"',;]+)`)
)

// scrub makes a text that the server wrote fit to be shown as data: one line,
// not long, its URLs cut to scheme and host, what is set to passwords masked.
func scrub(text string) string {
	text = strings.TrimSpace(printable(text))
	if len(text) > 16<<10 {
		text = text[:16<<10]
	}
	text = anyURL.ReplaceAllStringFunc(text, func(u string) string {
		d := destinationOf(u)
		return d.String() + "/…"
	})
	text = anySecret.ReplaceAllString(anyToken.ReplaceAllString(text, "…"), "${1}…")
	if r := []rune(text); len(r) > longestText {
		text = string(r[:longestText-1]) + "…"
	}
	return strings.ToValidUTF8(text, "�")
}
