package web_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"

	"github.com/duplibot/duplibot/adapters/web"
	"github.com/duplibot/duplibot/tools"
)

// elsewhere is a site of somebody else's, who has got hold of a link and its
// code and would like to use them from a page of his own.
type elsewhere struct {
	URL string

	mu       sync.Mutex
	html     string
	asked    []string // paths
	referers []string
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	e := &elsewhere{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.asked = append(e.asked, r.URL.Path)
		e.referers = append(e.referers, r.Referer())
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprintf(w, "<!doctype html><title>elsewhere</title>%s", e.html)
	}))
	t.Cleanup(s.Close)
	e.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	return e
}

func (e *elsewhere) shows(html string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.html = html
	return e.URL + "/page"
}

func (e *elsewhere) heard() (asked, referers []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	asked, referers = e.asked, e.referers
	e.asked, e.referers = nil, nil
	return asked, referers
}

func TestAnotherSiteCannotUseAPage(t *testing.T) {
	b, r, evil := newTab(t), newRig(t, nil), newElsewhere(t)
	a := r.waiting()
	opened := r.enter(a)
	unchanged := func(what string) {
		t.Helper()
		if got := r.request(a.ID); got.State != tools.StateInput {
			t.Fatalf("%s made the request %s", what, got.State)
		}
	}

	t.Run("nor show it inside its own", func(t *testing.T) {
		// From the same host, so that the frame is in the same process and can be seen from here.
		b.open(strings.Replace(evil.shows(`<iframe src="`+opened.Link+`"></iframe>`), "localhost", "127.0.0.1", 1), http.StatusOK)
		tree, err := chromedp.Call(b.ctx, page.GetFrameTree, cdp.Empty{})
		if err != nil || len(tree.FrameTree.ChildFrames) != 1 {
			t.Fatalf("%+v, %v", tree.FrameTree, err)
		}
		if f := tree.FrameTree.ChildFrames[0].Frame; f.UnreachableURL != opened.Link {
			t.Errorf("the frame shows %s", f.URL)
		}
		b.wasBlocked()
	})
	form := `<form method="post" enctype="multipart/form-data" action="` + opened.Link + `">
		<input name="give.word" value="` + canary + `"><input name="give.word.again" value="` + canary + `">
		<input name="code" value="` + opened.Code.Reveal() + `"><button type="submit">Win a prize</button></form>`
	t.Run("nor post to it", func(t *testing.T) {
		b.open(evil.shows(form), http.StatusOK)
		b.leads(http.StatusForbidden, chromedp.Click(button))
		b.sees("This form was not sent from its own page; nothing was changed.")
		unchanged("another site's form")
	})
	t.Run("nor have script post to it", func(t *testing.T) {
		b.open(evil.shows(form), http.StatusOK)
		said := value[string](b, `fetch(document.forms[0].action, {method: "POST", mode: "no-cors", body: new FormData(document.forms[0])}).then(r => r.type, e => "refused")`)
		if said != "opaque" && said != "refused" {
			t.Errorf("script was told %s", said)
		}
		unchanged("another site's script")
	})
	t.Run("nor hold on to its window", func(t *testing.T) {
		b.open(evil.shows(`<a target="_blank" rel="opener" href="`+opened.Link+`">look</a>`), http.StatusOK)
		if !value[bool](b, `(async w => { for (let i = 0; i < 300 && !w.closed; i++) await new Promise(next => setTimeout(next, 100)); return w.closed })(window.open(document.querySelector("a").href))`) {
			t.Error("the other site still has the page's window")
		}
	})
	// And so that the refusals above mean something:
	b.open(opened.Link, http.StatusOK)
	b.enter("give.word", canary, "give.word.again", canary, "code", opened.Code.Reveal())
	b.leads(http.StatusOK, chromedp.Click(button))
	b.sees("Thank you")
}

func TestAPageTellsNobody(t *testing.T) {
	b, r, other := newTab(t), newRig(t, nil), newElsewhere(t)
	b.open(r.enter(r.waiting()).Link, http.StatusOK)
	if blocked := b.wasBlocked(); len(blocked) != 0 {
		t.Errorf("before anything was tried: %q", blocked)
	}
	// Words that came into the page by a mistake of ours could do no more than this.
	for what, attempt := range map[string]string{
		"a script":  `(s => { s.textContent = "globalThis.ran = true"; document.body.append(s) })(document.createElement("script"))`,
		"a request": `fetch("` + other.URL + `/leak").catch(() => {})`,
		"a picture": `new Promise(done => { const i = new Image(); i.onload = i.onerror = done; i.src = "` + other.URL + `/leak" })`,
		"a form":    `(f => { f.action = "` + other.URL + `/leak"; f.noValidate = true; f.requestSubmit() })(document.querySelector("form"))`,
	} {
		value[bool](b, `Promise.resolve(`+attempt+`).then(() => true)`)
		blocked := b.wasBlocked()
		for end := time.Now().Add(30 * time.Second); len(blocked) == 0 && time.Now().Before(end); blocked = b.wasBlocked() {
			time.Sleep(20 * time.Millisecond)
		}
		if len(blocked) == 0 {
			t.Errorf("%s was not kept out", what)
		}
	}
	if value[bool](b, "globalThis.ran === true") {
		t.Error("a script of somebody else's ran")
	}
	if asked, _ := other.heard(); len(asked) != 0 {
		t.Errorf("the other site was asked for %q", asked)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`void (location.href = "` + other.URL + `/away")`))
	b.do(chromedp.WaitReady(chromedp.CSS("title")))
	if title := value[string](b, "document.title"); title != "elsewhere" {
		t.Fatalf("at %s", title)
	}
	if asked, referers := other.heard(); len(asked) == 0 || asked[0] != "/away" || referers[0] != "" {
		t.Errorf("asked %q, from %q", asked, referers)
	}
}

func TestPagesWithTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	cert, key := selfSigned(t, 1)
	if os.WriteFile(keyFile, key, 0o600) != nil || os.WriteFile(certFile, cert, 0o600) != nil {
		t.Fatal("not written")
	}
	for name, start := range map[string]func(t *testing.T) *rig{
		"by files": func(t *testing.T) *rig {
			return newRig(t, func(o *web.Options) { o.CertFile, o.KeyFile = certFile, keyFile })
		},
		"by a proxy in front": func(t *testing.T) *rig {
			r, _ := behindProxy(t, false)
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, r := newTab(t), start(t)
			if _, err := chromedp.Call(b.ctx, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true}); err != nil {
				t.Fatal(err)
			}
			a := r.waiting()
			link, _ := r.web.Link(a.ID)
			code, err := r.web.Code(t.Context(), "ann", a.ID)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(link, "https://127.0.0.1:") {
				t.Fatalf("link %s", link)
			}
			b.open(link, http.StatusOK)
			b.enter("give.word", canary, "give.word.again", canary, "code", code.Reveal())
			b.leads(http.StatusOK, chromedp.Click(button))
			b.sees("Thank you")
			if got := r.request(a.ID); got.State != tools.StatePending {
				t.Errorf("the request is %s", got.State)
			}
		})
	}
	t.Run("and nothing in clear", func(t *testing.T) {
		r := newRig(t, func(o *web.Options) { o.CertFile, o.KeyFile = certFile, keyFile })
		res, err := http.Get("http://" + r.at + "/p/x")
		if err != nil {
			return
		}
		defer res.Body.Close()
		if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%d %s", res.StatusCode, body)
		}
	})
}
