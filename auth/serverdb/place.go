package serverdb

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// FileName is what Duplicati calls its database.
const FileName = "Duplicati-server.sqlite"

// Host is what decides where a server on this host has its data. The zero Host
// is this process's.
type Host struct {
	Folder string // the server's option --server-datafolder; "" when it has none

	OS     string                   // runtime.GOOS
	Env    func(name string) string // os.Getenv
	Home   string                   // this account's; "" asks the system
	Exists func(path string) bool
}

func (h Host) filled() Host {
	if h.OS == "" {
		h.OS = runtime.GOOS
	}
	if h.Env == nil {
		h.Env = os.Getenv
	}
	if h.Home == "" {
		h.Home, _ = os.UserHomeDir()
	}
	if h.Exists == nil {
		h.Exists = func(path string) bool { _, err := os.Lstat(path); return err == nil }
	}
	return h
}

// Find returns the path of the server's database. The order is Duplicati's
// own: option, portable mode, DUPLICATI_HOME, the system's default. The first
// of them that is set is the only one looked at.
func Find(h Host) (string, error) {
	h = h.filled()
	folders := h.folders()
	for _, folder := range folders {
		path := filepath.Join(folder, FileName)
		if h.Exists(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w in %s; give its path as the server's database, or run as the account that Duplicati runs as", ErrNotFound, strings.Join(folders, ", "))
}

// folders lists where to look, the best first.
func (h Host) folders() []string {
	for _, set := range []string{h.Folder, h.Env("DUPLICATI__SERVER_DATAFOLDER")} {
		if set = expand(strings.Trim(strings.TrimSpace(set), `"'`), h.Env); set != "" {
			return []string{set}
		}
	}
	if truth(h.Env("DUPLICATI__PORTABLE_MODE")) {
		return h.portable()
	}
	if home := h.Env("DUPLICATI_HOME"); home != "" {
		return []string{expand(home, h.Env)}
	}
	switch h.OS {
	case "windows":
		return h.windows()
	case "darwin":
		return []string{
			filepath.Join(h.Home, "Library", "Application Support", "Duplicati"),
			filepath.Join(h.Home, ".config", "Duplicati"),
		}
	}
	return h.unix()
}

func (h Host) unix() []string {
	if config := h.Env("XDG_CONFIG_HOME"); config != "" {
		return []string{filepath.Join(config, "Duplicati")}
	}
	var folders []string
	if h.Home != "" && h.Home != "/" {
		folders = append(folders, filepath.Join(h.Home, ".config", "Duplicati"))
	}
	// A server without a home folder, as services are started.
	return append(folders, "/Duplicati", "/var/lib/Duplicati")
}

// windows puts the last candidate first: Duplicati takes the last that holds a
// database.
func (h Host) windows() []string {
	var folders []string
	for _, name := range []string{"APPDATA", "LOCALAPPDATA"} {
		if base := h.Env(name); base != "" {
			folders = append(folders, filepath.Join(base, "Duplicati"))
		}
	}
	local, system := strings.ToLower(h.Env("LOCALAPPDATA")), strings.ToLower(h.Env("SystemRoot"))
	if data := h.Env("PROGRAMDATA"); data != "" && system != "" && strings.HasPrefix(local, system) {
		folders = append(folders, filepath.Join(data, "Duplicati"))
	}
	slices.Reverse(folders)
	return folders
}

// portable is where the packages of Duplicati install it.
func (h Host) portable() []string {
	switch h.OS {
	case "windows":
		return []string{filepath.Join(h.Env("ProgramFiles"), "Duplicati 2", "data")}
	case "darwin":
		return []string{"/Applications/Duplicati.app/Contents/MacOS/data"}
	}
	return []string{"/usr/lib/duplicati/data", "/opt/duplicati/data"}
}

// truth reads a boolean as Duplicati does.
func truth(text string) bool {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "", "false", "0", "no", "off":
		return false
	}
	return true
}

// expand replaces %NAME% by the variable; one that is not set stays as it is.
func expand(text string, env func(string) string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "%")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, "%")
		if !closed {
			b.WriteString("%" + rest)
			return b.String()
		}
		if value := env(name); value != "" && name != "" {
			b.WriteString(value)
		} else {
			b.WriteString("%" + name + "%")
		}
		text = after
	}
}
