package auth_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/auth"
	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
)

// Processes that share a keyring are copies of the test program.

const processVar = "DUPLIBOT_TEST_PROCESS"

// process is what one of them does.
type process struct {
	Dir, Key, URL string
	Calls         int           // how many; 0 is without end
	Pause         time.Duration // between two of them, at most
}

func TestMain(m *testing.M) {
	if text := os.Getenv(processVar); text != "" {
		if err := act(text); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// act makes calls and writes a line after each.
func act(text string) error {
	var p process
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	ctx := context.Background()
	ring, err := keyring.Open(ctx, keyring.Config{Backend: keyring.File, Dir: p.Dir + "/ring", Passphrase: secret.New(p.Key)})
	if err != nil {
		return err
	}
	locks, err := store.OpenLocks(p.Dir + "/locks")
	if err != nil {
		return err
	}
	all, err := auth.New(auth.Options{
		Servers: []auth.Server{{Name: "nas", URL: p.URL}}, Ring: ring, Locks: locks, References: auth.NewReferences(ring), Timeout: 20 * time.Second,
	})
	if err != nil {
		return err
	}
	defer all.Close(ctx)
	for i := 0; p.Calls == 0 || i < p.Calls; i++ {
		if err := state(ctx, all); err != nil {
			return fmt.Errorf("call %d: %w", i, err)
		}
		fmt.Println("called", i)
		time.Sleep(rand.N(p.Pause + 1))
	}
	return nil
}

func (a *account) start(url string, calls int, pause time.Duration) (*exec.Cmd, *bufio.Reader) {
	a.t.Helper()
	text, err := json.Marshal(process{Dir: a.dir, Key: a.key.Reveal(), URL: url, Calls: calls, Pause: pause})
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), processVar+"="+string(text))
	out, err := cmd.StdoutPipe()
	if err != nil {
		a.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, bufio.NewReader(out)
}

func TestFourProcessesWithTokensOfASecondKeepOneSession(t *testing.T) {
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password, AccessLife: time.Second})
	a := newAccount(t)
	login(t, a.sessions(bare(s)))
	s.ForgetRequests()
	var wait sync.WaitGroup
	for range 4 {
		cmd, out := a.start(s.URL, 500, 20*time.Millisecond)
		wait.Go(func() {
			lines, err := io.ReadAll(out)
			if e := cmd.Wait(); e != nil || err != nil {
				list := strings.Split(strings.TrimSpace(string(lines)), "\n")
				t.Errorf("%v, %v: %s", e, err, list[len(list)-1])
			}
		})
	}
	wait.Wait()
	if n := s.Count("GET", "/api/v1/serverstate"); n < 2000 {
		t.Errorf("%d calls came, want 2000", n)
	}
	renewed := refreshes(s)
	if logins := s.Count("POST", "/api/v1/auth/login"); logins != 0 || renewed < 3 {
		t.Errorf("%d new logins, %d refreshes: the one session did not last, or its tokens did", logins, renewed)
	}
	for _, r := range s.Requests() {
		if r.Path == refreshPath && r.Status != 200 {
			t.Errorf("a refresh was refused with %d: a token was used twice", r.Status)
		}
	}
	works(t, a.sessions(bare(s)))
	t.Logf("2000 calls of 4 processes, %d refreshes, one session", renewed)
}

func TestAProcessThatIsKilledInARefreshLosesNoSession(t *testing.T) {
	for name, fault := range map[string]duplicatitest.Fault{
		"before the server sees it":    {Hang: true},
		"after the server has rotated": {LoseReply: true},
		"while the answer is on its way": {Replace: func(status int, _ http.Header, body []byte) (int, []byte) {
			time.Sleep(time.Second)
			return status, body
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := duplicatitest.Start(t, duplicatitest.Options{Password: password, AccessLife: time.Second})
			a := newAccount(t)
			login(t, a.sessions(bare(s)))
			time.Sleep(time.Second)
			fault.Method, fault.Prefix = "POST", refreshPath
			heal := s.Inject(fault)
			cmd, _ := a.start(s.URL, 1, 0)
			for s.Count("POST", refreshPath) == 0 {
				time.Sleep(time.Millisecond)
			}
			cmd.Process.Kill()
			cmd.Wait()
			heal()

			t.Run("started again at once, it is logged in", func(t *testing.T) { works(t, a.sessions(bare(s))) })
			if n := s.Count("POST", loginPath); n != 1 {
				t.Errorf("%d logins, want the first alone", n)
			}
		})
	}
	t.Run("later, at worst one sentence says what to do", func(t *testing.T) {
		s := duplicatitest.Start(t, duplicatitest.Options{Password: password, AccessLife: time.Second})
		a := newAccount(t)
		login(t, a.sessions(bare(s)))
		time.Sleep(time.Second)
		heal := s.Inject(duplicatitest.Fault{Prefix: refreshPath, LoseReply: true})
		cmd, _ := a.start(s.URL, 1, 0)
		for s.Count("POST", refreshPath) == 0 {
			time.Sleep(time.Millisecond)
		}
		cmd.Process.Kill()
		cmd.Wait()
		heal()
		s.Advance(40 * time.Second)
		all := a.sessions(bare(s))
		e := refused(t, state(t.Context(), all), tools.NotLoggedIn, "its stored session has ended", "duplibot login --server nas")
		if strings.Count(e.Message, ".") > 0 {
			t.Errorf("more than a sentence: %s", e.Message)
		}
		login(t, all)
		works(t, all)
	})
}

func TestProcessesThatAreKilledAtAnyTimeLoseNoSession(t *testing.T) {
	s := duplicatitest.Start(t, duplicatitest.Options{Password: password, AccessLife: time.Second})
	a := newAccount(t)
	login(t, a.sessions(bare(s)))
	kills := 8
	if n, err := strconv.Atoi(os.Getenv("DUPLIBOT_KILLS")); err == nil {
		kills = n
	}
	for range kills {
		cmd, out := a.start(s.URL, 0, 5*time.Millisecond)
		if line, err := out.ReadString('\n'); err != nil || !strings.HasPrefix(line, "called") {
			t.Fatalf("after a kill: %q, %v", line, err)
		}
		go io.Copy(io.Discard, out)
		// Somewhere around the end of its token.
		time.Sleep(rand.N(900 * time.Millisecond))
		cmd.Process.Kill()
		cmd.Wait()
	}
	works(t, a.sessions(bare(s)))
	if n := s.Count("POST", loginPath); n != 1 {
		t.Errorf("%d logins, want the first alone", n)
	}
	t.Logf("%d kills, %d refreshes, one session", kills, refreshes(s))
}
