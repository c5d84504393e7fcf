package slack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// How a call that takes its time shows itself.
const (
	quietFor  = 3 * time.Second         // before anything is said
	postAfter = 1500 * time.Millisecond // from the first progress to the message that is edited
	editEvery = 2 * time.Second
)

// work is a call under way and the one message that shows it.
type work struct {
	a     *Adapter
	p     *place
	title string

	end     chan struct{} // closed when the call has ended
	ended   sync.Once
	showing sync.WaitGroup

	mu     sync.Mutex
	latest *tools.Progress
	at     ref // the message, once it is posted
}

// begin is called before a call is made; finish, fail or abandon follows.
func (w *works) begin(p *place, op *tools.Operation, args map[string]any) *work {
	k := &work{a: w.a, p: p, title: titleOf(op, args), end: make(chan struct{})}
	k.showing.Go(func() {
		defer w.a.recovered("progress")
		k.show(w.a.jobCtx)
	})
	return k
}

// titleOf names a call, and what it is about where it says that first.
func titleOf(op *tools.Operation, args map[string]any) string {
	for _, param := range op.Params {
		given := args[param.Name]
		if !param.Pos || param.Secret || given == nil {
			continue
		}
		if list, ok := given.([]string); ok {
			given = strings.Join(list, ", ")
		}
		return op.Title() + " “" + line(cut(fmt.Sprint(given), 80)) + "”"
	}
	return op.Title()
}

// progress takes how far the call is. It never waits.
func (k *work) progress(p tools.Progress) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.latest = &p
}

func (k *work) now() (tools.Progress, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.latest == nil {
		return tools.Progress{}, false
	}
	return *k.latest, true
}

// show says, once, that the call is under way, and when there is progress posts
// the message and edits it until the end.
func (k *work) show(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for said, tried := false, false; ; {
		select {
		case <-k.end:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if p, ok := k.now(); ok && !tried && time.Since(began) > postAfter {
			tried = true
			if k.post(ctx, k.message(p), p.Follow) {
				k.edit(ctx, p)
				return
			}
		}
		if !said && time.Since(began) > quietFor {
			said = true
			k.a.tell(ctx, k.p, words(tools.Plain, k.title+" is under way; the answer follows here."))
		}
	}
}

// edit keeps the message up to date.
func (k *work) edit(ctx context.Context, shown tools.Progress) {
	tick := time.NewTicker(editEvery)
	defer tick.Stop()
	last := k.message(shown).Text
	for {
		select {
		case <-k.end:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p, _ := k.now()
		if shown.Follow == nil && p.Follow != nil {
			k.a.works.remember(ctx, k.at, k.follows(p.Follow))
			shown.Follow = p.Follow
		}
		m := k.message(p)
		if m.Text == last {
			continue
		}
		if err := k.a.api.glimpse(ctx, k.at, m); err != nil {
			k.a.Log.Warn("slack progress not shown", "error", err)
			continue
		}
		last = m.Text
	}
}

func (k *work) message(p tools.Progress) message {
	return viewMessage(tools.View{Headline: k.title + " is under way", Progress: &p})
}

func (k *work) follows(next *tools.Next) followed {
	return followed{Follow: next, User: k.p.who.User, Channel: k.p.channel, Title: k.title, Began: k.a.Now()}
}

// post puts up the message that is edited: in the channel when the answer is
// for it, else in the person's direct messages, and remembers it for a bot that
// is restarted.
func (k *work) post(ctx context.Context, m message, next *tools.Next) bool {
	ctx, cancel := whole(ctx)
	defer cancel()
	to := k.p.who.User
	if k.p.public {
		to = k.p.channel
	}
	at, err := k.a.send(ctx, to, m)
	if err != nil && k.p.public && !errors.Is(err, errMaybeSent) {
		to = k.p.who.User
		at, err = k.a.send(ctx, to, m)
	}
	if err != nil {
		k.a.Log.Warn("slack progress not posted", "error", err)
		return false
	}
	k.mu.Lock()
	k.at = at
	k.mu.Unlock()
	k.a.works.remember(ctx, at, k.follows(next))
	if to == k.p.who.User && at.Channel != k.p.channel {
		k.a.tell(ctx, k.p, words(tools.Plain, k.title+" is under way; how it goes is in our direct messages."))
	}
	return true
}

// stop ends the showing and returns the message, if there is one.
func (k *work) stop() ref {
	k.ended.Do(func() { close(k.end) })
	k.showing.Wait()
	return k.at
}

// abandon ends a work that has nothing to show.
func (k *work) abandon() {
	if at := k.stop(); at.TS != "" {
		k.a.works.conclude(k.a.jobCtx, at, words(tools.Notice, k.title+" waits for agreement."))
	}
}

// finish shows the answer in the place of the progress.
func (k *work) finish(ctx context.Context, answer tools.Answer) {
	at := k.stop()
	m := k.a.answerMessage(answer)
	switch {
	case answer.View.Follow != nil:
		f := k.follows(answer.View.Follow)
		if at.TS == "" && !k.post(ctx, m, f.Follow) {
			k.a.reply(ctx, k.p, m)
			return
		}
		k.a.works.remember(ctx, k.at, f)
		k.a.works.follow(k.at, f, k.p.who)
	case at.TS != "":
		k.a.works.conclude(ctx, at, m)
	default:
		k.a.reply(ctx, k.p, m)
	}
}

// fail shows why there is no answer. When it is that the bot ends, the message
// stays for the next one to go on with.
func (k *work) fail(ctx context.Context, e *tools.Error) {
	at := k.stop()
	switch {
	case at.TS != "" && k.a.jobCtx.Err() != nil:
	case at.TS != "":
		k.a.works.conclude(ctx, at, failure(e))
	default:
		k.a.tell(ctx, k.p, failure(e))
	}
}

// answerMessage is an answer with what was kept as buttons.
func (a *Adapter) answerMessage(answer tools.Answer) message {
	return viewMessage(answer.View, func(b *builder) { b.kept(answer.Kept, "") })
}
