package web

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestNoWordOfAPageIsMarkup puts the same hostile words wherever a page has
// words, and looks whether they come out as text and nothing else.
func TestNoWordOfAPageIsMarkup(t *testing.T) {
	const hostile = `x"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;`
	const text = `x&#34;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&amp;amp;`
	v := view{
		Facts: []fact{{}, {Time: time.Now()}}, Choice: []choice{{}},
		Form: &form{Fields: []field{{}, {File: true}}},
	}
	words := fill(reflect.ValueOf(&v).Elem(), hostile)
	var b strings.Builder
	if err := v.html().Render(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if n := strings.Count(page, text); n < words {
		t.Errorf("%d words came out as text %d times", words, n)
	}
	if rest := strings.ReplaceAll(page, text, ""); strings.Contains(rest, "alert(1)") || strings.Contains(rest, "onerror") {
		t.Errorf("markup came out of words: %s", rest)
	}
}

// fill writes words into every text below v and counts them.
func fill(v reflect.Value, words string) (n int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(words)
		return 1
	case reflect.Pointer:
		return fill(v.Elem(), words)
	case reflect.Slice:
		for i := range v.Len() {
			n += fill(v.Index(i), words)
		}
	case reflect.Struct:
		if _, isTime := v.Interface().(time.Time); isTime {
			return 0
		}
		for i := range v.NumField() {
			n += fill(v.Field(i), words)
		}
	}
	return n
}
