package cli

import (
	"fmt"
	"strings"

	"github.com/duplibot/duplibot/tools"
)

// nextShown is how many calls that make sense next are shown; where there are
// more, they are one a row and a table has its IDs.
const nextShown = 3

// colours of tones, as terminals number them.
var colours = map[tools.Tone]string{tools.Good: "32", tools.Notice: "36", tools.Warning: "33", tools.Bad: "31", tools.Unclear: "35"}

// print writes a line to stdout. In JSON mode it becomes one of the messages.
func (r *Run) print(line string) {
	if r.Globals.JSON {
		if strings.TrimSpace(line) != "" {
			r.said = append(r.said, line)
		}
		return
	}
	fmt.Fprintln(r.out, line)
}

// line writes a line of ours to stderr: "duplibot: hint: …".
func (r *Run) line(kind, text string) {
	prefix := r.app.Name + ": "
	switch {
	case r.app.Mark != "":
		prefix = r.app.Mark + ": "
	case r.app.dialogue:
		prefix = ""
	}
	colour := ""
	if kind == "error" {
		colour = "1;31"
	}
	fmt.Fprintln(r.app.Stderr, prefix+r.paintErr(colour, kind+":")+" "+clean(text))
}

// note says something beside the answer.
func (r *Run) note(text string) {
	if r.Globals.JSON {
		r.said = append(r.said, "note: "+text)
		return
	}
	r.line("note", text)
}

func (r *Run) paint(code, text string) string {
	return paint(text, code, r.app.Terminal.Out && !r.Globals.JSON && r.coloured())
}

func (r *Run) paintErr(code, text string) string {
	return paint(text, code, r.app.Terminal.Err && r.coloured())
}

func paint(text, code string, on bool) string {
	if !on || code == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (r *Run) coloured() bool {
	return !r.Globals.NoColor && r.app.Env("NO_COLOR") == "" && r.app.Env("TERM") != "dumb"
}

// Show prints a view.
func (r *Run) Show(v tools.View) {
	for _, line := range r.lines(v) {
		r.print(line)
	}
}

// lines lays a view out. All of its words may come from a server.
func (r *Run) lines(v tools.View) []string {
	var out []string
	section := func(lines []string) {
		if len(lines) == 0 {
			return
		}
		if len(out) > 0 {
			out = append(out, "")
		}
		out = append(out, lines...)
	}
	if v.Headline != "" {
		section([]string{r.headline(v)})
	}
	if v.Progress != nil {
		section([]string{"  " + bar(*v.Progress, 30)})
	}
	section(r.facts(v.Facts))
	if v.Table != nil {
		section(r.table(*v.Table))
	}
	var notes []string
	for _, n := range v.Notes {
		notes = append(notes, "- "+clean(n))
	}
	section(notes)
	for _, q := range v.Data {
		section(quote(q))
	}
	section(r.next(v))
	return out
}

// headline has the word for what is not as it should be, colour or not.
func (r *Run) headline(v tools.View) string {
	text := r.paint(colours[v.Tone], clean(v.Headline))
	if v.Tone > tools.Notice {
		text += "  [" + v.Tone.String() + "]"
	}
	if r.app.Mark != "" {
		text = r.app.Mark + ": " + text
	}
	return text
}

func (r *Run) facts(facts []tools.Fact) []string {
	wide := 0
	for _, f := range facts {
		wide = max(wide, columns(clean(f.Name)))
	}
	var out []string
	for _, f := range facts {
		line := "  " + pad(clean(f.Name), wide) + "  " + r.paint(colours[f.Tone], clean(f.Value))
		if f.Tone > tools.Good {
			line += "  [" + f.Tone.String() + "]"
		}
		out = append(out, strings.TrimRight(line, " "))
	}
	return out
}

// table aligns columns. Where a terminal is too narrow for them, a row goes on
// in a second line: a time or an ID of which the end is lost is of no use.
func (r *Run) table(t tools.Table) []string {
	wide := make([]int, len(t.Columns))
	rows := make([][]string, 0, len(t.Rows)+1)
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		cells := make([]string, len(wide))
		for i := range cells {
			if i < len(row) {
				cells[i] = clean(row[i])
			}
			wide[i] = max(wide[i], columns(cells[i]))
		}
		rows = append(rows, cells)
	}
	begins := fold(wide, r.width())
	var out []string
	for i, row := range rows {
		for n, begin := range begins {
			end := len(wide)
			if n+1 < len(begins) {
				end = begins[n+1]
			}
			line := ""
			for j := begin; j < end; j++ {
				line += pad(cut(row[j], wide[j]), wide[j]) + "  "
			}
			line = strings.TrimRight(line, " ")
			switch {
			case n > 0 && line == "":
				continue
			case n > 0:
				line = foldIndent + line
			}
			if i == 0 {
				line = r.paint("1", line)
			}
			out = append(out, line)
		}
	}
	if t.Total > len(t.Rows) {
		out = append(out, fmt.Sprintf("(%d of %d are shown)", len(t.Rows), t.Total))
	}
	return out
}

// width is how many columns the terminal has, 0 where there is none.
func (r *Run) width() int {
	if !r.app.Terminal.Out || r.Globals.JSON || r.app.Terminal.Width == nil {
		return 0
	}
	return r.app.Terminal.Width()
}

// foldIndent stands before the second line of a row.
const foldIndent = "    "

// fold says with which columns the lines of a row begin. A column that is
// wider than the terminal by itself is made as wide as that.
func fold(wide []int, terminal int) (begins []int) {
	begins = []int{0}
	left := terminal
	for i := range wide {
		if terminal <= len(foldIndent) {
			continue
		}
		if i > 0 && wide[i] > left {
			begins = append(begins, i)
			left = terminal - len(foldIndent)
		}
		wide[i] = min(wide[i], left)
		left -= wide[i] + 2
	}
	return begins
}

// quote shows what somebody else wrote, marked line by line.
func quote(q tools.Quote) []string {
	out := []string{clean(q.Source) + ":"}
	for _, l := range q.Lines {
		out = append(out, "  | "+clean(l))
	}
	if q.Total > len(q.Lines) {
		out = append(out, fmt.Sprintf("  (%d of %d lines are shown)", len(q.Lines), q.Total))
	}
	return out
}

// next shows, to a person at a terminal, the lines to type next.
func (r *Run) next(v tools.View) []string {
	if !r.app.Terminal.Out && !r.app.dialogue || r.Globals.JSON {
		return nil
	}
	next := v.Next
	if v.Follow != nil {
		next = append([]tools.Next{*v.Follow}, next...)
	}
	if len(next) > nextShown {
		return nil
	}
	var out []string
	for _, n := range next {
		if line := r.typed(n); line != "" {
			out = append(out, r.paint("2", "next: "+line))
		}
	}
	return out
}

// typed is a call as somebody would type it, "" when it cannot be typed.
func (r *Run) typed(n tools.Next) string {
	op, err := r.app.registry().Lookup(n.Operation)
	if err != nil {
		return ""
	}
	var words, options []string
	for _, p := range op.Params {
		value, given := n.Args[p.Name]
		if !given || !p.On(tools.CLI) || p.Name == "server" && r.Globals.HostURL != "" {
			continue
		}
		switch list, isList := value.([]any); {
		case isList && p.Pos:
			for _, item := range list {
				words = append(words, shellWord(fmt.Sprint(item)))
			}
		case p.Kind == tools.Bool && value == true:
			options = append(options, "--"+p.Flag)
		case p.Kind == tools.Bool:
			options = append(options, "--no-"+p.Flag)
		case p.Pos:
			words = append(words, shellWord(fmt.Sprint(value)))
		default:
			options = append(options, "--"+p.Flag, shellWord(fmt.Sprint(value)))
		}
	}
	return r.words(append(append([]string{op.Name}, words...), options...)...)
}

// shellWord quotes a word where a shell would take it apart.
func shellWord(word string) string {
	word = clean(word)
	safe := word != ""
	for _, r := range word {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-", r) {
			safe = false
		}
	}
	if safe {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// bar draws how far something is.
func bar(p tools.Progress, wide int) string {
	text := clean(p.Text)
	if p.ETA != "" {
		text += ", " + clean(p.ETA) + " left"
	}
	if p.Done < 0 {
		return text
	}
	done := min(1, p.Done)
	full := int(done * float64(wide))
	return fmt.Sprintf("[%s%s] %3d%%  %s", strings.Repeat("#", full), strings.Repeat("-", wide-full), int(done*100), text)
}
