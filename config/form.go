package config

import (
	"regexp"
	"sync"
)

// form is what a word must look like. It is compiled when it is first asked:
// most files need few of them.
type form struct{ get func() *regexp.Regexp }

func newForm(text string) form {
	return form{sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })}
}

func (f form) MatchString(word string) bool { return f.get().MatchString(word) }
