package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// series is one thing, measured several times.
type series []float64

func (s series) sorted() series { return slices.Sorted(slices.Values(s)) }

// median is less shaken by what else the machine does than the mean.
func (s series) median() float64 { return s.sorted()[len(s)/2] }

func (s series) best() float64 { return slices.Min(s) }

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// line is one thing in the table.
type line struct {
	name, unit string
	value      float64 // the median
	best       float64
	goal       float64 // at most; 0 is none
	beside     bool    // is there to compare with
}

type table []line

func (t *table) add(name, unit string, s series, goal float64) {
	*t = append(*t, line{name: name, unit: unit, value: s.median(), best: s.best(), goal: goal})
}

func (t *table) beside(name, unit string, s series) {
	*t = append(*t, line{name: name, unit: unit, value: s.median(), best: s.best(), beside: true})
}

// times says how many times as much the first series is than the second.
func (t *table) times(name string, of, than series) {
	*t = append(*t, line{name: name, unit: "times", value: of.median() / than.median(), best: of.best() / than.best(), beside: true})
}

func (l line) misses() bool { return l.goal > 0 && l.value > l.goal }

func (t table) missed() (n int) {
	for _, l := range t {
		if l.misses() {
			n++
		}
	}
	return n
}

func (t table) print(w io.Writer) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "\tmedian\tbest\tgoal\t")
	for _, l := range t {
		name, goal := l.name, ""
		if l.beside {
			name = "  " + name
		}
		if l.goal > 0 {
			goal = fmt.Sprintf("%.4g %s\treached", l.goal, l.unit)
			if l.misses() {
				goal = fmt.Sprintf("%.4g %s\tMISSED", l.goal, l.unit)
			}
		}
		fmt.Fprintf(out, "%s\t%.4g %s\t%.4g\t%s\n", name, l.value, l.unit, l.best, goal)
	}
	out.Flush()
}
