package slacktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Message is a message as a person sees it now.
type Message struct {
	Channel, TS string
	ThreadTS    string // the parent, when it is a reply
	Broadcast   bool   // a reply that is shown in the channel too
	User        string // who wrote it
	Text        string
	Blocks      []obj // with the block_ids and action_ids that Slack adds
	Attachments []obj
	Metadata    obj
	EphemeralTo string // the only person who sees it
	By          string // chat.postMessage, chat.postEphemeral, response_url, ack, files.completeUploadExternal, user
	Deleted     bool
	At          time.Time
	Edits       []Edit  // earlier states, the first one first
	Files       []*File // shared with it

	response string // the response_url that may touch it
}

// Edit is a state that a message had, and when it ended.
type Edit struct {
	Text   string
	Blocks []obj
	Until  time.Time
}

// Element is an interactive element on a message or view.
type Element struct {
	BlockID, ActionID, Type string
	Label                   string // a button's text
	Value                   string // a button's value
	Raw                     obj
}

// Messages are the messages of a channel in order, ephemeral and deleted ones too, as they are now. An
// empty channel means all.
func (s *Server) Messages(channel string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Message
	for _, m := range s.messages {
		if channel == "" || m.Channel == channel {
			list = append(list, m.clone())
		}
	}
	return list
}

// Message is one message as it is now.
func (s *Server) Message(channel, ts string) (Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.find(channel, ts); m != nil {
		return m.clone(), true
	}
	return Message{}, false
}

// Matcher is a condition on a message with words for when it is never met.
type Matcher struct {
	Words string
	Match func(Message) bool
}

// Saying matches a message in which every part can be read.
func Saying(parts ...string) Matcher {
	return Matcher{fmt.Sprintf("saying %q", parts), func(m Message) bool {
		text := m.AllText()
		return !m.Deleted && !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(text, p) })
	}}
}

// EphemeralFor matches what only this person sees, with the same condition on the text as Saying.
func EphemeralFor(user string, parts ...string) Matcher {
	says := Saying(parts...)
	return Matcher{says.Words + " to " + user + " alone", func(m Message) bool { return m.EphemeralTo == user && says.Match(m) }}
}

// Offering matches a message that has an element with this action_id.
func Offering(actionID string) Matcher {
	return Matcher{"offering " + actionID, func(m Message) bool { _, ok := m.Element(actionID); return !m.Deleted && ok }}
}

// That matches by a function.
func That(words string, match func(Message) bool) Matcher { return Matcher{words, match} }

// WaitMessage waits for a message that all matchers like, and returns the newest such. An empty channel
// means any.
func (s *Server) WaitMessage(channel string, want ...Matcher) Message {
	if s.tb != nil {
		s.tb.Helper()
	}
	var found Message
	s.waitOrFail(func() bool {
		list := s.Messages(channel)
		for i := len(list) - 1; i >= 0; i-- {
			if !slices.ContainsFunc(want, func(w Matcher) bool { return !w.Match(list[i]) }) {
				found = list[i]
				return true
			}
		}
		return false
	}, func() string {
		var words []string
		for _, w := range want {
			words = append(words, w.Words)
		}
		return fmt.Sprintf("wait for a message in %q %s; there are:\n%s", channel, strings.Join(words, ", "), s.Transcript(channel))
	})
	return found
}

// WaitUpdate waits until this message, as it is now, is liked by all matchers.
func (s *Server) WaitUpdate(m Message, want ...Matcher) Message {
	if s.tb != nil {
		s.tb.Helper()
	}
	same := That("being "+m.TS, func(n Message) bool { return n.TS == m.TS })
	return s.WaitMessage(m.Channel, append([]Matcher{same}, want...)...)
}

// Transcript is what stands in a channel, for reading a failed test.
func (s *Server) Transcript(channel string) string {
	var b strings.Builder
	for _, m := range s.Messages(channel) {
		fmt.Fprintf(&b, "%s %s", m.Channel, m.TS)
		if m.EphemeralTo != "" {
			fmt.Fprintf(&b, " only for %s", m.EphemeralTo)
		}
		if m.Deleted {
			b.WriteString(" deleted")
		}
		fmt.Fprintf(&b, " (%s, %d edits): %s\n", m.By, len(m.Edits), strings.ReplaceAll(m.AllText(), "\n", "\n    "))
		for _, e := range m.Elements() {
			fmt.Fprintf(&b, "    [%s %s %q]\n", e.Type, e.ActionID, e.Label)
		}
	}
	return b.String()
}

// AllText is the top-level text and every text in blocks and attachments, a line each.
func (m Message) AllText() string {
	lines := []string{m.Text}
	for _, part := range [][]obj{m.Blocks, m.Attachments} {
		lines = append(lines, texts(part)...)
	}
	return strings.Join(lines, "\n")
}

// BlockText is what stands in blocks and attachments, without the top-level text.
func (m Message) BlockText() string {
	return strings.Join(append(texts(m.Blocks), texts(m.Attachments)...), "\n")
}

// Elements are the interactive elements in order.
func (m Message) Elements() []Element {
	list := elements(m.Blocks)
	for _, a := range m.Attachments {
		list = append(list, elements(objects(a["blocks"]))...)
	}
	return list
}

// Element finds an interactive element by its action_id.
func (m Message) Element(actionID string) (Element, bool) { return findElement(m.Elements(), actionID) }

func findElement(list []Element, actionID string) (Element, bool) {
	i := slices.IndexFunc(list, func(e Element) bool { return e.ActionID == actionID })
	if i < 0 {
		return Element{}, false
	}
	return list[i], true
}

func (m *Message) clone() Message {
	c := *m
	c.Edits = slices.Clone(m.Edits)
	c.Files = slices.Clone(m.Files)
	return c // blocks are replaced as a whole, never written to
}

// find returns a message; mu is held.
func (s *Server) find(channel, ts string) *Message {
	for _, m := range s.messages {
		if m.Channel == channel && m.TS == ts {
			return m
		}
	}
	return nil
}

// PostAs lets a person write into a channel; it is nothing the app may edit.
func (s *Server) PostAs(user, channel, text string) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &Message{Channel: channel, TS: s.ts(), User: user, Text: text, By: "user", At: s.clock.now()}
	s.messages = append(s.messages, m)
	s.touch()
	return m.clone()
}

func (s *Server) messageJSON(m *Message) obj {
	j := obj{"type": "message", "user": m.User, "ts": m.TS, "text": m.Text, "team": s.opt.TeamID}
	if m.User == botUserID {
		j["bot_id"], j["app_id"] = botID, appID
		j["bot_profile"] = obj{"id": botID, "app_id": appID, "name": "Duplibot", "deleted": false, "updated": 0, "team_id": s.opt.TeamID,
			"icons": obj{"image_36": "", "image_48": "", "image_72": ""}}
	}
	if m.Blocks != nil {
		j["blocks"] = m.Blocks
	}
	if m.Attachments != nil {
		j["attachments"] = m.Attachments
	}
	if m.Metadata != nil {
		j["metadata"] = m.Metadata
	}
	if m.ThreadTS != "" {
		j["thread_ts"] = m.ThreadTS
	}
	if n := len(m.Edits); n > 0 {
		j["edited"] = obj{"user": m.User, "ts": fmt.Sprintf("%d.000000", m.Edits[n-1].Until.Unix())}
	}
	return j
}

// objects reads a list of JSON objects out of a decoded value.
func objects(v any) []obj {
	switch list := v.(type) {
	case []obj:
		return list
	case []any:
		var out []obj
		for _, e := range list {
			if o, ok := e.(obj); ok {
				out = append(out, o)
			}
		}
		return out
	}
	return nil
}

// texts collects what a reader sees: every "text" that is a string, and a header's or image's words.
func texts(v any) []string {
	var out []string
	switch v := v.(type) {
	case []obj:
		for _, o := range v {
			out = append(out, texts(o)...)
		}
	case []any:
		for _, o := range v {
			out = append(out, texts(o)...)
		}
	case obj:
		for _, key := range []string{"label", "title", "pretext", "text", "fields", "elements", "element", "accessory", "options", "placeholder",
			"hint", "rows", "blocks", "child_blocks", "alt_text", "footer"} {
			if text, ok := v[key].(string); ok {
				out = append(out, text)
			} else {
				out = append(out, texts(v[key])...)
			}
		}
	}
	return out
}

var interactive = map[string]bool{
	"button": true, "checkboxes": true, "radio_buttons": true, "overflow": true, "datepicker": true, "timepicker": true,
	"datetimepicker": true, "static_select": true, "external_select": true, "users_select": true, "conversations_select": true,
	"channels_select": true, "multi_static_select": true, "multi_external_select": true, "multi_users_select": true,
	"multi_conversations_select": true, "multi_channels_select": true, "plain_text_input": true, "email_text_input": true,
	"url_text_input": true, "number_input": true, "rich_text_input": true, "file_input": true, "workflow_button": true,
}

func elements(blocks []obj) []Element {
	var list []Element
	for _, b := range blocks {
		nested := objects(b["elements"])
		for _, key := range []string{"accessory", "element"} {
			if e, ok := b[key].(obj); ok {
				nested = append(nested, e)
			}
		}
		for _, e := range nested {
			if kind := str(e["type"]); interactive[kind] {
				label, _ := e["text"].(obj)
				list = append(list, Element{BlockID: str(b["block_id"]), ActionID: str(e["action_id"]), Type: kind,
					Label: str(label["text"]), Value: str(e["value"]), Raw: e})
			}
		}
	}
	return list
}

// named returns blocks with the IDs that Slack gives to blocks and elements without one; mu is held.
func (s *Server) named(blocks []obj) []obj {
	for _, b := range blocks {
		if str(b["block_id"]) == "" {
			s.seq++
			b["block_id"] = fmt.Sprintf("b%04x", s.seq)
		}
	}
	for _, e := range elements(blocks) {
		if e.ActionID == "" {
			s.seq++
			e.Raw["action_id"] = fmt.Sprintf("a%04x", s.seq)
		}
	}
	return blocks
}

func str(v any) string {
	text, _ := v.(string)
	return text
}

// decode reads JSON of the app into a fresh value; the caller has validated it.
func decode[T any](text string) T {
	var v T
	_ = json.Unmarshal([]byte(text), &v)
	return v
}
