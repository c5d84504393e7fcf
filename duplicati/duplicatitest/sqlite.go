package duplicatitest

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/duplibot/duplibot/duplicati/aescrypt"
	"github.com/duplibot/duplibot/secret"
	_ "modernc.org/sqlite" // the driver
)

// DatabaseName is the file name of a server's database.
const DatabaseName = "Duplicati-server.sqlite"

// WriteDatabase writes the server's database, as its generation would have it
// at this moment, into a folder: settings with the signing key, backups,
// schedules, sessions. With a key, secret fields are encrypted under it. A file
// that is there is replaced whole.
func (s *Server) WriteDatabase(folder string, key secret.Value) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(folder, ".writing-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	file := filepath.Join(temp, DatabaseName)
	if err := s.writeTables(file, key); err != nil {
		return fmt.Errorf("write %s: %w", DatabaseName, err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		return err
	}
	return os.Rename(file, filepath.Join(folder, DatabaseName))
}

// tables writes rows and keeps the first error.
type tables struct {
	tx  *sql.Tx
	key secret.Value
	err error
}

func (t *tables) exec(query string, args ...any) {
	if t.err == nil {
		_, t.err = t.tx.Exec(query, args...)
	}
}

// field is a text as it is stored: encrypted when there is a key.
func (t *tables) field(text string) string {
	if t.key.Empty() || text == "" || t.err != nil {
		return text
	}
	var stored string
	stored, t.err = aescrypt.EncryptField(text, t.key)
	return stored
}

func (s *Server) writeTables(file string, key secret.Value) error {
	// A path may hold what a URI takes for its end, as # and ? are.
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: file}).String())
	if err != nil {
		return err
	}
	defer db.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step()
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	t := &tables{tx: tx, key: key}
	t.exec(s.gen.schema())
	s.writeOptions(t)
	for _, b := range s.db.backups {
		s.writeBackup(t, b)
	}
	for _, f := range s.db.families {
		t.exec(`INSERT INTO "TokenFamily" VALUES (?, ?, ?, ?)`, f.id, f.user, f.counter, ticks(f.updated))
	}
	for _, n := range s.db.notifications {
		t.exec(`INSERT INTO "Notification" VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)`,
			n.id, n.kind, n.title, n.message, n.failure, orNil(n.backupID), n.action, n.at.Unix(), orNil(n.messageID), orNil(n.logTag))
	}
	for _, e := range s.db.errors {
		t.exec(`INSERT INTO "ErrorLog" VALUES (?, ?, ?, ?)`, e.backup, e.message, e.failure, e.at.Unix())
	}
	for _, k := range s.db.connections {
		t.exec(`INSERT INTO "ConnectionString" VALUES (?, ?, ?, ?, ?, ?)`,
			k.id, k.name, k.description, t.field(k.baseURL), k.created.Unix(), k.updated.Unix())
	}
	if t.err != nil {
		return t.err
	}
	return tx.Commit()
}

// Where rows of Option belong that are no backup's.
const (
	ofDefaults = -1
	ofServer   = -2
)

func (s *Server) writeOptions(t *tables) {
	rows := slices.Clone(s.db.settings)
	rows.set("encrypted-fields", "")
	if !t.key.Empty() {
		rows.set("encrypted-fields", "True")
	}
	rows.set(passwordSetting, "")
	rows.set("server-passphrase-salt", "")
	rows.set("jwt-config", s.jwtRow())
	rows.set("pbkdf-config", string(appendJSON(nil, s.db.password.row(), false)))
	for _, kv := range rows {
		owner, value := ofServer, kv.value
		if strings.HasPrefix(kv.key, "--") {
			owner = ofDefaults
		}
		if kv.key == "jwt-config" || kv.key == "pbkdf-config" || isSecret(kv.key) && kv.key != passwordSetting {
			value = t.field(value)
		}
		t.exec(`INSERT INTO "Option" VALUES (?, '', ?, ?)`, owner, kv.key, value)
	}
}

func minutes(d time.Duration) int64 { return int64(d / time.Minute) }

// jwtRow is the row jwt-config. Version 2.1 knows no nonces.
func (s *Server) jwtRow() string {
	j := &s.db.jwt
	o := object{
		{"Authority", issuer}, {"Audience", issuer}, {"SigningKey", j.key}, {"AccessTokenDurationInMinutes", minutes(j.access)},
		{"RefreshTokenDurationInMinutes", minutes(j.refresh)},
	}
	if s.gen.nonce {
		o = o.with("RefreshTokenShortLivedDurationInMinutes", minutes(j.short))
	}
	o = append(o, object{
		{"SigninTokenDurationInMinutes", minutes(j.signin)}, {"SingleOperationTokenDurationInMinutes", minutes(j.operation)},
		{"MaxRefreshTokenDrift", graceCount}, {"MaxRefreshTokenDriftSeconds", int(graceWindow / time.Second)},
	}...)
	if s.gen.nonce {
		o = append(o, object{{"RequireRefreshNonce", true}, {"PbkdfConfig", passwordHash{}.row()}}...)
	}
	return string(appendJSON(nil, o, false))
}

// row is the row pbkdf-config; the name of the algorithm's member is misspelt
// in the real one.
func (p passwordHash) row() object {
	return object{
		{"Algorithm", "PBKDF2"}, {"Version", 1}, {"Salt", base64.StdEncoding.EncodeToString(p.salt)},
		{"Iterations", pbkdf2Rounds}, {"HashAlorithm", "SHA256"}, {"Hash", base64.StdEncoding.EncodeToString(p.hash)},
	}
}

func (s *Server) writeBackup(t *tables, b *backup) {
	path := b.dbPath
	if s.gen.relativeDB {
		path = strings.TrimPrefix(path, dataFolder)
	}
	columns := []any{b.id, b.name, b.description, strings.Join(b.tags, ","), t.field(b.target), path}
	if s.gen.nonce {
		columns = append(columns, "")
	}
	if s.gen.connections {
		columns = append(columns, b.connection)
	}
	if s.gen.syncMode {
		columns = append(columns, b.operation)
	}
	t.exec(`INSERT INTO "Backup" VALUES (?`+strings.Repeat(", ?", len(columns)-1)+`)`, columns...)
	for _, src := range b.sources {
		if strings.HasPrefix(src, "@") { // what is not on this machine may have a password in it
			src = t.field(src)
		}
		t.exec(`INSERT INTO "Source" VALUES (?, ?)`, b.id, src)
	}
	for _, f := range b.filters {
		t.exec(`INSERT INTO "Filter" VALUES (?, ?, ?, ?)`, b.id, f.order, f.include, f.expression)
	}
	for _, st := range b.settings {
		value := st.value
		if isSecret(st.name) {
			value = t.field(value)
		}
		t.exec(`INSERT INTO "Option" VALUES (?, ?, ?, ?)`, b.id, st.filter, st.name, value)
	}
	for _, kv := range b.metadata {
		t.exec(`INSERT INTO "Metadata" VALUES (?, ?, ?)`, b.id, kv.key, kv.value)
	}
	if sc := b.schedule; sc != nil {
		t.exec(`INSERT INTO "Schedule" VALUES (?, ?, ?, ?, ?, ?)`,
			sc.id, "ID="+b.id, unixOrZero(sc.time), sc.repeat, unixOrZero(sc.lastRun), sc.rule())
	}
	for _, x := range b.targets {
		t.exec(`INSERT INTO "BackupTargetUrl" VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, 0, 0)`,
			b.id, x.key, t.field(x.url), x.mode, x.shownInterval(), x.options, x.connection)
	}
}

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// schema is the SQL of a generation's empty database.
func (g *generation) schema() string {
	version, more := 8, ""
	if g.nonce {
		version, more = 9, `, "ExternalID" TEXT NULL`
	}
	if g.connections {
		version, more = 11, more+`, "ConnectionStringID" INTEGER NOT NULL DEFAULT -1`
	}
	if g.syncMode {
		version, more = 12, more+`, "OperationType" TEXT NOT NULL DEFAULT 'Backup'`
	}
	schema := `CREATE TABLE "Backup" ("ID" INTEGER PRIMARY KEY AUTOINCREMENT, "Name" TEXT NOT NULL, "Description" TEXT NOT NULL DEFAULT '', "Tags" TEXT NOT NULL, "TargetURL" TEXT NOT NULL, "DBPath" TEXT NOT NULL` + more + `);
CREATE TABLE "Schedule" ("ID" INTEGER PRIMARY KEY, "Tags" TEXT NOT NULL, "Time" INTEGER NOT NULL, "Repeat" TEXT NOT NULL, "LastRun" INTEGER NOT NULL, "Rule" TEXT NOT NULL);
CREATE TABLE "Source" ("BackupID" INTEGER NOT NULL, "Path" TEXT NOT NULL);
CREATE TABLE "Filter" ("BackupID" INTEGER NOT NULL, "Order" INTEGER NOT NULL, "Include" INTEGER NOT NULL, "Expression" TEXT NOT NULL);
CREATE TABLE "Option" ("BackupID" INTEGER NOT NULL, "Filter" TEXT NOT NULL, "Name" TEXT NOT NULL, "Value" TEXT NOT NULL);
CREATE TABLE "Metadata" ("BackupID" INTEGER NOT NULL, "Name" TEXT NOT NULL, "Value" TEXT NOT NULL);
CREATE TABLE "Log" ("BackupID" INTEGER NOT NULL, "Description" TEXT NOT NULL, "Start" INTEGER NOT NULL, "Finish" INTEGER NOT NULL, "Result" TEXT NOT NULL, "SuggestedIcon" TEXT NOT NULL);
CREATE TABLE "ErrorLog" ("BackupID" INTEGER, "Message" TEXT NOT NULL, "Exception" TEXT, "Timestamp" INTEGER NOT NULL);
CREATE TABLE "Version" ("ID" INTEGER PRIMARY KEY, "Version" INTEGER NOT NULL);
CREATE TABLE "Notification" ("ID" INTEGER PRIMARY KEY, "Type" TEXT NOT NULL, "Title" TEXT NOT NULL, "Message" TEXT NOT NULL, "Exception" TEXT NOT NULL, "BackupID" TEXT NULL, "Action" TEXT NOT NULL, "Timestamp" INTEGER NOT NULL, "LogEntryID" TEXT NULL, "MessageID" TEXT NULL, "MessageLogTag" TEXT NULL);
CREATE TABLE "UIStorage" ("Scheme" TEXT NOT NULL, "Key" TEXT NOT NULL, "Value" TEXT NOT NULL);
CREATE TABLE "TempFile" ("ID" INTEGER PRIMARY KEY, "Origin" TEXT NOT NULL, "Path" TEXT NOT NULL, "Timestamp" INTEGER NOT NULL, "Expires" INTEGER NOT NULL);
CREATE TABLE "TokenFamily" ("ID" TEXT PRIMARY KEY, "UserId" TEXT NOT NULL, "Counter" INTEGER NOT NULL, "LastUpdated" INTEGER NOT NULL);
INSERT INTO "Version" VALUES (1, ` + strconv.Itoa(version) + `);
`
	if g.connections {
		schema += `CREATE TABLE "ConnectionString" ("ID" INTEGER PRIMARY KEY AUTOINCREMENT, "Name" TEXT NOT NULL UNIQUE, "Description" TEXT NOT NULL DEFAULT '', "BaseUrl" TEXT NOT NULL, "CreatedAt" INTEGER NOT NULL, "UpdatedAt" INTEGER NOT NULL);
CREATE UNIQUE INDEX "IX_ConnectionString_Name" ON "ConnectionString" ("Name");
CREATE TABLE "BackupTargetUrl" ("ID" INTEGER PRIMARY KEY AUTOINCREMENT, "BackupID" INTEGER NOT NULL, "TargetUrlKey" TEXT NOT NULL, "TargetURL" TEXT NOT NULL, "Mode" TEXT NOT NULL DEFAULT 'inline', "Interval" TEXT NULL, "Options" TEXT NULL, "ConnectionStringID" INTEGER NOT NULL DEFAULT -1, "CreatedAt" INTEGER NOT NULL DEFAULT 0, "UpdatedAt" INTEGER NOT NULL DEFAULT 0, FOREIGN KEY ("BackupID") REFERENCES "Backup"("ID") ON DELETE CASCADE);
CREATE INDEX "IX_BackupTargetUrl_BackupID" ON "BackupTargetUrl" ("BackupID");
CREATE UNIQUE INDEX "IX_BackupTargetUrl_TargetUrlKey" ON "BackupTargetUrl" ("TargetUrlKey");
`
	}
	return schema
}
