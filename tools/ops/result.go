package ops

import (
	"context"
	"errors"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

type resultIn struct {
	Backup string `json:"backup" jsonschema:"ID or exact name" tool:"pos,complete=backups"`
	tools.OnServer
}

type resultOut struct {
	BackupID string `json:"backup_id"`
	Backup   string `json:"backup"`
	Outcome  string `json:"outcome"` // succeeded, empty, warning, error, fatal, stopped, unknown, never_ran
	Why      string `json:"why,omitempty"`
	Running  bool   `json:"running_now,omitempty"`

	Began   string `json:"began,omitempty"`
	Ended   string `json:"ended,omitempty"`
	Seconds int64  `json:"duration_seconds,omitempty"`

	FilesExamined *int64 `json:"files_examined,omitempty"`
	FilesAdded    *int64 `json:"files_added,omitempty"`
	FilesChanged  *int64 `json:"files_changed,omitempty"`
	FilesDeleted  *int64 `json:"files_deleted,omitempty"`
	FilesNotRead  *int64 `json:"files_not_read,omitempty"`
	BytesUploaded *int64 `json:"bytes_uploaded,omitempty"`

	// What the server's log says, at most 20 of each.
	Warnings      []string `json:"warnings"`
	WarningsTotal int64    `json:"warnings_total"`
	Errors        []string `json:"errors"`
	ErrorsTotal   int64    `json:"errors_total"`

	LastSuccess string `json:"last_success,omitempty"`
	LastError   string `json:"last_error,omitempty"`
	LastErrorAt string `json:"last_error_at,omitempty"`

	server string
	log    *duplicati.Result
	good   bool // a last success is known
}

const neverRan = "never_ran"

func (o *operations) result() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "result", Summary: "Show how the last run of a backup went, with its warnings",
		Help: "Reads the log of the backup, and what the server noted where the log is in use. " +
			"A run that was stopped, looked at no file or left no trace is not called a success.",
		Group: groupBackups, Toolset: core, Risk: tools.Read, Idempotent: true,
		Examples: []string{"result Photos"},
	}, tools.Handler[resultIn, resultOut]{
		Complete: complete{"backup": o.completeBackups},
		Do:       o.doResult, View: viewResult,
	})
}

func (o *operations) doResult(ctx context.Context, env tools.Env, in resultIn) (resultOut, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return resultOut{}, err
	}
	list, state, err := backupsAndState(ctx, c)
	if err != nil {
		return resultOut{}, err
	}
	b, err := pick(list, env.Server, in.Backup)
	if err != nil {
		return resultOut{}, err
	}
	out := resultOut{BackupID: b.ID, Backup: b.Name, Running: state.Runs(b.ID), Warnings: []string{}, Errors: []string{}, server: env.Server}
	rows, err := c.Log(ctx, b.ID, duplicati.Page{Size: 100})
	locked := errors.Is(err, duplicati.DatabaseLocked)
	if err != nil && !locked {
		return resultOut{}, err
	}
	out.read(rows)
	out.judge(b.Facts, locked)
	return out, nil
}

// read takes the newest run from the log, and the newest success.
func (out *resultOut) read(rows []duplicati.LogRow) {
	for _, r := range rows {
		switch {
		case r.Type != "Result":
		case r.Result == nil && out.log == nil && out.Outcome == "":
			out.Outcome, out.Why = string(duplicati.NotKnown), "the newest row of the log cannot be read"
		case r.Result == nil || !r.Result.IsRun():
		default:
			if out.log == nil && out.Outcome == "" {
				out.take(*r.Result)
			}
			if r.Result.Verdict() == duplicati.Succeeded && out.LastSuccess == "" {
				out.LastSuccess, out.good = stamp(r.Result.End), true
			}
		}
	}
}

func (out *resultOut) take(r duplicati.Result) {
	out.log = &r
	out.Outcome, out.Began, out.Ended, out.Seconds = string(r.Verdict()), stamp(r.Begin), stamp(r.End), int64(r.Duration.Seconds())
	out.FilesExamined, out.FilesAdded, out.FilesChanged, out.FilesDeleted = r.ExaminedFiles, r.AddedFiles, r.ModifiedFiles, r.DeletedFiles
	out.FilesNotRead, out.BytesUploaded = r.ErrorFiles, r.UploadedBytes
	for _, w := range r.Warnings {
		out.Warnings = append(out.Warnings, cut(w, 300))
	}
	for _, e := range r.Errors {
		out.Errors = append(out.Errors, cut(e, 300))
	}
	out.WarningsTotal, out.ErrorsTotal = r.WarningCount, r.ErrorCount
}

// judge adds what the server noted beside the log: runs that fail early leave
// no row.
func (out *resultOut) judge(f duplicati.Facts, locked bool) {
	if !f.LastError.IsZero() {
		out.LastError, out.LastErrorAt = cut(f.LastErrorMessage, 500), stamp(f.LastError)
	}
	newer := out.log == nil || f.LastError.After(out.log.End.Add(slack))
	switch {
	case f.Failing() && newer:
		out.Outcome, out.Why = string(duplicati.Fatal), "the server noted an error after the last run that is in the log"
		if out.log == nil {
			out.Why = "the server noted an error, and the log has no run"
		}
	case out.Outcome != "":
	case locked:
		out.Outcome, out.Why = string(duplicati.NotKnown), "the log is in use, and tells when that is over"
		out.LastSuccess = stamp(f.LastFinished)
	case f.NeverRan() && f.LastFinished.IsZero():
		out.Outcome = neverRan
	default:
		out.Outcome, out.Why = string(duplicati.NotKnown), "the log has no run of it"
	}
	if locked && out.LastSuccess == "" {
		out.LastSuccess = stamp(f.LastFinished)
	}
}

func viewResult(out resultOut) tools.View {
	args := map[string]any{"backup": byID + out.BackupID, "server": out.server}
	v := tools.View{Next: []tools.Next{{Label: "Run again", Operation: "run", Args: args}}}
	verdict := duplicati.Verdict(out.Outcome)
	switch {
	case out.Outcome == neverRan:
		v.Headline, v.Tone = out.Backup+" has never run", tools.Unclear
		v.Next[0].Label = "Run"
	case out.Running && verdict == duplicati.NotKnown:
		v.Headline, v.Tone = out.Backup+" runs at the moment, and how its last run went cannot be read meanwhile", verdictTone[verdict]
	default:
		v.Headline, v.Tone = "the last run of "+out.Backup+" "+verdictWords[verdict], verdictTone[verdict]
	}
	if out.Why != "" {
		v.Notes = append(v.Notes, out.Why)
	}
	if out.log != nil {
		v.Facts = resultFacts(*out.log)
	}
	if out.Outcome != string(duplicati.Succeeded) && out.LastSuccess != "" {
		v.Facts = append(v.Facts, tools.Fact{Name: "Last success", Value: out.LastSuccess})
	}
	if out.Running {
		v.Notes = append(v.Notes, "it runs again at the moment")
		v.Next = []tools.Next{{Label: "Progress", Operation: "progress", Args: args}}
	}
	if len(out.Errors) > 0 {
		v.Data = append(v.Data, tools.Quote{Source: "errors in the log", Lines: out.Errors, Total: int(out.ErrorsTotal)})
	}
	if len(out.Warnings) > 0 {
		v.Data = append(v.Data, tools.Quote{Source: "warnings in the log", Lines: out.Warnings, Total: int(out.WarningsTotal)})
	}
	if out.LastError != "" && out.Outcome == string(duplicati.Fatal) {
		v.Data = append(v.Data, tools.Quote{Source: "last error, " + out.LastErrorAt, Lines: []string{out.LastError}})
	}
	return v
}
