package ops

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// An exported configuration without secrets is made here and not trusted to
// the server: servers leave credentials in storage URLs, in the options of
// modules that they do not know, and in messages of errors.

// secretWords are what the name of an option that holds a credential
// contains. Taking one too many away costs a person a word at the import;
// leaving one in costs more.
var secretWords = []string{
	"pass", "secret", "token", "key", "authid", "auth-id", "credential", "cookie", "session", "signature", "sas", "private", "bearer", "otp", "pin",
}

// secretOption reports whether the option name can hold a credential.
func secretOption(name string) bool {
	name = strings.ToLower(strings.TrimPrefix(name, "--"))
	return slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(name, w) })
}

// hook reports whether the option is an address to which reports are sent:
// such addresses are credentials themselves.
func hook(name string) bool {
	name = strings.ToLower(strings.TrimPrefix(name, "--"))
	return strings.HasPrefix(name, "send-") && strings.Contains(name, "url")
}

// stripConfiguration takes what is secret out of an exported configuration.
// What it does not know stays as it is.
func stripConfiguration(plain []byte) ([]byte, error) {
	root, err := decodeStrictly(plain)
	if err != nil {
		return nil, err
	}
	backup, ok := field(root, "Backup").(map[string]any)
	if !ok {
		return nil, errNoBackup
	}
	for name, value := range backup {
		switch strings.ToLower(name) {
		case "targeturl":
			backup[name] = stripText(value)
		case "sources":
			backup[name] = stripSources(value)
		case "settings":
			backup[name] = stripSettings(value)
		case "additionaltargeturls":
			backup[name] = stripDeep(value)
		case "metadata":
			backup[name] = stripMetadata(value)
		}
	}
	if names, ok := field(root, "DisplayNames").(map[string]any); ok {
		setField(root, "DisplayNames", stripLabels(names))
	}
	return json.MarshalIndent(root, "", "  ")
}

func stripText(v any) any {
	if s, ok := v.(string); ok {
		return stripURL(s)
	}
	return v
}

// stripURL takes the password out of a storage URL, and every option that can
// be one. Storage URLs are Duplicati's own kind, in which a password need not
// be escaped: the last "@" before the path's end counts.
func stripURL(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return text
	}
	place, query, hasQuery := strings.Cut(rest, "?")
	if at := strings.LastIndex(place, "@"); at >= 0 {
		user, _, hasPassword := strings.Cut(place[:at], ":")
		if hasPassword {
			place = user + place[at:]
		}
	}
	out := scheme + "://" + place
	if !hasQuery {
		return out
	}
	var kept []string
	for _, part := range strings.Split(query, "&") {
		name, value, hasValue := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || secretOption(plain) || hook(plain) {
			continue
		}
		if inner, err := url.QueryUnescape(value); err == nil && strings.Contains(inner, "://") {
			value = url.QueryEscape(stripURL(inner))
		}
		if hasValue {
			name += "=" + value
		}
		kept = append(kept, name)
	}
	if len(kept) > 0 {
		out += "?" + strings.Join(kept, "&")
	}
	return out
}

// stripSources strips the URLs of remote sources, "@/folder|url".
func stripSources(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	for i, s := range list {
		if text, ok := s.(string); ok {
			list[i] = stripSource(text)
		}
	}
	return list
}

func stripSource(text string) string {
	if mount, target, remote := cutRemote(text); remote {
		return mount + "|" + stripURL(target)
	}
	return text
}

// cutRemote cuts a remote source, "@/folder|url".
func cutRemote(source string) (mount, target string, remote bool) {
	mount, target, found := strings.Cut(source, "|")
	return mount, target, found && strings.HasPrefix(source, "@")
}

func stripSettings(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	kept := []any{}
	for _, item := range list {
		setting, ok := item.(map[string]any)
		if !ok {
			continue
		}
		name, _ := field(setting, "Name").(string)
		if secretOption(name) || hook(name) {
			continue
		}
		setField(setting, "Value", stripText(field(setting, "Value")))
		kept = append(kept, setting)
	}
	return kept
}

// stripDeep strips every text of a value, and drops fields whose name is a
// credential's.
func stripDeep(v any) any {
	switch v := v.(type) {
	case string:
		if inner, err := decodeStrictly([]byte(v)); err == nil {
			if b, err := json.Marshal(stripDeep(inner)); err == nil {
				return string(b)
			}
		}
		return stripURL(v)
	case []any:
		for i := range v {
			v[i] = stripDeep(v[i])
		}
	case map[string]any:
		for name := range v {
			// TargetUrlKey tells targets apart and is no key to anything.
			if secretOption(name) && !strings.EqualFold(name, "TargetUrlKey") {
				delete(v, name)
				continue
			}
			v[name] = stripDeep(v[name])
		}
	}
	return v
}

// stripMetadata drops messages: what a failed connection says can quote the
// URL.
func stripMetadata(v any) any {
	if m, ok := v.(map[string]any); ok {
		for name := range m {
			if strings.EqualFold(name, "LastErrorMessage") {
				delete(m, name)
			}
		}
	}
	return v
}

// stripLabels strips the sources that labels are for. A label is cut from the
// source by the server, so that the one of a remote source can be any part of
// its URL.
func stripLabels(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for source, label := range m {
		if mount, _, remote := cutRemote(source); remote {
			label = mount
		}
		out[stripSource(source)] = label
	}
	return out
}

// field reads a field as Duplicati does, in upper or lower case.
func field(m map[string]any, name string) any {
	for k, v := range m {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return nil
}

func setField(m map[string]any, name string, v any) {
	for k := range m {
		if strings.EqualFold(k, name) {
			m[k] = v
			return
		}
	}
}
