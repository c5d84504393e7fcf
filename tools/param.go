package tools

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// Kind is what a parameter's value is.
type Kind string

const (
	Text   Kind = "text"
	Bool   Kind = "bool"
	Number Kind = "number"
	List   Kind = "list"
)

// Param is one parameter as adapters see it, from a field of the input
// struct: its json name, its jsonschema words and its tool tag, a comma list
// of
//
//	pos            given by position, in field order
//	rest           takes all that is left (the last pos, a list)
//	cli            exists at the terminal only
//	path           a place on the terminal's own disk; made absolute there
//	here           left out, a path is the terminal's current folder
//	new            a secret that begins to count with this call: typed twice
//	target         names what the plan is about: however it is named, a call on
//	               the same thing is the same call
//	complete=NAME  values come from the completion NAME
type Param struct {
	Name     string // as in JSON and MCP: "delete_remote_files"
	Flag     string // as at the terminal and in Slack: "delete-remote-files"
	Help     string
	Kind     Kind
	Enum     []string
	Required bool
	Pos      bool
	Rest     bool
	Secret   bool // a Secret or a File
	File     bool
	Path     bool // the terminal makes it absolute
	Here     bool // and takes its current folder when it is left out
	New      bool // a Secret that is chosen now, so whoever types it types it twice
	Target   bool // names what the plan is about
	Complete string

	only []Surface
}

// On reports whether the parameter exists on surface.
func (p Param) On(surface Surface) bool {
	return len(p.only) == 0 || slices.Contains(p.only, surface)
}

// Valuer is a named string type that knows all its values.
type Valuer interface{ Values() []string }

var (
	secretType = reflect.TypeFor[Secret]()
	fileType   = reflect.TypeFor[File]()
	valuerType = reflect.TypeFor[Valuer]()
)

// schemaOf infers a schema and mends what inference makes of Go: slices are
// never null, and an enum is the type's Values.
func schemaOf(t reflect.Type) (*jsonschema.Schema, error) {
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{})
	if err != nil {
		return nil, err
	}
	mend(s, t)
	return s, nil
}

func mend(s *jsonschema.Schema, t reflect.Type) {
	if s == nil {
		return
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(s.Types) == 2 && slices.Contains(s.Types, "null") && t.Kind() != reflect.Interface {
		i := slices.Index(s.Types, "null")
		s.Type, s.Types = s.Types[1-i], nil
	}
	if t.Implements(valuerType) {
		for _, v := range reflect.Zero(t).Interface().(Valuer).Values() {
			s.Enum = append(s.Enum, v)
		}
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		mend(s.Items, t.Elem())
	case reflect.Map:
		mend(s.AdditionalProperties, t.Elem())
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(t) {
			if name := jsonName(f); name != "" {
				mend(s.Properties[name], f.Type)
			}
		}
	}
}

func jsonName(f reflect.StructField) string {
	if f.Anonymous || !f.IsExported() {
		return ""
	}
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" {
		return ""
	}
	return name
}

func paramsOf(t reflect.Type, s *jsonschema.Schema) ([]Param, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct", t)
	}
	var params []Param
	for _, f := range reflect.VisibleFields(t) {
		name := jsonName(f)
		if f.Anonymous {
			continue
		}
		if name == "" {
			return nil, fmt.Errorf("field %s needs a json name", f.Name)
		}
		prop := s.Properties[name]
		if prop == nil || prop.Description == "" {
			return nil, fmt.Errorf("parameter %s needs a description in its jsonschema tag", name)
		}
		p := Param{
			Name: name, Flag: strings.ReplaceAll(name, "_", "-"), Help: prop.Description,
			Required: slices.Contains(s.Required, name),
		}
		switch ft := f.Type; {
		case ft == secretType:
			p.Kind, p.Secret = Text, true
		case ft == fileType:
			p.Kind, p.Secret, p.File = Text, true, true
		case ft.Kind() == reflect.String:
			p.Kind = Text
		case ft.Kind() == reflect.Bool:
			p.Kind = Bool
		case ft.Kind() == reflect.Int || ft.Kind() == reflect.Int64:
			p.Kind = Number
		case ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.String:
			p.Kind = List
		default:
			return nil, fmt.Errorf("parameter %s has the type %s; known are string, bool, int, []string, Secret, File", name, ft)
		}
		for _, v := range prop.Enum {
			p.Enum = append(p.Enum, fmt.Sprint(v))
		}
		for word := range strings.SplitSeq(f.Tag.Get("tool"), ",") {
			switch key, value, _ := strings.Cut(word, "="); key {
			case "":
			case "pos":
				p.Pos = true
			case "rest":
				p.Pos, p.Rest = true, true
			case "cli":
				p.only = []Surface{CLI}
			case "path":
				p.Path, p.only = true, []Surface{CLI}
			case "here":
				p.Here = true
			case "new":
				p.New = true
			case "target":
				p.Target = true
			case "complete":
				p.Complete = value
			default:
				return nil, fmt.Errorf("parameter %s: unknown word %q in the tool tag", name, word)
			}
		}
		if p.Here && !p.Path || p.New && (!p.Secret || p.File) {
			return nil, fmt.Errorf("parameter %s: here goes with path, and new with a Secret", name)
		}
		if p.Target && p.Kind != Text && p.Kind != List {
			return nil, fmt.Errorf("parameter %s: target needs a name", name)
		}
		if p.Rest && p.Kind != List {
			return nil, fmt.Errorf("parameter %s: rest needs a list", name)
		}
		params = append(params, p)
	}
	return params, nil
}

// check refuses unknown and ill-typed arguments, naming the known ones and no
// value, and returns the rest, each of its parameter's own kind. It accepts
// "42" for a number and "true" for a bool, as models and shells write them.
func (o *Operation) check(args map[string]any) (clean map[string]any, err error) {
	clean = map[string]any{}
	var unknown []string
	for name, value := range args {
		p := o.param(name)
		if p == nil {
			unknown = append(unknown, name)
			continue
		}
		if value == nil {
			continue
		}
		v, err := p.coerce(value)
		if err != nil {
			return nil, err
		}
		clean[name] = v
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return nil, o.unknownArgument(unknown[0], CLI)
	}
	for _, p := range o.Params {
		if _, given := clean[p.Name]; p.Required && !given && !p.Secret {
			return nil, Errorf(InvalidArgument, "%s needs %s: %s; nothing was done", o.Name, p.Name, p.Help).
				WithHint("%s", o.Usage())
		}
		// A required secret may come later, by a page or the terminal.
		if _, given := clean[p.Name]; p.Required && !given && p.Secret {
			clean[p.Name] = ""
		}
	}
	return clean, nil
}

// foreign refuses arguments that do not exist on a surface, such as a folder
// that only a terminal may name.
func (o *Operation) foreign(args map[string]any, on Surface) error {
	for _, name := range slices.Sorted(maps.Keys(args)) {
		if p := o.param(name); args[name] != nil && (p == nil || !p.On(on)) {
			return o.unknownArgument(name, on)
		}
	}
	return nil
}

// unknownArgument names the known parameters. The name that was typed is
// repeated only where it looks like a name.
func (o *Operation) unknownArgument(name string, on Surface) *Error {
	var known []string
	for _, p := range o.Params {
		if p.On(on) {
			known = append(known, p.Name)
		}
	}
	e := Errorf(InvalidArgument, "%s has no argument %q; nothing was done", o.Name, safeName(name))
	if near := nearest(name, known, 1); len(near) > 0 {
		return e.WithHint("did you mean %s? Known are: %s", near[0], strings.Join(known, ", "))
	}
	return e.WithHint("known are: %s", strings.Join(known, ", "))
}

// What an argument can hold: it is stored, recorded and shown.
const (
	longestText = 4096 // bytes
	longestList = 256
)

func (p *Param) coerce(value any) (any, error) {
	wrong := func(want string) error {
		return Errorf(InvalidArgument, "%s must be %s; nothing was done", p.Name, want)
	}
	switch p.Kind {
	case Bool:
		switch v := value.(type) {
		case bool:
			return v, nil
		case string:
			if v == "true" || v == "false" {
				return v == "true", nil
			}
		}
		return nil, wrong("true or false")
	case Number:
		switch v := value.(type) {
		case float64:
			if v == float64(int64(v)) {
				return int64(v), nil
			}
		case int:
			return int64(v), nil
		case int64:
			return v, nil
		case json.Number:
			if n, err := v.Int64(); err == nil {
				return n, nil
			}
		case string:
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				return n, nil
			}
		}
		return nil, wrong("a whole number")
	case List:
		var list []string
		switch v := value.(type) {
		case string:
			list = []string{v}
		case []string:
			list = v
		case []any:
			list = make([]string, len(v))
			for i, item := range v {
				text, ok := item.(string)
				if !ok {
					return nil, wrong("a list of texts")
				}
				list[i] = text
			}
		default:
			return nil, wrong("a list of texts")
		}
		if len(list) > longestList || slices.ContainsFunc(list, func(text string) bool { return len(text) > longestText }) {
			return nil, wrong(fmt.Sprintf("at most %d texts of at most %d bytes", longestList, longestText))
		}
		return list, nil
	default:
		var text string
		switch v := value.(type) {
		case string:
			text = v
		case float64:
			text = strconv.FormatFloat(v, 'f', -1, 64)
		case json.Number:
			text = v.String()
		case int, int64:
			text = fmt.Sprint(v)
		default:
			return nil, wrong("a text")
		}
		if len(text) > longestText {
			return nil, wrong(fmt.Sprintf("at most %d bytes long", longestText))
		}
		if len(p.Enum) > 0 && !slices.Contains(p.Enum, text) {
			return nil, wrong("one of " + strings.Join(p.Enum, ", "))
		}
		return text, nil
	}
}

// secretsIn returns the Secret and File parameters of arguments that were
// checked.
func (o *Operation) secretsIn(args map[string]any) map[string]string {
	given := map[string]string{}
	for _, p := range o.Params {
		if text, ok := args[p.Name].(string); ok && p.Secret {
			given[p.Name] = text
		}
	}
	return given
}

// needed names the Secret and File parameters that are to come from a page:
// required and absent ones, and those that say so.
func (o *Operation) needed(args map[string]any) []string {
	var names []string
	for _, p := range o.Params {
		if !p.Secret {
			continue
		}
		text, _ := args[p.Name].(string)
		if text == string(SecretPage) || p.Required && text == "" {
			names = append(names, p.Name)
		}
	}
	return names
}

// paramNames lists the names of given arguments that are known parameters, in
// order: what the audit log may hold of a refused call.
func (o *Operation) paramNames(args map[string]any) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(args)) {
		if o.param(name) != nil {
			names = append(names, name)
		} else {
			names = append(names, "(unknown)")
		}
	}
	return names
}
