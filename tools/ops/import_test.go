package ops_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/duplicati/aescrypt"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
	"github.com/duplibot/duplibot/tools/toolstest"
)

// exportFile is an exported configuration with changes.
func exportFile(change func(backup map[string]any)) string {
	backup := map[string]any{
		"ID": "7", "Name": "Office", "Description": "nightly", "Tags": []string{},
		"TargetURL": "s3://corp/office?auth-username=canary-id&auth-password=canary-word",
		"Sources":   []string{"/srv/office/", "@/mail|imap://me:canary-mail@mail.example/in?auth-password=canary-imap"},
		"Settings": []map[string]any{
			{"Filter": "", "Name": "encryption-module", "Value": "aes"}, {"Filter": "", "Name": "passphrase", "Value": "canary-passphrase"},
			{"Filter": "", "Name": "keep-versions", "Value": "14"}},
		"Filters": []any{}, "Metadata": map[string]any{}, "AdditionalTargetURLs": []any{},
	}
	if change != nil {
		change(backup)
	}
	b, err := json.MarshalIndent(map[string]any{"CreatedByVersion": "2.3.1.0", "Backup": backup, "DisplayNames": map[string]any{},
		"Schedule": map[string]any{"ID": 4, "Tags": []string{"ID=7"}, "Time": "2031-09-01T02:30:00Z", "Repeat": "1D", "LastRun": "2026-08-31T02:30:00Z",
			"Rule": "AllowedWeekDays=Monday,Friday", "AllowedDays": []string{"Monday", "Friday"}}}, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(b)
}

func with(name, value string) func(map[string]any) {
	return func(b map[string]any) {
		b["Settings"] = append(b["Settings"].([]map[string]any), map[string]any{"Filter": "", "Name": name, "Value": value})
	}
}

func sealed(t *testing.T, plain, passphrase string) string {
	t.Helper()
	b, err := aescrypt.Encrypt([]byte(plain), secret.New(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// brings puts a file into the import folder.
func (h *home) brings(name, content string) string {
	h.t.Helper()
	if err := os.WriteFile(h.path("import", name), []byte(content), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return name
}

func replacesOnImport(g string) bool { return g == "2.3.0" || g == "2.3.1" }

func TestAnImportShowsWhatTheFileWouldDo(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		h := atHome(t, duplicatitest.Options{Generation: g})
		content := sealed(t, exportFile(nil), aliases["photos-passphrase"])
		file := h.brings("office.json.aes", content)
		h.nas.AddBackup(duplicatitest.Backup{Name: "There", TargetURL: "s3://corp/office?auth-username=other"})
		p := h.plan("import", args{"file": file, "passphrase": "photos-passphrase"})
		sum := sha256.Sum256([]byte(content))
		got := facts(p)
		for name, want := range map[string]string{
			"file, SHA-256": hex.EncodeToString(sum[:]), "name": "Office", "destination": "s3://corp", "encrypted file": "yes",
			"sources": "/srv/office/", "runs": `every "1D" on Monday, Friday, next 2031-09-01`, "options": "encryption-module, passphrase, keep-versions", "others at this destination": `"There"`, "exported by": "2.3.1.0",
		} {
			if !strings.Contains(got[name], want) {
				t.Errorf("%s is %q, want %q in it", name, got[name], want)
			}
		}
		shown, err := json.Marshal(p)
		if err != nil || strings.Contains(string(shown), "canary") || strings.Contains(string(shown), "corp/office") {
			t.Errorf("%s %v", shown, err)
		}
		effects := strings.Join(p.Effects, "\n")
		if !strings.Contains(effects, `new backup "Office" that stores to s3://corp`) || !strings.Contains(effects, "starts by itself") {
			t.Errorf("%s", effects)
		}
		if n := h.nas.Count("POST", "/api/v1/backups"); n != 0 {
			t.Errorf("a plan sent %d calls", n)
		}
	})
}

func TestAnImportCreatesTheBackupThatWasShown(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		h := atHome(t, duplicatitest.Options{Generation: g})
		for i, content := range []string{exportFile(nil), sealed(t, exportFile(func(b map[string]any) { b["Name"] = "Sealed" }), "a passphrase")} {
			a := args{"file": h.brings(fmt.Sprintf("f%d", i), content)}
			if i == 1 {
				a["passphrase"] = h.holds("a passphrase")
			}
			done, err := h.agreed("import", a)
			if err != nil || done.State != tools.StateDone || done.View.Tone != tools.Good {
				t.Fatalf("%s %+v %v", done.State, done.View, err)
			}
			name := []string{"Office", "Sealed"}[i]
			has(t, done.Result, fmt.Sprintf(`"name":"%s"`, name), `"destination":{"scheme":"s3","host":"corp"`, `"schedule":"every 1D on Mon, Fri"`)
			b, err := h.around().client.Backup(t.Context(), fmt.Sprint(i+1))
			if err != nil || b.Name != name || !strings.Contains(b.TargetURL.Reveal(), "canary-word") {
				t.Errorf("%+v %v", b, err)
			}
		}
		// The server got the very bytes.
		for _, r := range h.nas.Requests() {
			if strings.HasSuffix(r.Path, "/backups/import") && !strings.Contains(r.Body, `"direct":true`) {
				t.Errorf("sent %.80s", r.Body)
			}
		}
	})
}

func TestWhatStandsAgainstAnImportIsSaidInFourClearAnswers(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		h := atHome(t, duplicatitest.Options{Generation: g})
		h.nas.AddBackup(duplicatitest.Backup{Name: "office"})
		plain := h.brings("plain", exportFile(nil))
		other := h.brings("other", exportFile(func(b map[string]any) { b["Name"] = "Other" }))
		locked := h.brings("locked", sealed(t, exportFile(nil), "right"))

		h.refused("import", args{"file": locked}, tools.SecretNeeded, "the file is encrypted", "nothing was imported", "passphrase")
		h.refused("import", args{"file": locked, "passphrase": h.holds("wrong")}, tools.WrongPassphrase, "does not open the file", "nothing was imported")
		e := h.refused("import", args{"file": plain}, tools.Conflict, `nas has a backup "office" (1) already`, "nothing was imported")
		if replacesOnImport(g) != strings.Contains(e.Error(), "--name") {
			t.Errorf("%s", e)
		}
		// An override is only offered where the server does it.
		for _, override := range []args{{"name": "New"}, {"backup_url": "new-target"}, {"backup_passphrase": "photos-passphrase"}} {
			override["file"] = other
			if replacesOnImport(g) {
				h.plan("import", override)
				continue
			}
			h.refused("import", override, tools.Unsupported, "takes target, passphrase and name from the file whatever is asked for", "nothing was imported", "servers from 2.3.0 on")
		}
		if n := h.nas.Count("POST", "/api/v1/backups"); n != 0 {
			t.Errorf("%d calls were sent", n)
		}
	})
}

func TestWhatAnImportReplacesIsReplaced(t *testing.T) {
	for _, g := range []string{"2.3.0", "2.3.1"} {
		t.Run(g, func(t *testing.T) {
			t.Parallel()
			h := atHome(t, duplicatitest.Options{Generation: g})
			h.nas.AddBackup(duplicatitest.Backup{Name: "Office"})
			// Without its passphrase the server would refuse it.
			stripped := h.brings("stripped", exportFile(func(b map[string]any) { b["Settings"] = b["Settings"].([]map[string]any)[:1] }))
			h.refused("import", args{"file": stripped, "name": "New"}, tools.SecretNeeded, "does not hold its passphrase", "--backup-passphrase")
			a, err := h.agreed("import", args{"file": stripped, "name": "New", "backup_url": "new-target", "backup_passphrase": "photos-passphrase"})
			if err != nil || a.View.Tone != tools.Good {
				t.Fatalf("%+v %v", a.View, err)
			}
			effects := strings.Join(a.Plan.Effects, "\n")
			for _, want := range []string{`"New" that stores to s3://bucket`, "its passphrase is another than in the file", "its storage is another than in the file"} {
				if !strings.Contains(effects, want) {
					t.Errorf("%q is not among the effects:\n%s", want, effects)
				}
			}
			b, err := h.around().client.Backup(t.Context(), "2")
			if err != nil || b.Name != "New" || !strings.HasPrefix(b.TargetURL.Reveal(), "s3://bucket/new") {
				t.Errorf("%+v %v", b, err)
			}
			export := h.do("export", args{"backups": []string{"New"}, "encryption_passphrase": "photos-passphrase"})
			if export.Exit != 0 {
				t.Errorf("%s", export.Result)
			}
		})
	}
	t.Run("a file without its passphrase on an old server", func(t *testing.T) {
		h := atHome(t, duplicatitest.Options{Generation: "2.2"})
		stripped := h.brings("stripped", exportFile(func(b map[string]any) { b["Settings"] = b["Settings"].([]map[string]any)[:1] }))
		h.refused("import", args{"file": stripped}, tools.SecretNeeded, "does not hold its passphrase", "export it with its passwords")
	})
}

func TestAFileThatRunsProgramsIsRefusedUnlessATerminalAllowsIt(t *testing.T) {
	option := func(name string) func(map[string]any) { return with(name, "/tmp/x.sh") }
	for name, change := range map[string]func(map[string]any){
		"run-script-before":          option("run-script-before"),
		"run-script-before-required": option("--run-script-before-required"),
		"run-script-after":           option("--Run-Script-After"),
		"parameters-file":            option("--parameters-file"),
		"rclone-executable":          option("--rclone-executable"),
		"gpg-program-path":           option("--gpg-program-path"),
		"secret-provider":            option("--secret-provider"),
		"with blanks":                option(" --run-script-before "),
		"in the target": func(b map[string]any) {
			b["TargetURL"] = "s3://corp/office?%72un-script-before=/tmp/x.sh&auth-username=u"
		},
		"in another target": func(b map[string]any) {
			b["AdditionalTargetURLs"] = []any{map[string]any{"TargetUrl": "file:///mnt?run-script-after=/tmp/x.sh", "Mode": "inline"}}
		},
		"in the options of another target": func(b map[string]any) {
			b["AdditionalTargetURLs"] = []any{map[string]any{"TargetUrl": "file:///mnt", "Mode": "inline", "Options": `{"--run-script-after":"/tmp/x.sh"}`}}
		},
		"in a source": func(b map[string]any) {
			b["Sources"] = []string{"@/x|ssh://host/x?run-script-before=/tmp/x.sh"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := atHome(t, duplicatitest.Options{})
			file := h.brings("file", exportFile(change))
			e := h.refused("import", args{"file": file}, tools.Denied, "make the server run programs", "nothing was imported", "--allow-scripts")
			if strings.Contains(e.Error(), "/tmp/x.sh") {
				t.Errorf("%s", e)
			}
			p := h.plan("import", args{"file": file, "allow_scripts": true})
			if facts(p)["runs programs"] == "" || !strings.Contains(strings.Join(p.Effects, "\n"), "the server runs programs that the file names") {
				t.Errorf("%v %v", facts(p), p.Effects)
			}
			_, err := h.Run(toolstest.AnnsAssistant, "import", args{"file": file, "allow_scripts": true})
			wantError(t, nil, err, tools.InvalidArgument, `no argument "allow_scripts"`)
		})
	}
}

// withKey is a configuration whose settings run a program, and beside them
// others under a key that looks like theirs.
func withKey(key string) string {
	return exportFile(func(b map[string]any) {
		with("run-script-before", "/tmp/x.sh")(b)
		b[key] = []any{}
	})
}

func secondTarget(options string) func(map[string]any) {
	return func(b map[string]any) {
		b["AdditionalTargetURLs"] = []any{map[string]any{"TargetUrl": "file:///mnt", "Mode": "inline", "Options": options}}
	}
}

func TestAFileThatIsNoConfigurationIsRefused(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	whole := sealed(t, exportFile(nil), "right")
	for name, c := range map[string]struct {
		content string
		words   string
	}{
		"empty":     {"", "empty"},
		"text":      {"hello", "no JSON"},
		"list":      {"[]", "no object"},
		"no backup": {`{"Schedule":null}`, "no backup"},
		"twice":     {`{"Backup":{"Name":"a","name":"b"}}`, "stands twice"},
		// encoding/json takes the second for the first, and a server does not.
		"long s":    {withKey("\u017fettings"), "stands twice"},
		"kelvin":    {`{"Backup":{"Name":"a"},"Bac\u212aup":{"Name":"b"}}`, "stands twice"},
		"in a text": {exportFile(secondTarget(`{"a":1,"a":2,"run-script-after":"/tmp/x.sh"}`)), "stands twice"},
		"odd text":  {exportFile(secondTarget(`/**/{'run-script-after':'/tmp/x.sh'}`)), "no JSON"},
		"list text": {exportFile(secondTarget(`[{"Name":"run-script-after"}]`)), "no object"},
		"two":       {exportFile(nil) + exportFile(nil), "something follows"},
		"wrong":     {`{"Backup":{"Name":7}}`, "not of the kind"},
		"cut":       {whole[:len(whole)-40], "damaged"},
		"flipped":   {whole[:len(whole)-50] + "X" + whole[len(whole)-49:], "damaged"},
		"deep":      {strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100), "nested too deep"},
		"huge":      {strings.Repeat(" ", 9<<20), "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			h.brings(name, c.content)
			a := args{"file": name}
			if strings.HasPrefix(c.content, "AES") {
				a["passphrase"] = h.holds("right")
			}
			h.refused("import", a, tools.InvalidArgument, c.words, "nothing was")
		})
	}
	h.refused("import", args{"file": "absent"}, tools.NotFound, "nothing was")
	_, err := h.Run(toolstest.AnnsAssistant, "import", args{"file": h.path("import", "text")})
	if tools.CodeOf(err) == tools.Internal || err == nil {
		t.Errorf("a path from an assistant: %v", err)
	}
	_, err = h.Run(toolstest.AnnsAssistant, "import", args{"file": "../password"})
	if tools.CodeOf(err) == tools.Internal || err == nil {
		t.Errorf("a way out of the folder: %v", err)
	}
}

func TestAnotherFileThanTheOneThatWasShownIsNotImported(t *testing.T) {
	h := atHome(t, duplicatitest.Options{})
	file := h.brings("file", exportFile(nil))
	request := h.asked("import", args{"file": file}).Approval.ID
	h.brings("file", exportFile(func(b map[string]any) { b["Description"] = "changed" }))
	a, err := h.Decide(toolstest.BobAtTerminal, request, true)
	wantError(t, a, err, tools.Changed, "file, SHA-256 was", "nothing was done")

	// The name was free when it was shown.
	request = h.asked("import", args{"file": file}).Approval.ID
	h.nas.AddBackup(duplicatitest.Backup{Name: "OFFICE"})
	a, err = h.Decide(toolstest.BobAtTerminal, request, true)
	wantError(t, a, err, tools.Conflict, `has a backup "OFFICE"`, "nothing was imported")
	if n := h.nas.Count("POST", "/api/v1/backups/import"); n != 0 {
		t.Errorf("%d imports were sent", n)
	}
}

func TestWhatWasExportedCanBeImported(t *testing.T) {
	on(t, func(t *testing.T, g string) {
		h := atHome(t, duplicatitest.Options{Generation: g})
		h.nas.AddBackup(leaky("ftp://me:canary-userinfo@host.example/dir?auth-password=canary-url"))
		if _, err := h.agreed("export", args{"backups": []string{"all"}, "export_passwords": true, "encryption_passphrase": "photos-passphrase"}); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(h.path("export", "1-Leaky.json.aes"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.agreed("delete", args{"backup": "Leaky"}); err != nil {
			t.Fatal(err)
		}
		a, err := h.agreed("import", args{"file": h.brings("1-Leaky.json.aes", string(content)), "passphrase": "photos-passphrase"})
		if err != nil || a.View.Tone != tools.Good {
			t.Fatalf("%+v %v", a.View, err)
		}
		b, err := h.around().client.Backup(t.Context(), "2")
		if err != nil || b.TargetURL.Reveal() != "ftp://me:canary-userinfo@host.example/dir?auth-password=canary-url" {
			t.Errorf("%v", err)
		}
	})
}
