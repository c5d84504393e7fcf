package duplicatitest_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/aescrypt"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
)

// export fetches a backup's configuration file.
func (c *client) export(id, query string) *reply {
	c.t.Helper()
	var issued struct{ Token string }
	c.do("POST", "/api/v1/auth/issuetoken/export", "").decode(c.t, &issued)
	return c.do("GET", "/api/v1/backup/"+id+"/export?token="+issued.Token+query, "")
}

func importBody(file string, more string) string {
	return `{"config":"` + base64.StdEncoding.EncodeToString([]byte(file)) + `","direct":true` + more + `}`
}

func TestExportsWithoutPasswordsKeepWhatTheGenerationKeeps(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		id := c.AddBackup(duplicatitest.Backup{
			Name: "Photos", Passphrase: "hidden words", TargetURL: "file://user:inurl@host/dst?auth-password=inquery",
			Settings: []string{"--send-mail-password=mailword"},
		})
		c.login()
		file := c.export(id, "").Body
		old := strings.HasSuffix(t.Name(), "2.1") || strings.HasSuffix(t.Name(), "2.2")
		for word, want := range map[string]bool{"hidden words": false, "mailword": false, "inurl": true, "inquery": !old} {
			if strings.Contains(file, word) != want {
				t.Errorf("%q in the file: %v, want %v", word, !want, want)
			}
		}
		if with := c.export(id, "&export-passwords=True").Body; !strings.Contains(with, "hidden words") || !strings.Contains(with, "inquery") {
			t.Errorf("with passwords: %s", with)
		}
	})
}

func TestAnEncryptedExportComesBackThroughAnImport(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		id := c.AddBackup(duplicatitest.Backup{Name: "Ü / \"x\"", Every: "1D", Next: c.Clock().Now().Add(time.Hour)})
		c.login()
		r := c.export(id, "&passphrase=file%20words&export-passwords=true")
		if _, err := aescrypt.Decrypt([]byte(r.Body), secret.New("file words")); err != nil {
			t.Fatal(err)
		}
		if got := r.Header.Get("Content-Disposition"); !strings.HasSuffix(got, ".aes") || strings.Contains(got, `"`) {
			t.Errorf("Content-Disposition %s", got)
		}
		c.do("POST", "/api/v1/backups/import", importBody(r.Body, `,"passphrase":"wrong"`)).
			want(t, 500, `{"Error":"Failed to import backup: Invalid password or corrupted data","Code":500}`)
		c.do("POST", "/api/v1/backups/import", importBody(r.Body, `,"passphrase":"file words"`)).want(t, 200, `{"Id":"2","data":null}`)
		var got struct {
			Schedule struct{ Repeat string }
			Backup   struct{ Name string }
		}
		c.get("/api/v1/backup/2", &got)
		if got.Backup.Name != "Ü / \"x\" (1)" || got.Schedule.Repeat != "1D" {
			t.Errorf("%+v", got)
		}
	})
}

func TestReplaceSettingsIsHeededSince23AndIgnoredBefore(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		id := c.AddBackup(duplicatitest.Backup{Name: "Photos", TargetURL: "file:///theirs"})
		c.login()
		file := c.export(id, "&export-passwords=true").Body
		c.do("POST", "/api/v1/backups/import", importBody(file, `,"replace_settings":{"targeturl":"file:///ours","settings.passphrase":"ours","nonsense":"x"}`)).
			want(t, 200, `{"Id":"2","data":null}`)
		var got struct{ Backup struct{ TargetURL string } }
		c.get("/api/v1/backup/2", &got)
		want := "file:///ours"
		if strings.HasSuffix(t.Name(), "2.1") || strings.HasSuffix(t.Name(), "2.2") {
			want = "file:///theirs"
		}
		if got.Backup.TargetURL != want {
			t.Errorf("target %s, want %s", got.Backup.TargetURL, want)
		}
	})
}

func TestImportsThatStoreNothing(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	id := c.AddBackup(duplicatitest.Backup{Name: "Photos"})
	c.login()
	file := c.export(id, "&export-passwords=true").Body
	parsed := strings.Replace(importBody(file, ""), `"direct":true`, `"direct":false`, 1)
	if r := c.do("POST", "/api/v1/backups/import", parsed); r.Status != 200 || !strings.HasPrefix(r.Body, `{"Id":null,"data":{"CreatedByVersion":`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	for body, want := range map[string]string{
		importBody(file, `,"cmdline":true`):            "Import from commandline not yet implemented",
		importBody("<html>", ""):                       "Unexpected character encountered while parsing value: <. Path '', line 0, position 0.",
		importBody("", ""):                             "Object reference not set to an instance of an object.",
		importBody(`{"Backup":null}`, ""):              "No backup found in document",
		importBody(`{"Backup":{"Name":" "}}`, ""):      "Missing a name",
		importBody("AES", ""):                          "Empty passphrase not allowed (Parameter 'passphrase')",
		importBody("AES\x02\x00", `,"passphrase":"x"`): "Invalid password or corrupted data",
	} {
		var failed struct{ Error string }
		r := c.do("POST", "/api/v1/backups/import", body)
		r.decode(t, &failed)
		if r.Status != 500 || failed.Error != "Failed to import backup: "+want {
			t.Errorf("%d %s, want %q", r.Status, r.Body, want)
		}
	}
	var list []json.RawMessage
	c.get("/api/v1/backups", &list)
	if len(list) != 1 {
		t.Errorf("%d backups, want 1", len(list))
	}
	c.do("POST", "/api/v1/backups/import", importBody(file, `,"temporary":true`))
	if c.get("/api/v1/backups", &list); len(list) != 1 {
		t.Errorf("a temporary one is listed: %d", len(list))
	}
}

func TestAnUpdateReplacesEverythingButMaskedValuesAndMetadata(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	id := c.AddBackup(duplicatitest.Backup{
		Name: "Photos", Passphrase: "kept words", Every: "1D", Next: c.Clock().Now().Add(time.Hour), Runs: []duplicatitest.Run{{Ago: time.Hour}},
	})
	c.login()
	update := func(passphrase string) *reply {
		return c.do("PUT", "/api/v1/backup/"+id, `{"Backup":{"Name":"New","TargetURL":"file:///new","Sources":["/new/"],"Settings":[{"Name":"passphrase","Value":"`+passphrase+`"}]}}`)
	}
	update("****").want(t, 200, "")
	if file := c.export(id, "&export-passwords=true").Body; !strings.Contains(file, "kept words") {
		t.Error("the passphrase is lost")
	}
	var got struct {
		Schedule *struct{}
		Backup   struct{ Metadata map[string]string }
	}
	c.get("/api/v1/backup/"+id, &got)
	if got.Schedule != nil || got.Backup.Metadata["LastBackupDate"] == "" {
		t.Errorf("schedule %v, metadata %v", got.Schedule, got.Backup.Metadata)
	}
	update("***").want(t, 200, "") // three asterisks are a value
	if file := c.export(id, "&export-passwords=true").Body; !strings.Contains(file, `"***"`) {
		t.Error("three asterisks were taken for a mask")
	}
	c.do("POST", "/api/v1/backups", `{"Backup":{"Name":"Other","TargetURL":"file:///new","Sources":["/new/"],"Settings":[{"Name":"passphrase","Value":"***************"}]}}`).
		want(t, 400, `{"Error":"Settings is password placeholder value","Code":400}`)
}

func TestPasswordsAndSettings(t *testing.T) {
	c := start(t, duplicatitest.Options{})
	s := c.login()
	c.do("PATCH", "/api/v1/serversettings", `{"jwt-config":"x","max-upload-speed":true,"--passphrase":"in clear","startup-delay":null}`).want(t, 200, "")
	var settings map[string]string
	c.get("/api/v1/serversettings", &settings)
	if settings["max-upload-speed"] != "True" || settings["--passphrase"] != "in clear" || settings["jwt-config"] != "" {
		t.Errorf("%v", settings)
	}
	c.do("PUT", "/api/v1/serversetting/server-passphrase", `"next password"`).want(t, 200, "")
	if r := c.do("GET", "/api/v1/serverstate", ""); r.Status != 200 {
		t.Errorf("a changed password ended a session: %d", r.Status)
	}
	if r := c.refresh(s); r.Status != 200 {
		t.Errorf("a changed password ended a refresh: %d", r.Status)
	}
	c.do("PUT", "/api/v1/serversetting/server-passphrase", `12`).want(t, 400, "")
	c.do("PUT", "/api/v1/serversetting/server-passphrase", `"  "`).want(t, 500, `{"Error":"An error occurred","Code":500}`)
	c.do("GET", "/api/v1/serversetting/server-passphrase", "").want(t, 404, `{"Error":"Key not found","Code":404}`)
	c.token = ""
	c.do("POST", "/api/v1/auth/login", `{"Password":"correct-password"}`).want(t, 401, `{"Error":"Failed to log in","Code":401}`)
}

func TestAFreshServerHoldsNothingAndTellsItsGeneration(t *testing.T) {
	eachGeneration(t, func(t *testing.T, c *client) {
		c.login()
		for _, path := range []string{"backups", "tasks", "notifications", "logdata/log"} {
			c.do("GET", "/api/v1/"+path, "").want(t, 200, "[]")
		}
		var info struct {
			ServerVersion string
			APIExtensions []string
		}
		c.get("/api/v1/systeminfo", &info)
		want := map[string]string{"2.1": "2.1.0.5", "2.2": "2.2.0.3", "2.3.0": "2.3.0.4", "2.3.1": "1.0.0.0"}
		g := t.Name()[strings.LastIndexByte(t.Name(), '/')+1:]
		if info.ServerVersion != want[g] || (len(info.APIExtensions) == 0) != (g == "2.1") {
			t.Errorf("%+v", info)
		}
	})
}
