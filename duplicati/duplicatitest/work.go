package duplicatitest

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// backupWork is what a task found and did.
type backupWork struct {
	began   time.Time
	told    time.Time // when its progress was told last
	files   []diskFile
	missing []string
	seen    []diskFile // those of files that were looked at
	first   bool       // it has made the backup's database
	ids     []string   // of the volumes it makes, in their order
}

// volumeID is the unique part of the n-th volume's name.
func (w *backupWork) volumeID(n int) string {
	for len(w.ids) <= n {
		w.ids = append(w.ids, strings.ReplaceAll(newGUID(), "-", ""))
	}
	return w.ids[n]
}

func (w *backupWork) bytes() int64 { return sum(w.files) }

func sum(files []diskFile) (n int64) {
	for _, f := range files {
		n += f.size
	}
	return n
}

// live is the stored backup of a task, or the copy it carries when that is
// gone.
func (s *Server) live(t *task) *backup {
	if b := s.find(t.config.id); b != nil {
		return b
	}
	return t.config
}

// begin starts the work of a task.
func (s *Server) begin(t *task) {
	t.work = &backupWork{began: s.at, told: s.at}
	s.run.progress = &progress{
		backupID: t.config.id, taskID: t.id, phase: "Starting_Operation", action: "List",
	}
	if t.op == opDelete {
		return
	}
	s.logBegin(t)
	b := s.live(t)
	if b.local == nil {
		b.local = &localDB{}
		t.work.first = true
	}
	t.local = b.local
	t.local.lastOp++
	if t.op == opBackup {
		t.work.files, t.work.missing = s.disk.files(t.config.sources)
		t.work.seen = t.work.files
	}
}

// complete does the work of a task and writes down what came of it.
func (s *Server) complete(t *task) {
	b := s.live(t)
	if t.op != opDelete && b.local != t.local {
		// The file was deleted meanwhile. The work goes on in the one that it
		// holds open, and what it writes is gone with that.
		now := b.local
		b.local = t.local
		defer func() { b.local = now }()
	}
	switch t.op {
	case opDelete:
		s.drop(t)
		s.endProgress(t, "Delete_Deleting")
	case opBackup:
		s.completeBackup(t, b)
	default:
		s.completeOther(t, b)
	}
}

// failure is an exception of the engine.
type failure struct {
	class  string // without namespace
	space  string
	text   string
	helpID string
	at     string // the stack trace's first lines
	parsed string
	noLog  bool
	told   string // instead of all that
}

// as puts the words of a planned outcome in the place of the usual ones.
func (f *failure) as(o Outcome) *failure {
	if o.Message != "" {
		f.text = o.Message
	}
	f.told = o.Exception
	return f
}

// full is the exception as text.
func (f *failure) full() string {
	if f.told != "" {
		return f.told
	}
	return f.space + "." + f.class + ": " + f.text + "\n" + f.at
}

const stackTop = "   at Duplicati.Library.Main.Controller.RunActionAsync[TRes,TCon](TRes result, String[] paths, IFilter filter, TCon context, Func`2 method) in /src/Duplicati/Library/Main/Controller.cs:line 573"

func (s *Server) missingRemote(count int) *failure {
	return &failure{
		class: "RemoteListVerificationException", space: "Duplicati.Library.Interface", helpID: "MissingRemoteFiles",
		text:   fmt.Sprintf("Found %d files that are missing from the remote storage, please run repair", count),
		at:     "   at Duplicati.Library.Main.Operation.FilelistProcessor.VerifyRemoteList() in /src/Duplicati/Library/Main/Operation/FilelistProcessor.cs:line 206\n" + stackTop,
		parsed: "Fatal",
	}
}

func (s *Server) missingSource(path string) *failure {
	f := &failure{
		class: "UserInformationException", space: "Duplicati.Library.Interface", helpID: "SourceIsMissing",
		text: "Backup aborted since the source path " + path + " does not exist. Please verify that the source path exists, or remove the source path from the backup configuration, or set the allow-missing-source option.",
		at:   stackTop, noLog: true,
	}
	if !s.gen.nonce {
		f.class, f.space, f.helpID = "IOException", "System.IO", ""
	}
	return f
}

func (s *Server) canceled() *failure {
	f := &failure{
		class: "TaskCanceledException", space: "System.Threading.Tasks", text: "A task was canceled.",
		at:     "   at Duplicati.Library.Main.Operation.Common.TaskControl.ProgressRendevouzAsync() in /src/Duplicati/Library/Main/Operation/Common/TaskControl.cs:line 199\n" + stackTop,
		parsed: "Fatal", noLog: !s.gen.abortLogs,
	}
	if s.gen.interrupted {
		f.parsed = "Error"
	}
	return f
}

// completeBackup decides how the run ends: by the client's abort, by what is
// on disk, by its planned outcome.
func (s *Server) completeBackup(t *task, b *backup) {
	r := s.newReport("Backup", t.work.began, b)
	o := t.outcome
	var bad *failure
	lost := s.disk.isLost(b.target) || o.Result == LosesDestination
	missing := t.work.missing
	if o.Result == LosesSource && len(missing) == 0 && len(t.config.sources) > 0 {
		missing = t.config.sources[:1]
	}
	switch {
	case lost && len(b.local.volumes) > 0:
		bad = s.missingRemote(len(b.local.volumes))
		r.list(0)
		for _, v := range b.local.listsFirst() {
			r.warn("Operation.FilelistProcessor-MissingFile", "Missing file: "+v.name)
		}
	case len(missing) > 0 && (s.gen.missingSource && !t.config.optionOn("allow-missing-source")):
		bad = s.missingSource(missing[0])
	case t.abort:
		bad = s.canceled().as(o)
		r.list(len(b.local.volumes))
	case o.Result == Fails:
		text := o.Message
		if text == "" {
			text = "The backup failed"
		}
		bad = (&failure{class: "Exception", space: "System", text: text, at: stackTop, parsed: "Fatal"}).as(o)
	}
	if bad == nil {
		for _, src := range missing {
			r.warn("Controller-SourceIsMissing", "The source path "+src+" does not exist, skipping")
		}
		r.plan(o)
		partial := t.stop || o.Partial
		if t.stop {
			r.warn("Operation.BackupHandler-CancellationRequested", "Cancellation was requested by user.")
		} else if o.Partial {
			r.warn("Operation.BackupHandler-PartialBackup", "The backup was stopped before all files were processed.")
		}
		if partial {
			t.work.seen = t.work.files[:o.done(len(t.work.files))]
		}
		s.backUp(t, b, r, partial)
		if o.Result != Vanishes {
			b.local.log(s.at, r.message())
		}
		s.chatter(workChatter)
		s.endProgress(t, "Backup_Complete")
		s.afterBackup(t, b, r, partial)
		return
	}
	switch {
	case t.abort:
		t.work.seen = t.work.files[:o.done(len(t.work.files))]
		r.counts.examined, r.counts.opened = t.work.seen, t.work.seen
	default:
		t.work.seen = nil
	}
	s.failBackup(t, b, r, bad)
}

func (o Outcome) done(all int) int {
	if o.Done > 0 {
		return min(o.Done, all)
	}
	return all / 2
}

// failBackup writes down a run that ended in an exception.
func (s *Server) failBackup(t *task, b *backup, r *report, f *failure) {
	r.failed(f)
	if !f.noLog {
		b.local.log(s.at, r.message())
	}
	if f.noLog && t.work.first && !t.abort {
		b.local = nil // it failed before it came to that
	}
	t.failed, t.errorText, t.failure = true, f.text, f.full()
	s.endProgress(t, "Error")
	s.recordError(b, f)
	s.logException(b, t, f)
	s.notifyFailure(b, f)
	s.backupsChanged()
}

// recordError writes what never goes away again.
func (s *Server) recordError(b *backup, f *failure) {
	b.metadata.set("LastErrorDate", serialized(s.at))
	b.metadata.set("LastErrorMessage", f.text)
}

// notifyFailure replaces the first notification that the backup has.
func (s *Server) notifyFailure(b *backup, f *failure) {
	first := true
	s.dismissQuietly(func(n *notification) bool {
		if first && n.backupID == b.id {
			first = false
			return true
		}
		return false
	})
	s.notify(&notification{
		kind: "Error", title: "Error while running " + b.name, message: f.text, failure: f.full(),
		backupID: b.id, action: "backup:show-log", messageID: f.helpID,
	})
}

// afterBackup updates metadata and notifications after a run that ended well.
func (s *Server) afterBackup(t *task, b *backup, r *report, partial bool) {
	m := &b.metadata
	s.destinationMetadata(b)
	m.set("SourceFilesSize", strconv.FormatInt(sum(t.work.seen), 10))
	m.set("SourceFilesCount", strconv.Itoa(len(t.work.seen)))
	m.set("SourceSizeString", sizeText(sum(t.work.seen), s.gen.sizeUnit))
	if !partial || !s.gen.interrupted {
		setTimes(m, "Backup", r.begin, s.at)
	}
	if r.compacted {
		setTimes(m, "Compact", s.at, s.at)
	}
	switch {
	case len(r.errors) > 0:
		s.notifyResult(b, "Error", count1(r.errors, "errors"), "")
	case len(r.warnings) > 0:
		s.notifyResult(b, "Warning", count1(r.warnings, "warnings"), "")
	case s.gen.dismisses:
		s.dismiss(func(n *notification) bool { return n.backupID == b.id })
	}
	s.backupsChanged()
}

// count1 is a single line as it is, and of several only how many there are.
func count1(lines []string, what string) string {
	if len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("Encountered %d %s.", len(lines), what)
}

func (s *Server) notifyResult(b *backup, kind, message, tag string) {
	s.notify(&notification{
		kind: kind, title: kind + " while running " + b.name, message: message,
		backupID: b.id, action: "backup:show-log", logTag: tag,
	})
}

func setTimes(m *pairs, op string, begin, end time.Time) {
	if op == "Backup" {
		m.set("LastBackupStarted", serialized(begin))
		m.set("LastBackupFinished", serialized(end))
		m.set("LastBackupDuration", span(end.Sub(begin)))
		return
	}
	m.set("Last"+op+"Duration", span(end.Sub(begin)))
	m.set("Last"+op+"Started", serialized(begin))
	m.set("Last"+op+"Finished", serialized(end))
}

// destinationMetadata writes what a listing of the destination told.
func (s *Server) destinationMetadata(b *backup) {
	m, db := &b.metadata, b.local
	if v := db.newest(); v != nil {
		m.set("LastBackupDate", serialized(v.time))
	}
	m.set("BackupListCount", strconv.Itoa(len(db.versions)))
	m.set("TotalQuotaSpace", strconv.FormatInt(totalSpace, 10))
	m.set("FreeQuotaSpace", strconv.FormatInt(freeSpace, 10))
	m.set("AssignedQuotaSpace", "-1")
	m.set("TargetFilesSize", strconv.FormatInt(db.size(), 10))
	m.set("TargetFilesCount", strconv.Itoa(len(db.volumes)))
	if s.gen.nonce {
		m.set("TargetFilesetsCount", strconv.Itoa(len(db.versions)))
	}
	m.set("TargetSizeString", sizeText(db.size(), s.gen.sizeUnit))
}

// backUp makes a version of what has changed, and its volumes.
func (s *Server) backUp(t *task, b *backup, r *report, partial bool) {
	db := b.local
	old := map[string]diskFile{}
	prev := db.newest()
	if prev != nil {
		for _, f := range prev.files {
			old[f.path] = f
		}
	}
	for _, f := range t.work.seen {
		was, known := old[f.path]
		switch {
		case !known:
			r.counts.added = append(r.counts.added, f)
		case was != f:
			r.counts.modified = append(r.counts.modified, f)
		}
		delete(old, f.path)
	}
	if !partial {
		r.counts.deleted = len(old)
	}
	r.counts.examined = t.work.seen
	r.counts.opened = append(r.counts.added[:len(r.counts.added):len(r.counts.added)], r.counts.modified...)
	folders := len(t.config.sources) - len(t.work.missing)
	if prev == nil {
		r.counts.addedFolders = folders
	} else if len(r.counts.opened) > 0 && s.gen.nonce {
		r.counts.modifiedFolders = folders
	}
	r.partial = partial
	r.interrupted = t.stop && s.gen.interrupted
	r.list(len(db.volumes))
	if s.gen.nonce {
		db.list(t.work.began, false, s.gen)
	}
	changed := prev == nil || len(r.counts.opened) > 0 || r.counts.deleted > 0
	if changed {
		v := &version{time: t.work.began.Truncate(time.Second), files: t.work.seen, dirs: folders, full: !partial}
		if prev != nil && !v.time.After(prev.time) {
			v.time = prev.time.Add(time.Second)
		}
		for _, vol := range newVolumes(t, sum(r.counts.opened), v.time) {
			vol.at = s.at
			db.put(vol)
			r.put(vol)
		}
		db.versions = append(db.versions, v)
	}
	if partial && s.gen.nonce {
		return // no verification of an interrupted run
	}
	if changed && !partial {
		r.compacted = true
		r.info("Database."+s.gen.databaseSpace()+"LocalDeleteDatabase-CompactReason", "Compacting not required")
	}
	r.list(len(db.volumes))
	db.list(s.at, false, s.gen)
	r.tested = true
	if !partial {
		for _, vol := range db.sample() {
			if !s.gen.connections { // later ones write these rows too late to be seen
				db.get(vol, s.at)
			}
			r.get(vol)
		}
		r.info("Operation.TestHandler-Test results", fmt.Sprintf("Successfully verified %d remote files", len(r.sample)))
	}
}

// sample is what a verification looks at: of each kind the newest.
func (db *localDB) sample() []volume {
	var out []volume
	for _, kind := range []string{".dlist.", ".dindex.", ".dblock."} {
		for i := len(db.volumes) - 1; i >= 0; i-- {
			if strings.Contains(db.volumes[i].name, kind) {
				out = append(out, db.volumes[i])
				break
			}
		}
	}
	return out
}

// listsFirst are the volumes in the order in which they are missed.
func (db *localDB) listsFirst() []volume {
	var out []volume
	for _, kind := range []string{".dlist.", ".dblock.", ".dindex."} {
		for _, v := range db.volumes {
			if strings.Contains(v.name, kind) {
				out = append(out, v)
			}
		}
	}
	return out
}

// Sizes of volumes, about those of the real engine.
const (
	blockOverhead = 3165
	indexSize     = 1325
	listSize      = 2093
)

// dataVolumes are the pairs of volumes that bytes of a task's data fill.
func dataVolumes(t *task, bytes int64) []volume {
	limit := int64(50 << 20)
	if text, ok := t.config.option("dblock-size"); ok {
		if n, err := parseSize(text, "mb"); err == nil && n > 0 {
			limit = n
		}
	}
	var out []volume
	for n := 0; bytes > 0; n += 2 {
		part := min(bytes, limit)
		bytes -= part
		out = append(out,
			volume{name: "duplicati-b" + t.work.volumeID(n) + ".dblock" + t.config.volumeSuffix(), size: part + blockOverhead},
			volume{name: "duplicati-i" + t.work.volumeID(n+1) + ".dindex" + t.config.volumeSuffix(), size: indexSize})
	}
	return out
}

func (b *backup) volumeSuffix() string {
	if b.encrypted() {
		return ".zip.aes"
	}
	return ".zip"
}

// newVolumes are the files that a version of new bytes puts at the destination.
func newVolumes(t *task, bytes int64, at time.Time) []volume {
	name := "duplicati-" + serialized(at) + ".dlist" + t.config.volumeSuffix()
	return append(dataVolumes(t, bytes), volume{name: name, size: listSize})
}

// underway is the version that the running first backup has made so far, and
// the rows of its remote log.
func (s *Server) underway(t *task) (*version, []remoteRow) {
	s.showProgress(t, s.run.progress)
	done := t.work.files[:min(s.run.progress.files, int64(len(t.work.files)))]
	db := &localDB{lastOp: 1}
	if s.gen.nonce {
		db.list(t.work.began, false, s.gen)
	}
	for _, v := range dataVolumes(t, sum(done)) {
		v.at = s.at
		db.put(v)
	}
	return &version{time: t.work.began.Truncate(time.Second), files: done, dirs: len(t.config.sources)}, db.remote
}
