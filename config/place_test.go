package config_test

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/config"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFileThatOthersCouldWriteIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the mode bits say nothing on Windows")
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir, path string)
		want  string
	}{
		{"by everybody", func(t *testing.T, _, path string) { chmod(t, path, 0o606) }, "can be written by everybody"},
		{"by its group", func(t *testing.T, _, path string) { chmod(t, path, 0o660) }, "can be written by its group"},
		{"in a folder of everybody", func(t *testing.T, dir, _ string) { chmod(t, dir, 0o777) }, "who could put another file in its place"},
		{"of another account", func(t *testing.T, _, path string) { chown(t, path, 4242) }, "belongs to the account with uid 4242"},
		{"in a folder of another account", func(t *testing.T, dir, _ string) { chown(t, dir, 4242) }, "belongs to the account with uid 4242"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "etc")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			path := write(t, dir, "duplibot.yaml", small)
			if _, err := config.Load(path, accounts); err != nil {
				t.Fatalf("as it should be: %v", err)
			}
			c.spoil(t, dir, path)
			_, err := config.Load(path, accounts)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
		})
	}
}

func TestALinkIsFollowedAndItsFoldersAreChecked(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the mode bits say nothing on Windows")
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	target := write(t, open, "real.yaml", small)
	link := filepath.Join(t.TempDir(), "duplibot.yaml")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(link, accounts)
	if err != nil || c.Path != link {
		t.Fatalf("%+v, %v", c, err)
	}
	chmod(t, open, 0o777)
	if _, err := config.Load(link, accounts); err == nil {
		t.Error("the folder behind the link can be written by everybody, and the file is taken")
	}
}

func TestWhatIsNoFileIsSaidInWords(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "no such file",
		dir:                             "not a regular file",
		write(t, dir, "big.yaml", strings.Repeat("# big\n", 200000)): "larger than a MiB",
	} {
		if _, err := config.Load(path, accounts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestTheFileIsLookedForInThreePlaces(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("HOME", home)
	t.Setenv(config.Variable, "")
	find := func(given string) string {
		t.Helper()
		path, err := config.Find(given)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	if got := find(""); got != "" {
		t.Errorf("with none of them: %q", got)
	}
	usual, err := config.UsualPlace()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(usual), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Dir(usual), filepath.Base(usual), small)
	if got := find(""); got != usual {
		t.Errorf("in the config folder: %q", got)
	}
	t.Setenv(config.Variable, "/from/the/environment.yaml")
	if got := find(""); got != "/from/the/environment.yaml" {
		t.Errorf("from the environment: %q", got)
	}
	if got := find("/given.yaml"); got != "/given.yaml" {
		t.Errorf("as given: %q", got)
	}
}

// Services and cron jobs can lack HOME.
func TestWithoutHOMEThePlacesAreThoseOfTheAccount(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("HOME means nothing on Windows")
	}
	own, err := user.Current()
	if err != nil || own.HomeDir == "" {
		if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
			t.Fatalf("this account has no home folder: %v", err)
		}
		t.Skipf("this account has no home folder: %v", err)
	}
	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv(config.Variable, "")
	usual, err := config.UsualPlace()
	if err != nil || !strings.HasPrefix(usual, own.HomeDir+"/") {
		t.Errorf("%q, %v", usual, err)
	}
	c, err := config.Default()
	if err != nil || !strings.HasPrefix(c.Store.Path, own.HomeDir+"/") {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestWhatEditorsOfWindowsAddIsNoPartOfTheFile(t *testing.T) {
	text := "\ufeff" + strings.ReplaceAll(small, "\n", "\r\n")
	c, err := config.Parse([]byte(text), accounts)
	if err != nil || len(c.Servers) != 1 || c.Servers[0].Name != "nas" || len(c.People) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestWithoutAFileThisAccountIsTheOnlyPerson(t *testing.T) {
	c, err := config.Default()
	if err != nil {
		t.Fatal(err)
	}
	own, err := config.OwnIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Servers) != 1 || c.Servers[0].Name != "local" || c.Servers[0].URL != "http://127.0.0.1:8200" || !c.Servers[0].Database.Use {
		t.Errorf("servers: %+v", c.Servers)
	}
	if len(c.People) != 1 || len(c.People[0].Identities) != 1 || c.People[0].Identities[0] != own {
		t.Errorf("people: %+v", c.People)
	}
	if c.Slack != nil || c.Web != nil || c.MCP.HTTP != nil {
		t.Error("something listens")
	}
	if c.DefaultServer != "local" || c.Policy.Approvals.ConfirmWithin == 0 || c.Store.Path == "" || c.Socket == "" || len(c.Warnings) > 0 {
		t.Errorf("%+v", c)
	}
}

func TestAnAddressOfTheCommandLineIsCheckedLikeOneOfTheFile(t *testing.T) {
	for address, want := range map[string]string{
		"http://127.0.0.1:8300/":  "local http://127.0.0.1:8300 true",
		"https://nas.lan/backup/": "nas.lan https://nas.lan/backup false",
		"https://[2001:db8::1]":   "remote https://[2001:db8::1] false",
	} {
		s, err := config.AdHoc(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		got := s.Name + " " + s.URL + " false"
		if s.Database.Use {
			got = s.Name + " " + s.URL + " true"
		}
		if got != want {
			t.Errorf("%s: want %s, got %s", address, want, got)
		}
	}
	if _, err := config.AdHoc("https://me:hunter2@nas"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func chown(t *testing.T, path string, uid int) {
	t.Helper()
	if err := os.Chown(path, uid, -1); err != nil {
		t.Skip("only root can give a file away")
	}
}
