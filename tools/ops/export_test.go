package ops_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/aescrypt"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

type exportedFiles struct {
	Exported []struct {
		ID, Name, File, Where, SHA256 string
		Bytes                         int `json:"size_bytes"`
	}
	Skipped, Failed []string
	Encrypted       bool `json:"encrypted"`
	Secrets         bool `json:"with_passwords"`
}

// opened reads an exported file and decrypts it.
func opened(t *testing.T, path string, passphrase secret.Value) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has the mode %o", path, info.Mode().Perm())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if passphrase.Empty() {
		return string(data)
	}
	if !aescrypt.Is(data) {
		t.Fatalf("%s is not encrypted", path)
	}
	plain, err := aescrypt.Decrypt(data, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

var photosPassphrase = secret.New(aliases["photos-passphrase"])

// leaky is a backup with a secret in each place where one can stand.
func leaky(target string) duplicatitest.Backup {
	return duplicatitest.Backup{
		Name: "Leaky", Passphrase: "canary-passphrase", TargetURL: target,
		Sources:  []string{"/data/leaky/", "@/mail|imap://me:canary-source@mail.example/?auth-password=canary-query&ssl-key=canary-key&folder=in"},
		Settings: []string{"--send-mail-password=canary-mail", "--aws-secret-access-key=canary-aws", "--azure-access-token=canary-azure", "--send-http-url=https://hooks.example/canary-hook", "--rclone-config=ftp://x:canary-inner@h/?token=canary-inner-token", "keep-versions=3"},
		Runs:     []duplicatitest.Run{{Ago: time.Hour}, {Ago: time.Minute, Outcome: duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "cannot log in with canary-message"}}},
	}
}

func TestAnExportWithoutSecretsHasNoneOnAnyServer(t *testing.T) {
	for target, keeps := range map[string]string{
		"ftp://me:canary-userinfo@host.example/dir?auth-username=user&auth-password=canary-url&use-ssl=true": "use-ssl=true",
		"file:///mnt/disk?auth-password=canary-url&alternate-target-paths=x":                                 "alternate-target-paths=x",
		"s3://bucket/dir?aws-access-key-id=canary-id&aws-secret-access-key=canary-url&s3-location=eu":        "s3-location=eu",
		"webdav://me:p@ss:w/canary-odd@host.example/dir?authid=canary-url":                                   "host.example/dir",
	} {
		t.Run(target[:strings.Index(target, ":")], func(t *testing.T) {
			on(t, func(t *testing.T, g string) {
				h := atHome(t, duplicatitest.Options{Generation: g})
				id := h.nas.AddBackup(leaky(target))
				a := h.do("export", args{"backups": []string{"Leaky"}, "encryption_passphrase": "photos-passphrase"})
				got := read[exportedFiles](t, a)
				if len(got.Exported) != 1 || !got.Encrypted || got.Secrets || a.Exit != 0 {
					t.Fatalf("%s", a.Result)
				}
				name := id + "-Leaky.json.aes"
				e := got.Exported[0]
				if e.File != name || e.ID != id || e.Where != "the export folder" {
					t.Errorf("%+v", e)
				}
				data, err := os.ReadFile(h.path("export", name))
				if sum := sha256.Sum256(data); err != nil || e.SHA256 != hex.EncodeToString(sum[:]) || e.Bytes != len(data) {
					t.Errorf("the checksum %s is not the file's: %v", e.SHA256, err)
				}
				plain := opened(t, h.path("export", name), photosPassphrase)
				for rest := plain; ; {
					_, after, found := strings.Cut(rest, "canary-")
					if !found {
						break
					}
					t.Errorf("it holds canary-%.20s", after)
					rest = after
				}
				for _, word := range []string{keeps, `"/data/leaky/"`, "keep-versions", "folder=in"} {
					if !strings.Contains(strings.ReplaceAll(plain, `\u0026`, "&"), word) {
						t.Errorf("it lacks %s", word)
					}
				}
				if !json.Valid([]byte(plain)) {
					t.Error("it is no JSON")
				}
				for _, r := range h.nas.Requests() {
					if strings.Contains(r.Path, "/export") && strings.Contains(r.Path, aliases["photos-passphrase"]) {
						t.Error("the passphrase went to the server, in a URL")
					}
				}
			})
		})
	}
}

func TestAnExportWithSecretsOrInClearAsksSomebody(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		h := atHome(t, duplicatitest.Options{Generation: g})
		id := h.nas.AddBackup(leaky("ftp://me:canary-userinfo@host.example/dir?auth-password=canary-url"))
		a, err := h.agreed("export", args{"backups": []string{"Leaky"}, "export_passwords": true, "encryption_passphrase": "photos-passphrase"})
		if err != nil || a.State != tools.StateDone {
			t.Fatalf("%s %v", a.State, err)
		}
		plain := opened(t, h.path("export", id+"-Leaky.json.aes"), photosPassphrase)
		for _, word := range []string{"canary-passphrase", "canary-url", "canary-userinfo", "canary-mail"} {
			if !strings.Contains(plain, word) {
				t.Errorf("it lacks %s", word)
			}
		}
		if effects := strings.Join(a.Plan.Effects, " "); !strings.Contains(effects, "has the passphrases and the storage credentials") {
			t.Errorf("%s", effects)
		}
		a, err = h.agreed("export", args{"backups": []string{"Leaky"}, "unencrypted": true})
		if err != nil || a.State != tools.StateDone {
			t.Fatalf("%s %v", a.State, err)
		}
		if plain := opened(t, h.path("export", id+"-Leaky.json"), secret.Value{}); strings.Contains(plain, "canary") || !strings.Contains(plain, "/data/leaky/") {
			for _, line := range strings.Split(plain, "\n") {
				if strings.Contains(line, "canary") {
					t.Error(line)
				}
			}
			t.Error("it holds secrets, or no sources")
		}
		h.refused("export", args{"backups": []string{"Leaky"}, "unencrypted": true, "encryption_passphrase": "photos-passphrase"}, tools.InvalidArgument, "do not go together", "nothing was done")
		// A terminal that has no passphrase to give is told so.
		h.refused("export", args{"backups": []string{"Leaky"}}, tools.SecretNeeded, "encryption_passphrase", "nothing was done")
		h.refused("export", args{"backups": []string{"Leaky"}, "encryption_passphrase": h.holds(" \t")}, tools.InvalidArgument, "blank", "nothing was exported")
	})
}

func TestExportMatchesExactlyAndNamesFilesSafely(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		h := atHome(t, duplicatitest.Options{Generation: g})
		names := []string{"Photos 2021", "photos", `Clean/../evil \ name`, "..", "new\nline", "<x> *|?", "CON", "naïve – 写真 📷", strings.Repeat("long ", 60), " .hidden. "}
		for _, name := range names {
			h.nas.AddBackup(duplicatitest.Backup{Name: name})
		}
		got := read[exportedFiles](t, h.do("export", args{"backups": []string{"1"}, "encryption_passphrase": "photos-passphrase"}))
		if len(got.Exported) != 1 || got.Exported[0].Name != "Photos 2021" {
			t.Errorf("export 1: %+v", got.Exported)
		}
		h.refused("export", args{"backups": []string{"Photo"}, "encryption_passphrase": "photos-passphrase"}, tools.NotFound, "did you mean", "nothing was done")
		got = read[exportedFiles](t, h.do("export", args{"backups": []string{"PHOTOS", "2"}, "encryption_passphrase": "photos-passphrase"}))
		if len(got.Exported) != 1 || got.Exported[0].Name != "photos" {
			t.Errorf("export PHOTOS 2: %+v", got.Exported)
		}
		a := h.do("export", args{"backups": []string{"All"}, "encryption_passphrase": "photos-passphrase"})
		got = read[exportedFiles](t, a)
		if len(got.Exported) != len(names)-2 || len(got.Skipped) != 2 || a.Exit != 2 || a.View.Tone == tools.Good {
			t.Errorf("exit %d %s: %+v", a.Exit, a.View.Tone, got)
		}
		files, err := os.ReadDir(h.path("export"))
		if err != nil || len(files) != len(names) {
			t.Fatalf("%d files, %v", len(files), err)
		}
		for _, f := range files {
			opened(t, h.path("export", f.Name()), photosPassphrase)
			if strings.ContainsAny(f.Name(), "/\\\n<>*|?") || strings.Contains(f.Name(), "..") || len(f.Name()) > 150 {
				t.Errorf("a file is called %q", f.Name())
			}
		}
		if outside, err := filepath.Glob(h.path("*.json*")); err != nil || len(outside) != 0 {
			t.Errorf("outside the folder: %v", outside)
		}

		old, err := os.ReadFile(h.path("export", "2-photos.json.aes"))
		if err != nil {
			t.Fatal(err)
		}
		a = h.do("export", args{"backups": []string{"2"}, "encryption_passphrase": h.holds("another")})
		if now, _ := os.ReadFile(h.path("export", "2-photos.json.aes")); string(now) != string(old) || a.Exit != 2 {
			t.Errorf("a file that was there: exit %d, changed %t", a.Exit, string(now) != string(old))
		}
		a = h.do("export", args{"backups": []string{"2"}, "encryption_passphrase": h.holds("another"), "overwrite": true, "destination": h.path("export")})
		if a.Exit != 0 {
			t.Errorf("%s", a.Result)
		}
		opened(t, h.path("export", "2-photos.json.aes"), secret.New("another"))
	})
}

func TestAnExportIsWholeOrNotThere(t *testing.T) {
	for name, fault := range map[string]duplicatitest.Fault{
		"the second is cut":      {CutReply: 200},
		"the second is reset":    {Reset: true},
		"the second is a page":   duplicatitest.BadGateway(),
		"the second is half":     {Replace: func(s int, _ http.Header, b []byte) (int, []byte) { return s, b[:len(b)/2] }},
		"the second is no file":  {Replace: func(s int, _ http.Header, b []byte) (int, []byte) { return s, []byte(`{"Success":true}`) }},
		"the second is repeated": {Replace: func(s int, _ http.Header, b []byte) (int, []byte) { return s, append(b, b...) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := atHome(t, duplicatitest.Options{})
			h.nas.AddBackup(duplicatitest.Backup{Name: "One"})
			h.nas.AddBackup(duplicatitest.Backup{Name: "Two"})
			fault.Method, fault.Prefix = "GET", "/api/v1/backup/2/export"
			h.nas.Inject(fault)
			_, err := h.Run(h.ann, "export", args{"backups": []string{"all"}, "encryption_passphrase": "photos-passphrase"})
			if code := tools.CodeOf(err); err == nil || code == tools.Internal {
				t.Errorf("%v", err)
			}
			if files, err := os.ReadDir(h.path("export")); err != nil || len(files) != 0 {
				t.Errorf("%v %v", files, err)
			}
		})
	}
}

func TestAnExportGoesWhereATerminalWantsIt(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	id := h.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	folder := t.TempDir()
	a := h.do("export", args{"backups": []string{id}, "encryption_passphrase": "photos-passphrase", "destination": folder})
	opened(t, filepath.Join(folder, id+"-Photos.json.aes"), photosPassphrase)
	has(t, a.Result, `"where":"`+folder)
	h.refused("export", args{"backups": []string{id}, "encryption_passphrase": "photos-passphrase", "destination": filepath.Join(folder, "missing")}, tools.NotFound, "nothing was written")

	// An assistant can name no folder.
	_, err := h.Run(toolstest.AnnsAssistant, "export", args{"backups": []string{id}, "encryption_passphrase": "photos-passphrase", "destination": folder})
	wantError(t, nil, err, tools.InvalidArgument, "no argument", "nothing was done")
}

func TestAnAssistantsExportTakesThePassphraseFromAPage(t *testing.T) {
	h := atHome(t, duplicatitest.Options{}, toolstest.WithPages())
	id := h.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	answer, err := h.Run(toolstest.AnnsAssistant, "export", args{"backups": []string{"Photos"}})
	if err != nil || answer.Status != tools.Pending || answer.Approval.State != tools.StateInput {
		t.Fatalf("%+v %v", answer, err)
	}
	a, err := h.Desk.Provide(context.Background(), answer.Approval.ID, "encryption_passphrase", secret.New("from a page"))
	if err != nil || a.State != tools.StateDone {
		t.Fatalf("%s %v", a.State, err)
	}
	opened(t, h.path("export", id+"-Photos.json.aes"), secret.New("from a page"))
}

func TestAGeneratedPassphraseOpensWhatItWasMadeFor(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	id := h.nas.AddBackup(duplicatitest.Backup{Name: "Photos"})
	a := h.do("export", args{"backups": []string{"Photos"}, "encryption_passphrase": "generate"})
	has(t, a.Result, `"passphrase_kept":"keyring item`)
	word, err := h.Desk.Fetch(context.Background(), h.ann, a.Kept[0].Handle)
	if err != nil {
		t.Fatal(err)
	}
	opened(t, h.path("export", id+"-Photos.json.aes"), word)
	if strings.Contains(string(a.Result), word.Reveal()) {
		t.Error("the answer holds it")
	}
}
