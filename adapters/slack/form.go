package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/duplibot/duplibot/tools"
)

// formID is the callback of forms for an operation's parameters.
const formID = "call"

// formMeta is what a form remembers of the command that opened it.
type formMeta struct {
	Operation string         `json:"o"`
	Args      map[string]any `json:"a,omitempty"` // those that the form has no field for
	Channel   string         `json:"c,omitempty"`
	Public    bool           `json:"p,omitempty"`
	Response  string         `json:"r,omitempty"` // response_url
	Born      int64          `json:"b,omitempty"`
}

var errFormTooLarge = errors.New("the form would be larger than Slack takes")

// openForm asks for an operation's parameters, with those filled in that were
// given. said is why, "" when something required was simply left out.
func (a *Adapter) openForm(ctx context.Context, p *place, op *tools.Operation, args map[string]any, said string) error {
	form, err := buildForm(op, args, said, formMeta{Operation: op.Name, Channel: p.channel, Public: p.public, Response: p.response, Born: p.born.Unix()})
	if err != nil {
		return err
	}
	_, err = a.openModal(ctx, p.trigger, form)
	return err
}

// buildForm makes the modal for an operation.
func buildForm(op *tools.Operation, args map[string]any, said string, meta formMeta) (slack.ModalViewRequest, error) {
	b := builder{limit: maxViewBlocks, view: true}
	b.say(op.Summary)
	if said != "" {
		b.say(toned(tools.Notice, sentence(said)))
	}
	meta.Args = map[string]any{}
	for _, p := range op.Params {
		if !p.On(tools.Slack) {
			if v, given := args[p.Name]; given {
				meta.Args[p.Name] = v
			}
			continue
		}
		b.add(0, field(p, args[p.Name]))
	}
	if op.Risk == tools.Critical {
		b.aside("A person has to agree before this runs.")
	}
	packed, err := json.Marshal(meta)
	if err == nil && utf8.RuneCount(packed) > maxMetadata {
		err = errFormTooLarge
	}
	return slack.ModalViewRequest{Type: slack.VTModal, CallbackID: formID, Title: plain(op.Title(), maxTitle), Submit: plain("Go", maxTitle),
		Close: plain("Back", maxTitle), PrivateMetadata: string(packed), Blocks: slack.Blocks{BlockSet: b.blocks}}, err
}

// field is one parameter's input. A secret has no field to type it into.
func field(p tools.Param, given any) *slack.InputBlock {
	label := sentence(strings.ReplaceAll(p.Name, "_", " "))
	text := ""
	if given != nil {
		text = fmt.Sprint(given)
	}
	var element slack.BlockElement
	switch {
	case p.Secret && p.Complete == "" && !p.File:
		element = choice(p, [][2]string{{string(tools.SecretPage), "Enter it on a one-time page"}, {string(tools.SecretGenerate), "Let the bot make one"}}, text)
	case len(p.Enum) > 0:
		var options [][2]string
		for _, v := range p.Enum {
			options = append(options, [2]string{v, v})
		}
		element = choice(p, options, text)
	case p.Complete != "" && p.Kind == tools.Text:
		e := slack.NewOptionsSelectBlockElement(slack.OptTypeExternal, plain("Choose", maxHeader), p.Name)
		e.MinQueryLength = new(int)
		e.InitialOption = option(text, text)
		element = e
	case p.Kind == tools.Bool:
		yes := slack.NewOptionBlockObject("true", plain("Yes", maxOption), nil)
		e := slack.NewCheckboxGroupsBlockElement(p.Name, yes)
		if given == true {
			e.InitialOptions = []*slack.OptionBlockObject{yes}
		}
		element = e
	case p.Kind == tools.Number:
		e := slack.NewNumberInputBlockElement(nil, p.Name, false)
		e.InitialValue = text
		element = e
	default:
		e := slack.NewPlainTextInputBlockElement(nil, p.Name)
		e.MaxLength = maxText
		if list, ok := given.([]string); ok {
			text = strings.Join(list, "\n")
		}
		e.Multiline, e.InitialValue = p.Kind == tools.List, cut(text, maxText)
		element = e
	}
	hint := p.Help
	if p.Kind == tools.List {
		hint += " (one a line)"
	}
	in := slack.NewInputBlock(p.Name, plain(label, maxField), plain(hint, maxField), element)
	in.Optional = !p.Required || p.Secret
	return in
}

// choice is a menu of fixed values.
func choice(p tools.Param, values [][2]string, given string) *slack.SelectBlockElement {
	var options []*slack.OptionBlockObject
	for _, v := range values[:min(len(values), maxOptions)] {
		if o := option(v[0], v[1]); o != nil {
			options = append(options, o)
		}
	}
	e := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plain("Choose", maxHeader), p.Name, options...)
	for _, o := range options {
		if o.Value == given {
			e.InitialOption = o
		}
	}
	return e
}

// option is one line of a menu; nil for a value that Slack does not take.
func option(value, label string) *slack.OptionBlockObject {
	if value == "" || utf8.RuneCountInString(value) > maxOption {
		return nil
	}
	return slack.NewOptionBlockObject(value, plain(line(label), maxOption), nil)
}

// onSubmission answers a modal that was sent: what is wrong stays in the form.
func (a *Adapter) onSubmission(ctx context.Context, c slack.InteractionCallback) (any, func(context.Context)) {
	switch c.View.CallbackID {
	case phraseID:
		return a.submitPhrase(ctx, c)
	case formID:
		return a.submitForm(ctx, c)
	}
	return nil, nil
}

func (a *Adapter) submitForm(ctx context.Context, c slack.InteractionCallback) (any, func(context.Context)) {
	var meta formMeta
	if err := unmarshalStrict(c.View.PrivateMetadata, &meta); err != nil {
		return nil, nil
	}
	op, err := a.Registry.Lookup(meta.Operation)
	if err != nil {
		return nil, nil
	}
	args := meta.Args
	if args == nil {
		args = map[string]any{}
	}
	for name, v := range formValues(op, c.View.State) {
		args[name] = v
	}
	p := &place{channel: meta.Channel, public: meta.Public, response: meta.Response, born: time.Unix(meta.Born, 0), posts: 1}
	rest := func(ctx context.Context) {
		p.who = a.who.identify(ctx, c.User.ID, c.User.TeamID, meta.Channel, op.Risk > tools.Read)
		a.call(ctx, p, op, args)
	}
	// What can be seen to be wrong without asking a server is said in the form.
	_, err = a.door.Needs(ctx, tools.Call{Operation: op.Name, Args: args})
	var e *tools.Error
	if errors.As(err, &e) && e.Code == tools.InvalidArgument {
		if block := blame(op, e, c.View); block != "" {
			return slack.NewErrorsViewSubmissionResponse(map[string]string{block: cut(line(sentence(e.Error())), maxField)}), nil
		}
	}
	return nil, rest
}

// blame is the input that an error is about: the one it names, else the first.
func blame(op *tools.Operation, e *tools.Error, v slack.View) string {
	first := ""
	for _, p := range op.Params {
		if !p.On(tools.Slack) {
			continue
		}
		if first == "" {
			first = p.Name
		}
		if strings.HasPrefix(e.Message, p.Name+" ") || strings.Contains(e.Message, " "+p.Name+" ") || strings.Contains(e.Message, " "+p.Name+":") {
			return p.Name
		}
	}
	return first
}

// formValues reads what was chosen and typed. An empty field is no argument.
func formValues(op *tools.Operation, state *slack.ViewState) map[string]any {
	args := map[string]any{}
	if state == nil {
		return args
	}
	for _, p := range op.Params {
		v, ok := state.Values[p.Name][p.Name]
		if !ok || !p.On(tools.Slack) {
			continue
		}
		text := v.Value
		if v.SelectedOption.Value != "" {
			text = v.SelectedOption.Value
		}
		switch {
		case p.Kind == tools.Bool:
			if len(v.SelectedOptions) > 0 {
				args[p.Name] = true
			}
		case strings.TrimSpace(text) == "":
		case p.Kind == tools.List:
			var list []string
			for l := range strings.Lines(text) {
				if l = strings.TrimSpace(l); l != "" {
					list = append(list, l)
				}
			}
			args[p.Name] = list
		default:
			args[p.Name] = text
		}
	}
	return args
}

// optionsAnswer is what a menu shows; the library's own leaves an empty list
// out, which Slack does not take.
type optionsAnswer struct {
	Options []*slack.OptionBlockObject `json:"options"`
}

// onSuggestion offers values for a menu, within the time of an acknowledgement.
func (a *Adapter) onSuggestion(ctx context.Context, c slack.InteractionCallback) any {
	none := optionsAnswer{Options: []*slack.OptionBlockObject{}}
	var meta formMeta
	if c.View.CallbackID != formID || unmarshalStrict(c.View.PrivateMetadata, &meta) != nil {
		return none
	}
	who := a.who.identify(ctx, c.User.ID, c.User.TeamID, meta.Channel, false)
	if who.refusal != nil {
		return none
	}
	server := a.DefaultServer(meta.Channel)
	if c.View.State != nil {
		if chosen := c.View.State.Values["server"]["server"].SelectedOption.Value; chosen != "" {
			server = chosen
		}
	}
	found, err := a.door.Complete(ctx, who.Caller, meta.Operation, c.ActionID, c.Value, server)
	if err != nil {
		a.Log.Info("slack menu stays empty", "operation", meta.Operation, "error", err)
		return none
	}
	return menu(found)
}

// menu is as many choices as fit, each value once.
func menu(found []tools.Choice) optionsAnswer {
	answer := optionsAnswer{Options: []*slack.OptionBlockObject{}}
	seen := map[string]bool{}
	for _, choice := range found {
		o := option(choice.Value, choice.Label)
		if o == nil || seen[choice.Value] {
			continue
		}
		answer.Options = append(answer.Options, o)
		if len(answer.Options) > maxOptions || ackSize(answer) != nil {
			answer.Options = answer.Options[:len(answer.Options)-1]
			break
		}
		seen[choice.Value] = true
	}
	return answer
}
