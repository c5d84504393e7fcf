package config

import (
	"errors"
	"path/filepath"
	"strings"
)

// UnmarshalText reads off, auto or a path.
func (d *Database) UnmarshalText(text []byte) error {
	switch word := string(text); {
	case word == "off" || word == "false":
		*d = Database{}
	case word == "auto":
		*d = Database{Use: true}
	case filepath.IsAbs(word):
		*d = Database{Use: true, Path: word}
	default:
		return errors.New("this must be off, auto or the absolute path of Duplicati-server.sqlite")
	}
	return nil
}

// UnmarshalText reads sqlite: and a path.
func (s *Store) UnmarshalText(text []byte) error {
	path, is := strings.CutPrefix(string(text), "sqlite:")
	switch {
	case strings.HasPrefix(string(text), "postgres"):
		return errors.New("this build keeps its store in SQLite only: sqlite:/absolute/path")
	case !is || !filepath.IsAbs(path):
		return errors.New("this must be sqlite: and an absolute path")
	}
	s.Path = path
	return nil
}

func defaultStore() string { return filepath.Join(stateFolder(), "duplibot.db") }
