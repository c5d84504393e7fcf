package slack_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// task is work at a server that goes on whatever becomes of the bot.
type task struct {
	mu      sync.Mutex
	done    float64
	over    bool
	stopped bool
	down    bool
	step    chan tools.Progress // what a call that waits reports
}

func (k *task) set(f func(*task)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(k)
}

type taskIn struct {
	Wait bool `json:"wait,omitempty" jsonschema:"Wait for the end"`
	tools.OnServer
}

type taskOut struct {
	View tools.View `json:"view"`
}

func (k *task) view() (tools.View, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.down:
		return tools.View{}, tools.Errorf(tools.Unavailable, "nas does not answer").Retryable()
	case k.stopped:
		return tools.View{Headline: "stopped after the current file", Tone: tools.Notice}, nil
	case k.over:
		return tools.View{Headline: "Photos: 12 files were added", Tone: tools.Good, Facts: []tools.Fact{{Name: "Added", Value: "12 files"}}}, nil
	}
	return tools.View{Headline: "Photos is backed up", Progress: &tools.Progress{Text: "uploading", Done: k.done, ETA: "3 minutes",
		Next: []tools.Next{{Label: "Stop", Operation: "halt"}}}, Follow: &tools.Next{Operation: "look"}}, nil
}

// operations are backing up, a look at it, and its end.
func (k *task) operations() []tools.Operation {
	spec := func(name string, risk tools.Risk) tools.Spec {
		return tools.Spec{Name: name, Summary: "Do " + name, Group: "tasks", Toolset: "core", Risk: risk}
	}
	view := func(o taskOut) tools.View { return o.View }
	return []tools.Operation{
		tools.Define(spec("back-up", tools.Change), tools.Handler[taskIn, taskOut]{View: view,
			Do: func(ctx context.Context, env tools.Env, in taskIn) (taskOut, error) {
				for in.Wait {
					select {
					case p, more := <-k.step:
						if !more {
							in.Wait = false
							continue
						}
						p.Next, p.Follow = []tools.Next{{Label: "Stop", Operation: "halt"}}, &tools.Next{Operation: "look"}
						env.Progress(p)
					case <-ctx.Done():
						return taskOut{}, ctx.Err()
					}
				}
				v, err := k.view()
				return taskOut{v}, err
			}}),
		tools.Define(spec("look", tools.Read), tools.Handler[taskIn, taskOut]{View: view,
			Do: func(context.Context, tools.Env, taskIn) (taskOut, error) {
				v, err := k.view()
				return taskOut{v}, err
			}}),
		tools.Define(spec("halt", tools.Change), tools.Handler[taskIn, taskOut]{View: view,
			Do: func(context.Context, tools.Env, taskIn) (taskOut, error) {
				k.set(func(k *task) { k.stopped = true })
				return taskOut{tools.View{Headline: "it is asked to stop"}}, nil
			}}),
	}
}

func taskSetup(k *task) setup {
	return setup{gate: []toolstest.Option{toolstest.WithOperations(k.operations()...)}}
}

func TestWorkThatGoesOnIsOneMessageWithABar(t *testing.T) {
	k := &task{}
	r := newRig(t, taskSetup(k))
	r.types(r.ann, "back-up")
	m := r.WaitMessage(r.DM(r.ann.ID), slacktest.Saying("Photos is backed up", "░", " 0 %", "3 minutes left"), slacktest.Offering("next:0"))
	r.said(r.ann, "how it goes is in our direct messages")
	k.set(func(k *task) { k.done = 0.45 })
	m = r.WaitUpdate(m, slacktest.Saying("▓▓▓▓▓▓▓▓▓░", "45 %"))
	r.Click(m, "next:0", r.ann.ID).Acked()
	m = r.WaitUpdate(m, slacktest.Saying("stopped after the current file"))
	if len(m.Elements()) != 0 {
		t.Errorf("ended work offers %v", m.Elements())
	}
	for i := 1; i < len(m.Edits); i++ {
		if apart := m.Edits[i].Until.Sub(m.Edits[i-1].Until); apart < 1900*time.Millisecond {
			t.Errorf("two edits are %s apart", apart)
		}
	}
	if n := len(r.Calls("chat.postMessage")); n != 1 {
		t.Errorf("%d messages were posted, want one", n)
	}
}

func TestWorkIsFollowedAfterARestart(t *testing.T) {
	k := &task{}
	r := newRig(t, taskSetup(k))
	r.Slash(r.ann.ID, r.nas.ID, "back-up --public").Acked()
	m := r.WaitMessage(r.nas.ID, slacktest.Saying("Photos is backed up"), slacktest.That("for all", func(m slacktest.Message) bool { return m.EphemeralTo == "" }))
	r.restart(taskSetup(k))
	k.set(func(k *task) { k.done = 0.5 })
	r.WaitUpdate(m, slacktest.Saying("50 %"))
	k.set(func(k *task) { k.down = true })
	r.WaitUpdate(m, slacktest.Saying("nas does not answer", "asked again"))
	k.set(func(k *task) { k.down, k.over = false, true })
	r.WaitUpdate(m, slacktest.Saying("12 files were added"))
}

func TestACallThatWaitsShowsItsProgressAndOutlivesTheBot(t *testing.T) {
	k := &task{step: make(chan tools.Progress)}
	r := newRig(t, taskSetup(k))
	r.types(r.ann, "back-up --wait")
	k.step <- tools.Progress{Text: "counting <!channel>", Done: -1}
	m := r.WaitMessage(r.DM(r.ann.ID), slacktest.Saying("is under way", "counting"), slacktest.Offering("next:0"))
	if strings.Contains(m.Text, "<!channel>") {
		t.Errorf("a file's name calls everybody: %s", m.Text)
	}
	k.step <- tools.Progress{Text: "uploading", Done: 0.25}
	m = r.WaitUpdate(m, slacktest.Saying("▓▓▓▓▓░", "25 %"))
	k.set(func(k *task) { k.done = 0.75 })
	r.restart(taskSetup(k))
	m = r.WaitUpdate(m, slacktest.Saying("75 %"))
	k.set(func(k *task) { k.over = true })
	r.WaitUpdate(m, slacktest.Saying("12 files were added"))
	posted := 0
	for _, m := range r.Messages(r.DM(r.ann.ID)) {
		if m.By == "chat.postMessage" {
			posted++
		}
	}
	if posted != 1 {
		t.Errorf("%d messages show the work, want one", posted)
	}
}

func TestACallThatEndsSoonIsAnsweredInPlace(t *testing.T) {
	k := &task{step: make(chan tools.Progress), over: true}
	r := newRig(t, taskSetup(k))
	r.types(r.ann, "back-up --wait")
	k.step <- tools.Progress{Text: "uploading", Done: 0.5}
	close(k.step)
	r.said(r.ann, "12 files were added")
	if n := len(r.Calls("chat.postMessage")); n != 0 {
		t.Errorf("%d messages were posted for it", n)
	}
}

func TestACallUnderWayIsNamedWithWhatItIsAbout(t *testing.T) {
	world := toolstest.NewWorld()
	release := make(chan struct{})
	world.Before = func(context.Context, string) error { <-release; return nil }
	r := newRig(t, setup{gate: []toolstest.Option{toolstest.WithOperations(world.Operations()...)}})
	r.types(r.ann, "start Photos")
	r.WaitMessage("", slacktest.Saying("Start “Photos” is under way"))
	close(release)
	r.WaitMessage("", slacktest.Saying("started Photos"))
}

func TestACallThatTakesItsTimeSaysSo(t *testing.T) {
	k := &task{step: make(chan tools.Progress), over: true}
	r := newRig(t, taskSetup(k))
	r.types(r.ann, "back-up --wait")
	r.said(r.ann, "is under way; the answer follows here")
	close(k.step)
	r.said(r.ann, "12 files were added")
}

func TestALongAnswerIsCutWithAWordAndTheRestIsAFile(t *testing.T) {
	rows := make([][]string, 400)
	for i := range rows {
		rows[i] = []string{fmt.Sprintf("file-%03d", i), strings.Repeat("x", 200)}
	}
	list := tools.Define(tools.Spec{Name: "list-all", Summary: "List it all", Group: "x", Toolset: "core", Risk: tools.Read},
		tools.Handler[taskIn, taskOut]{View: func(o taskOut) tools.View { return o.View },
			Do: func(context.Context, tools.Env, taskIn) (taskOut, error) {
				return taskOut{tools.View{Headline: "400 files", Table: &tools.Table{Columns: []string{"Name", "Hash"}, Rows: rows}}}, nil
			}})
	r := newRig(t, setup{gate: []toolstest.Option{toolstest.WithOperations(list)}})
	r.types(r.ann, "list-all")
	r.said(r.ann, "400 files", "of 400 rows are shown", "This is cut")
	r.types(r.ann, "list-all --public")
	public := r.WaitMessage(r.nas.ID, slacktest.Saying("400 files"), slacktest.That("for all", func(m slacktest.Message) bool { return m.EphemeralTo == "" && m.ThreadTS == "" }))
	if err := r.Wait(t.Context(), func() bool { return len(r.Files()) == 2 }); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Files() {
		if !strings.Contains(string(f.Content), "file-399") {
			t.Error("the file does not hold the rest")
		}
	}
	inThread := false
	for _, m := range r.Messages(r.nas.ID) {
		inThread = inThread || m.ThreadTS == public.TS && len(m.Files) == 1
	}
	if !inThread {
		t.Error("the rest of the public answer is not in its thread")
	}
}
