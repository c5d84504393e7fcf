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

	Fraction      float64 // 0 to 1, of the whole task; negative when nothing tells
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
	CurrentFileoffset         int64
	BackendSpeed              float64
	BackendFileProgress       int64
	EstimatedTimeToCompletion *string
}

func (w wireProgress) progress() (Progress, bool) {
	if w.TaskID == nil {
		return Progress{}, false
	}
	p := Progress{
		Task: *w.TaskID, Backup: string(w.BackupID), Phase: printable(w.Phase), Fraction: w.fraction(),
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

// phaseShare is where the phases around the work on the files stand in the
// whole. The work on the files goes from 0 to workShare.
var phaseShare = map[string]float64{
	"Starting_Operation": 0, "Backup_Begin": 0, "Backup_PreBackupVerify": 0, "Backup_PreviousBackupFinalize": 0,
	"Backup_Finalize": 0.9, "Backup_WaitForUpload": 0.92, "Backup_Delete": 0.94, "Backup_Compact": 0.95,
	"Backup_VerificationUpload": 0.96, "Backup_PostBackupVerify": 0.97, "Backup_PostBackupTest": 0.98, "Backup_Complete": 1,
	"Sync_Begin": 0, "Sync_CountingFiles": 0, "Sync_WaitForUpload": 0.92, "Sync_Complete": 1,
}

const workShare = 0.9

// fraction works out how far the task is. Servers leave OverallProgress at 0
// until the end, so that the web page works it out from the bytes too.
func (w wireProgress) fraction() float64 {
	if w.OverallProgress > 0 {
		return min(w.OverallProgress, 1)
	}
	if share, known := phaseShare[w.Phase]; known {
		return share
	}
	if w.StillCounting || w.TotalFileSize <= 0 || w.Phase != "Backup_ProcessingFiles" && w.Phase != "Sync_ProcessingFiles" {
		return -1
	}
	done := float64(w.ProcessedFileSize+w.CurrentFileoffset) / float64(w.TotalFileSize)
	return workShare * min(max(done, 0), 1)
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
