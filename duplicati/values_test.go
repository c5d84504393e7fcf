package duplicati_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/secret"
)

// find returns the exchanges of a recording that f picks.
func find(t *testing.T, version string, f func(e exchange, u *url.URL) bool) []exchange {
	t.Helper()
	var out []exchange
	lines(t, version, func(e exchange) {
		if u, err := url.Parse(e.Request.Path); err == nil && f(e, u) {
			out = append(out, e)
		}
	})
	if len(out) == 0 {
		t.Fatalf("%s: nothing of that kind was recorded", version)
	}
	return out
}

func TestTheGenerationIsToldFromTheServersOwnWords(t *testing.T) {
	for version, want := range recorded {
		for _, e := range find(t, version, func(e exchange, u *url.URL) bool { return u.Path == "/api/v1/systeminfo" }) {
			p, c := newPlayer(t, "")
			p.now = e
			info, err := c.With(fixed{}).Info(context.Background())
			if err != nil || info.Generation != want {
				t.Errorf("%s %s: %v, %v; want %s", version, e.place, info.Generation, err, want)
			}
			if c.Known() != want {
				t.Errorf("the client does not remember the generation")
			}
			if info.Machine != "backup-host" || info.OS != "Linux" || info.Time.IsZero() {
				t.Errorf("%s: %+v", version, info)
			}
		}
	}
}

func TestHiddenExtensionsAndOddVersionsAreBelievedToTheLesser(t *testing.T) {
	all := `["v2:backup:list-filesets","v2:system:temp-disk-space","v2:backup:list-broken-files"]`
	for _, c := range []struct {
		version, extensions string
		want                duplicati.Generation
	}{
		{"2.3.1.0", all, duplicati.G231},
		{"2.4.0.0", all, duplicati.G231},
		{"3.0.0.0", all, duplicati.G231},
		{"1.0.0.0", all, duplicati.G231},
		{"2.3.1.0", `["v2:system:temp-disk-space"]`, duplicati.G230},
		{"2.3.1.0", `[]`, duplicati.G22},
		{"2.3.0.107", all, duplicati.G230},
		{"2.2.0.105", `["v2:system:temp-disk-space"]`, duplicati.G22},
		{"2.1.0.118", `["v2:backup:list-filesets"]`, duplicati.G21},
		{"2.1.0.5", `null`, duplicati.G21},
		{"1.0.0.0", `[]`, duplicati.G22},
		{"2.0.8.1", `null`, ""},
	} {
		t.Run(c.version+" with "+c.extensions, func(t *testing.T) {
			p, client := newPlayer(t, "")
			p.now = idle
			p.now.Response.Body = fmt.Sprintf(`{"ServerVersion":%q,"APIExtensions":%s}`, c.version, c.extensions)
			info, err := client.With(fixed{}).Info(context.Background())
			if c.want == "" {
				if duplicati.KindOf(err) != duplicati.Unsupported || !strings.Contains(err.Error(), "2.0") {
					t.Fatalf("got %v, want a 2.0 server refused in words", err)
				}
				return
			}
			if err != nil || info.Generation != c.want {
				t.Fatalf("got %q, %v; want %s", info.Generation, err, c.want)
			}
		})
	}
}

func TestNothingOfAStorageURLButSchemeHostAndDigestIsShown(t *testing.T) {
	for version := range recorded {
		for _, e := range find(t, version, func(e exchange, u *url.URL) bool {
			return e.Request.Method == "GET" && e.Response.Status == 200 && strings.HasPrefix(u.Path, "/api/v1/backup") && strings.Contains(e.Response.Body, "canary-secret") &&
				(u.Path == "/api/v1/backups" || strings.Count(u.Path, "/") == 4)
		}) {
			p, c := newPlayer(t, recorded[version])
			p.now = e
			var list []duplicati.Backup
			var err error
			if u, _ := url.Parse(e.Request.Path); u.Path == "/api/v1/backups" {
				list, err = c.With(fixed{}).Backups(context.Background())
			} else {
				var b duplicati.Backup
				b, err = c.With(fixed{}).Backup(context.Background(), strings.TrimPrefix(u.Path, "/api/v1/backup/"))
				list = append(list, b)
			}
			if err != nil {
				t.Fatal(err)
			}
			if text := fmt.Sprintf("%+v %#v", list, list); strings.Contains(text, "canary") || strings.Contains(text, "correct horse") {
				t.Fatalf("%s %s: a credential shows in %s", version, e.place, text)
			}
			for _, b := range list {
				if b.Destination.Scheme != "file" || len(b.Destination.Digest) != 16 || b.TargetURL.Empty() {
					t.Fatalf("%s %s: %+v", version, e.place, b.Destination)
				}
			}
		}
	}
}

func TestStorageURLsAreCutEvenWhereCredentialsHide(t *testing.T) {
	seen := make(map[string]string)
	for _, c := range []struct{ target, scheme, host string }{
		{"s3://corp-bk/office?auth-username=AK1&auth-password=zz", "s3", "corp-bk"},
		{"ssh://bob:hunter2@NAS.lan:22/backups", "ssh", "nas.lan:22"},
		{"ftp://bob:hun@ter2@nas.lan/x", "ftp", "nas.lan"},
		{"ftp://bob:hunt/er2@nas.lan/x", "ftp", ""},
		{"ftp://bob:12/er2@nas.lan/y", "ftp", ""},
		{"webdavs://[2001:db8::1]:443/dav", "webdavs", "[2001:db8::1]:443"},
		{"file:///data/dst/Photos?auth-password=canary", "file", ""},
		{`file://C:\backups\hunter2`, "file", ""},
		{`\\server\hunter2`, "unknown", ""},
		{"b2://hunter2 hunter2/x", "b2", ""},
		{"://hunter2", "unknown", ""},
		{"", "unknown", ""},
	} {
		p, client := newPlayer(t, duplicati.G231)
		p.now = idle
		p.now.Response.Body = fmt.Sprintf(`[{"Backup":{"ID":"1","Name":"x","TargetURL":%q},"Schedule":null}]`, c.target)
		list, err := client.With(fixed{}).Backups(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		d := list[0].Destination
		if d.Scheme != c.scheme || d.Host != c.host {
			t.Errorf("%q shows as %s; want %s://%s", c.target, d, c.scheme, c.host)
		}
		if other, twice := seen[d.Digest]; twice {
			t.Errorf("%q and %q have one digest", c.target, other)
		}
		seen[d.Digest] = c.target
	}
}

func TestOneFolderHasOneDigestWhateverItsCredentials(t *testing.T) {
	digest := func(target string) string {
		p, client := newPlayer(t, duplicati.G231)
		p.now = idle
		p.now.Response.Body = fmt.Sprintf(`[{"Backup":{"ID":"1","Name":"x","TargetURL":%q},"Schedule":null}]`, target)
		list, err := client.With(fixed{}).Backups(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return list[0].Destination.Digest
	}
	a, b := digest("ssh://bob:one@nas/backups/?x=1"), digest("SSH://ann:two@NAS/backups?x=2")
	if a != b {
		t.Errorf("the same folder has the digests %s and %s", a, b)
	}
	if digest("ssh://bob:one@nas/other") == a {
		t.Error("two folders have one digest")
	}
	key := []byte("key")
	if duplicati.TargetMAC(secret.New("ssh://bob:one@nas/x"), key) == duplicati.TargetMAC(secret.New("ssh://bob:two@nas/x"), key) {
		t.Error("the keyed digest does not see another password")
	}
}

func TestFactsAreReadFromTheMetadata(t *testing.T) {
	for version := range recorded {
		e := find(t, version, func(e exchange, u *url.URL) bool {
			return u.Path == "/api/v1/backups" && strings.Contains(e.place, "success.jsonl") && e.Response.Status == 200 && e.Request.Method == "GET"
		})[0]
		p, c := newPlayer(t, recorded[version])
		p.now = e
		list, err := c.With(fixed{}).Backups(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		photos, clean := list[0], list[1]
		if photos.Name != "Photos" || clean.Name != "Clean" {
			t.Fatalf("%s: %v, %v", version, photos.Name, clean.Name)
		}
		f := photos.Facts
		if f.NeverRan() || *f.Versions != 1 || *f.SourceFiles != 5 || *f.SourceBytes != 10000 || *f.RemoteFiles != 3 || f.QuotaBytes == nil {
			t.Errorf("%s: %+v", version, f)
		}
		if f.LastDuration <= 0 || f.LastFinished.IsZero() || f.LastErrorMessage == "" {
			t.Errorf("%s: %+v", version, f)
		}
		if f.Failing() {
			t.Errorf("%s: an error before the last success makes it fail", version)
		}
		if !clean.Facts.NeverRan() || clean.Facts.Versions != nil || clean.Facts.Failing() {
			t.Errorf("%s: a backup that never ran has facts: %+v", version, clean.Facts)
		}
		if clean.Schedule != nil || photos.Schedule == nil {
			t.Fatalf("%s: schedules %v, %v", version, photos.Schedule, clean.Schedule)
		}
		s := photos.Schedule
		if len(s.Days) != 2 || s.Days[0] != time.Monday || s.Days[1] != time.Friday || s.Repeat != "1D" || !s.LastRun.IsZero() ||
			!s.Next.Equal(time.Date(2027, 1, 1, 2, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %+v", version, s)
		}
		if (photos.DBPathExists == nil) != (version == "2.1.0.5") {
			t.Errorf("%s: DBPathExists is %v", version, photos.DBPathExists)
		}
	}
}

func TestStoppedAbortedAndFailedRunsAreNoSuccessOnAnyGeneration(t *testing.T) {
	want := map[string][]duplicati.Verdict{ // newest row first
		"stop the running one":           {duplicati.Stopped},
		"abort a running one":            {duplicati.Stopped, duplicati.Stopped}, // 2.3.1: interrupted
		"the destination lost its files": {duplicati.Fatal},
	}
	older := map[string][]duplicati.Verdict{"abort a running one": {duplicati.Fatal, duplicati.Stopped}}
	for version, g := range recorded {
		for _, e := range find(t, version, func(e exchange, u *url.URL) bool {
			return strings.HasSuffix(u.Path, "/log") && strings.HasPrefix(u.Path, "/api/v1/backup/") && e.Response.Status == 200
		}) {
			label := e.Label[strings.Index(e.Label, ": ")+2:]
			verdicts, known := want[label]
			if o, ok := older[label]; ok && g != duplicati.G231 {
				verdicts = o
			}
			if !known {
				continue
			}
			p, c := newPlayer(t, g)
			p.now = e
			rows, err := c.With(fixed{}).Log(context.Background(), "3", duplicati.Page{})
			if err != nil {
				t.Fatal(err)
			}
			if g == duplicati.G21 && label == "abort a running one" {
				if len(rows) != 0 {
					t.Errorf("%s: an aborted run left a row", version)
				}
				continue
			}
			for i, v := range verdicts {
				if !rows[i].Result.IsRun() || rows[i].Result.Verdict() != v {
					t.Errorf("%s %s: row %d is %s, want %s", version, e.place, i, rows[i].Result.Verdict(), v)
				}
			}
		}
	}
}

func TestATaskThatEndedSaysOnlyWhatTheServerKnows(t *testing.T) {
	for version, g := range recorded {
		for _, e := range find(t, version, func(e exchange, u *url.URL) bool {
			return strings.HasPrefix(u.Path, "/api/v1/task/") && e.Request.Method == "GET" && strings.Contains(e.Response.Body, `"Status":"Completed"`)
		}) {
			p, c := newPlayer(t, g)
			p.now = e
			u, _ := url.Parse(e.Request.Path)
			task, err := c.With(fixed{}).Task(context.Background(), number(strings.TrimPrefix(u.Path, "/api/v1/task/")))
			if err != nil {
				t.Fatal(err)
			}
			want := duplicati.Completed
			if g == duplicati.G21 {
				want = duplicati.Ended
			}
			if task.Status != want || !task.Status.Over() {
				t.Errorf("%s %s: %s, want %s", version, e.place, task.Status, want)
			}
		}
	}
}

func TestAWaitingTaskIsNotListedAsRunning(t *testing.T) {
	for version, g := range recorded {
		label := func(e exchange) bool { return strings.HasSuffix(e.Label, "one runs, one waits") }
		tasks := find(t, version, func(e exchange, u *url.URL) bool { return label(e) && u.Path == "/api/v1/tasks" })[0]
		state := find(t, version, func(e exchange, u *url.URL) bool { return label(e) && u.Path == "/api/v1/serverstate" })[0]
		p, c := newPlayer(t, g)
		p.now, p.others = tasks, map[string]exchange{"GET /api/v1/serverstate": state}
		list, err := c.With(fixed{}).Tasks(context.Background())
		if err != nil || len(list) != 2 {
			t.Fatalf("%s: %v, %v", version, list, err)
		}
		if list[0].Status != duplicati.Running || list[1].Status != duplicati.Waiting || list[0].Backup != "3" || list[1].Backup != "4" {
			t.Errorf("%s: %+v", version, list)
		}
	}
}

func TestAnExportIsWholeAndNamedSafely(t *testing.T) {
	for version, g := range recorded {
		token := find(t, version, func(e exchange, u *url.URL) bool {
			return u.Path == "/api/v1/auth/issuetoken/export" && e.Response.Status == 200
		})[0]
		for _, e := range find(t, version, func(e exchange, u *url.URL) bool {
			return e.Request.Method == "GET" && strings.HasSuffix(u.Path, "/export") && e.Response.Status == 200 && strings.Contains(e.place, "export_import")
		}) {
			p, c := newPlayer(t, g)
			p.now, p.others = e, map[string]exchange{"POST /api/v1/auth/issuetoken/export": token}
			encrypted := strings.Contains(e.Label, "encrypted")
			o := duplicati.ExportOptions{Secrets: true}
			if encrypted {
				o.Passphrase = secret.New("export secret")
			}
			x, err := c.With(fixed{}).Export(context.Background(), "1", o)
			if err != nil {
				t.Fatal(err)
			}
			name := "Photos-duplicati-config.json"
			if encrypted {
				name += ".aes"
			}
			if x.Encrypted != encrypted || x.Name != name || x.Contents.Reveal() != string(e.bytes()) {
				t.Errorf("%s %s: encrypted %v, name %q, %d bytes", version, e.place, x.Encrypted, x.Name, len(x.Contents.Reveal()))
			}
		}
	}
}

func TestAClearFileIsNotTakenForAnEncryptedOne(t *testing.T) {
	p, c := newPlayer(t, duplicati.G231)
	p.now = idle
	p.others = map[string]exchange{"POST /api/v1/auth/issuetoken/export": {}}
	token := p.others["POST /api/v1/auth/issuetoken/export"]
	token.Response.Status, token.Response.Body = 200, `{"Token":"abc"}`
	p.others["POST /api/v1/auth/issuetoken/export"] = token
	if _, err := c.With(fixed{}).Export(context.Background(), "1", duplicati.ExportOptions{Passphrase: secret.New("word")}); duplicati.KindOf(err) != duplicati.Unreadable {
		t.Fatalf("got %v", err)
	}
	p.now.Response.Body = "<html>"
	if _, err := c.With(fixed{}).Export(context.Background(), "1", duplicati.ExportOptions{}); err == nil {
		t.Fatal("a web page was taken for an export")
	}
}
