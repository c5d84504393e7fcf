package duplicatitest

import (
	"net/http"
	"slices"
	"strings"
)

// access is what an endpoint asks of a caller.
type access int

const (
	bearer access = iota // a valid access token or pre-auth token
	anyone
)

// body is what an endpoint reads from a request's body.
type body int

const (
	noBody body = iota
	jsonBody
	optionalBody
)

type handler func(*Server, *call)

type route struct {
	method   string // "" for any
	segments []string
	access   access
	body     body
	filtered bool // by the Host header: everything under /api
	handle   handler
}

// routes match as ASP.NET Core's do: without case, a trailing slash ignored,
// literal segments before parameters.
type routes struct{ list []route }

func (rs *routes) add(method, pattern string, a access, b body, h handler) {
	rs.list = append(rs.list, route{
		method: method, segments: strings.Split(strings.Trim(pattern, "/"), "/"),
		access: a, body: b, filtered: strings.HasPrefix(pattern, "/api/"), handle: h,
	})
}

// match finds the endpoint of a request. Without one, status is 404, or 405
// with the methods that the path has, or 415 for a body of another type.
func (rs *routes) match(r *http.Request) (found *route, values map[string]string, status int, allow string) {
	parts := segments(r.URL.EscapedPath())
	best := -1
	var methods []string
	for i := range rs.list {
		rt := &rs.list[i]
		v, score, ok := rt.matches(parts)
		if !ok || score < best {
			continue
		}
		if score > best {
			best, found, values, methods = score, nil, nil, nil
		}
		if rt.method == "" || rt.method == r.Method {
			found, values = rt, v
		}
		methods = append(methods, rt.method)
	}
	switch {
	case best < 0:
		return nil, nil, http.StatusNotFound, ""
	case found == nil:
		slices.Sort(methods)
		return nil, nil, http.StatusMethodNotAllowed, strings.Join(slices.Compact(methods), ", ")
	case found.body != noBody && r.Header.Get("Content-Type") != "" && !isJSON(r.Header.Get("Content-Type")):
		return nil, nil, http.StatusUnsupportedMediaType, ""
	}
	return found, values, 0, ""
}

// matches compares segment by segment; the score counts literals, first ones
// weighing most.
func (rt *route) matches(parts []string) (map[string]string, int, bool) {
	last := len(rt.segments) - 1
	catchAll := strings.HasPrefix(rt.segments[last], "{*")
	if len(parts) != len(rt.segments) && !(catchAll && len(parts) >= last) {
		return nil, 0, false
	}
	var values map[string]string
	score := 0
	for i, seg := range rt.segments {
		if strings.HasPrefix(seg, "{*") {
			if values == nil {
				values = map[string]string{}
			}
			values[seg[2:len(seg)-1]] = strings.Join(parts[i:], "/")
			return values, score * 2, true
		}
		score *= 2
		if strings.HasPrefix(seg, "{") {
			if parts[i] == "" {
				return nil, 0, false
			}
			if values == nil {
				values = map[string]string{}
			}
			values[seg[1:len(seg)-1]] = parts[i]
			continue
		}
		if !strings.EqualFold(seg, parts[i]) {
			return nil, 0, false
		}
		score++
	}
	return values, score, true
}

// segments takes a path apart as Kestrel and routing do: decoded, "." and ".."
// resolved, one slash at the end ignored.
func segments(escaped string) []string {
	path := strings.TrimSuffix(strings.TrimPrefix(escaped, "/"), "/")
	var parts []string
	for _, part := range strings.Split(path, "/") {
		switch part = unescapePath(part); part {
		case ".":
		case "..":
			parts = parts[:max(len(parts)-1, 0)]
		default:
			parts = append(parts, part)
		}
	}
	return parts
}

// unescapePath decodes a path segment; an escaped slash stays escaped.
func unescapePath(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	s = strings.ReplaceAll(s, "%2F", "%252F")
	s = strings.ReplaceAll(s, "%2f", "%252f")
	return unescape(s)
}
