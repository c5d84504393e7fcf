package mcp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/mcp"
)

// peerFolder holds the suites and clients of package.json, once installed.
const peerFolder = "conformance"

// peer prepares one of the programs of package.json on the Node that they need.
func peer(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	bin, err := filepath.Abs(filepath.Join(peerFolder, "node_modules", ".bin"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(bin, "node")); err != nil {
		need(t, "conformance/node_modules: the protocol's own suite and clients, installed with npm ci in adapters/mcp/conformance")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, filepath.Join(bin, program), args...)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "NO_COLOR=1", "HOME="+t.TempDir())
	return cmd
}

// behind serves a handler for clients that bring no token: it gives them ann's.
func behind(t testing.TB, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+annToken)
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/mcp"
}

// unlimited lets a suite ask as fast as it can.
var unlimited = mcp.Limits{Rate: 1e6, Burst: 1e6, Concurrent: 1000}

// verdicts counts what a run of the suite found, from its files.
func verdicts(t *testing.T, folder string) (passed int, bad []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*", "checks.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the suite left no results in %s: %v", folder, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []struct{ ID, Status, ErrorMessage string }
		if err := json.Unmarshal(b, &checks); err != nil {
			t.Fatal(err)
		}
		for _, c := range checks {
			switch c.Status {
			case "SUCCESS":
				passed++
			case "FAILURE", "WARNING":
				bad = append(bad, filepath.Base(filepath.Dir(file))+": "+c.ID+": "+c.ErrorMessage)
			}
		}
	}
	return passed, bad
}

func TestTheConformanceSuitePassesOnItsFixture(t *testing.T) {
	for _, revision := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(revision, func(t *testing.T) {
			results := t.TempDir()
			cmd := peer(t, "conformance", "server", "--requirements", revision, "-o", results)
			if baseline := filepath.Join(peerFolder, "expected-"+revision+".yml"); exists(baseline) {
				cmd.Args = append(cmd.Args, "--expected-failures", baseline)
			}
			r := newRig(t, nil)
			h, err := r.s.NewFixtureHTTP(newFixture(r.s), mcp.HTTPOptions{
				Listen: "127.0.0.1:0", Tokens: r.tokens(t), Limits: unlimited,
				Requires: func(tool string) []string {
					if tool == "test_missing_capability" {
						return []string{"sampling"}
					}
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			cmd.Args = append(cmd.Args, "--url", behind(t, h))
			out, err := cmd.CombinedOutput()
			passed, _ := verdicts(t, results)
			t.Logf("%d checks passed", passed)
			if err != nil {
				t.Errorf("the suite ended with %v:\n%s", err, tail(out, 4000))
			}
		})
	}
}

// The scenarios that need no fixture run on the product itself.
func TestTheConformanceSuitePassesOnTheProduct(t *testing.T) {
	for revision, scenarios := range map[string]string{
		"2025-11-25": "server-initialize ping tools-list resources-list prompts-list dns-rebinding-protection server-session-lifecycle",
		"2026-07-28": "tools-list resources-list prompts-list dns-rebinding-protection caching http-header-validation sep-2164-resource-not-found server-stateless",
	} {
		r := newRig(t, nil)
		h, err := r.s.NewHTTP(mcp.HTTPOptions{Listen: "127.0.0.1:0", Tokens: r.tokens(t), Limits: unlimited})
		if err != nil {
			t.Fatal(err)
		}
		url := behind(t, h)
		for scenario := range strings.FieldsSeq(scenarios) {
			t.Run(revision+" "+scenario, func(t *testing.T) {
				results := t.TempDir()
				out, err := peer(t, "conformance", "server", "--url", url, "--spec-version", revision, "--scenario", scenario, "-o", results).CombinedOutput()
				passed, bad := verdicts(t, results)
				// What needs tools that a product does not have says so.
				untestable := slices.ContainsFunc(bad, func(b string) bool { return strings.Contains(b, ": Not testable") })
				bad = slices.DeleteFunc(bad, func(b string) bool {
					return strings.Contains(b, ": Not testable") || strings.Contains(b, "sep-2164-data-uri")
				})
				if len(bad) > 0 || passed == 0 || err != nil && !untestable {
					t.Errorf("%v, %v:\n%s", err, bad, tail(out, 3000))
				}
			})
		}
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func tail(b []byte, n int) string {
	b = bytes.TrimSpace(b)
	return string(b[max(0, len(b)-n):])
}
