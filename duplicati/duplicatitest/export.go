package duplicatitest

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/duplibot/duplibot/duplicati/aescrypt"
	"github.com/duplibot/duplibot/secret"
)

func exportRoutes(rs *routes, _ *generation) {
	const at = "/api/v1/backup/{id}/export"
	rs.add("GET", at, anyone, noBody, try((*Server).exportFile))
	rs.add("GET", at+"-cmdline", bearer, noBody, try((*Server).exportCommandLine))
	rs.add("GET", at+"-argsonly", bearer, noBody, try((*Server).exportArguments))
}

func (s *Server) exportFile(c *call) error {
	passwords, err := c.query.flag("export-passwords")
	if err != nil {
		return err
	}
	if err := s.checkOperation(c, "export"); err != nil {
		return err
	}
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	content := s.exported(b, passwords)
	name := s.exportName(b.name)
	if pass := c.query.text("passphrase"); strings.TrimSpace(pass) != "" {
		content, err = aescrypt.Encrypt(content, secret.New(pass),
			aescrypt.Extension{Name: "CREATED_BY", Value: s.gen.aesName},
			aescrypt.Extension{Name: "CREATED_DATE", Value: s.at.Format(time.DateOnly)},
			aescrypt.Extension{Name: "CREATED_TIME", Value: s.at.Format("15-04-05")})
		if err != nil {
			return err
		}
		name += ".aes"
	}
	c.download(name, content)
	return nil
}

// exportName is the file name in the header. Version 2.1 wrote it as a form
// value, dot and all.
func (s *Server) exportName(backup string) string {
	if s.gen.escapesDot {
		return strings.ReplaceAll(url.QueryEscape(backup+"-duplicati-config.json"), ".", "%2E")
	}
	return strings.ReplaceAll(url.QueryEscape(backup+"-duplicati-config.json"), "+", "%20")
}

// exported is the configuration file of a backup.
func (s *Server) exported(b *backup, passwords bool) []byte {
	shown := b
	if !passwords {
		shown = s.withoutPasswords(b)
	}
	var sc any
	if b.schedule != nil {
		sc = exportedSchedule(b.schedule, b.id)
	}
	doc := object{
		{"CreatedByVersion", s.gen.version}, {"Schedule", sc},
		{"Backup", s.exportedBackup(shown, b.id, s.exportedDBPath(b))}, {"DisplayNames", displayNames(b.sources)},
	}
	var out bytes.Buffer
	if err := json.Indent(&out, appendJSON(nil, doc, false), "", "  "); err != nil {
		panic(err) // appendJSON writes JSON
	}
	return out.Bytes()
}

func exportedSchedule(sc *schedule, id string) object {
	o := renderSchedule(sc, id, false).(object)
	var days []string
	for _, d := range sc.days {
		days = append(days, d.String())
	}
	o[len(o)-1].value = days
	return o
}

func (s *Server) exportedDBPath(b *backup) string {
	if s.gen.relativeDB {
		return strings.TrimPrefix(b.dbPath, dataFolder)
	}
	return b.dbPath
}

// exportedBackup renders a backup as it stands in a file and, with a null ID
// and path, in the answer to an import that stores nothing.
func (s *Server) exportedBackup(b *backup, id, dbPath string) object {
	g := s.gen
	o := object{{"ID", orNil(id)}}
	if g.nonce {
		o = o.with("ExternalID", nil)
	}
	o = append(o, object{
		{"Name", b.name}, {"Description", b.description}, {"Tags", list(b.tags)}, {"TargetURL", b.target}, {"DBPath", orNil(dbPath)},
	}...)
	if g.connections {
		o = o.with("ConnectionStringID", b.connection)
	}
	if g.syncMode {
		o = o.with("OperationType", b.operation)
	}
	o = append(o, object{
		{"Sources", list(b.sources)}, {"Settings", s.renderSettings(b.settings, false)}, {"Filters", renderFilters(b.filters)},
		{"Metadata", b.shownMetadata()},
	}...)
	if g.connections {
		targets := []object{}
		for _, t := range b.targets {
			targets = append(targets, object{
				{"ID", t.id}, {"BackupID", number(b.id)}, {"TargetUrlKey", t.key}, {"TargetUrl", t.url}, {"Mode", t.mode},
				{"Interval", t.shownInterval()}, {"ConnectionStringID", t.connection}, {"Options", t.options},
				{"CreatedAt", utc(t.created)}, {"UpdatedAt", utc(t.updated)},
			})
		}
		o = o.with("AdditionalTargetURLs", targets)
	}
	return o.with("IsTemporary", b.temporary)
}

// withoutPasswords takes away the settings that are passwords and, where the
// generation does so, what a storage module calls one in the target's query.
// The userinfo of a URL stays.
func (s *Server) withoutPasswords(b *backup) *backup {
	c := b.clone()
	c.settings = nil
	for _, st := range b.settings {
		if !isSecret(st.name) {
			c.settings = append(c.settings, st)
		}
	}
	c.target = s.strippedTarget(b.target)
	return c
}

func (s *Server) strippedTarget(target string) string {
	base, query, has := strings.Cut(target, "?")
	if !has {
		return target
	}
	var kept []string
	for _, part := range strings.Split(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if !s.isTargetPassword(scheme(target), strings.ToLower(name)) {
			kept = append(kept, part)
		}
	}
	if len(kept) == 0 {
		return base
	}
	return base + "?" + strings.Join(kept, "&")
}

// isTargetPassword tells whether an export leaves a parameter out: up to 2.2
// all of a password's name, later only those that the module declares. That of
// file:// declares none.
func (s *Server) isTargetPassword(scheme, name string) bool {
	return isSecret(name) && (s.gen.stripsExport || scheme != "file")
}

// arguments of the command line that would do what the backup does. The server
// makes a task to find them, and its ID is gone.
func (s *Server) arguments(c *call) (b *backup, options []string, err error) {
	passwords, err := c.query.flag("export-passwords")
	if err != nil {
		return nil, nil, err
	}
	if b, err = s.backupOf(c); err != nil {
		return nil, nil, err
	}
	s.spendTask()
	if !passwords {
		b = s.withoutPasswords(b)
	}
	options = []string{"--backup-name=" + b.name, "--dbpath=" + b.dbPath, "--backup-id=DB-" + b.id}
	for _, st := range b.settings {
		options = append(options, "--"+strings.TrimPrefix(st.name, "--")+"="+st.value)
	}
	return b, append(options, "--disable-module=console-password-input"), nil
}

func (s *Server) exportCommandLine(c *call) error {
	b, options, err := s.arguments(c)
	if err != nil {
		return err
	}
	words := []string{"/usr/lib/duplicati/duplicati-cli", "backup", quoted(b.target)}
	for _, w := range append(append([]string{}, b.sources...), options...) {
		words = append(words, quoted(w))
	}
	c.json(object{{"Command", strings.Join(words, " ")}})
	return nil
}

// quoted wraps a word that a shell would take apart.
func quoted(w string) string {
	if w == "" || strings.ContainsAny(w, " \t\n\"'\\$&;|<>*?()[]{}`!#~") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(w) + `"`
	}
	return w
}

func (s *Server) exportArguments(c *call) error {
	b, options, err := s.arguments(c)
	if err != nil {
		return err
	}
	c.json(object{{"Backend", b.target}, {"Arguments", list(b.sources)}, {"Options", options}})
	return nil
}
