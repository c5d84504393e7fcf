package duplicati_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
)

func TestAnExportComesBackAsAnImport(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		l := start(t, g, nil)
		ctx := context.Background()
		id := l.add(t, "Photos", "null")
		plain, err := l.c.Export(ctx, id, duplicati.ExportOptions{Secrets: true})
		if err != nil || plain.Encrypted || !strings.Contains(plain.Contents.Reveal(), "canary-passphrase") {
			t.Fatalf("%+v, %v", plain, err)
		}
		sealed, err := l.c.Export(ctx, id, duplicati.ExportOptions{Passphrase: secret.New("export secret"), Secrets: true})
		if err != nil || !sealed.Encrypted {
			t.Fatalf("%+v, %v", sealed, err)
		}
		bare, err := l.c.Export(ctx, id, duplicati.ExportOptions{})
		if err != nil || strings.Contains(bare.Contents.Reveal(), "canary-passphrase") {
			t.Fatalf("%v", err)
		}
		if _, err := l.c.Export(ctx, id, duplicati.ExportOptions{Passphrase: secret.New("  ")}); duplicati.KindOf(err) != duplicati.Misused {
			t.Fatalf("a blank passphrase gave %v", err)
		}
		if _, err := l.c.Export(ctx, "999", duplicati.ExportOptions{}); duplicati.KindOf(err) != duplicati.NotFound {
			t.Fatalf("got %v", err)
		}
		twin, err := l.c.Import(ctx, plain.Contents, duplicati.ImportOptions{})
		if err != nil || twin == id {
			t.Fatalf("%q, %v", twin, err)
		}
		if b, err := l.c.Backup(ctx, twin); err != nil || b.Name != "Photos (1)" {
			t.Fatalf("%q, %v", b.Name, err)
		}
		if _, err := l.c.Import(ctx, sealed.Contents, duplicati.ImportOptions{Passphrase: secret.New("export secret")}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.c.Import(ctx, sealed.Contents, duplicati.ImportOptions{Passphrase: secret.New("wrong")}); duplicati.KindOf(err) != duplicati.WrongPassphrase {
			t.Fatalf("got %v", err)
		}
		if _, err := l.c.Import(ctx, sealed.Contents, duplicati.ImportOptions{}); duplicati.KindOf(err) != duplicati.PassphraseGone {
			t.Fatalf("got %v", err)
		}
		if _, err := l.c.Import(ctx, secret.New("not json"), duplicati.ImportOptions{}); duplicati.KindOf(err) != duplicati.ServerFault {
			t.Fatalf("got %v", err)
		}
		if _, err := l.c.Import(ctx, bare.Contents, duplicati.ImportOptions{Replace: map[string]secret.Value{"color": secret.New("red")}}); !errors.Is(err, duplicati.Misused) && !errors.Is(err, duplicati.Unsupported) {
			t.Fatalf("got %v", err)
		}
		l.ForgetRequests()
		replaced, err := l.c.Import(ctx, bare.Contents, duplicati.ImportOptions{Replace: map[string]secret.Value{
			"settings.passphrase": secret.New("another"), "targeturl": secret.New("file:///data/dst/elsewhere"), "name": secret.New("Elsewhere"),
		}})
		if g == "2.1" || g == "2.2" {
			if duplicati.KindOf(err) != duplicati.Unsupported || !strings.Contains(err.Error(), "2.3.0") {
				t.Fatalf("got %v", err)
			}
			if n := l.Count("POST", "/api/v1/backups/import"); n != 0 {
				t.Fatal("it was sent all the same")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.c.Backup(ctx, replaced)
		if err != nil || b.Name != "Elsewhere" || b.TargetURL.Reveal() != "file:///data/dst/elsewhere" {
			t.Fatalf("%+v, %v", b, err)
		}
	})
}

func TestALostExportShowsNeitherTokenNorPassphrase(t *testing.T) {
	l := start(t, "", nil)
	id := l.add(t, "Photos", "null")
	for _, f := range []duplicatitest.Fault{{Reset: true}, {LoseReply: true}, {CutReply: 10}, duplicatitest.BadGateway()} {
		f.Prefix = "/api/v1/backup/"
		remove := l.Inject(f)
		_, err := l.c.Export(context.Background(), id, duplicati.ExportOptions{Passphrase: secret.New("canary-passphrase")})
		remove()
		if err == nil {
			t.Fatalf("%+v made no difference", f)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, "canary-passphrase") || strings.Contains(text, "eyJ") {
				t.Errorf("a secret shows: %s", text)
			}
		}
	}
}
