package duplicatitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// errBind is a request that the framework refuses before the endpoint sees
// it: 400 with an empty body.
var errBind = errors.New("binding failure")

// query holds a request's query values under lower-case names; several values
// of one name are joined by commas, as ASP.NET Core does for a plain parameter.
type query map[string]string

func parseQuery(raw string) query {
	q := query{}
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, value = strings.ToLower(unescapeQuery(name)), unescapeQuery(value)
		if old, ok := q[name]; ok {
			value = old + "," + value
		}
		q[name] = value
	}
	return q
}

// unescapeQuery leaves a broken escape as it stands.
func unescapeQuery(s string) string {
	return unescape(strings.ReplaceAll(s, "+", " "))
}

func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func (q query) text(name string) string { return q[name] }

func (q query) has(name string) bool { _, ok := q[name]; return ok }

// flag reads an optional bool: true or false in any case, blanks around it
// ignored, and nothing else.
func (q query) flag(name string) (bool, error) {
	v, ok := q[name]
	if !ok {
		return false, nil
	}
	switch strings.ToLower(strings.TrimSpace(v)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errBind
}

// long reads an optional 64-bit integer.
func (q query) long(name string) (n int64, given bool, err error) {
	v, ok := q[name]
	if !ok {
		return 0, false, nil
	}
	n, err = parseLong(v)
	return n, true, err
}

func parseLong(v string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if err != nil || strings.Contains(v, "_") {
		return 0, errBind
	}
	return n, nil
}

// pageSize reads "pagesize": 100 when absent, else within its bounds.
func (q query) pageSize(least, most int64) (int64, error) {
	n, given, err := q.long("pagesize")
	if err != nil || !given {
		return 100, err
	}
	return min(max(n, least), most), nil
}

// isJSON is what routing lets through: application/json with any parameters.
// A type with a suffix, such as application/problem+json, is not one.
func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return (err == nil || errors.Is(err, mime.ErrInvalidMediaParameter)) && t == "application/json"
}

// errCharset is a character set that the server does not know: an exception
// that nothing expects.
var errCharset = &crash{"System.InvalidOperationException", "Unable to read the request as JSON because the request content type charset is not a known encoding."}

// decodeCharset turns a body into UTF-8.
func decodeCharset(raw []byte, contentType string) ([]byte, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return raw, nil
	}
	switch name := strings.Trim(strings.ToLower(params["charset"]), `"`); name {
	case "", "utf-8", "us-ascii":
		return raw, nil
	case "utf-16", "utf-16le", "utf-16be", "unicode":
		if len(raw)%2 != 0 {
			return nil, errBind
		}
		units := make([]uint16, len(raw)/2)
		for i := range units {
			lo, hi := raw[2*i], raw[2*i+1]
			if name == "utf-16be" {
				lo, hi = hi, lo
			}
			units[i] = uint16(lo) | uint16(hi)<<8
		}
		return []byte(string(utf16.Decode(units))), nil
	case "iso-8859-1", "latin1":
		runes := make([]rune, len(raw))
		for i, c := range raw {
			runes[i] = rune(c)
		}
		return []byte(string(runes)), nil
	}
	return nil, errCharset
}

// loneSurrogate finds an escaped half of a character that has no other half.
func loneSurrogate(raw []byte) bool {
	for i := 0; i+6 <= len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		unit, ok := escapedUnit(raw[i:])
		switch {
		case !ok:
			i++
		case unit >= 0xdc00 && unit < 0xe000:
			return true
		case unit >= 0xd800 && unit < 0xdc00:
			next, ok := escapedUnit(raw[i+6:])
			if !ok || next < 0xdc00 || next >= 0xe000 {
				return true
			}
			i += 11
		}
	}
	return false
}

func escapedUnit(raw []byte) (uint64, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return n, err == nil
}

// hasBody reports what Kestrel knows before reading: a length, or chunks.
func hasBody(r *http.Request) bool {
	return r.ContentLength > 0 || r.ContentLength < 0
}

// maxBody is Kestrel's limit for a request body.
const maxBody = 30_000_000

// readJSON reads a body into a jsonValue. A nil value with no error is an
// absent body, which only an endpoint with an optional body accepts.
func readJSON(r *http.Request) (*jsonValue, error) {
	switch {
	case !hasBody(r):
		return nil, nil
	case !isJSON(r.Header.Get("Content-Type")):
		return nil, errMediaType
	case r.ContentLength > maxBody:
		return nil, errTooLarge
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, errBind
	}
	if len(raw) > maxBody {
		return nil, errTooLarge
	}
	if raw, err = decodeCharset(raw, r.Header.Get("Content-Type")); err != nil {
		return nil, err
	}
	return parseJSON(raw)
}

// errMediaType is a body without a JSON content type, errMissing no body where
// there must be one.
var (
	errMediaType = errors.New("unsupported media type")
	errMissing   = errors.New("missing body")
)

var errTooLarge = errors.New("body too large")

func parseJSON(raw []byte) (*jsonValue, error) {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(raw) || !json.Valid(raw) || loneSurrogate(raw) {
		return nil, errBind
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	v, err := decodeValue(dec, 0)
	if err != nil {
		return nil, errBind
	}
	return v, nil
}

// jsonValue is parsed JSON. Names of members are matched without case, and of
// members that differ only in case or not at all the last one counts.
type jsonValue struct {
	kind    byte // n(ull) b(ool) 0 (number) s(tring) a(rray) o(bject)
	flag    bool
	text    string // of a string or a number
	items   []*jsonValue
	members []jsonMember
}

type jsonMember struct {
	name  string
	value *jsonValue
}

const maxDepth = 64 // of System.Text.Json

func decodeValue(dec *json.Decoder, depth int) (*jsonValue, error) {
	if depth > maxDepth {
		return nil, errBind
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case nil:
		return &jsonValue{kind: 'n'}, nil
	case bool:
		return &jsonValue{kind: 'b', flag: t}, nil
	case json.Number:
		return &jsonValue{kind: '0', text: t.String()}, nil
	case string:
		return &jsonValue{kind: 's', text: t}, nil
	case json.Delim:
		v := &jsonValue{kind: 'a'}
		if t == '{' {
			v.kind = 'o'
		}
		for dec.More() {
			name := ""
			if v.kind == 'o' {
				key, err := dec.Token()
				if err != nil {
					return nil, err
				}
				name = key.(string)
			}
			item, err := decodeValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			if v.kind == 'o' {
				v.members = append(v.members, jsonMember{name, item})
			} else {
				v.items = append(v.items, item)
			}
		}
		_, err := dec.Token()
		return v, err
	}
	return nil, errBind
}

func (v *jsonValue) isNull() bool { return v == nil || v.kind == 'n' }

// member finds a member by name without case; nil when absent.
func (v *jsonValue) member(name string) *jsonValue {
	for i := len(v.members) - 1; i >= 0; i-- {
		if strings.EqualFold(v.members[i].name, name) {
			return v.members[i].value
		}
	}
	return nil
}

// reader reads the members of an object and remembers whether any of them was
// of the wrong type or, where required, missing.
type reader struct {
	v       *jsonValue
	bad     bool
	strange string // what nobody knows a real server's answer to
}

// readObject begins reading; a value of another kind is a binding failure.
func readObject(v *jsonValue) *reader {
	if v == nil || v.kind != 'o' {
		return &reader{v: &jsonValue{kind: 'o'}, bad: true}
	}
	return &reader{v: v}
}

// require marks members that must be present, null allowed.
func (r *reader) require(names ...string) {
	for _, n := range names {
		if r.v.member(n) == nil {
			r.bad = true
		}
	}
}

// text reads a string; absent and null are nil.
func (r *reader) text(name string) *string { return r.asText(r.v.member(name)) }

func (r *reader) asText(m *jsonValue) *string {
	if m.isNull() {
		return nil
	}
	if m.kind != 's' {
		r.bad = true
		return nil
	}
	return &m.text
}

func (r *reader) str(name string) string {
	if s := r.text(name); s != nil {
		return *s
	}
	return ""
}

// flag reads a bool or, if nullable, null.
func (r *reader) flag(name string, nullable bool) *bool {
	m := r.v.member(name)
	if m == nil || nullable && m.kind == 'n' {
		return nil
	}
	if m.kind != 'b' {
		r.bad = true
		return nil
	}
	return &m.flag
}

func (r *reader) isTrue(name string, nullable bool) bool {
	f := r.flag(name, nullable)
	return f != nil && *f
}

// long reads an integer, which may be written as a string.
func (r *reader) long(name string, nullable bool) *int64 {
	m := r.v.member(name)
	if m == nil || nullable && m.kind == 'n' {
		return nil
	}
	return r.asLong(m)
}

func (r *reader) asLong(m *jsonValue) *int64 {
	if m.kind != '0' && m.kind != 's' {
		r.bad = true
		return nil
	}
	n, err := strconv.ParseInt(m.text, 10, 64)
	if err != nil || strings.HasPrefix(m.text, "+") {
		r.bad = true
		return nil
	}
	return &n
}

// list reads an array; nil when absent or null.
func (r *reader) list(name string) []*jsonValue {
	m := r.v.member(name)
	if m.isNull() {
		return nil
	}
	if m.kind != 'a' {
		r.bad = true
		return nil
	}
	return m.items
}

// texts reads an array of strings, its nulls as empty ones; nil when absent.
func (r *reader) texts(name string) []string {
	m := r.v.member(name)
	if m.isNull() {
		return nil
	}
	out := []string{}
	for _, item := range r.list(name) {
		s := ""
		if t := r.asText(item); t != nil {
			s = *t
		}
		out = append(out, s)
	}
	return out
}

// pairs reads an object of strings; nil when absent or null.
func (r *reader) pairs(name string) pairs {
	m := r.v.member(name)
	if m.isNull() {
		return nil
	}
	if m.kind != 'o' {
		r.bad = true
		return nil
	}
	out := pairs{}
	for _, kv := range m.members {
		s := ""
		if t := r.asText(kv.value); t != nil {
			s = *t
		}
		out.set(kv.name, s)
	}
	return out
}

// time reads a date and time; zero when absent or null.
func (r *reader) time(name string) time.Time {
	m := r.v.member(name)
	if m.isNull() {
		return time.Time{}
	}
	if m.kind != 's' {
		r.bad = true
		return time.Time{}
	}
	t, ok := parseISO(m.text)
	if !ok {
		r.bad = true
	}
	return t
}

// err is errBind if anything was wrong.
func (r *reader) err() error {
	switch {
	case r.bad:
		return errBind
	case r.strange != "":
		return unknownOf(r.strange)
	}
	return nil
}
