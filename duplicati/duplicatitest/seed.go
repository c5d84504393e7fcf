package duplicatitest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Backup is a configuration to begin with. What is left empty is made up, but
// for the schedule: without Every there is none.
type Backup struct {
	Name        string // "" is "Backup N"
	Description string
	Tags        []string
	TargetURL   string   // "" is file:///data/dst/NAME
	Passphrase  string   // "" is "passphrase of NAME"
	Sources     []string // nil is /data/src/NAME/
	Settings    []string // more settings, "name=value"; advanced options begin with "--"

	Every string // repetition, "1D"
	Next  time.Time
	Days  []time.Weekday // nil is every day

	Runs     []Run     // it has behind it, oldest first
	Outcomes []Outcome // of the runs to come; see SetOutcome
}

// Run is one that lies in the past.
type Run struct {
	Ago     time.Duration // since its end
	Outcome Outcome
}

// AddBackup stores a configuration, without the checks that a client's would
// pass, and returns its ID.
func (s *Server) AddBackup(in Backup) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step()
	if in.Name == "" {
		in.Name = "Backup " + strconv.FormatInt(s.db.lastBackup+1, 10)
	}
	b := &backup{
		name: in.Name, description: in.Description, tags: in.Tags, target: in.TargetURL, sources: in.Sources,
		connection: -1, operation: "Backup",
	}
	if b.target == "" {
		b.target = "file:///data/dst/" + in.Name
	}
	if b.sources == nil {
		b.sources = []string{"/data/src/" + in.Name + "/"}
	}
	if in.Passphrase == "" {
		in.Passphrase = "passphrase of " + in.Name
	}
	b.settings = []setting{{name: "encryption-module", value: "aes"}, {name: "passphrase", value: in.Passphrase}, {name: "dblock-size", value: "50mb"}}
	for _, st := range in.Settings {
		name, value, _ := strings.Cut(st, "=")
		b.setSetting(name, value)
	}
	if in.Every != "" {
		b.schedule = &schedule{time: in.Next.UTC(), repeat: in.Every, days: in.Days}
	}
	s.add(b)
	for _, r := range in.Runs {
		s.past(b, r)
	}
	if in.Outcomes != nil {
		s.plans[b.id] = slices.Clone(in.Outcomes)
	}
	s.step()
	s.changed()
	return b.id
}

// past plays a run that has ended some time ago.
func (s *Server) past(b *backup, r Run) {
	now, shown, last := s.at, s.run.progress, s.run.lastTask
	t := s.newTask(b, opBackup)
	t.outcome = r.Outcome
	end := now.Add(-r.Ago)
	s.at = end.Add(-r.Outcome.takes(s.opts.TaskTime))
	s.begin(t)
	if b.schedule != nil {
		b.schedule.lastRun = s.at.Truncate(time.Second)
	}
	s.at, t.atWork = end, true
	s.complete(t)
	s.at, s.run.progress, s.run.lastTask = now, shown, last
}

// PlantCanaries puts a secret of its own into every place where a server holds
// one or may show one, and returns them all: nothing that a client hands on
// may contain any of them. The password of Options and the signing key are
// among them.
func (s *Server) PlantCanaries() []string {
	var canaries []string
	canary := func(kind string) string {
		c := "canary-" + kind + "-" + strconv.Itoa(len(canaries)) + "-" + newFamilyID()
		canaries = append(canaries, c)
		return c
	}
	if s.opts.Password != "" {
		canaries = append(canaries, s.opts.Password)
	}
	target := fmt.Sprintf("ftp://%s:%s@store.example/dir?auth-username=%s&auth-password=%s",
		canary("user"), canary("userinfo"), canary("name"), canary("auth"))
	id := s.AddBackup(Backup{
		Name: "Canary", TargetURL: target, Passphrase: canary("passphrase"),
		Settings: []string{"--send-mail-password=" + canary("mail"), "--ssl-certificate-password=" + canary("certificate")},
		Runs:     []Run{{Ago: time.Hour, Outcome: Outcome{Result: Warns, Message: "Cannot reach " + target}}},
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{"--passphrase", "--auth-password", "--send-http-json-authorization"} {
		s.db.settings.set(name, canary("default"))
	}
	if s.gen.connections {
		s.db.lastConn++
		s.db.connections = append(s.db.connections, &connection{
			id: s.db.lastConn, name: "canary", baseURL: "s3://bucket?auth-password=" + canary("connection"), created: s.at, updated: s.at,
		})
	}
	b := s.db.find(id)
	s.addError(b, "Failed to connect to "+target, "System.Exception: "+target)
	s.addLive(liveRow{level: levelError, message: "Failed to connect to " + target, tag: "Duplicati.Library.Main.Controller-FailedOperation", backupID: id})
	return append(canaries, s.db.jwt.key)
}
