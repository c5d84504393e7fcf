package config_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/config"
	"github.com/duplibot/duplibot/secret"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var accounts = config.Options{Account: func(name string) (string, error) {
	if name == "ann" {
		return "uid:1000", nil
	}
	return "", errors.New("no such account")
}}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse([]byte(text), accounts)
	if err != nil {
		t.Fatalf("the file is refused:\n%v", err)
	}
	return c
}

func ref(t *testing.T, text string) secret.Ref {
	t.Helper()
	r, err := secret.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// everything is the example with all settings switched on that go together.
func everything() string {
	option := regexp.MustCompile(`(?m)^( *)#([^ \n])`)
	return option.ReplaceAllString(config.Example, "$1$2")
}

func TestTheExampleIsAValidFileAsItIsAndWithEverySettingOn(t *testing.T) {
	c := parse(t, config.Example)
	if len(c.Warnings) > 0 {
		t.Errorf("the example has warnings: %v", c.Warnings)
	}
	if c.Servers[0].Name != "nas" || c.DefaultServer != "nas" || c.Slack != nil || c.MCP.HTTP != nil || c.Web != nil {
		t.Errorf("the example switches on more than it says: %+v", c)
	}
	// On another host than the server's a database cannot be used.
	text := strings.Replace(everything(), "    database_key: env:SETTINGS_ENCRYPTION_KEY\n", "", 1)
	c = parse(t, text)
	if c.Slack == nil || c.MCP.HTTP == nil || c.Web == nil || len(c.Policy.Rules) != 2 || c.Keyring.Backend != "file" {
		t.Errorf("not every setting of the example is read: %+v", c)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("the example has warnings: %v", c.Warnings)
	}
}

const full = `
servers:
  nas:
    url: https://nas.lan:8200/
    password: env:NAS_PASSWORD
    tls: {pins: ["SHA256:AB:CD:ef0123456789abcdef0123456789abcdef0123456789abcdef0123456789"]}
  here: {url: "http://localhost:8200/base", database_key: file:/etc/key}
  there: {url: "http://[::1]:8200", database: /var/lib/d.sqlite}
default_server: nas
keyring: {backend: file, passphrase: credential:keyring}
store: sqlite:/var/lib/duplibot/duplibot.db
socket: /run/duplibot.sock
people:
  ann:
    identities: [slack:T0123/U0456, mcp:ann-laptop, os:ann, oidc:https://id.example.org#42]
    roles: [operator, approver]
  bob: {identities: [uid:0, "slack:T0123/U0789", mcp:bob, oidc:https://id.example.org/x#43], roles: [viewer]}
groups:
  slack:T0123/S0789: [approver]
secrets:
  photos: {from: "file:/etc/photos", for: [import], servers: [all]}
folders: {import: /i, export: /e}
policy:
  read_only: true
  approvals: {confirm_within: 5m, approve_within: 1h}
  rules:
    - {operations: [run], surfaces: [mcp], servers: [here], verdict: approve, approvers: 2}
    - {risks: [critical], roles: [admin], verdict: deny}
slack:
  app_token: env:A
  bot_token: keyring:slack
  approvals_channel: C0APPROVE
  channels: {C0NAS: {server: nas}}
  alerts: {channels: {error: C1ON, other: C2ON}, digest: "08:00", remind: 12h}
  api_url: http://127.0.0.1:1234/api/
mcp:
  toolsets: [core, admin]
  http: {listen: 127.0.0.1:8484, oauth: {issuer: "https://id.example.org", audience: duplibot}}
web: {listen: "127.0.0.1:8485", url: ""}
watch: {poll: 30s}
log: {level: debug, format: json}
`

func TestAFileBecomesTheStructThatItSays(t *testing.T) {
	got := parse(t, full)
	want := &config.Config{
		Servers: []config.Server{
			{Name: "nas", URL: "https://nas.lan:8200", Password: ref(t, "env:NAS_PASSWORD"),
				TLS: config.ServerTLS{Pins: []string{"sha256:abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789"}}},
			{Name: "here", URL: "http://localhost:8200/base", Database: config.Database{Use: true}, DatabaseKey: ref(t, "file:/etc/key")},
			{Name: "there", URL: "http://[::1]:8200", Database: config.Database{Use: true, Path: "/var/lib/d.sqlite"}},
		},
		DefaultServer: "nas",
		Keyring:       config.Keyring{Backend: "file", Passphrase: ref(t, "credential:keyring"), Folder: "/var/lib/duplibot/keyring"},
		Store:         config.Store{Path: "/var/lib/duplibot/duplibot.db"},
		Socket:        "/run/duplibot.sock",
		People: []config.Person{
			{Name: "ann", Identities: []string{"slack:T0123/U0456", "mcp:ann-laptop", "uid:1000", "oidc:https://id.example.org#42"}, Roles: []string{"operator", "approver"}},
			{Name: "bob", Identities: []string{"uid:0", "slack:T0123/U0789", "mcp:bob", "oidc:https://id.example.org/x#43"}, Roles: []string{"viewer"}},
		},
		Groups:  []config.Group{{ID: "slack:T0123/S0789", Roles: []string{"approver"}}},
		Secrets: []config.Alias{{Name: "photos", From: ref(t, "file:/etc/photos"), For: []string{"import"}, Servers: []string{"nas", "here", "there"}}},
		Folders: config.Folders{Import: "/i", Export: "/e"},
		Policy: config.Policy{
			ReadOnly:  true,
			Approvals: config.Approvals{ConfirmWithin: 5 * time.Minute, ApproveWithin: time.Hour},
			Rules: []config.Rule{
				{Operations: []string{"run"}, Surfaces: []string{"mcp"}, Servers: []string{"here"}, Verdict: "approve", Approvers: 2},
				{Risks: []string{"critical"}, Roles: []string{"admin"}, Verdict: "deny"},
			},
		},
		Slack: &config.Slack{
			AppToken: ref(t, "env:A"), BotToken: ref(t, "keyring:slack"), Mode: "socket", ApprovalsChannel: "C0APPROVE",
			Channels: []config.Channel{{ID: "C0NAS", Server: "nas"}},
			Alerts:   config.Alerts{Channels: map[string]string{"error": "C1ON", "other": "C2ON"}, Digest: "08:00", Remind: 12 * time.Hour},
			APIURL:   "http://127.0.0.1:1234/api/",
		},
		MCP: config.MCP{Toolsets: []string{"core", "admin"}, HTTP: &config.MCPHTTP{
			Listen: "127.0.0.1:8484", OAuth: &config.OAuth{Issuer: "https://id.example.org", Audience: "duplibot"}}},
		Web:   &config.Web{Listen: "127.0.0.1:8485"},
		Watch: config.Watch{Poll: 30 * time.Second, Grace: 30 * time.Minute},
		Log:   config.Log{Level: "debug", Format: "json"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(config.Config{}), cmp.Comparer(func(a, b secret.Ref) bool { return a == b })); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	if l := got.Line("policy.rules[1]"); l != strings.Count(full[:strings.Index(full, "- {risks")], "\n")+1 {
		t.Errorf("policy.rules[1] stands in line %d, says Line", l)
	}
}

// small is a file that is right, with room for one that is not.
const small = `servers:
  nas: {url: "https://nas.lan"}
people:
  ann: {identities: [os:ann], roles: [operator, approver]}
`

func TestEachMistakeIsNamedWithItsLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", small + "polices: {}\n", `5: there is no key "polices"; did you mean policy?`},
		{"unknown key deep", "servers:\n  nas:\n    url: https://x\n    pasword: env:X\n", `4: servers.nas: there is no key "pasword"; did you mean password?`},
		{"unknown key that is near nothing", small + "frobnicate: 1\n", `5: there is no key "frobnicate"; known are default_server, folders,`},
		{"key twice", small + "people:\n  bob: {}\n", `5: people: this key stands twice, first in line 3`},
		{"key twice in a table", "servers:\n  nas: {url: \"https://x\"}\n  nas: {url: \"https://y\"}\n", `3: servers.nas: this key stands twice, first in line 2`},
		{"not YAML", small + "policy: \"x\n", `5: this is not YAML`},
		{"a tab", "servers:\n\tnas: {}\n", `this is not YAML`},
		{"UTF-16", "\xff\xfes\x00e\x00r\x00v\x00e\x00r\x00s\x00:\x00\n\x00", `this is not a text in UTF-8; save it with that encoding`},
		{"Latin-1", small + "policy: {} # f\xfcr Ann\n", `this is not a text in UTF-8`},
		{"two documents", small + "---\npolicy: {}\n", `6: a second document begins here`},
		{"empty", "# nothing\n", `the file is empty`},
		{"not a mapping", "- a\n", `1: keys with values are expected here`},
		{"an anchor", "servers:\n  nas: &a {url: \"https://x\"}\n", `2: servers.nas: anchors, aliases and tags are not understood here`},
		{"a merge", "servers:\n  nas: {url: \"https://x\"}\n  <<: {}\n", `3: servers: a plain key is expected here`},
		{"a list that is none", small + "mcp: {toolsets: core}\n", `5: mcp.toolsets: a list is expected here`},
		{"a number for a text", "servers:\n  nas: {url: 12}\n", `2: servers.nas.url: a text is expected here; put it in quotes`},
		{"a text for a bool", small + "policy: {read_only: maybe}\n", `5: policy.read_only: true or false is expected here`},
		{"a time without a unit", small + "watch: {poll: 60}\n", `5: watch.poll: a time is expected here`},
		{"a number that is none", small + "policy: {rules: [{verdict: approve, approvers: two}]}\n", `5: policy.rules[0].approvers: a whole number is expected here`},

		{"no url", "servers:\n  nas: {}\n", `2: servers.nas: a server needs a url`},
		{"a server called all", "servers:\n  all: {url: \"https://x\"}\n", `2: servers.all: this cannot be the name of a server`},
		{"names that differ in case", "servers:\n  nas: {url: \"https://x\"}\n  NAS: {url: \"https://y\"}\n", `3: servers.NAS: two servers have names that differ in upper and lower case only`},
		{"another scheme", "servers:\n  nas: {url: \"ftp://x\"}\n", `2: servers.nas.url: this is not an address`},
		{"userinfo", "servers:\n  nas: {url: \"https://me:hunter2@x\"}\n", `2: servers.nas.url: an address must not hold a user or a password`},
		{"a query", "servers:\n  nas: {url: \"https://x/?auth=hunter2\"}\n", `2: servers.nas.url: an address must end before any ? or #`},
		{"a port beyond", "servers:\n  nas: {url: \"https://x:99999\"}\n", `2: servers.nas.url: the port must be a number`},
		{"a default that is not there", small + "default_server: nsa\n", `5: default_server: servers has none of that name; did you mean nas?`},
		{"a secret for a reference", "servers:\n  nas:\n    url: https://x\n    password: hunter2\n", `4: servers.nas.password: not a secret reference: it must begin with env:`},
		{"a number for a reference", "servers:\n  nas:\n    url: https://x\n    password: 12345\n", `4: servers.nas.password: not a secret reference`},
		{"an item of our own", "servers:\n  nas:\n    url: https://x\n    password: keyring:server.nas\n", `4: servers.nas.password: items that begin with server. or duplibot. are the bot's own`},
		{"a database elsewhere", "servers:\n  nas:\n    url: https://x\n    database: auto\n", `4: servers.nas.database: the database logs in to a server on this host only`},
		{"a database that is a word", "servers:\n  nas:\n    url: https://x\n    database: on\n", `4: servers.nas.database: this must be off, auto or the absolute path`},
		{"a key without a database", "servers:\n  nas:\n    url: https://x\n    database_key: env:K\n", `4: servers.nas.database_key: a key goes with a database`},
		{"a pin of the wrong length", "servers:\n  nas: {url: \"https://x\", tls: {pins: [\"sha256:ab\"]}}\n", `2: servers.nas.tls.pins[0]: a pin is sha256:`},
		{"two ways to trust", "servers:\n  nas: {url: \"https://x\", tls: {ca_file: /ca.pem, insecure: true}}\n", `2: servers.nas.tls: ca_file, pins and insecure exclude each other`},
		{"a certificate without TLS", "servers:\n  nas: {url: \"http://x\", tls: {insecure: true}}\n", `2: servers.nas.tls: the url is http`},

		{"an unknown backend", small + "keyring: {backend: kwalet}\n", `5: keyring.backend: this must be one of secret-service, keychain, wincred, pass, file`},
		{"file without a passphrase", small + "keyring: {backend: file}\n", `5: keyring: the backend file needs a passphrase`},
		{"a passphrase in the ring", small + "keyring: {backend: file, passphrase: keyring:x}\n", `5: keyring.passphrase: the keyring's own passphrase cannot be kept in a keyring`},
		{"a passphrase for another backend", small + "keyring: {backend: pass, passphrase: env:X}\n", `5: keyring.passphrase: a passphrase goes with the backend file only`},
		{"a store elsewhere", small + "store: postgres://me:hunter2@db/x\n", `5: store: this build keeps its store in SQLite only`},
		{"a relative store", small + "store: sqlite:x.db\n", `5: store: this must be sqlite: and an absolute path`},
		{"a relative folder", small + "folders: {import: in}\n", `5: folders.import: a path must be absolute`},
		{"one folder for both", small + "folders: {import: /x, export: /x}\n", `5: folders.export: imports and exports need folders of their own`},

		{"an identity twice", small + "  bob: {identities: [uid:1000]}\n", `5: people.bob.identities[0]: uid:1000 is given to ann and to bob`},
		{"an identity twice with one", "servers: {nas: {url: \"https://x\"}}\npeople: {ann: {identities: [uid:7, uid:7], roles: [approver]}}\n", `uid:7 is given to ann and to ann`},
		{"an account that is not there", small + "  bob: {identities: [os:bob]}\n", `5: people.bob.identities[0]: this host has no account of that name; write uid:`},
		{"a name for an ID", small + "  bob: {identities: [\"slack:@bob\"]}\n", `5: people.bob.identities[0]: this is no identity`},
		{"an unknown role", small + "  bob: {identities: [uid:7], roles: [aprover]}\n", `5: people.bob.roles[0]: this must be one of viewer, operator, admin, approver; did you mean approver?`},
		{"a group that is a user", small + "groups:\n  slack:T0123/U0789: [viewer]\n", `6: groups.slack:T0123/U0789: a group is slack:TEAM/GROUP`},

		{"an alias for nothing", small + "secrets: {x: {from: env:X, servers: [nas]}}\n", `5: secrets.x: it does not say which operations`},
		{"an alias on nothing", small + "secrets: {x: {from: env:X, for: [run]}}\n", `5: secrets.x: it does not say on which servers`},
		{"an alias of nothing", small + "secrets: {x: {for: [run], servers: [nas]}}\n", `5: secrets.x: it does not say where the secret is`},
		{"an alias of our own", small + "secrets: {x: {from: keyring:server.x, for: [run], servers: [nas]}}\n", `5: secrets.x.from: items that begin with server.`},
		{"an alias with a word's name", small + "secrets: {page: {from: env:X, for: [run], servers: [nas]}}\n", `5: secrets.page: this cannot be the name of a secret`},

		{"no verdict", small + "policy: {rules: [{operations: [run]}]}\n", `5: policy.rules[0]: a rule needs a verdict`},
		{"an unknown verdict", small + "policy: {rules: [{verdict: alow}]}\n", `5: policy.rules[0].verdict: this must be one of deny, allow, confirm, approve; did you mean allow?`},
		{"an empty list in a rule", small + "policy: {rules: [{operations: [], verdict: deny}]}\n", `5: policy.rules[0].operations: an empty list would match everything`},
		{"approvers for a deny", small + "policy: {rules: [{verdict: deny, approvers: 2}]}\n", `5: policy.rules[0].approvers: a number of approvers goes with the verdict approve`},
		{"a role that is none", small + "policy: {rules: [{roles: [approver], verdict: deny}]}\n", `5: policy.rules[0].roles[0]: this must be one of viewer, operator, admin`},
		{"a server that is not there", small + "policy: {rules: [{servers: [x], verdict: deny}]}\n", `5: policy.rules[0].servers[0]: servers has none of that name; there are nas`},
		{"a request that waits for ever", small + "policy: {approvals: {confirm_within: 100h}}\n", `5: policy.approvals.confirm_within: this must be more than nothing and at most 24 hours`},
		{"a request that cannot wait", small + "policy: {approvals: {approve_within: 0s}}\n", `5: policy.approvals.approve_within: this must be more than nothing and at most 7 days`},
		{"a request that outlives what was entered for it", small + "policy: {approvals: {approve_within: 192h}}\n", `5: policy.approvals.approve_within: this must be more than nothing and at most 7 days`},

		{"Slack without a token", small + "slack: {bot_token: env:B}\n", `5: slack: app_token is needed for mode socket`},
		{"Slack over HTTP without a secret", small + "slack: {bot_token: env:B, mode: http}\n", `5: slack: signing_secret is needed for mode http`},
		{"Slack over HTTP without a listener", small + "slack: {bot_token: env:B, mode: http, signing_secret: env:S}\n", `5: slack.mode: mode http listens where web does`},
		{"a channel by name", small + "slack: {bot_token: env:B, app_token: env:A, approvals_channel: \"#ops\"}\n", `5: slack.approvals_channel: a channel is given by its ID`},
		{"a channel's server", small + "slack: {bot_token: env:B, app_token: env:A, channels: {C0AB: {server: x}}}\n", `5: slack.channels.C0AB.server: servers has none of that name`},
		{"an unknown severity", small + "slack: {bot_token: env:B, app_token: env:A, alerts: {channels: {eror: C0AB}}}\n", `5: slack.alerts.channels.eror: this must be one of error, warning, notice, unknown, other; did you mean error?`},
		{"a digest that is no time", small + "slack: {bot_token: env:B, app_token: env:A, alerts: {digest: \"8 o'clock\"}}\n", `5: slack.alerts.digest: this must be a time of day`},
		{"tokens sent elsewhere", small + "slack: {bot_token: env:B, app_token: env:A, api_url: \"https://evil.example\"}\n", `5: slack.api_url: this must be an address of this host`},

		{"a toolset that is none", small + "mcp: {toolsets: [cor]}\n", `5: mcp.toolsets[0]: this must be one of core`},
		{"HTTP without an address", small + "mcp: {http: {}}\n", `5: mcp.http: it does not say where to listen`},
		{"HTTP for all in clear", small + "mcp: {http: {listen: \":8484\"}}\n", `5: mcp.http.listen: others could read what is sent here in clear`},
		{"pages for all in clear", small + "web: {listen: \"0.0.0.0:8485\"}\n", `5: web.listen: others could read what is sent here in clear`},
		{"pages at http elsewhere", small + "web: {listen: \"127.0.0.1:8485\", url: \"http://x.example\"}\n", `5: web.url: this must be https`},
		{"half a certificate", small + "web: {listen: \":8485\", tls: {cert_file: /c}}\n", `5: web.tls: cert_file and key_file go together`},
		{"an address that is none", small + "web: {listen: localhost}\n", `5: web.listen: an address to listen at is HOST:PORT`},
		{"OAuth for everybody", small + "mcp: {http: {listen: \"127.0.0.1:1\", oauth: {issuer: \"https://x\"}}}\n", `5: mcp.http.oauth: without an audience`},
		{"OAuth in clear", small + "mcp: {http: {listen: \"127.0.0.1:1\", oauth: {issuer: \"http://x\", audience: y}}}\n", `5: mcp.http.oauth.issuer: this must be https`},
		{"watching too often", small + "watch: {poll: 1s}\n", `5: watch.poll: at least 5s`},
		{"an unknown level", small + "log: {level: loud}\n", `5: log.level: this must be one of debug, info, warn, error`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Parse([]byte(c.text), accounts)
			if err == nil {
				t.Fatal("the file is taken")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q in\n%v", c.want, err)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "12345") {
				t.Errorf("a value is repeated: %v", err)
			}
		})
	}
}

func TestAllMistakesAreNamedAtOnceInTheOrderOfTheFile(t *testing.T) {
	_, err := config.Parse([]byte("servers:\n  nas: {url: \"ftp://x\", pasword: env:X}\nlog: {level: loud}\npolices: 1\n"), accounts)
	var e *config.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	var lines []int
	for _, f := range e.Findings {
		if !f.Warning {
			lines = append(lines, f.Line)
		}
	}
	if diff := cmp.Diff([]int{2, 2, 3, 4}, lines); diff != "" {
		t.Errorf("%s\n%v", diff, err)
	}
}

// A value that somebody has put in the wrong place may be a secret, wherever
// that is.
func TestNoFindingRepeatsAValue(t *testing.T) {
	const canary = "Canary4711"
	scalar := regexp.MustCompile(`(: |\[|, )("[^"]*"|[A-Za-z0-9:/._-]+)([],}\n])`)
	base := everything()
	places := scalar.FindAllStringSubmatchIndex(base, -1)
	if len(places) < 60 {
		t.Fatalf("only %d values were found in the example", len(places))
	}
	for _, p := range places {
		for _, word := range []string{canary, "https://me:" + canary + "@x", "x:" + canary, canary + `"`, "{" + canary + ": 1}", "&" + canary, "!" + canary + " x", "*" + canary} {
			text := base[:p[4]] + word + base[p[5]:]
			c, err := config.Parse([]byte(text), accounts)
			said := fmt.Sprint(err)
			if c != nil {
				said = fmt.Sprint(c.Warnings)
			}
			for line := range strings.SplitSeq(said, "\n") {
				// A word in braces is a key, and a plain one is named.
				if strings.Contains(line, canary) && !(strings.HasPrefix(word, "{") && strings.Contains(line, "no key")) {
					t.Errorf("%s in the place of %s: %s", word, base[p[4]:p[5]], line)
				}
			}
		}
	}
}

func TestWarningsDoNotKeepAFileFromBeingUsed(t *testing.T) {
	for text, want := range map[string]string{
		"servers: {nas: {url: \"http://nas.lan\"}}\n" + small[strings.Index(small, "people"):]: "in clear",
		"servers: {nas: {url: \"https://x\", tls: {insecure: true}}}\n":                        "any certificate is accepted",
		"servers: {nas: {url: \"https://x\"}}\nmcp: {http: {listen: \"127.0.0.1:1\"}}\n":       "no person is named",
		"servers: {nas: {url: \"https://x\"}}\npeople: {ann: {roles: [operator]}}\n":           "nobody is an approver",
		"people: {ann: {identities: [uid:1], roles: [approver]}}\n":                            "no server is set up",
		small + "mcp: {http: {listen: \":1\", plaintext_on_the_network: true}}\n":              "tokens of assistants go over the network in clear",
	} {
		c := parse(t, text)
		found := false
		for _, w := range c.Warnings {
			found = found || strings.Contains(w.Message, want) && w.Warning
		}
		if !found {
			t.Errorf("want %q among %v", want, c.Warnings)
		}
	}
}

func TestWithoutPeopleThisAccountIsTheOnlyPerson(t *testing.T) {
	own, err := config.OwnIdentity()
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, "servers: {nas: {url: \"https://x\"}}\n")
	if len(c.People) != 1 || !slices.Equal(c.People[0].Identities, []string{own}) || !slices.Equal(c.People[0].Roles, []string{"admin", "approver"}) {
		t.Errorf("people: %+v", c.People)
	}
}
