package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/duplibot/duplibot/tools"
)

//go:embed assets/style.css
var styleText string

//go:embed assets/script.js
var scriptText string

// policy lets nothing in but our own style and script, by their hashes.
var policy = "default-src 'none'; style-src " + hashSource(styleText) + "; script-src " + hashSource(scriptText) +
	"; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// view is what a page shows.
type view struct {
	Title   string
	Lead    string
	Tone    string // "good", "bad", "" for neither
	Problem string // what is wrong with what was sent
	Facts   []fact
	Form    *form
	Secret  string
	Choice  []choice
	Hint    string
}

type fact struct {
	Name, Value string
	Time        time.Time
}

type form struct {
	Action    string
	Fields    []field
	CodeError string
	Button    string
}

type choice struct{ Link, Name string }

// formView is the page as it is before its form is posted, or after that came
// to nothing because of why.
func (s *Server) formView(f found, why *tools.Error) (view, error) {
	v := view{Facts: append(f.facts(), f.openFor(s.Now())...), Form: &form{Action: f.action}}
	if why != nil {
		v.Problem = sentence(why.Message)
		if why.Hint != "" {
			v.Problem += " " + sentence(why.Hint)
		}
	}
	if f.Kind == Out {
		v.Title, v.Form.Button = "Read it once", "Show it"
		v.Lead = "Something secret is kept for you. It is shown once, after you have entered your code."
		if f.slot.Name != "" {
			v.Lead = "This is kept for you: " + plain(f.slot.Name) + ". You get it once, after you have entered your code."
		}
		return v, nil
	}
	var err error
	v.Form.Fields, err = s.fieldsOf(f.request, f.slot.Params)
	v.Title, v.Form.Button = "Enter a secret", "Hand it over"
	v.Lead = "A request waits for this. Enter it only if you asked for it yourself."
	if len(v.Form.Fields) == 1 && v.Form.Fields[0].File {
		v.Title = "Give a file"
	}
	return v, err
}

// facts say whose request it is, and on which server.
func (f found) facts() []fact {
	operation, server := f.request.Operation, f.request.Server
	if f.Approval == "" {
		operation, server = f.slot.Operation, f.slot.Server
	}
	facts := []fact{{Name: "For", Value: plain(f.Person)}}
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, fact{Name: name, Value: plain(value)})
		}
	}
	add("Operation", inWords(operation))
	add("Server", server)
	if f.Approval != "" {
		add("Asked from", askedFrom(f.request.Caller))
		add("Request", f.Approval)
	}
	return facts
}

func (f found) openFor(now time.Time) []fact {
	if !now.Before(f.Expires) {
		return nil
	}
	return []fact{{Name: "Open for", Value: left(f.Expires, now), Time: f.Expires.UTC()}}
}

func askedFrom(c tools.Caller) string {
	where := map[tools.Surface]string{tools.CLI: "a terminal", tools.MCP: "an assistant", tools.Slack: "Slack"}[c.Surface]
	if where != "" && c.Surface == tools.MCP && c.Client != "" {
		where += " that calls itself " + plain(c.Client)
	}
	return where
}

// choose lists the open pages of a request that has several.
func (s *Server) choose(w http.ResponseWriter, r *http.Request, open []Page) {
	v := view{Title: "Several things are kept for you", Lead: "Each is shown once. The same code opens each."}
	for _, p := range open {
		what, err := p.what()
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		name := plain(what.Name)
		if name == "" {
			name = "What was kept " + fmt.Sprint(len(v.Choice)+1)
		}
		v.Choice = append(v.Choice, choice{Link: p.Approval + "/" + p.ID, Name: name})
	}
	s.say(w, http.StatusOK, v)
}

// refusal is the page of an error.
func refusal(e *tools.Error) view {
	return view{Title: refusalTitle(e.Code), Tone: "bad", Lead: sentence(e.Message), Hint: sentence(e.Hint)}
}

func refusalTitle(c tools.Code) string {
	switch c {
	case tools.NotFound:
		return "No such page"
	case tools.AlreadyDecided:
		return "Already done"
	case tools.Expired:
		return "Too late"
	case tools.TooMany, tools.Denied:
		return "Not possible"
	case tools.InvalidArgument:
		return "Not understood"
	}
	return "It did not work"
}

// say writes a page.
func (s *Server) say(w http.ResponseWriter, code int, v view) {
	var b bytes.Buffer
	if err := v.html().Render(&b); err != nil {
		s.Log.Error("page not written", "error", err)
		http.Error(w, "the page could not be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	// The browser may be gone.
	_, _ = w.Write(b.Bytes())
}

// inWords makes words of a name: "new_password" is "New password".
func inWords(name string) string {
	words := strings.NewReplacer("_", " ", "-", " ").Replace(name)
	return upper(words)
}

func upper(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// sentence is an error's words as a sentence of a page.
func sentence(s string) string {
	s = upper(plain(s))
	if s != "" && !strings.ContainsAny(s[len(s)-1:], ".?!") {
		s += "."
	}
	return s
}

// plain is somebody's words without what a reader cannot see, and not too long.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if r := []rune(s); len(r) > 300 {
		return string(r[:299]) + "…"
	}
	return s
}
