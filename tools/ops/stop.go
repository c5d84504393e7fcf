package ops

import (
	"context"
	"errors"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

type stopIn struct {
	Backup  string `json:"backup" jsonschema:"ID or exact name" tool:"pos,complete=backups"`
	Task    int64  `json:"task,omitempty" jsonschema:"Stop only this task of it"`
	Abort   bool   `json:"abort,omitempty" jsonschema:"At once, not after the current file; the run fails"`
	Seconds int    `json:"seconds,omitempty" jsonschema:"How long to watch that it stops, up to 300; 20 when left out"`
	tools.OnServer
}

type stopOut struct {
	BackupID string `json:"backup_id"`
	Backup   string `json:"backup"`
	Task     int64  `json:"task,omitempty"`
	State    string `json:"state"` // idle: nothing ran; over; stopping: asked to, and still at work
	Outcome  string `json:"outcome,omitempty"`

	server string
	abort  bool
	paused bool
	took   time.Duration
	end    *outcome
}

const stateStopping = "stopping"

func (o *operations) stop() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "stop", Summary: "Stop a running backup and see that it stops",
		Help: "Stops after the current file, or at once with --abort. Versions made before stay as they are. " +
			"What only waits for its turn cannot be stopped: Duplicati says yes to that and does nothing.",
		Group: groupBackups, Toolset: core, Risk: tools.Change, Idempotent: true,
		Examples: []string{"stop Photos", "stop Photos --abort"},
	}, tools.Handler[stopIn, stopOut]{
		Complete: complete{"backup": o.completeBackups},
		Check: func(in stopIn) error {
			if in.Seconds < 0 || in.Seconds > 300 || in.Task < 0 {
				return tools.Errorf(tools.InvalidArgument, "seconds is 1 to 300, and task what run answered; nothing was done")
			}
			return nil
		},
		Do: o.doStop, View: viewStop,
		Exit: func(out stopOut) int {
			if out.State == stateStopping {
				return 2
			}
			return 0
		},
	})
}

func (o *operations) doStop(ctx context.Context, env tools.Env, in stopIn) (stopOut, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return stopOut{}, err
	}
	list, state, err := backupsAndState(ctx, c)
	if err != nil {
		return stopOut{}, err
	}
	b, err := pick(list, env.Server, in.Backup)
	if err != nil {
		return stopOut{}, err
	}
	out := stopOut{BackupID: b.ID, Backup: b.Name, State: "idle", server: env.Server, abort: in.Abort, paused: state.Paused}
	task, held := state.Holds(b.ID)
	switch {
	case !held:
		return out, nil
	case in.Task != 0 && in.Task != task:
		return stopOut{}, tools.Errorf(tools.Conflict, "of backup %s not task %d but task %d runs or waits; nothing was done", quote(b.Name), in.Task, task)
	case !state.Runs(b.ID):
		return stopOut{}, waitsOnly(b, task)
	}
	f := o.newFollower(ctx, env, c, b)
	f.task, f.event = task, state.EventID
	out.Task = task
	begun := time.Now()
	if in.Abort {
		err = c.Abort(ctx, task)
	} else {
		err = c.Stop(ctx, task)
	}
	switch {
	case errors.Is(err, duplicati.Conflict), errors.Is(err, duplicati.NotFound):
		// It ended, or began to wait, between the look and the call.
		if seen, lookErr := f.look(ctx); lookErr == nil && seen.State == stateWaiting {
			return stopOut{}, waitsOnly(b, task)
		}
	case err != nil:
		return stopOut{}, err
	}
	seconds := in.Seconds
	if seconds == 0 {
		seconds = 20
	}
	watch, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
	defer cancel()
	seen, err := f.follow(watch, o.Poll)
	out.took = time.Since(begun)
	switch {
	case err == nil:
		end := f.settle(ctx, seen)
		out.State, out.Outcome, out.end = stateOver, string(end.Verdict), &end
	case watch.Err() != nil:
		out.State = stateStopping
	default:
		return stopOut{}, f.stuck(err)
	}
	return out, nil
}

func waitsOnly(b duplicati.Backup, task int64) error {
	return tools.Errorf(tools.Conflict, "backup %s only waits for its turn (task %d), and Duplicati stops nothing that waits: it would say yes and run it all the same; nothing was done",
		quote(b.Name), task).WithHint("pause the server, or stop it once it runs")
}

func viewStop(out stopOut) tools.View {
	args := map[string]any{"backup": byID + out.BackupID, "server": out.server}
	result := tools.Next{Label: "Result", Operation: "result", Args: args}
	switch {
	case out.State == "idle":
		return tools.View{Headline: "nothing of " + out.Backup + " runs, so there was nothing to stop", Tone: tools.Notice, Next: []tools.Next{result}}
	case out.State == stateOver && out.end.Verdict == duplicati.Succeeded:
		return tools.View{Headline: out.Backup + " ended by itself before it could be stopped", Tone: tools.Good, Next: []tools.Next{result}}
	case out.State == stateOver:
		v := tools.View{Headline: out.Backup + " has stopped", Tone: tools.Notice, Next: []tools.Next{result, {Label: "Run again", Operation: "run", Args: args}},
			Notes: []string{"the versions made before are untouched"}}
		if out.end.Verdict != duplicati.Stopped {
			v.Notes = append(v.Notes, "the run "+verdictWords[out.end.Verdict])
		}
		return v
	}
	v := tools.View{Headline: out.Backup + " was asked to stop and is still at work after " + length(out.took), Tone: tools.Warning,
		Next: []tools.Next{{Label: "Progress", Operation: "progress", Args: args}}}
	switch {
	case out.paused:
		v.Notes = append(v.Notes, "the server is paused, and what runs is halted with it: it may stop only when it is resumed")
		v.Next = append(v.Next, tools.Next{Label: "Resume", Operation: "resume", Args: map[string]any{"server": out.server}})
	case out.abort:
		v.Tone = tools.Bad
		v.Notes = append(v.Notes, "an abort that has no effect is known of servers 2.3.0 whose run hangs: then the Duplicati service itself has to be restarted")
	default:
		v.Notes = append(v.Notes, "it stops after the file it is at, which can take long for a large one")
		v.Next = append(v.Next, tools.Next{Label: "Abort", Operation: "stop", Args: map[string]any{"backup": byID + out.BackupID, "server": out.server, "abort": true}})
	}
	return v
}
