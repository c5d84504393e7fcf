package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// File reads a file for an operation: an absolute path for somebody at a
// terminal who works with the bot's rights anyway, a plain name in the import
// folder for everybody else.
func (v *Vault) File(_ context.Context, use tools.Use, name string) (secret.Value, error) {
	if filepath.IsAbs(name) {
		if use.Caller.Surface != tools.CLI || !use.Caller.SameAccount {
			return secret.Value{}, tools.Errorf(tools.Denied, "the path of a file cannot be given from here; nothing was read").
				WithHint("give the name of a file in the import folder, or leave it out to enter it")
		}
		return given(readFile(name, MaxFile))
	}
	if !plainName(name) {
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "that is not the name of a file in the import folder; nothing was read").
			WithHint("give the name alone, without a folder")
	}
	if v.Import == "" {
		return secret.Value{}, tools.Errorf(tools.NotFound, "there is no import folder, so no file can be named here; nothing was read").
			WithHint("set folders.import in the configuration, or leave it out to enter it")
	}
	root, err := os.OpenRoot(v.Import)
	if err != nil {
		return secret.Value{}, tools.Errorf(tools.Unavailable, "the import folder cannot be opened; nothing was read").
			WithHint("see that it is there and that the bot's account may read it").Because(err)
	}
	defer root.Close()
	// A root follows no link that leads out of it.
	info, err := root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errNoFile
	}
	if err != nil {
		return given(nil, err)
	}
	file, err := root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return given(nil, err)
	}
	defer file.Close()
	return given(readOpened(file, MaxFile))
}

// given puts what reading a file came to into words.
func given(data []byte, err error) (secret.Value, error) {
	var e *tools.Error
	switch {
	case err == nil && len(data) == 0:
		e = tools.Errorf(tools.InvalidArgument, "the file is empty")
	case err == nil:
		return secret.New(string(data)), nil
	case errors.Is(err, fs.ErrNotExist):
		e = tools.Errorf(tools.NotFound, "there is no such file")
	case errors.Is(err, errNoFile):
		e = tools.Errorf(tools.InvalidArgument, "that is not a file")
	case errors.Is(err, errTooLarge):
		e = tools.Errorf(tools.InvalidArgument, "the file is larger than %d MB, which no configuration is", MaxFile>>20)
	case errors.Is(err, fs.ErrPermission):
		e = tools.Errorf(tools.Denied, "the bot's account may not read the file")
	default:
		e = tools.Errorf(tools.Unavailable, "the file cannot be read")
	}
	e.Message += "; nothing was done"
	return secret.Value{}, e.Because(err)
}

// Names that Windows takes for devices, with whatever extension.
var device = regexp.MustCompile(`(?i)^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)`)

// plainName reports whether name is one file name on every system, and nothing
// but that.
func plainName(name string) bool {
	if name == "" || len(name) > 200 || name[0] == '.' || strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") || device.MatchString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return strings.ContainsRune(`/\:*?"<>|`, r) || !unicode.IsPrint(r)
	})
}

// Keep stores a Parcel and has read it back when it returns: a file in the
// folder that a terminal with the bot's rights wants or in the export folder,
// anything else as an item of the keyring. What somebody wants in a folder of
// his own that the bot has no business with waits for him to fetch it.
func (v *Vault) Keep(ctx context.Context, use tools.Use, p tools.Parcel) (tools.Kept, error) {
	switch {
	case !plainName(p.Name):
		return tools.Kept{}, tools.Errorf(tools.Internal, "what is to be kept has a name that no file can have; nothing was kept")
	case p.Content.Empty():
		return tools.Kept{}, tools.Errorf(tools.Internal, "what is to be kept is empty; nothing was kept")
	case len(p.Content.Reveal()) > MaxFile:
		return tools.Kept{}, tools.Errorf(tools.InvalidArgument, "what came out is larger than %d MB; nothing was kept", MaxFile>>20)
	}
	sum := sha256.Sum256([]byte(p.Content.Reveal()))
	k := tools.Kept{Name: p.Name, SHA256: hex.EncodeToString(sum[:]), Bytes: len(p.Content.Reveal())}
	own := use.Caller.Surface == tools.CLI && use.Caller.SameAccount
	b := box{Owner: use.Caller.Identity, Expires: v.Now().Add(v.HoldFor).UTC()}
	content := p.Content
	switch {
	case p.Folder != "" && own:
		// There it is where it was wanted, and nobody has to fetch it.
		path, err := v.write(p.Folder, p, k.SHA256)
		if err != nil {
			return tools.Kept{}, err
		}
		k.Where = path
		return k, nil
	case p.Folder != "":
		k.Where, k.Folder, k.Overwrite = "kept for you to fetch", p.Folder, p.Overwrite
		if p.Kind != parcelFile {
			// Of what the server gives out once there is another copy.
			item, err := v.item(ctx, p)
			if err != nil {
				return tools.Kept{}, err
			}
			k.Where = "keyring item " + item
		}
	case p.Kind == parcelFile:
		if v.Export == "" {
			return tools.Kept{}, tools.Errorf(tools.NotFound, "there is no export folder, so the file was not kept").
				WithHint("set folders.export in the configuration, or name a folder at a terminal")
		}
		path, err := v.write(v.Export, p, k.SHA256)
		if err != nil {
			return tools.Kept{}, err
		}
		k.Where, b.File, b.Sum, content = "the export folder", path, k.SHA256, secret.Value{}
	default:
		item, err := v.item(ctx, p)
		if err != nil {
			return tools.Kept{}, err
		}
		k.Where, b.Item, content = "keyring item "+item, item, secret.Value{}
	}
	v.tidy()
	handle, err := v.sealed.put(ctx, keptKind, b, content)
	if err != nil {
		return tools.Kept{}, notKept(err)
	}
	k.Handle, k.Page = handle, true
	return k, nil
}

// parcelFile is the kind of parcel that is a file and not a word.
const parcelFile = "export"

// write puts the parcel into a folder and reads it back.
func (v *Vault) write(folder string, p tools.Parcel, sum string) (string, error) {
	path := filepath.Join(folder, p.Name)
	if !filepath.IsAbs(folder) {
		return "", tools.Errorf(tools.InvalidArgument, "the folder is not given by an absolute path; nothing was written")
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return "", tools.Errorf(tools.NotFound, "the folder for %s is not there or cannot be entered; nothing was written", p.Name).
			WithHint("make it, for the account that writes into it").Because(err)
	}
	defer root.Close()
	err = writeWhole(root, p.Name, []byte(p.Content.Reveal()), p.Overwrite)
	switch {
	case errors.Is(err, fs.ErrExist):
		return "", tools.Errorf(tools.Conflict, "%s is there already; nothing was written", path).WithHint("ask for it to be replaced, or give another name").Because(err)
	case err != nil:
		return "", tools.Errorf(tools.Unavailable, "%s could not be written; what was there is as it was", path).
			WithHint("see the disk and the rights of the folder").Because(err)
	}
	back, err := root.ReadFile(p.Name)
	if got := sha256.Sum256(back); err != nil || hex.EncodeToString(got[:]) != sum {
		return "", tools.Errorf(tools.Unavailable, "%s was written and does not read back as it was; do not use it", path).WithHint("see the disk").Because(err)
	}
	return path, nil
}

var notInKey = regexp.MustCompile(`[^a-z0-9]+`)

// item puts the parcel into the keyring under a name of its own, which holds
// until somebody deletes it there.
func (v *Vault) item(ctx context.Context, p tools.Parcel) (string, error) {
	slug := strings.Trim(notInKey.ReplaceAllString(strings.ToLower(p.Name), "-"), "-")
	if len(slug) > 60 {
		slug = slug[:60]
	}
	key := keptItems + slug + "." + v.Now().UTC().Format("20060102-150405") + "." + randomName()[:6]
	if err := v.Ring.Put(ctx, key, p.Content); err != nil { // which reads it back
		return "", notKept(err)
	}
	return "duplibot." + key, nil
}

// Fetch gives what was kept to the one it was kept for, once.
func (v *Vault) Fetch(ctx context.Context, owner tools.Identity, handle string) (secret.Value, error) {
	var found secret.Value
	b, content, err := v.sealed.open(ctx, keptKind, handle)
	if err == nil && (owner == "" || b.Owner != owner || v.Now().After(b.Expires)) {
		err = errGone
	}
	if err == nil {
		// Read first, so that a keyring that is locked uses nothing up.
		found, err = v.content(ctx, b, content)
	}
	if err == nil {
		err = v.sealed.claim(keptKind, handle)
	}
	if errors.Is(err, errGone) {
		return secret.Value{}, tools.Errorf(tools.NotFound, "nothing of that name is kept for you; it may have been fetched already").Because(err)
	}
	if err != nil {
		return secret.Value{}, err
	}
	return found, nil
}

func (v *Vault) content(ctx context.Context, b box, content secret.Value) (secret.Value, error) {
	switch {
	case b.Item != "":
		return v.Ring.Get(ctx, strings.TrimPrefix(b.Item, "duplibot."))
	case b.File != "":
		data, err := readFile(b.File, MaxFile)
		if sum := sha256.Sum256(data); err != nil || hex.EncodeToString(sum[:]) != b.Sum {
			return secret.Value{}, tools.Errorf(tools.Changed, "the file that was kept is gone or is not what was written; it was not given out").
				WithHint("export it again").Because(err)
		}
		return secret.New(string(data)), nil
	}
	return content, nil
}
