package ops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/aescrypt"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

type exportIn struct {
	Backups     []string     `json:"backups" jsonschema:"IDs or exact names, or all" tool:"rest,target,complete=backups"`
	Passphrase  tools.Secret `json:"encryption_passphrase,omitempty" jsonschema:"For the files: an alias, page, or generate" tool:"new"`
	Secrets     bool         `json:"export_passwords,omitempty" jsonschema:"Keep passwords in them; a person must agree"`
	Unencrypted bool         `json:"unencrypted,omitempty" jsonschema:"In clear; a person must agree"`
	Overwrite   bool         `json:"overwrite,omitempty" jsonschema:"Replace files that are there"`
	Folder      string       `json:"destination,omitempty" jsonschema:"Folder to write to; the export folder when left out" tool:"path,here"`
	tools.OnServer
}

type exportOut struct {
	Exported  []exported `json:"exported"`
	Skipped   []string   `json:"skipped"` // the file is there, and overwrite was not asked for
	Failed    []string   `json:"failed"`
	Encrypted bool       `json:"encrypted"`
	Secrets   bool       `json:"with_passwords"`
	KeptWhere string     `json:"passphrase_kept,omitempty"` // of a generated one

	server string
}

type exported struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	File   string `json:"file"`
	Where  string `json:"where"`
	Bytes  int    `json:"size_bytes"`
	SHA256 string `json:"sha256"`
}

func (o *operations) export() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "export", Summary: "Export the configuration of backups to files",
		Help: "Encrypted unless told otherwise, without passwords unless told otherwise, each file whole or not at all, with its checksum. " +
			"Names match exactly. The exit code is 2 when a file was there already and was left as it is.",
		Group: groupBackups, Toolset: core, Risk: tools.Change, Idempotent: true,
		Examples: []string{"export all", "export Photos --encryption-passphrase photos-passphrase", "export Photos --destination ~/exports"},
	}, tools.Handler[exportIn, exportOut]{
		Complete: complete{"backups": o.completeBackups},
		Check: func(in exportIn) error {
			if in.Unencrypted && in.Passphrase != "" {
				return tools.Errorf(tools.InvalidArgument, "unencrypted and a passphrase do not go together; nothing was done")
			}
			if len(in.Backups) == 0 {
				return tools.Errorf(tools.InvalidArgument, "export needs at least one backup, or all; nothing was done")
			}
			return nil
		},
		Risk: func(in exportIn) tools.Risk {
			// What lies in the export folder may be the only copy, and was made
			// by others too; a folder of one's own is one's own business.
			if in.Secrets || in.Unencrypted || in.Overwrite && in.Folder == "" {
				return tools.Critical
			}
			return tools.Change
		},
		Secrets: func(in exportIn) []string {
			if in.Unencrypted || in.Passphrase != "" {
				return nil
			}
			return []string{"encryption_passphrase"}
		},
		Plan: o.planExport, Do: o.doExport, View: viewExport,
		Exit: func(out exportOut) int {
			if len(out.Failed)+len(out.Skipped) > 0 {
				return 2
			}
			return 0
		},
	})
}

// chosen finds every backup that is named, once each.
func chosen(list []duplicati.Backup, server string, names []string) ([]duplicati.Backup, error) {
	var out []duplicati.Backup
	for _, name := range names {
		if strings.EqualFold(name, "all") && !slices.ContainsFunc(list, func(b duplicati.Backup) bool { return strings.EqualFold(b.Name, "all") }) {
			return list, nil
		}
		b, err := pick(list, server, name)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(o duplicati.Backup) bool { return o.ID == b.ID }) {
			out = append(out, b)
		}
	}
	return out, nil
}

func (o *operations) planExport(ctx context.Context, env tools.Env, in exportIn) (tools.Plan, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return tools.Plan{}, err
	}
	list, err := c.Backups(ctx)
	if err != nil {
		return tools.Plan{}, err
	}
	backups, err := chosen(list, env.Server, in.Backups)
	if err != nil {
		return tools.Plan{}, err
	}
	p := tools.Plan{Target: tools.Target{Server: env.Server, Kind: "server", Name: env.Server}}
	if len(backups) == 1 {
		p.Target = tools.Target{Server: env.Server, Kind: "backup", ID: backups[0].ID, Name: backups[0].Name}
	}
	where := "the export folder"
	if in.Folder != "" {
		where = in.Folder
	}
	p.Facts = []tools.PlanFact{tools.Bind(factAddress, c.Origin()), tools.Bind(factBackups, namesOf(backups)), tools.Show("goes to", where), tools.Show("encrypted", yesNo(!in.Unencrypted)), tools.Show("with passwords", yesNo(in.Secrets))}
	switch {
	case in.Secrets && in.Unencrypted:
		p.Effects = append(p.Effects, "whoever can read the files has the passphrases and the storage credentials of these backups")
	case in.Secrets:
		p.Effects = append(p.Effects, "whoever has the files and their passphrase has the passphrases and the storage credentials of these backups")
	default:
		p.Effects = append(p.Effects, "whoever can read the files sees what is backed up, where to and when; no passwords are in them")
	}
	if in.Overwrite {
		p.Effects = append(p.Effects, "files of the same name are replaced, and what is in them is lost")
	}
	return p, nil
}

const factBackups = "backups"

func namesOf(list []duplicati.Backup) string {
	names := make([]string, len(list))
	for i, b := range list {
		names[i] = quote(b.Name) + " (" + b.ID + ")"
	}
	return strings.Join(names, ", ")
}

func (o *operations) doExport(ctx context.Context, env tools.Env, in exportIn) (exportOut, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return exportOut{}, err
	}
	list, err := c.Backups(ctx)
	if err != nil {
		return exportOut{}, err
	}
	backups, err := chosen(list, env.Server, in.Backups)
	if err != nil {
		return exportOut{}, err
	}
	// By name they may be others by now, and all may be more.
	if env.Approval != "" && namesOf(backups) != env.Planned.Bound(factBackups) {
		return exportOut{}, tools.Errorf(tools.Changed, "the backups of %s are not the ones that were shown; nothing was exported", env.Server).WithHint("ask again")
	}
	var passphrase secret.Value
	if !in.Unencrypted {
		if passphrase, err = env.Secret(ctx, in.Passphrase); err != nil {
			return exportOut{}, err
		}
		if strings.TrimSpace(passphrase.Reveal()) == "" {
			return exportOut{}, tools.Errorf(tools.InvalidArgument, "the passphrase is blank; nothing was exported")
		}
	}
	// All of them are fetched before the first is written: a server that fails
	// in between leaves no half of what was asked for.
	var files []secret.Value
	for i, b := range backups {
		env.Progress(tools.Progress{Text: "exporting " + b.Name, Done: float64(i) / float64(len(backups))})
		file, err := exportOne(ctx, c, b, passphrase, in.Secrets)
		if err != nil {
			return exportOut{}, exportFailed(err, b)
		}
		files = append(files, file)
	}
	out := exportOut{Exported: []exported{}, Skipped: []string{}, Failed: []string{}, Encrypted: !in.Unencrypted, Secrets: in.Secrets, server: env.Server}
	if in.Passphrase.Made() {
		kept, err := env.Keep(ctx, tools.Parcel{Kind: "password", Name: "export passphrase of " + env.Server, Content: passphrase})
		if err != nil {
			return exportOut{}, err
		}
		out.KeptWhere = kept.Where
	}
	return out, out.write(ctx, env, in, backups, files)
}

// write keeps the files. One that cannot be kept takes nothing from the others.
func (out *exportOut) write(ctx context.Context, env tools.Env, in exportIn, backups []duplicati.Backup, files []secret.Value) error {
	var first error
	for i, b := range backups {
		kept, err := env.Keep(ctx, tools.Parcel{Kind: "export", Name: fileName(b, !in.Unencrypted), Content: files[i], Folder: in.Folder, Overwrite: in.Overwrite})
		switch {
		case err == nil:
			out.Exported = append(out.Exported, exported{ID: b.ID, Name: b.Name, File: kept.Name, Where: kept.Where, Bytes: kept.Bytes, SHA256: kept.SHA256})
		case tools.CodeOf(err) == tools.Conflict && !in.Overwrite:
			out.Skipped = append(out.Skipped, fileName(b, !in.Unencrypted))
		default:
			out.Failed = append(out.Failed, fmt.Sprintf("%s: %s", fileName(b, !in.Unencrypted), words(err)))
			if first == nil {
				first = err
			}
		}
	}
	if first != nil && len(out.Exported)+len(out.Skipped) == 0 {
		return first
	}
	return nil
}

// exportOne fetches a configuration in clear, so that it can be looked at and
// stripped, and encrypts it here: the passphrase never leaves.
func exportOne(ctx context.Context, c *duplicati.Client, b duplicati.Backup, passphrase secret.Value, secrets bool) (secret.Value, error) {
	x, err := c.Export(ctx, b.ID, duplicati.ExportOptions{Secrets: secrets})
	if err != nil {
		return secret.Value{}, err
	}
	plain := []byte(x.Contents.Reveal())
	if _, err := parseConfiguration(plain); err != nil {
		return secret.Value{}, tools.Errorf(tools.OperationFailed, "what the server exported is not a whole configuration (%s)", err)
	}
	if !secrets {
		if plain, err = stripConfiguration(plain); err != nil {
			return secret.Value{}, err
		}
	}
	if passphrase.Empty() {
		return secret.New(string(plain)), nil
	}
	sealed, err := aescrypt.Encrypt(plain, passphrase, aescrypt.Extension{Name: "CREATED_BY", Value: "duplibot"})
	return secret.New(string(sealed)), err
}

func exportFailed(err error, b duplicati.Backup) error {
	var own *tools.Error
	if errors.As(err, &own) {
		e := tools.Errorf(own.Code, "backup %s was not exported: %s; no file was written", quote(b.Name), own.Message)
		e.Hint, e.Retry = own.Hint, own.Retry
		return e.Because(err)
	}
	return fmt.Errorf("export backup %s: %w", b.ID, err)
}

// fileName is ServerUtil's "<ID>-<name>.json", made safe: the ID keeps names
// apart, and of the name stays what every file system takes.
func fileName(b duplicati.Backup, encrypted bool) string {
	safe := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" ._-()", r) {
				return r
			}
			return '_'
		}, s)
	}
	name := strings.Trim(safe(b.Name), " .")
	for strings.Contains(name, "..") {
		name = strings.ReplaceAll(name, "..", ".")
	}
	if name == "" {
		name = "backup"
	}
	for len(name) > 120 {
		_, last := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-last]
	}
	name = safe(cut(b.ID, 40)) + "-" + strings.TrimRight(name, " .") + ".json"
	if encrypted {
		name += ".aes"
	}
	return name
}

func viewExport(out exportOut) tools.View {
	v := tools.View{Headline: plural(len(out.Exported), "backup was exported", "backups were exported"), Tone: tools.Good,
		Table: &tools.Table{Columns: []string{"ID", "Name", "File", "Where", "Size", "SHA-256"}}}
	for _, e := range out.Exported {
		v.Table.Rows = append(v.Table.Rows, []string{e.ID, e.Name, e.File, e.Where, size(int64(e.Bytes)), e.SHA256})
	}
	if len(out.Exported) == 0 {
		v.Table, v.Tone = nil, tools.Notice
	} else if !out.Secrets {
		v.Notes = append(v.Notes, "passwords are not in it: an import asks for them")
	}
	if !out.Encrypted {
		v.Notes = append(v.Notes, "not encrypted")
		v.Tone = v.Tone.Worse(tools.Notice)
	}
	if out.KeptWhere != "" {
		v.Notes = append(v.Notes, "its generated passphrase is kept in "+out.KeptWhere)
	}
	for _, name := range out.Skipped {
		v.Notes = append(v.Notes, name+" is there already and was left as it is; overwrite replaces it")
		v.Tone = v.Tone.Worse(tools.Notice)
	}
	for _, f := range out.Failed {
		v.Notes = append(v.Notes, "not written: "+f)
		v.Tone = tools.Bad
	}
	return v
}
