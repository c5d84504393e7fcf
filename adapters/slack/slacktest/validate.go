package slacktest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// blockkit.schema.json comes from Slack's type package by schema/generate.mjs, manifest.schema.json is
// version 2 of github.com/slackapi/manifest-schema. NOTICE has their licence.
var (
	//go:embed blockkit.schema.json
	blockkitSchema []byte
	//go:embed manifest.schema.json
	manifestSchema []byte
)

type schemaSet struct {
	block, attachment, metadata, modal, home, option, group, manifest *jsonschema.Schema
}

var schemas = sync.OnceValue(func() schemaSet {
	c := jsonschema.NewCompiler()
	for url, data := range map[string][]byte{"blockkit.json": blockkitSchema, "manifest.json": manifestSchema} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			panic(err)
		}
		if err := c.AddResource("https://slacktest.invalid/"+url, doc); err != nil {
			panic(err)
		}
	}
	def := func(name string) *jsonschema.Schema {
		return c.MustCompile("https://slacktest.invalid/blockkit.json#/$defs/" + name)
	}
	return schemaSet{
		block: def("KnownBlock"), attachment: def("MessageAttachment"), metadata: def("MessageMetadata"),
		modal: def("ModalView"), home: def("HomeView"), option: def("PlainTextOption"), group: def("OptionGroup"),
		manifest: c.MustCompile("https://slacktest.invalid/manifest.json"),
	}
})

// Problem is why Slack would refuse a message, view or manifest.
type Problem struct {
	Pointer string // JSON pointer to the place
	Message string // starts with "ours: " where the rule is not in Slack's types
}

func (p *Problem) Error() string { return p.Pointer + ": " + p.Message }

func (p *Problem) refusal(code string) *apiError {
	return refuse(code, fmt.Sprintf("[ERROR] %s [json-pointer:%s]", strings.TrimPrefix(p.Message, "ours: "), p.Pointer))
}

// under moves the place below a prefix.
func (p *Problem) under(prefix string) *Problem { return &Problem{prefix + p.Pointer, p.Message} }

func ours(pointer, format string, args ...any) *Problem {
	return &Problem{pointer, "ours: " + fmt.Sprintf(format, args...)}
}

// ValidateMessage checks the JSON of a message (text, blocks, attachments, metadata; other fields are not
// looked at) as every message to the fake is checked.
func ValidateMessage(message []byte) error {
	if p := validateMessage(message); p != nil {
		return p
	}
	return nil
}

// ValidateView checks the JSON of a modal or Home tab.
func ValidateView(view []byte) error {
	if p := validateView(view); p != nil {
		return p
	}
	return nil
}

func validateMessage(message []byte) *Problem {
	a := args{}
	if bad := a.takeJSON(message); bad != nil {
		return &Problem{"", bad.code}
	}
	return validateContent(a)
}

// validateContent checks the parts of a message, each of them JSON.
func validateContent(a args) *Problem {
	if a["blocks"] != "" {
		if p := validateBlocks([]byte(a["blocks"]), maxMessageBlocks, false); p != nil {
			return p.under("/blocks")
		}
	}
	var attachments []json.RawMessage
	if raw := a["attachments"]; raw != "" {
		if json.Unmarshal([]byte(raw), &attachments) != nil {
			return &Problem{"/attachments", "must be an array"}
		}
		if len(attachments) > maxAttachments {
			return ours("/attachments", "more than %d attachments", maxAttachments)
		}
	}
	for i, att := range attachments {
		at := fmt.Sprintf("/attachments/%d", i)
		if p := check(schemas().attachment, att); p != nil {
			return p.(*Problem).under(at)
		}
		var inner struct{ Blocks json.RawMessage }
		if json.Unmarshal(att, &inner) == nil && inner.Blocks != nil {
			if p := validateBlocks(inner.Blocks, maxMessageBlocks, false); p != nil {
				return p.under(at + "/blocks")
			}
		}
	}
	if a["metadata"] != "" {
		if p := check(schemas().metadata, []byte(a["metadata"])); p != nil {
			return p.(*Problem).under("/metadata")
		}
	}
	return nil
}

func validateBlocks(raw []byte, limit int, view bool) *Problem {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return &Problem{"", "must be an array"}
	}
	if len(list) > limit {
		return ours("", "more than %d blocks", limit)
	}
	for i, block := range list {
		if p := check(schemas().block, block); p != nil {
			return p.(*Problem).under(fmt.Sprintf("/%d", i))
		}
	}
	return checkRules(objects(decode[any](string(raw))), view)
}

func validateView(view []byte) *Problem {
	var head struct {
		Type   string
		Blocks json.RawMessage
		Submit any
	}
	if err := json.Unmarshal(view, &head); err != nil {
		return &Problem{"", err.Error()}
	}
	schema := schemas().modal
	switch head.Type {
	case "modal":
	case "home":
		schema = schemas().home
	default:
		return &Problem{"/type", fmt.Sprintf("%q is no type of view", head.Type)}
	}
	if p := check(schema, view); p != nil {
		return p.(*Problem)
	}
	if p := validateBlocks(head.Blocks, maxViewBlocks, true); p != nil {
		return p.under("/blocks")
	}
	if head.Type == "modal" && head.Submit == nil {
		for _, b := range objects(decode[any](string(head.Blocks))) {
			if b["type"] == "input" {
				return ours("/submit", "is needed where there is an input")
			}
		}
	}
	return nil
}

// validateOptions checks the answer to a block_suggestion.
func validateOptions(answer []byte) error {
	var reply struct {
		Options []json.RawMessage `json:"options"`
		Groups  []json.RawMessage `json:"option_groups"`
	}
	if err := json.Unmarshal(answer, &reply); err != nil {
		return err
	}
	if (reply.Options == nil) == (reply.Groups == nil) {
		return ours("", "either options or option_groups")
	}
	if len(reply.Options) > maxOptions || len(reply.Groups) > maxOptions {
		return ours("", "more than %d options", maxOptions)
	}
	for i, o := range reply.Options {
		if p := check(schemas().option, o); p != nil {
			return p.(*Problem).under(fmt.Sprintf("/options/%d", i))
		}
	}
	for i, g := range reply.Groups {
		if p := check(schemas().group, g); p != nil {
			return p.(*Problem).under(fmt.Sprintf("/option_groups/%d", i))
		}
	}
	if p := checkOptions("", decode[obj](string(answer))); p != nil {
		return p
	}
	return nil
}

// check validates JSON; the error is a *Problem that names the deepest place.
func check(schema *jsonschema.Schema, data []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return &Problem{"", err.Error()}
	}
	if err := schema.Validate(doc); err != nil {
		return deepest(err.(*jsonschema.ValidationError))
	}
	return nil
}

var printer = message.NewPrinter(language.English)

func deepest(e *jsonschema.ValidationError) *Problem {
	best := e
	for queue := []*jsonschema.ValidationError{e}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		queue = append(queue, at.Causes...)
		_, vague := best.ErrorKind.(*kind.Reference)
		deeper := len(at.InstanceLocation) > len(best.InstanceLocation)
		if len(at.Causes) == 0 && (deeper || len(best.Causes) > 0 || vague) {
			best = at
		}
	}
	var pointer strings.Builder
	for _, token := range best.InstanceLocation {
		pointer.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(token))
	}
	return &Problem{pointer.String(), best.ErrorKind.LocalizedString(printer)}
}

// contains is slices.Contains for values out of decoded JSON.
func contains(list []string, v any) bool { return slices.Contains(list, str(v)) }
