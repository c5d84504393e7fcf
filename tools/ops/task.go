package ops

import (
	"fmt"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

// taskOut is what is known of a task of a backup: what run, wait and progress
// answer.
type taskOut struct {
	BackupID string `json:"backup_id,omitempty"`
	Backup   string `json:"backup,omitempty"`
	Task     int64  `json:"task,omitempty"`
	State    string `json:"state"` // idle, waiting, running, over, lost
	Outcome  string `json:"outcome,omitempty"`
	Why      string `json:"why,omitempty"`
	Message  string `json:"server_message,omitempty"`

	Phase      string   `json:"phase,omitempty"`
	Percent    *float64 `json:"percent,omitempty"`
	FilesDone  int64    `json:"files_done,omitempty"`
	FilesTotal int64    `json:"files_total,omitempty"`
	BytesDone  int64    `json:"bytes_done,omitempty"`
	BytesTotal int64    `json:"bytes_total,omitempty"`
	BytesPerS  int64    `json:"bytes_per_second,omitempty"`
	Left       *int64   `json:"seconds_left,omitempty"`
	Ahead      int      `json:"tasks_ahead,omitempty"`
	Paused     bool     `json:"server_paused,omitempty"`

	Seconds  int64 `json:"duration_seconds,omitempty"`
	Warnings int64 `json:"warnings,omitempty"`
	Errors   int64 `json:"errors,omitempty"`

	Started *bool `json:"started,omitempty"` // by this call; false: something of it ran or waited already

	server    string
	seen      look
	end       *outcome
	report    tools.Progress
	quiet     bool
	following bool // a surface that can may go on asking
}

func (f *follower) out(l look, end *outcome) taskOut {
	out := taskOut{
		BackupID: f.backup.ID, Backup: f.backup.Name, Task: f.task, State: l.State, Paused: l.Paused, Ahead: l.Ahead,
		server: f.env.Server, seen: l, end: end, report: f.report(l),
	}
	if p := l.Progress; p != nil {
		out.Phase = p.Phase
		if p.Fraction >= 0 {
			percent := float64(int(p.Fraction*1000)) / 10
			out.Percent = &percent
		}
		out.FilesDone, out.FilesTotal, out.BytesDone, out.BytesTotal = p.DoneFiles, p.TotalFiles, p.DoneBytes, p.TotalBytes
		out.BytesPerS = max(p.Speed, 0)
		if p.Left != nil {
			left := int64(p.Left.Seconds())
			out.Left = &left
		}
	}
	if end != nil {
		out.Outcome, out.Why, out.Message = string(end.Verdict), end.Why, cut(end.Said, 500)
		if r := end.Result; r != nil {
			out.Seconds, out.Warnings, out.Errors = int64(r.Duration.Seconds()), r.WarningCount, r.ErrorCount
		}
	}
	return out
}

func (t taskOut) args() map[string]any {
	return map[string]any{"backup": byID + t.BackupID, "task": t.Task, "server": t.server}
}

// exitOfTask is 0 only for what is known to have succeeded.
func exitOfTask(t taskOut) int {
	if t.end != nil {
		return t.end.exit()
	}
	return 2
}

func viewTask(t taskOut) tools.View {
	backup := map[string]any{"backup": byID + t.BackupID, "server": t.server}
	resultOf := tools.Next{Label: "Result", Operation: "result", Args: backup}
	if t.Task == 0 {
		v := tools.View{Headline: t.report.Text, Tone: tools.Plain}
		if t.Paused {
			v.Tone = tools.Notice
		}
		if t.BackupID != "" {
			v.Next = []tools.Next{resultOf, {Label: "Run", Operation: "run", Args: backup}}
		}
		return v
	}
	if t.end == nil {
		v := tools.View{Headline: t.report.Text, Tone: tools.Plain}
		if t.Paused {
			v.Tone = tools.Notice
		}
		if t.State == stateRunning && t.report.Done >= 0 {
			p := t.report
			p.Next, p.Follow = nil, nil
			v.Progress = &p
			v.Facts = append(v.Facts, t.facts()...)
		}
		if t.BackupID == "" {
			return v
		}
		if t.State == stateRunning {
			v.Next = append(v.Next, tools.Next{Label: "Stop", Operation: "stop", Args: t.args()})
		}
		v.Next = append(v.Next, tools.Next{Label: "Wait", Operation: "wait", Args: t.args()}, tools.Next{Label: "Progress", Operation: "progress", Args: t.args()})
		if t.following {
			v.Follow = &tools.Next{Label: "Progress", Operation: "progress", Args: t.args()}
		}
		return v
	}
	v := tools.View{Headline: fmt.Sprintf("%s %s", t.Backup, verdictWords[t.end.Verdict]), Tone: verdictTone[t.end.Verdict]}
	if t.end.Why != "" {
		v.Notes = append(v.Notes, t.end.Why)
	}
	if t.Message != "" {
		v.Data = append(v.Data, tools.Quote{Source: t.server, Lines: []string{t.Message}})
	}
	if r := t.end.Result; r != nil {
		v.Facts = resultFacts(*r)
	}
	v.Next = append(v.Next, resultOf)
	if t.end.Verdict != duplicati.Succeeded {
		v.Next = append(v.Next, tools.Next{Label: "Run again", Operation: "run", Args: backup})
	}
	return v
}

// facts is how far a running task is.
func (t taskOut) facts() []tools.Fact {
	var facts []tools.Fact
	if t.FilesTotal > 0 {
		facts = append(facts, tools.Fact{Name: "Files", Value: fmt.Sprintf("%d of %d", t.FilesDone, t.FilesTotal)},
			tools.Fact{Name: "Size", Value: size(t.BytesDone) + " of " + size(t.BytesTotal)})
	}
	if t.BytesPerS > 0 {
		facts = append(facts, tools.Fact{Name: "Speed", Value: size(t.BytesPerS) + "/s"})
	}
	if t.Left != nil {
		facts = append(facts, tools.Fact{Name: "Time left", Value: length(time.Duration(*t.Left) * time.Second)})
	}
	return facts
}

func resultFacts(r duplicati.Result) []tools.Fact {
	facts := []tools.Fact{{Name: "Ended", Value: clock(r.End)}, {Name: "Took", Value: length(r.Duration)}}
	add := func(name string, n *int64) {
		if n != nil {
			facts = append(facts, tools.Fact{Name: name, Value: fmt.Sprint(*n)})
		}
	}
	add("Files looked at", r.ExaminedFiles)
	add("Added", r.AddedFiles)
	add("Changed", r.ModifiedFiles)
	add("Deleted", r.DeletedFiles)
	if r.UploadedBytes != nil {
		facts = append(facts, tools.Fact{Name: "Uploaded", Value: size(*r.UploadedBytes)})
	}
	if r.ErrorFiles != nil && *r.ErrorFiles > 0 {
		facts = append(facts, tools.Fact{Name: "Files not read", Value: fmt.Sprint(*r.ErrorFiles), Tone: tools.Bad})
	}
	if r.WarningCount > 0 {
		facts = append(facts, tools.Fact{Name: "Warnings", Value: fmt.Sprint(r.WarningCount), Tone: tools.Warning})
	}
	if r.ErrorCount > 0 {
		facts = append(facts, tools.Fact{Name: "Errors", Value: fmt.Sprint(r.ErrorCount), Tone: tools.Bad})
	}
	return facts
}
