package slacktest

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Rules that look at more than one field. Slack's types cannot hold them, so they are written here from
// the documentation of Block Kit (https://docs.slack.dev/reference/block-kit) and are ours.
const (
	maxMessageBlocks = 50
	maxViewBlocks    = 100
	maxAttachments   = 100
	maxOptions       = 100
	maxMarkdown      = 12_000 // characters of all markdown blocks of one payload
	maxTable         = 10_000 // characters of all cells of a table
	// maxBlocksText is the sum of all texts in blocks beyond which a post is msg_blocks_too_long. Slack
	// does not document it; it was measured in slackapi/bolt-js issue 2509.
	maxBlocksText = 13_200
)

func checkRules(blocks []obj, view bool) *Problem {
	blockIDs := map[string]bool{}
	markdown, tables, focused := 0, 0, 0
	for i, b := range blocks {
		at := fmt.Sprintf("/%d", i)
		if id := str(b["block_id"]); id != "" {
			if blockIDs[id] {
				return ours(at+"/block_id", "%q stands twice", id)
			}
			blockIDs[id] = true
		}
		if p := checkBlock(at, b, view); p != nil {
			return p
		}
		switch b["type"] {
		case "markdown":
			markdown += utf8.RuneCountInString(str(b["text"]))
		case "table":
			tables++
		}
		actionIDs := map[string]bool{} // unique within a block; several blocks may share one
		for _, e := range elements([]obj{b}) {
			if e.ActionID != "" && actionIDs[e.ActionID] {
				return ours(at, "action_id %q stands twice in one block", e.ActionID)
			}
			actionIDs[e.ActionID] = true
			if e.Raw["focus_on_load"] == true {
				focused++
			}
			if p := checkElement(at, e); p != nil {
				return p
			}
		}
	}
	switch {
	case markdown > maxMarkdown:
		return ours("", "%d characters of markdown, over %d", markdown, maxMarkdown)
	case tables > 1:
		return ours("", "more than one table")
	case focused > 1:
		return ours("", "focus_on_load stands more than once")
	}
	return nil
}

func checkBlock(at string, b obj, view bool) *Problem {
	switch kind := str(b["type"]); kind {
	case "section":
		if b["text"] == nil && len(objects(b["fields"])) == 0 {
			return ours(at, "a section needs text or fields")
		}
	case "actions", "context":
		if len(objects(b["elements"])) == 0 {
			return ours(at+"/elements", "must not be empty")
		}
	case "header":
		if t, _ := b["text"].(obj); t["type"] != "plain_text" {
			return ours(at+"/text", "a header is plain_text")
		}
	case "table":
		cells := 0
		for _, line := range texts(b) {
			cells += utf8.RuneCountInString(line)
		}
		if view {
			return ours(at, "a table stands only in messages")
		}
		if cells > maxTable {
			return ours(at, "%d characters in a table, over %d", cells, maxTable)
		}
	case "markdown", "data_table", "task_card", "plan", "context_actions", "card", "carousel", "container":
		if view {
			return ours(at, "a %s stands only in messages", kind)
		}
	case "input":
		if e, _ := b["element"].(obj); !view && contains([]string{"file_input"}, e["type"]) {
			return ours(at, "a file_input stands only in modals")
		}
	}
	return nil
}

func checkElement(at string, e Element) *Problem {
	switch e.Type {
	case "static_select", "multi_static_select", "checkboxes", "radio_buttons", "overflow":
		return checkOptions(at, e.Raw)
	case "button":
		if url := str(e.Raw["url"]); url != "" && !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
			return ours(at, "a button's url is http or https")
		}
	case "plain_text_input":
		low, hasLow := e.Raw["min_length"].(float64)
		high, hasHigh := e.Raw["max_length"].(float64)
		switch {
		case hasHigh && (high < 1 || high > 3000):
			return ours(at, "max_length is 1 to 3000")
		case hasLow && hasHigh && low > high:
			return ours(at, "min_length is over max_length")
		}
	}
	return nil
}

// checkOptions holds for menus and for the answer to a suggestion: options or groups, each option with a
// value of its own, and what is chosen at first among them.
func checkOptions(at string, menu obj) *Problem {
	options, groups := objects(menu["options"]), objects(menu["option_groups"])
	if menu["type"] != nil { // an answer to a suggestion may be empty, a menu may not
		if (len(options) == 0) == (len(groups) == 0) {
			return ours(at, "either options or option_groups, and not empty")
		}
	}
	for _, g := range groups {
		options = append(options, objects(g["options"])...)
	}
	values := map[string]bool{}
	for _, o := range options {
		v := str(o["value"])
		if v == "" && menu["type"] != "overflow" {
			return ours(at, "an option needs a value")
		}
		if values[v] && v != "" {
			return ours(at, "two options have the value %q", v)
		}
		values[v] = true
	}
	for _, o := range initialOptions(Element{Raw: menu}) {
		if !values[str(o["value"])] || !slices.ContainsFunc(options, func(other obj) bool { return sameText(o, other) }) {
			return ours(at, "the initial option %q is not among the options", str(o["value"]))
		}
	}
	return nil
}

func sameText(a, b obj) bool {
	one, _ := a["text"].(obj)
	two, _ := b["text"].(obj)
	return str(one["text"]) == str(two["text"]) && str(a["value"]) == str(b["value"])
}

// textLength is the sum of all texts in blocks.
func textLength(blocks []obj) int {
	n := 0
	for _, t := range texts(blocks) {
		n += utf8.RuneCountInString(t)
	}
	return n
}
