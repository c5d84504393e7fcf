// Bundles of the assistants' server: for each system one .mcpb, which clients
// install by a double click, and the server.json that tells the MCP registry of
// them.
//
//	go run ./packaging/mcp -version 1.2.3 -out dist
//	go run ./packaging/mcp -version 1.2.3 -out dist -targets linux/amd64 -binary ./duplibot
package main

import (
	"archive/zip"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed manifest.json
var manifest []byte

//go:embed server.json
var server []byte

const (
	allTargets = "darwin/amd64,darwin/arm64,linux/amd64,linux/arm64,windows/amd64"
	releases   = "https://github.com/duplibot/duplibot/releases/download"
)

func main() {
	version := flag.String("version", "", "the release, as 1.2.3")
	out := flag.String("out", "dist", "the folder to write into")
	targets := flag.String("targets", allTargets, "systems, as linux/amd64,windows/amd64")
	binary := flag.String("binary", "", "pack this program, for the one target, and build none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *version, *out, strings.Split(*targets, ","), *binary); err != nil {
		fmt.Fprintln(os.Stderr, "packaging/mcp:", err)
		os.Exit(1)
	}
}

var versionForm = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// bundle is one file, as the registry is told of it.
type bundle struct {
	Registry   string            `json:"registryType"`
	Identifier string            `json:"identifier"`
	Version    string            `json:"version"`
	SHA256     string            `json:"fileSha256"`
	Transport  map[string]string `json:"transport"`
}

func run(ctx context.Context, version, out string, targets []string, binary string) error {
	if !versionForm.MatchString(version) {
		return fmt.Errorf("version %q: three numbers are needed, as 1.2.3", version)
	}
	if binary != "" && len(targets) != 1 {
		return errors.New("-binary is for one target")
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var bundles []bundle
	for _, target := range targets {
		system, arch, ok := strings.Cut(target, "/")
		if !ok {
			return fmt.Errorf("target %q: a system and an architecture are needed, as linux/amd64", target)
		}
		program := cmp.Or(binary, filepath.Join(out, "duplibot-"+system+"-"+arch+exe(system)))
		if binary == "" {
			if err := build(ctx, program, system, arch, version); err != nil {
				return err
			}
		}
		name := "duplibot-" + version + "-" + system + "-" + arch + ".mcpb"
		sum, err := pack(filepath.Join(out, name), program, system, version)
		if err != nil {
			return err
		}
		bundles = append(bundles, bundle{"mcpb", releases + "/v" + version + "/" + name, version, sum, map[string]string{"type": "stdio"}})
	}
	var entry map[string]any
	if err := json.Unmarshal(server, &entry); err != nil {
		return err
	}
	entry["version"], entry["packages"] = version, bundles
	return writeJSON(filepath.Join(out, "server.json"), entry)
}

func build(ctx context.Context, program, system, arch, version string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w -X main.release="+version, "-o", program, "./cmd/bot")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch)
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

func exe(system string) string {
	if system == "windows" {
		return ".exe"
	}
	return ""
}

// pack writes a bundle and returns its checksum. The same program gives the
// same bundle: no time and no owner is in it.
func pack(name, program, system, version string) (sum string, err error) {
	text, err := manifestFor(system, version)
	if err != nil {
		return "", err
	}
	in, err := os.Open(program)
	if err != nil {
		return "", err
	}
	defer in.Close()
	file, err := os.Create(name)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	z := zip.NewWriter(io.MultiWriter(file, hash))
	err = errors.Join(
		add(z, "manifest.json", 0o644, strings.NewReader(text)),
		add(z, "server/duplibot"+exe(system), 0o755, in),
		z.Close(), file.Close())
	return hex.EncodeToString(hash.Sum(nil)), err
}

func add(z *zip.Writer, name string, mode os.FileMode, from io.Reader) error {
	h := &zip.FileHeader{Name: name, Method: zip.Deflate}
	h.SetMode(mode)
	w, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, from)
	return err
}

// platforms are the systems by the names that bundles give them.
var platforms = map[string]string{"darwin": "darwin", "linux": "linux", "windows": "win32"}

func manifestFor(system, version string) (string, error) {
	platform, ok := platforms[system]
	if !ok {
		return "", fmt.Errorf("bundles are for darwin, linux and windows, not for %s", system)
	}
	var m map[string]any
	if err := json.Unmarshal(manifest, &m); err != nil {
		return "", err
	}
	m["version"] = version
	m["compatibility"] = map[string]any{"platforms": []string{platform}}
	s := m["server"].(map[string]any)
	s["entry_point"] = s["entry_point"].(string) + exe(system)
	config := s["mcp_config"].(map[string]any)
	config["command"] = config["command"].(string) + exe(system)
	b, err := json.MarshalIndent(m, "", "  ")
	return string(b) + "\n", err
}

func writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644)
}
