package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// peoplesCommands are for people and not operations: no model can call one.
var peoplesCommands []Command

func init() { // they refer to themselves by help and completion
	peoplesCommands = []Command{
		{Name: "approvals", Usage: "[--all]", Group: "requests", Summary: "List the requests that wait, and which of them you can decide", Run: listApprovals,
			Help: "With --all, those too that are over, the newest first."},
		{Name: "approve", Usage: "ID [--phrase TEXT]", Group: "requests", Summary: "Agree to a request after looking at it", Run: approve,
			Help: "Shows the facts as they were read from the server and asks. The last vote that is needed runs the call, and its result is shown. Where nobody can be asked, --yes agrees, and --phrase gives the phrase of the worst ones."},
		{Name: "deny", Usage: "ID", Group: "requests", Summary: "Refuse a request; it cannot be asked again for half an hour", Run: deny},
		{Name: "withdraw", Usage: "ID", Group: "requests", Summary: "Take back a request of your own", Run: withdraw},
		{Name: "settle", Usage: "ID --done|--not-done", Group: "requests", Summary: "Say what became of a request whose outcome was lost", Run: settle,
			Help: "After a crash, nobody may know whether the call took effect. Look at the server first."},
		{Name: "fetch", Usage: "ID [--to FOLDER] [--overwrite]", Group: "requests", Summary: "Write what a request of yours has made to files of mode 0600", Run: fetchRequest,
			Help: "Each can be fetched once. What was made without a request has an ID of its own, which was told with it."},
		{Name: "code", Usage: "ID", Group: "requests", Summary: "Show the one-time page of a request of yours, and the code that it asks for", Run: pageCode,
			Help: "Each call makes a new code, and the one before is good for nothing. Give it to nobody: with the link it is you."},
		{Name: "audit", Usage: auditUsage, Group: "records", Summary: "Show the audit log, or verify it", Run: audit, Help: auditHelp},
		{Name: "policy", Usage: policyUsage, Group: "records", Summary: "Explain how a call would be ruled on, and by which rule", Run: policy},
		{Name: "token", Usage: tokenUsage, Group: "records", Summary: "Make, list and revoke tokens of AI assistants", Run: token, Help: tokenHelp},
		{Name: "secret", Usage: secretUsage, Group: "records", Summary: "Keep words that the config refers to in the keyring", Run: secrets, Help: secretHelp},
		{Name: "help", Usage: "[COMMAND]", Summary: "Show what there is, or how one works", Run: func(_ context.Context, r *Run) int {
			if len(r.Args) > 1 {
				return r.Usage(tools.Errorf(tools.InvalidArgument, "help takes the name of one command").WithHint("all of them: %s", r.app.words("help")))
			}
			return r.help(strings.Join(r.Args, ""))
		}},
		{Name: "completion", Usage: "bash|zsh|fish", Summary: "Print the completion script of a shell", Run: completion, Help: completionHelp},
		{Name: completeCommand, Group: hiddenGroup, Raw: true, Run: complete},
	}
}

// hiddenGroup is not listed.
const hiddenGroup = "hidden"

// Take reads the options of a command: switches and options with a value, by
// name. What is left are the words.
func (r *Run) Take(switches, values []string) (words []string, got map[string]string, err error) {
	got = map[string]string{}
	known := append(slices.Clone(switches), values...)
	for i := 0; i < len(r.Args); i++ {
		word := r.Args[i]
		if word == "--" {
			return append(words, r.Args[i+1:]...), got, nil
		}
		name, is := strings.CutPrefix(word, "--")
		if !is {
			words = append(words, word)
			continue
		}
		name, value, has := strings.Cut(name, "=")
		if _, twice := got[name]; twice {
			return nil, nil, tools.Errorf(tools.InvalidArgument, "--%s is given twice; nothing was done", name)
		}
		switch {
		case slices.Contains(switches, name) && !has:
			got[name] = "true"
		case slices.Contains(values, name) && has:
			got[name] = value
		case slices.Contains(values, name) && !lacksValue(r.Args[i:]):
			i++
			got[name] = r.Args[i]
		case slices.Contains(known, name):
			return nil, nil, tools.Errorf(tools.InvalidArgument, "--%s %s; nothing was done", name, map[bool]string{true: "takes no value", false: "needs a value"}[has])
		default:
			return nil, nil, r.app.noOption(r.name, name, known)
		}
	}
	return words, got, nil
}

// one takes a command's one word, the ID of a request, and finds it.
func (r *Run) one(ctx context.Context, switches, values []string) (tools.Approval, map[string]string, int) {
	words, got, err := r.Take(switches, values)
	if err == nil && len(words) != 1 {
		err = tools.Errorf(tools.InvalidArgument, "%s takes the ID of one request; nothing was done", r.name).
			WithHint("%s lists them", r.words("approvals"))
	}
	if err != nil {
		return tools.Approval{}, nil, r.Usage(err)
	}
	link, err := r.Connect(ctx)
	if err != nil {
		return tools.Approval{}, nil, r.Fail(err)
	}
	a, err := link.Decisions.Request(ctx, words[0])
	if err != nil {
		return tools.Approval{}, nil, r.Fail(err)
	}
	return a, got, ExitDone
}

func approve(ctx context.Context, r *Run) int {
	a, got, code := r.one(ctx, nil, []string{"phrase"})
	if a.ID == "" {
		return code
	}
	switch {
	case a.State == tools.StateInput:
		return r.Fail(tools.Errorf(tools.SecretNeeded, "%s of request %s has not been entered yet; the request still waits", strings.Join(a.Needs, ", "), a.ID))
	case a.State != tools.StatePending:
		return r.Fail(tools.Errorf(tools.AlreadyDecided, "request %s is already %s", a.ID, a.State))
	}
	phrase, given := got["phrase"]
	if r.Globals.Yes && !given && a.Plan.Phrase != "" && a.Verdict != tools.Confirm && r.link.Decisions.MayDecide(ctx, a, r.link.Caller) == nil {
		return r.Fail(tools.Errorf(tools.InvalidArgument, "--yes does not give the phrase that this request asks for; the request still waits").
			WithHint("--phrase TEXT gives it"))
	}
	if given || r.Globals.Yes {
		return r.decide(ctx, a, tools.Decision{Yes: true, Phrase: phrase, Unattended: r.Globals.Yes && a.Verdict == tools.Confirm, How: "typed"})
	}
	if err := r.link.Decisions.MayDecide(ctx, a, r.link.Caller); err != nil {
		return r.Fail(err)
	}
	if !r.canAsk() {
		e := tools.Errorf(tools.InvalidArgument, "nobody can be asked here, so the request still waits")
		if a.Plan.Phrase != "" {
			return r.Fail(e.WithHint("--phrase TEXT gives the phrase that it asks for"))
		}
		return r.Fail(e.WithHint("--yes agrees to it"))
	}
	r.card(a)
	for range 3 {
		d, err := r.agree(ctx, a)
		if errors.Is(err, context.Canceled) {
			return r.failed(tools.Errorf(tools.Canceled, "interrupted; the request still waits"), ExitInterrupted)
		}
		if !d.Yes {
			return r.failed(tools.Errorf(tools.Canceled, "not agreed to; the request still waits"), ExitFailed)
		}
		code, err := r.decideOnce(ctx, a, d)
		if tools.CodeOf(err) != tools.WrongPhrase {
			return code
		}
		r.note("that is not it")
	}
	return r.failed(tools.Errorf(tools.WrongPhrase, "the phrase was not typed; the request still waits"), ExitFailed)
}

func deny(ctx context.Context, r *Run) int {
	a, _, code := r.one(ctx, nil, nil)
	if a.ID == "" {
		return code
	}
	decided, err := r.link.Decisions.Decide(ctx, tools.Decision{ID: a.ID, Caller: r.link.Caller, How: "typed"})
	if err != nil {
		return r.Fail(err)
	}
	r.Show(tools.View{Headline: "request " + decided.ID + " is " + string(decided.State) + "; nothing was done"})
	return r.finish(envelope{Status: "done", Server: decided.Server}, ExitDone)
}

func withdraw(ctx context.Context, r *Run) int {
	a, _, code := r.one(ctx, nil, nil)
	if a.ID == "" {
		return code
	}
	ended, err := r.link.Decisions.Withdraw(ctx, a.ID, r.link.Caller)
	if err != nil {
		return r.Fail(err)
	}
	r.Show(tools.View{Headline: "request " + ended.ID + " is " + string(ended.State) + "; nothing was done"})
	return r.finish(envelope{Status: "done", Server: ended.Server}, ExitDone)
}

func settle(ctx context.Context, r *Run) int {
	a, got, code := r.one(ctx, []string{"done", "not-done"}, nil)
	if a.ID == "" {
		return code
	}
	if len(got) != 1 {
		return r.Usage(tools.Errorf(tools.InvalidArgument, "say what you found at the server: --done or --not-done; the request stays %s", a.State))
	}
	settled, err := r.link.Decisions.Settle(ctx, a.ID, r.link.Caller, got["done"] != "")
	if err != nil {
		return r.Fail(err)
	}
	r.Show(tools.View{Headline: "request " + settled.ID + " is settled: " + settled.Settlement})
	return r.finish(envelope{Status: "settled", Server: settled.Server}, ExitDone)
}

// handleLike is what was kept without a request to ask for it by.
var handleLike = regexp.MustCompile(`^[a-z2-7]{24}$`)

func fetchRequest(ctx context.Context, r *Run) int {
	if words, got, err := r.Take([]string{"overwrite"}, []string{"to"}); err == nil && len(words) == 1 && handleLike.MatchString(words[0]) {
		if _, err := r.Connect(ctx); err != nil {
			return r.Fail(err)
		}
		k := tools.Kept{Handle: words[0], Name: words[0] + ".txt", Folder: r.folder(got["to"]), Overwrite: got["overwrite"] != ""}
		return r.result(ctx, tools.View{}, envelope{Status: "done", Kept: []tools.Kept{k}}, ExitDone, words[0])
	}
	a, got, code := r.one(ctx, []string{"overwrite"}, []string{"to"})
	if a.ID == "" {
		return code
	}
	if !r.mine(a) {
		return r.Fail(tools.Errorf(tools.Denied, "request %s was made elsewhere or by another person; what it made is given to its requester", a.ID).
			WithHint("a request from Slack or an assistant shows it on its page"))
	}
	var kept []tools.Kept
	for _, k := range a.Kept {
		if k.Handle == "" {
			continue
		}
		if got["to"] != "" || k.Folder == "" {
			k.Folder = r.folder(got["to"])
		}
		k.Overwrite = got["overwrite"] != ""
		kept = append(kept, k)
	}
	if len(kept) == 0 {
		return r.Fail(tools.Errorf(tools.NotFound, "request %s is %s and has nothing to fetch", a.ID, a.State))
	}
	return r.result(ctx, tools.View{}, envelope{Status: "done", Server: a.Server, Kept: kept}, ExitDone, a.ID)
}

// folder is the one that is named, or the current one.
func (r *Run) folder(named string) string {
	if named == "" {
		return r.app.Dir
	}
	return absolute(named, r.app.Dir)
}

// openStates are those in which something can still come, or is to be said.
var openStates = []tools.State{tools.StateInput, tools.StatePending, tools.StateApproved, tools.StateExecuting, tools.StateUnknown}

// listed is a request as approvals --json shows it: no phrase, no fingerprint.
type listed struct {
	ID        string             `json:"id"`
	Operation string             `json:"operation"`
	Server    string             `json:"server"`
	State     tools.State        `json:"state"`
	Target    string             `json:"target"`
	Effects   []string           `json:"effects"`
	Requester string             `json:"requester"`
	Surface   tools.Surface      `json:"surface"`
	Client    string             `json:"client,omitempty"` // unverified
	Reason    string             `json:"reason,omitempty"` // unverified
	Votes     int                `json:"votes"`
	Need      int                `json:"need"`
	Created   time.Time          `json:"created"`
	Expires   time.Time          `json:"expires"`
	CanDecide bool               `json:"can_decide"`
	Why       string             `json:"why,omitempty"` // not
	Changes   []tools.Difference `json:"changes,omitempty"`
}

func listApprovals(ctx context.Context, r *Run) int {
	words, got, err := r.Take([]string{"all"}, nil)
	if err == nil && len(words) > 0 {
		err = tools.Errorf(tools.InvalidArgument, "approvals takes no word; nothing was done").WithHint("to look at one and agree to it: %s", r.words("approve", "ID"))
	}
	if err != nil {
		return r.Usage(err)
	}
	link, err := r.Connect(ctx)
	if err != nil {
		return r.Fail(err)
	}
	filter := tools.Filter{States: openStates}
	if got["all"] != "" {
		filter.States = nil
	}
	requests, err := link.Decisions.Requests(ctx, filter)
	if err != nil {
		return r.Fail(err)
	}
	list := []listed{}
	view := tools.View{Headline: "nothing waits", Table: &tools.Table{Columns: []string{"ID", "What", "Asked by", "State", "Votes", "Expires", "You"}}}
	can := 0
	for _, a := range requests {
		l := listed{ID: a.ID, Operation: a.Operation, Server: a.Server, State: a.State, Target: a.Plan.Target.String(), Effects: append([]string{}, a.Plan.Effects...),
			Requester: a.Requester, Surface: a.Caller.Surface, Client: a.Caller.Client, Reason: a.Reason, Votes: a.Yes(), Need: a.Need,
			Created: a.Created, Expires: a.Expires, Changes: a.Changes}
		you := ""
		if a.State == tools.StatePending {
			if err := link.Decisions.MayDecide(ctx, a, link.Caller); err != nil {
				l.Why = strings.TrimSuffix(errorText(err), "; the request still waits")
				you = l.Why
			} else {
				l.CanDecide, you = true, "can decide"
				can++
			}
		}
		list = append(list, l)
		view.Table.Rows = append(view.Table.Rows, []string{a.ID, a.Operation + " " + l.Target, askedBy(a), string(a.State),
			fmt.Sprintf("%d of %d", a.Yes(), a.Need), r.until(a), you})
	}
	if len(requests) == 0 {
		view.Table = nil
	} else {
		view.Headline = fmt.Sprintf("%d %s, %d for you to decide", len(requests), plural(len(requests), "request", "requests"), can)
	}
	return r.Answer(list, view)
}

// until is how long a request still waits.
func (r *Run) until(a tools.Approval) string {
	if a.State != tools.StatePending && a.State != tools.StateInput {
		return ""
	}
	left := a.Expires.Sub(r.app.Now())
	switch {
	case left <= 0:
		return "now"
	case left < time.Minute:
		return "in less than a minute"
	case left < 2*time.Hour:
		return fmt.Sprintf("in %.0f min", left.Minutes())
	}
	return fmt.Sprintf("in %.0f h", left.Hours())
}

func errorText(err error) string {
	if e, ok := err.(*tools.Error); ok {
		return e.Message
	}
	return err.Error()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// pageCode shows the other half of what opens a one-time page.
func pageCode(ctx context.Context, r *Run) int {
	words, _, err := r.Take(nil, nil)
	if err == nil && len(words) != 1 {
		err = tools.Errorf(tools.InvalidArgument, "code takes the ID of one request")
	}
	if err != nil {
		return r.Usage(err)
	}
	var page struct {
		Link string `json:"link"`
	}
	code, err := r.admin(ctx, "page-code", map[string]string{"approval": words[0]}, &page)
	if err != nil {
		return r.Fail(err)
	}
	view := tools.View{Headline: "open the page and enter the code", Facts: []tools.Fact{{Name: "Page", Value: page.Link}, {Name: "Code", Value: code.Reveal()}}}
	return r.Answer(map[string]string{"link": page.Link, "code": code.Reveal()}, view)
}
