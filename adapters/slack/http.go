package slack

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
)

const maxRequest = 1 << 20

// Handler takes what Slack posts in HTTP mode: commands, interactions, menus and
// events, all at one address. A request whose signature does not hold is told
// nothing but that.
func (a *Adapter) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := a.verified(w, r)
		if !ok {
			return
		}
		select {
		case <-a.ready:
		default:
			http.Error(w, "not ready yet", http.StatusServiceUnavailable)
			return
		}
		kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if kind == "application/json" {
			a.httpEvent(w, body)
			return
		}
		form, err := url.ParseQuery(string(body))
		switch {
		case err != nil:
			http.Error(w, "the form cannot be read", http.StatusBadRequest)
		case form.Get("ssl_check") == "1":
			w.WriteHeader(http.StatusOK)
		case form.Get("payload") != "":
			var callback slack.InteractionCallback
			if err := json.Unmarshal([]byte(form.Get("payload")), &callback); err != nil {
				http.Error(w, "the payload cannot be read", http.StatusBadRequest)
				return
			}
			a.httpTake(w, delivery{interaction: &callback, key: deliveryKey(callback.TriggerID, body)})
		case form.Get("command") != "":
			command := commandOf(form)
			a.httpTake(w, delivery{command: &command, key: deliveryKey(command.TriggerID, body)})
		default:
			http.Error(w, "neither a command nor an interaction", http.StatusBadRequest)
		}
	})
}

// verified reads the body and checks its signature, over the bytes as they came.
func (a *Adapter) verified(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if r.Method != http.MethodPost || !a.HTTP {
		http.Error(w, "Slack posts here", http.StatusMethodNotAllowed)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, "the body is larger than Slack sends", http.StatusRequestEntityTooLarge)
		return nil, false
	}
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return nil, false
	}
	verifier, err := slack.NewSecretsVerifier(r.Header, a.SigningSecret.Reveal())
	if err == nil {
		if _, err = verifier.Write(body); err == nil {
			err = verifier.Ensure()
		}
	}
	if err != nil {
		a.Log.Warn("slack request refused", "reason", "signature or time", "skew", a.api.clock.read())
		http.Error(w, "the signature does not hold", http.StatusUnauthorized)
		return nil, false
	}
	return body, true
}

func (a *Adapter) httpEvent(w http.ResponseWriter, body []byte) {
	event, err := slackevents.ParseEvent(body, slackevents.OptionNoVerifyToken())
	if err != nil {
		http.Error(w, "the event cannot be read", http.StatusBadRequest)
		return
	}
	if event.Type == slackevents.URLVerification {
		var challenge slackevents.ChallengeResponse
		if err := json.Unmarshal(body, &challenge); err != nil {
			http.Error(w, "the challenge cannot be read", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, challenge.Challenge)
		return
	}
	a.httpTake(w, delivery{event: &event, key: eventKey(body)})
}

// httpTake hands d on and answers the request with its acknowledgement. What is
// not acknowledged in time is refused from then on, so that nothing is worked on
// of which Slack has said that it failed.
func (a *Adapter) httpTake(w http.ResponseWriter, d delivery) {
	var once sync.Once
	acked := make(chan any, 1)
	d.ack = func(_ context.Context, payload any) error {
		if err := ackSize(payload); err != nil {
			return err
		}
		err := errors.New("it was acknowledged already, or Slack no longer waits")
		once.Do(func() { acked <- payload; err = nil })
		return err
	}
	late := time.AfterFunc(httpWithin, func() { once.Do(func() { close(acked) }) })
	defer late.Stop()
	a.take(d)
	payload, ok := <-acked
	switch {
	case !ok:
		http.Error(w, "too much is under way", http.StatusServiceUnavailable)
	case payload == nil:
		w.WriteHeader(http.StatusOK)
	default:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_ = json.NewEncoder(w).Encode(payload)
	}
}

// commandOf is a command as a form has it; the fields are those of Socket Mode.
func commandOf(form url.Values) slack.SlashCommand {
	return slack.SlashCommand{
		TeamID: form.Get("team_id"), EnterpriseID: form.Get("enterprise_id"), ChannelID: form.Get("channel_id"),
		ChannelName: form.Get("channel_name"), UserID: form.Get("user_id"), Command: form.Get("command"), Text: form.Get("text"),
		ResponseURL: form.Get("response_url"), TriggerID: form.Get("trigger_id"), APIAppID: form.Get("api_app_id"),
	}
}
