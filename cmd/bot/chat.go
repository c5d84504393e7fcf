package main

import (
	"context"
	"fmt"

	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/tools"
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
		f.Value += fmt.Sprintf(", %d reconnects since the start", h.Reconnects)
	}
	if h.Refused > 0 {
		f.Value += fmt.Sprintf(", %d events refused because too many waited", h.Refused)
	}
	if !h.Well() {
		f.Tone = tools.Warning
		if h.LastError != "" {
			f.Value += "; last error: " + h.LastError
		}
	}
	return f
}
