package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/watch"
)

// reporting is a gate whose status says how the bot itself is connected.
type reporting struct {
	tools.Door
	chat *slack.Adapter // nil: there is no Slack
}

func (r reporting) Run(ctx context.Context, call tools.Call) (tools.Answer, error) {
	a, err := r.Door.Run(ctx, call)
	if err != nil || r.chat == nil || call.Operation != "status" {
		return a, err
	}
	a.View.Facts = append(a.View.Facts, chatFact(r.chat.Health()))
	return a, nil
}

func chatFact(h slack.Health) tools.Fact {
	f := tools.Fact{Name: "Slack", Value: "by HTTP", Tone: tools.Good}
	if h.Wanted > 0 {
		f.Value = fmt.Sprintf("%d of %d connections", h.Connections, h.Wanted)
	}
	if h.Reconnects > 0 {
		f.Value += ", " + counted(h.Reconnects, "reconnect", "reconnects") + " since the start"
	}
	if h.Refused > 0 {
		f.Value += ", " + counted(h.Refused, "command or click", "commands and clicks") + " refused because too many waited"
	}
	if h.Untold > 0 {
		f.Value += ", " + counted(h.Untold, "alert", "alerts") + " could not be posted yet"
	}
	if !h.Well() || h.Untold > 0 {
		f.Tone = tools.Warning
		if h.LastError != "" {
			f.Value += "; last error: " + h.LastError
		}
	}
	return f
}

// digester is who asks for the daily summary: nobody that a config can name.
const digester tools.Identity = "duplibot:digest"

// digest asks every server how its backups are, for the daily summary. The summary
// is nobody's call: a gate of its own lets it look and nothing else.
func (b *bot) digest() (func(context.Context) (tools.View, error), error) {
	people, err := tools.NewPeople([]tools.Person{{Name: "the daily summary", Identities: []tools.Identity{digester}, Roles: []string{"viewer"}}}, nil)
	if err != nil {
		return nil, err
	}
	policy, err := tools.NewPolicy(tools.PolicyConfig{ReadOnly: true}, b.registry, people)
	if err != nil {
		return nil, err
	}
	gate, _, err := tools.New(tools.Options{
		Registry: b.registry, People: people, Policy: policy, Approvals: b.store, Audit: b.store, Locks: b.locks,
		Servers: b.servers, KeyOf: b.keys.Fingerprint, Explain: auth.Explain, Log: b.log,
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (tools.View, error) {
		answer, err := gate.Run(ctx, tools.Call{
			Operation: "list-backups", Args: map[string]any{"problems": true, "server": "all"},
			Caller: tools.Caller{Identity: digester, Surface: tools.Slack},
		})
		if err != nil {
			return tools.View{}, err
		}
		return digestView(answer)
	}, nil
}

// digestView is a line for each server, the worst first.
func digestView(answer tools.Answer) (tools.View, error) {
	v := tools.View{Tone: answer.View.Tone}
	backups, ill := 0, 0
	for _, e := range answer.Each {
		f := tools.Fact{Name: e.Server, Value: e.View.Headline, Tone: e.View.Tone}
		if e.Failure != nil {
			f.Value = strings.TrimSuffix(e.Failure.Message, "; nothing was done")
		} else {
			var list struct {
				Backups []struct{ Name, Condition string }
				Total   int
			}
			if err := json.Unmarshal(e.Result, &list); err != nil {
				return tools.View{}, err
			}
			backups += list.Total
			var names []string
			for _, one := range list.Backups {
				names = append(names, fmt.Sprintf("%.60s (%s)", one.Name, strings.ReplaceAll(one.Condition, "_", " ")))
			}
			if more := len(names) - 5; more > 0 {
				names = append(names[:5], fmt.Sprintf("and %d more", more))
			}
			if n := len(list.Backups); n > 0 {
				f.Value = fmt.Sprintf("%d of %s: %s", n, needing(list.Total, "backup", "backups", n), strings.Join(names, ", "))
			}
		}
		if f.Tone.Worse(tools.Notice) != tools.Notice {
			ill++
		}
		v.Facts = append(v.Facts, f)
	}
	slices.SortStableFunc(v.Facts, func(a, b tools.Fact) int {
		switch {
		case a.Tone == b.Tone:
			return 0
		case a.Tone.Worse(b.Tone) == a.Tone:
			return -1
		}
		return 1
	})
	servers := len(answer.Each)
	v.Headline = fmt.Sprintf("%s on %s", counted(backups, "backup", "backups"), counted(servers, "server", "servers"))
	if ill > 0 {
		v.Headline = fmt.Sprintf("%d of %s", ill, needing(servers, "server", "servers", ill))
	}
	v.Next = []tools.Next{{Label: "Look now", Operation: "list-backups", Args: map[string]any{"problems": true, "server": "all"}}}
	return v, nil
}

// needing goes on after the number of those that need a look.
func needing(all int, one, many string, of int) string {
	if of == 1 {
		return counted(all, one, many) + " needs a look"
	}
	return counted(all, one, many) + " need a look"
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// settleAlerts ends those problems in Slack whose end nobody tells: they ended
// while Slack could not be reached by a bot that is gone, their server is no longer
// in the config, or nothing is watched. They would be told as they were for ever.
func (b *bot) settleAlerts(ctx context.Context, db *store.DB, chat *slack.Adapter, watcher *watch.Watcher) {
	open, err := db.Alerts.Open(ctx, "") // read first: what begins later is told
	there := map[string]bool{}
	for _, server := range b.servers.names {
		if watcher == nil || err != nil {
			break
		}
		err = watcher.Look(ctx, server)
		for _, p := range watcher.Problems(server) {
			there[p.Key] = true
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			b.log.Error("open problems not compared with the servers", "error", err)
		}
		return
	}
	for _, a := range open {
		words := "it is not there any more; how it ended could not be told at the time"
		switch {
		case there[a.Problem]:
			continue
		case watcher == nil || !slices.Contains(b.servers.names, a.Server):
			words = "nobody watches this any longer, so how it is now is not known"
		}
		chat.Alert(slack.Problem{Key: a.Problem, Server: a.Server, Backup: a.Backup, Headline: words, Ended: true, Lost: true})
	}
}
