package ops

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

type waitIn struct {
	Backup  string `json:"backup" jsonschema:"ID or exact name" tool:"pos,complete=backups"`
	Task    int64  `json:"task,omitempty" jsonschema:"As run answered; left out: what runs or waits now"`
	Seconds int    `json:"seconds,omitempty" jsonschema:"At most, up to 600; 50 when left out"`
	tools.OnServer
}

func (o *operations) wait() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "wait", Summary: "Wait for a backup to end, for a bounded time",
		Help: "Answers when the task is over, or when the time is, and says which. Ending the wait never ends the backup. " +
			"Exit codes as with run --wait; 2 also when it still runs.",
		Group: groupBackups, Toolset: core, Risk: tools.Read,
		Examples: []string{"wait Photos", "wait Photos --task 7 --seconds 300"},
	}, tools.Handler[waitIn, taskOut]{
		Complete: complete{"backup": o.completeBackups},
		Check: func(in waitIn) error {
			if in.Seconds < 0 || in.Seconds > 600 || in.Task < 0 {
				return tools.Errorf(tools.InvalidArgument, "seconds is 1 to 600, and task what run answered")
			}
			return nil
		},
		Do: o.doWait, View: viewWait, Exit: exitOfTask,
	})
}

func viewWait(t taskOut) tools.View {
	v := viewTask(t)
	switch {
	case t.Task == 0 || t.end != nil:
	case t.State == stateWaiting:
		v.Notes = append(v.Notes, "the time to wait is over, and its turn has not come yet")
	default:
		v.Notes = append(v.Notes, "the time to wait is over, and the backup goes on")
	}
	return v
}

func (o *operations) doWait(ctx context.Context, env tools.Env, in waitIn) (taskOut, error) {
	f, out, err := o.pursue(ctx, env, in.Backup, in.Task)
	if f == nil || err != nil {
		return out, err
	}
	seconds := in.Seconds
	if seconds == 0 {
		seconds = 50
	}
	return f.await(ctx, time.Duration(seconds)*time.Second, o.Poll)
}

// pursue finds the task of a backup that is to be followed. Without one, what
// is known of the backup's last run is the answer, and there is no follower.
func (o *operations) pursue(ctx context.Context, env tools.Env, given string, task int64) (*follower, taskOut, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return nil, taskOut{}, err
	}
	list, state, err := backupsAndState(ctx, c)
	if err != nil {
		return nil, taskOut{}, err
	}
	b, err := pick(list, env.Server, given)
	if err != nil {
		return nil, taskOut{}, err
	}
	held, isHeld := state.Holds(b.ID)
	if task == 0 && !isHeld {
		return nil, taskOut{BackupID: b.ID, Backup: b.Name, State: "idle", server: env.Server,
			report: tools.Progress{Text: "nothing of " + b.Name + " runs or waits", Done: -1}}, nil
	}
	if task == 0 {
		task = held
	}
	f := &follower{o: o, env: env, backup: b, task: task, mark: -1, event: state.EventID}
	if isHeld && held == task {
		// It has written no row yet, so that what it will write can be told
		// from what is there.
		f = o.newFollower(ctx, env, c, b)
		f.task, f.event = task, state.EventID
		return f, taskOut{}, nil
	}
	if _, err := c.Task(ctx, task); errors.Is(err, duplicati.NotFound) {
		return nil, taskOut{}, tools.Errorf(tools.NotFound, "%s does not know task %d, or no longer: it forgets its tasks when it is restarted", env.Server, task).
			WithHint("the last run is told by: result %s%s", byID, b.ID)
	}
	return f, taskOut{}, nil
}
