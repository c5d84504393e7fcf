package duplicati

import (
	"context"
	"net/http"
	"time"
)

// Progress is how far the task that runs has come.
type Progress struct {
	Task   int64 // the state outlives its task: compare
	Backup string
	Phase  string // "Backup_ProcessingFiles"; new ones are added

	Fraction      float64 // 0 to 1, of the whole task
	StillCounting bool    // the totals grow yet
	DoneFiles     int64
	DoneBytes     int64
	TotalFiles    int64
	TotalBytes    int64
	CurrentFile   string
	Transferred   int64          // bytes of the file that goes to or comes from the destination now
	Speed         int64          // bytes per second at the destination; -1 idle
	Left          *time.Duration // as the server estimates (2.3.1)
}

type wireProgress struct {
	BackupID                  identifier
	TaskID                    *int64
	Phase                     string
	OverallProgress           float64
	StillCounting             bool
	ProcessedFileCount        int64
	ProcessedFileSize         int64
	TotalFileCount            int64
	TotalFileSize             int64
	CurrentFilename           words
	BackendSpeed              float64
	BackendFileProgress       int64
	EstimatedTimeToCompletion *string
}

func (w wireProgress) progress() (Progress, bool) {
	if w.TaskID == nil {
		return Progress{}, false
	}
	p := Progress{
		Task: *w.TaskID, Backup: string(w.BackupID), Phase: printable(w.Phase), Fraction: min(max(w.OverallProgress, 0), 1),
		StillCounting: w.StillCounting, DoneFiles: w.ProcessedFileCount, DoneBytes: w.ProcessedFileSize,
		TotalFiles: w.TotalFileCount, TotalBytes: w.TotalFileSize, CurrentFile: printable(string(w.CurrentFilename)), Speed: int64(w.BackendSpeed), Transferred: w.BackendFileProgress,
	}
	if w.EstimatedTimeToCompletion != nil {
		if d, ok := ParseSpan(*w.EstimatedTimeToCompletion); ok && d >= 0 {
			p.Left = &d
		}
	}
	return p, true
}

// Progress asks how far the running task is. NotFound until the server has had
// its first one since its start; afterwards the last one's state stays.
func (c *Client) Progress(ctx context.Context) (Progress, error) {
	k := call{op: "read progress", method: http.MethodGet, path: "/api/v1/progressstate", auth: true}
	var w wireProgress
	if err := c.do(ctx, k, &w); err != nil {
		return Progress{}, err
	}
	p, ok := w.progress()
	if !ok {
		return Progress{}, k.unreadable("the answer is no progress state")
	}
	return p, nil
}
