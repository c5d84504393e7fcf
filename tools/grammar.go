package tools

import (
	"strings"
	"unicode"
)

// Split cuts a line into words as a shell does: blanks separate, quotes of
// either kind and the typographic ones that phones insert keep together, a
// backslash takes the next letter as it is. A quote left open is an error.
func Split(line string) ([]string, error) {
	var (
		words []string
		word  strings.Builder
		open  rune
		in    bool
	)
	closing := map[rune]rune{'"': '"', '\'': '\'', '“': '”', '„': '“', '‘': '’', '«': '»'}
	escaped := false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped, in = false, true
		case r == '\\' && open != '\'':
			escaped = true
		case open != 0:
			if r == open || open == '”' && r == '"' {
				open = 0
			} else {
				word.WriteRune(r)
			}
		case closing[r] != 0 && (!in || r == '"' || r == '\''):
			open, in = closing[r], true
		case unicode.IsSpace(r):
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if open != 0 || escaped {
		return nil, Errorf(InvalidArgument, "a quote is opened and not closed; nothing was done")
	}
	if in {
		words = append(words, word.String())
	}
	return words, nil
}

// ParseArgs reads an operation's arguments in the one grammar of the terminal
// and of slash commands: values by position, then or between them
// --flag value, --flag=value, and --flag or --no-flag for a bool. "--" ends
// the flags. A dash that a phone has made long counts as two.
func (o *Operation) ParseArgs(words []string, surface Surface) (map[string]any, error) {
	args := map[string]any{}
	var byPosition []Param
	for _, p := range o.Params {
		if p.Pos && p.On(surface) {
			byPosition = append(byPosition, p)
		}
	}
	flags := true
	for i := 0; i < len(words); i++ {
		word := words[i]
		if strings.HasPrefix(word, "—") {
			word = "--" + strings.TrimPrefix(word, "—")
		}
		if flags && word == "--" {
			flags = false
			continue
		}
		if !flags || !strings.HasPrefix(word, "--") {
			if len(byPosition) == 0 {
				return nil, Errorf(InvalidArgument, "%s takes no further word by position; nothing was done", o.Name).
					WithHint("usage: %s. A name with blanks goes in quotes", o.Usage())
			}
			p := byPosition[0]
			if p.Rest {
				list, _ := args[p.Name].([]string)
				args[p.Name] = append(list, words[i])
			} else {
				args[p.Name] = words[i]
				byPosition = byPosition[1:]
			}
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		p, off := o.flag(name, surface)
		if p == nil {
			return nil, o.unknownFlag(name, surface)
		}
		if _, twice := args[p.Name]; twice && p.Kind != List {
			return nil, Errorf(InvalidArgument, "--%s is given twice; nothing was done", p.Flag)
		}
		switch {
		case p.Kind == Bool:
			if !hasValue {
				value = "true"
				// ServerUtil takes the value as a word of its own.
				if i+1 < len(words) && (words[i+1] == "true" || words[i+1] == "false") {
					value = words[i+1]
					i++
				}
			}
			if off {
				if hasValue {
					return nil, Errorf(InvalidArgument, "--no-%s takes no value; nothing was done", p.Flag)
				}
				value = "false"
			}
			v, err := p.coerce(value)
			if err != nil {
				return nil, err
			}
			args[p.Name] = v
		case !hasValue && i+1 >= len(words):
			return nil, Errorf(InvalidArgument, "--%s needs a value; nothing was done", p.Flag).WithHint("usage: %s", o.Usage())
		default:
			if !hasValue {
				i++
				value = words[i]
			}
			if p.Kind == List {
				list, _ := args[p.Name].([]string)
				args[p.Name] = append(list, value)
			} else {
				args[p.Name] = value
			}
		}
	}
	return args, nil
}

func (o *Operation) flag(name string, surface Surface) (p *Param, off bool) {
	for i := range o.Params {
		p := &o.Params[i]
		if !p.On(surface) {
			continue
		}
		if name == p.Flag || name == p.Name {
			return p, false
		}
		if p.Kind == Bool && name == "no-"+p.Flag {
			return p, true
		}
	}
	return nil, false
}

func (o *Operation) unknownFlag(name string, surface Surface) *Error {
	var known []string
	for _, p := range o.Params {
		if p.On(surface) {
			known = append(known, "--"+p.Flag)
		}
	}
	e := Errorf(InvalidArgument, "%s has no option --%s; nothing was done", o.Name, safeName(name))
	if near := nearest("--"+name, known, 1); len(near) > 0 {
		return e.WithHint("did you mean %s? Known are: %s", near[0], strings.Join(known, ", "))
	}
	return e.WithHint("known are: %s", strings.Join(known, ", "))
}
