package duplicati

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/duplibot/duplibot/secret"
)

// Backup is a configured backup. Backups leaves Sources, Settings and Filters
// nil, as the server does not send them; Backup reads them.
type Backup struct {
	ID          string
	Name        string // free text; two backups can differ by case only
	Description string
	Tags        []string
	Sync        bool // copies files one to one and keeps no versions (2.3.1)
	Temporary   bool

	Destination Destination
	TargetURL   secret.Value // with its credentials
	MoreTargets int          // further destinations that are kept in step (2.3)

	DBPath       string
	DBPathExists *bool // nil on 2.1

	Sources  []string // remote ones without their URL
	Settings []Setting
	Filters  []Filter

	Facts    Facts
	Schedule *Schedule // nil: runs only when asked
}

// Setting is one option of a backup. Names of advanced options begin with
// "--". Values can be secrets; servers before 2.3 hand passphrases out in
// clear.
type Setting struct {
	Name  string
	Value secret.Value
}

// Filter includes or excludes sources, the first that matches deciding.
type Filter struct {
	Order      int64
	Include    bool
	Expression string
}

// Setting returns the value of an option, with or without "--" before its
// name; ok is false when it is not set.
func (b Backup) Setting(name string) (v secret.Value, ok bool) {
	for _, s := range b.Settings {
		if strings.EqualFold(strings.TrimPrefix(s.Name, "--"), strings.TrimPrefix(name, "--")) {
			return s.Value, true
		}
	}
	return secret.Value{}, false
}

// Facts are what the server noted about a backup. They cost no look at the
// destination or the backup's own database. A count that is not known is nil.
type Facts struct {
	LastBackup   time.Time     // the newest version; zero: there is none
	LastStarted  time.Time     // of the last run that was not interrupted
	LastFinished time.Time     //
	LastDuration time.Duration // of that run

	LastError        time.Time // never cleared by a success: see Failing
	LastErrorMessage string

	Versions      *int64
	SourceFiles   *int64
	SourceBytes   *int64
	RemoteFiles   *int64
	RemoteBytes   *int64
	FreeBytes     *int64 // at the destination, where it tells
	QuotaBytes    *int64
	RemoteFilesAt time.Time // when the numbers about the destination are from; zero: not known
}

// NeverRan reports whether the backup has no version. Asking such a one for
// its versions does harm.
func (f Facts) NeverRan() bool { return f.LastBackup.IsZero() }

// Failing reports whether the last thing that is known is an error.
func (f Facts) Failing() bool {
	return !f.LastError.IsZero() && f.LastError.After(f.LastFinished) && f.LastError.After(f.LastBackup)
}

func factsOf(m map[string]string) Facts {
	count := func(name string) *int64 {
		n, err := strconv.ParseInt(m[name], 10, 64)
		if err != nil || n < 0 {
			return nil
		}
		return &n
	}
	quota := func(name string) *int64 {
		if n := count(name); n != nil && *n > 0 {
			return n
		}
		return nil
	}
	f := Facts{
		LastBackup: compactTime(m["LastBackupDate"]), LastStarted: compactTime(m["LastBackupStarted"]), LastFinished: compactTime(m["LastBackupFinished"]),
		LastError: compactTime(m["LastErrorDate"]), LastErrorMessage: scrub(m["LastErrorMessage"]),
		Versions: count("BackupListCount"), SourceFiles: count("SourceFilesCount"), SourceBytes: count("SourceFilesSize"),
		RemoteFiles: count("TargetFilesCount"), RemoteBytes: count("TargetFilesSize"),
		FreeBytes: quota("FreeQuotaSpace"), QuotaBytes: quota("TotalQuotaSpace"),
	}
	f.LastDuration, _ = ParseSpan(m["LastBackupDuration"])
	return f
}

// wireBackup is a Backup as the server writes it.
type wireBackup struct {
	ID            string
	Name          string
	Description   words
	Tags          []string
	TargetURL     string
	OperationType string
	DBPath        words
	DBPathExists  *bool
	Sources       []string
	Settings      []struct {
		Name  string
		Value words
	}
	Filters              []Filter
	Metadata             map[string]words
	IsTemporary          bool
	AdditionalTargetURLs []struct{}
}

type wireEntry struct {
	Backup   *wireBackup
	Schedule *wireSchedule
}

func (e wireEntry) backup() Backup {
	w := e.Backup
	meta := make(map[string]string, len(w.Metadata))
	for k, v := range w.Metadata {
		meta[k] = string(v)
	}
	b := Backup{
		ID: w.ID, Name: w.Name, Description: string(w.Description), Tags: w.Tags,
		Sync: w.OperationType == "Sync", Temporary: w.IsTemporary,
		Destination: destinationOf(w.TargetURL), TargetURL: secret.New(w.TargetURL), MoreTargets: len(w.AdditionalTargetURLs),
		DBPath: string(w.DBPath), DBPathExists: w.DBPathExists,
		Filters: w.Filters, Facts: factsOf(meta), Schedule: e.Schedule.schedule(),
	}
	for _, s := range w.Sources {
		b.Sources = append(b.Sources, source(s))
	}
	for _, s := range w.Settings {
		b.Settings = append(b.Settings, Setting{Name: s.Name, Value: secret.New(string(s.Value))})
	}
	return b
}

// Backups lists the configured backups, in the server's order.
func (c *Client) Backups(ctx context.Context) ([]Backup, error) {
	var list []wireEntry
	k := call{op: "list backups", method: http.MethodGet, path: "/api/v1/backups", auth: true}
	if err := c.do(ctx, k, &list); err != nil {
		return nil, err
	}
	return k.backups(list)
}

// mostBackups is more than anybody has, and what a list may cost here.
const mostBackups = 10_000

func (k call) backups(list []wireEntry) ([]Backup, error) {
	if len(list) > mostBackups {
		e := k.unreadable("the list has more backups than anybody has")
		e.Kind = TooLarge
		return nil, e
	}
	out := make([]Backup, 0, len(list))
	for _, e := range list {
		if e.Backup == nil || e.Backup.ID == "" {
			return nil, k.unreadable("an entry of the list is no backup")
		}
		out = append(out, e.backup())
	}
	return out, nil
}

// Backup reads one backup with its sources, settings and filters. NotFound
// when there is none of that ID.
func (c *Client) Backup(ctx context.Context, id string) (Backup, error) {
	k := call{op: "read backup", method: http.MethodGet, path: backupPath(id, ""), auth: true}
	var e wireEntry
	if err := c.do(ctx, k, &e); err != nil {
		return Backup{}, err
	}
	if e.Backup == nil || e.Backup.ID != id {
		return Backup{}, k.unreadable("the answer is not the backup that was asked for")
	}
	return e.backup(), nil
}

// IsActive reports whether the backup runs or waits. A task that belongs to no
// backup counts for all.
func (c *Client) IsActive(ctx context.Context, id string) (bool, error) {
	var r struct{ Active *bool }
	k := call{op: "ask whether the backup runs", method: http.MethodGet, path: backupPath(id, "/isactive"), auth: true}
	if err := c.do(ctx, k, &r); err != nil {
		return false, err
	}
	if r.Active == nil {
		return false, k.unreadable("the answer does not say it")
	}
	return *r.Active, nil
}

// DatabaseShared reports whether another backup uses the same local database.
func (c *Client) DatabaseShared(ctx context.Context, id string) (bool, error) {
	var r struct{ InUse *bool }
	k := call{op: "ask who uses the database", method: http.MethodGet, path: backupPath(id, "/isdbusedelsewhere"), auth: true}
	if err := c.do(ctx, k, &r); err != nil {
		return false, err
	}
	if r.InUse == nil {
		return false, k.unreadable("the answer does not say it")
	}
	return *r.InUse, nil
}

func backupPath(id, rest string) string { return "/api/v1/backup/" + url.PathEscape(id) + rest }
