package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
)

// Variable names the file in the environment.
const Variable = "DUPLIBOT_CONFIG"

// maxSize is more than anybody writes by hand.
const maxSize = 1 << 20

// Find says which file is meant: the one given on the command line, the one
// that DUPLIBOT_CONFIG names, or duplibot.yaml in the folder duplibot of the
// user's config folder. It is "" when none was named and the last is not
// there; one that was named and is not there is found out by Load.
func Find(given string) (string, error) {
	if given == "" {
		given = os.Getenv(Variable)
	}
	if given != "" {
		return filepath.Abs(given)
	}
	usual, err := UsualPlace()
	if err != nil {
		return "", nil // an account without a home has no config folder
	}
	if _, err := os.Lstat(usual); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return usual, nil
}

// UsualPlace is where the file is when nobody says otherwise.
func UsualPlace() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil && os.Getenv("XDG_CONFIG_HOME") == "" && runtime.GOOS != "windows" {
		// Without HOME, as services and cron jobs can be.
		below := ".config"
		if runtime.GOOS == "darwin" {
			below = filepath.Join("Library", "Application Support")
		}
		dir, err = home()
		dir = filepath.Join(dir, below)
	}
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "duplibot", "duplibot.yaml"), nil
}

// open reads a file that nobody but this account and root can have written.
func open(path string) ([]byte, *Finding) {
	cannot := func(err error) *Finding {
		f := &Finding{Message: "the file cannot be read: " + reason(err)}
		if errors.Is(err, fs.ErrNotExist) {
			f.Hint = "duplibot config example prints one to start from"
		}
		return f
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, cannot(err)
	}
	for _, dir := range foldersOf(path, real) {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, cannot(err)
		}
		if why := foreign(info); why != "" {
			return nil, &Finding{Message: fmt.Sprintf("the folder %s %s, who could put another file in its place", dir, why), Hint: mend(info, dir)}
		}
	}
	// To open a pipe would wait for its other end.
	if info, err := os.Stat(real); err == nil && !info.Mode().IsRegular() {
		return nil, &Finding{Message: "this is not a regular file"}
	}
	f, err := os.Open(real)
	if err != nil {
		return nil, cannot(err)
	}
	defer f.Close()
	// The file that is judged is the one that is read.
	info, err := f.Stat()
	if err != nil {
		return nil, cannot(err)
	}
	if why := foreign(info); why != "" {
		return nil, &Finding{Message: "the file " + why + ", who could give himself any right", Hint: mend(info, real)}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	switch {
	case err != nil:
		return nil, cannot(err)
	case len(text) > maxSize:
		return nil, &Finding{Message: "the file is larger than a MiB and not read"}
	}
	return text, nil
}

// reason is an error without the path, which the reader knows.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// foldersOf lists the folders above both names of a file, each once.
func foldersOf(paths ...string) []string {
	var dirs []string
	seen := map[string]bool{}
	for _, p := range paths {
		for dir := filepath.Dir(p); !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// foreign says who else could change what info describes, "" when nobody. On
// Windows the mode bits say nothing and the ACL of the profile holds.
func foreign(info fs.FileInfo) string {
	if runtime.GOOS == "windows" {
		return ""
	}
	if uid, known := ownerOf(info); known && uid != 0 && uid != os.Getuid() {
		return "belongs to the account with uid " + strconv.Itoa(uid)
	}
	// In a folder such as /tmp everybody can write and nobody can replace what
	// is another's.
	if info.IsDir() && info.Mode()&fs.ModeSticky != 0 {
		return ""
	}
	switch perm := info.Mode().Perm(); {
	case perm&0o002 != 0:
		return fmt.Sprintf("can be written by everybody (mode %04o)", perm)
	case perm&0o020 != 0:
		return fmt.Sprintf("can be written by its group (mode %04o)", perm)
	}
	return ""
}

func mend(info fs.FileInfo, path string) string {
	if uid, _ := ownerOf(info); uid != 0 && uid != os.Getuid() {
		return "make it belong to root or to this account"
	}
	return "chmod go-w " + strconv.Quote(path)
}

// SocketPlaces lists where a daemon's socket is when no file says so: that of
// a service of the host, and that of one that this account runs.
func SocketPlaces() []string {
	switch runtime.GOOS {
	case "windows":
		return []string{filepath.Join(stateFolder(), "duplibot.sock")}
	case "darwin":
		return []string{"/var/run/duplibot/duplibot.sock", filepath.Join(stateFolder(), "duplibot.sock")}
	}
	places := []string{"/run/duplibot/duplibot.sock"}
	// By the uid, as the environment has no say in where a token goes.
	own := filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
	if info, err := os.Stat(own); err == nil && info.IsDir() {
		places = append(places, filepath.Join(own, "duplibot.sock"))
	}
	return places
}

// usualSocket is where a daemon of this account makes it.
func usualSocket() string {
	places := SocketPlaces()
	return places[len(places)-1]
}

// home is the folder of this account, also where HOME is not set.
func home() (string, error) {
	if dir, err := os.UserHomeDir(); err == nil {
		return dir, nil
	}
	u, err := user.Current()
	if err != nil || !filepath.IsAbs(u.HomeDir) {
		return "", errors.New("HOME is not set, and this account has no home folder")
	}
	return u.HomeDir, nil
}

// stateFolder is where the store is by default, "" where there is no such
// place.
func stateFolder() string {
	home, err := home()
	if err != nil {
		return ""
	}
	switch runtime.GOOS {
	case "darwin":
		return filepath.Join(home, "Library", "Application Support", "duplibot")
	case "windows":
		return filepath.Join(home, "AppData", "Local", "duplibot")
	}
	return filepath.Join(home, ".local", "state", "duplibot")
}
