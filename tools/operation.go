package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// Spec is what an operation is, in words.
type Spec struct {
	Name       string // ServerUtil's verb where it has one: "run", "list-backups"
	Summary    string // one imperative line, under seventy characters
	Help       string // more lines, for help and documentation
	Group      string // the noun it belongs to in help: "backups", "server", "session", "requests"
	Toolset    string // "core" or "admin"
	Risk       Risk
	Role       Role // the least role that may ask; 0 takes the risk's: viewer, operator, operator
	Idempotent bool // calling it twice does no more than calling it once
	Global     bool // not about a server: the input has no server
	Home       bool // a Read that a start page shows, of all servers, without being asked
	// Resource is the noun under which a client can watch what this Read tells:
	// "backups". It has no required parameter.
	Resource string
	// Follows marks the Read that tells, by its parameter id, how a request goes.
	Follows  bool
	Examples []string
}

// Handler is how an operation works.
type Handler[In, Out any] struct {
	// Check refuses inputs that the schema cannot. Optional.
	Check func(In) error
	// Risk can raise the risk for some inputs, never lower it. Optional.
	Risk func(In) Risk
	// Secrets names the Secret and File parameters that this input needs and
	// lacks. Optional; required ones are found without it.
	Secrets func(In) []string
	// Plan reads the facts that a person is shown. Required for Critical.
	Plan func(context.Context, Env, In) (Plan, error)
	// Do does it.
	Do func(context.Context, Env, In) (Out, error)
	// View is the result for people. Required.
	View func(Out) View
	// Exit is the exit code at a terminal. Optional; 0.
	Exit func(Out) int
	// Settle looks, after a crash, whether the call took effect. Optional; a
	// person is asked where it is missing or cannot tell.
	Settle func(context.Context, Env, In, Plan) (Settled, error)
	// Complete offers values for parameters by name. Optional.
	Complete map[string]func(context.Context, Env, string) ([]Choice, error)
}

// Choice is one value that a parameter can have.
type Choice struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// Settled is what a look at the server proves about a call whose outcome was
// not recorded.
type Settled int

const (
	CannotTell Settled = iota
	TookEffect
	TookNoEffect
)

// OnServer is embedded, last, in the input of every operation.
type OnServer struct {
	Server string `json:"server,omitempty" jsonschema:"Name of the server; may be left out where one is the default" tool:"complete=servers"`
}

// Operation is a declared operation. Only a Runner can call it.
type Operation struct {
	Spec
	Params []Param

	input, output *jsonschema.Schema
	bind          func(args map[string]any) (bound, error)
	complete      map[string]func(context.Context, Env, string) ([]Choice, error)
	hasPlan       bool
	hasSettle     bool
}

// bound is an operation with its input: what the gate works with.
type bound struct {
	risk    Risk
	server  string   // as given; "" when not
	needs   []string // Secret and File parameters still to be given
	args    json.RawMessage
	plan    func(context.Context, Env) (Plan, error)
	do      func(context.Context, Env) (output, error)
	settle  func(context.Context, Env, Plan) (Settled, error)
	secrets map[string]string // Secret and File parameters as given
}

// output is a result in the forms that adapters need.
type output struct {
	result json.RawMessage
	view   View
	exit   int
	kept   []Kept
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// Define declares an operation. It panics on a wrong declaration, so that
// every start and every test run finds it.
func Define[In, Out any](spec Spec, h Handler[In, Out]) Operation {
	op := Operation{Spec: spec, complete: h.Complete, hasPlan: h.Plan != nil, hasSettle: h.Settle != nil}
	must := func(ok bool, format string, args ...any) {
		if !ok {
			panic("tools: operation " + spec.Name + ": " + fmt.Sprintf(format, args...))
		}
	}
	must(nameForm.MatchString(spec.Name) && len(spec.Name) <= 48, "the name must be lower-case words joined by dashes")
	must(spec.Summary != "" && len(spec.Summary) <= 90 && !strings.HasSuffix(spec.Summary, "."), "the summary must be one short line without a full stop")
	must(spec.Risk >= Read && spec.Risk <= Critical, "a risk must be given")
	must(spec.Toolset != "" && spec.Group != "", "a toolset and a group must be given")
	must(h.Do != nil && h.View != nil, "Do and View must be given")
	canBeCritical := spec.Risk == Critical || h.Risk != nil
	must(!canBeCritical || h.Plan != nil, "what can be Critical must have a Plan")

	var err error
	op.input, err = schemaOf(reflect.TypeFor[In]())
	must(err == nil, "input: %v", err)
	op.output, err = schemaOf(reflect.TypeFor[Out]())
	must(err == nil, "output: %v", err)
	op.Params, err = paramsOf(reflect.TypeFor[In](), op.input)
	must(err == nil, "input: %v", err)
	must((op.param("server") != nil) != spec.Global, "the input must embed tools.OnServer, unless it is Global")
	for _, p := range op.Params {
		must(!spec.Home || spec.Risk == Read && !p.Required, "what a start page shows is a Read without required parameters")
	}
	must(spec.Resource == "" || spec.Risk == Read && nameForm.MatchString(spec.Resource), "a resource is a Read under one lower-case word")
	for _, p := range op.Params {
		must(spec.Resource == "" || !p.Required, "a resource has no required parameter")
	}
	must(!spec.Follows || spec.Risk == Read && op.param("id") != nil, "what follows a request is a Read with the parameter id")
	for name := range h.Complete {
		must(op.param(name) != nil, "completion of the unknown parameter %q", name)
	}

	op.bind = func(args map[string]any) (bound, error) {
		args, err := op.check(args)
		if err != nil {
			return bound{}, err
		}
		canonical, err := json.Marshal(args)
		if err != nil {
			return bound{}, err
		}
		var in In
		dec := json.NewDecoder(bytes.NewReader(canonical))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			return bound{}, Errorf(InvalidArgument, "the arguments of %s could not be read; nothing was done", spec.Name).Because(err)
		}
		if h.Check != nil {
			if err := h.Check(in); err != nil {
				return bound{}, err
			}
		}
		b := bound{risk: spec.Risk, args: canonical, secrets: op.secretsIn(args)}
		b.server, _ = args["server"].(string)
		if h.Risk != nil {
			b.risk = max(b.risk, h.Risk(in))
		}
		b.needs = op.needed(args)
		if h.Secrets != nil {
			b.needs = append(b.needs, h.Secrets(in)...)
		}
		if h.Plan != nil {
			b.plan = func(ctx context.Context, env Env) (Plan, error) { return h.Plan(ctx, env, in) }
		}
		b.do = func(ctx context.Context, env Env) (output, error) {
			out, err := h.Do(ctx, env, in)
			if err != nil {
				return output{}, err
			}
			result, err := json.Marshal(out)
			if err != nil {
				return output{}, fmt.Errorf("write the result of %s: %w", spec.Name, err)
			}
			o := output{result: result, view: h.View(out)}
			if h.Exit != nil {
				o.exit = h.Exit(out)
			}
			return o, nil
		}
		if h.Settle != nil {
			b.settle = func(ctx context.Context, env Env, p Plan) (Settled, error) { return h.Settle(ctx, env, in, p) }
		}
		return b, nil
	}
	return op
}

// MCPName is the operation's name as an MCP tool.
func (o *Operation) MCPName() string {
	return "duplicati_" + strings.ReplaceAll(o.Name, "-", "_")
}

// LeastRole is the role somebody needs to ask for this operation.
func (o *Operation) LeastRole() Role {
	if o.Role != Nobody {
		return o.Role
	}
	if o.Risk == Read {
		return Viewer
	}
	return Operator
}

// Title is the operation's name in words: "List backups".
func (o *Operation) Title() string {
	words := strings.ReplaceAll(o.Name, "-", " ")
	return strings.ToUpper(words[:1]) + words[1:]
}

// InputSchema is the JSON Schema of the arguments as surface may give them.
func (o *Operation) InputSchema(surface Surface) *jsonschema.Schema {
	s := o.input.CloneSchemas()
	for _, p := range o.Params {
		if !p.On(surface) {
			delete(s.Properties, p.Name)
		}
	}
	order := s.PropertyOrder[:0:0]
	for _, name := range s.PropertyOrder {
		if _, ok := s.Properties[name]; ok {
			order = append(order, name)
		}
	}
	s.PropertyOrder = order
	var required []string
	for _, name := range s.Required {
		if p := o.param(name); p != nil && p.On(surface) && !p.Secret {
			required = append(required, name)
		}
	}
	s.Required = required
	return s
}

// OutputSchema is the JSON Schema of the result.
func (o *Operation) OutputSchema() *jsonschema.Schema { return o.output }

// HasPlan reports whether the operation can show what it would do.
func (o *Operation) HasPlan() bool { return o.hasPlan }

// CanSettle reports whether the operation can find out, after a crash,
// whether it took effect.
func (o *Operation) CanSettle() bool { return o.hasSettle }

func (o *Operation) param(name string) *Param {
	for i := range o.Params {
		if o.Params[i].Name == name {
			return &o.Params[i]
		}
	}
	return nil
}
