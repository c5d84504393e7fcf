package main_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const root = "../.."

func goRun(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// holds checks a document by a published schema.
func holds(t *testing.T, schema string, document []byte) {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(filepath.Join("testdata", schema))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("by %s: %v\n%s", schema, err, document)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheDocumentsHoldThePublishedSchemas(t *testing.T) {
	holds(t, "mcpb-manifest-v0.3.schema.json", read(t, "manifest.json"))
	holds(t, "server-2025-12-11.schema.json", read(t, "server.json"))
}

func TestABundleIsUnpackedStartedAndListsItsTools(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "program")
	goRun(t, "build", "-o", program, "./cmd/bot")
	target := runtime.GOOS + "/" + runtime.GOARCH
	for _, out := range []string{"one", "two"} {
		goRun(t, "run", "./packaging/mcp", "-version", "1.2.3", "-out", filepath.Join(folder, out), "-targets", target, "-binary", program)
	}
	name := "duplibot-1.2.3-" + runtime.GOOS + "-" + runtime.GOARCH + ".mcpb"
	packed := read(t, filepath.Join(folder, "one", name))
	if !bytes.Equal(packed, read(t, filepath.Join(folder, "two", name))) {
		t.Error("the same program gives two different bundles")
	}

	registry := read(t, filepath.Join(folder, "one", "server.json"))
	holds(t, "server-2025-12-11.schema.json", registry)
	sum := sha256.Sum256(packed)
	for _, want := range []string{hex.EncodeToString(sum[:]), "/v1.2.3/" + name} {
		if !strings.Contains(string(registry), want) {
			t.Errorf("server.json lacks %s", want)
		}
	}

	unpacked := filepath.Join(folder, "unpacked")
	unzip(t, packed, unpacked)
	text := read(t, filepath.Join(unpacked, "manifest.json"))
	holds(t, "mcpb-manifest-v0.3.schema.json", text)
	var m struct {
		Version string
		Server  struct {
			Entry  string `json:"entry_point"`
			Config struct {
				Command string
				Args    []string
			} `json:"mcp_config"`
		}
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(unpacked, m.Server.Entry)); err != nil || m.Version != "1.2.3" {
		t.Errorf("version %s, entry point: %v", m.Version, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, strings.ReplaceAll(m.Server.Config.Command, "${__dirname}", unpacked), m.Server.Config.Args...)
	cmd.Env = append(os.Environ(), "HOME="+folder, "XDG_CONFIG_HOME="+folder, "XDG_RUNTIME_DIR="+folder, "DUPLIBOT_CONFIG=")
	var said bytes.Buffer
	cmd.Stderr = &said
	s, err := sdk.NewClient(&sdk.Implementation{Name: "bundle", Version: "1"}, nil).Connect(ctx, &sdk.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	defer s.Close()
	list, err := s.ListTools(ctx, nil)
	if err != nil || len(list.Tools) == 0 {
		t.Errorf("%d tools, %v", len(list.Tools), err)
	}
}

func unzip(t *testing.T, packed []byte, folder string) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(folder, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, f.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWrongVersionOrTargetMakesNoBundle(t *testing.T) {
	for _, args := range [][]string{{"-version", "next"}, {"-version", "1.2.3", "-targets", "linux"}, {"-version", "1.2.3", "-targets", "plan9/amd64", "-binary", "main.go"}} {
		out := t.TempDir()
		cmd := exec.Command("go", append([]string{"run", ".", "-out", out}, args...)...)
		if text, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%v: %s", args, text)
		}
		if left, _ := filepath.Glob(filepath.Join(out, "*")); len(left) > 0 {
			t.Errorf("%v left %v", args, left)
		}
	}
}
