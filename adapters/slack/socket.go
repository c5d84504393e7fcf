package slack

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
)

// Slack pings every few seconds; a connection without one for so long is dead.
const pingWithin = 30 * time.Second

// listen keeps the n-th websocket open until ctx ends. It returns an error only
// when Slack refuses the app token for good.
func (a *Adapter) listen(ctx context.Context, n int) error {
	client := socketmode.New(a.api.client,
		socketmode.OptionPingInterval(pingWithin), socketmode.OptionReadLimit(4<<20),
		socketmode.OptionLog(log.New(io.Discard, "", 0)),
		// Slack reads an answer only when it comes in one frame.
		socketmode.OptionDialer(&websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: callWithin, WriteBufferSize: 32 << 10}))
	for failures := 0; ctx.Err() == nil; {
		heard, err := a.connection(ctx, client, n)
		a.health.down(n)
		if ctx.Err() != nil {
			return nil
		}
		if e := fatal(err); e != nil {
			return e
		}
		if failures++; heard {
			failures = 0
		}
		a.connectionLost(err, n)
		if err := pause(ctx, backoff(failures)); err != nil {
			return nil
		}
	}
	return nil
}

// backoff is how long to wait after so many failures: half a second to fifteen,
// and not the same for two connections.
func backoff(failures int) time.Duration {
	d := min(time.Duration(1<<min(failures, 6))*500*time.Millisecond, 15*time.Second)
	return d/2 + rand.N(d/2+1)
}

// connectionLost writes down why, with what to do about what only a person can mend.
func (a *Adapter) connectionLost(err error, n int) {
	if err == nil {
		err = errors.New("the connection was closed")
	}
	a.health.failed(err)
	fix := ""
	switch refusal(err) {
	case "missing_scope", "not_allowed_token_type":
		fix = "app_token must be an App-Level Token with the scope connections:write"
	case "forbidden_team", "team_access_not_granted":
		fix = "install the app in this workspace"
	}
	a.Log.Warn("slack connection lost", "connection", n, "error", err, "fix", fix)
}

// connection runs the client until it fails to connect. slack-go goes on by
// itself when an open connection ends; it would wait up to five minutes between
// failures to open one, so those end the run and listen waits instead.
func (a *Adapter) connection(ctx context.Context, client *socketmode.Client, n int) (heard bool, last error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- client.RunContext(ctx) }()
	for {
		select {
		case e := <-client.Events:
			switch e.Type {
			case socketmode.EventTypeHello:
				heard = true
				a.health.up(n, a.Now())
				a.Log.Info("slack connection open", "connection", n)
			case socketmode.EventTypeConnecting:
				a.health.down(n)
			case socketmode.EventTypeConnectionError:
				if failed, ok := e.Data.(*slack.ConnectionErrorEvent); ok {
					last = bare(failed.ErrorObj)
				}
				cancel()
			case socketmode.EventTypeErrorBadMessage:
				a.Log.Warn("slack sent what could not be read")
			case socketmode.EventTypeIncomingError:
				if failed, ok := e.Data.(*slack.IncomingEventError); ok {
					a.health.failed(failed.ErrorObj)
				}
			default:
				if d, ok := a.envelope(client, e); ok {
					a.take(d)
				}
			}
		case err := <-ended:
			if last == nil {
				last = bare(err)
			}
			return heard, last
		}
	}
}

// envelope is what a Socket Mode event delivers.
func (a *Adapter) envelope(client *socketmode.Client, e socketmode.Event) (delivery, bool) {
	if e.Request == nil || e.Request.EnvelopeID == "" {
		return delivery{}, false
	}
	id := e.Request.EnvelopeID
	d := delivery{ack: func(ctx context.Context, payload any) error {
		if err := ackSize(payload); err != nil {
			return err
		}
		if payload == nil {
			return client.SendCtx(ctx, socketmode.Response{EnvelopeID: id})
		}
		return client.AckCtx(ctx, id, payload)
	}}
	raw := []byte(e.Request.Payload)
	switch data := e.Data.(type) {
	case slack.SlashCommand:
		d.command, d.key = &data, deliveryKey(data.TriggerID, raw)
	case slack.InteractionCallback:
		d.interaction, d.key = &data, deliveryKey(data.TriggerID, raw)
	case slackevents.EventsAPIEvent:
		d.event, d.key = &data, eventKey(raw)
	default:
		return delivery{}, false
	}
	return d, json.Valid(raw)
}
