package duplicatitest

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"
)

// backup is one configuration. Tasks hold a copy of it as it was when they
// were queued.
type backup struct {
	id, name, description string
	tags                  []string
	target                string
	dbPath                string
	connection            int64
	operation             string // "Backup" or "Sync"
	sources               []string
	settings              []setting
	filters               []filter
	metadata              pairs
	targets               []target
	schedule              *schedule
	temporary             bool
	local                 *localDB // nil until the first run
}

type setting struct{ filter, name, value string }

type filter struct {
	order      int64
	include    bool
	expression string
}

// target is one of AdditionalTargetURLs.
type target struct {
	id                       int64
	key, url, mode, interval string
	connection               int64
	options                  *string
	created, updated         time.Time
	hasInterval              bool
}

func (b *backup) clone() *backup {
	c := *b
	c.tags = slices.Clone(b.tags)
	c.sources = slices.Clone(b.sources)
	c.settings = slices.Clone(b.settings)
	c.filters = slices.Clone(b.filters)
	c.metadata = slices.Clone(b.metadata)
	c.targets = slices.Clone(b.targets)
	return &c
}

// option reads a setting under its bare name or as an advanced option.
func (b *backup) option(name string) (string, bool) {
	for _, st := range b.settings {
		if strings.EqualFold(strings.TrimPrefix(st.name, "--"), name) {
			return st.value, true
		}
	}
	return "", false
}

func (b *backup) optionOn(name string) bool {
	v, ok := b.option(name)
	return ok && isOn(v)
}

// encrypted reports whether the backup encrypts its volumes.
func (b *backup) encrypted() bool {
	module, has := b.option("encryption-module")
	return has && module != "" && !b.optionOn("no-encryption")
}

// isSecret tells the options whose values GET backup/{id} hides.
func isSecret(name string) bool {
	switch strings.ToLower(strings.TrimPrefix(name, "--")) {
	case "passphrase", "auth-password", "authid", "send-mail-password", "send-http-json-authorization",
		"asynchronous-upload-password", "ssl-certificate-password", "aws-secret-access-key",
		"aws_secret_access_key", "auth-username-password", "oauth-token", "storj-secret",
		"sia-password", "b2-applicationkey", "jottacloud-password":
		return true
	}
	return strings.HasSuffix(strings.ToLower(name), "password") || strings.HasSuffix(strings.ToLower(name), "-secret")
}

// newDBPath names a local database as the server does: ten letters.
func newDBPath() string {
	letters := make([]byte, 10)
	rand.Read(letters)
	for i := range letters {
		letters[i] = 'A' + letters[i]%26
	}
	return dataFolder + string(letters) + ".sqlite"
}

const dataFolder = "/var/lib/duplicati/"

// view is how a backup is rendered.
type view int

const (
	inList view = iota // GET backups: children not loaded
	single             // GET backup/{id}
	inTask             // GET tasks of 2.1
)

func (s *Server) renderBackup(b *backup, v view) object {
	g := s.gen
	o := object{{"ID", b.id}}
	if g.nonce {
		var external any
		if v == inList {
			external = ""
		}
		o = o.with("ExternalID", external)
	}
	o = append(o, object{
		{"Name", b.name}, {"Description", b.description}, {"Tags", list(b.tags)}, {"TargetURL", b.target},
	}...)
	if g.connections {
		o = o.with("ConnectionStringID", b.connection)
	}
	if g.syncMode {
		o = o.with("OperationType", b.operation)
	}
	o = o.with("DBPath", b.dbPath)
	if g.nonce {
		o = o.with("DBPathExists", b.local != nil)
	}
	if v == inList {
		var sources []string
		if g.sourcesEmpty {
			sources = []string{}
		}
		o = append(o, object{{"Sources", sources}, {"Settings", nil}, {"Filters", nil}}...)
	} else {
		o = append(o, object{
			{"Sources", list(b.sources)}, {"Settings", s.renderSettings(b.settings, g.masks)}, {"Filters", renderFilters(b.filters)},
		}...)
	}
	o = append(o, object{{"Metadata", b.shownMetadata()}, {"IsTemporary", b.temporary}}...)
	if v != inTask {
		o = o.with("IsUnencryptedOrPassphraseStored", v == inList && b.passphraseKnown())
	}
	if g.connections {
		targets := []object{}
		if v != inList {
			for _, t := range b.targets {
				targets = append(targets, t.render())
			}
		}
		o = o.with("AdditionalTargetURLs", targets)
	}
	return o
}

func (b *backup) shownMetadata() pairs {
	if b.metadata == nil {
		return pairs{}
	}
	return b.metadata
}

func (b *backup) passphraseKnown() bool {
	p, _ := b.option("passphrase")
	return !b.encrypted() || p != ""
}

func list(v []string) []string {
	if v == nil {
		return []string{}
	}
	return v
}

func (s *Server) renderSettings(settings []setting, mask bool) []object {
	out := []object{}
	for _, st := range settings {
		value := st.value
		if mask && isSecret(st.name) && value != "" {
			value = s.gen.placeholder
		}
		out = append(out, object{{"Filter", st.filter}, {"Name", st.name}, {"Value", value}, {"Argument", nil}})
	}
	return out
}

func renderFilters(filters []filter) []object {
	out := []object{}
	for _, f := range filters {
		out = append(out, object{{"Order", f.order}, {"Include", f.include}, {"Expression", f.expression}})
	}
	return out
}

func (t target) render() object {
	return object{
		{"UrlKey", t.key}, {"TargetUrl", t.url}, {"Mode", t.mode}, {"Interval", t.shownInterval()},
		{"ConnectionStringID", t.connection}, {"Options", t.options},
	}
}

func (t target) shownInterval() any {
	if !t.hasInterval {
		return nil
	}
	return t.interval
}

// displayNames labels each source by the last part of its path.
func displayNames(sources []string) pairs {
	names := pairs{}
	for _, src := range sources {
		trimmed := strings.TrimRight(src, "/")
		label := trimmed[strings.LastIndexByte(trimmed, '/')+1:]
		if label == "" {
			label = src
		}
		names.set(src, label)
	}
	return names
}

// maskedValue reports whether a value is nothing but a placeholder.
func maskedValue(v string) bool {
	return len(v) >= 4 && strings.Trim(v, "*") == ""
}
