package web_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"
)

// A real Chromium, started once for all tests of the package.
var (
	chromium    context.Context
	endChromium = func() {}
	findOnce    sync.Once
)

func TestMain(m *testing.M) {
	code := m.Run()
	endChromium()
	os.Exit(code)
}

func startChromium() {
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.WSURLReadTimeout(2*time.Minute),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	all, endAll := chromedp.NewExecAllocator(context.Background(), options...)
	first, endFirst := chromedp.NewContext(all)
	chromium, endChromium = first, func() { endFirst(); endAll() }
}

// missing skips a test whose part is not installed, and fails where nothing
// may be skipped.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// tab is a window of a browser that knows nothing of the others.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu      sync.Mutex
	blocked []string // what the pages' own policy has kept out
}

func newTab(t *testing.T) *tab {
	t.Helper()
	findOnce.Do(startChromium)
	if chromium == nil {
		missing(t, "chromium is not installed: apt-get install chromium")
	}
	if err := chromedp.Do(chromium); err != nil {
		t.Fatalf("chromium did not start: %v", err)
	}
	own, end := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(end)
	ctx, cancel := context.WithTimeout(own, 3*time.Minute)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	return b
}

// hear notes what Chromium complains of.
func (b *tab) hear(event any) {
	if e, ok := event.(*log.EventEntryAdded); ok && strings.Contains(e.Entry.Text, "Content Security Policy") {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.blocked = append(b.blocked, e.Entry.Text)
	}
}

// wasBlocked returns what was kept out, and forgets it.
func (b *tab) wasBlocked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	blocked := b.blocked
	b.blocked = nil
	return blocked
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// open follows a link, as somebody does who was sent it.
func (b *tab) open(link string, status int64) {
	b.t.Helper()
	b.leads(status, chromedp.Navigate(link))
}

// leads takes steps that lead to another page.
func (b *tab) leads(status int64, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	res, err := chromedp.RunResponse(b.ctx, steps...)
	if err != nil {
		b.t.Fatal(err)
	}
	if res.Status != status {
		b.t.Fatalf("status %d, want %d:\n%s", res.Status, status, b.text())
	}
}

// named is the field of that name.
func named(name string) chromedp.CSS { return chromedp.CSS(`[name="` + name + `"]`) }

const button = chromedp.CSS("button[type=submit]")

// enter types into fields, over what stands there: name, text, name, text.
func (b *tab) enter(fields ...string) {
	b.t.Helper()
	for i := 0; i < len(fields); i += 2 {
		field := named(fields[i])
		b.do(chromedp.Focus(field))
		value[bool](b, "document.activeElement.select(), true")
		b.do(chromedp.KeyEvent(fields[i+1]))
	}
}

// text is what a person sees.
func (b *tab) text() string {
	b.t.Helper()
	return value[string](b, "document.body.innerText")
}

func (b *tab) sees(words ...string) {
	b.t.Helper()
	text := b.text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			b.t.Errorf("%q is not to be seen in:\n%s", w, text)
		}
	}
}

// value is what an expression gives in the page.
func value[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *tab) withoutScript() *tab {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		b.t.Fatal(err)
	}
	return b
}

// prefers sets what the person likes: "light" or "dark".
func (b *tab) prefers(scheme string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		b.t.Fatal(err)
	}
}
