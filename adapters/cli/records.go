package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// auditFilter selects records; zero fields select all. With After come the
// first Limit records behind it, without it the newest.
type auditFilter struct {
	Since     time.Time   `json:"since,omitzero"`
	Person    string      `json:"person,omitempty"`
	Operation string      `json:"operation,omitempty"`
	Server    string      `json:"server,omitempty"`
	Event     tools.Event `json:"event,omitempty"`
	Approval  string      `json:"approval,omitempty"`
	After     int64       `json:"after,omitempty"`
	Limit     int         `json:"limit,omitempty"` // 0 is 100
}

// verified is what a check of the audit log found.
type verified struct {
	Records int64 `json:"records"` // that hold, from the first on
	Head    struct {
		Seq int64  `json:"seq"`
		MAC string `json:"mac"`
	} `json:"head"` // the last of them
	Broken *struct {
		Seq    int64  `json:"seq"`
		Kind   string `json:"kind"`
		Reason string `json:"reason"`
	} `json:"broken,omitempty"` // the first that does not
}

const (
	auditUsage = "[verify] [--since 24h|DATE] [--person NAME] [--operation OPERATION] [--event EVENT] [--request ID] [--limit N] [--follow]"
	auditHelp  = "Every request, decision, intent and outcome, and every refusal, in the order in which they were written. verify checks that none was changed or taken away, and names the first that was. --follow goes on with what is written from now on."
)

func audit(ctx context.Context, r *Run) int {
	words, got, err := r.Take([]string{"follow"}, []string{"since", "person", "operation", "event", "request", "limit"})
	f := auditFilter{Person: got["person"], Operation: got["operation"], Server: r.Globals.Server, Event: tools.Event(got["event"]), Approval: got["request"]}
	if err == nil {
		err = f.read(got, r.app.Now())
	}
	verify := len(words) == 1 && words[0] == "verify"
	if err == nil && len(words) > 0 && !verify {
		err = tools.Errorf(tools.InvalidArgument, "audit takes no word but verify")
	}
	if err == nil {
		err = r.recorded(f)
	}
	if err != nil {
		return r.Usage(err)
	}
	switch {
	case verify:
		return r.verify(ctx)
	case got["follow"] != "":
		return r.follow(ctx, f)
	}
	records := []tools.Record{}
	if _, err := r.admin(ctx, "audit", f, &records); err != nil {
		return r.Fail(err)
	}
	view := tools.View{Headline: fmt.Sprintf("%d %s", len(records), plural(len(records), "record", "records"))}
	if len(records) > 0 {
		view.Table = &tools.Table{Columns: []string{"No.", "When", "Event", "Who", "From", "What", "Request", "Detail"}}
	}
	for _, rec := range records {
		view.Table.Rows = append(view.Table.Rows, recordRow(rec))
	}
	return r.Answer(records, view)
}

// events are all that a record can be of.
var events = []tools.Event{
	tools.EventRefused, tools.EventRequested, tools.EventProvided, tools.EventVoted, tools.EventWithdrawn, tools.EventExpired, tools.EventChanged,
	tools.EventIntent, tools.EventOutcome, tools.EventUnknown, tools.EventSettled, tools.EventToken, tools.EventSecret, tools.EventConfig, tools.EventCut,
}

// recorded refuses a filter that no record fits: that nothing is found would
// be taken to mean that nothing was done.
func (r *Run) recorded(f auditFilter) error {
	if f.Event != "" && !slices.Contains(events, f.Event) {
		var known []string
		for _, e := range events {
			known = append(known, string(e))
		}
		return tools.Errorf(tools.InvalidArgument, "there is no such event").WithHint("--event takes %s", strings.Join(known, ", "))
	}
	if f.Operation == "" {
		return nil
	}
	_, err := r.app.registry().Lookup(f.Operation)
	return err
}

func (f *auditFilter) read(got map[string]string, now time.Time) error {
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

func (r *Run) verify(ctx context.Context) int {
	var v verified
	if _, err := r.admin(ctx, "audit-verify", struct{}{}, &v); err != nil {
		return r.Fail(err)
	}
	view := tools.View{Headline: fmt.Sprintf("all %d records hold", v.Records), Tone: tools.Good}
	code := ExitDone
	if v.Broken != nil {
		view.Headline, view.Tone = fmt.Sprintf("%d records hold, and record %d does not: %s", v.Records, v.Broken.Seq, v.Broken.Reason), tools.Bad
		code = ExitFailed
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
func (r *Run) follow(ctx context.Context, f auditFilter) int {
	for {
		var records []tools.Record
		if _, err := r.admin(ctx, "audit", f, &records); err != nil && ctx.Err() == nil {
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
			fmt.Fprintln(r.out, line)
		}
		if r.out.err != nil {
			return ExitDone
		}
		select {
		case <-ctx.Done():
			return ExitDone
		case <-time.After(r.app.Poll):
		}
	}
}

const policyUsage = "explain [--as NAME] [--via cli|mcp|slack|web] [OPERATION]"

// explained is how a call would be ruled on.
type explained struct {
	Person    string `json:"person"`
	Role      string `json:"role"`
	Approver  bool   `json:"approver"`
	Operation string `json:"operation"`
	Risk      string `json:"risk"`
	Verdict   string `json:"verdict"`
	Approvers int    `json:"approvers,omitempty"`
	Rule      string `json:"rule"`
	Reason    string `json:"reason"`
}

func policy(ctx context.Context, r *Run) int {
	words, got, err := r.Take(nil, []string{"as", "via"})
	if err == nil && (len(words) == 0 || words[0] != "explain" || len(words) > 2) {
		err = tools.Errorf(tools.InvalidArgument, "policy explains one operation, or all").WithHint("usage: %s", r.app.words("policy "+policyUsage))
	}
	if err != nil {
		return r.Usage(err)
	}
	via := got["via"]
	if via == "" {
		via = string(tools.CLI)
	}
	names := words[1:]
	if len(names) == 0 {
		for _, op := range r.app.registry().All() {
			names = append(names, op.Name)
		}
	}
	list := []explained{}
	view := tools.View{Table: &tools.Table{Columns: []string{"Operation", "Risk", "Verdict", "Decided by", "Why"}}}
	for _, name := range names {
		args := map[string]string{"person": got["as"], "surface": via, "operation": name, "server": r.Globals.Server}
		var e explained
		if _, err := r.admin(ctx, "explain", args, &e); err != nil {
			return r.Fail(err)
		}
		verdict := e.Verdict
		if e.Approvers > 1 {
			verdict += fmt.Sprintf(" by %d", e.Approvers)
		}
		list = append(list, e)
		view.Table.Rows = append(view.Table.Rows, []string{name, e.Risk, verdict, e.Rule, e.Reason})
		view.Headline = e.Person + " is " + e.Role
		if e.Approver {
			view.Headline += " and approver"
		}
		view.Headline += ", and calls from " + via
	}
	return r.Answer(list, view)
}
