//go:build unix

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/tools"
)

// TestARevokedTokenHasNothingLeftToBeAgreedTo: who revokes a token does not
// believe what it has asked for.
func TestARevokedTokenHasNothingLeftToBeAgreedTo(t *testing.T) {
	s := duplicatitest.Start(t, duplicatitest.Options{Password: "the-password", TaskTime: -1})
	for _, name := range []string{"Photos", "Mail"} {
		s.AddBackup(duplicatitest.Backup{Name: name, TargetURL: "file:///mnt/" + name, Passphrase: "p", Sources: []string{"/data/"}, Runs: []duplicatitest.Run{{Ago: time.Hour}}})
	}
	state := t.TempDir()
	if err := os.Chmod(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "password"), []byte("the-password"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := crashBot(s.URL, state, keyring.NewPassphrase().Reveal(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	defer b.close(ctx)
	owner, err := ownCaller(tools.CLI, "")
	if err != nil {
		t.Fatal(err)
	}
	admin := func(name, args string) {
		t.Helper()
		if _, err := b.admin.calls()[name](ctx, owner, json.RawMessage(args)); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(c tools.Caller, backup string) string {
		t.Helper()
		a, err := b.runner.Run(ctx, tools.Call{Operation: "delete", Args: map[string]any{"backup": backup}, Caller: c})
		if err != nil || a.Approval == nil {
			t.Fatalf("%+v, %v", a, err)
		}
		return a.Approval.ID
	}
	admin("token-create", `{"name":"laptop"}`)
	if by, err := b.store.MadeBy(ctx, "mcp:laptop"); err != nil || by != "" {
		t.Errorf("his own token was made by %q, %v", by, err)
	}
	admin("token-create", `{"name":"theirs","person":"other"}`)
	if by, err := b.store.MadeBy(ctx, "mcp:theirs"); err != nil || by != "owner" {
		t.Errorf("another person's token was made by %q, %v", by, err)
	}
	admin("token-create", `{"name":"phone"}`)
	stolen := ask(tools.Caller{Identity: "mcp:laptop", Person: "owner", Surface: tools.MCP}, "Photos")
	other := ask(tools.Caller{Identity: "mcp:phone", Person: "owner", Surface: tools.MCP}, "Mail")
	admin("token-revoke", `{"name":"laptop"}`)

	agree := func(id string) (tools.Approval, error) {
		return b.desk.Decide(ctx, tools.Decision{ID: id, Caller: owner, Yes: true, Unattended: true})
	}
	if a, err := agree(stolen); err == nil || a.State != tools.StateWithdrawn {
		t.Errorf("what the revoked token asked for is %s, %v", a.State, err)
	}
	if a, err := agree(other); err != nil || a.State != tools.StateDone {
		t.Errorf("what another one asked for is %s, %v", a.State, err)
	}
	if n := s.Count("DELETE", "/api/v1/backup/"); n != 1 {
		t.Errorf("%d backups were deleted", n)
	}
}
