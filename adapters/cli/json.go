package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/duplibot/duplibot/tools"
)

// envelope is the one object of --json: ServerUtil's keys first.
type envelope struct {
	Timestamp     string   `json:"Timestamp"` // local, RFC 3339
	UnixTimestamp int64    `json:"UnixTimestamp"`
	Command       string   `json:"Command"`
	Success       bool     `json:"Success"`
	ExitCode      int      `json:"ExitCode"`
	Messages      []string `json:"Messages"`
	Exceptions    []string `json:"Exceptions"`

	Mark     string          `json:"Mark,omitempty"` // "simulated"
	Status   string          `json:"Status"`         // done, pending, error
	Server   string          `json:"Server,omitempty"`
	Result   json.RawMessage `json:"Result,omitempty"` // by the operation's output schema
	Each     []tools.Each    `json:"Each,omitempty"`   // per server, when all were asked
	Approval *tools.Waiting  `json:"Approval,omitempty"`
	Kept     []tools.Kept    `json:"Kept,omitempty"`
	Error    *tools.Error    `json:"Error,omitempty"`
}

// finish prints the object in JSON mode, and returns the exit code.
func (r *Run) finish(e envelope, code int) int {
	if !r.Globals.JSON {
		return code
	}
	now := r.app.Now()
	e.Timestamp, e.UnixTimestamp = now.Format(time.RFC3339Nano), now.Unix()
	e.Command, e.ExitCode, e.Success, e.Mark = r.name, code, code == ExitDone, r.app.Mark
	e.Messages = append([]string{}, r.said...)
	if e.Exceptions == nil {
		e.Exceptions = []string{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(e); err != nil {
		r.line("error", "the answer could not be written as JSON: "+err.Error())
		return ExitUsage
	}
	fmt.Fprint(r.out, escapeHidden(b.String()))
	return code
}

// Answer ends a command that is no operation: in JSON mode with v as the
// Result, otherwise by showing view.
func (r *Run) Answer(v any, view tools.View) int {
	if !r.Globals.JSON {
		r.Show(view)
		return ExitDone
	}
	result, err := json.Marshal(v)
	if err != nil {
		return r.Fail(err)
	}
	r.Show(view)
	return r.finish(envelope{Status: "done", Result: result}, ExitDone)
}

// Text ends a command whose answer is a text for a file: in JSON mode with v as
// the Result, otherwise by printing the text as it is.
func (r *Run) Text(text string, v any) int {
	if r.Globals.JSON {
		return r.Answer(v, tools.View{})
	}
	write(r.out, text)
	return ExitDone
}

// escapeHidden writes what a terminal would obey or hide as JSON escapes: it
// can stand in texts alone.
func escapeHidden(s string) string {
	if plain(strings.ReplaceAll(s, "\n", "")) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '\n' || !hidden(c) && c != '\u2028' && c != '\u2029':
			b.WriteRune(c)
		case c > 0xffff:
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

func itoa(n int) string { return strconv.Itoa(n) }
