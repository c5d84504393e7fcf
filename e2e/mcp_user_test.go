package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Who calls is what the kernel says: no variable makes somebody else of an
// account, for its assistant or at its terminal.
func TestAVariableMakesNobodyElse(t *testing.T) {
	h := newHome(t)
	h.withServer(t, fmt.Sprintf(`people:
  ann: {identities: ["uid:%d"], roles: [operator, approver]}
  bob: {identities: ["uid:%d"], roles: [operator, approver]}
`, os.Getuid(), os.Getuid()+4242))
	h.env = append(h.env, "USER=bob", "LOGNAME=bob", "USERNAME=bob", "SUDO_USER=bob", fmt.Sprintf("SUDO_UID=%d", os.Getuid()+4242))
	s, _ := connect(t, h.command(t, "mcp"), "2026-07-28")
	r, text := call(t, s, "duplicati_delete", map[string]any{"backup": "Mail"})
	if r.IsError || requestID.FindString(text) == "" {
		t.Fatalf("answered %s", text)
	}
	if strings.Contains(text, "bob") || !strings.Contains(text, "ann") {
		t.Errorf("bob has a part in it: %s", text)
	}
	if log := h.run(t, "--json", "audit"); strings.Contains(log, "bob") || !strings.Contains(log, `"ann"`) {
		t.Errorf("the audit log says %s", log)
	}
}
