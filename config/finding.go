package config

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Finding is one thing that is wrong with a file, or worth a second look. It
// repeats keys and names of the file and never a value.
type Finding struct {
	Line    int    `json:"line,omitempty"` // 0: the file as a whole
	Key     string `json:"key,omitempty"`  // "servers.nas.url"
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Warning bool   `json:"warning,omitempty"` // the file can be used all the same
}

// String is the finding as it stands behind the file's name.
func (f Finding) String() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "%d: ", f.Line)
	}
	if f.Warning {
		b.WriteString("warning: ")
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Message)
	if f.Hint != "" {
		b.WriteString("; " + f.Hint)
	}
	return b.String()
}

// Error is why a file cannot be used: all that was found, in the order of its
// lines.
type Error struct {
	Path     string
	Findings []Finding
}

// Error lists the findings, one a line.
func (e *Error) Error() string {
	var b strings.Builder
	_ = Print(&b, e.Path, e.Findings) // a Builder takes everything
	return strings.TrimSuffix(b.String(), "\n")
}

// Print writes findings as compilers do, one a line: "path:line: words".
func Print(w io.Writer, path string, findings []Finding) error {
	for _, f := range findings {
		sep := ":"
		if f.Line == 0 {
			sep = ": "
		}
		if _, err := fmt.Fprintln(w, path+sep+f.String()); err != nil {
			return err
		}
	}
	return nil
}

func inOrder(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int { return a.Line - b.Line })
	return findings
}

// near returns the known word that is nearest to what was typed, "" when none
// is near.
func near(typed string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		d := distance(strings.ToLower(typed), strings.ToLower(k))
		if d < least && d <= max(1, len(k)/3) {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of single-letter edits between two words, a swap of
// neighbours being one.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	d := make([][]int, len(s)+1)
	for i := range d {
		d[i] = make([]int, len(t)+1)
		for j := range d[i] {
			switch {
			case i == 0 || j == 0:
				d[i][j] = i + j
				continue
			case s[i-1] == t[j-1]:
				d[i][j] = d[i-1][j-1]
			default:
				d[i][j] = 1 + min(d[i-1][j], d[i][j-1], d[i-1][j-1])
			}
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(s)][len(t)]
}
