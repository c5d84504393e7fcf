package duplicati_test

import (
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
)

const day = 24 * time.Hour

func TestDurationsAreReadAsDuplicatiReadsThem(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "  ": 0, "90": 90 * time.Second, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "30m1h": 90 * time.Minute, "1D": day, "1W": 7 * day,
		"1M": 30 * day, "1Y": 365 * day, "1D -2h": 22 * time.Hour, "-5m": -5 * time.Minute, "0s": 0, " 2 D ": 2 * day,
	} {
		if got, err := duplicati.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"5d", "1H", "1w", "1.5h", "5min", "5m30", "m", "5mm", "h5", "1h;", "99999999999s", "2000000000Y", "2000000Y", "9223372036854775807", "١h"} {
		if got, err := duplicati.ParseDuration(text); err == nil {
			t.Errorf("%q is %s", text, got)
		}
	}
	for _, d := range []time.Duration{time.Second, 90 * time.Minute, day} {
		if got, err := duplicati.ParseDuration(duplicati.FormatDuration(d)); err != nil || got != d {
			t.Errorf("%s comes back as %s, %v", d, got, err)
		}
	}
}

func TestSpansAreRead(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"00:01:23.4560000": 83*time.Second + 456*time.Millisecond, "1.02:03:04": day + 2*time.Hour + 3*time.Minute + 4*time.Second, "-00:00:01": -time.Second,
		"00:00:00.0000001": 100, "23:59:59": day - time.Second, "00:00:00": 0, "00:00:01.5": 1500 * time.Millisecond,
	} {
		if got, ok := duplicati.ParseSpan(text); !ok || got != want {
			t.Errorf("%q is %s, %v; want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "1", "00:00", "24:00:00", "00:60:00", "00:00:00.12345678", "9999999999.00:00:00", "a:b:c", "00:00:01\n"} {
		if got, ok := duplicati.ParseSpan(text); ok {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func TestSizesAreRead(t *testing.T) {
	for text, want := range map[string]int64{"50mb": 50 << 20, "1 GiB": 1 << 30, "7": 7 << 20, "0": 0, "3b": 3, "8388607tb": 8388607 << 40} {
		if got, err := duplicati.ParseSize(text, "mb"); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "mb", "1.5gb", "-1", "8388608tb", "5pb", "99999999999999999999"} {
		if got, err := duplicati.ParseSize(text, "mb"); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestTheLastDueTimeFollowsTheCalendar(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("this host has no time zones")
	}
	at := func(text string) time.Time {
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	workdays := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	for _, c := range []struct {
		name string
		s    duplicati.Schedule
		now  string
		want string // "" is none
	}{
		{"daily, the next one tomorrow", duplicati.Schedule{Next: at("2026-09-02T02:00:00Z"), Repeat: "1D"}, "2026-09-01T12:00:00Z", "2026-09-01T02:00:00Z"},
		{"once, not come yet", duplicati.Schedule{Next: at("2026-09-02T02:00:00Z")}, "2026-09-01T12:00:00Z", ""},
		{"once, passed", duplicati.Schedule{Next: at("2026-09-01T02:00:00Z")}, "2026-09-01T12:00:00Z", "2026-09-01T02:00:00Z"},
		{"waits since three days", duplicati.Schedule{Next: at("2026-09-01T02:00:00Z"), Repeat: "1D"}, "2026-09-04T01:00:00Z", "2026-09-03T02:00:00Z"},
		{"exactly now", duplicati.Schedule{Next: at("2026-09-01T02:00:00Z"), Repeat: "1D"}, "2026-09-01T02:00:00Z", "2026-09-01T02:00:00Z"},
		{"over the end of summer time", duplicati.Schedule{Next: at("2026-10-26T02:00:00Z"), Repeat: "1D"}, "2026-10-25T12:00:00Z", "2026-10-25T02:00:00Z"},
		{"the day before the clocks changed", duplicati.Schedule{Next: at("2026-10-26T02:00:00Z"), Repeat: "2D"}, "2026-10-25T12:00:00Z", "2026-10-24T01:00:00Z"},
		{"workdays, on a Sunday", duplicati.Schedule{Next: at("2026-09-07T02:00:00Z"), Repeat: "1D", Days: workdays}, "2026-09-06T12:00:00Z", "2026-09-04T02:00:00Z"},
		{"in the past on a day that is not allowed", duplicati.Schedule{Next: at("2026-09-05T02:00:00Z"), Repeat: "1D", Days: workdays}, "2026-09-06T12:00:00Z", "2026-09-04T02:00:00Z"},
		{"weekly, from a day that is not allowed", duplicati.Schedule{Next: at("2026-09-05T02:00:00Z"), Repeat: "1W", Days: workdays}, "2026-09-12T12:00:00Z", "2026-09-07T02:00:00Z"},
		{"weekly, not yet allowed", duplicati.Schedule{Next: at("2026-09-05T02:00:00Z"), Repeat: "1W", Days: workdays}, "2026-09-06T12:00:00Z", ""},
		{"every other day", duplicati.Schedule{Next: at("2026-09-03T02:00:00Z"), Repeat: "2D", Days: workdays}, "2026-09-08T12:00:00Z", "2026-09-07T02:00:00Z"},
		{"every six hours, from a day that is not allowed", duplicati.Schedule{Next: at("2026-09-05T02:00:00Z"), Repeat: "6h", Days: workdays}, "2026-09-07T12:00:00Z", "2026-09-07T08:00:00Z"},
		{"monthly", duplicati.Schedule{Next: at("2026-10-01T02:00:00Z"), Repeat: "1M"}, "2026-09-15T12:00:00Z", "2026-09-01T02:00:00Z"},
		{"every six hours", duplicati.Schedule{Next: at("2026-09-01T18:00:00Z"), Repeat: "6h"}, "2026-09-01T13:00:00Z", "2026-09-01T12:00:00Z"},
		{"seconds alone", duplicati.Schedule{Next: at("2026-09-01T18:00:00Z"), Repeat: "21600"}, "2026-09-01T13:00:00Z", "2026-09-01T12:00:00Z"},
		{"parts", duplicati.Schedule{Next: at("2026-09-02T14:00:00Z"), Repeat: "1D12h"}, "2026-09-02T12:00:00Z", "2026-09-01T02:00:00Z"},
		{"nonsense", duplicati.Schedule{Next: at("2026-09-02T14:00:00Z"), Repeat: "1d"}, "2026-09-02T12:00:00Z", ""},
		{"too often to be true", duplicati.Schedule{Next: at("2026-09-02T14:00:00Z"), Repeat: "1m"}, "2026-09-02T12:00:00Z", ""},
		{"longer than anybody says", duplicati.Schedule{Next: at("2026-09-02T14:00:00Z"), Repeat: strings.Repeat("1D", 40)}, "2026-09-02T12:00:00Z", ""},
		{"adds up to nothing", duplicati.Schedule{Next: at("2026-09-02T14:00:00Z"), Repeat: "1D-1D"}, "2026-09-02T12:00:00Z", ""},
		{"no time", duplicati.Schedule{Repeat: "1D"}, "2026-09-02T12:00:00Z", ""},
	} {
		got, ok := c.s.Due(at(c.now), berlin)
		if c.want == "" {
			if ok {
				t.Errorf("%s: due at %s", c.name, got.UTC().Format(time.RFC3339))
			}
			continue
		}
		if !ok || !got.Equal(at(c.want)) {
			t.Errorf("%s: due at %s (%v), want %s", c.name, got.UTC().Format(time.RFC3339), ok, c.want)
		}
	}
}
