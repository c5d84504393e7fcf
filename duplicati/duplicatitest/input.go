package duplicatitest

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// newGUID names temporary backups and other things of one process.
func newGUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// readBackupAndSchedule reads the body of POST backups and PUT backup/{id}. A
// Backup that is present and null gives nil.
func readBackupAndSchedule(v *jsonValue, g *generation) (*backup, error) {
	in := readObject(v)
	in.require("Backup")
	if err := in.err(); err != nil {
		return nil, err
	}
	sc, err := readSchedule(v.member("Schedule"), g)
	if err != nil || v.member("Backup").isNull() {
		return nil, err
	}
	b, err := readBackup(v.member("Backup"), g)
	if err != nil {
		return nil, err
	}
	b.schedule = sc
	return b, nil
}

// readBackup reads a BackupIn. What a generation does not know is left out.
func readBackup(v *jsonValue, g *generation) (*backup, error) {
	in := readObject(v)
	b := &backup{
		id: in.str("ID"), name: in.str("Name"), description: in.str("Description"), target: in.str("TargetURL"),
		dbPath: in.str("DBPath"), tags: in.texts("Tags"), sources: in.texts("Sources"),
		metadata: in.pairs("Metadata"), connection: -1, operation: "Backup",
	}
	if g.connections {
		if n := in.long("ConnectionStringID", true); n != nil {
			b.connection = *n
		}
		b.targets = readTargets(in)
	}
	if g.syncMode {
		switch op := in.text("OperationType"); {
		case op == nil, strings.EqualFold(*op, "Backup"):
		case strings.EqualFold(*op, "Sync"):
			b.operation = "Sync"
		default:
			in.bad = true
		}
	}
	for _, item := range in.list("Settings") {
		st := readObject(item)
		st.require("Name")
		b.settings = append(b.settings, setting{st.str("Filter"), st.str("Name"), st.str("Value")})
		in.bad = in.bad || st.bad
	}
	for _, item := range in.list("Filters") {
		f := readObject(item)
		read := filter{include: f.isTrue("Include", false), expression: f.str("Expression")}
		if n := f.long("Order", false); n != nil {
			read.order = *n
		}
		b.filters = append(b.filters, read)
		in.bad = in.bad || f.bad
	}
	return b, in.err()
}

func readTargets(in *reader) []target {
	var out []target
	for _, item := range in.list("AdditionalTargetURLs") {
		t := readObject(item)
		t.require("TargetUrl")
		read := target{
			id: int64(len(out)) + 1, key: t.str("UrlKey"), url: t.str("TargetUrl"), mode: t.str("Mode"),
			connection: -1, options: t.text("Options"),
		}
		if read.key == "" {
			read.key = newGUID()
		}
		if read.mode == "" {
			read.mode = "inline"
		}
		if s := t.text("Interval"); s != nil {
			read.interval, read.hasInterval = *s, true
		}
		if n := t.long("ConnectionStringID", true); n != nil {
			read.connection = *n
		}
		out = append(out, read)
		in.bad = in.bad || t.bad
	}
	return out
}

// shortest is what schedules and retention must exceed.
const shortest = 5 * time.Minute

// validate says what is wrong with a configuration, in the server's words.
func validate(b *backup, g *generation) string {
	switch {
	case strings.TrimSpace(b.name) == "":
		return "Missing a name"
	case strings.TrimSpace(b.target) == "":
		return "Missing a target"
	case g.masks && hasMask(b.target):
		return "TargetURL is password placeholder value"
	case len(b.sources) == 0:
		return "Invalid source list"
	}
	for _, src := range b.sources {
		if strings.TrimSpace(src) == "" {
			return "Invalid source list"
		}
		if g.masks && hasMask(src) {
			return "Source is password placeholder value"
		}
	}
	plain, passphrase := false, ""
	for _, st := range b.settings {
		if g.masks && maskedValue(st.value) {
			return "Settings is password placeholder value"
		}
		switch name := strings.ToLower(st.name); name {
		case "passphrase":
			passphrase = st.value
		case "--no-encryption":
			plain = isOn(st.value)
		default:
			if text := validateSetting(name, st.value); text != "" {
				return text
			}
		}
	}
	switch {
	case b.operation == "Sync" && passphrase != "":
		return "Encryption not allowed for sync operations"
	case b.operation != "Sync" && !plain && strings.TrimSpace(passphrase) == "":
		return "Missing passphrase"
	}
	if b.schedule != nil {
		every, err := parseSpan(b.schedule.repeat)
		switch {
		case err != nil:
			return "Schedule repetition value must be a valid timespan"
		case every <= shortest:
			return "Schedule repetition time must be more than 5 minutes"
		}
	}
	return ""
}

// hasMask finds a placeholder inside a URL's query.
func hasMask(s string) bool {
	if maskedValue(s) {
		return true
	}
	_, query, _ := strings.Cut(s, "?")
	for _, part := range strings.Split(query, "&") {
		if _, v, _ := strings.Cut(part, "="); maskedValue(unescapeQuery(v)) {
			return true
		}
	}
	return false
}

func validateSetting(name, value string) string {
	switch name {
	case "keep-versions":
		if n, err := strconv.ParseInt(value, 10, 32); value != "" && (err != nil || n <= 0) {
			return "Retention value must be a positive integer"
		}
	case "keep-time":
		if d, err := parseSpan(value); value != "" && err != nil {
			return "Retention value must be a valid timespan"
		} else if value != "" && d <= shortest {
			return "Retention value must be more than 5 minutes"
		}
	case "dblock-size":
		if n, err := parseSize(value, "mb"); err != nil {
			return "DBlock value must be a valid size string"
		} else if n < 1<<20 {
			return "DBlock size must be at least 1MB"
		}
	case "--blocksize":
		if n, err := parseSize(value, "kb"); err != nil {
			return "The blocksize value must be a valid size string"
		} else if n < 1<<10 {
			return "The blocksize must be at least 1KB"
		}
	case "--prefix":
		if strings.Contains(value, "-") {
			return "The prefix cannot contain hyphens (-)"
		}
	}
	return ""
}
