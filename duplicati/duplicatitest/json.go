package duplicatitest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// object is a JSON object whose members keep their order, as the server's do.
type object []member

type member struct {
	name  string
	value any
}

// with returns o and one more member.
func (o object) with(name string, value any) object { return append(o, member{name, value}) }

// appendJSON writes v as System.Text.Json does: with the relaxed encoder for
// what endpoints return, with the default one, which escapes more, for errors.
func appendJSON(b []byte, v any, relaxed bool) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendString(b, v, relaxed)
	case *string:
		if v == nil {
			return append(b, "null"...)
		}
		return appendString(b, *v, relaxed)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	case json.RawMessage:
		return append(b, v...)
	case object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, m.name, relaxed)
			b = append(b, ':')
			b = appendJSON(b, m.value, relaxed)
		}
		return append(b, '}')
	case []object:
		return appendList(b, v, relaxed)
	case []string:
		return appendList(b, v, relaxed)
	case []int64:
		return appendList(b, v, relaxed)
	case []any:
		return appendList(b, v, relaxed)
	case *jsonValue:
		return appendValue(b, v, relaxed)
	case pairs:
		b = append(b, '{')
		for i, p := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, p.key, relaxed)
			b = append(b, ':')
			b = appendString(b, p.value, relaxed)
		}
		return append(b, '}')
	default:
		panic(fmt.Sprintf("duplicatitest: no JSON form for %T", v))
	}
}

// appendValue writes parsed JSON again.
func appendValue(b []byte, v *jsonValue, relaxed bool) []byte {
	switch v.kind {
	case 'b':
		return strconv.AppendBool(b, v.flag)
	case '0':
		return append(b, v.text...)
	case 's':
		return appendString(b, v.text, relaxed)
	case 'a':
		return appendList(b, append([]*jsonValue{}, v.items...), relaxed)
	case 'o':
		o := object{}
		for _, m := range v.members {
			o = o.with(m.name, m.value)
		}
		return appendJSON(b, o, relaxed)
	}
	return append(b, "null"...)
}

func appendList[T any](b []byte, list []T, relaxed bool) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, v, relaxed)
	}
	return append(b, ']')
}

func appendString(b []byte, s string, relaxed bool) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				b = append(b, `\uFFFD`...)
			case relaxed && r != '\u2028' && r != '\u2029':
				b = append(b, s[i:i+size]...)
			case r > 0xffff:
				r -= 0x10000
				b = fmt.Appendf(b, `\u%04X\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			default:
				b = fmt.Appendf(b, `\u%04X`, r)
			}
			i += size
			continue
		}
		switch {
		case c == '"' && relaxed:
			b = append(b, `\"`...)
		case c == '\\':
			b = append(b, `\\`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c < 0x20 || c == 0x7f,
			!relaxed && (c == '"' || c == '&' || c == '\'' || c == '+' || c == '<' || c == '>' || c == '`'):
			b = fmt.Appendf(b, `\u%04X`, c)
		default:
			b = append(b, c)
		}
		i++
	}
	return append(b, '"')
}

// pairs is a dictionary that keeps the order of its keys, as the server's do.
type pairs []pair

type pair struct{ key, value string }

func (p pairs) get(key string) (string, bool) {
	for _, kv := range p {
		if kv.key == key {
			return kv.value, true
		}
	}
	return "", false
}

// value is get for those to whom absent and empty are the same.
func (p pairs) value(key string) string {
	v, _ := p.get(key)
	return v
}

// set replaces in place or appends.
func (p *pairs) set(key, value string) {
	for i := range *p {
		if (*p)[i].key == key {
			(*p)[i].value = value
			return
		}
	}
	*p = append(*p, pair{key, value})
}

func (p *pairs) remove(key string) {
	for i := range *p {
		if (*p)[i].key == key {
			*p = append((*p)[:i:i], (*p)[i+1:]...)
			return
		}
	}
}
