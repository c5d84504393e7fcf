package ops

import (
	"context"
	"fmt"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

type statusIn struct{ tools.OnServer }

type slot struct {
	Task     int64  `json:"task"`
	BackupID string `json:"backup_id,omitempty"`
	Backup   string `json:"backup,omitempty"`
}

type statusOut struct {
	State       string `json:"state"` // running, paused
	PausedUntil string `json:"paused_until,omitempty"`
	Active      *slot  `json:"active,omitempty"`
	Queue       []slot `json:"queue"`
	NextRun     string `json:"next_run,omitempty"`
	NextBackup  string `json:"next_backup_id,omitempty"`
	Warnings    bool   `json:"unseen_warnings"`
	Errors      bool   `json:"unseen_errors"`
	Update      string `json:"update,omitempty"`

	server string
	ends   time.Time
	next   time.Time
}

func (o *operations) status() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "status", Summary: "Show what a server does: paused or not, what runs, what waits",
		Help:  "Says also until when a pause lasts, when the next backup is due, and whether there are warnings or errors that nobody has looked at.",
		Group: groupServer, Toolset: core, Risk: tools.Read, Idempotent: true, Home: true, Resource: "status",
		Examples: []string{"status", "status --server all"},
	}, tools.Handler[statusIn, statusOut]{Do: o.doStatus, View: viewStatus})
}

func (o *operations) doStatus(ctx context.Context, env tools.Env, _ statusIn) (statusOut, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return statusOut{}, err
	}
	state, err := c.State(ctx)
	if err != nil {
		return statusOut{}, err
	}
	// Names cost a second request: only where something is to be named.
	var list []duplicati.Backup
	if !state.Idle() {
		if list, err = c.Backups(ctx); err != nil {
			return statusOut{}, err
		}
	}
	return statusOf(env.Server, state, list), nil
}

func statusOf(server string, s duplicati.State, list []duplicati.Backup) statusOut {
	out := statusOut{State: "running", Queue: []slot{}, Warnings: s.HasWarning, Errors: s.HasError, Update: s.Update, server: server}
	if s.Paused {
		out.State, out.PausedUntil, out.ends = "paused", stamp(s.PauseEnds), s.PauseEnds
	}
	named := func(t duplicati.Slot) slot {
		return slot{Task: t.Task, BackupID: t.Backup, Backup: nameOf(list, t.Backup)}
	}
	if s.Active != nil {
		active := named(*s.Active)
		out.Active = &active
	}
	for _, q := range s.Queue {
		out.Queue = append(out.Queue, named(q))
	}
	for _, d := range s.Next {
		if !d.Time.IsZero() && (out.next.IsZero() || d.Time.Before(out.next)) {
			out.next, out.NextRun, out.NextBackup = d.Time, stamp(d.Time), d.Backup
		}
	}
	return out
}

func (s slot) words() string {
	if s.BackupID == "" {
		return fmt.Sprintf("task %d", s.Task)
	}
	return fmt.Sprintf("%s (task %d)", s.Backup, s.Task)
}

func viewStatus(out statusOut) tools.View {
	on := map[string]any{"server": out.server}
	v := tools.View{Headline: out.server + " is idle", Tone: tools.Good}
	if out.Active != nil {
		v.Headline = out.server + " works on " + out.Active.words()
		v.Next = append(v.Next, tools.Next{Label: "Progress", Operation: "progress", Args: on})
		v.Facts = append(v.Facts, tools.Fact{Name: "Running", Value: out.Active.words()})
	}
	if out.State == "paused" {
		v.Headline, v.Tone = out.server+" is paused", tools.Notice
		if out.ends.IsZero() {
			v.Headline += " until somebody resumes it"
			v.Tone = tools.Warning
		} else {
			v.Headline += " until " + clock(out.ends)
		}
		if n := len(out.Queue); n > 0 {
			v.Headline += ", with " + plural(n, "backup", "backups") + " waiting"
			v.Tone = tools.Warning
		}
		if out.Active != nil {
			v.Notes = append(v.Notes, "what runs is halted with it and stays in its place")
		}
		v.Next = append(v.Next, tools.Next{Label: "Resume", Operation: "resume", Args: on})
	}
	for i, q := range out.Queue {
		v.Facts = append(v.Facts, tools.Fact{Name: fmt.Sprintf("Waiting %d", i+1), Value: q.words()})
	}
	if !out.next.IsZero() {
		v.Facts = append(v.Facts, tools.Fact{Name: "Next run", Value: clock(out.next) + " (backup " + out.NextBackup + ")"})
	}
	if out.Errors {
		v.Tone = v.Tone.Worse(tools.Bad)
	} else if out.Warnings {
		v.Tone = v.Tone.Worse(tools.Warning)
	}
	if out.Errors || out.Warnings {
		what := map[bool]string{true: "errors", false: "warnings"}[out.Errors]
		v.Facts = append(v.Facts, tools.Fact{Name: "Unseen", Value: "there are " + what + " that nobody has dismissed", Tone: v.Tone})
		v.Next = append(v.Next, tools.Next{Label: "Which backups", Operation: "list-backups", Args: map[string]any{"problems": true, "server": out.server}})
	}
	if out.Update != "" {
		v.Facts = append(v.Facts, tools.Fact{Name: "Update", Value: out.Update + " could be installed"})
	}
	return v
}
