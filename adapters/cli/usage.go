package cli

import (
	"regexp"
	"strings"
)

// syntax is what the usage of a command says can stand where.
type syntax struct {
	words   []string // of which one stands first: "create", "list"
	behind  []place  // what stands behind such a word: "FILE"
	options []place  // and behind an option: "FOLDER", or words to choose from; none for a switch
}

// place is what can stand behind a name.
type place struct {
	name  string
	kinds []string
}

func find(places []place, name string) (kinds []string) {
	for _, p := range places {
		if p.name == name {
			kinds = p.kinds
		}
	}
	return kinds
}

var plainWord = regexp.MustCompile(`^[a-z][a-z-]*$`)

// readUsage reads a usage such as "make [--to FILE] --as one|other | list".
func readUsage(text string) syntax {
	s := syntax{}
	first, word, option := true, "", false
	for _, token := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '[' || r == ']' }) {
		parts := strings.Split(token, "|")
		switch {
		case token == "|":
			first, word, option = true, "", false
			continue
		case strings.HasPrefix(token, "--"):
			for _, p := range parts {
				s.options = append(s.options, place{name: p[2:]})
			}
			option = true
		case option:
			s.options[len(s.options)-1].kinds, option = parts, false
		case first && plainWord.MatchString(parts[0]):
			s.words, word = append(s.words, parts...), token
		case word != "":
			s.behind = append(s.behind, place{word, parts})
			word = ""
		}
		first = false
	}
	return s
}

// given are the words of a command line that are no options.
func (s syntax) given(rest []string) (words []string) {
	for i := 0; i < len(rest); i++ {
		name, is := strings.CutPrefix(rest[i], "--")
		if !is {
			words = append(words, rest[i])
		} else if len(find(s.options, name)) > 0 {
			i++
		}
	}
	return words
}
