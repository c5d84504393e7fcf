package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// followed is what is asked about work that goes on after its answer, kept as
// the State of the message that shows it.
type followed struct {
	Follow  *tools.Next `json:"follow,omitempty"` // nil: nothing can be asked
	User    string      `json:"user"`
	Channel string      `json:"channel"`
	Title   string      `json:"title"`
	Began   time.Time   `json:"began"`
}

// following is the subject of all such messages.
const following = "following"

// How often a server is asked about work that goes on.
const (
	askEvery   = 2 * time.Second // at first, as often as a message is edited
	askLater   = 5 * time.Second // after two minutes
	askAgain   = 15 * time.Second
	followFor  = 7 * 24 * time.Hour
	eagerlyFor = 2 * time.Minute
)

// works are the messages that show work under way.
type works struct{ a *Adapter }

func newWorks(a *Adapter) *works { return &works{a: a} }

// remember keeps what a message follows, for a bot that is restarted.
func (w *works) remember(ctx context.Context, at ref, f followed) {
	state, err := json.Marshal(f)
	if err == nil {
		err = w.a.Messages.Save(context.WithoutCancel(ctx), Message{Kind: kindRun, Subject: following, Channel: at.Channel, TS: at.TS, State: string(state)})
	}
	if err != nil {
		w.a.Log.Error("slack message not remembered", "error", err)
	}
}

// conclude puts the end of it in the message and forgets it.
func (w *works) conclude(ctx context.Context, at ref, m message) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), retryWithin)
	defer cancel()
	if err := w.a.edit(ctx, at, m); err != nil {
		w.a.Log.Warn("slack result not shown", "error", err)
		if refusal(err) == "" {
			return // it stays remembered: the next start tries again
		}
	}
	if m.Rest != "" {
		if err := w.a.api.upload(ctx, at, "answer.txt", cutBytes(m.Rest)); err != nil {
			w.a.Log.Warn("slack file not sent", "error", err)
		}
	}
	if err := w.a.Messages.Forget(ctx, at.Channel, at.TS); err != nil {
		w.a.Log.Error("slack message not forgotten", "error", err)
	}
}

// follow asks until the work is over, and shows each answer.
func (w *works) follow(at ref, f followed, who person) {
	w.a.background(func(ctx context.Context) {
		last, wait, asked := "", askEvery, time.Now()
		for {
			if pause(ctx, wait) != nil {
				return // the next start goes on
			}
			if w.a.Now().Sub(f.Began) > followFor {
				w.conclude(ctx, at, words(tools.Unclear, f.Title+" has not ended within a week; it is not followed any longer."))
				return
			}
			view, over, err := w.ask(ctx, f, who)
			if wait = askEvery; time.Since(asked) > eagerlyFor {
				wait = askLater
			}
			switch {
			case ctx.Err() != nil:
				return
			case over:
				w.conclude(ctx, at, view)
				return
			case err != nil:
				wait = askAgain
			}
			if view.Text != last {
				if err := w.a.api.glimpse(ctx, at, view); err == nil {
					last = view.Text
				}
			}
		}
	})
}

// ask makes the call once. Only an error that asking again cannot mend ends it.
func (w *works) ask(ctx context.Context, f followed, who person) (m message, over bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	answer, err := w.a.door.Run(ctx, tools.Call{Operation: f.Follow.Operation, Args: f.Follow.Args, Caller: who.Caller})
	if err == nil && answer.Status != tools.Done {
		err = tools.Errorf(tools.Internal, "what is followed is not a read")
	}
	var e *tools.Error
	switch {
	case err == nil:
		return w.a.answerMessage(answer), answer.View.Follow == nil, nil
	case errors.As(err, &e) && !e.Retry && ends[e.Code]:
		return failure(e), true, err
	}
	return words(tools.Unclear, fmt.Sprintf("%s: how it goes cannot be seen at the moment: %v. It is asked again.", f.Title, w.a.asError(err).Message)), false, err
}

// ends are the errors after which asking again is no use.
var ends = map[tools.Code]bool{
	tools.InvalidArgument: true, tools.UnknownOperation: true, tools.NotFound: true, tools.Ambiguous: true,
	tools.NobodyKnown: true, tools.Denied: true, tools.Unsupported: true, tools.Internal: true,
}

// shown lists the messages that show work under way.
func (w *works) shown(ctx context.Context) []Message {
	list, err := w.a.Messages.About(ctx, kindRun, following)
	if err != nil {
		w.a.Log.Error("slack messages not read", "error", err)
	}
	return list
}

// resume goes on with what an earlier process showed.
func (w *works) resume(ctx context.Context, earlier []Message) {
	for _, m := range earlier {
		at := ref{Channel: m.Channel, TS: m.TS}
		var f followed
		if json.Unmarshal([]byte(m.State), &f) != nil || f.Follow == nil {
			w.conclude(ctx, at, words(tools.Unclear, line(f.Title)+" was under way when the bot was restarted; how it ended is not known here. Ask for the state of the server."))
			continue
		}
		who := w.a.who.identify(ctx, f.User, w.a.home.Team, f.Channel, true)
		w.follow(at, f, who)
	}
}
