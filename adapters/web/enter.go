package web

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// showWithin is how long a page waits for what was entered to take its effect:
// where nobody has to agree, the operation runs now.
const showWithin = 25 * time.Second

// maxShown is how long a word can be that is shown; what is longer is a file.
const maxShown = 4 << 10

type outcome struct {
	request tools.Approval
	err     error
}

// take hands what was entered to the desk. The browser's going away stops
// nothing.
func (s *Server) take(w http.ResponseWriter, r *http.Request, f found, sent posted) {
	ctx := context.WithoutCancel(r.Context())
	taken := make(chan outcome, 1)
	s.work.Go(func() {
		var o outcome
		for _, name := range f.slot.Params {
			if o.request, o.err = s.Desk.Provide(ctx, f.Approval, name, sent.given["give."+name]); o.err != nil {
				break
			}
		}
		taken <- o
	})
	slow := time.NewTimer(showWithin)
	defer slow.Stop()
	select {
	case o := <-taken:
		s.taken(w, r, f, sent.code, o)
	case <-slow.C:
		s.say(w, http.StatusOK, view{Title: "Thank you", Tone: "good", Lead: "What you entered was taken, and the work goes on.",
			Hint: "You will be told how it went where you asked for it. You can close this page.", Facts: f.facts()})
	}
}

func (s *Server) taken(w http.ResponseWriter, r *http.Request, f found, code string, o outcome) {
	if o.err == nil {
		v := view{Title: "Thank you", Tone: "good", Lead: "What you entered was taken. " + next(o.request), Hint: "You can close this page.", Facts: f.facts()}
		s.say(w, http.StatusOK, v)
		return
	}
	now, err := s.Desk.Request(r.Context(), f.Approval)
	if err != nil || now.State != tools.StateInput || len(now.Needs) == 0 {
		s.refuse(w, r, o.err)
		return
	}
	// The request still waits: a wrong passphrase can be entered again.
	f.request, f.slot.Params = now, now.Needs
	s.again(w, r, f, code, o.err)
}

// again opens a page in the place of one whose use came to nothing, under the
// same code and for no longer, and shows it with the reason.
func (s *Server) again(w http.ResponseWriter, r *http.Request, f found, code string, why error) {
	opened, err := s.open(r.Context(), Page{Approval: f.Approval, Kind: f.Kind, Person: f.Person, Expires: f.Expires}, f.slot, code)
	if err != nil {
		s.refuse(w, r, why)
		return
	}
	link := path.Base(opened.Link)
	f.action = link
	if r.PathValue("request") != "" {
		f.action = "../../p/" + link
	}
	var e *tools.Error
	if !errors.As(why, &e) {
		s.Log.Error("page failed", "page", f.ID, "error", why)
		e = tools.Errorf(tools.Internal, "something went wrong inside the bot").WithHint("try again, with the same code")
	}
	v, err := s.formView(f, e)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.say(w, status(e.Code), v)
}

// next says what happens to a request now.
func next(a tools.Approval) string {
	switch a.State {
	case tools.StateInput:
		return "The request waits for more to be entered."
	case tools.StatePending:
		if a.Verdict == tools.Confirm {
			return "Now you are asked to confirm the request itself, in Slack or at a terminal."
		}
		return "Now somebody else has to agree to the request."
	case tools.StateDone:
		if a.View != nil && a.View.Headline != "" {
			return "It is done: " + plain(a.View.Headline) + "."
		}
		return "It is done."
	}
	return "The request is " + string(a.State) + "."
}

// give shows what was kept, once.
func (s *Server) give(w http.ResponseWriter, r *http.Request, f found, code string) {
	v, err := s.Desk.Fetch(r.Context(), tools.Caller{Identity: f.slot.Owner, Surface: tools.Web}, f.slot.Handle)
	switch {
	case tools.CodeOf(err) == tools.NotFound:
		s.refuse(w, r, tools.Errorf(tools.AlreadyDecided, "this was read already, or is no longer kept").
			WithHint("if that was not you, tell an admin"))
	case err != nil:
		// Nothing was given out, and what is kept stays.
		s.again(w, r, f, code, err)
	case readable(v):
		s.say(w, http.StatusOK, view{Title: "Here it is", Lead: "It is shown this once. Keep it in a safe place before you close this page.",
			Secret: v.Reveal(), Facts: f.facts()})
	default:
		s.download(w, f, v)
	}
}

// readable reports whether v is a word to be shown, and not a file.
func readable(v secret.Value) bool {
	text := v.Reveal()
	return len(text) <= maxShown && utf8.ValidString(text) && !strings.ContainsFunc(strings.TrimRight(text, "\n"), unicode.IsControl)
}

func (s *Server) download(w http.ResponseWriter, f found, v secret.Value) {
	name := path.Base(path.Clean("/" + plain(f.slot.Name)))
	if name == "/" || strings.HasPrefix(name, ".") {
		name = "duplibot-export.bin"
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	if _, err := w.Write([]byte(v.Reveal())); err != nil {
		s.Log.Warn("file not taken by the browser", "page", f.ID, "error", err)
	}
}
