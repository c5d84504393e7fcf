package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// reader fills a struct from a syntax tree. A field's yaml tag is its key,
// with ",keyed=FIELD" for a list that the file writes as a mapping whose keys
// go to FIELD of the elements, and ",keyed=FIELD:OTHER" where the mapping's
// values go to OTHER and not to the element as a whole.
type reader struct {
	findings []Finding
	lines    map[string]int
}

var (
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType = reflect.TypeFor[time.Duration]()
	keyLike      = newForm(`^[A-Za-z][A-Za-z0-9_-]{0,39}$`)
	nameLike     = newForm(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,79}$`)
)

// decode reads text into c and returns what is wrong with it.
func decode(text []byte, c *Config) *reader {
	r := &reader{lines: map[string]int{}}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // which Windows' editors begin a file with
	if at := bytes.IndexByte(text, 0); at >= 0 || !utf8.Valid(text) {
		r.findings = append(r.findings, Finding{Message: "this is not a text in UTF-8", Hint: "save it with that encoding"})
		return r
	}
	// Keys that stand twice are found below, with words of our own.
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.findings = append(r.findings, syntax(err))
		return r
	}
	var docs []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil {
			docs = append(docs, d.Body)
		}
	}
	switch len(docs) {
	case 0:
		r.findings = append(r.findings, Finding{Message: "the file is empty", Hint: "duplibot config example prints one to start from"})
	case 1:
		r.read(docs[0], "", reflect.ValueOf(c).Elem())
	default:
		r.add(docs[1], "", "a second document begins here", "keep everything in one, without a line ---")
	}
	return r
}

// syntax says where a file stops being YAML. The parser's own words quote it.
func syntax(err error) Finding {
	f := Finding{Message: "this is not YAML", Hint: "look for a missing quote, bracket or colon, or a tab in the indentation"}
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		f.Line = at.GetToken().Position.Line
	}
	return f
}

func (r *reader) add(n ast.Node, key, message, hint string) {
	r.findings = append(r.findings, Finding{Line: n.GetToken().Position.Line, Key: key, Message: message, Hint: hint})
}

func (r *reader) read(n ast.Node, key string, into reflect.Value) {
	switch n.(type) {
	case *ast.NullNode:
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		r.add(n, key, "anchors, aliases and tags are not understood here", "write the value out")
		return
	}
	if into.Kind() == reflect.Pointer {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	switch {
	case into.Addr().Type().Implements(textType):
		text, ok := scalar(n)
		if !ok {
			r.add(n, key, "one value is expected here", "")
		} else if err := into.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			r.add(n, key, err.Error(), "")
		}
	case into.Type() == durationType:
		r.duration(n, key, into)
	case into.Kind() == reflect.Struct:
		r.mapping(n, key, into)
	case into.Kind() == reflect.Map:
		r.words(n, key, into)
	case into.Kind() == reflect.Slice:
		r.list(n, key, into)
	default:
		r.plain(n, key, into)
	}
}

// scalar returns the text of a single value.
func scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case ast.ScalarNode:
		return v.GetToken().Value, true
	}
	return colonWord(n)
}

// colonWord reads a word with a colon, such as os:ann. In a list that stands
// within braces the parser takes it for a key with a value, which YAML does
// not: there a blank has to follow the colon.
func colonWord(n ast.Node) (string, bool) {
	m, ok := n.(*ast.MappingNode)
	if !ok || m.IsFlowStyle || len(m.Values) != 1 {
		return "", false
	}
	key, plain := m.Values[0].Key.(*ast.StringNode)
	value, scalar := m.Values[0].Value.(ast.ScalarNode)
	if !plain || !scalar || key.Token.Type != token.StringType {
		return "", false
	}
	k, v := key.Token.Position, value.GetToken().Position
	if v.Line != k.Line || v.Column != k.Column+utf8.RuneCountInString(key.Value)+1 {
		return "", false
	}
	return key.Value + ":" + value.GetToken().Value, true
}

func (r *reader) plain(n ast.Node, key string, into reflect.Value) {
	switch into.Kind() {
	case reflect.String:
		switch v := n.(type) {
		case *ast.StringNode:
			into.SetString(v.Value)
		case *ast.LiteralNode:
			into.SetString(v.Value.Value)
		case ast.ScalarNode:
			r.add(n, key, "a text is expected here", "put it in quotes")
		default:
			text, ok := colonWord(n)
			if !ok {
				r.add(n, key, "a text is expected here", "")
			}
			into.SetString(text)
		}
	case reflect.Bool:
		if v, ok := n.(*ast.BoolNode); ok {
			into.SetBool(v.Value)
			return
		}
		r.add(n, key, "true or false is expected here", "")
	case reflect.Int:
		if text, ok := scalar(n); ok {
			if i, err := strconv.Atoi(text); err == nil {
				into.SetInt(int64(i))
				return
			}
		}
		r.add(n, key, "a whole number is expected here", "")
	default:
		panic("config: a field of kind " + into.Kind().String())
	}
}

func (r *reader) duration(n ast.Node, key string, into reflect.Value) {
	if text, ok := scalar(n); ok {
		if d, err := time.ParseDuration(text); err == nil && d >= 0 {
			into.SetInt(int64(d))
			return
		}
	}
	r.add(n, key, "a time is expected here", "a number with a unit, such as 90s, 10m or 8h")
}

func (r *reader) list(n ast.Node, key string, into reflect.Value) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.add(n, key, "a list is expected here", "in brackets, such as [one, two]")
		return
	}
	for i, item := range seq.Values {
		at := fmt.Sprintf("%s[%d]", key, i)
		r.lines[at] = item.GetToken().Position.Line
		v := reflect.New(into.Type().Elem()).Elem()
		if _, empty := item.(*ast.NullNode); empty {
			r.add(item, at, "this entry is empty", "")
			continue
		}
		r.read(item, at, v)
		into.Set(reflect.Append(into, v))
	}
}

// words reads a mapping of words to words.
func (r *reader) words(n ast.Node, key string, into reflect.Value) {
	into.Set(reflect.MakeMap(into.Type()))
	r.each(n, key, func(name, at string, _, value ast.Node) {
		v := reflect.New(into.Type().Elem()).Elem()
		r.read(value, at, v)
		into.SetMapIndex(reflect.ValueOf(name), v)
	})
}

// mapping reads a struct.
func (r *reader) mapping(n ast.Node, key string, into reflect.Value) {
	fields, keyed := map[string]reflect.Value{}, map[string]string{}
	var known []string
	for i := range into.NumField() {
		name, option, _ := strings.Cut(into.Type().Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		fields[name] = into.Field(i)
		keyed[name] = strings.TrimPrefix(option, "keyed=")
		known = append(known, name)
	}
	r.each(n, key, func(name, at string, k, value ast.Node) {
		field, ok := fields[name]
		switch {
		case !ok:
			r.unknown(k, key, name, known)
		case keyed[name] != "":
			r.table(value, at, field, keyed[name])
		default:
			r.read(value, at, field)
		}
	})
}

// table reads a mapping into a list whose elements know their key.
func (r *reader) table(n ast.Node, key string, into reflect.Value, how string) {
	if _, empty := n.(*ast.NullNode); empty {
		return
	}
	nameField, valueField, _ := strings.Cut(how, ":")
	r.each(n, key, func(name, at string, _, value ast.Node) {
		v := reflect.New(into.Type().Elem()).Elem()
		v.FieldByName(nameField).SetString(name)
		if valueField == "" {
			r.read(value, at, v)
		} else {
			r.read(value, at, v.FieldByName(valueField))
		}
		into.Set(reflect.Append(into, v))
	})
}

// each calls f for the entries of a mapping, and finds keys that stand twice.
func (r *reader) each(n ast.Node, key string, f func(name, at string, k, value ast.Node)) {
	var entries []*ast.MappingValueNode
	switch v := n.(type) {
	case *ast.MappingNode:
		entries = v.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{v}
	default:
		r.add(n, key, "keys with values are expected here", "")
		return
	}
	seen := map[string]int{}
	for _, e := range entries {
		name, ok := scalar(e.Key)
		if _, merge := e.Key.(*ast.MergeKeyNode); merge || !ok {
			r.add(e.Key, key, "a plain key is expected here", "")
			continue
		}
		at := join(key, name)
		line := e.Key.GetToken().Position.Line
		if first, twice := seen[name]; twice {
			r.add(e.Key, at, fmt.Sprintf("this key stands twice, first in line %d", first), "")
			continue
		}
		seen[name], r.lines[at] = line, line
		f(name, at, e.Key, e.Value)
	}
}

func (r *reader) unknown(k ast.Node, key, name string, known []string) {
	message := "there is no such key"
	if keyLike.MatchString(name) {
		message = fmt.Sprintf("there is no key %q", name)
	}
	hint := "known are " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	if n := near(name, known); n != "" {
		hint = "did you mean " + n + "?"
	}
	r.add(k, key, message, hint)
}

// join appends a key. One that does not look like one is not repeated: it may
// be an address with a password in it.
func join(key, name string) string {
	if !nameLike.MatchString(name) {
		name = "…"
	}
	if key == "" {
		return name
	}
	return key + "." + name
}
