package ops

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

type listIn struct {
	Detailed bool `json:"detailed,omitempty" jsonschema:"Sizes, schedule and destination too"`
	Problems bool `json:"problems,omitempty" jsonschema:"Only those that need a look"`
	tools.OnServer
}

type listOut struct {
	Backups []backupItem `json:"backups"`
	Total   int          `json:"total"`

	server   string
	paused   bool
	detailed bool
	problems int
}

// The conditions of a backup, as far as the server's notes tell them.
const (
	condGood    = "ok"
	condNever   = "never_ran"
	condWarned  = "warning"
	condEmpty   = "empty"   // succeeded and looked at no file
	condLate    = "late"    // due, and waiting for its turn
	condOverdue = "overdue" // due by its own schedule, and nothing runs or waits
	condFailing = "failing"
)

var condTone = map[string]tools.Tone{
	condGood: tools.Good, condNever: tools.Unclear, condWarned: tools.Warning, condEmpty: tools.Warning,
	condLate: tools.Notice, condOverdue: tools.Bad, condFailing: tools.Bad,
}

type backupItem struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Condition  string `json:"condition"`
	Activity   string `json:"activity,omitempty"` // running, waiting
	LastBackup string `json:"last_backup,omitempty"`
	NextRun    string `json:"next_run,omitempty"`
	LastError  string `json:"last_error,omitempty"` // where it is newer than the last success

	Detail *backupDetail `json:"detail,omitempty"`

	repeat string
	facts  duplicati.Facts
}

type backupDetail struct {
	Description      string      `json:"description,omitempty"`
	Kind             string      `json:"kind"` // backup, sync
	Schedule         string      `json:"schedule"`
	NewestVersion    string      `json:"newest_version,omitempty"`
	LastErrorAt      string      `json:"last_error_at,omitempty"`
	DurationSeconds  int64       `json:"duration_seconds,omitempty"`
	Versions         *int64      `json:"versions,omitempty"`
	SourceFiles      *int64      `json:"source_files,omitempty"`
	SourceBytes      *int64      `json:"source_bytes,omitempty"`
	DestinationBytes *int64      `json:"destination_bytes,omitempty"`
	FreeBytes        *int64      `json:"free_bytes,omitempty"`
	Destination      destination `json:"destination"`
	MoreDestinations int         `json:"more_destinations,omitempty"`
}

func (o *operations) listBackups() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "list-backups", Summary: "List the backups and how each of them is",
		Help: "Each backup has a condition: ok, warning, failing, overdue (by its own schedule), late (due and waiting), " +
			"empty (succeeded with no files) or never_ran. Of a destination nothing but scheme, host and a digest is shown.",
		Group: groupBackups, Toolset: core, Risk: tools.Read, Idempotent: true, Home: true, Resource: "backups",
		Examples: []string{"list-backups", "list-backups --detailed", "list-backups --problems --server all"},
	}, tools.Handler[listIn, listOut]{Do: o.doList, View: viewList})
}

func (o *operations) doList(ctx context.Context, env tools.Env, in listIn) (listOut, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return listOut{}, err
	}
	list, state, err := backupsAndState(ctx, c)
	if err != nil {
		return listOut{}, err
	}
	look := inspector{c: c, state: state, now: env.Now()()}
	if err := look.prepare(ctx, list); err != nil {
		return listOut{}, err
	}
	out := listOut{Backups: []backupItem{}, Total: len(list), server: env.Server, paused: state.Paused, detailed: in.Detailed}
	for _, b := range list {
		item := look.item(b)
		if in.Detailed {
			item.Detail = detailOf(b)
		}
		bad := condTone[item.Condition] != tools.Good && item.Condition != condLate
		if bad {
			out.problems++
		}
		if bad || !in.Problems {
			out.Backups = append(out.Backups, item)
		}
	}
	return out, nil
}

// backupsAndState asks for both at once.
func backupsAndState(ctx context.Context, c *duplicati.Client) (list []duplicati.Backup, state duplicati.State, err error) {
	var wg sync.WaitGroup
	var stateErr error
	wg.Go(func() { state, stateErr = c.State(ctx) })
	list, err = c.Backups(ctx)
	wg.Wait()
	if err == nil {
		err = stateErr
	}
	return list, state, err
}

// inspector judges backups by what the server noted about them. It asks for
// more only where something hints at a problem.
type inspector struct {
	c       *duplicati.Client
	state   duplicati.State
	now     time.Time
	zone    *time.Location
	alarmed map[string]string // the worst notification's type, by backup
}

func (i *inspector) prepare(ctx context.Context, list []duplicati.Backup) error {
	i.zone = time.UTC
	for _, b := range list {
		if b.Schedule == nil || b.Schedule.Next.IsZero() || b.Schedule.Next.After(i.now) {
			continue
		}
		info, err := i.c.Info(ctx)
		if err != nil {
			return err
		}
		i.zone = info.Location()
		break
	}
	if !i.state.HasError && !i.state.HasWarning {
		return nil
	}
	notes, err := i.c.Notifications(ctx)
	if err != nil {
		return err
	}
	i.alarmed = map[string]string{}
	for _, n := range notes {
		if n.Type == "Error" || n.Type == "Warning" && i.alarmed[n.Backup] == "" {
			i.alarmed[n.Backup] = n.Type
		}
	}
	return nil
}

func (i *inspector) item(b duplicati.Backup) backupItem {
	item := backupItem{ID: b.ID, Name: b.Name, LastBackup: stamp(lastGood(b.Facts)), facts: b.Facts, repeat: schedule(b.Schedule)}
	if b.Schedule != nil {
		item.NextRun = stamp(b.Schedule.Next)
	}
	_, held := i.state.Holds(b.ID)
	switch {
	case i.state.Runs(b.ID):
		item.Activity = "running"
	case held:
		item.Activity = "waiting"
	}
	if b.Facts.Failing() {
		item.LastError = cut(b.Facts.LastErrorMessage, 300)
	}
	item.Condition = i.condition(b, held)
	return item
}

func (i *inspector) condition(b duplicati.Backup, held bool) string {
	overdue := i.overdue(b)
	switch {
	case b.Facts.Failing() || i.alarmed[b.ID] == "Error":
		return condFailing
	case overdue && !held:
		return condOverdue
	case i.alarmed[b.ID] == "Warning":
		return condWarned
	case b.Facts.NeverRan() && b.Facts.LastFinished.IsZero():
		return condNever
	case b.Facts.SourceFiles != nil && *b.Facts.SourceFiles == 0:
		return condEmpty
	case overdue && !i.state.Runs(b.ID): // its time stays in the past until the run ends
		return condLate
	}
	return condGood
}

// grace is how late a run may begin before it counts as overdue.
const grace = 10 * time.Minute

// overdue compares with Duplicati's own schedule: once a run has begun, its
// next time lies in the future.
func (i *inspector) overdue(b duplicati.Backup) bool {
	if b.Schedule == nil || b.Schedule.Next.After(i.now) {
		return false
	}
	due, ok := b.Schedule.Due(i.now, i.zone)
	return ok && i.now.Sub(due) > grace && b.Schedule.LastRun.Before(due) && b.Facts.LastStarted.Before(due)
}

func detailOf(b duplicati.Backup) *backupDetail {
	d := &backupDetail{
		Description: cut(b.Description, 500), Kind: "backup", Schedule: schedule(b.Schedule),
		NewestVersion: stamp(b.Facts.LastBackup), LastErrorAt: stamp(b.Facts.LastError), DurationSeconds: int64(b.Facts.LastDuration.Seconds()),
		Versions: b.Facts.Versions, SourceFiles: b.Facts.SourceFiles, SourceBytes: b.Facts.SourceBytes,
		DestinationBytes: b.Facts.RemoteBytes, FreeBytes: b.Facts.FreeBytes,
		Destination: destinationOf(b.Destination), MoreDestinations: b.MoreTargets,
	}
	if b.Sync {
		d.Kind = "sync"
	}
	return d
}

// lastGood is when a backup last did its work: a run that found nothing new
// makes no version, and is none the worse for it.
func lastGood(f duplicati.Facts) time.Time {
	if f.LastFinished.After(f.LastBackup) {
		return f.LastFinished
	}
	return f.LastBackup
}

func viewList(out listOut) tools.View {
	v := tools.View{Headline: plural(out.Total, "backup", "backups"), Tone: tools.Good}
	switch {
	case out.Total == 0:
		v.Headline, v.Tone = "no backups are configured", tools.Notice
	case out.problems > 0:
		v.Headline += fmt.Sprintf(", %d of them %s a look", out.problems, map[bool]string{true: "needs", false: "need"}[out.problems == 1])
	default:
		v.Headline += ", all well"
	}
	if out.paused {
		v.Notes = append(v.Notes, "the server is paused: nothing starts until it is resumed")
		v.Next = append(v.Next, tools.Next{Label: "Resume", Operation: "resume", Args: map[string]any{"server": out.server}})
		v.Tone = v.Tone.Worse(tools.Notice)
	}
	v.Table = &tools.Table{Columns: []string{"ID", "Name", "Condition", "Last backup", "Next run"}}
	if out.detailed {
		v.Table.Columns = append(v.Table.Columns, "Versions", "Source", "At destination", "Destination", "Took", "Schedule")
	}
	for _, b := range out.Backups {
		v.Tone = v.Tone.Worse(condTone[b.Condition])
		condition := b.Condition
		if b.Activity != "" {
			condition += ", " + b.Activity
		}
		row := []string{b.ID, b.Name, condition, clock(lastGood(b.facts)), nextRun(b)}
		if out.detailed {
			took := "-"
			if b.facts.LastDuration > 0 {
				took = length(b.facts.LastDuration)
			}
			row = append(row, countOf(b.Detail.Versions), sizeOf(b.Detail.SourceBytes), sizeOf(b.Detail.DestinationBytes),
				b.Detail.Destination.Scheme+"://"+b.Detail.Destination.Host, took, b.Detail.Schedule)
		}
		v.Table.Rows = append(v.Table.Rows, row)
		if b.LastError != "" && len(v.Data) < 10 {
			v.Data = append(v.Data, tools.Quote{Source: "last error of " + b.Name, Lines: []string{b.LastError}})
		}
		if b.Condition == condFailing && len(v.Next) < 3 {
			v.Next = append(v.Next, tools.Next{Label: "Result of " + cut(b.Name, 30), Operation: "result", Args: map[string]any{"backup": byID + b.ID, "server": out.server}})
		}
	}
	if len(v.Table.Rows) == 0 {
		v.Table = nil
	}
	return v
}

func nextRun(b backupItem) string {
	if b.NextRun == "" {
		return b.repeat
	}
	t, err := time.Parse(time.RFC3339, b.NextRun)
	if err != nil {
		return b.NextRun
	}
	return clock(t)
}
