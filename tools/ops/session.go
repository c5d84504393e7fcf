package ops

import (
	"context"
	"errors"

	"github.com/duplibot/duplibot/tools"
)

type loginIn struct {
	Password tools.Secret `json:"password,omitempty" jsonschema:"An alias; left out: the server's own database, or what the config refers to"`
	Pin      string       `json:"pin,omitempty" jsonschema:"SHA-256 of the server's certificate to trust from now on" tool:"cli"`
	tools.OnServer
}

type loginOut struct {
	By         string   `json:"by"`
	Version    string   `json:"version"`
	Generation string   `json:"generation"`
	Until      string   `json:"valid_until,omitempty"` // when nobody uses it before
	Stored     string   `json:"stored"`
	Notes      []string `json:"notes"`

	server string
}

func (o *operations) login() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "login", Summary: "Log in to a server and keep the session in the keyring",
		Help:  "The password is typed at a terminal, referred to, or not needed on the server's own host. A session lasts 30 days from its last use.",
		Group: groupSession, Toolset: admin, Risk: tools.Change, Idempotent: true,
		Examples: []string{"login", "login --password env:NAS_PASSWORD"},
	}, tools.Handler[loginIn, loginOut]{Do: o.doLogin, View: viewLogin})
}

func (o *operations) doLogin(ctx context.Context, env tools.Env, in loginIn) (loginOut, error) {
	by := tools.Login{Pin: in.Pin}
	if in.Pin != "" && env.Subject.Role < tools.Admin && !env.Subject.Approver {
		// Whose certificate it is gets the password and every session.
		return loginOut{}, tools.Errorf(tools.Denied, "which certificate of %s is trusted is for admins and approvers to say, and %s is neither; nothing was done", env.Server, env.Subject.Name).
			WithHint("ask one of them to log in with --pin")
	}
	if in.Password != "" {
		var err error
		if by.Password, err = env.Secret(ctx, in.Password); err != nil {
			return loginOut{}, err
		}
	}
	in2, err := o.Servers.Login(ctx, env.Server, by)
	if e := (*tools.Error)(nil); in.Password == "" && errors.As(err, &e) && e.Code == tools.NotLoggedIn {
		// Nothing that needs nobody worked: a terminal asks now.
		asks := *e
		asks.Code = tools.SecretNeeded
		return loginOut{}, &asks
	}
	if err != nil {
		return loginOut{}, err
	}
	return loginOut{By: in2.By, Version: in2.Version, Generation: in2.Generation, Until: stamp(in2.Ends), Stored: in2.Stored,
		Notes: append([]string{}, in2.Notes...), server: env.Server}, nil
}

func viewLogin(out loginOut) tools.View {
	v := tools.View{Headline: "logged in to " + out.server, Tone: tools.Good, Notes: out.Notes,
		Facts: []tools.Fact{{Name: "By", Value: out.By}, {Name: "Version", Value: out.Version}, {Name: "Kept in", Value: out.Stored}},
		Next:  []tools.Next{{Label: "List backups", Operation: "list-backups", Args: map[string]any{"server": out.server}}}}
	if out.Until != "" {
		v.Facts = append(v.Facts, tools.Fact{Name: "Valid until", Value: out.Until + " when it is not used"})
	}
	return v
}

type logoutIn struct{ tools.OnServer }

type logoutOut struct {
	Had     bool     `json:"had_session"`
	Refused bool     `json:"proven_refused"` // the server was seen to refuse the old token
	Notes   []string `json:"notes"`

	server string
}

func (o *operations) logout() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "logout", Summary: "End the session with a server, there and here, and prove it",
		Help:  "The server is told with the session's nonce, without which it would say yes and keep the session, and is then seen to refuse the old token.",
		Group: groupSession, Toolset: admin, Risk: tools.Change, Idempotent: true, Examples: []string{"logout"},
	}, tools.Handler[logoutIn, logoutOut]{
		Do: func(ctx context.Context, env tools.Env, _ logoutIn) (logoutOut, error) {
			ended, err := o.Servers.Logout(ctx, env.Server)
			if err != nil {
				return logoutOut{}, err
			}
			return logoutOut{Had: ended.Had, Refused: ended.Refused, Notes: append([]string{}, ended.Notes...), server: env.Server}, nil
		},
		View: func(out logoutOut) tools.View {
			v := tools.View{Headline: "logged out of " + out.server + "; the old token is refused", Tone: tools.Good, Notes: out.Notes}
			switch {
			case !out.Had:
				v.Headline, v.Tone = "there was no session with "+out.server, tools.Notice
			case !out.Refused:
				v.Headline, v.Tone = "logged out of "+out.server+" here; that the server refuses the old token was not seen", tools.Warning
			}
			return v
		},
	})
}
