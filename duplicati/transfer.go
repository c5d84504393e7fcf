package duplicati

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/duplibot/duplibot/secret"
)

// ExportOptions say how a configuration is exported.
type ExportOptions struct {
	Passphrase secret.Value // empty: in clear; else an AES Crypt file
	// Secrets keeps passwords in it. Without, servers from 2.3 on still leave
	// some in the storage URLs: strip those before the file goes anywhere.
	Secrets bool
}

// Export is an exported configuration.
type Export struct {
	Contents  secret.Value // the file's bytes
	Name      string       // a file name the server proposes; no path
	Encrypted bool         // by what the file begins with
}

const exportLimit = 32 << 20

// Export fetches a backup's configuration, whole or not at all. The token that
// it takes is asked for in a call of its own.
func (c *Client) Export(ctx context.Context, backup string, o ExportOptions) (Export, error) {
	const op = "export backup"
	if strings.TrimSpace(o.Passphrase.Reveal()) == "" && !o.Passphrase.Empty() {
		return Export{}, refuse(op, Misused, "a blank passphrase would export in clear; nothing was sent")
	}
	token, err := c.IssueToken(ctx, ForExport)
	if err != nil {
		return Export{}, err
	}
	k := call{op: op, method: http.MethodGet, path: backupPath(backup, "/export"), limit: exportLimit, secrets: []secret.Value{token, o.Passphrase},
		query: url.Values{"passphrase": {o.Passphrase.Reveal()}, "export-passwords": {strconv.FormatBool(o.Secrets)}, "token": {token.Reveal()}}}
	var body []byte
	r, err := c.answer(ctx, k, &body)
	if err != nil {
		return Export{}, err
	}
	x := Export{Contents: secret.New(string(body)), Name: fileName(r.header.Get("Content-Disposition")), Encrypted: strings.HasPrefix(string(body), "AES")}
	trimmed := strings.TrimSpace(string(body))
	switch {
	case !o.Passphrase.Empty() && !x.Encrypted:
		return Export{}, k.unreadable("the exported file is not encrypted although a passphrase was given; it was thrown away")
	case o.Passphrase.Empty() && !strings.HasPrefix(trimmed, "{"):
		return Export{}, k.unreadable("what came is no exported configuration")
	}
	return x, nil
}

// fileName reads the name out of Content-Disposition, percent-encoded there,
// without any path in it; "" when there is none.
func fileName(disposition string) string {
	_, params, err := mime.ParseMediaType(disposition)
	if err != nil {
		return ""
	}
	name := params["filename"]
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	name = printable(strings.ReplaceAll(name, `\`, "/"))
	if name = path.Base(name); name == "." || name == "/" || name == ".." {
		return ""
	}
	return name
}

// ImportOptions say what becomes of an imported configuration.
type ImportOptions struct {
	Passphrase secret.Value // of an encrypted file
	Metadata   bool         // keep what the file says about past runs
	Temporary  bool         // register it until the next restart only

	// Replace sets "settings.<name>", "name", "targeturl", "dbpath",
	// "description" or "sources" to other values (2.3). Older servers would
	// ignore it and take what is in the file, so they are not asked.
	Replace map[string]secret.Value
}

// Import creates a backup from the bytes of an exported file and returns its
// ID. A name that is taken gets " (1)" behind it. WrongPassphrase and
// PassphraseGone are told by the server's English words, in other languages
// they are a ServerFault, as is every other refusal; nothing was created then.
func (c *Client) Import(ctx context.Context, config secret.Value, o ImportOptions) (id string, err error) {
	const op = "import backup"
	if config.Empty() {
		return "", refuse(op, Misused, "the file is empty; nothing was sent")
	}
	if len(o.Replace) > 0 {
		if err := c.need(ctx, op, ReplacesOnImport); err != nil {
			return "", err
		}
	}
	replace := make(map[string]string, len(o.Replace))
	secrets := []secret.Value{o.Passphrase}
	for name, v := range o.Replace {
		if !replaceable(name) {
			return "", refuse(op, Misused, "the server can replace settings.NAME, name, targeturl, dbpath, description and sources, not %.40q; nothing was sent", name)
		}
		replace[name] = v.Reveal()
		secrets = append(secrets, v)
	}
	body := map[string]any{
		"config": []byte(config.Reveal()), "import_metadata": o.Metadata, "direct": true, "temporary": o.Temporary, "replace_settings": replace,
	}
	if !o.Passphrase.Empty() {
		body["passphrase"] = o.Passphrase.Reveal()
	}
	k := call{op: op, method: http.MethodPost, path: "/api/v1/backups/import", auth: true, body: body, secrets: secrets}
	var r struct{ ID *string }
	if err := c.do(ctx, k, &r); err != nil {
		return "", importFailure(err)
	}
	if r.ID == nil || *r.ID == "" {
		return "", k.unreadable("the answer names no backup")
	}
	return *r.ID, nil
}

func replaceable(name string) bool {
	switch strings.ToLower(name) {
	case "name", "targeturl", "dbpath", "description", "sources":
		return true
	}
	return len(name) > len("settings.") && strings.HasPrefix(strings.ToLower(name), "settings.")
}

// fromFile is what a reader of JSON repeats of a file that it cannot read: a
// value between quotes, or behind a colon.
var fromFile = regexp.MustCompile(`([:"'] ?)[^"'.:]+(["'](?: to type| is not)|\. Path)`)

func importFailure(err error) error {
	e := asError(err)
	if e == nil || e.Kind != ServerFault || !strings.HasPrefix(e.Text, "Failed to import backup") {
		return err
	}
	e.Uncertain = false // nothing was created
	e.Text = fromFile.ReplaceAllString(e.Text, "${1}…$2")
	switch {
	case strings.Contains(e.Text, "Invalid password"):
		e.Kind = WrongPassphrase
	case strings.Contains(e.Text, "Empty passphrase"):
		e.Kind = PassphraseGone
	}
	return e
}
