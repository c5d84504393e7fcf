//go:build !linux && !darwin && !freebsd

package local_test

import (
	"path/filepath"
	"testing"

	"github.com/duplibot/duplibot/adapters/local"
	"github.com/duplibot/duplibot/tools"
)

// Where no daemon can be, every command works by itself instead of failing for
// want of one.
func TestWhereNoDaemonCanBeThereIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	c := local.NewClient(local.ClientOptions{Path: path, Registry: tools.NewRegistry(), Version: "1.2.3", Surface: tools.CLI})
	if _, err := c.Ping(t.Context()); !local.Absent(err) {
		t.Errorf("it is not said that there is none: %v", err)
	}
	_, err := local.Listen(path, "")
	want(t, err, tools.Unsupported)
}
