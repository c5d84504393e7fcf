package ops

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/aescrypt"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

type importIn struct {
	File             tools.File   `json:"file" jsonschema:"Name in the import folder, or page" tool:"pos"`
	Passphrase       tools.Secret `json:"passphrase,omitempty" jsonschema:"Of the file, if encrypted: an alias or page" tool:"pos"`
	Metadata         bool         `json:"import_metadata,omitempty" jsonschema:"Keep what it says about past runs"`
	Name             string       `json:"name,omitempty" jsonschema:"Another name (2.3)"`
	BackupPassphrase tools.Secret `json:"backup_passphrase,omitempty" jsonschema:"Another passphrase for the backup (2.3): an alias or page"`
	BackupURL        tools.Secret `json:"backup_url,omitempty" jsonschema:"Another storage URL (2.3): an alias or page"`
	AllowScripts     bool         `json:"allow_scripts,omitempty" jsonschema:"Take options that make the server run programs" tool:"cli"`
	tools.OnServer
}

type importOut struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Destination *destination `json:"destination,omitempty"`
	Schedule    string       `json:"schedule"`
	Notes       []string     `json:"notes"`

	server string
}

// longestFile is more than any configuration has.
const longestFile = 8 << 20

func (o *operations) importing() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "import", Summary: "Create a backup from an exported file, after a person has agreed",
		Help: "The file is read and decrypted here first: target, sources, schedule and options that run programs are shown, and the very bytes that were shown are imported. " +
			"A name that is taken is refused. Options that run programs are refused unless --allow-scripts stands at a terminal.",
		Group: groupBackups, Toolset: admin, Risk: tools.Critical,
		Examples: []string{"import 3-Photos.json.aes photos-passphrase", "import photos.json --backup-url env:NEW_TARGET"},
	}, tools.Handler[importIn, importOut]{
		Secrets: func(in importIn) []string {
			if strings.HasSuffix(strings.ToLower(string(in.File)), ".aes") && in.Passphrase == "" {
				return []string{"passphrase"}
			}
			return nil
		},
		Plan: o.planImport, Do: o.doImport, View: viewImport, Settle: o.settleImport,
	})
}

// parcel is a file that was read, opened and looked at.
type parcel struct {
	raw        secret.Value
	sum        string
	size       int
	encrypted  bool
	passphrase secret.Value
	config     configuration
	replace    map[string]secret.Value
	name       string       // the backup's, as it will be
	target     secret.Value // where it will store
}

// read opens the file as it would be imported.
func (o *operations) read(ctx context.Context, env tools.Env, in importIn) (parcel, error) {
	var p parcel
	var err error
	if p.raw, err = env.File(ctx, in.File); err != nil {
		return p, err
	}
	raw := []byte(p.raw.Reveal())
	sum := sha256.Sum256(raw)
	p.sum, p.size, p.encrypted = hex.EncodeToString(sum[:]), len(raw), aescrypt.Is(raw)
	if p.size == 0 || p.size > longestFile {
		return p, tools.Errorf(tools.InvalidArgument, "the file is empty or longer than %s; nothing was imported", size(longestFile))
	}
	if in.Passphrase != "" {
		if p.passphrase, err = env.Secret(ctx, in.Passphrase); err != nil {
			return p, err
		}
	}
	plain, err := p.open(raw)
	if err != nil {
		return p, err
	}
	if p.config, err = parseConfiguration(plain); err == nil {
		err = p.config.plainOptions()
	}
	if err != nil {
		return p, tools.Errorf(tools.InvalidArgument, "the file is no exported configuration: %s; nothing was imported", err)
	}
	return p, o.override(ctx, env, in, &p)
}

func (p *parcel) open(raw []byte) ([]byte, error) {
	if !p.encrypted {
		return raw, nil
	}
	if p.passphrase.Empty() {
		return nil, tools.Errorf(tools.SecretNeeded, "the file is encrypted; nothing was imported").WithHint("give its passphrase: at a terminal, by an alias, or on a page")
	}
	plain, err := aescrypt.Decrypt(raw, p.passphrase)
	switch {
	case errors.Is(err, aescrypt.ErrPassword):
		return nil, tools.Errorf(tools.WrongPassphrase, "the passphrase does not open the file; nothing was imported").Because(err)
	case errors.Is(err, aescrypt.ErrVersion):
		return nil, tools.Errorf(tools.Unsupported, "the file is encrypted in a form that cannot be read here; nothing was imported").Because(err)
	case err != nil:
		return nil, tools.Errorf(tools.InvalidArgument, "the file is damaged; nothing was imported").Because(err)
	}
	return plain, nil
}

// override notes what is to be other than in the file.
func (o *operations) override(ctx context.Context, env tools.Env, in importIn, p *parcel) error {
	p.name, p.target, p.replace = p.config.Backup.Name, secret.New(p.config.Backup.TargetURL), map[string]secret.Value{}
	if in.Name != "" {
		p.name, p.replace["name"] = in.Name, secret.New(in.Name)
	}
	if in.BackupPassphrase != "" {
		v, err := env.Secret(ctx, in.BackupPassphrase)
		if err != nil {
			return err
		}
		p.replace["settings.passphrase"] = v
	}
	if in.BackupURL != "" {
		v, err := env.Secret(ctx, in.BackupURL)
		if err != nil {
			return err
		}
		p.target, p.replace["targeturl"] = v, v
		p.config.Backup.TargetURL = v.Reveal()
	}
	return nil
}

// accept refuses what must not, or cannot, be imported.
func (p parcel) accept(in importIn, server string, g duplicati.Generation, list []duplicati.Backup) error {
	if programs := p.config.programs(); len(programs) > 0 && !in.AllowScripts {
		return tools.Errorf(tools.Denied, "the file has options that make the server run programs: %s; nothing was imported", strings.Join(programs, ", ")).
			WithHint("if they are yours, import it at a terminal with --allow-scripts")
	}
	if len(p.replace) > 0 && !g.Can(duplicati.ReplacesOnImport) {
		return tools.Errorf(tools.Unsupported, "%s is a %s server, which takes target, passphrase and name from the file whatever is asked for; nothing was imported", server, g).
			WithHint("servers from %s on can replace them; import it without, or change the file", duplicati.ReplacesOnImport.Since())
	}
	for _, b := range list {
		if strings.EqualFold(b.Name, p.name) {
			e := tools.Errorf(tools.Conflict, "%s has a backup %s (%s) already; nothing was imported", server, quote(b.Name), b.ID)
			if g.Can(duplicati.ReplacesOnImport) {
				return e.WithHint("give it another name: --name")
			}
			return e.WithHint("rename or delete that one first")
		}
	}
	if _, given := p.replace["settings.passphrase"]; !given && p.config.lacksPassphrase() {
		e := tools.Errorf(tools.SecretNeeded, "the backup is encrypted, and the file does not hold its passphrase, so that the server would refuse it; nothing was imported")
		if g.Can(duplicati.ReplacesOnImport) {
			return e.WithHint("give it with --backup-passphrase")
		}
		return e.WithHint("export it with its passwords; a %s server takes no other passphrase on import", g)
	}
	return nil
}

func (o *operations) planImport(ctx context.Context, env tools.Env, in importIn) (tools.Plan, error) {
	p, err := o.read(ctx, env, in)
	if err != nil {
		return tools.Plan{}, err
	}
	c, err := o.client(ctx, env)
	if err != nil {
		return tools.Plan{}, err
	}
	g, err := c.Generation(ctx)
	if err != nil {
		return tools.Plan{}, err
	}
	list, err := c.Backups(ctx)
	if err != nil {
		return tools.Plan{}, err
	}
	if err := p.accept(in, env.Server, g, list); err != nil {
		return tools.Plan{}, err
	}
	key, err := o.Key(ctx)
	if err != nil {
		return tools.Plan{}, err
	}
	return importPlan(key, env.Server, c.Origin(), p, list), nil
}

const (
	factFile        = "file, SHA-256"
	factTarget      = "target digest"
	factReplaced    = "replaced values"
	factName        = "name"
	factDestination = "destination"
)

func importPlan(key []byte, server, address string, p parcel, list []duplicati.Backup) tools.Plan {
	stores, where := place(p.target)
	hide := func(f tools.PlanFact) tools.PlanFact { f.Hidden = true; return f }
	plan := tools.Plan{
		Target: tools.Target{Server: server, Kind: "server", Name: server},
		Facts: []tools.PlanFact{
			tools.Bind(factAddress, address), tools.Bind(factFile, p.sum), tools.Bind(factName, p.name), tools.Bind(factDestination, stores),
			hide(tools.Bind(factTarget, duplicati.TargetMAC(p.target, key))),
			tools.Show("size", size(int64(p.size))), tools.Show("encrypted file", yesNo(p.encrypted)),
			tools.Show("sources", p.config.places()), tools.Show("runs", p.config.runsWhen()), tools.Show("options", p.config.options()),
			tools.Show("exported by", "Duplicati "+cut(p.config.CreatedByVersion, 20)),
		},
		Effects: []string{fmt.Sprintf("%s gets a new backup %s that stores to %s", server, quote(p.name), stores)},
	}
	if digest := p.replaced(key); digest != "" {
		plan.Facts = append(plan.Facts, hide(tools.Bind(factReplaced, digest)))
		plan.Effects = append(plan.Effects, "its passphrase is another than in the file")
	}
	if _, given := p.replace["targeturl"]; given {
		plan.Effects = append(plan.Effects, "its storage is another than in the file")
	}
	if n := len(p.config.Backup.AdditionalTargetURLs); n > 0 {
		plan.Effects = append(plan.Effects, "it copies itself to "+plural(n, "further destination", "further destinations"))
	}
	if p.config.Schedule != nil {
		plan.Effects = append(plan.Effects, "it starts by itself, "+p.config.runsWhen())
	}
	if programs := p.config.programs(); len(programs) > 0 {
		f := tools.Bind("runs programs", strings.Join(programs, ", "))
		f.Tone = tools.Bad
		plan.Facts = append(plan.Facts, f)
		plan.Effects = append(plan.Effects, "the server runs programs that the file names, as the account it runs under")
	}
	var others []string
	for _, b := range list {
		if _, there := place(b.TargetURL); there == where {
			others = append(others, quote(b.Name)+" ("+b.ID+")")
		}
	}
	if len(others) > 0 {
		f := tools.Bind("others at this destination", strings.Join(others, ", "))
		f.Tone = tools.Warning
		plan.Facts = append(plan.Facts, f)
	}
	return plan
}

// replaced is a digest of the passphrase that replaces the file's, "" for none.
func (p parcel) replaced(key []byte) string {
	if v, given := p.replace["settings.passphrase"]; given {
		return duplicati.TargetMAC(v, key)
	}
	return ""
}

func (o *operations) doImport(ctx context.Context, env tools.Env, in importIn) (importOut, error) {
	p, err := o.read(ctx, env, in)
	if err != nil {
		return importOut{}, err
	}
	if p.sum != env.Planned.Bound(factFile) {
		return importOut{}, tools.Errorf(tools.Changed, "the file is not the one that was shown; nothing was imported").WithHint("ask again")
	}
	key, err := o.Key(ctx)
	if err != nil {
		return importOut{}, err
	}
	// The words behind names too, which somebody may have changed by now.
	if duplicati.TargetMAC(p.target, key) != env.Planned.Bound(factTarget) || p.replaced(key) != env.Planned.Bound(factReplaced) {
		return importOut{}, tools.Errorf(tools.Changed, "the storage or the passphrase is not what was shown; nothing was imported").WithHint("ask again")
	}
	c, err := o.client(ctx, env)
	if err != nil {
		return importOut{}, err
	}
	id, err := c.Import(ctx, p.raw, duplicati.ImportOptions{Passphrase: p.sent(), Metadata: in.Metadata, Replace: p.replace})
	if err != nil {
		return importOut{}, importFailed(err, env.Server)
	}
	out := importOut{ID: id, Name: p.name, Schedule: p.config.runsWhen(), Notes: []string{}, server: env.Server}
	b, err := c.Backup(ctx, id)
	switch {
	case err != nil:
		out.Notes = append(out.Notes, "it was created, and could not be read back")
	default:
		d := destinationOf(b.Destination)
		out.Schedule, out.Destination = schedule(b.Schedule), &d
		if b.Name != p.name {
			out.Notes = append(out.Notes, "the name was taken in the meantime, and the server chose another")
		}
		if duplicati.TargetMAC(b.TargetURL, key) != env.Planned.Bound(factTarget) {
			out.Notes = append(out.Notes, "the server wrote the storage URL in another way; look that the destination is right")
		}
		out.Name = b.Name
	}
	return out, nil
}

// sent is the passphrase for the server: none for a file in clear.
func (p parcel) sent() secret.Value {
	if p.encrypted {
		return p.passphrase
	}
	return secret.Value{}
}

func importFailed(err error, server string) error {
	var e *duplicati.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Uncertain:
		return tools.Errorf(tools.UnknownOutcome, "%s was sent the file and its answer was lost; it may have created the backup", server).
			WithHint("look with: list-backups").Because(err)
	case e.Kind == duplicati.WrongPassphrase, e.Kind == duplicati.PassphraseGone:
		return tools.Errorf(tools.WrongPassphrase, "%s cannot open the file with the passphrase that opens it here; nothing was imported", server).Because(err)
	case e.Kind == duplicati.ServerFault:
		return tools.Errorf(tools.OperationFailed, "%s refused the file: %s; nothing was imported", server, quote(e.Text)).Because(err)
	}
	return err
}

// settleImport looks whether there is a backup of the name, which was free
// when the file was shown, that stores where the file says.
func (o *operations) settleImport(ctx context.Context, env tools.Env, _ importIn, p tools.Plan) (tools.Settled, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return tools.CannotTell, err
	}
	key, err := o.Key(ctx)
	if err != nil {
		return tools.CannotTell, err
	}
	list, err := c.Backups(ctx)
	if err != nil {
		return tools.CannotTell, err
	}
	for _, b := range list {
		if !strings.EqualFold(b.Name, p.Bound(factName)) {
			continue
		}
		if duplicati.TargetMAC(b.TargetURL, key) == p.Bound(factTarget) {
			return tools.TookEffect, nil
		}
		return tools.CannotTell, nil
	}
	return tools.TookNoEffect, nil
}

func viewImport(out importOut) tools.View {
	args := map[string]any{"backup": byID + out.ID, "server": out.server}
	v := tools.View{Headline: out.Name + " was imported as backup " + out.ID, Tone: tools.Good, Notes: out.Notes,
		Facts: []tools.Fact{{Name: "Runs", Value: out.Schedule}},
		Next:  []tools.Next{{Label: "Run", Operation: "run", Args: args}, {Label: "List backups", Operation: "list-backups", Args: map[string]any{"server": out.server}}}}
	if out.Destination != nil {
		v.Facts = append(v.Facts, tools.Fact{Name: "Destination", Value: out.Destination.Scheme + "://" + out.Destination.Host})
	}
	if len(out.Notes) > 0 {
		v.Tone = tools.Warning
	}
	return v
}
