package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Limits of one answer, in bytes: a model's context is what a user pays for.
const (
	resultLimit = 64 << 10 // of structured content
	textLimit   = 8 << 10  // of text
)

// cut says what an answer leaves out.
type cut struct {
	Path  string `json:"path"`
	Shown int    `json:"shown"`
	Total int    `json:"total"`
}

// shorten cuts the longest lists of a JSON value, and then its longest texts,
// until it takes at most limit bytes. Objects keep their fields, so the value
// still has its schema.
func shorten(raw json.RawMessage, path string, limit int) (json.RawMessage, []cut) {
	if len(raw) <= limit {
		return raw, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var root any
	if dec.Decode(&root) != nil {
		return nil, []cut{{Path: path, Total: len(raw)}}
	}
	totals := map[string]int{}
	var order []string
	for len(raw) > limit {
		v := widest(&root, path)
		if v.size == 0 {
			break
		}
		if _, seen := totals[v.path]; !seen {
			totals[v.path] = v.size
			order = append(order, v.path)
		}
		v.halve()
		raw, _ = json.Marshal(root)
	}
	cuts := make([]cut, 0, len(order))
	for _, p := range order {
		cuts = append(cuts, cut{Path: p, Shown: lengthAt(root, path, p), Total: totals[p]})
	}
	return raw, cuts
}

// place is a list or a text inside a JSON value.
type place struct {
	path  string
	size  int // its length in items or bytes; 0 when there is none to cut
	bytes int
	halve func()
}

// widest finds the list of several items that takes most bytes; where there is
// none, the longest text, and at last a list of one.
func widest(root *any, path string) place {
	var list, text, single place
	var walk func(path string, v any, set func(any))
	walk = func(path string, v any, set func(any)) {
		switch v := v.(type) {
		case map[string]any:
			for name, child := range v {
				walk(path+"."+name, child, func(n any) { v[name] = n })
			}
		case []any:
			b, _ := json.Marshal(v)
			at := place{path: path, size: len(v), bytes: len(b), halve: func() { set(v[:len(v)/2]) }}
			switch {
			case len(v) > 1 && (at.bytes > list.bytes || at.bytes == list.bytes && path < list.path):
				list = at
			case len(v) == 1 && at.bytes > single.bytes:
				single = at
			}
			for i, child := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), child, func(n any) { v[i] = n })
			}
		case string:
			if len(v) > 256 && len(v) > text.size {
				text = place{path: path, size: len(v), bytes: len(v), halve: func() { set(string([]rune(v)[:len([]rune(v))/2])) }}
			}
		}
	}
	walk(path, *root, func(n any) { *root = n })
	switch {
	case list.bytes > text.bytes:
		return list
	case text.size > 0:
		return text
	}
	return single
}

// lengthAt is the length that is left of what was cut, 0 when a list around
// it lost it.
func lengthAt(root any, path, want string) int {
	switch v := root.(type) {
	case map[string]any:
		for name, child := range v {
			if n := lengthAt(child, path+"."+name, want); n > 0 {
				return n
			}
		}
	case []any:
		if path == want {
			return len(v)
		}
		for i, child := range v {
			if n := lengthAt(child, fmt.Sprintf("%s[%d]", path, i), want); n > 0 {
				return n
			}
		}
	case string:
		if path == want {
			return len(v)
		}
	}
	return 0
}
