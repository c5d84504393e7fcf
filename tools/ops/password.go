package ops

import (
	"context"
	"errors"
	"strings"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

type passwordIn struct {
	New tools.Secret `json:"new_password" jsonschema:"An alias, page, or generate; never the password itself" tool:"pos,new"`
	tools.OnServer
}

type passwordOut struct {
	Changed   bool     `json:"changed"`
	Proven    bool     `json:"proven"` // a login with it worked
	Kept      string   `json:"kept,omitempty"`
	Overrides string   `json:"overrides,omitempty"`
	Notes     []string `json:"notes"`

	server string
}

const oldSessions = "sessions and tokens from before stay valid; to end them all, restart the server with --webservice-reset-jwt-config=true"

func (o *operations) changePassword() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "change-password", Summary: "Change the password of a server, after a person has agreed",
		Help: "The new one is typed at a terminal, entered on a one-time page, named by an alias, or generated. It is stored before it is set, " +
			"proven by a login, and then used for this server instead of what the config refers to. Sessions and tokens from before stay valid.",
		Group: groupSession, Toolset: admin, Risk: tools.Critical,
		Examples: []string{"change-password", "change-password generate", "change-password env:NEW_PASSWORD"},
	}, tools.Handler[passwordIn, passwordOut]{Plan: o.planPassword, Do: o.doPassword, View: viewPassword, Settle: o.settlePassword})
}

func (o *operations) newPassword(ctx context.Context, env tools.Env, in passwordIn) (secret.Value, error) {
	v, err := env.Secret(ctx, in.New)
	if err == nil && strings.TrimSpace(v.Reveal()) == "" {
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "the new password is blank; nothing was done")
	}
	return v, err
}

// planPassword stages the new password too: that it can be kept is proven
// before anybody is asked, and again directly before it is set. What is staged
// counts for nothing until it is kept.
func (o *operations) planPassword(ctx context.Context, env tools.Env, in passwordIn) (tools.Plan, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return tools.Plan{}, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return tools.Plan{}, err
	}
	password, err := o.newPassword(ctx, env, in)
	if err != nil {
		return tools.Plan{}, err
	}
	if err := o.Servers.StagePassword(ctx, env.Server, password); err != nil {
		return tools.Plan{}, err
	}
	key, err := o.Key(ctx)
	if err != nil {
		return tools.Plan{}, err
	}
	digest := tools.Bind(factPassword, duplicati.TargetMAC(password, key))
	digest.Hidden = true
	p := tools.Plan{
		Target: tools.Target{Server: env.Server, Kind: "server", Name: env.Server},
		Facts:  []tools.PlanFact{tools.Bind(factAddress, c.Origin()), tools.Show("version", info.Version), tools.Show("machine", info.Machine), digest},
		Effects: []string{
			"the old password of " + env.Server + " no longer works, for nobody",
			"the new one is kept in this bot's keyring and used from then on",
		},
	}
	const alone = ", and with it can do everything on the server without this bot"
	if _, held := in.New.Handle(); in.New.Made() {
		p.Effects = append(p.Effects, "the one who asks is shown the new one, once"+alone)
	} else if held {
		p.Effects = append(p.Effects, "the one who asks has chosen the new one and knows it"+alone)
	}
	p.Effects = append(p.Effects, oldSessions)
	return p, nil
}

const factPassword = "new password"

func (o *operations) doPassword(ctx context.Context, env tools.Env, in passwordIn) (passwordOut, error) {
	password, err := o.newPassword(ctx, env, in)
	if err != nil {
		return passwordOut{}, err
	}
	key, err := o.Key(ctx)
	if err != nil {
		return passwordOut{}, err
	}
	if duplicati.TargetMAC(password, key) != env.Planned.Bound(factPassword) {
		return passwordOut{}, tools.Errorf(tools.Changed, "the new password is not the one that was shown; nothing was done").WithHint("ask again")
	}
	c, err := o.client(ctx, env)
	if err != nil {
		return passwordOut{}, err
	}
	out := passwordOut{Notes: []string{oldSessions}, server: env.Server}
	if in.New.Made() {
		// Made by the bot, so that nobody has seen it yet.
		if _, err := env.Keep(ctx, tools.Parcel{Kind: "password", Name: "password of " + env.Server, Content: password}); err != nil {
			return passwordOut{}, err
		}
	}
	if err := c.SetPassword(ctx, password); err != nil {
		var e *duplicati.Error
		if !errors.As(err, &e) || !e.Uncertain {
			return passwordOut{}, err
		}
		// The answer is lost; the server can still be asked.
		if err := o.lostPassword(ctx, env, password, err); err != nil {
			return passwordOut{}, err
		}
		out.Notes = append(out.Notes, "the server's answer was lost, and a login showed that the password was changed")
	} else if err := o.Servers.ProvePassword(ctx, env.Server, password); err != nil {
		return passwordOut{}, tools.Errorf(tools.UnknownOutcome, "%s said that the password was changed, and a login with it could not be proven; it is kept in the keyring and not in use", env.Server).
			WithHint("look with: health; then: login").Because(err)
	}
	out.Changed, out.Proven = true, true
	kept, err := o.Servers.KeepPassword(ctx, env.Server, password)
	if err != nil {
		out.Notes = append(out.Notes, "it could not be made this bot's own password for the server: "+words(err)+". Log in with it once, or put it where the config refers to")
		return out, nil
	}
	out.Kept, out.Overrides = kept.Where, kept.Overrides
	out.Notes = append(out.Notes, kept.Notes...)
	return out, nil
}

// lostPassword finds out what became of a change whose answer was lost.
func (o *operations) lostPassword(ctx context.Context, env tools.Env, password secret.Value, lost error) error {
	err := o.Servers.ProvePassword(ctx, env.Server, password)
	switch {
	case err == nil:
		return nil
	case refusedLogin(err):
		return tools.Errorf(tools.OperationFailed, "the password of %s was not changed; the old one still works", env.Server).WithHint("ask again").Because(lost)
	}
	return tools.Errorf(tools.UnknownOutcome, "%s was asked to change its password and its answer was lost; the new one is kept in the keyring and not in use", env.Server).
		WithHint("when it answers again, a login with the new one shows what happened").Because(lost)
}

func refusedLogin(err error) bool {
	return tools.CodeOf(err) == tools.NotLoggedIn || errors.Is(err, duplicati.LoginFailed)
}

// words is what of an error a person may read.
func words(err error) string {
	var e *tools.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return "the log says why"
}

// settlePassword proves by a login whether the new password is the server's.
func (o *operations) settlePassword(ctx context.Context, env tools.Env, in passwordIn, _ tools.Plan) (tools.Settled, error) {
	password, err := o.newPassword(ctx, env, in)
	if err != nil {
		return tools.CannotTell, err
	}
	err = o.Servers.ProvePassword(ctx, env.Server, password)
	if refusedLogin(err) {
		return tools.TookNoEffect, nil
	}
	if err != nil {
		return tools.CannotTell, err
	}
	if _, err := o.Servers.KeepPassword(ctx, env.Server, password); err != nil {
		return tools.CannotTell, err
	}
	return tools.TookEffect, nil
}

func viewPassword(out passwordOut) tools.View {
	v := tools.View{Headline: "the password of " + out.server + " is changed, and a login with it worked", Tone: tools.Good, Notes: out.Notes}
	if out.Kept == "" {
		v.Tone = tools.Warning
		return v
	}
	v.Facts = append(v.Facts, tools.Fact{Name: "Kept in", Value: out.Kept})
	if out.Overrides != "" {
		v.Facts = append(v.Facts, tools.Fact{Name: "Comes before", Value: out.Overrides})
	}
	return v
}
