package cli

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// Globals are the options that every command takes, before or after its name.
type Globals struct {
	Config string // --config

	// How to reach a server that is not in the config, or otherwise than the
	// config says: ServerUtil's options.
	HostURL     string       // --hosturl
	Password    secret.Ref   // --password env:NAME
	Typed       secret.Value // --password without a value: typed at the terminal
	Insecure    bool         // --insecure, or --host-cert '*'
	HostCert    []string     // --host-cert: SHA-1 or sha256: pins
	DataFolder  string       // --server-datafolder, absolute
	Portable    bool         // --portable-mode
	AnyFolder   bool         // --allow-insecure-datafolder
	SettingsKey secret.Ref   // --settings-encryption-key

	Server       string // --server
	Reason       string // --reason
	JSON         bool   // --json
	Yes          bool   // --yes
	WaitApproval bool   // --wait-approval
	Generate     bool   // --generate
	NoColor      bool   // --no-color
	// Completing: a shell asks for completions. Connect must ask nobody
	// anything and give up at once where it cannot.
	Completing bool

	typed bool
	notes []string
	// way is what was given of how to reach a gate and a server, as words: what
	// is proposed to be typed next has to reach the same.
	way []string
}

// global is one global option.
type global struct {
	name, value, help string // value is "" for a switch
	set               func(g *Globals, value, dir string) error
	optional          bool // the value may be left out
	several           bool // it can be given more than once
	way               bool // it says how to reach a server, which a dialogue knows
}

var nameLike = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,39}$`)

func text(at func(*Globals) *string) func(*Globals, string, string) error {
	return func(g *Globals, value, _ string) error { *at(g) = value; return nil }
}

func toggle(at func(*Globals) *bool) func(*Globals, string, string) error {
	return func(g *Globals, value, _ string) error { *at(g) = value == "true"; return nil }
}

// noEffect are options of ServerUtil that mean nothing here, with why.
func noEffect(name, why string) global {
	return global{name: name, set: func(g *Globals, _, _ string) error {
		g.notes = append(g.notes, "--"+name+" has no effect: "+why)
		return nil
	}}
}

var globals = []global{
	{name: "config", way: true, value: "FILE", help: "Take this config file", set: text(func(g *Globals) *string { return &g.Config })},
	{name: "server", value: "NAME", help: "The server meant, one of the config's", set: text(func(g *Globals) *string { return &g.Server })},
	{name: "hosturl", way: true, value: "URL", help: "The server at this address, in the place of the config's", set: text(func(g *Globals) *string { return &g.HostURL })},
	{name: "password", way: true, value: "[REFERENCE]", help: "Its password: env:NAME, file:PATH, keyring:ITEM, credential:NAME or pass:ENTRY; typed, when left out", set: setPassword, optional: true},
	{name: "insecure", way: true, help: "Accept any certificate of that server", set: toggle(func(g *Globals) *bool { return &g.Insecure })},
	{name: "host-cert", way: true, value: "PINS", help: "Accept these certificates of it: SHA-1 or sha256: pins, with commas; * is any", set: setHostCert, several: true},
	{name: "server-datafolder", way: true, value: "FOLDER", help: "Where its database is, on its own host", set: setDataFolder},
	{name: "portable-mode", way: true, help: "Its database is beside its program", set: toggle(func(g *Globals) *bool { return &g.Portable })},
	{name: "allow-insecure-datafolder", way: true, help: "Read a database that others can read too", set: toggle(func(g *Globals) *bool { return &g.AnyFolder })},
	{name: "settings-encryption-key", way: true, value: "REFERENCE", help: "What decrypts that database", set: setSettingsKey},
	{name: "yes", help: "Confirm your own call in advance, as scripts need it; it is recorded so", set: toggle(func(g *Globals) *bool { return &g.Yes })},
	{name: "wait-approval", help: "Where another person has to agree, wait", set: toggle(func(g *Globals) *bool { return &g.WaitApproval })},
	{name: "reason", value: "TEXT", help: "Why; whoever is asked to agree sees it", set: text(func(g *Globals) *string { return &g.Reason })},
	{name: "generate", help: "Let the bot make the secret that is needed", set: toggle(func(g *Globals) *bool { return &g.Generate })},
	{name: "json", help: "Answer with one JSON object", set: toggle(func(g *Globals) *bool { return &g.JSON })},
	{name: "no-color", help: "No colours", set: toggle(func(g *Globals) *bool { return &g.NoColor })},
}

// unused are taken for the sake of scripts that were written for ServerUtil.
var unused = []global{
	noEffect("ignore-revocation-failure", "no revocation lists are asked"),
	withValue(noEffect("settings-file", "logins are kept in the keyring")),
	refusedOption("secret-provider"), refusedOption("secret-provider-cache"), refusedOption("secret-provider-pattern"),
}

func withValue(g global) global { g.value = "TEXT"; return g }

func refusedOption(name string) global {
	return global{name: name, value: "TEXT", set: func(*Globals, string, string) error {
		return tools.Errorf(tools.Unsupported, "--%s is not taken here; nothing was done", name).
			WithHint("refer to the secret itself: env:NAME, file:PATH, keyring:ITEM, credential:NAME or pass:ENTRY")
	}}
}

// globals are those that mean something here.
func (a *App) globals() []global {
	return slices.DeleteFunc(slices.Clone(globals), func(g global) bool { return g.way && a.dialogue })
}

func findGlobal(name string) *global {
	for _, list := range [][]global{globals, unused} {
		if i := slices.IndexFunc(list, func(g global) bool { return g.name == name }); i >= 0 {
			return &list[i]
		}
	}
	return nil
}

// reference reads a reference. What was typed in its place is not repeated:
// it may be the password.
func reference(option, value string) (secret.Ref, error) {
	ref, err := secret.ParseRef(value)
	if err != nil || ref.IsZero() {
		return secret.Ref{}, tools.Errorf(tools.InvalidArgument, "--%s takes a reference and not the secret itself, which other accounts could read from the list of processes; nothing was done", option).
			WithHint("such as --%s env:NAME or --%s file:PATH; or without a value at the end of the line, to type it", option, option)
	}
	return ref, nil
}

func setPassword(g *Globals, value, _ string) (err error) {
	if value == "" {
		g.typed = true
		return nil
	}
	g.Password, err = reference("password", value)
	return err
}

func setSettingsKey(g *Globals, value, _ string) (err error) {
	g.SettingsKey, err = reference("settings-encryption-key", value)
	return err
}

func setHostCert(g *Globals, value, _ string) error {
	for _, pin := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		if pin == "*" {
			g.Insecure = true
			continue
		}
		g.HostCert = append(g.HostCert, pin)
	}
	return nil
}

func setDataFolder(g *Globals, value, dir string) error {
	g.DataFolder = absolute(value, dir)
	return nil
}

// absolute makes a path absolute from dir.
func absolute(path, dir string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// commandLine is a command line that was understood.
type commandLine struct {
	globals Globals
	name    string
	op      *tools.Operation
	command *Command
	rest    []string
	asked   []string // Secret parameters that stood without a value: to be typed
	seen    []string // global options so far
	help    bool
	version bool
}

var helpWords = []string{"-h", "--help", "-?", "--usage", "-help"}

// read finds the command, takes the global options out and leaves the rest to
// the operation's own grammar.
func (a *App) read(words []string) (commandLine, error) {
	line := commandLine{}
	if len(words) > 0 && slices.Contains([]string{"/h", "/help", "/usage", "/?", "usage"}, words[0]) {
		words = append([]string{"help"}, words[1:]...)
	}
	for i := 0; i < len(words); i++ {
		word := words[i]
		if strings.HasPrefix(word, "—") {
			word = "--" + strings.TrimPrefix(word, "—")
		}
		switch {
		case word == "--" && line.name == "":
		case word == "--":
			line.rest = append(line.rest, words[i:]...)
			return line, nil
		case slices.Contains(helpWords, word):
			line.help = true
		case word == "--version" && line.name == "":
			line.version = true
		case len(word) > 1 && word[0] == '-' && word[1] != '-' && letter(word[1]):
			return line, a.oneDash(&line, word)
		case strings.HasPrefix(word, "--"):
			n, err := a.option(&line, words[i:], word)
			if err != nil {
				return line, err
			}
			i += n
		case line.name == "":
			line.name = word
			if line.op, line.command = a.find(word); line.op == nil && line.command == nil {
				return line, a.unknown(word)
			}
			if line.command != nil && line.command.Raw {
				line.rest = words[i+1:]
				return line, nil
			}
		default:
			line.rest = append(line.rest, words[i])
		}
	}
	return line, nil
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// oneDash refuses what would otherwise be taken for a name.
func (a *App) oneDash(line *commandLine, word string) error {
	name, _, _ := strings.Cut(word[1:], "=")
	if g, _ := findSwitch(name, false); g == nil && ownParam(line.op, name) == nil {
		e := asError(a.unknownOption(line, name))
		e.Message = strings.Replace(e.Message, " --", " -", 1)
		if line.op != nil && slices.ContainsFunc(line.op.Params, func(p tools.Param) bool { return p.Pos && p.On(tools.CLI) }) {
			e.Hint = "what begins with a dash and is no option stands behind --. " + e.Hint
		}
		return e
	}
	return tools.Errorf(tools.InvalidArgument, "options begin with two dashes; nothing was done").WithHint("did you mean --%s?", name)
}

func (a *App) has(name string) bool {
	op, command := a.find(name)
	return op != nil || command != nil
}

func (a *App) find(name string) (*tools.Operation, *Command) {
	if c := a.command(name); c != nil {
		return nil, c
	}
	op, err := a.registry().Lookup(name)
	if err != nil {
		return nil, nil
	}
	return op, nil
}

// option reads one option, the first of words, and returns how many words
// beyond it were its value.
func (a *App) option(line *commandLine, words []string, word string) (int, error) {
	name, value, has := strings.Cut(strings.TrimPrefix(word, "--"), "=")
	if p := ownParam(line.op, name); p != nil {
		return line.own(p, words, word, has)
	}
	g, off := findSwitch(name, has)
	switch {
	case line.command != nil && (g == nil || slices.Contains(line.command.Own, name)):
		line.rest = append(line.rest, word)
		return 0, nil
	case g == nil:
		return 0, a.unknownOption(line, name)
	case slices.Contains(line.seen, g.name) && !g.several:
		return 0, tools.Errorf(tools.InvalidArgument, "--%s is given twice; nothing was done", g.name)
	}
	line.seen = append(line.seen, g.name)
	used := 0
	switch {
	case g.value == "" && !has: // a switch; ServerUtil takes true and false behind it
		value = "true"
		if !off && len(words) > 1 && (words[1] == "true" || words[1] == "false") {
			value, used = words[1], 1
		}
		if off {
			value = "false"
		}
	case g.value == "":
		if value != "true" && value != "false" {
			return 0, tools.Errorf(tools.InvalidArgument, "--%s is true or false; nothing was done", name)
		}
	case g.optional && !has:
		// Nothing, or the command, may follow. Another word may be the secret.
		if !lacksValue(words) && (line.name != "" || !a.has(words[1])) {
			value, used = words[1], 1
		}
	case !has && lacksValue(words), has && value == "":
		return 0, needsValue(name)
	case !has:
		value, used = words[1], 1
	}
	switch {
	case !g.way || g.optional || value == "false": // a password is kept as a session
	case g.value == "":
		line.globals.way = append(line.globals.way, "--"+g.name)
	default:
		line.globals.way = append(line.globals.way, "--"+g.name, shellWord(value))
	}
	return used, g.set(&line.globals, value, a.Dir)
}

// own leaves an option to the operation's grammar, with its value, so that no
// value is taken for a global option.
func (l *commandLine) own(p *tools.Param, words []string, word string, has bool) (int, error) {
	switch {
	case p.Kind == tools.Bool || has:
		l.rest = append(l.rest, word)
		return 0, nil
	case lacksValue(words) && p.Secret && !p.File:
		l.asked = append(l.asked, p.Name)
		return 0, nil
	case lacksValue(words):
		return 0, needsValue(p.Flag)
	}
	l.rest = append(l.rest, word, words[1])
	return 1, nil
}

// lacksValue reports whether the option that words begin with is the last of
// them, or has another one behind it.
func lacksValue(words []string) bool {
	return len(words) == 1 || strings.HasPrefix(words[1], "--")
}

func needsValue(name string) error {
	return tools.Errorf(tools.InvalidArgument, "--%s needs a value; nothing was done", name).
		WithHint("one that begins with dashes: --%s=VALUE", name)
}

// findSwitch finds a global option, and a switch behind its "no-" too.
func findSwitch(name string, has bool) (g *global, off bool) {
	if g = findGlobal(name); g != nil {
		return g, false
	}
	short, is := strings.CutPrefix(name, "no-")
	if g = findGlobal(short); !is || g == nil || g.value != "" || has {
		return nil, false
	}
	return g, true
}

// ownParam is the operation's own parameter of that name.
func ownParam(op *tools.Operation, name string) *tools.Param {
	if op == nil {
		return nil
	}
	for i, p := range op.Params {
		if p.On(tools.CLI) && (p.Flag == name || p.Name == name || p.Kind == tools.Bool && "no-"+p.Flag == name) {
			return &op.Params[i]
		}
	}
	return nil
}

// unknownOption names the options that there are, and the near one first.
func (a *App) unknownOption(line *commandLine, name string) error {
	if line.op == nil {
		return a.noOption("", name, nil)
	}
	var own []string
	for _, p := range line.op.Params {
		if p.On(tools.CLI) {
			own = append(own, p.Flag)
		}
	}
	return a.noOption(line.op.Name, name, own)
}

// noOption is the error for an option that a command does not have. What was
// typed is repeated only when it looks like one.
func (a *App) noOption(command, name string, own []string) error {
	subject := "there is no option"
	if command != "" {
		subject = command + " has no option"
	}
	e := tools.Errorf(tools.InvalidArgument, "%s of that name; nothing was done", subject)
	if nameLike.MatchString(name) {
		e.Message = subject + " --" + name + "; nothing was done"
	}
	var known, every []string
	for _, o := range own {
		known = append(known, "--"+o)
	}
	for _, g := range a.globals() {
		every = append(every, "--"+g.name)
	}
	near := ""
	if list := tools.Nearest("--"+name, append(slices.Clone(known), every...), 1); len(list) > 0 {
		near = "did you mean " + list[0] + "? "
	}
	if command == "" {
		return e.WithHint("%sKnown are %s; a command's own options stand after its name", near, strings.Join(every, ", "))
	}
	return e.WithHint("%sKnown are %s", near, strings.Join(append(known, "those of every command: "+a.words("help")), ", "))
}
