package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/duplibot/duplibot/tools"
)

// quietParam is the option by which ServerUtil's users ask for silence.
const quietParam = "quiet"

// folders are those that were made for what a call is to bring.
type folders struct{ made []string }

// paths makes paths absolute, as the current folder is another one where the
// gate runs, and sees that something can be written there: what an operation
// brings can often not be had twice.
func (r *Run) paths(op *tools.Operation, args map[string]any) (*folders, error) {
	f := &folders{}
	for _, p := range op.Params {
		if !p.Path {
			continue
		}
		path, _ := args[p.Name].(string)
		switch {
		case path == "~" || strings.HasPrefix(path, "~/"):
			return nil, tools.Errorf(tools.InvalidArgument, "the shell has left the ~ of --%s as it is, and there is no folder of that name; nothing was done", p.Flag).
				WithHint("with a blank in the place of =, the shell finds it: --%s %s", p.Flag, path)
		case path != "":
			args[p.Name] = absolute(path, r.app.Dir)
		case p.Here:
			args[p.Name] = r.app.Dir
		default:
			continue
		}
		folder, _ := args[p.Name].(string)
		if err := f.ready(folder); err != nil {
			f.leave()
			return nil, tools.Errorf(tools.InvalidArgument, "nothing can be written in %s: %s; nothing was done", clean(folder), reason(err)).
				WithHint("name a folder that this account can write to: --%s FOLDER", p.Flag).Because(err)
		}
	}
	return f, nil
}

// ready makes a folder that is not there, as ServerUtil does, for this account
// alone, and tries whether it can be written to.
func (f *folders) ready(folder string) error {
	var lacks []string
	for dir := filepath.Clean(folder); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			return errors.New("it is not a folder")
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		lacks = append(lacks, dir)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f.made = append(f.made, lacks...)
	probe, err := os.CreateTemp(folder, ".duplibot-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// stay keeps what was made for later.
func (f *folders) stay() { f.made = nil }

// leave takes away what was made and holds nothing.
func (f *folders) leave() {
	for _, dir := range f.made { // the innermost first
		if os.Remove(dir) != nil {
			return
		}
	}
}
