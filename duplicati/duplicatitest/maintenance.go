package duplicatitest

import (
	"fmt"
	"strconv"
)

// mainOperations are the names that results have for what tasks do.
var mainOperations = map[operation]string{
	opVerify: "Test", opCompact: "Compact", opRepair: "Repair", opRepairLast: "Repair", opVacuum: "Vacuum",
	opReport: "CreateLogDb", opRemoteSize: "ListRemote", opRestore: "Restore", opPurgeBroken: "PurgeBrokenFiles",
	opDeleteOld: "Delete",
}

// completeOther ends a task that is neither a backup nor a delete.
func (s *Server) completeOther(t *task, b *backup) {
	r := s.newReport(mainOperations[t.op], t.work.began, b)
	if t.abort {
		s.failBackup(t, b, r, s.canceled())
		return
	}
	logged := true
	switch t.op {
	case opVerify:
		r.list(len(b.local.volumes))
		for _, v := range b.local.sample() {
			r.get(v)
		}
		r.info("Operation.TestHandler-Test results", fmt.Sprintf("Successfully verified %d remote files", len(r.sample)))
		r.own = r.testMembers()
	case opCompact:
		r.info("Database."+s.gen.databaseSpace()+"LocalDeleteDatabase-CompactReason", "Compacting not required")
		r.own = compactMembers()
		setTimes(&b.metadata, "Compact", r.begin, s.at)
		logged = s.gen.nonce
	case opRepair, opRepairLast:
		r.list(len(b.local.volumes))
		r.info("Operation.RepairHandler-DatabaseIsSynchronized", "Destination and database are synchronized, not making any changes")
		r.own = object{{"MainOperation", "Repair"}, {"RecreateDatabaseResults", nil}}
	case opVacuum:
		r.own = object{{"MainOperation", "Vacuum"}}
		setTimes(&b.metadata, "Vacuum", r.begin, s.at)
		logged = s.gen.nonce
	case opRestore:
		s.completeRestore(t, b, r)
	case opDeleteOld:
		s.deleteOld(t, b, r)
	case opReport:
		logged = false
		s.notify(&notification{
			kind: "Information", title: "Bugreport", message: "Bugreport is ready for download",
			action: "bug-report:created:" + strconv.FormatInt(s.run.lastTask, 10),
		})
	default:
		r.list(len(b.local.volumes))
		r.own = object{{"MainOperation", r.main}}
	}
	if logged {
		b.local.log(s.at, r.message())
	}
	if r.stats.known != nil {
		s.destinationMetadata(b)
	}
	s.endProgress(t, lastPhase(t.op))
	s.gotWarnings(b, r)
	s.backupsChanged()
}

func lastPhase(op operation) string {
	switch list := stages[op]; {
	case op == opRestore:
		return "Restore_Complete"
	case len(list) > 0:
		return list[len(list)-1].phase
	}
	return "Starting_Operation"
}

// gotWarnings tells of an operation other than a backup that had warnings.
func (s *Server) gotWarnings(b *backup, r *report) {
	if len(r.warnings) > 0 {
		s.notifyResult(b, "Warning", fmt.Sprintf("Got %d warning(s)", len(r.warnings)), "backup:show-log")
	}
}

func (s *Server) completeRestore(t *task, b *backup, r *report) {
	var files []diskFile
	var folders int
	if v := b.local.newest(); v != nil {
		for _, f := range v.files {
			for _, p := range t.restorePaths {
				if f.path == p || len(p) > 0 && p[len(p)-1] == '/' && len(f.path) > len(p) && f.path[:len(p)] == p {
					files = append(files, f)
					break
				}
			}
		}
		if len(t.restorePaths) == 0 {
			files = v.files
		}
		r.list(len(b.local.volumes))
		r.info("Database."+s.gen.databaseSpace()+"LocalRestoreDatabase-SearchingBackup",
			fmt.Sprintf("Searching backup 0 (%s) ...", v.time.Format("01/02/2006 15:04:05")))
		if !s.gen.nonce {
			r.info("Operation.RestoreHandler-RemoteFileCount", "1 remote files are required to restore")
		}
		for _, vol := range b.local.sample() {
			if vol.size > listSize {
				r.get(vol)
			}
		}
	}
	if s.gen.connections && len(files) > 0 {
		folders = 1
	}
	g := s.gen
	if g.nonce {
		r.own = object{{"BrokenLocalFiles", []string{}}, {"BrokenRemoteFiles", []string{}}}
	}
	r.own = append(r.own, object{{"RestoredFiles", len(files)}, {"SizeOfRestoredFiles", sum(files)}}...)
	if g.connections {
		r.own = r.own.with("SizeOfRestoredData", sum(files))
	}
	r.own = append(r.own, object{
		{"RestoredFolders", folders}, {"RestoredSymlinks", 0}, {"PatchedFiles", 0}, {"DeletedFiles", 0},
		{"DeletedFolders", 0}, {"DeletedSymlinks", 0},
	}...)
	if g.connections {
		r.own = append(r.own, object{
			{"UnmodifiedFiles", 0}, {"SizeOfUnmodifiedFiles", 0}, {"RestorePath", orNil(t.restoreTo)}, {"TotalVolumesAccessed", len(r.sample)},
		}...)
	}
	r.own = append(r.own, object{{"MainOperation", "Restore"}, {"RecreateDatabaseResults", nil}}...)
	setTimes(&b.metadata, "Restore", r.begin, s.at)
}

// deleteOld removes versions, numbered from the newest.
func (s *Server) deleteOld(t *task, b *backup, r *report) {
	drop := map[*version]bool{}
	versions := b.local.newestFirst()
	for _, n := range t.deletes {
		if n >= 0 && n < int64(len(versions)) {
			drop[versions[n]] = true
		}
	}
	var keep []*version
	var gone []object
	for _, v := range b.local.versions {
		if drop[v] {
			gone = append(gone, object{{"Item1", len(gone)}, {"Item2", utc(v.time)}})
			continue
		}
		keep = append(keep, v)
	}
	r.list(len(b.local.volumes))
	b.local.versions = keep
	r.own = object{{"MainOperation", "Delete"}, {"DeletedSetsActualLength", len(gone)}, {"DeletedSets", gone}, {"Dryrun", false}, {"CompactResults", nil}}
}

// within runs a listing of the engine inside a request: it costs a task ID, and
// a log row since 2.2.
func (s *Server) within(b *backup, r *report) {
	s.spendTask()
	if s.gen.nonce {
		b.local.log(s.at, r.message())
	}
}

// listingFailed is what a listing of a backup that never ran leaves behind.
func (s *Server) listingFailed(b *backup, main string) error {
	s.spendTask()
	f := &failure{
		class: "UserInformationException", space: "Duplicati.Library.Interface", helpID: "EmptyRemoteFolder",
		text: "No filesets found on remote target",
		at:   "   at Duplicati.Library.Main.Operation.ListFilesHandler.RunAsync(IBackendManager backendManager, IEnumerable`1 filterstrings, IFilter compositefilter) in /src/Duplicati/Library/Main/Operation/ListFilesHandler.cs:line 145",
	}
	s.recordError(b, f)
	s.logFailedListing(b, main, f)
	s.notifyFailure(b, f)
	s.backupsChanged()
	return errEmptyRemote
}
