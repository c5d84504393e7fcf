package tools

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// Registry is the operations there are, in a fixed order.
type Registry struct {
	ops   []*Operation
	index map[string]*Operation
}

// NewRegistry panics when two operations have the same name.
func NewRegistry(ops ...Operation) *Registry {
	r := &Registry{index: map[string]*Operation{}}
	for i := range ops {
		op := &ops[i]
		if r.index[op.Name] != nil {
			panic("tools: two operations named " + op.Name)
		}
		if op.bind == nil {
			panic("tools: an operation was not made by Define")
		}
		r.index[op.Name] = op
		r.ops = append(r.ops, op)
	}
	return r
}

// All lists the operations in the order of their declaration.
func (r *Registry) All() []*Operation { return slices.Clone(r.ops) }

// Lookup finds an operation by name; an unknown one is an error that names
// the near ones.
func (r *Registry) Lookup(name string) (*Operation, error) {
	if op := r.index[name]; op != nil {
		return op, nil
	}
	var names []string
	for _, op := range r.ops {
		names = append(names, op.Name)
	}
	e := Errorf(UnknownOperation, "there is no operation %q; nothing was done", safeName(name))
	if near := nearest(name, names, 3); len(near) > 0 {
		return nil, e.WithHint("did you mean %s?", strings.Join(near, " or "))
	}
	return nil, e.WithHint("there are: %s", strings.Join(names, ", "))
}

// Usage is one line: "run BACKUP [--wait] [--skip-queue] [--server TEXT]", of
// all parameters or of those that a surface has.
func (o *Operation) Usage(on ...Surface) string {
	words := []string{o.Name}
	for _, p := range o.Params {
		if len(on) > 0 && !p.On(on[0]) {
			continue
		}
		word := "--" + p.Flag
		switch {
		case p.Pos:
			word = strings.ToUpper(p.Name)
			if p.Rest {
				word += "…"
			}
		case p.Kind != Bool:
			word += " " + p.placeholder()
		}
		if !p.Required || p.Secret {
			word = "[" + word + "]"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func (p *Param) placeholder() string {
	switch {
	case len(p.Enum) > 0:
		return strings.Join(p.Enum, "|")
	case p.File:
		return "FILE"
	case p.Secret:
		return "REFERENCE"
	case p.Kind == Number:
		return "N"
	default:
		return strings.ToUpper(p.Name)
	}
}

var nameLike = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,39}$`)

// safeName returns name if it looks like one; what was typed in its place may
// be anything, a password too.
func safeName(name string) string {
	if nameLike.MatchString(name) {
		return name
	}
	return "…"
}

// Nearest returns the at most n candidates that are near to what was typed,
// the nearest first.
func Nearest(typed string, candidates []string, n int) []string { return nearest(typed, candidates, n) }

// Between what was typed and the names there are.
const (
	longestTyped = 64
	longestNear  = 256
)

func nearest(typed string, candidates []string, n int) []string {
	type scored struct {
		name  string
		score int
	}
	typed = strings.ToLower(typed)
	if len(typed) > longestTyped {
		return nil
	}
	var near []scored
	for _, c := range candidates {
		// Names come from servers, of any length, and each letter costs.
		if len(c) > longestNear {
			continue
		}
		lower := strings.ToLower(c)
		d := distance(typed, lower)
		if strings.Contains(lower, typed) && len(typed) >= 3 || strings.HasPrefix(lower, typed) && typed != "" {
			d = min(d, 1)
		}
		if d <= max(2, len(lower)/3) {
			near = append(near, scored{c, d})
		}
	}
	sort.SliceStable(near, func(i, j int) bool { return near[i].score < near[j].score })
	var out []string
	for _, s := range near[:min(n, len(near))] {
		out = append(out, s.name)
	}
	return out
}

// distance is the number of single-letter edits between two words, a swap of
// neighbours being one (optimal string alignment).
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	d := make([][]int, len(s)+1)
	for i := range d {
		d[i] = make([]int, len(t)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(s); i++ {
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(s)][len(t)]
}

// String lists the operations' names.
func (r *Registry) String() string { return fmt.Sprintf("%d operations", len(r.ops)) }
