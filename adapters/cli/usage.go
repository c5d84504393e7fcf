package cli

import (
	"regexp"
	"strings"
)

// syntax is what the usage of a command says can stand where.
type syntax struct {
	words   []string            // of which one stands first: "create", "list"
	behind  map[string]string   // what stands behind such a word: "FILE"
	options map[string][]string // what stands behind an option: "FOLDER", or words to choose from; none for a switch
}

var plainWord = regexp.MustCompile(`^[a-z][a-z-]*$`)

// readUsage reads a usage such as "make [--to FILE] --as one|other | list".
func readUsage(text string) syntax {
	s := syntax{behind: map[string]string{}, options: map[string][]string{}}
	first, word, option := true, "", ""
	for token := range strings.FieldsSeq(strings.NewReplacer("[", " ", "]", " ").Replace(text)) {
		parts := strings.Split(token, "|")
		switch {
		case token == "|":
			first, word, option = true, "", ""
			continue
		case strings.HasPrefix(token, "--"):
			option = ""
			for _, p := range parts {
				s.options[p[2:]], option = nil, p[2:]
			}
		case option != "":
			s.options[option], option = parts, ""
		case first && plainWord.MatchString(parts[0]):
			s.words, word = append(s.words, parts...), token
		case word != "" && s.behind[word] == "":
			s.behind[word] = token
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
		} else if len(s.options[name]) > 0 {
			i++
		}
	}
	return words
}
