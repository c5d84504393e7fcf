package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/duplibot/duplibot/secret"
)

// checker looks whether what was read makes sense, and fills in what was left
// out.
type checker struct {
	c        *Config
	findings []Finding
	account  func(name string) (identity string, err error)
	misread  map[string]bool // keys that could not be read: nothing more is said of them
}

var (
	serverForm    = newForm(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)
	groupForm     = newForm(`^[A-Za-z_][A-Za-z0-9._-]{0,31}$`)
	personForm    = newForm(`^[A-Za-z][A-Za-z0-9._-]{0,39}$`)
	aliasForm     = newForm(`^[a-z0-9][a-z0-9._-]{0,39}$`)
	operationForm = newForm(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	pinForm       = newForm(`^(sha256:[0-9a-f]{64}|[0-9a-f]{40})$`)
	clockForm     = newForm(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
)

// allServers is what lists of servers may say for every one.
const allServers = "all"

var (
	backends  = []string{"secret-service", "keychain", "wincred", "pass", "file"}
	toolsets  = []string{"core", "admin"}
	roleWords = []string{"viewer", "operator", "admin", "approver"}
	risks     = []string{"read", "change", "critical"}
	surfaces  = []string{"cli", "mcp", "slack", "web"}
	verdicts  = []string{"deny", "allow", "confirm", "approve"}
	levels    = []string{"debug", "info", "warn", "error"}
)

func (k *checker) bad(key, hint, format string, args ...any) {
	if k.misread[key] {
		return
	}
	k.findings = append(k.findings, Finding{Line: k.line(key), Key: key, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (k *checker) warn(key, hint, format string, args ...any) {
	before := len(k.findings)
	if k.bad(key, hint, format, args...); len(k.findings) > before {
		k.findings[before].Warning = true
	}
}

// line is where key stands, or the nearest key above it.
func (k *checker) line(key string) int {
	for key != "" {
		if line, ok := k.c.lines[key]; ok {
			return line
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return 0
}

// given reports whether key stands in the file.
func (k *checker) given(key string) bool {
	_, ok := k.c.lines[key]
	return ok
}

func (k *checker) all() {
	c := k.c
	switch {
	case c.Store.Path != "" || k.misread["store"]:
		k.path("store", c.Store.Path)
	case stateFolder() == "":
		k.bad("store", "set HOME, or give store: sqlite:/absolute/path", "this account has no home folder, so it has to be said where the store is")
	default:
		c.Store.Path = defaultStore()
	}
	if c.Socket == "" {
		c.Socket = usualSocket()
	}
	k.path("socket", c.Socket)
	if len(c.Socket) > 100 {
		k.bad("socket", "", "the path of a socket is at most 100 bytes long")
	}
	if c.SocketGroup != "" && !groupForm.MatchString(c.SocketGroup) {
		k.bad("socket_group", "a name such as duplibot", "this cannot be the name of a group")
	}
	k.servers()
	k.keyring()
	k.people()
	k.secrets()
	k.path("folders.import", c.Folders.Import)
	k.path("folders.export", c.Folders.Export)
	if f := c.Folders; f.Import != "" && f.Import == f.Export {
		k.bad("folders.export", "", "imports and exports need folders of their own: what was exported could be imported by anybody who may name a file")
	}
	k.policy()
	k.slack()
	k.mcp()
	k.web()
	k.watch()
}

// path holds that a place on disk, if given, is the same from wherever the
// program is started.
func (k *checker) path(key, path string) {
	if path != "" && (!filepath.IsAbs(path) || path != filepath.Clean(path)) {
		k.bad(key, "", "a path must be absolute and plain, without . or ..")
	}
}

// word holds that a value is one of those known. It is not repeated.
func (k *checker) word(key, value string, known []string) {
	if slices.Contains(known, value) {
		return
	}
	hint := ""
	if n := near(value, known); n != "" {
		hint = "did you mean " + n + "?"
	}
	k.bad(key, hint, "this must be one of %s", strings.Join(known, ", "))
}

func (k *checker) wordList(key string, values, known []string) {
	seen := map[string]bool{}
	for i, v := range values {
		at := fmt.Sprintf("%s[%d]", key, i)
		k.word(at, v, known)
		if seen[v] {
			k.bad(at, "", "this stands twice in the list")
		}
		seen[v] = true
	}
}

func (k *checker) servers() {
	c := k.c
	if len(c.Servers) == 0 {
		k.warn("servers", "give each Duplicati server a name and its url", "no server is set up")
	}
	for i := range c.Servers {
		s := &c.Servers[i]
		key := join("servers", s.Name)
		if !serverForm.MatchString(s.Name) || s.Name == allServers {
			k.bad(key, "letters, digits, dots, dashes and underscores, up to 40", "this cannot be the name of a server")
		}
		for _, other := range c.Servers[:i] {
			if strings.EqualFold(other.Name, s.Name) {
				k.bad(key, "", "two servers have names that differ in upper and lower case only")
			}
		}
		k.server(key, s)
	}
	switch {
	case c.DefaultServer == "" && len(c.Servers) == 1:
		c.DefaultServer = c.Servers[0].Name
	case c.DefaultServer != "":
		k.serverName("default_server", c.DefaultServer)
	}
}

func (k *checker) server(key string, s *Server) {
	if !k.given(key + ".url") {
		k.bad(key, "", "a server needs a url")
		return
	}
	local := k.serverURL(key+".url", s)
	switch {
	case !k.given(key + ".database"):
		s.Database.Use = local
	case s.Database.Use && !local:
		k.bad(key+".database", "set it to off", "the database logs in to a server on this host only, and the url is another host's")
	}
	if s.Database.Path != "" {
		k.path(key+".database", s.Database.Path)
	}
	if !s.DatabaseKey.IsZero() && !s.Database.Use {
		k.bad(key+".database_key", "", "a key goes with a database, which is off")
	}
	k.ownItem(key+".password", s.Password)
	k.ownItem(key+".database_key", s.DatabaseKey)
	k.serverTLS(key+".tls", s)
}

func (k *checker) serverTLS(key string, s *Server) {
	t := &s.TLS
	k.path(key+".ca_file", t.CAFile)
	for i, pin := range t.Pins {
		var ok bool
		if t.Pins[i], ok = Pin(pin); !ok {
			k.bad(fmt.Sprintf("%s.pins[%d]", key, i), "duplibot doctor shows the one of a server", "a pin is sha256: and 64 hex digits, or the 40 hex digits of a SHA-1")
		}
	}
	ways := 0
	for _, given := range []bool{t.CAFile != "", len(t.Pins) > 0, t.Insecure} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1:
		k.bad(key, "", "ca_file, pins and insecure exclude each other: one of them decides")
	case ways == 1 && strings.HasPrefix(s.URL, "http:"):
		k.bad(key, "", "the url is http, where there is no certificate")
	case t.Insecure:
		k.warn(key+".insecure", "pin the certificate instead: tls.pins", "any certificate is accepted, so whoever is between here and the server can read the password")
	}
}

// Pin reads the pin of a certificate as people and openssl write it.
func Pin(text string) (pin string, ok bool) {
	pin = strings.ToLower(strings.ReplaceAll(text, ":", ""))
	if hex, is := strings.CutPrefix(pin, "sha256"); is {
		pin = "sha256:" + hex
	}
	return pin, pinForm.MatchString(pin)
}

// serverName holds that a value names a server that there is.
func (k *checker) serverName(key, name string) {
	var names []string
	for _, s := range k.c.Servers {
		if s.Name == name {
			return
		}
		names = append(names, s.Name)
	}
	hint := "there are " + strings.Join(names, ", ")
	if n := near(name, names); n != "" {
		hint = "did you mean " + n + "?"
	}
	k.bad(key, hint, "servers has none of that name")
}

func (k *checker) keyring() {
	r := &k.c.Keyring
	if k.given("keyring.backend") {
		k.word("keyring.backend", r.Backend, backends)
	}
	switch scheme := r.Passphrase.Scheme(); {
	case r.Backend == "file" && scheme == "":
		k.bad("keyring", "make a key: openssl rand -base64 32; then passphrase: file:PATH or credential:NAME", "the backend file needs a passphrase")
	case r.Backend != "file" && scheme != "":
		k.bad("keyring.passphrase", "", "a passphrase goes with the backend file only")
	case scheme == "keyring" || scheme == "pass":
		k.bad("keyring.passphrase", "use env:, file: or credential:", "the keyring's own passphrase cannot be kept in a keyring")
	}
	k.path("keyring.folder", r.Folder)
	if r.Folder == "" {
		r.Folder = filepath.Join(filepath.Dir(k.c.Store.Path), "keyring")
	}
}

func (k *checker) secrets() {
	for i := range k.c.Secrets {
		a := &k.c.Secrets[i]
		key := join("secrets", a.Name)
		if !aliasForm.MatchString(a.Name) || slices.Contains([]string{"page", "generate"}, a.Name) {
			k.bad(key, "lower-case letters, digits, dots, dashes and underscores; not page or generate", "this cannot be the name of a secret")
		}
		if a.From.IsZero() && !k.given(key+".from") {
			k.bad(key, "from: env:NAME, file:PATH, keyring:ITEM, credential:NAME or pass:ENTRY", "it does not say where the secret is")
		}
		k.ownItem(key+".from", a.From)
		if len(a.For) == 0 {
			k.bad(key, "for: [import]", "it does not say which operations may use the secret, so none could")
		}
		for i, op := range a.For {
			if !operationForm.MatchString(op) {
				k.bad(fmt.Sprintf("%s.for[%d]", key, i), "", "this cannot be the name of an operation")
			}
		}
		if len(a.Servers) == 0 {
			k.bad(key, "servers: [NAME], or [all]", "it does not say on which servers the secret may be used, so it could on none")
		}
		a.Servers = k.serverList(key+".servers", a.Servers)
	}
}

// serverList checks names and writes the word all out.
func (k *checker) serverList(key string, names []string) []string {
	var out []string
	for i, name := range names {
		if name == allServers {
			out = nil
			for _, s := range k.c.Servers {
				out = append(out, s.Name)
			}
			return out
		}
		k.serverName(fmt.Sprintf("%s[%d]", key, i), name)
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// ownItem refuses references to what the bot itself keeps: a session's
// tokens would be sent where a password goes.
func (k *checker) ownItem(key string, ref secret.Ref) {
	if ref.Scheme() == "keyring" && (strings.HasPrefix(ref.Name(), "server.") || strings.HasPrefix(ref.Name(), "duplibot.")) {
		k.bad(key, "give your item another name", "items that begin with server. or duplibot. are the bot's own")
	}
	if ref.Scheme() == "file" {
		k.path(key, ref.Name())
	}
}

// longestWait is how long a request may wait: what was entered for it is kept
// no longer.
const longestWait = 7 * 24 * time.Hour

func (k *checker) policy() {
	p := &k.c.Policy
	k.within("policy.approvals.confirm_within", &p.Approvals.ConfirmWithin, 10*time.Minute, 24*time.Hour)
	k.within("policy.approvals.approve_within", &p.Approvals.ApproveWithin, 8*time.Hour, longestWait)
	for i := range p.Rules {
		r := &p.Rules[i]
		key := fmt.Sprintf("policy.rules[%d]", i)
		if r.Verdict == "" {
			k.bad(key, "verdict: deny, allow, confirm or approve", "a rule needs a verdict")
		} else {
			k.word(key+".verdict", r.Verdict, verdicts)
		}
		for i, op := range r.Operations {
			if !operationForm.MatchString(op) {
				k.bad(fmt.Sprintf("%s.operations[%d]", key, i), "", "this cannot be the name of an operation")
			}
		}
		k.wordList(key+".risks", r.Risks, risks)
		k.wordList(key+".roles", r.Roles, roleWords[:3])
		k.wordList(key+".surfaces", r.Surfaces, surfaces)
		r.Servers = k.serverList(key+".servers", r.Servers)
		if r.Approvers < 0 || r.Approvers > 0 && r.Verdict != "approve" {
			k.bad(key+".approvers", "", "a number of approvers goes with the verdict approve")
		}
		for _, empty := range []string{"operations", "risks", "roles", "surfaces", "servers"} {
			if k.given(key+"."+empty) && !k.given(key+"."+empty+"[0]") {
				k.bad(key+"."+empty, "leave it out to match all", "an empty list would match everything")
			}
		}
	}
}

// within fills in a time that was left out and refuses one of zero or beyond
// most.
func (k *checker) within(key string, d *time.Duration, usual, most time.Duration) {
	switch {
	case !k.given(key):
		*d = usual
	case *d <= 0 || *d > most:
		k.bad(key, "", "this must be more than nothing and at most %s", hours(most))
	}
}

func hours(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	}
	return fmt.Sprintf("%d hours", int(d/time.Hour))
}

func (k *checker) watch() {
	w := &k.c.Watch
	k.within("watch.poll", &w.Poll, time.Minute, 24*time.Hour)
	if w.Poll < 5*time.Second {
		k.bad("watch.poll", "", "at least 5s: servers have better things to do")
	}
	k.within("watch.grace", &w.Grace, 30*time.Minute, 30*24*time.Hour)
	l := &k.c.Log
	if l.Level == "" {
		l.Level = "info"
	}
	k.word("log.level", l.Level, levels)
	if l.Format == "" {
		l.Format = "text"
	}
	k.word("log.format", l.Format, []string{"text", "json"})
}
