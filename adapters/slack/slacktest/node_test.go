package slacktest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/adapters/slack/slacktest"
)

// peer is one of Slack's own clients in a process of its own.
type peer struct {
	t     *testing.T
	lines chan map[string]any
	err   *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startPeer(t *testing.T, r *rig, script string) *peer {
	t.Helper()
	need := func(reason string) {
		if os.Getenv("DUPLIBOT_TEST_REQUIRE") == "all" {
			t.Fatal("needs " + reason)
		}
		t.Skip("needs " + reason)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		need("node: Slack's own clients run on it")
	}
	if _, err := os.Stat(filepath.Join("node", "node_modules", "@slack", "bolt")); err != nil {
		need("node/node_modules: Slack's own clients, installed with npm ci in adapters/slack/slacktest/node")
	}
	p := &peer{t: t, lines: make(chan map[string]any, 100), err: &lockedBuffer{}}
	cmd := exec.Command(node, script)
	cmd.Dir = "node"
	cmd.Env = append(os.Environ(), "SLACK_API_URL="+r.APIURL(), "SLACK_APP_TOKEN="+r.AppToken(), "SLACK_BOT_TOKEN="+r.BotToken())
	cmd.Stderr = p.err
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			var event map[string]any
			if json.Unmarshal(lines.Bytes(), &event) != nil {
				_, _ = io.WriteString(p.err, lines.Text()+"\n") // Slack's loggers write to stdout
				continue
			}
			p.lines <- event
		}
	}()
	t.Cleanup(func() {
		_ = stdin.Close() // tells it to end
		late := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		<-read
		_ = cmd.Wait()
		late.Stop()
	})
	return p
}

// did waits for a line that says so.
func (p *peer) did(what string) map[string]any {
	p.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case event := <-p.lines:
			if event["error"] != nil {
				p.t.Fatalf("the client reports: %v", event["error"])
			}
			if event["did"] == what {
				return event
			}
		case <-limit:
			p.t.Fatalf("the client never did %q; it wrote:\n%s", what, p.err)
		}
	}
}

func TestSlacksOwnFrameworkWorksAgainstTheFake(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	bolt := startPeer(t, r, "bolt.mjs")
	bolt.did("start")
	r.WaitConnections(1)

	r.Slash(r.ann.ID, r.nas.ID, "run photos").Acked()
	bolt.did("post")
	card := r.WaitMessage(r.nas.ID, slacktest.Offering("run"))
	r.WaitMessage(r.nas.ID, slacktest.EphemeralFor(r.ann.ID, "asked"))
	r.Click(card, "run", r.ann.ID).Acked()
	bolt.did("update")
	r.WaitUpdate(card, slacktest.Saying("runs 7"))

	r.Slash(r.ann.ID, r.nas.ID, "form").Acked()
	bolt.did("open")
	modal := r.WaitModal(r.ann.ID, nil)
	r.Submit(modal, map[string]any{"pick": "7"}, r.ann.ID).Acked()
	if picked := bolt.did("submit")["picked"]; picked != "7" {
		t.Errorf("picked %v", picked)
	}
	r.WaitModal(r.ann.ID, func(v slacktest.View) bool { return v.Errors["name"] == "not 7" })
	r.OpenHome(r.ann.ID).Acked()
	bolt.did("publish")

	before := r.Opened()
	r.Disconnect("refresh_requested")
	if err := r.Wait(t.Context(), func() bool { return r.Opened() > before && r.Connections() == 1 }); err != nil {
		t.Fatal(err)
	}
	r.Slash(r.ann.ID, r.nas.ID, "run photos").Acked()
	bolt.did("post")
}

func TestSlacksOwnSocketClientWorksAgainstTheFake(t *testing.T) {
	r := newRig(t, slacktest.Options{})
	client := startPeer(t, r, "socket.mjs")
	client.did("connected")
	r.WaitConnections(1)

	d := r.Slash(r.ann.ID, r.nas.ID, "a word")
	if got := client.did("slash"); got["envelope_id"] != d.ID || got["text"] != "a word" {
		t.Errorf("got %v", got)
	}
	d.Acked()
	r.WaitMessage(r.nas.ID, slacktest.EphemeralFor(r.ann.ID, "heard a word"))

	home := r.OpenHome(r.ann.ID)
	client.did("ignore")
	r.Advance(3 * time.Second)
	if got := client.did("event"); got["user"] != r.ann.ID || got["retry_num"] != 1.0 || got["retry_reason"] != "http_timeout" {
		t.Errorf("got %v", got)
	}
	home.Acked()

	r.Disconnect("warning")
	client.did("connected")
	r.DropConnections(0)
	client.did("connected")
	r.WaitConnections(1)
	r.Slash(r.ann.ID, r.nas.ID, "again").Acked()
}
