package web

import (
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// What every page begins and ends with. It is ours, and not escaped.
const (
	icon   = `<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%231d5fa8'/%3E%3Cpath d='M5 4h3a4 4 0 0 1 0 8H5z' fill='none' stroke='%23fff' stroke-width='1.8'/%3E%3C/svg%3E">`
	header = `<header><svg aria-hidden="true" viewBox="0 0 16 16" width="20" height="20"><rect width="16" height="16" rx="4"/><path d="M5 4h3a4 4 0 0 1 0 8H5z"/></svg> Duplibot</header>`
	footer = `<footer>This page opens once. Nothing that is entered or shown here passes through a chat or a model.</footer>`
)

// html is the whole page. g.Text and the attributes escape what they are given;
// g.Raw gets nothing but constants and our own files.
func (v view) html() g.Node {
	title := v.Title + " · Duplibot"
	if v.Problem != "" {
		title = "Not yet: " + title
	}
	return h.Doctype(h.HTML(h.Lang("en"),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.Meta(h.Name("robots"), h.Content("noindex")),
			h.TitleEl(g.Text(title)),
			g.Raw(icon),
			h.StyleEl(g.Raw(styleText)),
		),
		h.Body(
			g.Raw(header),
			h.Main(
				given(v.Tone, func() g.Node { return h.Class(v.Tone) }),
				h.H1(g.Text(v.Title)),
				h.P(h.Class("lead"), g.Text(v.Lead)),
				given(v.Problem, func() g.Node { return h.P(h.Class("problem"), h.Role("alert"), g.Text(v.Problem)) }),
				g.If(len(v.Facts) > 0, h.Dl(g.Map(v.Facts, fact.html))),
				given(v.Secret, v.secret),
				g.If(len(v.Choice) > 0, h.Ul(h.Class("choice"), g.Map(v.Choice, choice.html))),
				g.Iff(v.Form != nil, func() g.Node { return v.Form.html() }),
				given(v.Hint, func() g.Node { return h.P(h.Class("hint"), g.Text(v.Hint)) }),
			),
			g.Raw(footer),
			g.If(v.Form != nil || v.Secret != "", h.Script(g.Raw(scriptText))),
		),
	))
}

// given is a part of a page that is there when a text is.
func given(text string, part func() g.Node) g.Node { return g.Iff(text != "", part) }

func (v view) secret() g.Node {
	return g.Group{
		h.H2(h.ID("kept"), g.Text("Shown once")),
		h.Details(g.Attr("open"),
			h.Summary(g.Text("Hide or show")),
			h.Pre(h.ID("secret"), h.TabIndex("0"), h.Role("region"), h.Aria("labelledby", "kept"), g.Text(v.Secret)),
		),
		h.P(h.Class("row"),
			h.Button(h.Type("button"), h.Class("quiet"), h.ID("copy"), g.Attr("hidden"), g.Text("Copy")),
			g.Text(" "),
			h.Span(h.ID("copied"), h.Role("status")),
		),
	}
}

func (f fact) html() g.Node {
	value := g.Text(f.Value)
	if !f.Time.IsZero() {
		value = h.Time(h.DateTime(f.Time.Format(time.RFC3339)), value)
	}
	return h.Div(h.Dt(g.Text(f.Name)), h.Dd(value))
}

func (c choice) html() g.Node { return h.Li(h.A(h.Href(c.Link), g.Text(c.Name))) }

func (f form) html() g.Node {
	code := "code.help"
	if f.CodeError != "" {
		code += " code.error"
	}
	return h.Form(h.Method("post"), h.Action(f.Action), h.EncType("multipart/form-data"), h.AutoComplete("off"),
		g.Map(f.Fields, field.html),
		h.Div(h.Class("code"),
			h.Label(h.For("code"), g.Text("Code")),
			h.P(h.Class("help"), h.ID("code.help"), g.Text("Eight letters and digits, which came to you another way than this link: in a direct message from the bot, or at your terminal.")),
			given(f.CodeError, func() g.Node { return h.P(h.Class("wrong"), h.ID("code.error"), g.Text(f.CodeError)) }),
			h.Input(h.Type("text"), h.ID("code"), h.Name("code"), h.Required(), h.MaxLength("20"), h.AutoComplete("one-time-code"),
				g.Attr("autocapitalize", "characters"), g.Attr("spellcheck", "false"), h.Placeholder("XXXX-XXXX"),
				h.Aria("describedby", code), invalid(f.CodeError)),
		),
		h.Button(h.Type("submit"), g.Text(f.Button)),
	)
}

func (f field) html() g.Node {
	return h.FieldSet(
		h.Legend(g.Text(f.Label)),
		given(f.Help, func() g.Node { return h.P(h.Class("help"), h.ID(f.Name+".help"), g.Text(f.Help)) }),
		given(f.Error, func() g.Node { return h.P(h.Class("wrong"), h.ID(f.Name+".error"), g.Text(f.Error)) }),
		g.Iff(f.File, f.file),
		g.Iff(!f.File, f.twice),
	)
}

func (f field) file() g.Node {
	return g.Group{
		h.Label(h.For(f.Name), g.Text("File")),
		h.Input(h.Type("file"), h.ID(f.Name), h.Name(f.Name), h.Required(), h.Data("max", strconv.Itoa(MaxSecret)), f.describedBy(), invalid(f.Error)),
	}
}

func (f field) twice() g.Node {
	typed := func(name string, more ...g.Node) g.Node {
		return h.Input(h.Type("password"), h.ID(name), h.Name(name), h.Required(), h.AutoComplete("new-password"),
			g.Attr("spellcheck", "false"), g.Attr("autocapitalize", "none"), g.Group(more), invalid(f.Error))
	}
	return g.Group{
		h.Label(h.For(f.Name), g.Text("Enter it")),
		typed(f.Name, f.describedBy()),
		h.Label(h.For(f.again()), g.Text("Enter it again")),
		typed(f.again(), h.Data("same-as", f.Name), given(f.Error, func() g.Node { return h.Aria("describedby", f.Name+".error") })),
		h.Button(h.Type("button"), h.Class("quiet reveal"), h.Aria("pressed", "false"), g.Attr("hidden"), g.Text("Show what I type")),
	}
}

func (f field) describedBy() g.Node {
	return given(f.described(), func() g.Node { return h.Aria("describedby", f.described()) })
}

func invalid(why string) g.Node {
	return given(why, func() g.Node { return h.Aria("invalid", "true") })
}
