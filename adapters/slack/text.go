package slack

// How words get to Slack:
//
//   - What anybody else wrote stands in plain_text or in preformatted rich text,
//     where no markup has a meaning. It passes clean, which takes away what
//     cannot be seen, and is cut to the field's limit.
//   - mrkdwn is made of mention, usergroup and date alone, whose IDs are checked.
//   - The top-level text, which screen readers and notifications read, is markup
//     to Slack: it passes escape.

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/duplibot/duplibot/tools"
)

// Limits of Block Kit. https://docs.slack.dev/reference/block-kit
const (
	maxText        = 3000
	maxField       = 2000
	maxHeader      = 150
	maxButton      = 75
	maxValue       = 2000
	maxOption      = 75
	maxTitle       = 24
	maxFields      = 10
	maxBlocks      = 50 // of a message
	maxViewBlocks  = 100
	maxColumns     = 20
	maxRows        = 99 // and the row of names
	maxOptions     = 100
	maxMetadata    = 3000
	maxTopLevel    = 3900   // chat.update takes 4,000
	maxInBlocks    = 11_000 // of all blocks together; Slack refuses a little over 13,000
	maxTableText   = 8_000  // of a table; Slack takes 10,000
	maxAckBytes    = 20_000 // of an acknowledgement; Slack drops 20 KiB
	maxUploadBytes = 4 << 20
)

// clean takes away what cannot be seen or would change what stands around it:
// controls, directions, joiners and tags. Line breaks stay.
func clean(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t', r == '\r', r == '\u2028', r == '\u2029', r == '\u0085':
			return ' '
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r):
			return -1
		}
		return r
	}, s)
}

// line is clean in one line.
func line(s string) string {
	return strings.Join(strings.Fields(clean(s)), " ")
}

// cut keeps n characters and shows that there were more.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return strings.TrimRight(string(r[:n-1]), " \n") + "…"
}

// escape makes a text inert where Slack reads markup, cut to n characters as
// Slack counts them. https://docs.slack.dev/messaging/formatting-message-text#escaping
func escape(s string, n int) string {
	var b strings.Builder
	length := 0
	for _, r := range clean(s) {
		word := string(r)
		switch r {
		case '&':
			word = "&amp;"
		case '<':
			word = "&lt;"
		case '>':
			word = "&gt;"
		}
		if length += utf8.RuneCountInString(word); length > n-1 {
			return b.String() + "…"
		}
		b.WriteString(word)
	}
	return b.String()
}

var unescaper = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

var marked = regexp.MustCompile(`<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>`)

// typed turns a command's text back into what was typed: Slack has escaped it
// and has made markup of mentions and links.
func typed(s string) string {
	s = marked.ReplaceAllStringFunc(s, func(m string) string {
		part := marked.FindStringSubmatch(m)
		word := part[3]
		if word == "" {
			word = part[2]
		}
		switch part[1] {
		case "@", "#":
			return part[1] + word
		case "!":
			return "@" + word
		}
		if strings.HasPrefix(part[2], "mailto:") && part[3] == "" {
			return strings.TrimPrefix(part[2], "mailto:")
		}
		return word
	})
	return unescaper.Replace(s)
}

// plain is a text object in which nothing has a meaning.
func plain(s string, n int) *slack.TextBlockObject {
	s = strings.TrimSpace(cut(clean(s), n))
	if s == "" {
		s = "–"
	}
	return slack.NewTextBlockObject(slack.PlainTextType, s, false, false)
}

// markup is a text object of what mention, usergroup and date made.
func markup(parts ...string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, strings.Join(parts, ""), false, true)
}

var idForm = regexp.MustCompile(`^[A-Z][A-Z0-9]{2,30}$`)

func mention(user string) string {
	if !idForm.MatchString(user) {
		return "somebody"
	}
	return "<@" + user + ">"
}

func usergroup(id string) string {
	if !idForm.MatchString(id) {
		return "the approvers"
	}
	return "<!subteam^" + id + ">"
}

// date is a time as each reader's own clock shows it.
func date(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} at {time}|%s>", t.Unix(), stamp(t))
}

// stamp is a time in plain words.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

var toneIcons = map[tools.Tone]string{
	tools.Good: "✅ ", tools.Notice: "ℹ️ ", tools.Warning: "⚠️ ", tools.Bad: "⛔ ", tools.Unclear: "❔ ",
}

// toned is a text with the sign of its tone.
func toned(t tools.Tone, s string) string { return toneIcons[t] + s }

// spoken is a text with its tone as a word, for those who do not see the sign.
func spoken(t tools.Tone, s string) string {
	if t == tools.Plain || t == tools.Good {
		return s
	}
	return t.String() + ": " + s
}
