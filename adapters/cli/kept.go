package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// fetchAll writes what an operation made for this terminal into the folders
// it was asked into, and returns the places of all of it. One that fails
// takes nothing from the others.
func (r *Run) fetchAll(ctx context.Context, kept []tools.Kept, request string) (places []string, failed error) {
	for _, k := range kept {
		switch {
		case k.Handle != "" && k.Folder != "":
			path, err := r.fetch(ctx, k, request)
			switch {
			case err == nil:
				places = append(places, clean(path))
			case failed == nil:
				failed = err
			default:
				r.note(err.Error())
			}
		case k.Where != "":
			places = append(places, clean(k.Where))
		}
	}
	return places, failed
}

// fetch takes one thing, which can be taken once, and writes it. All that can
// fail is tried before it is taken.
func (r *Run) fetch(ctx context.Context, k tools.Kept, request string) (string, error) {
	if k.Name == "" || k.Name != filepath.Base(k.Name) || k.Name != clean(k.Name) || strings.ContainsAny(k.Name, `/\`) || strings.Trim(k.Name, ".") == "" {
		return "", tools.Errorf(tools.OperationFailed, "a file was made whose name cannot be used; it was not fetched").
			WithHint("it can still be seen once, on its page")
	}
	f, err := newFile(k.Folder, k.Name, k.Overwrite)
	if err != nil {
		if e := asError(err); request != "" {
			return "", e.WithHint("unless it was fetched before, it is still kept: %s, with --to FOLDER or --overwrite", r.words("fetch", request))
		}
		return "", err
	}
	defer f.discard()
	content, err := r.link.Decisions.Fetch(ctx, r.link.Caller, k.Handle)
	if err != nil {
		return "", err
	}
	return f.write(content, k.SHA256)
}

// file is a file that is not there until it is whole.
type file struct {
	temp      *os.File
	path      string
	overwrite bool
	done      bool
}

func newFile(folder, name string, overwrite bool) (*file, error) {
	cannot := func(err error) error {
		return tools.Errorf(tools.OperationFailed, "%s cannot be written in %s: %s", clean(name), folder, reason(err)).Because(err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, cannot(err)
	}
	path := filepath.Join(folder, name)
	if _, err := os.Lstat(path); err == nil && !overwrite {
		return nil, exists(path)
	}
	temp, err := os.CreateTemp(folder, ".duplibot-*") // mode 0600
	if err != nil {
		return nil, cannot(err)
	}
	return &file{temp: temp, path: path, overwrite: overwrite}, nil
}

func exists(path string) error {
	return tools.Errorf(tools.Conflict, "%s is there already and was left as it is", path).WithHint("--overwrite replaces it")
}

// write makes the file appear. What was fetched cannot be fetched again, so
// the unfinished file stays when all was written and only its name failed.
func (f *file) write(content secret.Value, sum string) (string, error) {
	got := sha256.Sum256([]byte(content.Reveal()))
	if sum != "" && sum != hex.EncodeToString(got[:]) {
		return "", tools.Errorf(tools.OperationFailed, "what was fetched for %s is not what was made: its checksum differs; nothing was written", f.path)
	}
	if _, err := f.temp.WriteString(content.Reveal()); err != nil {
		return "", f.lost(err)
	}
	if err := errors.Join(f.temp.Sync(), f.temp.Close()); err != nil {
		return "", f.lost(err)
	}
	var err error
	if f.overwrite {
		err = os.Rename(f.temp.Name(), f.path)
	} else if err = os.Link(f.temp.Name(), f.path); errors.Is(err, fs.ErrExist) {
		f.done = true
		return "", tools.Errorf(tools.Conflict, "%s is there by now and was left as it is; the new one is %s", f.path, f.temp.Name())
	} else if err != nil { // a file system without links
		err = os.Rename(f.temp.Name(), f.path)
	}
	if err != nil {
		f.done = true
		return "", tools.Errorf(tools.OperationFailed, "%s could not be given its name: %s; it is %s", f.path, reason(err), f.temp.Name()).Because(err)
	}
	f.done = f.overwrite
	return f.path, nil
}

func (f *file) lost(err error) error {
	return tools.Errorf(tools.OperationFailed, "%s could not be written: %s; nothing was left behind", f.path, reason(err)).
		WithHint("make room, and ask for it anew").Because(err)
}

// discard takes the unfinished file away.
func (f *file) discard() {
	if f.done {
		return
	}
	f.temp.Close()
	os.Remove(f.temp.Name())
}
