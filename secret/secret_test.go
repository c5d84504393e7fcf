package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/duplibot/duplibot/secret"
)

const word = "hunter2-canary"

type holder struct {
	Public  secret.Value
	private secret.Value
	Deep    *holder
	Any     any
}

func TestNothingPrintsASecret(t *testing.T) {
	v := secret.New(word)
	h := holder{Public: v, private: v, Deep: &holder{Public: v, private: v}, Any: v}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%08b", "%t", "%p"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", v, h, &h)
		fmt.Fprintf(&out, verb, []any{v, map[string]secret.Value{"k": v}})
	}
	for _, make := range []func(*bytes.Buffer) slog.Handler{
		func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(make(&b)).Info("x", "v", v, "h", h, "p", &h, "any", []any{v})
		out.Write(b.Bytes())
	}
	j, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	fmt.Fprint(&out, fmt.Errorf("log in with %v: %w", v, fmt.Errorf("%+v", h)))
	if strings.Contains(out.String(), word) || strings.Contains(out.String(), fmt.Sprintf("%x", word)) {
		t.Fatalf("the word came out:\n%s", out.String())
	}
}

func TestReflectionFindsNoString(t *testing.T) {
	var walk func(reflect.Value, int)
	walk = func(v reflect.Value, depth int) {
		if depth > 8 {
			return
		}
		switch v.Kind() {
		case reflect.String:
			if strings.Contains(v.String(), word) {
				t.Fatalf("reflection read the word")
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i), depth+1)
			}
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem(), depth+1)
			}
		}
	}
	walk(reflect.ValueOf(holder{Public: secret.New(word), private: secret.New(word)}), 0)
}

func TestRevealIsTheOneWayOut(t *testing.T) {
	v := secret.New(word)
	if v.Reveal() != word || v.Empty() {
		t.Fatal("the word is lost")
	}
	if !v.Equal(secret.New(word)) || v.Equal(secret.New("other")) || v.Equal(secret.Value{}) {
		t.Fatal("Equal is wrong")
	}
	if !(secret.Value{}).Empty() || !secret.New("").Empty() {
		t.Fatal("an empty word is empty")
	}
	if err := json.Unmarshal([]byte(`"x"`), &v); err == nil {
		t.Fatal("a secret was read from a document")
	}
}

func TestReferences(t *testing.T) {
	for _, good := range []string{"env:NAS_PASSWORD", "file:/etc/duplibot/pw", "keyring:mail-password", "credential:keyring", "pass:backup/nas"} {
		r, err := secret.ParseRef(good)
		if err != nil || r.String() != good {
			t.Errorf("ParseRef(%q) = %q, %v", good, r, err)
		}
	}
	for _, bad := range []string{"hunter2", "exec:rm -rf", "env:", "env:A B", "pass:../../x", "keyring:UPPER", "https://x", "file:"} {
		r, err := secret.ParseRef(bad)
		if err == nil {
			t.Errorf("ParseRef(%q) = %q, want an error", bad, r)
			continue
		}
		if _, name, _ := strings.Cut(bad, ":"); strings.Contains(err.Error(), bad) && name != "" {
			t.Errorf("the error repeats what was typed: %v", err)
		}
	}
	if r, err := secret.ParseRef(""); err != nil || !r.IsZero() {
		t.Errorf("an empty reference is the zero reference, got %v, %v", r, err)
	}
}
