package ops

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/duplibot/duplibot/secret"
)

// configuration is what an exported file holds, as far as a plan shows it.
type configuration struct {
	CreatedByVersion string
	Backup           struct {
		Name, Description, TargetURL string
		Sources                      []string
		Settings                     []struct {
			Name  string
			Value *string
		}
		AdditionalTargetURLs []struct {
			TargetURL string `json:"TargetUrl"`
			Options   any
		}
		OperationType string
	}
	Schedule *struct {
		Time, Repeat string
		AllowedDays  []string
	}
}

var errNoBackup = errors.New("the document holds no backup")

// parseConfiguration reads an exported configuration strictly: a name that
// stands twice, in upper or lower case, could mean one thing here and another
// to the server, so it is refused.
func parseConfiguration(plain []byte) (configuration, error) {
	var c configuration
	root, err := decodeStrictly(plain)
	if err != nil {
		return c, err
	}
	if _, ok := field(root, "Backup").(map[string]any); !ok {
		return c, errNoBackup
	}
	if err := json.Unmarshal(trimMark(plain), &c); err != nil {
		return c, errors.New("a field is not of the kind that Duplicati writes")
	}
	return c, nil
}

// plainOptions refuses options of a further destination, a text that a server
// reads as JSON, in which something could be hidden from here.
func (c configuration) plainOptions() error {
	for _, t := range c.Backup.AdditionalTargetURLs {
		if text, ok := t.Options.(string); ok && strings.TrimSpace(text) != "" {
			if _, err := decodeStrictly([]byte(text)); err != nil {
				return fmt.Errorf("the options of a further destination: %w", err)
			}
		}
	}
	return nil
}

// trimMark takes the byte order mark away, which Duplicati reads over.
func trimMark(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) }

// decodeStrictly reads one JSON object and nothing behind it.
func decodeStrictly(b []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(trimMark(b)))
	dec.UseNumber()
	v, err := decodeValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the document")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("the document is no object")
	}
	return m, nil
}

func decodeValue(dec *json.Decoder, depth int) (any, error) {
	if depth > 64 {
		return nil, errors.New("the document is nested too deep")
	}
	token, err := dec.Token()
	if err != nil {
		return nil, errors.New("the document is no JSON")
	}
	switch token {
	case json.Delim('{'):
		m := map[string]any{}
		names := map[string]bool{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, errors.New("the document is no JSON")
			}
			name := key.(string)
			if folded := fold(name); names[folded] {
				return nil, fmt.Errorf("a name stands twice: %s", quote(name))
			} else {
				names[folded] = true
			}
			if m[name], err = decodeValue(dec, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := dec.Token()
		return m, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := decodeValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	}
	return token, nil
}

// fold makes one word of all that encoding/json takes for the same name, which
// is more than upper and lower case: the long s of old prints and the sign of
// degrees Kelvin are an s and a k to it, and to no server.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}

// options lists the names of the settings in the file, the first few: some make
// the server write where others would not.
func (c configuration) options() string {
	const shown = 24
	var names []string
	for _, s := range c.Backup.Settings {
		if len(names) == shown {
			names = append(names, plural(len(c.Backup.Settings)-shown, "more", "more"))
			break
		}
		names = append(names, cut(strings.TrimPrefix(s.Name, "--"), 40))
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// programs lists the options that make the server run a program, wherever in
// the configuration they stand.
func (c configuration) programs() []string {
	var found []string
	add := func(name string) {
		if name = strings.ToLower(strings.Trim(name, "- \t")); runsProgram(name) && !slices.Contains(found, name) {
			found = append(found, cut(name, 60))
		}
	}
	for _, s := range c.Backup.Settings {
		add(s.Name)
	}
	targets := []string{c.Backup.TargetURL}
	for _, t := range c.Backup.AdditionalTargetURLs {
		targets = append(targets, t.TargetURL)
		for _, name := range namesIn(t.Options) {
			add(name)
		}
	}
	for _, s := range c.Backup.Sources {
		if _, target, remote := cutRemote(s); remote {
			targets = append(targets, target)
		}
	}
	for _, t := range targets {
		for _, name := range queryNames(t) {
			add(name)
		}
	}
	slices.Sort(found)
	return found
}

// runsProgram reports whether an option names a program that Duplicati starts,
// or a file or provider that can bring such options with it.
func runsProgram(name string) bool {
	switch name {
	case "parameters-file", "secret-provider", "pass-command":
		return true
	case "run-script-timeout", "run-script-result-output-format", "run-script-log-level", "run-script-log-filter":
		return false
	}
	return strings.HasPrefix(name, "run-script") || strings.HasSuffix(name, "-executable") || strings.HasSuffix(name, "-program-path") ||
		strings.HasSuffix(name, "-command") || strings.HasSuffix(name, "-program")
}

// namesIn lists every name in a value, and in JSON that a text holds.
func namesIn(v any) []string {
	var names []string
	switch v := v.(type) {
	case string:
		if m, err := decodeStrictly([]byte(v)); err == nil {
			return namesIn(m)
		}
		return queryNames(v)
	case map[string]any:
		for name, inner := range v {
			names = append(append(names, name), namesIn(inner)...)
		}
	case []any:
		for _, inner := range v {
			names = append(names, namesIn(inner)...)
		}
	}
	return names
}

func (c configuration) setting(name string) (value string, ok bool) {
	for _, s := range c.Backup.Settings {
		if strings.EqualFold(strings.TrimPrefix(s.Name, "--"), name) {
			if s.Value != nil {
				value = *s.Value
			}
			return value, true
		}
	}
	return "", false
}

// lacksPassphrase reports whether the backup is encrypted and the file, being
// exported without secrets, does not say with what.
func (c configuration) lacksPassphrase() bool {
	if c.Backup.OperationType == "Sync" {
		return false
	}
	if v, ok := c.setting("no-encryption"); ok && !slices.Contains([]string{"0", "off", "false", "no"}, strings.ToLower(v)) {
		return false
	}
	module, ok := c.setting("encryption-module")
	if ok && module == "" {
		return false
	}
	passphrase, _ := c.setting("passphrase")
	return passphrase == ""
}

// runsWhen says when the imported backup would run.
func (c configuration) runsWhen() string {
	if c.Schedule == nil {
		return "only when asked"
	}
	words := "every " + quote(c.Schedule.Repeat)
	if n := len(c.Schedule.AllowedDays); n > 0 && n < 7 {
		words += " on " + strings.Join(c.Schedule.AllowedDays, ", ")
	}
	return words + ", next " + cut(c.Schedule.Time, 40)
}

// places lists the sources without what is secret in them, the first few.
func (c configuration) places() string {
	const shown = 8
	var words []string
	for i, s := range c.Backup.Sources {
		if i == shown {
			words = append(words, plural(len(c.Backup.Sources)-shown, "more", "more"))
			break
		}
		words = append(words, cut(stripSource(s), 120))
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// queryNames lists the names of the options in a storage URL.
func queryNames(target string) []string {
	_, query, _ := strings.Cut(target, "?")
	var names []string
	for _, part := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' || r == '?' }) {
		name, value, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		names = append(names, name)
		if inner, err := url.QueryUnescape(value); err == nil && strings.Contains(inner, "://") {
			names = append(names, queryNames(inner)...)
		}
	}
	return names
}

// place is what of a storage URL may be shown, scheme and host, and what tells
// the place that it means from others. Passwords in storage URLs need not be
// escaped, so that a host is shown only where none can hide.
func place(target secret.Value) (shown, where string) {
	scheme, rest, _ := strings.Cut(target.Reveal(), "://")
	if rest == "" || !plainScheme.MatchString(scheme) {
		return "unknown://", target.Reveal()
	}
	rest, _, _ = strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	host := authority[strings.LastIndex(authority, "@")+1:]
	if !plainHost.MatchString(host) || strings.Contains(path, "@") {
		host = ""
	}
	return strings.ToLower(scheme) + "://" + strings.ToLower(host), strings.ToLower(scheme) + "://" + rest[strings.LastIndex(rest, "@")+1:]
}

var (
	plainScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)
	plainHost   = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?$`)
)
