package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/duplibot/duplibot/tools"
)

// operate runs an operation.
func (r *Run) operate(ctx context.Context, op *tools.Operation, asked []string) int {
	args, err := op.ParseArgs(r.Args, tools.CLI)
	if err == nil {
		err = r.lacking(op, args)
	}
	if err != nil {
		return r.Usage(r.usable(op, err))
	}
	if before := r.Globals.Server; before != "" && ownParam(op, "server") != nil {
		if behind, has := args["server"]; has && behind != before {
			return r.Usage(tools.Errorf(tools.InvalidArgument, "--server is given twice; nothing was done"))
		}
		args["server"] = before
	}
	link, err := r.Connect(ctx)
	if err != nil {
		return r.Fail(err)
	}
	folders, err := r.paths(op, args)
	if err != nil {
		return r.Fail(err)
	}
	defer folders.leave()
	r.quiet = args[quietParam] == true
	m := &meter{r: r}
	call := tools.Call{Operation: op.Name, Args: args, Caller: link.Caller, Reason: r.Globals.Reason, Progress: m.tell}
	if err := r.give(ctx, op, &call, asked); errors.Is(err, errLacking) {
		return r.Usage(r.usable(op, err))
	} else if err != nil {
		return r.Fail(err)
	}
	answer, err := r.call(ctx, m, call, op.Risk)
	for range 2 {
		again, askErr := r.remedy(ctx, op, &call, err)
		if askErr != nil {
			return r.Fail(askErr)
		}
		if !again {
			break
		}
		answer, err = r.call(ctx, m, call, op.Risk)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return r.interrupted()
	case err != nil:
		return r.Fail(err)
	case answer.Status == tools.Pending:
		code := r.pending(ctx, answer)
		if code == ExitPending || code == ExitInterrupted {
			folders.stay() // the call is still to come
		}
		return code
	}
	return r.done(ctx, answer)
}

// call makes the call, and says at once what goes on when it is interrupted.
func (r *Run) call(ctx context.Context, m *meter, call tools.Call, risk tools.Risk) (tools.Answer, error) {
	defer m.clear()
	defer r.onInterrupt(ctx, m, interruptedCall(risk))()
	return r.link.Door.Run(ctx, call)
}

// errLacking is the cause of an error about a command line that is not whole.
var errLacking = errors.New("the command line is not whole")

// lacking refuses a command line without a word that is needed, before
// anybody is asked. A secret can still be typed.
func (r *Run) lacking(op *tools.Operation, args map[string]any) error {
	for _, p := range op.Params {
		if _, given := args[p.Name]; p.Required && !p.Secret && !given && p.On(tools.CLI) {
			return tools.Errorf(tools.InvalidArgument, "%s needs %s: %s; nothing was done", op.Name, strings.ToUpper(p.Name), p.Help).
				WithHint("usage: %s", op.Usage(tools.CLI))
		}
	}
	return nil
}

// usable makes of the usage in a hint a line that can be typed here.
func (r *Run) usable(op *tools.Operation, err error) error {
	var e *tools.Error
	if !errors.As(err, &e) {
		return err
	}
	typed := *e
	typed.Hint = strings.Replace(e.Hint, "usage: "+op.Name, "usage: "+r.app.words(op.Name), 1)
	return &typed
}

// remedy asks for what a call failed for: a certificate that nobody knows, a
// login that finds nothing to log in with. again says that it was given.
func (r *Run) remedy(ctx context.Context, op *tools.Operation, call *tools.Call, err error) (again bool, _ error) {
	var e *tools.Error
	if !errors.As(err, &e) || !r.canAsk() {
		return false, nil
	}
	if e.Code == tools.SecretNeeded {
		return r.giveOne(ctx, op, call)
	}
	if e.Ask == nil || ownParam(op, e.Ask.Param) == nil || !lacks(call.Args, e.Ask.Param) {
		return false, nil
	}
	r.note(e.Message)
	yes, askErr := r.yes(ctx, e.Ask.Question)
	if askErr != nil || !yes {
		return false, askErr
	}
	call.Args[e.Ask.Param] = e.Ask.Value
	return true, nil
}

// done fetches what is kept for a call that has its result, and shows both.
func (r *Run) done(ctx context.Context, a tools.Answer) int {
	e := envelope{Status: string(a.Status), Server: a.Server, Result: a.Result, Each: a.Each, Kept: a.Kept}
	return r.result(ctx, a.View, e, a.Exit, "")
}

// result fetches before it shows: whoever reads stdout may be gone. request is
// the ID by which what could not be fetched can be asked for again.
func (r *Run) result(ctx context.Context, v tools.View, e envelope, code int, request string) int {
	places, err := r.fetchAll(context.WithoutCancel(ctx), e.Kept, request)
	shown := r.lines(v)
	for _, l := range shown {
		r.print(l)
	}
	all := strings.Join(shown, "\n")
	for _, p := range slices.Compact(places) {
		if !strings.Contains(all, p) { // mostly, the answer says it itself
			r.print("it is in " + p)
		}
	}
	for _, k := range e.Kept {
		if k.Handle == "" || k.Folder != "" {
			continue
		}
		// No command shows what is in a keyring of files.
		by := request
		if by == "" {
			by = k.Handle
		}
		r.note(clean(k.Name) + " is not shown here; to have it in a file: " + r.words("fetch", by))
	}
	if err == nil {
		return r.finish(e, code)
	}
	code = max(code, ExitFailed)
	if r.Globals.JSON {
		e.Error = asError(err)
		e.Exceptions = []string{e.Error.Message}
		return r.finish(e, code)
	}
	r.Fail(err)
	return code
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
