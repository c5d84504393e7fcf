package ops

import (
	"context"

	"github.com/duplibot/duplibot/tools"
)

type progressIn struct {
	Backup string `json:"backup,omitempty" jsonschema:"ID or exact name; left out: what runs" tool:"pos,complete=backups"`
	Task   int64  `json:"task,omitempty" jsonschema:"As run answered"`
	tools.OnServer
}

func (o *operations) progress() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "progress", Summary: "Show how far a running backup is",
		Help:  "Phase, percent, files, bytes, speed and time left. Of a task that is over it tells how it went.",
		Group: groupBackups, Toolset: core, Risk: tools.Read, Idempotent: true, Home: true,
		Examples: []string{"progress", "progress Photos"},
	}, tools.Handler[progressIn, taskOut]{
		Complete: complete{"backup": o.completeBackups},
		Check: func(in progressIn) error {
			if in.Task != 0 && in.Backup == "" {
				return tools.Errorf(tools.InvalidArgument, "a task is known by its backup: give backup too")
			}
			return nil
		},
		Do: o.doProgress, View: viewTask,
	})
}

func (o *operations) doProgress(ctx context.Context, env tools.Env, in progressIn) (taskOut, error) {
	if in.Backup == "" {
		return o.progressOfServer(ctx, env)
	}
	f, out, err := o.pursue(ctx, env, in.Backup, in.Task)
	if f == nil || err != nil {
		return out, err
	}
	return f.now(ctx)
}

// now is one look, and the outcome when it is over.
func (f *follower) now(ctx context.Context) (taskOut, error) {
	seen, err := f.look(ctx)
	if err != nil {
		return taskOut{}, err
	}
	if seen.State == stateOver || seen.State == stateLost {
		end := f.settle(ctx, seen)
		return f.out(seen, &end), nil
	}
	out := f.out(seen, nil)
	out.following = true
	return out, nil
}

func (o *operations) progressOfServer(ctx context.Context, env tools.Env) (taskOut, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return taskOut{}, err
	}
	list, state, err := backupsAndState(ctx, c)
	if err != nil {
		return taskOut{}, err
	}
	if state.Active == nil {
		text := "nothing runs on " + env.Server
		if n := len(state.Queue); n > 0 {
			text += ", " + plural(n, "task waits", "tasks wait")
		}
		if state.Paused {
			text += ": it is paused " + pausedWords(state.PauseEnds)
		}
		return taskOut{State: "idle", Paused: state.Paused, Ahead: len(state.Queue), server: env.Server, report: tools.Progress{Text: text, Done: -1}}, nil
	}
	for _, b := range list {
		if b.ID == state.Active.Backup {
			f := &follower{o: o, env: env, backup: b, task: state.Active.Task, mark: -1, event: state.EventID}
			return f.now(ctx)
		}
	}
	return taskOut{State: stateRunning, Task: state.Active.Task, Paused: state.Paused, server: env.Server,
		report: tools.Progress{Text: "a task that belongs to no backup runs on " + env.Server, Done: -1}}, nil
}
