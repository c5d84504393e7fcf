package serverdb_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/auth/serverdb"
)

func TestTheDataFolderIsFoundAsDuplicatiFindsIt(t *testing.T) {
	const home = "/home/ann"
	for _, c := range []struct {
		name   string
		folder string
		os     string
		env    map[string]string
		there  []string // folders that hold a database
		want   string   // "" is none
	}{
		{name: "a user's", os: "linux", there: []string{home + "/.config/Duplicati", "/var/lib/Duplicati"}, want: home + "/.config/Duplicati"},
		{name: "a service without a home", os: "linux", there: []string{"/var/lib/Duplicati"}, want: "/var/lib/Duplicati"},
		{name: "the very old place of one", os: "linux", there: []string{"/Duplicati"}, want: "/Duplicati"},
		{name: "Docker", os: "linux", env: map[string]string{"XDG_CONFIG_HOME": "/data"}, there: []string{"/data/Duplicati"}, want: "/data/Duplicati"},
		{name: "a config home without one", os: "linux", env: map[string]string{"XDG_CONFIG_HOME": "/data"}, there: []string{home + "/.config/Duplicati"}},
		{name: "DUPLICATI_HOME", os: "linux", env: map[string]string{"DUPLICATI_HOME": "/srv/d"}, there: []string{"/srv/d", home + "/.config/Duplicati"}, want: "/srv/d"},
		{name: "DUPLICATI_HOME without one", os: "linux", env: map[string]string{"DUPLICATI_HOME": "/srv/d"}, there: []string{home + "/.config/Duplicati"}},
		{name: "portable", os: "linux", env: map[string]string{"DUPLICATI__PORTABLE_MODE": "", "DUPLICATI_HOME": "/x"}, there: []string{"/usr/lib/duplicati/data"}},
		{name: "portable on", os: "linux", env: map[string]string{"DUPLICATI__PORTABLE_MODE": "yes", "DUPLICATI_HOME": "/x"}, there: []string{"/usr/lib/duplicati/data", "/x"}, want: "/usr/lib/duplicati/data"},
		{name: "portable off", os: "linux", env: map[string]string{"DUPLICATI__PORTABLE_MODE": "Off", "DUPLICATI_HOME": "/x"}, there: []string{"/usr/lib/duplicati/data", "/x"}, want: "/x"},
		{name: "the option", os: "linux", folder: `"%ROOT%/d"`, env: map[string]string{"ROOT": "/srv", "DUPLICATI__SERVER_DATAFOLDER": "/y", "DUPLICATI_HOME": "/x"}, there: []string{"/srv/d", "/y", "/x"}, want: "/srv/d"},
		{name: "the option's variable", os: "linux", env: map[string]string{"DUPLICATI__SERVER_DATAFOLDER": "/y", "DUPLICATI_HOME": "/x"}, there: []string{"/y", "/x"}, want: "/y"},
		{name: "percent signs that are none", os: "linux", folder: "/a%b/50%/%%", there: []string{"/a%b/50%/%%"}, want: "/a%b/50%/%%"},
		{name: "macOS", os: "darwin", there: []string{home + "/Library/Application Support/Duplicati", home + "/.config/Duplicati"}, want: home + "/Library/Application Support/Duplicati"},
		{name: "macOS, only the old place", os: "darwin", there: []string{home + "/.config/Duplicati"}, want: home + "/.config/Duplicati"},
		{name: "Windows, the last that has one", os: "windows", env: map[string]string{"APPDATA": "/r", "LOCALAPPDATA": "/l"}, there: []string{"/r/Duplicati", "/l/Duplicati"}, want: "/l/Duplicati"},
		{name: "Windows, a user's roaming one", os: "windows", env: map[string]string{"APPDATA": "/r", "LOCALAPPDATA": "/l"}, there: []string{"/r/Duplicati"}, want: "/r/Duplicati"},
		{name: "Windows, a service's", os: "windows", env: map[string]string{"LOCALAPPDATA": `C:\Windows\System32\config`, "SystemRoot": `c:\windows`, "PROGRAMDATA": "/p"}, there: []string{"/p/Duplicati"}, want: "/p/Duplicati"},
		{name: "nowhere", os: "linux"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, err := serverdb.Find(serverdb.Host{
				Folder: c.folder, OS: c.os, Home: home, Env: func(name string) string { return c.env[name] },
				Exists: func(path string) bool { return slices.Contains(c.there, filepath.Dir(path)) },
			})
			if c.want == "" {
				if !errors.Is(err, serverdb.ErrNotFound) || !strings.Contains(err.Error(), "; ") {
					t.Errorf("got %s, %v, want none, said with the places and a way out", path, err)
				}
				return
			}
			if want := filepath.Join(c.want, serverdb.FileName); err != nil || path != want {
				t.Errorf("got %s, %v, want %s", path, err, want)
			}
		})
	}
}
