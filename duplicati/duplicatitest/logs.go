package duplicatitest

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// crash is an exception that no endpoint expects: the client hears that an
// error occurred, the live log has it in full.
type crash struct{ class, text string }

func (e *crash) Error() string { return e.class + ": " + e.text }

// liveRow is an entry of the live log.
type liveRow struct {
	id                 int64
	at                 time.Time
	level              logLevel
	message, tag       string
	failureID, failure string
	backupID, taskID   string
}

type logLevel int

var logLevels = []string{"ExplicitOnly", "Profiling", "Verbose", "Retry", "Information", "DryRun", "Warning", "Error"}

const (
	levelInformation logLevel = 4
	levelWarning     logLevel = 6
	levelError       logLevel = 7
)

// The live log's buffer: how many entries it keeps while a level is recorded
// and while nobody asks, how many quieter ones come with the work of a task,
// and how long a poll keeps its level recorded.
const (
	liveBuffer  = 5000
	liveIdle    = 30
	taskChatter = 7
	failChatter = 2
	workChatter = 200
	addChatter  = 4
	pollKeeps   = 30 * time.Second
)

func (s *Server) addLive(row liveRow) {
	s.run.lastLive++
	row.id, row.at = s.run.lastLive, s.at
	s.run.live = append(s.run.live, row)
	s.trimLive()
}

// chatter stands for entries of levels that nobody records: they take numbers,
// and push older ones out of the buffer.
func (s *Server) chatter(n int64) {
	s.run.lastLive += n
	s.trimLive()
}

// trimLive drops what the buffer no longer holds.
func (s *Server) trimLive() {
	keep := int64(liveIdle)
	for _, until := range s.run.levels {
		if until.After(s.at) {
			keep = liveBuffer
		}
	}
	s.run.live = slices.DeleteFunc(s.run.live, func(r liveRow) bool { return r.id <= s.run.lastLive-keep })
}

func logRoutes(rs *routes, g *generation) {
	rs.add("GET", "/api/v1/logdata/log", bearer, noBody, try((*Server).serverLog))
	rs.add("GET", "/api/v1/logdata/poll", bearer, noBody, try((*Server).pollLog))
	if g.nonce {
		rs.add("GET", "/api/v1/logdata/crashlog", bearer, noBody, func(_ *Server, c *call) { c.json(object{{"Logdata", nil}}) })
	}
	rs.add("GET", "/api/v1/bugreport/{id}", anyone, noBody, try((*Server).bugReport))
}

func (s *Server) serverLog(c *call) error {
	below, size, err := c.query.pageOf()
	if err != nil {
		return err
	}
	out := []object{}
	for _, row := range slices.Backward(s.db.errors) {
		if row.at.Unix() < below && int64(len(out)) < size {
			var backup, failure any = object{}, object{}
			if row.backup != nil {
				backup = *row.backup
			}
			if row.failure != "" {
				failure = row.failure
			}
			out = append(out, object{
				{"BackupID", backup}, {"Message", row.message}, {"Exception", failure}, {"Timestamp", row.at.Unix()},
			})
		}
	}
	c.json(out)
	return nil
}

func (s *Server) pollLog(c *call) error {
	after, given, err := c.query.long("id")
	size, sizeErr := c.query.pageSize(1, 500)
	level := slices.Index(logLevels, c.query.text("level"))
	if err != nil || sizeErr != nil || !given || level < 0 {
		if _, err := parseLong(c.query.text("level")); err == nil {
			return unknownOf("a level that is a number")
		}
		return errBind
	}
	s.run.levels[logLevels[level]] = s.at.Add(pollKeeps)
	var out []object
	for _, row := range slices.Backward(s.run.live) {
		if row.id <= after || int64(len(out)) == size {
			break
		}
		if row.level >= logLevel(level) {
			out = append(out, row.render())
		}
	}
	slices.Reverse(out)
	c.json(append([]object{}, out...))
	return nil
}

func (r *liveRow) render() object {
	return object{
		{"When", local(r.at)}, {"ID", r.id}, {"Message", r.message}, {"Tag", logLevels[r.level] + "-" + r.tag},
		{"MessageID", r.tag[strings.LastIndexByte(r.tag, '-')+1:]}, {"ExceptionID", orNil(r.failureID)}, {"Type", logLevels[r.level]},
		{"Exception", orNil(r.failure)}, {"BackupID", orNil(r.backupID)}, {"TaskID", orNil(r.taskID)},
	}
}

// logFailure writes down what an endpoint did not expect.
func (s *Server) logFailure(c *call, err error) {
	e, ok := err.(*crash)
	if !ok || !s.gen.connections {
		return
	}
	s.addLive(liveRow{
		level: levelError, message: "Unhandled exception in webserver request to " + c.r.URL.Path,
		tag: "Duplicati.WebserverCore.DuplicatiWebserver-UnhandledException", failureID: e.class, failure: e.Error(),
	})
}

func (s *Server) logPasswordFailure() {
	const class = "Duplicati.WebserverCore.Exceptions.UnauthorizedException"
	s.addLive(liveRow{
		level: levelError, message: "Failed to log in", tag: "Duplicati.WebserverCore.Endpoints.V1.Auth-PasswordLoginError",
		failureID: class, failure: class + ": Invalid password",
	})
}

// addError writes a row that GET logdata/log shows.
func (s *Server) addError(b *backup, message, failure string) {
	row := errorRow{message: message, failure: failure, at: s.at}
	if b != nil {
		if id, err := strconv.ParseInt(b.id, 10, 64); err == nil {
			row.backup = &id
		}
	}
	s.db.errors = append(s.db.errors, row)
}

// logException writes a task's failure to the server's log and the live log.
func (s *Server) logException(b *backup, t *task, f *failure) {
	s.chatter(failChatter)
	s.addLive(liveRow{
		level: levelError, message: "The operation " + mainOperation(t.op) + " has failed", tag: "Duplicati.Library.Main.Controller-FailedOperation",
		failureID: f.id(), failure: f.full(), backupID: b.id, taskID: strconv.FormatInt(t.id, 10),
	})
	if f.class == "TaskCanceledException" || f.helpID == "SourceIsMissing" && !s.gen.nonce {
		return
	}
	what := mainOperation(t.op)
	if what == "Backup" && s.gen.syncMode {
		what = "BackupOrSync"
	}
	failed := fmt.Sprintf("Failed while executing %s %q (id: %s)", what, b.name, b.id)
	switch {
	case !s.gen.workerLog:
		s.addError(b, failed, f.full())
	case s.gen.connections:
		s.addError(b, "Error in worker", f.full())
		s.addError(b, failed, f.full())
	default:
		s.addError(b, failed, f.full())
		s.addError(b, "Error in worker", f.full())
	}
}

// id is how the live log names an exception.
func (f *failure) id() string {
	if f.helpID != "" {
		return f.helpID
	}
	return f.space + "." + f.class
}

func mainOperation(op operation) string {
	if name, ok := mainOperations[op]; ok {
		return name
	}
	return string(op)
}

func (s *Server) logFailedListing(b *backup, main string, f *failure) {
	s.addLive(liveRow{
		level: levelError, message: "The operation " + main + " has failed", tag: "Duplicati.Library.Main.Controller-FailedOperation",
		failureID: f.id(), failure: f.full(), backupID: b.id,
	})
	s.addError(b, fmt.Sprintf("Failed while executing %s %q (id: %s)", main, b.name, b.id), f.full())
}

// logBegin writes what the engine says at the start of an operation.
func (s *Server) logBegin(t *task) {
	s.chatter(taskChatter)
	id := strconv.FormatInt(t.id, 10)
	if s.gen.warnsOptions {
		for _, name := range unknownOptions(t.config.target) {
			s.addLive(liveRow{
				level: levelWarning, message: "The supplied option --" + name + " is not supported and will be ignored",
				tag: "Duplicati.Library.Main.Controller-UnsupportedOption", backupID: t.config.id, taskID: id,
			})
		}
	}
	s.addLive(liveRow{
		level: levelInformation, message: "The operation " + mainOperation(t.op) + " has started",
		tag: "Duplicati.Library.Main.Controller-StartingOperation", backupID: t.config.id, taskID: id,
	})
}

// MissUpdates lets the server look for an update and not reach the place that
// has them, as a server without a way out does now and then.
func (s *Server) MissUpdates() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step()
	for _, host := range []string{"alt.updates.duplicati.com:80", "updates.duplicati.com:80"} {
		s.addError(nil, "Error in updater", "System.Net.Http.HttpRequestException: Name or service not known ("+host+")")
		none := int64(-1)
		s.db.errors[len(s.db.errors)-1].backup = &none
	}
	s.db.settings.set("last-update-check", strconv.FormatInt(ticks(s.at), 10))
	s.bumpData()
}

// bugReport sends what createreport has made.
func (s *Server) bugReport(c *call) error {
	if err := s.checkOperation(c, "bugreport"); err != nil {
		return err
	}
	id, err := parseLong(c.values["id"])
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(s.db.notifications, func(n *notification) bool {
		return n.action == "bug-report:created:"+strconv.FormatInt(id, 10)
	}) {
		return failf(http.StatusNotFound, "Invalid or missing bugreport id")
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.Create("system-info.txt")
	if err == nil {
		_, err = fmt.Fprintf(w, "Duplicati: %s\n", s.gen.engine)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return err
	}
	c.download("bugreport.zip", out.Bytes())
	return nil
}

// download sends a file.
func (c *call) download(name string, content []byte) {
	c.header.Set("Content-Type", "application/octet-stream")
	c.header.Set("Content-Disposition", "attachment; filename="+name)
	c.header.Set("Content-Length", strconv.Itoa(len(content)))
	c.out = content
}
