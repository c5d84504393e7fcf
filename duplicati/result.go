package duplicati

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Verdict is how an operation on a backup ended, when all that the log says of
// it is taken together.
type Verdict string

// The verdicts. Only Succeeded is one.
const (
	Succeeded Verdict = "succeeded"
	Empty     Verdict = "empty" // a backup that succeeded and looked at no file
	Warned    Verdict = "warning"
	Erred     Verdict = "error"
	Fatal     Verdict = "fatal"
	Stopped   Verdict = "stopped" // by a person, or cut off: what it saved is partial
	NotKnown  Verdict = "unknown" // the log does not say, or not in words this client reads
)

// Result is what the log of a backup says of one operation.
type Result struct {
	Operation   string // "Backup", "Sync", "Restore", "List", "Compact", ...
	Parsed      string // Duplicati's own word: "Success", "Warning", "Error", "Fatal", "Unknown"
	Interrupted bool   // only 2.3.1 says so
	Partial     bool
	DryRun      bool
	Begin       time.Time
	End         time.Time
	Duration    time.Duration
	Version     string // of the server

	ExaminedFiles *int64 // nil where the operation has no such number
	ExaminedBytes *int64
	AddedFiles    *int64
	AddedBytes    *int64
	ModifiedFiles *int64
	DeletedFiles  *int64
	ErrorFiles    *int64 // could not be read
	UploadedBytes *int64

	Warnings     []string // at most 20, without URLs
	Errors       []string
	WarningCount int64 // how many there really were
	ErrorCount   int64
}

// IsRun reports whether the operation was the backup itself. Listings,
// verifications and restores write to the same log.
func (r Result) IsRun() bool { return r.Operation == "Backup" || r.Operation == "Sync" }

// Verdict takes the result's words and numbers together. Partial and
// Interrupted come first: a stopped run calls itself a warning.
func (r Result) Verdict() Verdict {
	switch {
	case r.Interrupted || r.Partial:
		return Stopped
	case r.Parsed == "Fatal":
		return Fatal
	case r.Parsed == "Error" || r.ErrorCount > 0:
		return Erred
	case r.Parsed == "Warning" || r.WarningCount > 0:
		return Warned
	case r.Parsed != "Success", r.Operation == "Backup" && r.ExaminedFiles == nil:
		return NotKnown
	case r.Operation == "Backup" && *r.ExaminedFiles == 0:
		return Empty
	}
	return Succeeded
}

type wireResult struct {
	MainOperation        *string
	ParsedResult         string
	Interrupted          bool
	PartialBackup        bool
	Dryrun               bool
	BeginTime, EndTime   stamp
	Duration             string
	Version              string
	ExaminedFiles        *int64
	SizeOfExaminedFiles  *int64
	AddedFiles           *int64
	SizeOfAddedFiles     *int64
	ModifiedFiles        *int64
	DeletedFiles         *int64
	FilesWithError       *int64
	Warnings             []string
	Errors               []string
	WarningsActualLength int64
	ErrorsActualLength   int64
	BackendStatistics    *struct{ BytesUploaded *int64 }
}

// parseResult reads the message of a log row; nil when it is no result.
func parseResult(message string) *Result {
	var w wireResult
	if json.Unmarshal([]byte(message), &w) != nil || w.MainOperation == nil {
		return nil
	}
	r := &Result{
		Operation: printable(*w.MainOperation), Parsed: printable(w.ParsedResult), Interrupted: w.Interrupted, Partial: w.PartialBackup, DryRun: w.Dryrun,
		Begin: time.Time(w.BeginTime), End: time.Time(w.EndTime), Version: printable(w.Version),
		ExaminedFiles: w.ExaminedFiles, ExaminedBytes: w.SizeOfExaminedFiles, AddedFiles: w.AddedFiles, AddedBytes: w.SizeOfAddedFiles,
		ModifiedFiles: w.ModifiedFiles, DeletedFiles: w.DeletedFiles, ErrorFiles: w.FilesWithError,
		WarningCount: max(w.WarningsActualLength, int64(len(w.Warnings))), ErrorCount: max(w.ErrorsActualLength, int64(len(w.Errors))),
		Warnings: scrubAll(w.Warnings), Errors: scrubAll(w.Errors),
	}
	r.Duration, _ = ParseSpan(w.Duration)
	if w.BackendStatistics != nil {
		r.UploadedBytes = w.BackendStatistics.BytesUploaded
	}
	return r
}

func scrubAll(texts []string) []string {
	out := make([]string, 0, len(texts))
	for _, t := range texts {
		out = append(out, scrub(t))
	}
	return out
}

// LogRow is a row of a backup's log.
type LogRow struct {
	ID        int64 // grows; Before of the next page
	Operation int64 // rows of one operation share it
	Time      time.Time
	Type      string  // "Result" of those that have one
	Result    *Result // nil: the row is no result, or none that can be read
}

// Page says which rows: those below Before, newest first.
type Page struct {
	Before int64 // 0: from the newest
	Size   int   // 10 to 500; 0 is 100
}

func (p Page) query(op string) (url.Values, error) {
	q := url.Values{}
	if p.Before < 0 || p.Size != 0 && (p.Size < 10 || p.Size > 500) {
		return nil, refuse(op, Misused, "a page has 10 to 500 rows; nothing was sent")
	}
	if p.Before > 0 {
		q.Set("offset", strconv.FormatInt(p.Before, 10))
	}
	if p.Size > 0 {
		q.Set("pagesize", strconv.Itoa(p.Size))
	}
	return q, nil
}

// Log reads the log of a backup, newest first. DatabaseLocked while something
// works on the backup (2.3.1): try again later. An aborted run leaves no row on
// 2.1.
func (c *Client) Log(ctx context.Context, backup string, p Page) ([]LogRow, error) {
	k := call{op: "read backup log", method: http.MethodGet, path: backupPath(backup, "/log"), auth: true, limit: logLimit}
	var err error
	if k.query, err = p.query(k.op); err != nil {
		return nil, err
	}
	var rows []struct {
		ID, OperationID, Timestamp int64
		Type, Message              words
	}
	if err := c.do(ctx, k, &rows); err != nil {
		return nil, err
	}
	out := make([]LogRow, 0, len(rows))
	for _, r := range rows {
		row := LogRow{ID: r.ID, Operation: r.OperationID, Time: time.Unix(r.Timestamp, 0).UTC(), Type: printable(string(r.Type))}
		if row.Type == "Result" {
			row.Result = parseResult(string(r.Message))
		}
		out = append(out, row)
	}
	return out, nil
}

// ServerLogRow is a row of the server's own log of errors.
type ServerLogRow struct {
	Backup    string // "" for none
	Time      time.Time
	Message   string
	Exception string // its first line
}

// ServerLog reads the server's log of errors, newest first; Page.Before is in
// unix seconds here.
func (c *Client) ServerLog(ctx context.Context, p Page) ([]ServerLogRow, error) {
	k := call{op: "read server log", method: http.MethodGet, path: "/api/v1/logdata/log", auth: true, limit: logLimit}
	var err error
	if k.query, err = p.query(k.op); err != nil {
		return nil, err
	}
	var rows []struct {
		BackupID           identifier
		Message, Exception words
		Timestamp          int64
	}
	if err := c.do(ctx, k, &rows); err != nil {
		return nil, err
	}
	out := make([]ServerLogRow, 0, len(rows))
	for _, r := range rows {
		out = append(out, ServerLogRow{
			Backup: string(r.BackupID), Time: time.Unix(r.Timestamp, 0).UTC(), Message: scrub(string(r.Message)), Exception: firstLine(string(r.Exception)),
		})
	}
	return out, nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return scrub(line)
}
