package ops

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

type runIn struct {
	Backup    string `json:"backup" jsonschema:"ID or exact name" tool:"pos,complete=backups"`
	Wait      bool   `json:"wait,omitempty" jsonschema:"Wait for the end and tell how it went"`
	SkipQueue bool   `json:"skip_queue,omitempty" jsonschema:"Go before what waits"`
	Timeout   string `json:"timeout,omitempty" jsonschema:"Wait no longer than this, such as 2h; the backup goes on" tool:"cli"`
	Interval  string `json:"poll_interval,omitempty" jsonschema:"How often to look while waiting, at least 1s" tool:"cli"`
	Quiet     bool   `json:"quiet,omitempty" jsonschema:"Print nothing unless something is wrong" tool:"cli"`
	tools.OnServer
}

func (o *operations) run() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "run", Summary: "Start a backup now",
		Help: "Answers at once with a task, or with --wait when it is over. Exit codes with --wait: 0 succeeded, 2 warnings, stopped or not known, " +
			"3 errors, 4 failed. Something of the backup that runs or waits already is not started twice.",
		Group: groupBackups, Toolset: core, Risk: tools.Change,
		Examples: []string{"run Photos", "run Photos --wait --timeout 2h", "run 3 --skip-queue"},
	}, tools.Handler[runIn, taskOut]{
		Complete: complete{"backup": o.completeBackups},
		Check:    runIn.check,
		Do:       o.doRun,
		View:     viewRun,
		Exit: func(t taskOut) int {
			if t.following {
				return 0 // nobody asked to wait
			}
			return exitOfTask(t)
		},
	})
}

func (in runIn) check() error {
	if _, err := in.timeout(); err != nil {
		return err
	}
	_, err := in.interval(0)
	return err
}

func (in runIn) timeout() (time.Duration, error) { return positive("timeout", in.Timeout) }

// interval takes ServerUtil's bare seconds too.
func (in runIn) interval(or time.Duration) (time.Duration, error) {
	d, err := positive("poll-interval", in.Interval)
	if d == 0 {
		return or, err
	}
	if d < time.Second {
		return 0, tools.Errorf(tools.InvalidArgument, "poll-interval is at least one second; nothing was done")
	}
	return d, err
}

// positive reads a duration that may be left out.
func positive(name, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := duplicati.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, tools.Errorf(tools.InvalidArgument, "%s is a duration such as 90s, 10m or 2h; nothing was done", name).Because(err)
	}
	return d, nil
}

func (o *operations) doRun(ctx context.Context, env tools.Env, in runIn) (taskOut, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return taskOut{}, err
	}
	list, before, err := backupsAndState(ctx, c)
	if err != nil {
		return taskOut{}, err
	}
	b, err := pick(list, env.Server, in.Backup)
	if err != nil {
		return taskOut{}, err
	}
	f := &follower{o: o, env: env, backup: b, mark: -1}
	if in.Wait {
		f = o.newFollower(ctx, env, c, b)
	}
	f.event = before.EventID
	if f.task, err = c.Run(ctx, b.ID, in.SkipQueue); err != nil {
		return taskOut{}, runFailed(err, env.Server, b)
	}
	held, was := before.Holds(b.ID)
	started := !was || held != f.task
	if !in.Wait {
		seen := look{State: stateWaiting, Paused: before.Paused, PauseEnds: before.PauseEnds, Ahead: len(before.Queue)}
		if before.Active != nil {
			seen.Ahead++
		}
		if before.Idle() || before.Runs(b.ID) {
			seen.State = stateRunning
		}
		if in.SkipQueue {
			seen.Ahead = min(seen.Ahead, 1)
		}
		out := f.out(seen, nil)
		out.Started, out.quiet, out.following = &started, in.Quiet, true
		return out, nil
	}
	every, _ := in.interval(o.Poll)
	limit, _ := in.timeout()
	out, err := f.await(ctx, limit, every)
	out.Started, out.quiet = &started, in.Quiet
	return out, err
}

// runFailed tells a lost answer from a refusal.
func runFailed(err error, server string, b duplicati.Backup) error {
	var e *duplicati.Error
	if !errors.As(err, &e) || !e.Uncertain {
		return err
	}
	return tools.Errorf(tools.UnknownOutcome, "%s was asked to run backup %s and the answer was lost; it may have begun", server, quote(b.Name)).
		WithHint("look with: progress %s%s; running it twice does no harm, as what runs is not started again", byID, b.ID).Because(err)
}

// await follows the task to its end. A limit that is over, and a caller who
// goes away, stop the waiting and nothing else.
func (f *follower) await(ctx context.Context, limit, every time.Duration) (taskOut, error) {
	waiting, cancel := ctx, context.CancelFunc(func() {})
	if limit > 0 {
		waiting, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	seen, err := f.follow(waiting, every)
	switch {
	case err == nil:
		end := f.settle(ctx, seen)
		return f.out(seen, &end), nil
	case ctx.Err() != nil:
		return taskOut{}, f.left(tools.Canceled, ctx.Err())
	case waiting.Err() != nil:
		// The last look may be old: one more, so that the answer is of now.
		if now, err := f.look(ctx); err == nil {
			seen = now
		}
		if seen.State == stateOver || seen.State == stateLost {
			end := f.settle(ctx, seen)
			return f.out(seen, &end), nil
		}
		return f.out(seen, nil), nil
	}
	return taskOut{}, f.stuck(err)
}

func (f *follower) left(code tools.Code, cause error) error {
	return tools.Errorf(code, "the waiting was stopped; backup %s goes on as task %d", quote(f.backup.Name), f.task).
		WithHint("see how it goes with: progress %s%s, or end it with: stop %s%s", byID, f.backup.ID, byID, f.backup.ID).Because(cause)
}

// stuck adds to an error that ends the waiting that the backup does not end
// with it.
func (f *follower) stuck(err error) error {
	var own *tools.Error
	if errors.As(err, &own) {
		e := tools.Errorf(own.Code, "%s; the waiting has ended and backup %s goes on as task %d", strings.TrimSuffix(own.Message, "; nothing was done"), quote(f.backup.Name), f.task)
		e.Hint, e.Retry = own.Hint, own.Retry
		return e.Because(err)
	}
	return err
}

func viewRun(t taskOut) tools.View {
	v := viewTask(t)
	if t.Started != nil && !*t.Started {
		v.Notes = append(v.Notes, "something of this backup ran or waited already, so that no new run was started; this is the task that was there")
		v.Tone = v.Tone.Worse(tools.Notice)
	}
	if t.following && *t.Started && !t.Paused {
		v.Headline = t.Backup + " was started"
		if t.State == stateWaiting {
			v.Headline = t.Backup + " waits behind " + plural(t.Ahead, "task", "tasks")
		}
	}
	if t.following {
		v.Facts = append(v.Facts, tools.Fact{Name: "Task", Value: itoa(t.Task)})
	}
	if t.quiet && v.Tone <= tools.Good {
		return tools.View{}
	}
	return v
}
