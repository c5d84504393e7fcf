package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// routes are the addresses there are. All links inside pages are relative: a
// proxy may have put a path in front.
func (s *Server) routes() (http.Handler, error) {
	pages := http.NewServeMux()
	pages.HandleFunc("GET /p/{link}", s.byLink(s.look))
	pages.HandleFunc("POST /p/{link}", s.byLink(s.post))
	pages.HandleFunc("GET /r/{request}", s.byRequest)
	pages.HandleFunc("GET /r/{request}/{page}", s.byPage(s.look))
	pages.HandleFunc("POST /r/{request}/{page}", s.byPage(s.post))
	pages.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, tools.Errorf(tools.NotFound, "there is no such page").WithHint("follow the whole link that you were given"))
	})
	all := http.NewServeMux()
	for path, h := range s.Also {
		all.Handle(path, h)
	}
	all.Handle("/", s.guard(pages))
	prefix := strings.TrimSuffix(s.base.Path, "/")
	if prefix == "" {
		return all, nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix+"/") {
			http.StripPrefix(prefix, all).ServeHTTP(w, r)
			return
		}
		all.ServeHTTP(w, r)
	}), nil
}

// ServeHTTP serves the pages, and what else is at this address.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// found is a page with what it is about.
type found struct {
	Page
	slot    slot
	request tools.Approval // zero for a page of no request
	action  string         // where its form is posted to, relative
}

type serving func(w http.ResponseWriter, r *http.Request, f found)

// byLink serves the page whose secret link was followed.
func (s *Server) byLink(serve serving) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := s.Pages.ByLink(r.Context(), hashOf(r.PathValue("link")))
		s.serve(w, r, p, err, r.PathValue("link"), serve)
	}
}

// byPage serves a page of the request whose ID was followed.
func (s *Server) byPage(serve serving) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		list, err := s.pagesOf(r.Context(), r.PathValue("request"))
		for _, p := range list {
			if p.ID == r.PathValue("page") {
				s.serve(w, r, p, nil, p.ID, serve)
				return
			}
		}
		s.refuse(w, r, either(err, noPage()))
	}
}

// byRequest serves the page of a request, or a choice where there are several.
func (s *Server) byRequest(w http.ResponseWriter, r *http.Request) {
	list, err := s.pagesOf(r.Context(), r.PathValue("request"))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	var open []Page
	for _, p := range list {
		if p.refuse(s.Now()) == nil {
			open = append(open, p)
		}
	}
	switch {
	case len(list) == 0:
		s.refuse(w, r, noPage())
	case len(open) == 0:
		s.refuse(w, r, list[len(list)-1].refuse(s.Now()))
	case len(open) == 1:
		s.serve(w, r, open[0], nil, open[0].Approval+"/"+open[0].ID, s.look)
	default:
		s.choose(w, r, open)
	}
}

func (s *Server) pagesOf(ctx context.Context, request string) ([]Page, error) {
	if !requestForm.MatchString(request) {
		return nil, nil
	}
	return s.Pages.Of(ctx, request)
}

// noPage is for a link that is unknown and for a request of which nobody has
// asked for the code yet: whoever guesses learns nothing.
func noPage() *tools.Error {
	return tools.Errorf(tools.NotFound, "there is no page open here; nothing was changed").
		WithHint("if an assistant gave you this link, get the code first: duplibot code REQUEST at a terminal, or from the bot in Slack")
}

// serve looks up what p is about, and serves it if it can still be used.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, p Page, err error, action string, serve serving) {
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if e := p.refuse(s.Now()); e != nil {
		s.refuse(w, r, e)
		return
	}
	f := found{Page: p, action: action}
	if f.slot, err = p.what(); err == nil && p.Approval != "" {
		f.request, err = s.Desk.Request(r.Context(), p.Approval)
	}
	if err == nil {
		err = f.fits()
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	serve(w, r, f)
}

// fits checks that the request still is what the page was opened for.
func (f found) fits() error {
	a := f.request
	switch {
	case f.Approval == "":
		return nil
	case a.Requester != f.Person:
		return tools.Errorf(tools.Denied, "this page is not for the person who asked; nothing was changed")
	case f.Kind == In && a.State != tools.StateInput:
		return tools.Errorf(tools.AlreadyDecided, "request %s no longer waits for anything to be entered: it is %s; nothing was changed", a.ID, a.State)
	}
	return nil
}

// refuse says why p cannot be used, nil when it can. The store has the last
// word, when the form is posted.
func (p Page) refuse(now time.Time) *tools.Error {
	switch {
	case !p.Used.IsZero():
		return tools.Errorf(tools.AlreadyDecided, "this page was used already; nothing was changed").
			WithHint("if that was not you, tell an admin; else ask for a new link")
	case p.Tries >= maxTries:
		return tools.Errorf(tools.TooMany, "a wrong code was entered too often, so this page is closed; nothing was changed").WithHint("ask for a new link")
	case !now.Before(p.Expires):
		return tools.Errorf(tools.Expired, "this page has expired; nothing was changed").WithHint("ask for a new link")
	}
	return nil
}

// maxTries is after how many wrong codes a store closes a page.
const maxTries = 5

// look shows a page. It uses nothing up.
func (s *Server) look(w http.ResponseWriter, r *http.Request, f found) {
	v, err := s.formView(f, nil)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.say(w, http.StatusOK, v)
}

// post takes a form. Everything that can be wrong with it is said before the
// page is used up.
func (s *Server) post(w http.ResponseWriter, r *http.Request, f found) {
	v, err := s.formView(f, nil)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	sent, err := s.readForm(w, r, v.Form.Fields)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	ok := sent.check(v.Form.Fields)
	if sent.code == "" {
		v.Form.CodeError, ok = "Enter the code.", false
	}
	if !ok {
		v.Problem = "Nothing was sent on yet: please correct what is marked."
		s.say(w, http.StatusUnprocessableEntity, v)
		return
	}
	code, err := s.codeHash(r.Context(), f.ID, sent.code)
	if err == nil {
		_, err = s.Pages.Use(r.Context(), f.Link, code)
	}
	if tools.CodeOf(err) == tools.Denied {
		s.Log.Warn("wrong code for a page", "page", f.ID, "request", f.Approval)
		var e *tools.Error
		errors.As(err, &e)
		v.Form.CodeError = sentence(e.Message)
		v.Problem = sentence(e.Hint)
		s.say(w, http.StatusForbidden, v)
		return
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.Log.Info("page used", "page", f.ID, "request", f.Approval, "kind", f.Kind)
	if f.Kind == In {
		s.take(w, r, f, sent)
		return
	}
	s.give(w, r, f, sent.code)
}

// refuse says what is wrong, and that nothing was changed by it.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var e *tools.Error
	if !errors.As(err, &e) {
		if r.Context().Err() != nil {
			return
		}
		s.Log.Error("page failed", "error", err)
		e = tools.Errorf(tools.Internal, "something went wrong inside the bot; nothing was changed").WithHint("its log says what; try again in a moment")
	}
	s.say(w, status(e.Code), refusal(e))
}

func status(c tools.Code) int {
	switch c {
	case tools.NotFound:
		return http.StatusNotFound
	case tools.AlreadyDecided, tools.Expired, tools.TooMany:
		return http.StatusGone
	case tools.Denied, tools.NobodyKnown, tools.ReadOnly:
		return http.StatusForbidden
	case tools.InvalidArgument, tools.WrongPassphrase, tools.WrongPhrase:
		return http.StatusUnprocessableEntity
	case tools.Busy, tools.Unavailable, tools.AuditDown, tools.Timeout:
		return http.StatusServiceUnavailable
	case tools.Changed, tools.Conflict:
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

// either is the first of two errors that there is.
func either(err error, other *tools.Error) error {
	if err != nil {
		return err
	}
	return other
}
