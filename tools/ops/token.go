package ops

import (
	"context"
	"errors"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

type tokenIn struct {
	Folder    string `json:"destination,omitempty" jsonschema:"Folder for a file of mode 0600; the keyring when left out" tool:"path"`
	Overwrite bool   `json:"overwrite,omitempty" jsonschema:"Replace a file that is there" tool:"cli"`
	tools.OnServer
}

type tokenOut struct {
	Where string   `json:"where"`
	Notes []string `json:"notes"`

	server    string
	elsewhere bool // than where it was wanted
}

func (o *operations) issueForeverToken() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "issue-forever-token", Summary: "Issue a token that opens a server for ten years, after a person has agreed",
		Help: "The token goes to the keyring or a file that only its owner can read, never into an answer. A server issues one per start, " +
			"and only when started with --webservice-enable-forever-token.",
		Group: groupSession, Toolset: admin, Risk: tools.Critical,
		Examples: []string{"issue-forever-token", "issue-forever-token --destination /etc/duplibot"},
	}, tools.Handler[tokenIn, tokenOut]{Plan: o.planToken, Do: o.doToken, View: viewToken})
}

func (o *operations) planToken(ctx context.Context, env tools.Env, in tokenIn) (tools.Plan, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return tools.Plan{}, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return tools.Plan{}, err
	}
	where := "the keyring"
	if in.Folder != "" {
		where = "a file in " + in.Folder
	}
	return tools.Plan{
		Target: tools.Target{Server: env.Server, Kind: "server", Name: env.Server},
		Facts:  []tools.PlanFact{tools.Bind(factAddress, c.Origin()), tools.Show("version", info.Version), tools.Show("goes to", where)},
		Effects: []string{
			"whoever has the token can do everything on " + env.Server + " for ten years, without the password",
			"the one who asks is shown it, once",
			"it cannot be taken back alone: only a restart with --webservice-reset-jwt-config=true ends it, and every other session with it",
			"the server issues no second one until it is restarted",
		},
	}, nil
}

func (o *operations) doToken(ctx context.Context, env tools.Env, in tokenIn) (tokenOut, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return tokenOut{}, err
	}
	token, err := c.ForeverToken(ctx)
	if err != nil {
		return tokenOut{}, tokenFailed(err, env.Server)
	}
	parcel := tools.Parcel{Kind: "token", Name: "forever-token-" + env.Server + ".txt", Content: token, Folder: in.Folder, Overwrite: in.Overwrite}
	kept, err := env.Keep(ctx, parcel)
	var notes []string
	if err != nil && in.Folder != "" {
		// It cannot be had again: rather in another place than lost.
		notes = append(notes, "it could not be written to "+in.Folder+": "+words(err))
		parcel.Folder = ""
		kept, err = env.Keep(ctx, parcel)
	}
	if err != nil {
		return tokenOut{}, tools.Errorf(tools.OperationFailed, "%s issued the token and it could not be kept, so that it was thrown away: %s", env.Server, words(err)).
			WithHint("it is valid and nobody has it; the server issues another after a restart").Because(err)
	}
	return tokenOut{Where: kept.Where, server: env.Server, elsewhere: len(notes) > 0, Notes: append(notes,
		"it lives ten years; a restart with --webservice-reset-jwt-config=true ends it, and every other session with it",
		"restart the server without --webservice-enable-forever-token, so that nobody can issue another",
	)}, nil
}

func tokenFailed(err error, server string) error {
	var e *duplicati.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Kind == duplicati.ForeverDisabled:
		return tools.Errorf(tools.Unsupported, "%s was not started with --webservice-enable-forever-token; nothing was issued", server).
			WithHint("restart it with that option, ask again, and restart it without").Because(err)
	case e.Kind == duplicati.ForeverUsed:
		return tools.Errorf(tools.Conflict, "%s has issued a forever token since its start, and issues one per start; nothing was issued", server).
			WithHint("restart it to issue another").Because(err)
	case e.Kind == duplicati.Unsupported:
		return tools.Errorf(tools.Unsupported, "%s is too old for forever tokens; nothing was issued", server).Because(err)
	case e.Uncertain:
		return tools.Errorf(tools.UnknownOutcome, "%s was asked for a forever token and its answer was lost; it may have issued one that nobody has", server).
			WithHint("the server issues another after a restart").Because(err)
	}
	return err
}

func viewToken(out tokenOut) tools.View {
	v := tools.View{Headline: "a forever token of " + out.server + " was issued and kept", Tone: tools.Good,
		Facts: []tools.Fact{{Name: "Kept in", Value: out.Where}}, Notes: out.Notes}
	if out.elsewhere {
		v.Tone = tools.Warning
	}
	return v
}
