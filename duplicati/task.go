package duplicati

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// TaskStatus is how far a task is.
type TaskStatus string

// The states of a task.
const (
	Waiting   TaskStatus = "Waiting"
	Running   TaskStatus = "Running"
	Completed TaskStatus = "Completed" // it did not throw; a backup can have warnings and errors all the same
	Failed    TaskStatus = "Failed"
	Ended     TaskStatus = "Ended" // over, and the server does not say how (2.1): read the log
)

// Over reports whether the task is done with, one way or the other.
func (s TaskStatus) Over() bool { return s == Completed || s == Failed || s == Ended }

// Task is one piece of work of a server. Its ID is good until the server
// restarts; then the count begins anew.
type Task struct {
	ID       int64
	Status   TaskStatus
	Backup   string // known of tasks that run or wait; "" otherwise
	Started  time.Time
	Finished time.Time
	Error    string
}

type wireTask struct {
	Status       string
	ID           int64
	TaskStarted  stamp
	TaskFinished stamp
	ErrorMessage *string

	// In the list of 2.1 there are whole backups instead.
	TaskID   int64
	BackupID identifier
}

func (w wireTask) task(g Generation) (Task, bool) {
	t := Task{ID: w.ID, Status: TaskStatus(w.Status), Started: time.Time(w.TaskStarted), Finished: time.Time(w.TaskFinished), Backup: string(w.BackupID)}
	if w.ErrorMessage != nil {
		t.Error = scrub(*w.ErrorMessage)
	}
	switch t.Status {
	case Waiting, Failed:
	case Running:
		t.Finished = time.Time{} // 2.2 can set it too early
	case Completed:
		if !g.Can(TellsTaskFailures) {
			t.Status = Ended
		}
	default:
		return Task{}, false
	}
	return t, true
}

// Task asks for one task. NotFound when the server does not know it, or no
// longer: it remembers about 99, until its restart.
func (c *Client) Task(ctx context.Context, id int64) (Task, error) {
	k := call{op: "read task", method: http.MethodGet, path: taskPath(id, ""), auth: true}
	g, err := c.Generation(ctx)
	if err != nil {
		return Task{}, err
	}
	var w wireTask
	if err := c.do(ctx, k, &w); err != nil {
		return Task{}, err
	}
	t, ok := w.task(g)
	if !ok || t.ID != id {
		return Task{}, k.unreadable("the answer is not the task that was asked for")
	}
	return t, nil
}

// Tasks lists what runs and what waits, in order. The server's own list calls
// all of it running and names no backups, so that its state is asked too.
func (c *Client) Tasks(ctx context.Context) ([]Task, error) {
	k := call{op: "list tasks", method: http.MethodGet, path: "/api/v1/tasks", auth: true}
	state, err := c.State(ctx)
	if err != nil {
		return nil, err
	}
	var list []wireTask
	if err := c.do(ctx, k, &list); err != nil {
		return nil, err
	}
	return tasksOf(list, state), nil
}

func tasksOf(list []wireTask, state State) []Task {
	backups := make(map[int64]string)
	if state.Active != nil {
		backups[state.Active.Task] = state.Active.Backup
	}
	for _, q := range state.Queue {
		backups[q.Task] = q.Backup
	}
	tasks := make([]Task, 0, len(list))
	for _, w := range list {
		t := Task{ID: w.ID, Status: Waiting, Started: time.Time(w.TaskStarted), Backup: string(w.BackupID)}
		if t.ID == 0 {
			t.ID = w.TaskID
		}
		if t.Backup == "" {
			t.Backup = backups[t.ID]
		}
		if state.Active != nil && state.Active.Task == t.ID || state.Active == nil && !t.Started.IsZero() {
			t.Status = Running
		}
		tasks = append(tasks, t)
	}
	return tasks
}

// Run starts a backup, at the head of the queue when skip is true, and returns
// the task. If a task of that backup runs or waits already, of whatever kind,
// the server returns that one and starts none. A paused server lets it wait.
// 2.1 always puts it at the head.
func (c *Client) Run(ctx context.Context, backup string, skip bool) (task int64, err error) {
	k := call{op: "run backup", method: http.MethodPost, path: backupPath(backup, "/run"), auth: true}
	if skip {
		k.query = url.Values{"skipqueue": {"true"}}
	}
	return c.start(ctx, k)
}

// start makes a call that is answered with a task.
func (c *Client) start(ctx context.Context, k call) (int64, error) {
	var r struct {
		Status string
		ID     *int64
	}
	if err := c.do(ctx, k, &r); err != nil {
		return 0, err
	}
	if r.ID == nil || r.Status != "OK" {
		return 0, k.unreadable("the answer names no task")
	}
	return *r.ID, nil
}

// Stop ends a task after the file it is at; what was saved until then makes a
// partial version. A task that waits cannot be stopped: the server says yes
// and does nothing, so this client refuses (Conflict). NotFound for one that
// the server does not know.
func (c *Client) Stop(ctx context.Context, task int64) error {
	verbs := []string{"/stop", "/stopaftercurrentfile"}
	if c.Known() == G21 {
		verbs = []string{"/stopaftercurrentfile", "/stop"}
	}
	return c.halt(ctx, "stop task", task, verbs)
}

// Abort ends a task at once; the run fails. What Stop says of tasks that wait
// holds here too.
func (c *Client) Abort(ctx context.Context, task int64) error {
	return c.halt(ctx, "abort task", task, []string{"/abort"})
}

// halt tries the verbs in turn as long as the server does not know them, which
// is a 404 without words; an unknown task is one with.
func (c *Client) halt(ctx context.Context, op string, task int64, verbs []string) error {
	t, err := c.Task(ctx, task)
	if err != nil {
		return err
	}
	switch {
	case t.Status == Waiting:
		return refuse(op, Conflict, "the task waits for its turn, and Duplicati stops only what runs; nothing was sent")
	case t.Status.Over():
		return refuse(op, Conflict, "the task has ended; nothing was sent")
	}
	for _, verb := range verbs {
		err = c.do(ctx, call{op: op, method: http.MethodPost, path: taskPath(task, verb), auth: true}, nil)
		if KindOf(err) != Unsupported {
			return err
		}
	}
	return err
}

// DeleteOptions say what is deleted beside the configuration.
type DeleteOptions struct {
	RemoteFiles bool // all versions, at the destination
	LocalDB     bool
	Force       bool // stop the backup if it runs
}

// Delete queues the deletion of a backup and returns the task that will do it:
// the backup is gone when that task is over, and still there if it failed. A
// backup that runs is refused as Busy, and as Unstoppable when force could not
// stop it; on 2.1 the deletion waits for the end of the run. What waits to run
// runs first.
func (c *Client) Delete(ctx context.Context, backup string, o DeleteOptions) (task int64, err error) {
	query := url.Values{"delete-remote-files": {strconv.FormatBool(o.RemoteFiles)}, "delete-local-db": {strconv.FormatBool(o.LocalDB)}}
	if o.Force {
		query.Set("force", "true")
	}
	return c.start(ctx, call{op: "delete backup", method: http.MethodDelete, path: backupPath(backup, ""), query: query, auth: true})
}

func taskPath(id int64, verb string) string {
	return "/api/v1/task/" + strconv.FormatInt(id, 10) + verb
}
