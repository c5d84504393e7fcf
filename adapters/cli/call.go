package cli

import (
	"context"
	"slices"

	"github.com/duplibot/duplibot/tools"
)

// operate runs an operation.
func (r *Run) operate(ctx context.Context, op *tools.Operation, asked []string) int {
	args, err := op.ParseArgs(r.Args, tools.CLI)
	if err != nil {
		return r.Usage(err)
	}
	link, err := r.Connect(ctx)
	if err != nil {
		return r.Fail(err)
	}
	if _, has := args["server"]; !has && r.Globals.Server != "" && ownParam(op, "server") != nil {
		args["server"] = r.Globals.Server
	}
	r.paths(op, args)
	m := &meter{r: r}
	defer m.clear()
	call := tools.Call{Operation: op.Name, Args: args, Caller: link.Caller, Reason: r.Globals.Reason, Progress: m.tell}
	if err := r.give(ctx, op, &call, asked); err != nil {
		return r.Fail(err)
	}
	stop := r.onInterrupt(ctx, m, interruptedCall(op.Risk))
	answer, err := link.Door.Run(ctx, call)
	if tools.CodeOf(err) == tools.SecretNeeded && r.canAsk() {
		// A login that finds nothing to log in with: the one time to ask.
		if again, askErr := r.giveOne(ctx, op, &call); askErr != nil {
			err = askErr
		} else if again {
			answer, err = link.Door.Run(ctx, call)
		}
	}
	stop()
	m.clear()
	switch {
	case err != nil && ctx.Err() != nil:
		return r.interrupted()
	case err != nil:
		return r.Fail(err)
	case answer.Status == tools.Pending:
		return r.pending(ctx, answer)
	}
	return r.done(ctx, answer)
}

// done shows an answer that holds a result and fetches what is kept for it.
func (r *Run) done(ctx context.Context, a tools.Answer) int {
	r.Show(a.View)
	code := a.Exit
	if err := r.fetchAll(ctx, a.Kept); err != nil {
		if fetch := r.failure(err); code == ExitDone {
			code = fetch
		}
	}
	return r.finish(envelope{Status: string(a.Status), Server: a.Server, Result: a.Result, Each: a.Each, Kept: a.Kept}, code)
}

// failure tells an error beside a result, which JSON mode has in one object.
func (r *Run) failure(err error) int {
	if r.Globals.JSON {
		r.said = append(r.said, "error: "+err.Error())
		return ExitFailed
	}
	return r.Fail(err)
}

// paths makes paths absolute: where the gate runs, the current folder is
// another one.
func (r *Run) paths(op *tools.Operation, args map[string]any) {
	for _, p := range op.Params {
		if !p.Path {
			continue
		}
		path, _ := args[p.Name].(string)
		switch {
		case path != "":
			args[p.Name] = absolute(path, r.app.Dir)
		case p.Here:
			args[p.Name] = r.app.Dir
		}
	}
}

// interruptedCall says what an interrupted call leaves behind.
func interruptedCall(risk tools.Risk) string {
	if risk == tools.Read {
		return "interrupted; nothing was changed"
	}
	return "interrupted; what was begun at the server goes on there"
}

// interrupted ends a command of which all has been said.
func (r *Run) interrupted() int {
	e := tools.Errorf(tools.Canceled, "interrupted")
	return r.finish(envelope{Status: "error", Error: e, Exceptions: []string{e.Message}}, ExitInterrupted)
}

// onInterrupt says at once, when ctx ends, what goes on. Its result ends the
// watch.
func (r *Run) onInterrupt(ctx context.Context, m *meter, words string) (stop func()) {
	told := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(told)
		m.clear()
		r.note(words)
		for _, line := range m.after() {
			r.note("meanwhile: " + line)
		}
	})
	return func() {
		if !cancel() {
			<-told
		}
	}
}

// lacks reports whether a parameter has no value yet.
func lacks(args map[string]any, name string) bool {
	text, _ := args[name].(string)
	return text == ""
}

// secretParams lists an operation's secrets that are not files.
func secretParams(op *tools.Operation) []tools.Param {
	return slices.DeleteFunc(slices.Clone(op.Params), func(p tools.Param) bool {
		return !p.Secret || p.File || !p.On(tools.CLI)
	})
}
