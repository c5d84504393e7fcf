package slacktest_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
)

// x makes n characters; é counts as one, as Slack counts.
func x(n int) string { return strings.Repeat("é", n) }

func plainText(n int) string { return `{"type":"plain_text","text":"` + x(n) + `"}` }

func list(n int, one string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]"
}

const divider = `{"type":"divider"}`

func buttonJSON(fields string) string {
	return `{"type":"actions","elements":[{"type":"button","text":` + plainText(1) + fields + `}]}`
}

func inputJSON(element string) string {
	return `{"type":"input","label":` + plainText(1) + `,"element":` + element + `}`
}

func options(from, to int) string {
	var all []string
	for i := from; i < to; i++ {
		data, _ := json.Marshal(map[string]any{"text": map[string]any{"type": "plain_text", "text": "o"}, "value": string(rune('a'+i%26)) + strings.Repeat("z", i/26)})
		all = append(all, string(data))
	}
	return "[" + strings.Join(all, ",") + "]"
}

func TestBlocksAreCheckedAtTheirLimits(t *testing.T) {
	for _, c := range []struct {
		name, fits, over, at string
	}{
		{"section text", `[{"type":"section","text":` + plainText(3000) + `}]`, `[{"type":"section","text":` + plainText(3001) + `}]`, "/blocks/0/text/text"},
		{"empty text", `[{"type":"section","text":` + plainText(1) + `}]`, `[{"type":"section","text":` + plainText(0) + `}]`, "/blocks/0/text/text"},
		{"header", `[{"type":"header","text":` + plainText(150) + `}]`, `[{"type":"header","text":` + plainText(151) + `}]`, "/blocks/0/text/text"},
		{"fields", `[{"type":"section","fields":` + list(10, plainText(2000)) + `}]`, `[{"type":"section","fields":` + list(11, plainText(1)) + `}]`, "/blocks/0/fields"},
		{"a field", `[{"type":"section","fields":` + list(1, plainText(2000)) + `}]`, `[{"type":"section","fields":` + list(1, plainText(2001)) + `}]`, "/blocks/0/fields/0/text"},
		{"context elements", `[{"type":"context","elements":` + list(10, plainText(1)) + `}]`, `[{"type":"context","elements":` + list(11, plainText(1)) + `}]`, "/blocks/0/elements"},
		{"actions elements", `[{"type":"actions","elements":` + list(25, `{"type":"button","text":`+plainText(1)+`}`) + `}]`, `[{"type":"actions","elements":` + list(26, `{"type":"button","text":`+plainText(1)+`}`) + `}]`, "/blocks/0/elements"},
		{"button value", `[` + buttonJSON(`,"value":"`+x(2000)+`"`) + `]`, `[` + buttonJSON(`,"value":"`+x(2001)+`"`) + `]`, "/blocks/0/elements/0/value"},
		{"button style", `[` + buttonJSON(`,"style":"danger"`) + `]`, `[` + buttonJSON(`,"style":"warning"`) + `]`, "/blocks/0/elements/0/style"},
		{"action_id", `[` + buttonJSON(`,"action_id":"`+x(255)+`"`) + `]`, `[` + buttonJSON(`,"action_id":"`+x(256)+`"`) + `]`, "/blocks/0/elements/0/action_id"},
		{"confirm text", `[` + buttonJSON(`,"confirm":{"title":`+plainText(100)+`,"text":`+plainText(300)+`,"confirm":`+plainText(30)+`,"deny":`+plainText(30)+`}`) + `]`,
			`[` + buttonJSON(`,"confirm":{"title":`+plainText(100)+`,"text":`+plainText(301)+`,"confirm":`+plainText(30)+`,"deny":`+plainText(30)+`}`) + `]`, "/blocks/0/elements/0/confirm/text/text"},
		{"menu", `[{"type":"actions","elements":[{"type":"static_select","options":` + options(0, 100) + `}]}]`, `[{"type":"actions","elements":[{"type":"static_select","options":` + options(0, 101) + `}]}]`, "/blocks/0/elements/0/options"},
		{"overflow", `[{"type":"actions","elements":[{"type":"overflow","options":` + options(0, 5) + `}]}]`, `[{"type":"actions","elements":[{"type":"overflow","options":` + options(0, 6) + `}]}]`, "/blocks/0/elements/0/options"},
		{"table rows", `[{"type":"table","rows":` + list(100, `[{"type":"raw_text","text":"c"}]`) + `}]`, `[{"type":"table","rows":` + list(101, `[{"type":"raw_text","text":"c"}]`) + `}]`, "/blocks/0/rows"},
		{"table cells", `[{"type":"table","rows":[` + list(20, `{"type":"raw_text","text":"c"}`) + `]}]`, `[{"type":"table","rows":[` + list(21, `{"type":"raw_text","text":"c"}`) + `]}]`, "/blocks/0/rows/0"},
		{"unknown key", `[{"type":"divider","block_id":"a"}]`, `[{"type":"divider","blockid":"a"}]`, "/blocks/0"},
		{"unknown block", `[{"type":"divider"}]`, `[{"type":"separator"}]`, "/blocks/0/type"},
		{"header in mrkdwn", `[{"type":"header","text":` + plainText(1) + `}]`, `[{"type":"header","text":{"type":"mrkdwn","text":"x"}}]`, "/blocks/0/text/type"},
		{"password input", `[` + inputJSON(`{"type":"plain_text_input"}`) + `]`, `[` + inputJSON(`{"type":"password_input"}`) + `]`, "/blocks/0/element/type"},
		// The rest are rules of ours.
		{"blocks", list(50, divider), list(51, divider), "/blocks"},
		{"block_id", `[{"type":"divider","block_id":"a"},{"type":"divider","block_id":"b"}]`, `[{"type":"divider","block_id":"a"},{"type":"divider","block_id":"a"}]`, "/blocks/1/block_id"},
		{"section with nothing", `[{"type":"section","text":` + plainText(1) + `}]`, `[{"type":"section"}]`, "/blocks/0"},
		{"actions with nothing", `[` + buttonJSON("") + `]`, `[{"type":"actions","elements":[]}]`, "/blocks/0/elements"},
		{"two options of one value", `[{"type":"actions","elements":[{"type":"static_select","options":` + options(0, 2) + `}]}]`,
			`[{"type":"actions","elements":[{"type":"static_select","options":[` + strings.Trim(options(0, 1), "[]") + `,` + strings.Trim(options(0, 1), "[]") + `]}]}]`, "/blocks/0"},
		{"initial option from elsewhere", `[{"type":"actions","elements":[{"type":"static_select","options":` + options(0, 2) + `,"initial_option":` + strings.Trim(options(1, 2), "[]") + `}]}]`,
			`[{"type":"actions","elements":[{"type":"static_select","options":` + options(0, 2) + `,"initial_option":` + strings.Trim(options(2, 3), "[]") + `}]}]`, "/blocks/0"},
		{"tables", `[{"type":"table","rows":[[{"type":"raw_text","text":"c"}]]}]`, list(2, `{"type":"table","rows":[[{"type":"raw_text","text":"c"}]]}`), "/blocks"},
		{"markdown", `[{"type":"markdown","text":"` + x(12000) + `"}]`, list(2, `{"type":"markdown","text":"`+x(6001)+`"}`), "/blocks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := slacktest.ValidateMessage([]byte(`{"text":"t","blocks":` + c.fits + `}`)); err != nil {
				t.Errorf("what fits is refused: %v", err)
			}
			err := slacktest.ValidateMessage([]byte(`{"text":"t","blocks":` + c.over + `}`))
			problem, ok := err.(*slacktest.Problem)
			if !ok || problem.Pointer != c.at {
				t.Errorf("what is over: %v, want a problem at %s", err, c.at)
			}
		})
	}
}

func TestViewsAreCheckedAtTheirLimits(t *testing.T) {
	view := func(title int, more, blocks string) string {
		return `{"type":"modal","title":` + plainText(title) + more + `,"blocks":` + blocks + `}`
	}
	word := inputJSON(`{"type":"plain_text_input"}`)
	for _, c := range []struct{ name, fits, over, at string }{
		{"title", view(24, "", "[]"), view(25, "", "[]"), "/title/text"},
		{"private_metadata", view(1, `,"private_metadata":"`+x(3000)+`"`, "[]"), view(1, `,"private_metadata":"`+x(3001)+`"`, "[]"), "/private_metadata"},
		{"blocks", view(1, "", list(100, divider)), view(1, "", list(101, divider)), "/blocks"},
		{"submit", view(1, `,"submit":`+plainText(24), "["+word+"]"), view(1, "", "["+word+"]"), "/submit"},
		{"input length", view(1, `,"submit":`+plainText(1), "["+inputJSON(`{"type":"plain_text_input","max_length":3000}`)+"]"), view(1, `,"submit":`+plainText(1), "["+inputJSON(`{"type":"plain_text_input","max_length":3001}`)+"]"), "/blocks/0"},
		{"a block that stands in messages", view(1, "", "["+divider+"]"), view(1, "", `[{"type":"markdown","text":"x"}]`), "/blocks/0"},
		{"home", `{"type":"home","blocks":[` + divider + `]}`, `{"type":"home","blocks":[` + divider + `],"title":` + plainText(1) + `}`, ""},
		{"focus", view(1, `,"submit":`+plainText(1), list(1, inputJSON(`{"type":"plain_text_input","focus_on_load":true}`))),
			view(1, `,"submit":`+plainText(1), list(2, inputJSON(`{"type":"plain_text_input","focus_on_load":true}`))), "/blocks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := slacktest.ValidateView([]byte(c.fits)); err != nil {
				t.Errorf("what fits is refused: %v", err)
			}
			problem, ok := slacktest.ValidateView([]byte(c.over)).(*slacktest.Problem)
			if !ok || problem.Pointer != c.at {
				t.Errorf("what is over: %v, want a problem at %q", problem, c.at)
			}
		})
	}
}

func TestWhatSlackGoBuildsIsAccepted(t *testing.T) {
	plain := func(s string) *slack.TextBlockObject {
		return slack.NewTextBlockObject(slack.PlainTextType, s, true, false)
	}
	mrkdwn := slack.NewTextBlockObject(slack.MarkdownType, "*bold*", false, true)
	confirm := slack.NewConfirmationBlockObject(plain("Sure?"), mrkdwn, plain("Yes"), plain("No")).WithStyle(slack.StyleDanger)
	option := slack.NewOptionBlockObject("7", plain("photos"), plain("daily"))
	blocks := []slack.Block{
		slack.NewHeaderBlock(plain("nas")), slack.NewDividerBlock(),
		slack.NewSectionBlock(mrkdwn, []*slack.TextBlockObject{plain("a"), mrkdwn},
			slack.NewAccessory(slack.NewOverflowBlockElement("more", option))),
		slack.NewContextBlock("", plain("c"), mrkdwn, slack.NewImageBlockElement("https://nas.lan/i.png", "alt")),
		slack.NewActionBlock("acts", slack.NewButtonBlockElement("run", "7", plain("Run")).WithStyle(slack.StylePrimary).WithConfirm(confirm),
			slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plain("pick"), "one", option),
			slack.NewOptionsSelectBlockElement(slack.OptTypeExternal, plain("pick"), "two"),
			slack.NewDatePickerBlockElement("day"), slack.NewCheckboxGroupsBlockElement("boxes", option)),
		slack.NewRichTextBlock("", slack.NewRichTextSection(slack.NewRichTextSectionTextElement("t", &slack.RichTextSectionTextStyle{Bold: true}))),
		slack.NewMarkdownBlock("", "**md**"),
	}
	message, err := json.Marshal(map[string]any{"text": "t", "blocks": blocks,
		"attachments": []slack.Attachment{{Color: "#ff0000", Blocks: slack.Blocks{BlockSet: []slack.Block{section("in an attachment")}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := slacktest.ValidateMessage(message); err != nil {
		t.Errorf("%v in\n%s", err, message)
	}
}

func TestManifestsAreCheckedBySlacksSchemaAndOurs(t *testing.T) {
	if err := slacktest.ValidateManifest([]byte(slacktest.DefaultManifest)); err != nil {
		t.Fatalf("the default manifest: %v", err)
	}
	for _, c := range []struct{ name, old, new, at string }{
		{"no name", `"name": "Duplibot"`, `"description": "x"`, "/display_information"},
		{"a long description", `{"name": "Duplibot"}`, `{"name": "Duplibot", "description": "` + x(141) + `"}`, "/display_information/description"},
		{"a command without slash", `"/duplicati"`, `"duplicati"`, "/features/slash_commands/0/command"},
		{"an unknown key", `"is_enabled"`, `"enabled"`, "/settings/interactivity"},
		{"a misspelt scope", `"chat:write"`, `"chat:wirte"`, "/oauth_config/scopes/bot/1"},
		{"an event without its scope", `"usergroups:read", `, ``, "/settings/event_subscriptions/bot_events/3"},
		{"a URL beside Socket Mode", `"should_escape": true`, `"should_escape": true, "url": "https://bot.example/slack"`, "/features/slash_commands/0/url"},
		{"no URL without Socket Mode", `"socket_mode_enabled": true`, `"socket_mode_enabled": false`, "*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := strings.Replace(slacktest.DefaultManifest, c.old, c.new, 1)
			if changed == slacktest.DefaultManifest {
				t.Fatal("nothing was changed")
			}
			problem, ok := slacktest.ValidateManifest([]byte(changed)).(*slacktest.Problem)
			if !ok || c.at != "*" && problem.Pointer != c.at {
				t.Errorf("%v, want a problem at %s", problem, c.at)
			}
		})
	}
}

func TestTheSchemaIsWhatTheGeneratorMakes(t *testing.T) {
	need := func(reason string) {
		if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
			t.Fatal("needs " + reason)
		}
		t.Skip("needs " + reason)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		need("node: the schema's generator runs on it")
	}
	if _, err := os.Stat(filepath.Join("schema", "node_modules", "@slack", "types")); err != nil {
		need("schema/node_modules: Slack's types, installed with npm ci in adapters/slack/slacktest/schema")
	}
	made := filepath.Join(t.TempDir(), "schema.json")
	cmd := exec.Command(node, "generate.mjs", made)
	cmd.Dir = "schema"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got, want any
	readJSON(t, made, &got)
	readJSON(t, "blockkit.schema.json", &want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("run npm run generate in schema/; committed and made differ:\n%s", diff)
	}
}

// A model of the world may send anything; the checks answer and do not fall over.
func FuzzValidation(f *testing.F) {
	for _, seed := range []string{`{"text":"t","blocks":[{"type":"section","text":{"type":"plain_text","text":"x"}}]}`, `{"type":"home","blocks":[null,{"type":1}]}`,
		`{"blocks":[{"type":"actions","elements":[null,{"type":"static_select","options":{}}]}]}`, slacktest.DefaultManifest, `[]`, `{"attachments":[{"blocks":{}}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, validate := range map[string]func([]byte) error{"message": slacktest.ValidateMessage, "view": slacktest.ValidateView, "manifest": slacktest.ValidateManifest} {
			if err := validate(data); err != nil && err.Error() == "" {
				t.Errorf("%s: an error without words", name)
			}
		}
	})
}
