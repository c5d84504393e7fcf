package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/user"
	"runtime"
	"strconv"
)

// localURL is where Duplicati listens when nobody says otherwise.
const localURL = "http://127.0.0.1:8200"

// NoFile stands for the path in errors where there is no file.
const NoFile = "(no config file)"

// Default is the configuration without a file: the Duplicati server of this
// host, and this account as the only person. Nothing listens.
func Default() (*Config, error) {
	c := &Config{}
	s, err := AdHoc(localURL)
	if err != nil {
		return nil, err
	}
	s.Name = "local"
	c.Servers = []Server{s}
	k := &checker{c: c, account: account}
	// What the checks ask for is a key in a file.
	c.lines = map[string]int{"servers.local.url": 0, "servers.local.database": 0}
	k.all()
	c.lines = nil
	for _, f := range k.findings {
		if !f.Warning {
			return nil, &Error{Path: NoFile, Findings: k.findings}
		}
	}
	return c, nil
}

// ownName is what this account is called, for records; who it is, is the uid.
func ownName() string {
	if u, err := user.Current(); err == nil && personForm.MatchString(u.Username) {
		return u.Username
	}
	return "owner"
}

// OwnIdentity is who this process is: "uid:1000", and on Windows "sid:S-1-…".
func OwnIdentity() (string, error) {
	if runtime.GOOS != "windows" {
		return "uid:" + strconv.Itoa(os.Getuid()), nil
	}
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("find out which account this is: %w", err)
	}
	return "sid:" + u.Uid, nil
}

// account is the identity of an account of this host.
func account(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "windows" {
		return "sid:" + u.Uid, nil
	}
	return "uid:" + u.Uid, nil
}

// AdHoc is a server that is not in the file: the one of --hosturl. It is
// named by its host; its database is used where it is on this host.
func AdHoc(address string) (Server, error) {
	if wrong := checkURL(address, anyHTTP); wrong != "" {
		return Server{}, errors.New(wrong)
	}
	s := Server{URL: address}
	k := &checker{c: &Config{}}
	s.Database.Use = k.serverURL("", &s)
	u, err := url.Parse(s.URL)
	if err != nil {
		return Server{}, err
	}
	s.Name = "local"
	if !s.Database.Use {
		s.Name = u.Hostname()
	}
	if !serverForm.MatchString(s.Name) {
		s.Name = "remote"
	}
	return s, nil
}
