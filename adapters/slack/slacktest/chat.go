package slacktest

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of message text. A post is cut at 40,000; an edit over 4,000 is refused.
// https://docs.slack.dev/reference/methods/chat.update
const (
	maxPostText   = 40_000
	maxUpdateText = 4_000
)

// content is what a post, an edit, a response or an ack wants to say.
type content struct {
	text        string
	blocks      []obj
	attachments []obj
	metadata    obj
	has         struct{ text, blocks, attachments, metadata bool }
}

// readContent decodes and validates; mu is held. where names the call in violations.
func (s *Server) readContent(where string, a args) (content, *apiError) {
	var c content
	c.text = a["text"]
	_, c.has.text = a["text"]
	list := func(name string, into *[]obj, has *bool) *apiError {
		raw, given := a[name]
		if !given || raw == "" {
			return nil
		}
		*has = true
		v := decode[any](raw)
		if _, ok := v.([]any); !ok {
			s.violate("%s: %s is no JSON array", where, name)
			return refuse("invalid_" + name + "_format")
		}
		*into = objects(v)
		return nil
	}
	if bad := list("blocks", &c.blocks, &c.has.blocks); bad != nil {
		return c, bad
	}
	if bad := list("attachments", &c.attachments, &c.has.attachments); bad != nil {
		return c, bad
	}
	if raw := a["metadata"]; raw != "" {
		c.has.metadata = true
		c.metadata = decode[obj](raw)
		if c.metadata == nil {
			return c, refuse("invalid_metadata_format")
		}
	}
	if err := validateContent(a); err != nil {
		s.violate("%s: %v", where, err)
		return c, err.refusal("invalid_blocks")
	}
	if c.has.blocks && strings.TrimSpace(c.text) == "" {
		s.violate("%s: ours: blocks without a top-level text, which is all that a screen reader and a notification have", where)
	}
	if total := textLength(c.blocks); total > maxBlocksText {
		s.violate("%s: %d characters in blocks", where, total)
		return c, refuse("msg_blocks_too_long")
	}
	s.named(c.blocks)
	for _, att := range c.attachments {
		s.named(objects(att["blocks"]))
	}
	return c, nil
}

func (c content) empty() bool {
	return c.text == "" && len(c.blocks) == 0 && len(c.attachments) == 0
}

// target finds the channel to post in; mu is held.
func (s *Server) target(id string) (*Channel, *apiError) {
	if u, ok := s.users[id]; ok {
		if u.Deleted || u.ID == botUserID {
			return nil, refuse("channel_not_found")
		}
		return s.openDM(id), nil
	}
	c, ok := s.channels[id]
	switch {
	case !ok || !c.visible():
		return nil, refuse("channel_not_found")
	case c.Archived:
		return nil, refuse("is_archived")
	case !c.has(botUserID) && s.needScope("chat:write.public") != nil:
		return nil, refuse("not_in_channel")
	}
	return c, nil
}

func (s *Server) chatPostMessage(a args) (obj, *apiError) {
	c, bad := s.target(a["channel"])
	if bad != nil {
		return nil, bad
	}
	if a["username"] != "" || a["icon_emoji"] != "" || a["icon_url"] != "" {
		if bad := s.needScope("chat:write.customize"); bad != nil {
			return nil, bad
		}
	}
	says, bad := s.readContent("chat.postMessage", a)
	if bad != nil {
		return nil, bad
	}
	if says.empty() {
		return nil, refuse("no_text")
	}
	if parent := a["thread_ts"]; parent != "" {
		if m := s.find(c.ID, parent); m == nil || m.EphemeralTo != "" || m.Deleted {
			s.violate("chat.postMessage: ours: thread_ts %s is no message of %s", parent, c.ID)
			return nil, refuse("thread_not_found")
		}
	}
	m := s.post("chat.postMessage", c.ID, says)
	m.ThreadTS = a["thread_ts"]
	m.Broadcast = m.ThreadTS != "" && a["reply_broadcast"] == "true"
	return obj{"channel": c.ID, "ts": m.TS, "message": s.messageJSON(m)}, nil
}

// post adds a message of the app; mu is held.
func (s *Server) post(by, channel string, says content) *Message {
	if utf8.RuneCountInString(says.text) > maxPostText {
		s.violate("%s: the text has over %d characters and is cut", by, maxPostText)
		says.text = string([]rune(says.text)[:maxPostText])
	}
	m := &Message{Channel: channel, TS: s.ts(), User: botUserID, Text: says.text, Blocks: says.blocks,
		Attachments: says.attachments, Metadata: says.metadata, By: by, At: s.clock.now()}
	s.messages = append(s.messages, m)
	return m
}

func (s *Server) chatPostEphemeral(a args) (obj, *apiError) {
	c, bad := s.target(a["channel"])
	if bad != nil {
		return nil, bad
	}
	u, ok := s.users[a["user"]]
	if !ok || u.Deleted || !c.has(u.ID) {
		return nil, refuse("user_not_in_channel")
	}
	says, bad := s.readContent("chat.postEphemeral", a)
	if bad != nil {
		return nil, bad
	}
	if says.empty() {
		return nil, refuse("no_text")
	}
	m := s.post("chat.postEphemeral", c.ID, says)
	m.EphemeralTo = u.ID
	return obj{"message_ts": m.TS}, nil
}

// own finds a message that the app may edit or delete; mu is held.
func (s *Server) own(a args, refusal string) (*Message, *apiError) {
	c, ok := s.channels[a["channel"]] // a user ID is no channel here, unlike in chat.postMessage
	if !ok || !c.visible() {
		return nil, refuse("channel_not_found")
	}
	m := s.find(c.ID, a["ts"])
	switch {
	case m == nil || m.Deleted || m.EphemeralTo != "":
		return nil, refuse("message_not_found")
	case m.User != botUserID:
		return nil, refuse(refusal)
	}
	return m, nil
}

func (s *Server) chatUpdate(a args) (obj, *apiError) {
	m, bad := s.own(a, "cant_update_message")
	if bad != nil {
		return nil, bad
	}
	if n := utf8.RuneCountInString(a["text"]); n > maxUpdateText {
		s.violate("chat.update: the text has %d characters, over %d", n, maxUpdateText)
		return nil, refuse("msg_too_long")
	}
	says, bad := s.readContent("chat.update", a)
	if bad != nil {
		return nil, bad
	}
	if says.empty() {
		return nil, refuse("no_text")
	}
	s.edit(m, says)
	return obj{"channel": m.Channel, "ts": m.TS, "text": m.Text, "message": s.messageJSON(m)}, nil
}

// edit replaces what a message says; text without blocks removes the blocks, blocks alone leave the
// text; mu is held.
func (s *Server) edit(m *Message, says content) {
	m.Edits = append(m.Edits, Edit{Text: m.Text, Blocks: m.Blocks, Until: s.clock.now()})
	if says.has.text {
		m.Text = says.text
	}
	if says.has.text || says.has.blocks {
		m.Blocks = says.blocks
	}
	if says.has.text || says.has.attachments {
		m.Attachments = says.attachments
	}
	if says.has.metadata {
		m.Metadata = says.metadata
	}
}

func (s *Server) chatDelete(a args) (obj, *apiError) {
	m, bad := s.own(a, "cant_delete_message")
	if bad != nil {
		return nil, bad
	}
	m.Deleted = true
	return obj{"channel": m.Channel, "ts": m.TS}, nil
}

func (s *Server) chatGetPermalink(a args) (obj, *apiError) {
	c, ok := s.channels[a["channel"]]
	if !ok || !c.visible() {
		return nil, refuse("channel_not_found")
	}
	m := s.find(c.ID, a["message_ts"])
	if m == nil || m.EphemeralTo != "" || m.Deleted {
		return nil, refuse("message_not_found")
	}
	return obj{"channel": c.ID, "permalink": fmt.Sprintf("https://%s.slack.com/archives/%s/p%s", teamDomain, c.ID, strings.ReplaceAll(m.TS, ".", ""))}, nil
}

// sortedMembers is a stable order for paging; mu is held.
func sortedMembers(c *Channel) []string { return slices.Sorted(slices.Values(c.Members)) }
