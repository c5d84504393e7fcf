package cli_test

import (
	"strings"
	"testing"

	"github.com/duplibot/duplibot/tools/toolstest"
)

// A time or an ID that is cut is of no use.
func TestANarrowTerminalLosesNothing(t *testing.T) {
	wide := script(t, toolstest.WithPeople(toolstest.Solo))
	wide.run(5, "destroy", "Photos", "--json")
	cells := strings.Fields(wide.run(0, "approvals"))
	for _, columns := range []int{40, 60, 80, 200} {
		wide.app.Terminal.Out, wide.app.Terminal.Width = true, func() int { return columns }
		text := wide.run(0, "approvals", "--no-color")
		wants(t, text, cells...)
		for line := range strings.SplitSeq(text, "\n") {
			if n := len([]rune(line)); n > columns && !strings.Contains(line, "next:") && !strings.Contains(line, "request") {
				t.Errorf("%d columns at a terminal of %d: %q", n, columns, line)
			}
		}
		for _, topic := range []string{"", "destroy", "set-word", "token", "audit"} {
			for line := range strings.SplitSeq(wide.run(0, "help", topic), "\n") {
				if n := len([]rune(line)); n > columns && strings.Contains(strings.TrimSpace(line), " ") && !strings.HasPrefix(line, "  duplibot") {
					t.Errorf("help %s: %d columns at a terminal of %d: %q", topic, n, columns, line)
				}
			}
		}
	}
}

func TestUsageIsBrokenBetweenOptions(t *testing.T) {
	term := unreached(t)
	for _, op := range operations(t) {
		usage, _, _ := strings.Cut(term.run(0, "help", op.Name), "\n\n")
		for line := range strings.SplitSeq(usage, "\n") {
			if strings.Count(line, "[") != strings.Count(line, "]") {
				t.Errorf("an option of %s stands on two lines:\n%s", op.Name, usage)
			}
		}
	}
}
