package web

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// Limits of what is posted.
const (
	maxForms   = 4       // read at once: each is held in memory, never on the disk
	maxParts   = 24      // of one form
	maxField   = 4 << 10 // of what is typed, in bytes
	waitForms  = 5 * time.Second
	formMargin = 64 << 10
)

// posted is a form that was sent.
type posted struct {
	code  string
	given map[string]secret.Value // by field
}

// errTooLarge says that a field is larger than it may be.
var errTooLarge = errors.New("too large")

// readForm reads what was sent for fields, and passes over everything else. Its
// words are for the person with the page.
func (s *Server) readForm(w http.ResponseWriter, r *http.Request, fields []field) (posted, error) {
	patience := time.NewTimer(waitForms)
	defer patience.Stop()
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-patience.C:
		return posted{}, tools.Errorf(tools.Busy, "the bot is busy with other pages; nothing was changed").
			WithHint("try again in a moment").Retryable()
	case <-r.Context().Done():
		return posted{}, r.Context().Err()
	}
	r.Body = http.MaxBytesReader(w, r.Body, MaxSecret+formMargin)
	parts, err := r.MultipartReader()
	if err != nil {
		return posted{}, unreadable(err)
	}
	f := posted{given: map[string]secret.Value{}}
	for n := 0; ; n++ {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return posted{}, unreadable(err)
		}
		if n == maxParts {
			return posted{}, unreadable(errors.New("too many parts"))
		}
		limit := limitOf(part, fields)
		if limit == 0 {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(part, limit+1))
		if err != nil {
			return posted{}, unreadable(err)
		}
		if int64(len(b)) > limit {
			return posted{}, unreadable(errTooLarge)
		}
		if part.FormName() == "code" {
			f.code = typed(string(b))
		} else {
			f.given[part.FormName()] = secret.New(string(b))
		}
		clear(b)
	}
}

// limitOf is how much of a part is read: nothing where no field has its name,
// nor where a file stands for a word or a word for a file.
func limitOf(part *multipart.Part, fields []field) int64 {
	name, isFile := part.FormName(), part.FileName() != ""
	if name == "code" && !isFile {
		return maxField
	}
	for _, f := range fields {
		switch {
		case f.File && isFile && name == f.Name:
			return MaxSecret
		case !f.File && !isFile && (name == f.Name || name == f.again()):
			return maxField
		}
	}
	return 0
}

func unreadable(err error) error {
	var limit *http.MaxBytesError
	if errors.As(err, &limit) || errors.Is(err, errTooLarge) {
		return tools.Errorf(tools.InvalidArgument, "what was sent is too large; nothing was changed").
			WithHint("a file can have %d MiB, a password %d KiB", MaxSecret>>20, maxField>>10).Because(err)
	}
	return tools.Errorf(tools.InvalidArgument, "what was sent could not be read; nothing was changed").
		WithHint("open the link again and use its form").Because(err)
}

// field is one thing that a person enters.
type field struct {
	Name  string
	Label string
	Help  string
	File  bool
	Error string
}

// again is the field in which a password stands once more.
func (f field) again() string { return f.Name + ".again" }

// described names the words on the page that belong to the field.
func (f field) described() string {
	var ids []string
	if f.Help != "" {
		ids = append(ids, f.Name+".help")
	}
	if f.Error != "" {
		ids = append(ids, f.Name+".error")
	}
	return strings.Join(ids, " ")
}

// fieldsOf are the fields of what a page asks for.
func (s *Server) fieldsOf(a tools.Approval, params []string) ([]field, error) {
	op, err := s.Registry.Lookup(a.Operation)
	if err != nil {
		return nil, err
	}
	var fields []field
	for _, p := range op.Params {
		for _, name := range params {
			if p.Name == name {
				fields = append(fields, field{Name: "give." + p.Name, Label: inWords(p.Name), Help: purpose(p.Help), File: p.File})
			}
		}
	}
	if len(fields) != len(params) {
		return nil, fmt.Errorf("request %s asks for what operation %s does not have", a.ID, a.Operation)
	}
	return fields, nil
}

// purpose is what a parameter's help says before the colon. What comes after it
// is how the parameter is given, which here it already is.
func purpose(help string) string {
	what, _, found := strings.Cut(help, ":")
	if !found {
		return ""
	}
	return sentence(what)
}

// check says in the fields what is missing or was mistyped. Nothing is used up
// by that.
func (f posted) check(fields []field) (ok bool) {
	ok = true
	for i := range fields {
		d := &fields[i]
		v, again := f.given[d.Name], f.given[d.again()]
		switch {
		case v.Empty() && d.File:
			d.Error = "Choose a file that is not empty."
		case v.Empty():
			d.Error = "This is empty."
		case !d.File && !v.Equal(again):
			d.Error = "The two are not the same. Enter both again."
		default:
			continue
		}
		ok = false
	}
	return ok
}
