package cli

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// clean makes one harmless line of words that may come from a server: escape
// sequences and control characters go, what turns the direction of writing or
// is not seen goes, and breaks become blanks.
func clean(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\x1b' || r == '\u009b':
			n = escape(s[i:])
		case r == '\n' || r == '\t' || r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			b.WriteByte(' ')
		case r == utf8.RuneError && n == 1:
			b.WriteRune('\uFFFD')
		case hidden(r):
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// hidden reports what a terminal obeys or does not show: controls, marks of
// direction, characters without a width, private ones. A joiner between
// letters and the selectors of emoji stay.
func hidden(r rune) bool {
	if r == '\u200d' || r == '\ufe0f' {
		return false
	}
	return unicode.Is(unicode.C, r)
}

// escape is the length of the escape sequence that s begins with: up to the
// letter that ends a control sequence, or to the bell or the terminator that
// ends a string.
func escape(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	kind := byte('[')
	if s[0] == '\x1b' {
		if len(s) == 1 {
			return 1
		}
		kind = s[1]
		n = 2
	}
	switch kind {
	case '[':
		for ; n < len(s); n++ {
			if s[n] >= 0x40 && s[n] <= 0x7e {
				return n + 1
			}
			if s[n] < 0x20 || s[n] > 0x3f {
				return n
			}
		}
		return len(s)
	case ']', 'P', 'X', '^', '_':
		for i := n; i < len(s); i++ {
			if s[i] == '\a' {
				return i + 1
			}
			if s[i] == '\x1b' {
				return min(len(s), i+2)
			}
		}
		return len(s)
	}
	return min(n, len(s))
}

// columns is how many columns s takes at a terminal.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cut shortens s to n columns, the last of them an ellipsis.
func cut(s string, n int) string {
	if columns(s) <= n {
		return s
	}
	used := 0
	for i, r := range s {
		if used += runeColumns(r); used > n-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// pad fills s up with blanks to n columns.
func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-columns(s)))
}
