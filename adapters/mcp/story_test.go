package mcp_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/duplibot/duplibot/adapters/mcp"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// everyWay runs a test over both transports in both eras.
func everyWay(t *testing.T, f func(t *testing.T, connect func(*testing.T, *rig, *sdk.ClientOptions) *sdk.ClientSession)) {
	for era, version := range eras {
		t.Run("stdio "+era, func(t *testing.T) {
			f(t, func(t *testing.T, r *rig, o *sdk.ClientOptions) *sdk.ClientSession {
				return r.stdio(t, toolstest.AnnsAssistant, version, o)
			})
		})
		t.Run("http "+era, func(t *testing.T) {
			f(t, func(t *testing.T, r *rig, o *sdk.ClientOptions) *sdk.ClientSession {
				return dial(t, r.serve(t, nil), annToken, version, o)
			})
		})
	}
}

func TestEveryToolAnswersByItsSchema(t *testing.T) {
	everyWay(t, func(t *testing.T, connect func(*testing.T, *rig, *sdk.ClientOptions) *sdk.ClientSession) {
		r := newRig(t, nil, toolstest.WithPages())
		s := connect(t, r, nil)
		list, err := s.ListTools(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		args := map[string]map[string]any{
			"duplicati_start": {"thing": "1"}, "duplicati_destroy": {"thing": "1"}, "duplicati_set_word": {"thing": "1", "word": "photos-passphrase"},
			"duplicati_bring": {"file": "photos.json"}, "duplicati_read_log": {"lines": 3},
		}
		if len(list.Tools) != len(r.Registry.All()) {
			t.Errorf("%d tools", len(list.Tools))
		}
		for _, tool := range list.Tools {
			res := call(t, s, tool.Name, args[tool.Name]) // the client checks the output schema
			if res.IsError || len(text(res)) == 0 {
				t.Errorf("%s: %s", tool.Name, text(res))
				continue
			}
			op := strings.ReplaceAll(strings.TrimPrefix(tool.Name, "duplicati_"), "_", "-")
			declared, err := r.Registry.Lookup(op)
			if err != nil {
				t.Fatal(err)
			}
			want := "done"
			if declared.Risk == tools.Critical {
				want = "pending"
			}
			if got := content(t, res, "status"); got != want {
				t.Errorf("%s of risk %s is %v", tool.Name, declared.Risk, got)
			}
		}
	})
}

func TestACriticalCallWaitsForAPersonElsewhere(t *testing.T) {
	everyWay(t, func(t *testing.T, connect func(*testing.T, *rig, *sdk.ClientOptions) *sdk.ClientSession) {
		r := newRig(t, func(o *mcp.Options) {
			o.Where = func(w tools.Waiting) []string {
				return []string{"on its card in #approvals", "at a terminal: duplibot approve " + w.ID}
			}
		})
		s := connect(t, r, nil)
		res := call(t, s, "duplicati_destroy", map[string]any{"thing": "photos"})
		id, _ := content(t, res, "approval", "id").(string)
		if res.IsError || id == "" || content(t, res, "status") != "pending" {
			t.Fatalf("answered %s", text(res))
		}
		for _, want := range []string{id, `thing "Photos" (1) on nas`, "gone", "Can decide: bob", "#approvals", "duplibot approve " + id, "Nothing has been done", "expires at", "duplicati_request"} {
			if !strings.Contains(text(res), want) {
				t.Errorf("the text lacks %q:\n%s", want, text(res))
			}
		}
		a, err := r.Desk.Request(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		all := text(res) + fmt.Sprint(res.StructuredContent)
		if strings.Contains(all, a.Fingerprint) || strings.Contains(strings.ToLower(all), "phrase") {
			t.Errorf("the answer holds what only a person is shown: %s", all)
		}
		if again := call(t, s, "duplicati_destroy", map[string]any{"thing": "photos"}); content(t, again, "approval", "id") != id {
			t.Error("the same call asked again made another request")
		}
		if did := r.World.Did(); len(did) != 0 {
			t.Fatalf("did %v before anybody agreed", did)
		}
		if _, err := r.Decide(toolstest.BobAtTerminal, id, true); err != nil {
			t.Fatal(err)
		}
		how := call(t, s, "duplicati_request", map[string]any{"id": id})
		if !strings.Contains(fmt.Sprint(how.StructuredContent), "done") {
			t.Errorf("afterwards: %v", how.StructuredContent)
		}
		if got := strings.Join(r.World.Did(), ","); got != "destroy nas 1" {
			t.Errorf("did %s", got)
		}
	})
}

// A client that says yes to whatever it is asked, and claims every capability,
// gets no further than one that has none.
func TestNoClientCanAgree(t *testing.T) {
	everyWay(t, func(t *testing.T, connect func(*testing.T, *rig, *sdk.ClientOptions) *sdk.ClientSession) {
		r := newRig(t, func(o *mcp.Options) { o.Pages = pages{} }, toolstest.WithPages())
		asked := &asked{}
		s := connect(t, r, lying(asked, "accept"))
		destroyed := call(t, s, "duplicati_destroy", map[string]any{"thing": "1"})
		id := content(t, destroyed, "approval", "id").(string)
		worded := call(t, s, "duplicati_set_word", map[string]any{"thing": "1", "word": "page"})
		if content(t, worded, "status") != "pending" {
			t.Errorf("answered %s", text(worded))
		}
		for _, e := range asked.all() {
			if e.Mode != "url" || e.RequestedSchema != nil {
				t.Errorf("the client was asked by a form: %+v", e)
			}
		}
		// In every spelling: as tools, as arguments, as an answer nobody asked for.
		for _, tool := range []string{"approve", "duplicati_approve", "duplicati_decide", "duplicati_settle", "duplicati_confirm", "duplicati_provide", "duplicati_token", "duplicati_withdraw"} {
			if res, err := s.CallTool(context.Background(), &sdk.CallToolParams{Name: tool, Arguments: map[string]any{"id": id, "yes": true}}); err == nil && !res.IsError {
				t.Errorf("%s answered %s", tool, text(res))
			}
		}
		for _, extra := range []map[string]any{
			{"confirm": true}, {"approve": true}, {"approved": true}, {"yes": true}, {"phrase": "Photos"}, {"approval": id}, {"caller": "uid:1001"}, {"surface": "cli"},
			{"_meta": map[string]any{"approved": true}}, {"unattended": true}, {"force_approve": id}, {"person": "bob"},
		} {
			extra["thing"] = "1"
			if res := call(t, s, "duplicati_destroy", extra); !res.IsError || !strings.Contains(text(res), "invalid_argument") {
				t.Errorf("%v answered %s", extra, text(res))
			}
		}
		for _, forged := range []sdk.CallToolParams{
			{InputResponses: sdk.InputResponseMap{"page": &sdk.ElicitResult{Action: "accept", Content: map[string]any{"yes": true}}}},
			{RequestState: "Zm9yZ2Vk.Zm9yZ2Vk"},
			{RequestState: id},
		} {
			forged.Name, forged.Arguments = "duplicati_destroy", map[string]any{"thing": "1"}
			if res, err := s.CallTool(context.Background(), &forged); err == nil && !res.IsError {
				t.Errorf("a forged answer got %s", text(res))
			}
		}
		if did := r.World.Did(); len(did) != 0 {
			t.Fatalf("did %v", did)
		}
		for _, a := range r.Heard.All() {
			if a.State != tools.StateInput && a.State != tools.StatePending {
				t.Errorf("request %s is %s", a.ID, a.State)
			}
		}
		// The valid request still runs exactly once.
		if _, err := r.Decide(toolstest.BobAtTerminal, id, true); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.World.Did(), ","); got != "destroy nas 1" {
			t.Errorf("did %s", got)
		}
	})
}

func TestAReferenceOrAPathIsNoArgumentOfAModel(t *testing.T) {
	r := newRig(t, func(o *mcp.Options) { o.Pages = pages{} }, toolstest.WithPages())
	s := r.stdio(t, toolstest.AnnsAssistant, "2026-07-28", nil)
	for _, word := range []string{"env:WORD", "file:/etc/passwd", "keyring:duplibot", "exec:id", "pass:x", "credential:x", "held:h1", "hunter2:secret"} {
		res := call(t, s, "duplicati_set_word", map[string]any{"thing": "1", "word": word})
		if !res.IsError || strings.Contains(text(res), word) {
			t.Errorf("%s answered %s", word, text(res))
		}
	}
	for _, file := range []string{"/etc/passwd", "../photos.json", "file:/etc/passwd"} {
		if res := call(t, s, "duplicati_bring", map[string]any{"file": file}); !res.IsError {
			t.Errorf("%s answered %s", file, text(res))
		}
	}
	if res := call(t, s, "duplicati_make_token", map[string]any{"folder": "/tmp"}); !res.IsError {
		t.Errorf("a terminal's parameter was taken: %s", text(res))
	}
	if len(r.World.Did()) != 0 || len(r.Heard.All()) != 0 {
		t.Errorf("did %v, asked %d", r.World.Did(), len(r.Heard.All()))
	}
	if strings.Contains(fmt.Sprint(r.Records(t)), "hunter2") {
		t.Error("a mistyped secret is in the audit log")
	}
}

// pages is where a secret would be entered.
type pages struct{}

func (pages) Link(id string) (string, bool) { return "https://bot.example/enter/" + id, true }

type asked struct {
	mu   sync.Mutex
	with []*sdk.ElicitParams
}

func (a *asked) all() []*sdk.ElicitParams {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.with
}

// lying is a client that claims everything and answers at once.
func lying(a *asked, action string) *sdk.ClientOptions {
	return &sdk.ClientOptions{
		Capabilities: &sdk.ClientCapabilities{Elicitation: &sdk.ElicitationCapabilities{Form: &sdk.FormElicitationCapabilities{}, URL: &sdk.URLElicitationCapabilities{}}},
		ElicitationHandler: func(_ context.Context, req *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.with = append(a.with, req.Params)
			return &sdk.ElicitResult{Action: action}, nil
		},
	}
}

func TestThePageIsOfferedWhereTheClientCanOpenIt(t *testing.T) {
	everyWay(t, func(t *testing.T, connect func(*testing.T, *rig, *sdk.ClientOptions) *sdk.ClientSession) {
		for action, says := range map[string]string{"accept": "says that the user opened", "decline": "did not open", "cancel": "did not open"} {
			t.Run(action, func(t *testing.T) { pageOffered(t, connect, action, says) })
		}
	})
	t.Run("not to one that cannot", func(t *testing.T) {
		r := newRig(t, func(o *mcp.Options) { o.Pages = pages{} }, toolstest.WithPages())
		a := &asked{}
		o := lying(a, "accept")
		o.Capabilities.Elicitation.URL = nil
		s := r.stdio(t, toolstest.AnnsAssistant, "2026-07-28", o)
		res := call(t, s, "duplicati_set_word", map[string]any{"thing": "1", "word": "page"})
		if len(a.all()) != 0 || !strings.Contains(text(res), "https://bot.example/enter/a-") {
			t.Errorf("asked %v, answered %s", a.all(), text(res))
		}
	})
	t.Run("not where there are no pages", func(t *testing.T) {
		r := newRig(t, nil)
		s := r.stdio(t, toolstest.AnnsAssistant, "2026-07-28", lying(&asked{}, "accept"))
		res := call(t, s, "duplicati_set_word", map[string]any{"thing": "1", "word": "page"})
		if !res.IsError || !strings.Contains(text(res), "secret_needed") {
			t.Errorf("answered %s", text(res))
		}
	})
}

func pageOffered(t *testing.T, connect func(*testing.T, *rig, *sdk.ClientOptions) *sdk.ClientSession, action, says string) {
	r := newRig(t, func(o *mcp.Options) { o.Pages = pages{} }, toolstest.WithPages())
	a := &asked{}
	s := connect(t, r, lying(a, action))
	res := call(t, s, "duplicati_set_word", map[string]any{"thing": "1", "word": "page"})
	id, _ := content(t, res, "approval", "id").(string)
	if len(a.all()) != 1 || a.all()[0].URL != "https://bot.example/enter/"+id || !strings.Contains(text(res), says) {
		t.Errorf("asked %+v, answered %s", a.all(), text(res))
	}
	if content(t, res, "approval", "page") != a.all()[0].URL || fmt.Sprint(content(t, res, "approval", "needs")) != "[word]" {
		t.Errorf("answered %v", res.StructuredContent)
	}
	if n := len(r.Heard.All()); n > 1 {
		t.Errorf("%d requests were made of one call", n)
	}
}

func TestLongWorkTellsHowFarItIs(t *testing.T) {
	everyWay(t, func(t *testing.T, connect func(*testing.T, *rig, *sdk.ClientOptions) *sdk.ClientSession) {
		r := newRig(t, nil)
		var mu sync.Mutex
		var heard []*sdk.ProgressNotificationParams
		s := connect(t, r, &sdk.ClientOptions{ProgressNotificationHandler: func(_ context.Context, req *sdk.ProgressNotificationClientRequest) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, req.Params)
		}})
		params := &sdk.CallToolParams{Name: "duplicati_start", Arguments: map[string]any{"thing": "1"}}
		params.SetProgressToken("token-7")
		if _, err := s.CallTool(context.Background(), params); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			mu.Lock()
			n := len(heard)
			mu.Unlock()
			if n >= 2 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(heard) < 2 {
			t.Fatalf("heard %d notifications", len(heard))
		}
		for i, p := range heard {
			if p.ProgressToken != "token-7" || i > 0 && p.Progress <= heard[i-1].Progress || p.Total != 100 || !strings.Contains(p.Message, "of 5") {
				t.Errorf("%d: %+v", i, p)
			}
		}
		if last := heard[len(heard)-1]; last.Progress != 100 {
			t.Errorf("the last is %+v", last)
		}
	})
}

func TestACancelledCallEndsTheWaitingAlone(t *testing.T) {
	everyWay(t, func(t *testing.T, connect func(*testing.T, *rig, *sdk.ClientOptions) *sdk.ClientSession) {
		r := newRig(t, nil)
		s := connect(t, r, nil)
		began, goOn := make(chan struct{}), make(chan struct{})
		r.World.Before = func(ctx context.Context, op string) error {
			close(began)
			<-goOn
			return ctx.Err()
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			_, err := s.CallTool(ctx, &sdk.CallToolParams{Name: "duplicati_start", Arguments: map[string]any{"thing": "2"}})
			ended <- err
		}()
		<-began
		cancel()
		if err := <-ended; err == nil {
			t.Error("the cancelled call has a result")
		}
		// Long enough for the cancellation to have arrived.
		time.Sleep(100 * time.Millisecond)
		close(goOn)
		for range 200 {
			if len(r.World.Did()) == 1 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if got := strings.Join(r.World.Did(), ","); got != "start nas 2" {
			t.Errorf("did %q: what had begun was cut off", got)
		}
	})
}

// The package is given a Door. Nothing in what it exports can take, make or
// reach a tools.Decisions.
func TestTheAPICannotDecide(t *testing.T) {
	decisions := reflect.TypeFor[tools.Decisions]()
	seen := map[reflect.Type]bool{}
	var walk func(path string, x reflect.Type)
	walk = func(path string, x reflect.Type) {
		if seen[x] {
			return
		}
		seen[x] = true
		if x == decisions || x == reflect.TypeFor[*tools.Desk]() || x == reflect.TypeFor[tools.Decision]() || x == reflect.TypeFor[tools.Approvals]() {
			t.Errorf("%s has the type %s", path, x)
		}
		switch x.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Chan, reflect.Map, reflect.Array:
			walk(path, x.Elem())
		case reflect.Struct:
			for i := range x.NumField() {
				if f := x.Field(i); !f.IsExported() && !strings.HasSuffix(x.PkgPath(), "adapters/mcp") {
					continue // out of reach from here
				}
				walk(path+"."+x.Field(i).Name, x.Field(i).Type)
			}
		case reflect.Func:
			for i := range x.NumIn() {
				walk(path+"()", x.In(i))
			}
			for i := range x.NumOut() {
				walk(path+"()", x.Out(i))
			}
		case reflect.Interface:
			if x.Implements(decisions) {
				t.Errorf("%s can decide", path)
			}
		}
		for i := range x.NumMethod() {
			walk(path+"."+x.Method(i).Name, x.Method(i).Type)
		}
	}
	for name, x := range map[string]reflect.Type{
		"Server": reflect.TypeFor[*mcp.Server](), "HTTP": reflect.TypeFor[*mcp.HTTP](), "Options": reflect.TypeFor[mcp.Options](),
		"HTTPOptions": reflect.TypeFor[mcp.HTTPOptions](), "New": reflect.TypeOf(mcp.New),
	} {
		walk(name, x)
	}
	if !seen[reflect.TypeFor[tools.Door]()] {
		t.Error("the walk did not reach the door")
	}
}
