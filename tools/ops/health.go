package ops

import (
	"context"
	"errors"
	"fmt"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

type healthIn struct{ tools.OnServer }

type healthOut struct {
	Healthy     bool          `json:"healthy"`
	Ill         string        `json:"ill,omitempty"` // the first stage that is bad
	Checks      []healthCheck `json:"checks"`
	Version     string        `json:"version,omitempty"`
	Certificate string        `json:"certificate_sha256,omitempty"`

	server string
}

type healthCheck struct {
	Stage     string `json:"stage"`
	Condition string `json:"condition"` // good, doubt, bad, skipped
	Words     string `json:"words"`
}

// stageLogin follows the stages of duplicati.Diagnose.
const stageLogin = "login"

func (o *operations) health() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "health", Summary: "Find which part is ill between here and a server",
		Help: "Looks at each part in turn: name, connection, certificate, a proxy in between, Duplicati itself, its filter of host names, the login. " +
			"At a terminal the exit code is 1 when one is ill.",
		Group: groupServer, Toolset: core, Risk: tools.Read, Idempotent: true,
		Examples: []string{"health", "health --server all"},
	}, tools.Handler[healthIn, healthOut]{
		Do: o.doHealth, View: viewHealth,
		Exit: func(out healthOut) int {
			if out.Healthy {
				return 0
			}
			return 1
		},
	})
}

func (o *operations) doHealth(ctx context.Context, env tools.Env, _ healthIn) (healthOut, error) {
	d, err := o.Servers.Diagnose(ctx, env.Server)
	if err != nil {
		return healthOut{}, err
	}
	out := healthOut{Checks: []healthCheck{}, server: env.Server}
	for _, c := range d.Checks {
		out.Checks = append(out.Checks, healthCheck{Stage: string(c.Stage), Condition: string(c.Condition), Words: c.Words})
	}
	if d.Certificate != nil {
		out.Certificate = d.Certificate.SHA256
	}
	if f := d.Failure(); f != nil {
		out.Ill = string(f.Stage)
		out.Checks = append(out.Checks, healthCheck{stageLogin, string(duplicati.Skipped), "not looked at, as what comes before it is ill"})
		return out, nil
	}
	login := healthCheck{stageLogin, string(duplicati.Good), "the login works"}
	info, err := o.proveLogin(ctx, env)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return healthOut{}, err
		}
		login.Condition, login.Words = string(duplicati.Bad), loginWords(err)
		out.Ill = stageLogin
	}
	out.Checks = append(out.Checks, login)
	out.Version, out.Healthy = info.Version, err == nil
	return out, nil
}

// proveLogin asks for something that needs a session.
func (o *operations) proveLogin(ctx context.Context, env tools.Env) (duplicati.Info, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return duplicati.Info{}, err
	}
	return c.Info(ctx)
}

func loginWords(err error) string {
	var own *tools.Error
	var theirs *duplicati.Error
	switch {
	case errors.As(err, &own):
		return own.Error()
	case errors.As(err, &theirs) && (theirs.Kind == duplicati.LoginFailed || theirs.Kind == duplicati.NotAuthorized):
		return "the server does not accept the login: log in anew"
	case errors.As(err, &theirs):
		return fmt.Sprintf("after the login the server could not be asked: %s", theirs.Kind)
	}
	return "the login could not be tried"
}

func viewHealth(out healthOut) tools.View {
	v := tools.View{Headline: out.server + " is healthy", Tone: tools.Good}
	tone := map[string]tools.Tone{"good": tools.Good, "doubt": tools.Warning, "bad": tools.Bad, "skipped": tools.Unclear}
	for _, c := range out.Checks {
		v.Facts = append(v.Facts, tools.Fact{Name: c.Stage, Value: c.Words, Tone: tone[c.Condition]})
		if c.Condition == string(duplicati.Doubt) {
			v.Tone = v.Tone.Worse(tools.Warning)
		}
	}
	if out.Version != "" {
		v.Facts = append(v.Facts, tools.Fact{Name: "version", Value: out.Version})
	}
	if !out.Healthy {
		v.Headline, v.Tone = fmt.Sprintf("%s is ill: %s", out.server, out.Ill), tools.Bad
	}
	if out.Ill == stageLogin {
		v.Next = append(v.Next, tools.Next{Label: "Log in", Operation: "login", Args: map[string]any{"server": out.server}})
	}
	return v
}
