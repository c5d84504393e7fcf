package slack

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/duplibot/duplibot/tools"
)

// triggerWithin is how long Slack lets a modal be opened after the click.
// https://docs.slack.dev/surfaces/modals
const triggerWithin = 3 * time.Second

// openModal opens a modal while the trigger lives.
func (a *Adapter) openModal(ctx context.Context, trigger string, v slack.ModalViewRequest) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, triggerWithin)
	defer cancel()
	id, err := a.api.open(ctx, trigger, v)
	if err != nil {
		a.Log.Warn("slack modal not opened", "error", err)
	}
	return id, err
}

// changeModal puts other content into an open modal. One that was closed in the
// meantime is no fault.
func (a *Adapter) changeModal(ctx context.Context, id string, v slack.ModalViewRequest) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	if err := a.api.change(ctx, id, v); err != nil && refusal(err) != "not_found" {
		a.Log.Warn("slack modal not changed", "error", err)
	}
}

// loading is a modal that waits for its content.
func loading(title string) slack.ModalViewRequest {
	return slack.ModalViewRequest{Type: slack.VTModal, Title: plain(title, maxTitle), Close: plain("Back", maxTitle),
		Blocks: slack.Blocks{BlockSet: []slack.Block{section("One moment …")}}}
}

// closing is a modal that says why there is no form.
func closing(title string, e *tools.Error) slack.ModalViewRequest {
	return slack.ModalViewRequest{Type: slack.VTModal, Title: plain(title, maxTitle), Close: plain("Close", maxTitle),
		Blocks: slack.Blocks{BlockSet: failure(e).Blocks}}
}

// unmarshalStrict reads JSON of ours and refuses what is not.
func unmarshalStrict(text string, into any) error {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}
