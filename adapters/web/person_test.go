package web_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/duplibot/duplibot/adapters/web"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

func TestAPersonEntersAPassword(t *testing.T) {
	for _, script := range []bool{true, false} {
		t.Run(fmt.Sprintf("script %v", script), func(t *testing.T) {
			b := newTab(t)
			if !script {
				b.withoutScript()
			}
			r := newRig(t, nil)
			a := r.waiting()
			opened := r.enter(a)
			b.open(opened.Link, http.StatusOK)
			b.sees("Enter a secret", "For\nann", "Operation\nSet word", "Server\nnas", "an assistant that calls itself test-client/1", a.ID)

			b.enter("give.word", canary, "give.word.again", canary+"x", "code", opened.Code.Reveal())
			if script {
				b.do(chromedp.Click(button))
				if said := value[string](b, `document.querySelector(":invalid:not(fieldset,form)").validationMessage`); said != "The two are not the same." {
					t.Errorf("the browser says %q", said)
				}
			} else {
				b.leads(http.StatusUnprocessableEntity, chromedp.Click(button))
				b.sees("The two are not the same. Enter both again.")
			}
			if got := r.request(a.ID); got.State != tools.StateInput {
				t.Fatalf("the request is %s", got.State)
			}

			b.enter("give.word", canary, "give.word.again", canary, "code", strings.ToLower(opened.Code.Reveal()))
			b.leads(http.StatusOK, chromedp.Click(button))
			b.sees("Thank you", "somebody else has to agree")
			if strings.Contains(b.text(), canary) {
				t.Error("what was entered is shown")
			}
			if _, err := r.Decide(toolstest.BobInSlack, a.ID, true); err != nil {
				t.Fatal(err)
			}
			if did := r.World.Did(); len(did) != 1 || did[0] != fmt.Sprintf("set-word of %d letters nas 1", len(canary)) {
				t.Errorf("did %v", did)
			}
			r.hasNowhere(canary, opened.Code.Reveal())
		})
	}
}

func TestWhatIsTypedCanBeShown(t *testing.T) {
	b := newTab(t)
	r := newRig(t, nil)
	opened := r.enter(r.waiting())
	b.open(opened.Link, http.StatusOK)
	const types = `Array.from(document.querySelectorAll("fieldset input"), i => i.type).join()`
	const reveal = chromedp.CSS("button.reveal")
	b.enter("give.word", canary)
	for _, want := range []string{"text,text", "password,password", "text,text"} {
		b.do(chromedp.Click(reveal))
		if got := value[string](b, types); got != want {
			t.Errorf("the fields are %s, want %s", got, want)
		}
		if pressed := value[string](b, `document.querySelector("button.reveal").ariaPressed`); pressed != fmt.Sprint(want == "text,text") {
			t.Errorf("a screen reader hears pressed %s of %s", pressed, want)
		}
	}
	b.enter("give.word.again", canary, "code", opened.Code.Reveal())
	b.leads(http.StatusOK, chromedp.Click(button))
	b.sees("Thank you")
	if v := value[string](b, `document.documentElement.outerHTML`); strings.Contains(v, canary) {
		t.Error("what was entered is in the page")
	}
}

func TestAPersonReadsAToken(t *testing.T) {
	for _, script := range []bool{true, false} {
		t.Run(fmt.Sprintf("script %v", script), func(t *testing.T) {
			b := newTab(t)
			if !script {
				b.withoutScript()
			}
			r := newRig(t, nil)
			a := r.kept()
			link, _ := r.web.Link(a.ID)
			b.open(link, http.StatusNotFound)
			b.sees("No such page", "get the code first: duplibot code REQUEST")
			code, err := r.web.Code(t.Context(), "ann", a.ID)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				b.open(link, http.StatusOK)
				b.sees("Read it once", "Make token", "For\nann")
			}
			if strings.Contains(b.text(), "generated-canary") {
				t.Fatal("looking shows it")
			}
			b.enter("code", "BBBB-BBBB")
			b.leads(http.StatusForbidden, chromedp.Click(button))
			b.sees("The code is wrong", "tries left: 4")
			b.enter("code", code.Reveal())
			b.leads(http.StatusOK, chromedp.Click(button))
			b.sees("Here it is", "generated-canary-1")

			// Nothing stays in the browser: neither its history nor a reload has it.
			b.do(chromedp.Navigate("about:blank"))
			_ = chromedp.Do(b.ctx, chromedp.NavigateBack()) // it may offer to post again, or fail
			if text := b.text(); strings.Contains(text, "generated-canary") {
				t.Errorf("going back shows it:\n%s", text)
			}
			b.open(link, http.StatusGone)
			b.sees("Already done", "This page was used already; nothing was changed")
			r.hasNowhere("generated-canary-1", code.Reveal())
		})
	}
}

func TestAWordIsCopied(t *testing.T) {
	b := newTab(t)
	r := newRig(t, nil)
	a := r.kept()
	opened, err := r.web.Show(t.Context(), a.Caller, a.Kept[0].Handle)
	if err != nil {
		t.Fatal(err)
	}
	b.open(opened.Link, http.StatusOK)
	b.enter("code", opened.Code.Reveal())
	b.leads(http.StatusOK, chromedp.Click(button))
	// A headless window has no clipboard of its own.
	b.do(chromedp.Evaluate[chromedp.Void](`navigator.clipboard.writeText = async text => { globalThis.taken = text }, undefined`))
	b.do(chromedp.Click(chromedp.ID("copy")))
	b.sees("Copied.")
	if taken := value[string](b, "globalThis.taken"); taken != "generated-canary-1" {
		t.Errorf("copied %q", taken)
	}
	b.do(chromedp.Click(chromedp.CSS("summary")))
	if strings.Contains(b.text(), "generated-canary") {
		t.Error("it cannot be hidden")
	}
}

func TestLinksThatLeadNowhere(t *testing.T) {
	b := newTab(t)
	r := newRig(t, nil)
	a := r.waiting()
	opened := r.enter(a)
	other := r.enter(r.ask(toolstest.AnnsAssistant, "set-word", map[string]any{"thing": "2", "word": "page"}))
	unchanged := func() {
		t.Helper()
		if got := r.request(a.ID); got.State != tools.StateInput {
			t.Fatalf("the request is %s", got.State)
		}
	}
	b.open(opened.Link[:len(opened.Link)-1]+"0", http.StatusNotFound)
	b.sees("No such page", "nothing was changed")
	unchanged()

	b.open(opened.Link, http.StatusOK)
	b.enter("give.word", canary, "give.word.again", canary)
	b.do(chromedp.Click(button))
	if field := value[string](b, `document.activeElement.name`); field != "code" {
		t.Errorf("without a code the browser points to %q", field)
	}
	unchanged()
	b.enter("code", other.Code.Reveal())
	b.leads(http.StatusForbidden, chromedp.Click(button))
	b.sees("The code is wrong", "tries left: 4")
	unchanged()

	r.Clock.Add(10*time.Minute + time.Second)
	b.enter("give.word", canary, "give.word.again", canary, "code", opened.Code.Reveal())
	b.leads(http.StatusGone, chromedp.Click(button))
	b.sees("Too late", "This page has expired; nothing was changed", "Ask for a new link.")
	unchanged()

	again := r.enter(r.waiting())
	b.open(again.Link, http.StatusOK)
	b.enter("give.word", canary, "give.word.again", canary, "code", again.Code.Reveal())
	b.leads(http.StatusOK, chromedp.Click(button))
	b.open(again.Link, http.StatusGone)
	b.sees("Already done", "used already", "tell an admin")
	if did := r.World.Did(); len(did) != 0 {
		t.Errorf("did %v", did)
	}
}

func TestARestartBetweenLinkAndCode(t *testing.T) {
	b := newTab(t)
	r := newRig(t, nil)
	a := r.waiting()
	link, _ := r.web.Link(a.ID)
	r.restart()
	code, err := r.web.Code(t.Context(), "ann", a.ID)
	if err != nil {
		t.Fatal(err)
	}
	b.open(link, http.StatusOK)
	b.enter("give.word", canary, "give.word.again", canary)
	r.restart()
	b.enter("code", code.Reveal())
	b.leads(http.StatusOK, chromedp.Click(button))
	b.sees("Thank you")
	if got := r.request(a.ID); got.State != tools.StatePending {
		t.Errorf("the request is %s", got.State)
	}
}

func TestAPersonGivesAFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, size int) []string {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(int64(size)); err != nil {
			t.Fatal(err)
		}
		return []string{path}
	}
	empty, large, good := file("empty.json", 0), file("large.json", 3*web.MaxSecret), file("good.json", 70_000)
	for _, script := range []bool{true, false} {
		t.Run(fmt.Sprintf("script %v", script), func(t *testing.T) {
			b := newTab(t)
			if !script {
				b.withoutScript()
			}
			r := newRig(t, nil)
			a := r.ask(toolstest.AnnInSlack, "bring", map[string]any{"file": "page"})
			opened := r.enter(a)
			b.open(opened.Link, http.StatusOK)
			b.sees("Give a file", "Asked from\nSlack")
			for _, bad := range []struct {
				file          []string
				browser, said string
			}{
				{empty, "This file is empty.", "Choose a file that is not empty."},
				{large, "This file is too large.", "A file can have 16 MiB"},
			} {
				b.enter("code", opened.Code.Reveal())
				b.do(chromedp.SetUploadFiles(named("give.file"), bad.file))
				if script {
					b.do(chromedp.Click(button))
					if said := value[string](b, `document.querySelector("[type=file]").validationMessage`); said != bad.browser {
						t.Errorf("the browser says %q", said)
					}
					continue
				}
				b.leads(http.StatusUnprocessableEntity, chromedp.Click(button))
				b.sees(bad.said)
				b.open(opened.Link, http.StatusOK)
			}
			b.enter("code", opened.Code.Reveal())
			b.do(chromedp.SetUploadFiles(named("give.file"), good))
			b.leads(http.StatusOK, chromedp.Click(button))
			b.sees("Thank you")
			if _, err := r.Decide(toolstest.BobInSlack, a.ID, true); err != nil {
				t.Fatal(err)
			}
			if did := r.World.Did(); len(did) != 1 || did[0] != "bring 70000 bytes nas" {
				t.Errorf("did %v", did)
			}
		})
	}
}
