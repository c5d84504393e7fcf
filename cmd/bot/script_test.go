package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
)

// serverPassword is that of the servers that scripts start.
const serverPassword = "script-server-password"

// TestScripts runs whole stories on the real program, each in a home of its
// own with a file keyring and a simulated server. Beside testscript's own
// commands there are:
//
//	server [GENERATION]       starts the server; $URL is its address
//	requests METHOD PATH [N]  checks how many such requests it has seen
//	outcome BACKUP RESULT     says how the next runs end
//	restart [keys]            restarts the server, with new signing keys
//	down / up                 resets every connection / no longer
//	code N COMMAND …          checks an exit code
//	until COMMAND …           repeats a command until it succeeds
//	hides FILE …              checks that no canary of the server is in the files, stdout or stderr
//	mode FILE PERM            checks a file's permissions
//	id FILE NAME              takes the first request ID of a file into $NAME
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "scripts"),
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			if err := os.MkdirAll(filepath.Join(home, ".config", "duplibot"), 0o700); err != nil {
				return err
			}
			if err := os.Chmod(e.WorkDir, 0o755); err != nil {
				return err
			}
			e.Setenv("HOME", home)
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
			e.Setenv("RING_KEY", keyring.NewPassphrase().Reveal())
			e.Setenv("NAS_PASSWORD", serverPassword)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server": cmdServer, "requests": cmdRequests, "outcome": cmdOutcome, "restart": cmdRestart, "down": cmdDown, "up": cmdUp,
			"code": cmdCode, "until": cmdUntil, "hides": cmdHides, "mode": cmdMode, "id": cmdID, "port": cmdPort,
		},
	})
}

type world struct {
	*duplicatitest.Server
	canaries []string
	lift     func()
}

var worlds sync.Map // *testscript.TestScript -> *world; scripts run side by side

func of(ts *testscript.TestScript) *world {
	w, ok := worlds.Load(ts)
	if !ok {
		ts.Fatalf("no server was started")
	}
	return w.(*world)
}

func cmdServer(ts *testscript.TestScript, neg bool, args []string) {
	o := duplicatitest.Options{Password: serverPassword, ForeverTokens: true, TaskTime: 300 * time.Millisecond}
	if len(args) > 0 {
		o.Generation = args[0]
	}
	s, err := duplicatitest.New(o)
	ts.Check(err)
	ts.Check(s.Listen())
	w := &world{Server: s}
	w.canaries = append(s.PlantCanaries(), serverPassword)
	s.Disk().Write("/data/photos/", 20, 1<<20)
	s.AddBackup(duplicatitest.Backup{
		Name: "Photos", TargetURL: "s3://bucket/photos?auth-username=canary-user&auth-password=canary-word",
		Passphrase: "canary-passphrase", Sources: []string{"/data/photos/"}, Runs: []duplicatitest.Run{{Ago: time.Hour}},
	})
	s.AddBackup(duplicatitest.Backup{Name: "Mail", TargetURL: "file:///mnt/mail", Sources: []string{"/data/photos/"}})
	w.canaries = append(w.canaries, "canary-user", "canary-word", "canary-passphrase")
	worlds.Store(ts, w)
	ts.Defer(func() { s.Close(); worlds.Delete(ts) })
	ts.Setenv("URL", s.URL)
	text := fmt.Sprintf(`servers:
  nas:
    url: %s
    password: env:NAS_PASSWORD
keyring: {backend: file, passphrase: "env:RING_KEY", folder: %q}
store: %q
socket: %q
`, s.URL, ts.MkAbs("ring"), "sqlite:"+ts.MkAbs("state/duplibot.db"), ts.MkAbs("d.sock"))
	ts.Check(os.WriteFile(ts.MkAbs("duplibot.yaml"), []byte(text), 0o600))
	ts.Setenv("DUPLIBOT_CONFIG", ts.MkAbs("duplibot.yaml"))
}

func cmdRequests(ts *testscript.TestScript, neg bool, args []string) {
	n := of(ts).Count(args[0], args[1])
	want := 1
	if len(args) > 2 {
		want, _ = strconv.Atoi(args[2])
	}
	if (n == want) == neg {
		ts.Fatalf("%d requests %s %s", n, args[0], args[1])
	}
}

func cmdOutcome(ts *testscript.TestScript, neg bool, args []string) {
	results := map[string]duplicatitest.Result{"succeeds": duplicatitest.Succeeds, "warns": duplicatitest.Warns, "errs": duplicatitest.Errs, "fails": duplicatitest.Fails}
	r, ok := results[args[1]]
	if !ok {
		ts.Fatalf("no result %q", args[1])
	}
	of(ts).SetOutcome(args[0], duplicatitest.Outcome{Result: r, Message: "it went so"})
}

func cmdRestart(ts *testscript.TestScript, neg bool, args []string) {
	of(ts).Restart(duplicatitest.RestartOptions{ResetKeys: slices.Contains(args, "keys")})
}

func cmdDown(ts *testscript.TestScript, neg bool, args []string) {
	of(ts).lift = of(ts).Inject(duplicatitest.Fault{Reset: true})
}

func cmdUp(ts *testscript.TestScript, neg bool, args []string) { of(ts).lift() }

func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		var n int
		if _, scanErr := fmt.Sscanf(err.Error(), "exit status %d", &n); scanErr != nil {
			ts.Fatalf("%v", err)
		}
		got = n
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	var err error
	for range 100 {
		if err = ts.Exec(args[0], args[1:]...); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("never: %v", err)
}

func cmdHides(ts *testscript.TestScript, neg bool, args []string) {
	files := append([]string{"stdout", "stderr"}, args...)
	for _, name := range files {
		text := ts.ReadFile(name)
		for _, c := range of(ts).canaries {
			if strings.Contains(text, c) {
				ts.Fatalf("%s holds %q", name, c)
			}
		}
	}
}

func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s", args[0], got)
	}
}

func cmdID(ts *testscript.TestScript, neg bool, args []string) {
	for _, word := range strings.Fields(ts.ReadFile(args[0])) {
		if strings.HasPrefix(word, "a-") && len(word) > 6 {
			ts.Setenv(args[1], strings.Trim(word, `",;`))
			return
		}
	}
	ts.Fatalf("no request ID in %s", args[0])
}

func cmdPort(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}
