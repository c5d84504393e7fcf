package toolstest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/duplibot/duplibot/tools"
)

// Thing is what the toy operations work on.
type Thing struct {
	ID, Name string
	Running  bool
	Size     int
}

// World is the things of each server and what was done to them.
type World struct {
	mu     sync.Mutex
	things map[string][]Thing
	did    []string

	// Before is called at the start of every toy's Do, with its name.
	Before func(ctx context.Context, operation string) error
}

// NewWorld has the things Photos, Mail and one with a hostile name on nas, and
// Ledger on office.
func NewWorld() *World {
	return &World{things: map[string][]Thing{
		"nas": {
			{ID: "1", Name: "Photos", Size: 3},
			{ID: "2", Name: "Mail", Size: 5},
			{ID: "3", Name: "<!channel> *bold* `code` \u202egnp.exe\x1b[31m", Size: 1},
		},
		"office": {{ID: "1", Name: "Ledger", Size: 9}},
	}}
}

// Did lists what was done: "destroy nas 1", "start nas 2", in order.
func (w *World) Did() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.did)
}

// Change changes a thing behind everybody's back.
func (w *World) Change(server, id string, f func(*Thing)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.things[server] {
		if w.things[server][i].ID == id {
			f(&w.things[server][i])
		}
	}
}

func (w *World) find(server, word string) (Thing, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, t := range w.things[server] {
		if t.ID == word || strings.EqualFold(t.Name, word) {
			return t, nil
		}
		names = append(names, t.Name)
	}
	e := tools.Errorf(tools.NotFound, "%s has no thing %q; nothing was done", server, word)
	if near := tools.Nearest(word, names, 2); len(near) > 0 {
		return Thing{}, e.WithHint("did you mean %s?", strings.Join(near, " or "))
	}
	return Thing{}, e
}

func (w *World) do(ctx context.Context, operation, server, id string) error {
	if w.Before != nil {
		if err := w.Before(ctx, operation); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.did = append(w.did, strings.TrimSpace(operation+" "+server+" "+id))
	return nil
}

// Row is a thing as answers show it.
type Row struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	SizeGB  int    `json:"size_gb"`
	Running bool   `json:"running"`
}

// Listed is what list-things answers.
type Listed struct {
	Things []Row `json:"things"`
}

// Outcome is what the toys that do something answer.
type Outcome struct {
	ID   string `json:"id"`
	Done string `json:"done"`
	Kept string `json:"kept,omitempty"`
}

type listIn struct {
	Long bool `json:"long,omitempty" jsonschema:"Show everything"`
	tools.OnServer
}

type thingIn struct {
	Thing string `json:"thing" jsonschema:"ID or exact name of the thing" tool:"pos,target,complete=things"`
	Wait  bool   `json:"wait,omitempty" jsonschema:"Wait for the end"`
	tools.OnServer
}

type wordIn struct {
	Thing string       `json:"thing" jsonschema:"ID or exact name of the thing" tool:"pos,target,complete=things"`
	Word  tools.Secret `json:"word" jsonschema:"The new word: an alias, page or generate"`
	tools.OnServer
}

type fileIn struct {
	File tools.File `json:"file" jsonschema:"Name of a file in the import folder" tool:"pos"`
	tools.OnServer
}

type tokenIn struct {
	Folder    string `json:"folder,omitempty" jsonschema:"Folder to write it to" tool:"path"`
	Overwrite bool   `json:"overwrite,omitempty" jsonschema:"Replace a file that is there" tool:"cli"`
	tools.OnServer
}

// Operations are the toys: list-things (Read), start (Change, with progress),
// destroy (Critical, with a phrase), set-word (Critical, needs a secret),
// bring (Critical, needs a file), make-token (Critical, keeps a parcel).
func (w *World) Operations() []tools.Operation {
	complete := map[string]func(context.Context, tools.Env, string) ([]tools.Choice, error){
		"thing": func(_ context.Context, env tools.Env, _ string) ([]tools.Choice, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			choices := []tools.Choice{}
			for _, t := range w.things[env.Server] {
				choices = append(choices, tools.Choice{Value: t.Name, Label: t.Name + " (" + t.ID + ")"})
			}
			return choices, nil
		},
	}
	view := func(verb string) func(Outcome) tools.View {
		return func(o Outcome) tools.View {
			return tools.View{Headline: verb + " " + o.Done, Tone: tools.Good, Next: []tools.Next{{Label: "List", Operation: "list-things"}}}
		}
	}
	plan := func(effect string, phrase bool) func(tools.Env, Thing) tools.Plan {
		return func(env tools.Env, t Thing) tools.Plan {
			p := tools.Plan{
				Target: tools.Target{Server: env.Server, Kind: "thing", ID: t.ID, Name: t.Name},
				Facts: []tools.PlanFact{
					tools.Bind("running", fmt.Sprint(t.Running)),
					tools.Show("size", fmt.Sprintf("%d GB", t.Size)),
				},
				Effects: []string{effect},
			}
			if phrase {
				p.Phrase = t.Name
			}
			return p
		}
	}
	destroyed, worded := plan("the thing and all that was kept of it are gone", true), plan("the old word no longer works", false)
	return []tools.Operation{
		tools.Define(tools.Spec{Name: "list-things", Summary: "List the things", Help: "Lists the things of a server, or of all.", Group: "things", Toolset: "core", Risk: tools.Read, Idempotent: true, Examples: []string{"list-things --long"}},
			tools.Handler[listIn, Listed]{
				Do: func(ctx context.Context, env tools.Env, in listIn) (Listed, error) {
					if w.Before != nil {
						if err := w.Before(ctx, "list-things"); err != nil {
							return Listed{}, err
						}
					}
					w.mu.Lock()
					defer w.mu.Unlock()
					out := Listed{Things: []Row{}}
					for _, t := range w.things[env.Server] {
						out.Things = append(out.Things, Row{t.ID, t.Name, t.Size, t.Running})
					}
					return out, nil
				},
				View: func(l Listed) tools.View {
					v := tools.View{Headline: fmt.Sprintf("%d things", len(l.Things)), Tone: tools.Good, Table: &tools.Table{Columns: []string{"ID", "Name", "Size"}}}
					for _, t := range l.Things {
						v.Table.Rows = append(v.Table.Rows, []string{t.ID, t.Name, fmt.Sprintf("%d GB", t.SizeGB)})
						v.Next = append(v.Next, tools.Next{Label: "Start", Operation: "start", Args: map[string]any{"thing": t.ID}})
					}
					return v
				},
			}),
		tools.Define(tools.Spec{Name: "start", Summary: "Start a thing now", Group: "things", Toolset: "core", Risk: tools.Change},
			tools.Handler[thingIn, Outcome]{
				Complete: complete,
				Do: func(ctx context.Context, env tools.Env, in thingIn) (Outcome, error) {
					t, err := w.find(env.Server, in.Thing)
					if err != nil {
						return Outcome{}, err
					}
					for i := range 5 {
						env.Progress(tools.Progress{Text: fmt.Sprintf("step %d of 5", i+1), Done: float64(i+1) / 5, Stage: "Step"})
					}
					return Outcome{ID: t.ID, Done: t.Name}, w.do(ctx, "start", env.Server, t.ID)
				},
				View: view("started"),
			}),
		tools.Define(tools.Spec{Name: "destroy", Summary: "Destroy a thing for ever", Group: "things", Toolset: "core", Risk: tools.Critical},
			tools.Handler[thingIn, Outcome]{
				Complete: complete,
				Plan: func(_ context.Context, env tools.Env, in thingIn) (tools.Plan, error) {
					t, err := w.find(env.Server, in.Thing)
					return destroyed(env, t), err
				},
				Do: func(ctx context.Context, env tools.Env, in thingIn) (Outcome, error) {
					t, err := w.find(env.Server, env.Planned.Target.ID)
					if err != nil {
						return Outcome{}, err
					}
					if err := w.do(ctx, "destroy", env.Server, t.ID); err != nil {
						return Outcome{}, err
					}
					w.mu.Lock()
					defer w.mu.Unlock()
					w.things[env.Server] = slices.DeleteFunc(w.things[env.Server], func(o Thing) bool { return o.ID == t.ID })
					return Outcome{ID: t.ID, Done: t.Name}, nil
				},
				Settle: func(_ context.Context, env tools.Env, _ thingIn, p tools.Plan) (tools.Settled, error) {
					if _, err := w.find(env.Server, p.Target.ID); err != nil {
						return tools.TookEffect, nil
					}
					return tools.TookNoEffect, nil
				},
				View: view("destroyed"),
			}),
		tools.Define(tools.Spec{Name: "set-word", Summary: "Set the word of a thing", Group: "things", Toolset: "admin", Risk: tools.Critical},
			tools.Handler[wordIn, Outcome]{
				Complete: complete,
				Plan: func(_ context.Context, env tools.Env, in wordIn) (tools.Plan, error) {
					t, err := w.find(env.Server, in.Thing)
					return worded(env, t), err
				},
				Do: func(ctx context.Context, env tools.Env, in wordIn) (Outcome, error) {
					word, err := env.Secret(ctx, in.Word)
					if err != nil {
						return Outcome{}, err
					}
					return Outcome{ID: env.Planned.Target.ID, Done: env.Planned.Target.Name},
						w.do(ctx, fmt.Sprintf("set-word of %d letters", len(word.Reveal())), env.Server, env.Planned.Target.ID)
				},
				View: view("set the word of"),
			}),
		tools.Define(tools.Spec{Name: "bring", Summary: "Bring things from a file", Group: "things", Toolset: "admin", Risk: tools.Critical},
			tools.Handler[fileIn, Outcome]{
				Plan: func(ctx context.Context, env tools.Env, in fileIn) (tools.Plan, error) {
					content, err := env.File(ctx, in.File)
					if err != nil {
						return tools.Plan{}, err
					}
					return tools.Plan{
						Target:  tools.Target{Server: env.Server, Kind: "server", Name: env.Server},
						Facts:   []tools.PlanFact{tools.Bind("bytes", fmt.Sprint(len(content.Reveal())))},
						Effects: []string{"the things in the file are added"},
					}, nil
				},
				Do: func(ctx context.Context, env tools.Env, in fileIn) (Outcome, error) {
					content, err := env.File(ctx, in.File)
					if err != nil {
						return Outcome{}, err
					}
					return Outcome{Done: "a file"}, w.do(ctx, fmt.Sprintf("bring %d bytes", len(content.Reveal())), env.Server, "")
				},
				View: view("brought"),
			}),
		tools.Define(tools.Spec{Name: "make-token", Summary: "Make a token that opens everything", Group: "things", Toolset: "admin", Risk: tools.Critical},
			tools.Handler[tokenIn, Outcome]{
				Plan: func(_ context.Context, env tools.Env, _ tokenIn) (tools.Plan, error) {
					return tools.Plan{
						Target:  tools.Target{Server: env.Server, Kind: "server", Name: env.Server},
						Facts:   []tools.PlanFact{tools.Show("lives", "ten years")},
						Effects: []string{"whoever has the token can do everything"},
					}, nil
				},
				Do: func(ctx context.Context, env tools.Env, in tokenIn) (Outcome, error) {
					if err := w.do(ctx, "make-token", env.Server, ""); err != nil {
						return Outcome{}, err
					}
					token, err := env.Secret(ctx, tools.SecretGenerate)
					if err != nil {
						return Outcome{}, err
					}
					kept, err := env.Keep(ctx, tools.Parcel{Kind: "token", Name: env.Server + "-token.txt", Content: token, Folder: in.Folder, Overwrite: in.Overwrite})
					return Outcome{Done: "a token", Kept: kept.Where}, err
				},
				View: view("made"),
			}),
	}
}
