package slack

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/duplibot/duplibot/tools"
)

// message is what is posted: the whole fact as text, for those who hear it, and
// the same in blocks, for those who see it.
type message struct {
	Text   string // escaped
	Blocks []slack.Block
	Rest   string // what did not fit, as a file; "" when all did
}

func (m message) options() []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionText(m.Text, false), slack.MsgOptionBlocks(m.Blocks...),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
		slack.MsgOptionParse(false), slack.MsgOptionLinkNames(false),
	}
}

// append adds a block at the end, in the place of the last one when there is
// no room.
func (m *message) append(b slack.Block) {
	n := min(len(m.Blocks), maxBlocks-1)
	m.Blocks = append(m.Blocks[:n:n], b)
}

// words is a message of one text.
func words(t tools.Tone, s string) message {
	return message{Text: escape(spoken(t, s), maxTopLevel), Blocks: []slack.Block{section(toned(t, s))}}
}

// failure is a message about an error.
func failure(e *tools.Error) message {
	b := builder{limit: maxBlocks}
	b.say(toned(tools.Bad, e.Message))
	if e.Hint != "" {
		b.aside(e.Hint)
	}
	return message{Text: escape("error: "+e.Error(), maxTopLevel), Blocks: b.blocks}
}

// sentence begins a message of ours with a capital letter, as prose does.
func sentence(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(string(r)) + s[n:]
}

func section(s string) *slack.SectionBlock {
	return slack.NewSectionBlock(plain(s, maxText), nil, nil)
}

// builder makes blocks within the limits of one message or view and remembers
// whether something was left out.
type builder struct {
	blocks []slack.Block
	limit  int
	used   int  // characters
	view   bool // a modal or Home tab: no table block there
	cut    bool
	foot   int // blocks kept free for what comes last
}

func (b *builder) add(size int, blocks ...slack.Block) bool {
	if len(b.blocks)+len(blocks)+b.foot > b.limit || b.used+size > maxInBlocks {
		b.cut = true
		return false
	}
	b.used += size
	b.blocks = append(b.blocks, blocks...)
	return true
}

func (b *builder) say(s string) {
	if utf8.RuneCountInString(s) > maxText {
		b.cut = true
	}
	text := plain(s, maxText)
	b.add(utf8.RuneCountInString(text.Text), slack.NewSectionBlock(text, nil, nil))
}

func (b *builder) head(s string) {
	text := plain(line(s), maxHeader)
	b.add(utf8.RuneCountInString(text.Text), slack.NewHeaderBlock(text))
}

// aside is small print, a text a line: elements of one context block would stand
// beside each other.
func (b *builder) aside(texts ...string) {
	for _, part := range paragraphs(texts, maxField) {
		text := plain(strings.Join(part, "\n"), maxField)
		b.cut = b.cut || utf8.RuneCountInString(part[0]) > maxField
		b.add(utf8.RuneCountInString(text.Text), slack.NewContextBlock("", text))
	}
}

// lines are texts below each other, as many as there is room for.
func (b *builder) lines(texts []string) (shown int) {
	for _, part := range paragraphs(texts, maxText) {
		text := strings.Join(part, "\n")
		if !b.add(utf8.RuneCountInString(text), section(text)) {
			break
		}
		shown += len(part)
	}
	return shown
}

// paragraphs puts texts together as long as they have no more than n characters.
func paragraphs(texts []string, n int) (parts [][]string) {
	size := n
	for _, text := range texts {
		length := utf8.RuneCountInString(text) + 1
		if size+length > n {
			parts, size = append(parts, nil), 0
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], text)
		size += length
	}
	return parts
}

// note is small print with mentions and dates.
func (b *builder) note(text *slack.TextBlockObject) {
	b.add(utf8.RuneCountInString(text.Text), slack.NewContextBlock("", text))
}

func (b *builder) line() { b.add(0, slack.NewDividerBlock()) }

// facts are labelled values, two beside each other.
func (b *builder) facts(facts []tools.Fact) {
	for len(facts) > 0 {
		n := min(len(facts), maxFields)
		var fields []*slack.TextBlockObject
		size := 0
		for _, f := range facts[:n] {
			whole := line(f.Name) + "\n" + toned(f.Tone, f.Value)
			text := plain(whole, maxField)
			b.cut = b.cut || utf8.RuneCountInString(whole) > maxField
			size += utf8.RuneCountInString(text.Text)
			fields = append(fields, text)
		}
		b.add(size, slack.NewSectionBlock(nil, fields, nil))
		facts = facts[n:]
	}
}

// table shows rows as a table in messages, and as lines in views, where Slack
// has no tables.
func (b *builder) table(t *tools.Table) {
	if len(t.Columns) == 0 || len(t.Rows) == 0 {
		return
	}
	total := max(t.Total, len(t.Rows))
	shown := 0
	if b.view {
		shown = b.tableLines(t)
	} else {
		shown = b.tableBlock(t)
	}
	if shown < total {
		b.cut = b.cut || shown < len(t.Rows)
		b.aside(fmt.Sprintf("%d of %d rows are shown", shown, total))
	}
}

func (b *builder) tableBlock(t *tools.Table) int {
	table := slack.NewTableBlock("")
	room := min(maxTableText, maxInBlocks-b.used)
	shown := 0
	for i, row := range append([][]string{t.Columns}, t.Rows...) {
		var cells []slack.TableCell
		size := 0
		for _, value := range row[:min(len(row), maxColumns)] {
			text := plain(line(value), 300).Text
			size += utf8.RuneCountInString(text)
			cells = append(cells, slack.NewTableRawTextCell(text))
		}
		if size > room || i > maxRows || len(cells) == 0 {
			break
		}
		room -= size
		b.used += size
		table.AddRow(cells...)
		shown = i
	}
	if shown == 0 || !b.add(0, table) {
		return 0
	}
	return shown
}

func (b *builder) tableLines(t *tools.Table) int {
	b.aside(strings.Join(t.Columns, " · "))
	var lines []string
	for _, row := range t.Rows {
		values := make([]string, len(row))
		for i, value := range row {
			values[i] = cmp.Or(line(value), "–")
		}
		lines = append(lines, cut("• "+strings.Join(values, " · "), 600))
	}
	return b.lines(lines)
}

// rowLine is a row in one line: the first value, then the others with their names.
func rowLine(columns, row []string) string {
	var parts []string
	for i, value := range row {
		if value = line(value); value == "" {
			continue
		}
		if i > 0 && i < len(columns) {
			value = line(columns[i]) + ": " + value
		}
		parts = append(parts, value)
	}
	return "• " + strings.Join(parts, " · ")
}

// quote shows somebody else's text, letter for letter.
func (b *builder) quote(q tools.Quote) {
	text := strings.Join(q.Lines, "\n")
	shown := cut(clean(text), maxText)
	if shown != clean(text) {
		b.cut = true
	}
	if strings.TrimSpace(shown) == "" {
		return
	}
	b.aside("From " + line(q.Source) + ", word for word:")
	b.add(utf8.RuneCountInString(shown), slack.NewRichTextBlock("", &slack.RichTextPreformatted{
		Type: slack.RTEPreformatted, Elements: []slack.RichTextSectionElement{slack.NewRichTextSectionTextElement(shown, nil)}}))
	if total := max(q.Total, len(q.Lines)); total > len(q.Lines) {
		b.aside(fmt.Sprintf("%d of %d lines are shown", len(q.Lines), total))
	}
}

// bar draws how far something has come.
func bar(p tools.Progress) string {
	var parts []string
	if p.Done >= 0 && !math.IsNaN(p.Done) {
		done := min(p.Done, 1)
		full := int(done * 20)
		parts = append(parts, strings.Repeat("▓", full)+strings.Repeat("░", 20-full)+fmt.Sprintf(" %d %%", int(done*100)))
	}
	if p.ETA != "" {
		parts = append(parts, line(p.ETA)+" left")
	}
	if p.Text != "" {
		parts = append(parts, line(p.Text))
	}
	return strings.Join(parts, " · ")
}

// actNext is the action of a button that makes a call.
const actNext = "next"

// nextCall is the value of such a button.
type nextCall struct {
	Operation string         `json:"o"`
	Args      map[string]any `json:"a,omitempty"`
}

// next offers calls as buttons; one that does not fit its limits is left out.
func (b *builder) next(calls []tools.Next) {
	var buttons []slack.BlockElement
	for i, n := range calls {
		value, err := json.Marshal(nextCall{n.Operation, n.Args})
		if err != nil || utf8.RuneCount(value) > maxValue || len(buttons) == 5 {
			continue
		}
		buttons = append(buttons, slack.NewButtonBlockElement(fmt.Sprintf("%s:%d", actNext, i), string(value), plain(n.Label, maxButton)))
	}
	if len(buttons) > 0 {
		b.add(0, slack.NewActionBlock("", buttons...))
	}
}

// view adds a whole view.
func (b *builder) show(v tools.View) {
	b.say(toned(v.Tone, v.Headline))
	if v.Progress != nil {
		p := *v.Progress
		if p.Text == v.Headline {
			p.Text = "" // it stands above
		}
		if text := bar(p); text != "" {
			b.say(text)
		}
	}
	b.facts(v.Facts)
	if v.Table != nil {
		b.table(v.Table)
	}
	b.aside(v.Notes...)
	for _, q := range v.Data {
		b.quote(q)
	}
}

// nexts are the calls that a view offers.
func nexts(v tools.View) []tools.Next {
	if v.Progress != nil {
		return append(append([]tools.Next{}, v.Next...), v.Progress.Next...)
	}
	return v.Next
}

// viewMessage is a view as a message. Of what does not fit, the message says so
// and Rest holds the whole.
func viewMessage(v tools.View, extra ...func(*builder)) message {
	b := builder{limit: maxBlocks, foot: 3}
	b.show(v)
	for _, f := range extra {
		f(&b)
	}
	m := message{}
	if b.cut {
		m.Rest = viewText(v)
	}
	b.foot, b.used = 0, 0
	if b.cut {
		b.aside("This is cut; the whole is in the file that comes with it.")
	}
	b.next(nexts(v))
	m.Text, m.Blocks = escape(viewText(v), maxTopLevel), b.blocks
	return m
}

// listMessage is a view with lines below it.
func listMessage(v tools.View, lines []string) message {
	m := viewMessage(v, func(b *builder) { b.lines(lines) })
	whole := viewText(v) + "\n" + strings.Join(lines, "\n")
	m.Text = escape(whole, maxTopLevel)
	if m.Rest != "" {
		m.Rest = whole
	}
	return m
}

// viewText is a whole view as plain lines.
func viewText(v tools.View) string {
	var s strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	add("%s", clean(spoken(v.Tone, v.Headline)))
	if v.Progress != nil {
		add("%s", bar(*v.Progress))
	}
	for _, f := range v.Facts {
		add("%s: %s", line(f.Name), clean(spoken(f.Tone, f.Value)))
	}
	if v.Table != nil {
		for _, row := range v.Table.Rows {
			add("%s", rowLine(v.Table.Columns, row))
		}
		if v.Table.Total > len(v.Table.Rows) {
			add("%d of %d rows", len(v.Table.Rows), v.Table.Total)
		}
	}
	for _, n := range v.Notes {
		add("%s", clean(n))
	}
	for _, q := range v.Data {
		add("From %s:", line(q.Source))
		for _, l := range q.Lines {
			add("  %s", clean(l))
		}
	}
	return strings.TrimSpace(s.String())
}
