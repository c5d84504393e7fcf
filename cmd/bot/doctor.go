package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/duplibot/duplibot/adapters/cli"
	"github.com/duplibot/duplibot/adapters/local"
	"github.com/duplibot/duplibot/adapters/slack"
	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/config"
	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

func doctorCommand(ctx context.Context, r *cli.Run) int {
	if err := none(r, "doctor"); err != nil {
		return r.Usage(err)
	}
	cfg, named, err := loadConfig(r.Globals.Config)
	var bad *config.Error
	var all []finding
	switch {
	case errors.As(err, &bad):
		for _, f := range bad.Findings {
			all = append(all, ofConfig(bad.Path, f))
		}
	case err != nil:
		all = []finding{failure("config", err)}
	default:
		o := botOptions{}
		if !adHoc(r.Globals) {
			found, alone := examineDaemon(ctx, cfg, named)
			if all = found; alone {
				break
			}
		} else {
			if o.DataFolder, err = override(cfg, r.Globals); err != nil {
				return r.Fail(err)
			}
		}
		b, err := newBot(cfg, o)
		if err != nil {
			all = append(all, failure("config", err))
			break
		}
		defer b.close(context.WithoutCancel(ctx))
		var chat slackCheck
		if cfg.Slack != nil {
			chat = b.examineSlack
		}
		all = append(all, b.examine(ctx, chat)...)
	}
	code, err := printFindings(os.Stdout, all, r.Globals.JSON)
	if err != nil {
		return r.Fail(err)
	}
	return code
}

// ofConfig is what is wrong with a file, at its line.
func ofConfig(path string, f config.Finding) finding {
	words, state, hint := path, broken, f.Hint
	if f.Warning {
		state = doubt
	}
	if f.Line > 0 {
		words = fmt.Sprintf("%s:%d", path, f.Line)
	}
	if f.Key != "" {
		words += ": " + f.Key
	}
	if hint == "" {
		hint = "see each setting explained: duplibot config example"
	}
	return finding{"config", state, words + ": " + f.Message, hint}
}

// warned reports whether the config's own warnings name a key.
func warned(cfg *config.Config, key string) bool {
	return slices.ContainsFunc(cfg.Warnings, func(f config.Finding) bool { return f.Key == key })
}

// examineDaemon looks at a daemon that serves this account. alone reports that
// there is no more to look at: keyring, store and servers are those of another
// account, and this one's are used by nothing.
func examineDaemon(ctx context.Context, cfg *config.Config, named bool) (all []finding, alone bool) {
	for _, path := range sockets(cfg, named) {
		client := local.NewClient(local.ClientOptions{Path: path, Registry: operations(), Version: version(), Surface: tools.CLI})
		d, err := client.Ping(ctx)
		switch {
		case local.Absent(err):
			continue
		case err != nil:
			return []finding{failure("daemon", err)}, cfg.Path == ""
		}
		daemon := finding{"daemon", fine, fmt.Sprintf("version %s serves at %s, under ", d.Version, path), ""}
		own := d.UID == os.Getuid()
		if own {
			daemon.Words += "this account"
		} else {
			daemon.Words += "uid " + strconv.Itoa(d.UID) + ", and does all that is asked for here"
		}
		if d.Version != version() {
			daemon.State, daemon.Hint = doubt, "restart it, so that it is the version "+version()+" of this program: systemctl restart duplibot"
		}
		if own {
			return []finding{daemon}, false
		}
		return append(examineConfig(cfg, "no file is needed here; the daemon has its own"),
			daemon,
			examineCaller(ctx, client),
			finding{"others", skipped, "keyring, store, servers and all else are the daemon's, and cannot be seen from here",
				fmt.Sprintf("run duplibot doctor with its config as uid %d, as its service starts it", d.UID)}), true
	}
	return nil, false
}

// examineCaller asks a daemon who this account is there.
func examineCaller(ctx context.Context, client *local.Client) finding {
	var here struct {
		Person, Role string
		Approver     bool
	}
	// Who somebody is, is told with what he may do.
	args := map[string]string{"surface": string(tools.CLI), "operation": operations().All()[0].Name}
	if _, err := client.Admin(ctx, "explain", args, &here); err != nil {
		f := failure("people", err)
		if f.Hint == "" {
			own, _ := config.OwnIdentity()
			f.Hint = "an administrator can add " + own + " to people in the daemon's config, and restart it"
		}
		if os.Getuid() == 0 {
			f.State = doubt // root needs to be nobody there
		}
		return f
	}
	words := "this account is " + here.Person + " there: " + here.Role
	if here.Approver {
		words += " and approver"
	}
	return finding{"people", fine, words, ""}
}

// examineConfig tells the warnings about a file, or that there are none.
func examineConfig(cfg *config.Config, without string) []finding {
	var all []finding
	for _, w := range cfg.Warnings {
		all = append(all, ofConfig(cfg.Path, w))
	}
	switch {
	case len(all) > 0:
		return all
	case cfg.Path == "":
		return []finding{{"config", fine, without, ""}}
	}
	return []finding{{"config", fine, cfg.Path + " is well-formed", ""}}
}

// examineSlack asks Slack what the bot may do there.
func (b *bot) examineSlack(ctx context.Context) []finding {
	o, err := b.slackOptions(ctx, nil, nil)
	if err != nil {
		return []finding{failure("slack", err)}
	}
	var channels []string
	for _, c := range b.cfg.Slack.Channels {
		channels = append(channels, c.ID)
	}
	var all []finding
	for _, f := range slack.Check(ctx, o, channels...) {
		state := fine
		switch f.Tone {
		case tools.Bad:
			state = broken
		case tools.Warning, tools.Notice, tools.Unclear:
			state = doubt
		}
		all = append(all, finding{"slack", state, f.What, f.Fix})
	}
	return all
}

// finding is one thing that doctor looked at.
type finding struct {
	Part  string `json:"part"`  // config, daemon, keyring, store, audit, server nas, people, policy, slack, mcp, web, others
	State string `json:"state"` // ok, warning, error, skipped
	Words string `json:"words"` // what was found
	Hint  string `json:"hint,omitempty"`
}

const (
	fine    = "ok"
	doubt   = "warning"
	broken  = "error"
	skipped = "skipped"
)

// doctorLimit is how long one server may take.
const doctorLimit = 20 * time.Second

// slackCheck is what doctor asks Slack; nil where there is no Slack.
type slackCheck func(ctx context.Context) []finding

// examine looks at everything that a config makes use of, and changes nothing
// but to renew a session that has run out.
func (b *bot) examine(ctx context.Context, chat slackCheck) []finding {
	all := examineConfig(b.cfg, "no file; the Duplicati server of this host and this account are assumed")
	ringOK := true
	report := b.ring.Probe(ctx)
	switch {
	case !report.Usable:
		ringOK = false
		all = append(all, finding{"keyring", broken, report.Detail, report.Hint})
	case !report.RebootSafe:
		all = append(all, finding{"keyring", doubt, report.Detail + "; what it holds is lost at a restart of the machine", report.Hint})
	default:
		all = append(all, finding{"keyring", fine, report.Detail, report.Hint})
	}
	all = append(all, b.examineStore(ctx, ringOK)...)
	all = append(all, b.examineServers(ctx, ringOK)...)
	all = append(all, b.examinePeople()...)
	if chat != nil {
		all = append(all, chat(ctx)...)
	}
	all = append(all, b.examineMCP(ctx)...)
	return append(all, examineWeb(b.cfg)...)
}

func (b *bot) examineStore(ctx context.Context, ringOK bool) []finding {
	db, err := b.store.DB(ctx)
	if err != nil {
		return []finding{failure("store", err)}
	}
	if err := db.Check(ctx); err != nil {
		return []finding{failure("store", err)}
	}
	var all []finding
	free, err := db.Free()
	switch {
	case err != nil:
		all = append(all, failure("store", err))
	case free < 64<<20:
		all = append(all, finding{"store", doubt, fmt.Sprintf("%s holds, with %d MiB free on its disk", b.cfg.Store.Path, free>>20), "free some space: without it nothing that changes anything can run"})
	default:
		all = append(all, finding{"store", fine, fmt.Sprintf("%s holds, with %d GiB free on its disk", b.cfg.Store.Path, free>>30), ""})
	}
	if !ringOK {
		return append(all, finding{"audit", skipped, "not verified: its key is in the keyring", ""})
	}
	anchors, err := b.admin.anchors(ctx)
	if err != nil {
		return append(all, failure("audit", err))
	}
	report, err := db.Audit.Verify(ctx, anchors...)
	switch {
	case err != nil:
		all = append(all, failure("audit", err))
	case !report.OK():
		all = append(all, finding{"audit", broken, fmt.Sprintf("record %d does not hold: %s", report.Broken.Seq, report.Broken.Reason), "keep a copy of the store and find out who could write to it"})
	default:
		all = append(all, finding{"audit", fine, fmt.Sprintf("%d records hold", report.Records), ""})
	}
	return all
}

func (b *bot) examineServers(ctx context.Context, ringOK bool) []finding {
	if len(b.cfg.Servers) == 0 {
		return []finding{{"servers", broken, "none is set up", "add one under servers in the config, or run with --hosturl"}}
	}
	each := make([][]finding, len(b.cfg.Servers))
	var wg sync.WaitGroup
	for i, s := range b.cfg.Servers {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, doctorLimit)
			defer cancel()
			each[i] = b.examineServer(ctx, s, ringOK)
		})
	}
	wg.Wait()
	return slices.Concat(each...)
}

func (b *bot) examineServer(ctx context.Context, s config.Server, ringOK bool) []finding {
	part := "server " + s.Name
	d, err := b.sessions.Diagnose(ctx, s.Name)
	if err != nil {
		return []finding{failure(part, err)}
	}
	var all []finding
	for _, c := range d.Checks {
		f := finding{Part: part, Words: string(c.Stage) + ": " + c.Words}
		switch c.Condition {
		case duplicati.Good:
			f.State = fine
		case duplicati.Doubt:
			f.State = doubt
			if c.Stage == duplicati.StageTLS && s.TLS.Insecure && d.Certificate != nil {
				f.Hint = "pin it instead of insecure: tls: {pins: [\"" + d.Certificate.SHA256 + "\"]}"
			}
		case duplicati.Skipped:
			f.State = skipped
		default:
			f.State = broken
			if e := auth.Explain(c.Err, s.Name); e != nil {
				f.Hint = e.Hint
			}
			if duplicati.KindOf(c.Err) == duplicati.Unsupported {
				f.Hint = "update Duplicati on that host"
			}
			if c.Stage != duplicati.StageTLS || d.Certificate == nil {
				break
			}
			if len(s.TLS.Pins) > 0 {
				f.Words += "; pinned is " + strings.Join(s.TLS.Pins, ", ")
			} else if !s.TLS.Insecure {
				f.Hint += " (tls: {pins: [\"" + d.Certificate.SHA256 + "\"]})"
			}
		}
		all = append(all, f)
	}
	if u, err := url.Parse(s.URL); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) && !warned(b.cfg, "servers."+s.Name+".url") {
		all = append(all, finding{part, doubt, "the password and tokens go over the network in clear (http)", "let Duplicati serve https, or reach it through a tunnel"})
	}
	if !d.Well() {
		return append(all, finding{part, skipped, "login: not tried", ""})
	}
	if !ringOK {
		return append(all, finding{part, skipped, "login: not tried, since the session is in the keyring", ""})
	}
	client, err := b.sessions.Client(ctx, s.Name)
	if err != nil {
		return append(all, failure(part, err))
	}
	before := time.Now()
	info, err := client.Info(ctx)
	if err != nil {
		return append(all, failure(part, err))
	}
	all = append(all, finding{part, fine, fmt.Sprintf("login: accepted; Duplicati %s, API of generation %s", info.Version, info.Generation), ""})
	if skew := info.Time.Sub(before.Add(time.Since(before) / 2)); skew.Abs() > time.Minute {
		all = append(all, finding{part, doubt, fmt.Sprintf("clock: it differs from this host's by %s", skew.Round(time.Second)), "let both follow a time server; schedules and tokens depend on it"})
	}
	return all
}

// examinePeople says who can agree to critical operations, and what comes of
// each when somebody asks for it at a terminal.
func (b *bot) examinePeople() []finding {
	approvers := b.people.Approvers()
	var all []finding
	switch len(approvers) {
	case 0:
		if !warned(b.cfg, "people") {
			all = append(all, finding{"people", doubt, "nobody can agree to a critical operation", "give somebody the role approver"})
		}
	case 1:
		all = append(all, finding{"people", fine, approvers[0] + " confirms critical operations alone", ""})
	default:
		all = append(all, finding{"people", fine, "critical operations need another person of: " + strings.Join(approvers, ", "), ""})
	}
	if b.policy.ReadOnly() {
		return append(all, finding{"policy", doubt, "policy.read_only is set: nothing but looking is possible", "read_only: false, once changes are wanted"})
	}
	names := b.servers.Names()
	for _, p := range b.cfg.People {
		subject, ok := b.people.Named(p.Name)
		if !ok {
			continue
		}
		operationsOf := map[string][]string{}
		var order []string
		for _, server := range names {
			for _, op := range b.registry.All() {
				if op.Risk != tools.Critical {
					continue
				}
				words := ruled(b.policy.Rule(op, tools.Critical, subject, tools.CLI, server))
				if operationsOf[words] == nil {
					order = append(order, words)
				}
				if !slices.Contains(operationsOf[words], op.Name) {
					operationsOf[words] = append(operationsOf[words], op.Name)
				}
			}
		}
		for _, words := range order {
			all = append(all, finding{"people", fine, p.Name + ": " + words + ": " + strings.Join(operationsOf[words], ", "), ""})
		}
	}
	return all
}

func ruled(r tools.Ruling) string {
	switch r.Verdict {
	case tools.Approve:
		return fmt.Sprintf("may ask, and %d other approver(s) decide", r.Approvers)
	case tools.Confirm:
		return "may ask, and confirms"
	case tools.Allow:
		return "may"
	}
	return "may not"
}

func (b *bot) examineMCP(ctx context.Context) []finding {
	if b.cfg.MCP.HTTP == nil {
		return nil
	}
	db, err := b.store.DB(ctx)
	if err != nil {
		return nil // said above
	}
	all, err := db.Tokens.All(ctx)
	if err != nil {
		return []finding{failure("mcp", err)}
	}
	live := 0
	var found []finding
	for _, t := range all {
		if !t.Revoked.IsZero() {
			continue
		}
		live++
		if _, ok := b.people.Named(t.Person); !ok {
			found = append(found, finding{"mcp", doubt, fmt.Sprintf("token %s is for %s, who is not in people", t.Name, t.Person), "duplibot token revoke " + t.Name})
		}
	}
	if live == 0 && b.cfg.MCP.HTTP.OAuth == nil {
		return append(found, finding{"mcp", doubt, "HTTP is served and no token exists, so nobody can use it", "duplibot token create --for NAME --name LAPTOP"})
	}
	return append(found, finding{"mcp", fine, fmt.Sprintf("%d tokens", live), ""})
}

func examineWeb(cfg *config.Config) []finding {
	w := cfg.Web
	if w == nil {
		return []finding{{"web", skipped, "no one-time pages: secrets come from aliases or a terminal", ""}}
	}
	u, err := url.Parse(w.URL)
	switch {
	case w.URL == "":
		return []finding{{"web", doubt, "web.url is not set, so links to pages work on this host alone", "set web.url to the https address that browsers see"}}
	case err != nil || u.Scheme != "https" && !loopback(u.Hostname()):
		return []finding{{"web", broken, "web.url is neither https nor this host, so no link leaves for Slack", "put it behind a proxy with TLS, or set web.tls"}}
	}
	return []finding{{"web", fine, "pages are at " + w.URL, ""}}
}

func loopback(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
}

func failure(part string, err error) finding {
	var e *tools.Error
	if !errors.As(err, &e) {
		if e = auth.Explain(err, strings.TrimPrefix(part, "server ")); e == nil {
			return finding{part, broken, err.Error(), ""}
		}
	}
	// Nothing was to be done but to look.
	return finding{part, broken, strings.TrimSuffix(e.Message, "; nothing was done"), e.Hint}
}

// printFindings writes findings for people, and returns the exit code: 0 when
// nothing is broken, 1 otherwise.
func printFindings(w io.Writer, all []finding, asJSON bool) (int, error) {
	code := 0
	for _, f := range all {
		if f.State == broken {
			code = 1
		}
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return code, enc.Encode(struct {
			OK       bool      `json:"ok"`
			Findings []finding `json:"findings"`
		}{code == 0, all})
	}
	width := 0
	for _, f := range all {
		width = max(width, len(f.Part))
	}
	for _, f := range all {
		fmt.Fprintf(w, "%-7s  %-*s  %s\n", f.State, width, f.Part, f.Words)
		if f.Hint != "" {
			fmt.Fprintf(w, "%-7s  %-*s  -> %s\n", "", width, "", f.Hint)
		}
	}
	return code, nil
}
