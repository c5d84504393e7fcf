package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// Audit is the audit log.
type Audit interface {
	// Records lists records, in order: the newest Limit, or the first Limit
	// after After.
	Records(ctx context.Context, f AuditFilter) ([]tools.Record, error)
	// Verify reads all of it. An error says that it could not be read.
	Verify(ctx context.Context) (Verified, error)
}

// AuditFilter selects records; zero fields select all.
type AuditFilter struct {
	Since     time.Time
	Person    string
	Operation string
	Server    string
	Event     tools.Event
	Approval  string
	After     int64
	Limit     int // 0 is 100
}

// Verified is what a check of the audit log found.
type Verified struct {
	Records int64  `json:"records"`          // that hold, from the first on
	Head    string `json:"head,omitempty"`   // MAC of the last of them
	Broken  string `json:"broken,omitempty"` // why the next one does not, with its number; "" when all hold
	Note    string `json:"note,omitempty"`   // what could not be checked: "the keyring has no head to compare"
}

const (
	auditUsage = "[verify] [--since 24h|DATE] [--person NAME] [--operation NAME] [--event NAME] [--request ID] [--limit N] [--follow]"
	auditHelp  = "Every request, decision, intent and outcome, and every refusal, in the order in which they were written. verify checks that none was changed or taken away, and names the first that was. --follow goes on with what is written from now on."
)

func audit(ctx context.Context, r *Run) int {
	words, got, err := r.take([]string{"follow"}, []string{"since", "person", "operation", "event", "request", "limit"})
	f := AuditFilter{Person: got["person"], Operation: got["operation"], Server: r.Globals.Server, Event: tools.Event(got["event"]), Approval: got["request"]}
	if err == nil {
		err = f.read(got, r.app.Now())
	}
	verify := len(words) == 1 && words[0] == "verify"
	if err == nil && len(words) > 0 && !verify {
		err = tools.Errorf(tools.InvalidArgument, "audit takes no word but verify")
	}
	if err != nil {
		return r.usage(err)
	}
	link, err := r.Connect(ctx)
	switch {
	case err != nil:
		return r.Fail(err)
	case link.Audit == nil:
		return r.Fail(notHere("the audit log"))
	case verify:
		return r.verify(ctx, link.Audit)
	case got["follow"] != "":
		return r.follow(ctx, link.Audit, f)
	}
	records, err := link.Audit.Records(ctx, f)
	if err != nil {
		return r.Fail(err)
	}
	view := tools.View{Headline: fmt.Sprintf("%d %s", len(records), plural(len(records), "record", "records"))}
	if len(records) > 0 {
		view.Table = &tools.Table{Columns: []string{"No.", "When", "Event", "Who", "From", "What", "Request", "Detail"}}
	}
	for _, rec := range records {
		view.Table.Rows = append(view.Table.Rows, recordRow(rec))
	}
	if records == nil {
		records = []tools.Record{}
	}
	return r.Answer(records, view)
}

func (f *AuditFilter) read(got map[string]string, now time.Time) error {
	if n := got["limit"]; n != "" {
		limit, err := strconv.Atoi(n)
		if err != nil || limit < 1 || limit > 100000 {
			return tools.Errorf(tools.InvalidArgument, "--limit must be a number from 1 to 100000")
		}
		f.Limit = limit
	}
	since := got["since"]
	if since == "" {
		return nil
	}
	if d, err := time.ParseDuration(since); err == nil && d > 0 {
		f.Since = now.Add(-d)
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, since, now.Location()); err == nil {
			f.Since = t
			return nil
		}
	}
	return tools.Errorf(tools.InvalidArgument, "--since must be a time such as 24h, 2026-11-25 or 2026-11-25T08:00:00Z")
}

func recordRow(rec tools.Record) []string {
	what := strings.TrimSpace(rec.Operation + " " + rec.Target)
	detail := rec.Detail
	if rec.Code != "" {
		detail = strings.TrimSpace(string(rec.Code) + " " + detail)
	}
	who := rec.Person
	if who == "" {
		who = string(rec.Identity)
	}
	from := string(rec.Surface)
	if rec.SameAccount {
		from += ", same account"
	}
	return []string{strconv.FormatInt(rec.Seq, 10), rec.At.Local().Format("2006-01-02 15:04:05"), string(rec.Event), who, from, what, rec.Approval, detail}
}

func (r *Run) verify(ctx context.Context, log Audit) int {
	v, err := log.Verify(ctx)
	if err != nil {
		return r.Fail(err)
	}
	view := tools.View{Headline: fmt.Sprintf("all %d records hold", v.Records), Tone: tools.Good}
	code := ExitDone
	if v.Broken != "" {
		view.Headline, view.Tone = fmt.Sprintf("%d records hold, and then not: %s", v.Records, v.Broken), tools.Bad
		code = ExitFailed
	}
	if v.Note != "" {
		view.Notes, view.Tone = []string{v.Note}, view.Tone.Worse(tools.Notice)
	}
	result, err := json.Marshal(v)
	if err != nil {
		return r.Fail(err)
	}
	r.Show(view)
	return r.finish(envelope{Status: "done", Result: result}, code)
}

// follow prints records as they are written, one a line; with --json each is
// an object.
func (r *Run) follow(ctx context.Context, log Audit, f AuditFilter) int {
	for {
		records, err := log.Records(ctx, f)
		if err != nil && ctx.Err() == nil {
			return r.Fail(err)
		}
		for _, rec := range records {
			f.After = rec.Seq
			line := ""
			if r.Globals.JSON {
				b, err := json.Marshal(rec)
				if err != nil {
					return r.Fail(err)
				}
				line = escapeHidden(string(b))
			} else {
				cells := recordRow(rec)
				for i, c := range cells {
					cells[i] = clean(c)
				}
				line = strings.TrimRight(strings.Join(cells, "  "), " ")
			}
			fmt.Fprintln(r.app.Stdout, line)
		}
		select {
		case <-ctx.Done():
			return ExitDone
		case <-time.After(r.app.Poll):
		}
	}
}

// Policy explains its verdicts; a tools.Runner does.
type Policy interface {
	Explain(person string, surface tools.Surface, operation, server string, risk tools.Risk) (tools.Ruling, error)
}

const policyUsage = "explain --as NAME [--via cli|mcp|slack|web] [--risk read|change|critical] [OPERATION]"

func policy(ctx context.Context, r *Run) int {
	words, got, err := r.take(nil, []string{"as", "via", "risk"})
	via, risk := tools.CLI, tools.Read
	switch {
	case err != nil:
	case len(words) == 0 || words[0] != "explain" || len(words) > 2:
		err = tools.Errorf(tools.InvalidArgument, "policy explains one operation, or all").WithHint("usage: %s", r.app.words("policy "+policyUsage))
	case got["as"] == "":
		err = tools.Errorf(tools.InvalidArgument, "policy explain needs --as NAME, one of the config's people")
	}
	if v := got["via"]; err == nil && v != "" {
		via = tools.Surface(v)
		if !contains(tools.Surfaces, via) {
			err = tools.Errorf(tools.InvalidArgument, "--via is one of cli, mcp, slack, web")
		}
	}
	if err == nil && got["risk"] != "" {
		err = risk.UnmarshalText([]byte(got["risk"]))
	}
	if err != nil {
		return r.usage(err)
	}
	link, err := r.Connect(ctx)
	if err != nil {
		return r.Fail(err)
	}
	if link.Policy == nil {
		return r.Fail(notHere("the policy"))
	}
	type ruled struct {
		Operation string        `json:"operation"`
		Verdict   tools.Verdict `json:"verdict"`
		Approvers int           `json:"approvers,omitempty"`
		Rule      string        `json:"rule"`
		Reason    string        `json:"reason"`
	}
	var list []ruled
	names := words[1:]
	if len(names) == 0 {
		for _, op := range r.app.Registry.All() {
			names = append(names, op.Name)
		}
	}
	view := tools.View{Headline: fmt.Sprintf("%s by %s", got["as"], via),
		Table: &tools.Table{Columns: []string{"Operation", "Verdict", "Decided by", "Why"}}}
	for _, name := range names {
		ruling, err := link.Policy.Explain(got["as"], via, name, r.Globals.Server, risk)
		if err != nil {
			return r.Fail(err)
		}
		verdict := ruling.Verdict.String()
		if ruling.Approvers > 1 {
			verdict += fmt.Sprintf(" by %d", ruling.Approvers)
		}
		list = append(list, ruled{name, ruling.Verdict, ruling.Approvers, ruling.Rule, ruling.Reason})
		view.Table.Rows = append(view.Table.Rows, []string{name, verdict, ruling.Rule, ruling.Reason})
	}
	return r.Answer(list, view)
}

func contains[T comparable](list []T, v T) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

func notHere(what string) error {
	return tools.Errorf(tools.Unsupported, "%s cannot be reached from here", what).
		WithHint("run it under the account of the bot")
}
