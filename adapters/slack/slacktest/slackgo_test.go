package slacktest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
)

// rig is a workspace with one person, one channel and an app on slack-go.
type rig struct {
	*slacktest.Server
	t   *testing.T
	api *slack.Client
	ann slacktest.User
	nas slacktest.Channel
}

func newRig(t *testing.T, opt slacktest.Options) *rig {
	t.Helper()
	r := &rig{Server: slacktest.New(t, opt), t: t}
	r.ann = r.AddUser(slacktest.User{Name: "ann"})
	r.nas = r.AddChannel(slacktest.Channel{Name: "nas", Members: []string{r.ann.ID, r.BotUserID()}})
	r.api = slack.New(r.BotToken(), slack.OptionAPIURL(r.APIURL()), slack.OptionAppLevelToken(r.AppToken()),
		slack.OptionHTTPClient(&http.Client{Timeout: 10 * time.Second}))
	return r
}

// listen runs a socketmode client with a handler for everything that is not about the connection.
func (r *rig) listen(handle func(*socketmode.Client, socketmode.Event)) {
	r.t.Helper()
	client := socketmode.New(r.api)
	ctx, cancel := context.WithCancel(r.t.Context())
	var running, handlers sync.WaitGroup
	running.Go(func() { _ = client.RunContext(ctx) })
	running.Go(func() {
		for {
			select {
			case e := <-client.Events:
				if e.Request != nil && e.Request.EnvelopeID != "" && handle != nil {
					handlers.Go(func() { handle(client, e) })
				}
			case <-ctx.Done():
				return
			}
		}
	})
	// A handler may still wait for Slack's answer to what the test has seen.
	r.t.Cleanup(func() { cancel(); running.Wait(); handlers.Wait() })
}

func button(actionID, value, text string) *slack.ActionBlock {
	return slack.NewActionBlock("", slack.NewButtonBlockElement(actionID, value, slack.NewTextBlockObject(slack.PlainTextType, text, false, false)))
}

func section(text string) *slack.SectionBlock {
	return slack.NewSectionBlock(slack.NewTextBlockObject(slack.PlainTextType, text, false, false), nil, nil)
}

func TestSlackGoRunsACommandAndAClick(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	handle := func(c *socketmode.Client, e socketmode.Event) {
		_ = c.Ack(*e.Request)
		switch data := e.Data.(type) {
		case slack.SlashCommand:
			_, _, err := r.api.PostMessage(data.ChannelID, slack.MsgOptionText("photos: run?", false),
				slack.MsgOptionBlocks(section("photos: run?"), button("run", "7", "Run")))
			if err != nil {
				t.Errorf("post: %v", err)
			}
		case slack.InteractionCallback:
			a := data.ActionCallback.BlockActions
			if len(a) != 1 || a[0].Value != "7" || data.User.TeamID != r.TeamID() || data.Message.Timestamp != data.Container.MessageTs {
				t.Errorf("click: %+v", data)
			}
			if _, _, _, err := r.api.UpdateMessage(data.Channel.ID, data.Message.Timestamp, slack.MsgOptionText("photos: runs", false)); err != nil {
				t.Errorf("update: %v", err)
			}
			err := slack.PostWebhook(data.ResponseURL, &slack.WebhookMessage{Text: "started", ResponseType: "ephemeral"})
			if err != nil {
				t.Errorf("response_url: %v", err)
			}
		}
	}
	r.listen(handle)
	r.listen(handle)
	r.WaitConnections(2)

	r.Slash(r.ann.ID, r.nas.ID, "run photos").Acked()
	card := r.WaitMessage(r.nas.ID, slacktest.Offering("run"))
	if card.EphemeralTo != "" || card.Text != "photos: run?" {
		t.Errorf("card: %+v", card)
	}
	r.Click(card, "run", r.ann.ID).Acked()
	now := r.WaitUpdate(card, slacktest.Saying("photos: runs"))
	if len(now.Blocks) != 0 || len(now.Edits) != 1 {
		t.Errorf("text without blocks must remove them: %+v", now)
	}
	r.WaitMessage(r.nas.ID, slacktest.EphemeralFor(r.ann.ID, "started"))
}

func TestSlackGoUsesModalsMenusAndTheHomeTab(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	title := slack.NewTextBlockObject(slack.PlainTextType, "Run", false, false)
	modal := slack.ModalViewRequest{Type: slack.VTModal, Title: title, Submit: title, CallbackID: "run", PrivateMetadata: "m",
		Blocks: slack.Blocks{BlockSet: []slack.Block{
			slack.NewInputBlock("backup", title, nil, slack.NewOptionsSelectBlockElement(slack.OptTypeExternal, title, "pick")),
			slack.NewInputBlock("note", title, nil, slack.NewPlainTextInputBlockElement(nil, "note")),
		}}}
	r.listen(func(c *socketmode.Client, e socketmode.Event) {
		switch data := e.Data.(type) {
		case slack.SlashCommand:
			_ = c.Ack(*e.Request)
			if _, err := r.api.OpenView(data.TriggerID, modal); err != nil {
				t.Errorf("open: %v", err)
			}
		case slack.InteractionCallback:
			switch data.Type {
			case slack.InteractionTypeBlockSuggestion:
				_ = c.Ack(*e.Request, slack.OptionsResponse{Options: []*slack.OptionBlockObject{
					slack.NewOptionBlockObject("7", slack.NewTextBlockObject(slack.PlainTextType, "photos "+data.Value, false, false), nil)}})
			case slack.InteractionTypeViewSubmission:
				values := data.View.State.Values
				if values["backup"]["pick"].SelectedOption.Value != "7" {
					t.Errorf("picked: %+v", values)
				}
				if values["note"]["note"].Value == "" {
					t.Errorf("typed: %+v", values)
				}
				if values["note"]["note"].Value == "wrong" {
					_ = c.Ack(*e.Request, slack.NewErrorsViewSubmissionResponse(map[string]string{"note": "not this word"}))
					return
				}
				_ = c.Ack(*e.Request)
			}
		case slackevents.EventsAPIEvent:
			_ = c.Ack(*e.Request)
			opened := data.InnerEvent.Data.(*slackevents.AppHomeOpenedEvent)
			_, err := r.api.PublishView(opened.User, slack.HomeTabViewRequest{Type: slack.VTHomeTab,
				Blocks: slack.Blocks{BlockSet: []slack.Block{section("nas: all well")}}}, "")
			if err != nil {
				t.Errorf("publish: %v", err)
			}
		}
	})
	r.WaitConnections(1)
	r.Slash(r.ann.ID, r.nas.ID, "run").Acked()
	v := r.WaitModal(r.ann.ID, nil)
	if got := r.Suggest(v, "pick", r.ann.ID, "ph"); len(got) != 1 || got[0].Text != "photos ph" {
		t.Errorf("suggested: %+v", got)
	}
	r.Submit(v, map[string]any{"pick": "7", "note": "wrong"}, r.ann.ID).Acked()
	v = r.WaitModal(r.ann.ID, func(v slacktest.View) bool { return v.Errors["note"] == "not this word" })
	r.Submit(v, map[string]any{"note": "right"}, r.ann.ID).Acked()
	if _, open := r.Modal(r.ann.ID); open {
		t.Error("the modal is still open")
	}
	r.OpenHome(r.ann.ID).Acked()
	if home := r.WaitHome(r.ann.ID, nil); !strings.Contains(home.AllText(), "all well") {
		t.Errorf("home: %s", home.AllText())
	}
}

func TestSlackGoUploadsAFile(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	_, err := r.api.UploadFileContext(t.Context(), slack.UploadFileParameters{Channel: r.nas.ID, Filename: "log.txt", Title: "the log",
		Content: "a line\n", FileSize: 7, InitialComment: "the rest"})
	if err != nil {
		t.Fatal(err)
	}
	files := r.Files()
	if len(files) != 1 || string(files[0].Content) != "a line\n" || files[0].Channels[0] != r.nas.ID {
		t.Errorf("files: %+v", files)
	}
	r.WaitMessage(r.nas.ID, slacktest.Saying("the rest"))
}

func TestSlackGoReconnectsWhenToldTo(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	r.listen(func(c *socketmode.Client, e socketmode.Event) { _ = c.Ack(*e.Request) })
	r.WaitConnections(1)
	for _, reason := range []string{"warning", "refresh_requested"} {
		before := r.Opened()
		r.Disconnect(reason)
		if err := r.Wait(t.Context(), func() bool { return r.Opened() > before && r.Connections() == 1 }); err != nil {
			t.Fatalf("%s: %v", reason, err)
		}
		r.Slash(r.ann.ID, r.nas.ID, "status").Acked()
	}
}

func TestSlackGoReadsSlacksPublishedEnvelopes(t *testing.T) {
	var samples []struct {
		Name     string
		Envelope json.RawMessage
	}
	readJSON(t, "testdata/envelopes.json", &samples)
	for _, sample := range samples {
		t.Run(sample.Name, func(t *testing.T) {
			var req socketmode.Request
			if err := json.Unmarshal(sample.Envelope, &req); err != nil {
				t.Fatal(err)
			}
			switch req.Type {
			case socketmode.RequestTypeSlashCommands:
				var cmd slack.SlashCommand
				if err := json.Unmarshal(req.Payload, &cmd); err != nil || cmd.Command == "" || cmd.TriggerID == "" {
					t.Errorf("%+v %v", cmd, err)
				}
			case socketmode.RequestTypeEventsAPI:
				e, err := slackevents.ParseEvent(req.Payload, slackevents.OptionNoVerifyToken())
				if err != nil || e.InnerEvent.Data == nil {
					t.Errorf("%+v %v", e, err)
				}
			case socketmode.RequestTypeInteractive:
				var ic slack.InteractionCallback
				if err := json.Unmarshal(req.Payload, &ic); err != nil || ic.Type == "" || ic.User.ID == "" {
					t.Errorf("%+v %v", ic, err)
				}
			case socketmode.RequestTypeHello:
				if req.ConnectionInfo.AppID == "" || req.NumConnections == 0 {
					t.Errorf("%+v", req)
				}
			case socketmode.RequestTypeDisconnect:
				if req.Reason == "" {
					t.Errorf("%+v", req)
				}
			default:
				t.Errorf("type %q", req.Type)
			}
		})
	}
}
