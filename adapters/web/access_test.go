package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/duplibot/duplibot/adapters/web"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// long is a word without a place to break, as servers and people have them.
var long = strings.Repeat("averylongnamewithoutanyplacetobreak", 8)

// scenes lead a browser to each kind of page that there is.
var scenes = []struct {
	name string
	ops  []tools.Operation // nil for the usual ones
	lead func(b *tab, r *rig)
}{
	{"a word is asked for", nil, func(b *tab, r *rig) {
		b.open(r.enter(r.waiting()).Link, http.StatusOK)
	}},
	{"a file and a word are asked for", []tools.Operation{twice()}, func(b *tab, r *rig) {
		b.open(r.enter(r.ask(toolstest.AnnInSlack, "open-file", map[string]any{"file": "page", "passphrase": "page"})).Link, http.StatusOK)
	}},
	{"the two words differ", nil, func(b *tab, r *rig) {
		opened := r.enter(r.waiting())
		b.open(opened.Link, http.StatusOK)
		b.enter("give.word", canary, "give.word.again", canary+"x", "code", opened.Code.Reveal())
		value[bool](b, `document.querySelector("form").noValidate = true`)
		b.leads(http.StatusUnprocessableEntity, chromedp.Click(button))
	}},
	{"the code is wrong", nil, func(b *tab, r *rig) {
		b.open(r.enter(r.waiting()).Link, http.StatusOK)
		b.enter("give.word", canary, "give.word.again", canary, "code", "BBBB-BBBB")
		b.leads(http.StatusForbidden, chromedp.Click(button))
	}},
	{"it was taken", nil, func(b *tab, r *rig) {
		opened := r.enter(r.waiting())
		b.open(opened.Link, http.StatusOK)
		b.enter("give.word", canary, "give.word.again", canary, "code", opened.Code.Reveal())
		b.leads(http.StatusOK, chromedp.Click(button))
	}},
	{"there is no such page", nil, func(b *tab, r *rig) {
		b.open("http://"+hostOf(r.web)+"/p/x", http.StatusNotFound)
	}},
	{"a word can be read", []tools.Operation{keepTwo()}, func(b *tab, r *rig) {
		b.open(r.show().Link, http.StatusOK)
	}},
	{"a word is shown", []tools.Operation{keepTwo()}, func(b *tab, r *rig) {
		opened := r.show()
		b.open(opened.Link, http.StatusOK)
		b.enter("code", opened.Code.Reveal())
		b.leads(http.StatusOK, chromedp.Click(button))
	}},
	{"several things can be read", []tools.Operation{keepTwo()}, func(b *tab, r *rig) {
		a := r.ask(toolstest.AnnInSlack, "keep-two", nil)
		if _, err := r.Decide(toolstest.BobInSlack, a.ID, true); err != nil {
			b.t.Fatal(err)
		}
		if _, err := r.web.Code(b.t.Context(), "ann", a.ID); err != nil {
			b.t.Fatal(err)
		}
		link, _ := r.web.Link(a.ID)
		b.open(link, http.StatusOK)
		b.sees("Several things", "averylong")
	}},
}

// keepTwo keeps two words, one with a long name and a long content.
func keepTwo() tools.Operation {
	type in struct{ tools.OnServer }
	return tools.Define(tools.Spec{Name: "keep-two", Summary: "Keep two words", Group: "things", Toolset: "core", Risk: tools.Critical},
		tools.Handler[in, toolstest.Outcome]{
			Plan: func(_ context.Context, env tools.Env, _ in) (tools.Plan, error) {
				return tools.Plan{Target: tools.Target{Server: env.Server, Kind: "server", Name: env.Server}, Effects: []string{"two words are kept"}}, nil
			},
			Do: func(ctx context.Context, env tools.Env, _ in) (toolstest.Outcome, error) {
				for _, name := range []string{"the short one", long} {
					if _, err := env.Keep(ctx, tools.Parcel{Kind: "token", Name: name, Content: secret.New(long)}); err != nil {
						return toolstest.Outcome{}, err
					}
				}
				return toolstest.Outcome{}, nil
			},
			View: func(toolstest.Outcome) tools.View { return tools.View{Headline: "kept"} },
		})
}

// show is a page on which a long word can be read.
func (r *rig) show() web.Opened {
	r.t.Helper()
	a := r.ask(toolstest.AnnInSlack, "keep-two", nil)
	done, err := r.Decide(toolstest.BobInSlack, a.ID, true)
	if err != nil || len(done.Kept) != 2 {
		r.t.Fatalf("kept %+v, %v", done.Kept, err)
	}
	opened, err := r.web.Show(r.t.Context(), done.Caller, done.Kept[1].Handle)
	if err != nil {
		r.t.Fatal(err)
	}
	return opened
}

// TestEverybodyCanUseThePages has the accessibility checker axe look at each
// page, in light and dark, on a screen and a phone, and sees that nothing has
// to be scrolled sideways there.
func TestEverybodyCanUseThePages(t *testing.T) {
	axe, err := os.ReadFile(filepath.Join("axe", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		missing(t, "axe-core is not installed: npm ci --prefix adapters/web/axe")
	}
	papers := map[string]string{}
	for _, scene := range scenes {
		t.Run(scene.name, func(t *testing.T) {
			b := newTab(t)
			var opts []toolstest.Option
			if scene.ops != nil {
				opts = append(opts, toolstest.WithOperations(scene.ops...))
			}
			scene.lead(b, newRig(t, nil, opts...))
			b.picture(scene.name)
			value[bool](b, string(axe)+"\n;true")
			for _, v := range violations(b) {
				t.Errorf("on a screen: %s", v)
			}
			for _, scheme := range []string{"light", "dark"} {
				b.prefers(scheme)
				papers[scheme] = value[string](b, `getComputedStyle(document.body).backgroundColor`)
				for _, width := range []int64{1280, 360, 320} {
					b.do(chromedp.EmulateViewport(width, 740))
					if has := value[int64](b, `document.documentElement.scrollWidth`); has > width {
						t.Errorf("%s: it is %d wide on a screen of %d", scheme, has, width)
					}
				}
				// What axe looks at is the same on both of the phones.
				for _, v := range violations(b) {
					t.Errorf("%s on a phone: %s", scheme, v)
				}
				if scheme == "dark" {
					b.picture(scene.name + ", dark")
				}
			}
			if papers["light"] == papers["dark"] {
				t.Errorf("the paper is %s in light and dark", papers["light"])
			}
			if blocked := b.wasBlocked(); len(blocked) > 0 {
				t.Errorf("the page's own policy keeps out what it needs: %q", blocked)
			}
		})
	}
	t.Run("and the checker would see a fault", func(t *testing.T) {
		b := newTab(t)
		scenes[0].lead(b, newRig(t, nil))
		value[bool](b, string(axe)+"\n;true")
		value[bool](b, `document.querySelector("label").remove(), document.querySelector("main").style.color = "#bbb", true`)
		found := strings.Join(violations(b), "\n")
		for _, rule := range []string{"label", "color-contrast"} {
			if !strings.Contains(found, rule+":") {
				t.Errorf("axe does not see a fault of %q in:\n%s", rule, found)
			}
		}
	})
}

// violations are the rules of axe that the page breaks, of whatever weight.
func violations(b *tab) []string {
	b.t.Helper()
	var found struct {
		Passes     int
		Violations []struct {
			ID, Impact, Help string
			Nodes            []struct{ HTML string }
		}
	}
	text := value[string](b, `axe.run(document).then(r => JSON.stringify({Passes: r.passes.length, Violations: r.violations}))`)
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatal(err)
	}
	if found.Passes < 10 {
		b.t.Errorf("axe passed %d rules: it cannot have looked", found.Passes)
	}
	var list []string
	for _, v := range found.Violations {
		list = append(list, fmt.Sprintf("%s: %s (%s) %+v", v.ID, v.Help, v.Impact, v.Nodes))
	}
	return list
}

// picture keeps a screenshot where DUPLIBOT_TEST_PICTURES says.
func (b *tab) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("DUPLIBOT_TEST_PICTURES")
	if dir == "" {
		return
	}
	shot, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".png"), shot, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// tabs presses the key n times, and says where that leads and whether it can
// be seen there.
func (b *tab) tabs(n int) []string {
	b.t.Helper()
	var at []string
	for range n {
		b.do(chromedp.KeyEvent(kb.Tab))
		at = append(at, value[string](b, `(e => e.name || e.id || e.className || e.tagName.toLowerCase())(document.activeElement)`))
		if !value[bool](b, `(s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2)(getComputedStyle(document.activeElement))`) {
			b.t.Errorf("it cannot be seen that the keyboard is at %s", at[len(at)-1])
		}
	}
	return at
}

func TestTheKeyboardIsEnough(t *testing.T) {
	b := newTab(t)
	r := newRig(t, nil)
	a := r.waiting()
	opened := r.enter(a)
	b.open(opened.Link, http.StatusOK)
	want := []string{"give.word", "give.word.again", "quiet reveal", "code", "button"}
	if at := b.tabs(len(want)); !slices.Equal(at, want) {
		t.Fatalf("the keyboard goes to %q, want %q", at, want)
	}

	b.open(opened.Link, http.StatusOK)
	b.tabs(1)
	b.do(chromedp.KeyEvent(canary), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(canary), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(" "))
	if shown := value[string](b, `document.querySelector("fieldset input").type`); shown != "text" {
		t.Errorf("the space bar shows nothing: %s", shown)
	}
	b.do(chromedp.KeyEvent(kb.Tab))
	b.leads(http.StatusOK, chromedp.KeyEvent(opened.Code.Reveal()+kb.Enter))
	b.sees("Thank you")

	done := r.kept()
	show, err := r.web.Show(t.Context(), done.Caller, done.Kept[0].Handle)
	if err != nil {
		t.Fatal(err)
	}
	b.open(show.Link, http.StatusOK)
	b.tabs(1)
	b.leads(http.StatusOK, chromedp.KeyEvent(show.Code.Reveal()+kb.Enter))
	if at, want := b.tabs(3), []string{"summary", "secret", "copy"}; !slices.Equal(at, want) {
		t.Errorf("the keyboard goes to %q, want %q", at, want)
	}
}
