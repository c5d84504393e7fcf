package duplicatitest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

// scenario is what happens outside a server, by "file:line" before which it
// does.
type scenario map[string][][]string

func readScenario(t *testing.T, gen string) scenario {
	raw, err := os.ReadFile(filepath.Join("testdata", gen, "scenario.txt"))
	if err != nil {
		t.Fatal(err)
	}
	out := scenario{}
	for _, line := range strings.Split(string(raw), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 0 {
			out[words[0]] = append(out[words[0]], words[1:])
		}
	}
	return out
}

// start reads how the server of a file is started.
func (sc scenario) start(t *testing.T, gen, file string) duplicatitest.Options {
	o := duplicatitest.Options{
		Generation: strings.TrimSuffix(strings.TrimSuffix(gen, "-dev"), ".x"), Password: "correct-password", TaskTime: time.Second,
		Clock: duplicatitest.NewStandingClock(time.Date(2026, 11, 23, 9, 0, 0, 123456700, time.UTC)),
	}
	for _, words := range sc[file] {
		switch words[0] {
		case "clock":
			at, err := time.Parse(time.RFC3339Nano, words[1])
			if err != nil {
				t.Fatal(err)
			}
			o.Clock = duplicatitest.NewStandingClock(at)
		case "forever-tokens":
			o.ForeverTokens = true
		case "port":
			o.Port, _ = strconv.Atoi(words[1])
		default:
			t.Fatalf("scenario of %s: unknown start option %q", file, words[0])
		}
	}
	return o
}

// act takes one step.
func act(s *duplicatitest.Server, words []string) error {
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch words[0] {
	case "advance":
		d, err := time.ParseDuration(arg(1))
		if err != nil {
			return err
		}
		s.Advance(d)
	case "finish":
		if !s.Finish() {
			return fmt.Errorf("nothing runs")
		}
	case "write":
		count, _ := strconv.Atoi(arg(2))
		size, _ := strconv.ParseInt(arg(3), 10, 64)
		s.Disk().Write(arg(1), count, size)
	case "remove":
		s.Disk().Remove(arg(1))
	case "lose":
		s.Disk().LoseDestination(arg(1))
	case "miss-updates":
		s.MissUpdates()
	case "outcome":
		return outcomes(s, words[1:])
	case "restart":
		return restart(s, words[1:])
	default:
		return fmt.Errorf("unknown step %q", words[0])
	}
	return nil
}

// outcomes reads "ID word word / word word": the coming runs of a backup.
func outcomes(s *duplicatitest.Server, words []string) error {
	plan := []duplicatitest.Outcome{{}}
	for _, w := range words[1:] {
		o := &plan[len(plan)-1]
		name, value, _ := strings.Cut(w, "=")
		var err error
		switch name {
		case "/":
			plan = append(plan, duplicatitest.Outcome{})
		case "hold":
			o.Hold = true
		case "done":
			o.Done, err = strconv.Atoi(value)
		case "takes":
			o.Takes, err = time.ParseDuration(value)
		case "fails":
			o.Result, o.Message = duplicatitest.Fails, spelt(value)
		case "message":
			o.Message = spelt(value)
		case "exception":
			o.Exception = spelt(value)
		case "warns":
			o.Result = duplicatitest.Warns
		default:
			err = fmt.Errorf("unknown outcome %q", w)
		}
		if err != nil {
			return err
		}
	}
	id := words[0]
	if id == "any" {
		id = ""
	}
	s.SetOutcome(id, plan...)
	return nil
}

// spelt turns a word of a scenario into a text.
func spelt(s string) string { return strings.NewReplacer("_", " ", "|", "\n").Replace(s) }

func restart(s *duplicatitest.Server, words []string) error {
	var o duplicatitest.RestartOptions
	on, off := true, false
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		var err error
		switch name {
		case "reset-keys":
			o.ResetKeys = true
		case "forever-tokens":
			o.ForeverTokens = &on
		case "no-forever-tokens":
			o.ForeverTokens = &off
		case "no-signin-tokens":
			o.NoSigninTokens = &on
		case "signin-tokens":
			o.NoSigninTokens = &off
		case "access-life":
			var d time.Duration
			d, err = time.ParseDuration(value)
			o.AccessLife = &d
		case "hostnames":
			o.AllowedHostnames = &value
		case "hide":
			o.DisabledExtensions = &value
		case "off":
			o.Off, err = time.ParseDuration(value)
		default:
			err = fmt.Errorf("unknown restart option %q", w)
		}
		if err != nil {
			return err
		}
	}
	s.Restart(o)
	return nil
}
