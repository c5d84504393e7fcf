package duplicatitest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/duplibot/duplibot/duplicati/aescrypt"
	"github.com/duplibot/duplibot/secret"
)

func importRoutes(rs *routes, g *generation) {
	rs.add("POST", "/api/v1/backups/import", bearer, jsonBody, try((*Server).importFile))
	if g.syncMode {
		rs.add("POST", "/api/v1/backup/{id}/restore-task-config", bearer, noBody, try((*Server).restoreTaskConfig))
		rs.add("POST", "/api/v1/backup/{id}/importfromtemp", bearer, jsonBody, try((*Server).importFromTemp))
	}
}

// importRequest is the body of an import.
type importRequest struct {
	config, passphrase                   *string
	metadata, direct, temporary, cmdline bool
	replace                              pairs
}

func (s *Server) importFile(c *call) error {
	in := readObject(c.body)
	req := importRequest{
		config: in.text("config"), passphrase: in.text("passphrase"), metadata: in.isTrue("import_metadata", true),
		direct: in.isTrue("direct", true), temporary: in.isTrue("temporary", true), cmdline: in.isTrue("cmdline", true),
	}
	if s.gen.replaces {
		req.replace = in.pairs("replace_settings")
	}
	if err := in.err(); err != nil {
		return err
	}
	if req.config == nil {
		return &crash{"System.ArgumentNullException", "Value cannot be null. (Parameter 's')"}
	}
	raw, err := base64.StdEncoding.DecodeString(strings.Map(dropBlanks, *req.config))
	if err != nil {
		return &crash{"System.FormatException", "The input is not a valid Base-64 string as it contains a non-base 64 character, more than two padding characters, or an illegal character among the padding characters."}
	}
	b, doc, text := s.imported(raw, req)
	if text == textUnknown {
		return unknownOf("what the reader of a file says of a value of the wrong kind")
	}
	if text != "" {
		text = "Failed to import backup: " + text
		s.addError(nil, text, "")
		return failf(http.StatusInternalServerError, text)
	}
	var id, data any
	if b.id != "" {
		id = b.id
	} else {
		data = doc
	}
	c.json(object{{"Id", id}, {"data", data}})
	return nil
}

func dropBlanks(r rune) rune {
	if strings.ContainsRune(" \t\r\n", r) {
		return -1
	}
	return r
}

// imported reads a file and, if asked to, stores what is in it. text is what
// is wrong, in the server's words.
func (s *Server) imported(raw []byte, req importRequest) (b *backup, doc object, text string) {
	if req.cmdline {
		return nil, nil, "Import from commandline not yet implemented"
	}
	plain, text := openFile(raw, req.passphrase)
	if text != "" {
		return nil, nil, text
	}
	b, root, text := s.readFile(plain)
	if text != "" {
		return nil, nil, text
	}
	b.dbPath, b.id, b.connection = "", "", -1
	if !req.metadata {
		b.metadata = nil
	}
	b.replace(req.replace)
	if !req.direct {
		doc = object{
			{"CreatedByVersion", orNil(readObject(root).str("CreatedByVersion"))}, {"Schedule", s.importedSchedule(b, root)},
			{"Backup", s.exportedBackup(b, "", "")}, {"DisplayNames", displayNames(b.sources)},
		}
		return b, doc, ""
	}
	if b.name, text = s.freeName(b.name); text != "" {
		return nil, nil, text
	}
	if text := validate(b, s.gen); text != "" {
		return nil, nil, text
	}
	if req.temporary {
		s.addTemporary(b)
	} else {
		s.add(b)
	}
	s.chatter(addChatter)
	return b, nil, ""
}

func openFile(raw []byte, passphrase *string) (plain []byte, text string) {
	if !aescrypt.Is(raw) {
		return raw, ""
	}
	if passphrase == nil || *passphrase == "" {
		return nil, "Empty passphrase not allowed (Parameter 'passphrase')"
	}
	plain, err := aescrypt.Decrypt(raw, secret.New(*passphrase))
	if err != nil {
		return nil, "Invalid password or corrupted data"
	}
	return plain, ""
}

// textUnknown stands for words that nobody has recorded.
const textUnknown = "?"

const nullReference = "Object reference not set to an instance of an object."

func (s *Server) readFile(plain []byte) (*backup, *jsonValue, string) {
	if strings.TrimSpace(string(plain)) == "" {
		return nil, nil, nullReference
	}
	root, err := parseJSON(plain)
	if err != nil {
		r, _ := utf8.DecodeRune(plain)
		return nil, nil, fmt.Sprintf("Unexpected character encountered while parsing value: %c. Path '', line 0, position 0.", r)
	}
	if root.isNull() {
		return nil, nil, nullReference
	}
	if root.kind != 'o' {
		return nil, nil, textUnknown
	}
	config := root.member("Backup")
	if config.isNull() {
		return nil, nil, "No backup found in document"
	}
	b, err := readBackup(config, s.gen)
	if err == nil {
		b.schedule, err = readFullDays(root.member("Schedule"), s.gen)
	}
	if err != nil {
		return nil, nil, textUnknown
	}
	return b, root, ""
}

// readFullDays reads a schedule as files have it, with the days' full names.
func readFullDays(v *jsonValue, g *generation) (*schedule, error) {
	lenient := *g
	lenient.refusesDays = false
	return readSchedule(v, &lenient)
}

func (s *Server) importedSchedule(b *backup, root *jsonValue) any {
	if b.schedule == nil {
		return nil
	}
	o := renderSchedule(b.schedule, "", s.gen.doubledDays).(object)
	o[0].value = -1
	o[1].value = list(readObject(root.member("Schedule")).texts("Tags"))
	return o
}

// freeName adds " (1)" to " (100)" to a name that is taken.
func (s *Server) freeName(name string) (string, string) {
	if s.db.named(name, "") == nil {
		return name, ""
	}
	for i := 1; i <= 100; i++ {
		if n := fmt.Sprintf("%s (%d)", name, i); s.db.named(n, "") == nil {
			return n, ""
		}
	}
	return "", "There already exists a backup with the name: " + name
}

// replace puts replace_settings in; keys that it does not know are ignored.
func (b *backup) replace(values pairs) {
	for _, kv := range values {
		switch key := strings.ToLower(kv.key); {
		case strings.HasPrefix(key, "settings."):
			b.setSetting(kv.key[len("settings."):], kv.value)
		case key == "name":
			b.name = kv.value
		case key == "targeturl":
			b.target = kv.value
		case key == "description":
			b.description = kv.value
		case key == "sources":
			b.sources = strings.Split(kv.value, ":")
		}
	}
}

func (b *backup) setSetting(name, value string) {
	for i := range b.settings {
		if strings.EqualFold(b.settings[i].name, name) {
			b.settings[i].value = value
			return
		}
	}
	b.settings = append(b.settings, setting{name: name, value: value})
}

// restoreTaskConfig registers the configuration that the destination holds: a
// backup's own.
func (s *Server) restoreTaskConfig(c *call) error {
	b, err := s.backupOf(c)
	if err != nil {
		return err
	}
	if _, err := s.readable(c, b, "List"); err != nil {
		return err
	}
	copied := b.clone()
	s.addTemporary(copied)
	c.json([]object{{
		{"BackupId", copied.id}, {"Name", b.name}, {"TargetURLDisplay", place(b.target)}, {"Metadata", b.shownMetadata()},
		{"DisplayNames", displayNames(b.sources)}, {"AdditionalTargetUrls", []object{}},
	}})
	return nil
}

func (s *Server) importFromTemp(c *call) error {
	in := readObject(c.body)
	id, metadata, direct := in.str("BackupId"), in.isTrue("ImportMetadata", true), in.isTrue("Direct", true)
	if err := in.err(); err != nil {
		return err
	}
	temp := s.run.temps[id]
	if temp == nil {
		return failf(http.StatusBadRequest, "No such temporary backup")
	}
	b := temp.clone()
	if !metadata {
		b.metadata = nil
	}
	if !direct {
		c.json(object{{"Id", nil}, {"data", object{
			{"CreatedByVersion", s.gen.version}, {"Schedule", nil}, {"Backup", s.exportedBackup(b, "", "")},
			{"DisplayNames", displayNames(b.sources)},
		}}})
		return nil
	}
	name, text := s.freeName(b.name)
	if text != "" {
		return failf(http.StatusInternalServerError, "Failed to import backup: "+text)
	}
	b.name = name
	s.add(b)
	c.json(object{{"Id", b.id}, {"data", nil}})
	return nil
}
