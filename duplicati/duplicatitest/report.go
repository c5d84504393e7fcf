package duplicatitest

import (
	"fmt"
	"time"
)

// report is the result of one operation of the engine, as it stands in a
// backup's log.
type report struct {
	g           *generation
	main        string
	own         object // members of this operation, MainOperation among them
	begin, end  time.Time
	parsed      string // "" is worked out from warnings and errors
	interrupted bool
	messages    []string
	warnings    []string
	errors      []string
	stats       tally
	now         func() time.Time
	db          *localDB

	// of a backup
	counts    counts
	partial   bool
	compacted bool
	tested    bool
	sample    []volume
}

// counts of a backup's files.
type counts struct {
	examined, opened, added, modified      []diskFile
	deleted, addedFolders, modifiedFolders int
}

// tally counts what the backend did.
type tally struct {
	calls              int
	up, down           int64
	upCount, downCount int
	deleted            int
	known              object // what the last listing of the destination told
}

func (s *Server) newReport(main string, begin time.Time, b *backup) *report {
	r := &report{g: s.gen, main: main, begin: begin, now: func() time.Time { return s.at }, db: b.local}
	r.info("Controller-StartingOperation", "The operation "+main+" has started")
	if s.gen.warnsOptions {
		for _, name := range unknownOptions(b.target) {
			r.warn("Controller-UnsupportedOption", "The supplied option --"+name+" is not supported and will be ignored")
		}
	}
	return r
}

func (r *report) line(level, tag, text string) string {
	return fmt.Sprintf("%s +00 - [%s-Duplicati.Library.Main.%s]: %s", r.now().UTC().Format(time.DateTime), level, tag, text)
}

func (r *report) info(tag, text string) {
	r.messages = append(r.messages, r.line("Information", tag, text))
}

func (r *report) warn(tag, text string) {
	r.warnings = append(r.warnings, r.line("Warning", tag, text))
}

func (r *report) err(tag, text string) { r.errors = append(r.errors, r.line("Error", tag, text)) }

func (r *report) event(action, state, what string) {
	r.info("BasicResults-BackendEvent", "Backend event: "+action+" - "+state+": "+what)
}

// list is a listing of the destination.
func (r *report) list(count int) {
	r.stats.calls++
	r.event("List", "Started", " ()")
	what := " ()"
	if count > 0 {
		what = fmt.Sprintf(" (%s)", sizeText(int64(count), r.g.sizeUnit))
	}
	r.event("List", "Completed", what)
	if r.g.nonce {
		r.stats.calls++
		r.event("QuotaInfo", "Started", " ()")
	}
	r.stats.known = r.knownOf(count)
}

// knownOf are the members that tell of the destination; count is how many
// files it has shown, negative when nobody has looked.
func (r *report) knownOf(count int) object {
	last, size, versions, listed, assigned := "0001-01-01T00:00:00", int64(0), 0, 0, 0
	total, free := int64(0), int64(0)
	if count >= 0 {
		total, free, assigned, listed = totalSpace, freeSpace, -1, len(r.db.versions)
	}
	if count > 0 {
		size, versions = r.db.size(), listed
		if v := r.db.newest(); v != nil {
			last = local(v.time)
		}
	}
	o := object{{"KnownFileCount", max(count, 0)}, {"KnownFileSize", size}}
	if r.g.nonce {
		o = o.with("KnownFilesets", versions)
	}
	return append(o, object{
		{"LastBackupDate", last}, {"BackupListCount", listed}, {"TotalQuotaSpace", total}, {"FreeQuotaSpace", free},
		{"AssignedQuotaSpace", assigned},
	}...)
}

func (r *report) put(v volume) {
	r.stats.calls++
	r.stats.upCount++
	r.stats.up += v.size
	r.transfer("Put", v)
}

func (r *report) get(v volume) {
	r.stats.calls++
	r.stats.downCount++
	r.stats.down += v.size
	r.sample = append(r.sample, v)
	r.transfer("Get", v)
}

func (r *report) transfer(action string, v volume) {
	what := fmt.Sprintf("%s (%s)", v.name, sizeText(v.size, r.g.sizeUnit))
	r.event(action, "Started", what)
	r.event(action, "Completed", what)
}

// plan adds the warnings and errors of a planned outcome.
func (r *report) plan(o Outcome) {
	for range max(o.Count, 1) {
		switch o.Result {
		case Warns:
			r.warn("Operation.Backup.FileEnumerationProcess-FileAccessError", orText(o.Message, "Error reported while accessing file: /data/locked"))
		case Errs:
			r.err("Operation.Backup.FileBlockProcessor.FileEntry-PathProcessingFailed", orText(o.Message, "Failed to process path: /data/broken"))
		}
	}
}

func orText(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// failed ends the operation by an exception.
func (r *report) failed(f *failure) {
	r.parsed = f.parsed
	tag, text := "Controller-FailedOperation", "The operation "+r.main+" has failed\n"+f.class+": "+f.text
	if !r.g.nonce {
		text = "The operation " + r.main + " has failed with error: " + f.text + "\n" + f.class + ": " + f.text
	}
	if f.class == "TaskCanceledException" {
		r.interrupted = r.g.interrupted
		r.err("Operation.BackupHandler-FatalError", "Fatal error\n"+f.class+": "+f.text)
		if r.g.interrupted {
			return
		}
	}
	r.err(tag, text)
}

func (r *report) result() string {
	switch {
	case r.parsed != "":
		return r.parsed
	case len(r.errors) > 0:
		return "Error"
	case len(r.warnings) > 0 || r.partial:
		return "Warning"
	}
	return "Success"
}

const shownLines = 20 // of messages, warnings and errors each

func firstLines(lines []string) []string {
	return append([]string{}, lines[:min(len(lines), shownLines)]...)
}

// message is the JSON of a log row.
func (r *report) message() string {
	r.end = r.now()
	own := r.own
	if r.main == "Backup" {
		own = r.backupMembers()
	}
	o := append(object{}, own...)
	o = append(o, r.tail(false)...)
	return string(appendJSON(nil, o, true))
}

// tail are the members that every result has; one inside another has no lines
// of its own.
func (r *report) tail(nested bool) object {
	parsed, interrupted := r.result(), r.interrupted
	var lines object
	if nested {
		parsed, interrupted = "Success", false
		lines = noLines()
	} else {
		lines = object{
			{"MessagesActualLength", len(r.messages)}, {"WarningsActualLength", len(r.warnings)}, {"ErrorsActualLength", len(r.errors)},
			{"Messages", firstLines(r.messages)}, {"Warnings", firstLines(r.warnings)}, {"Errors", firstLines(r.errors)},
		}
	}
	o := object{
		{"ParsedResult", parsed}, {"Interrupted", interrupted}, {"Version", r.g.engine},
		{"EndTime", utc(r.end)}, {"BeginTime", utc(r.begin)}, {"Duration", span(r.end.Sub(r.begin))},
	}
	return append(append(o, lines...), member{"BackendStatistics", r.backendStatistics()})
}

func noLines() object {
	return object{
		{"MessagesActualLength", 0}, {"WarningsActualLength", 0}, {"ErrorsActualLength", 0},
		{"Messages", nil}, {"Warnings", nil}, {"Errors", nil},
	}
}

func (r *report) backendStatistics() object {
	t := &r.stats
	o := object{
		{"RemoteCalls", t.calls}, {"BytesUploaded", t.up}, {"BytesDownloaded", t.down}, {"FilesUploaded", t.upCount},
		{"FilesDownloaded", t.downCount}, {"FilesDeleted", t.deleted}, {"FoldersCreated", 0}, {"RetryAttempts", 0},
		{"UnknownFileSize", 0}, {"UnknownFileCount", 0},
	}
	known := t.known
	if known == nil {
		known = r.knownOf(-1)
	}
	o = append(append(o, known...), object{{"ReportedQuotaError", false}, {"ReportedQuotaWarning", false}}...)
	if !r.g.syncMode {
		o = o.with("MainOperation", r.main)
	}
	o = append(o, object{{"ParsedResult", "Success"}, {"Interrupted", false}, {"Version", r.g.engine}}...)
	if !r.g.syncMode {
		o = append(o, object{{"EndTime", "0001-01-01T00:00:00"}, {"BeginTime", utc(r.begin)}, {"Duration", "00:00:00"}}...)
	}
	return append(o, noLines()...)
}

// backupMembers are those of a backup's result.
func (r *report) backupMembers() object {
	c := r.counts
	if r.g.addsModified {
		c.added, c.modified = append(c.added[:len(c.added):len(c.added)], c.modified...), nil
		c.addedFolders, c.modifiedFolders = c.addedFolders+c.modifiedFolders, 0
	}
	o := object{
		{"DeletedFiles", c.deleted}, {"DeletedFolders", 0}, {"ModifiedFiles", len(c.modified)}, {"ExaminedFiles", len(c.examined)},
		{"OpenedFiles", len(c.opened)}, {"AddedFiles", len(c.added)}, {"SizeOfModifiedFiles", sum(r.counts.modified)},
		{"SizeOfAddedFiles", sum(r.counts.added)}, {"SizeOfExaminedFiles", sum(c.examined)}, {"SizeOfOpenedFiles", sum(c.opened)},
		{"NotProcessedFiles", 0}, {"AddedFolders", c.addedFolders}, {"TooLargeFiles", 0}, {"FilesWithError", len(r.errorsOfFiles())},
	}
	if r.g.nonce {
		o = o.with("TimestampChangedFiles", 0)
	}
	o = append(o, object{
		{"ModifiedFolders", c.modifiedFolders}, {"ModifiedSymlinks", 0}, {"AddedSymlinks", 0}, {"DeletedSymlinks", 0},
		{"PartialBackup", r.partial}, {"Dryrun", false}, {"MainOperation", "Backup"},
	}...)
	var compact, test any
	if r.compacted {
		compact = append(compactMembers(), r.tail(true)...)
	}
	if r.tested {
		test = append(r.testMembers(), r.tail(true)...)
	}
	o = append(o, object{
		{"CompactResults", compact}, {"VacuumResults", nil}, {"DeleteResults", nil}, {"RepairResults", nil}, {"TestResults", test},
	}...)
	if r.g.connections {
		o = append(o, object{{"LockResults", nil}, {"RemoteSynchronizationResults", []object{}}}...)
	}
	return o
}

// errorsOfFiles are the errors of a run that ended by itself.
func (r *report) errorsOfFiles() []string {
	if r.parsed != "" {
		return nil
	}
	return r.errors
}

func compactMembers() object {
	return object{
		{"DeletedFileCount", 0}, {"DownloadedFileCount", 0}, {"UploadedFileCount", 0}, {"DeletedFileSize", 0},
		{"DownloadedFileSize", 0}, {"UploadedFileSize", 0}, {"Dryrun", false}, {"VacuumResults", nil}, {"MainOperation", "Compact"},
	}
}

func (r *report) testMembers() object {
	checks := []object{}
	for _, v := range r.sample {
		checks = append(checks, object{{"Key", v.name}, {"Value", []string{}}})
	}
	return object{{"MainOperation", "Test"}, {"VerificationsActualLength", len(checks)}, {"Verifications", checks}}
}

// databaseSpace is where the engine of a generation keeps its database code.
func (g *generation) databaseSpace() string {
	if g.syncMode {
		return "Local."
	}
	return ""
}
