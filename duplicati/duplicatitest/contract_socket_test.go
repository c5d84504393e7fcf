package duplicatitest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// wsClient is the recorded client of /notifications.
type wsClient struct {
	conn *websocket.Conn
	in   chan string // closed with the connection
	end  error
	last map[string]string // by service: the last progress
}

// sampled are the phases that a run of a backup may be seen in: which of them
// are, depends on the moments at which the server looks.
var sampled = []string{
	"Starting_Operation", "Backup_PreBackupVerify", "Backup_ProcessingFiles", "Backup_WaitForUpload", "Backup_PostBackupVerify",
	"Backup_PostBackupTest", "Verify_Running", "Backup_Complete",
}

// playSocket replays the recording of a websocket. Its HTTP requests are told
// by their names alone; their session is one that was not recorded.
func (r *replay) playSocket(file string, lines *bufio.Scanner) {
	r.login()
	var c *wsClient
	for n := 1; lines.Scan(); n++ {
		var x exchange
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			r.t.Fatalf("%s:%d: %v", file, n, err)
		}
		r.before(file, n)
		var diffs []string
		switch x.Dir {
		case "http":
			diffs = r.socketRequest(&x)
		case "open":
			c = r.open(&x)
		case "sent":
			text := strings.ReplaceAll(x.Text, "ACCESS_TOKEN", r.words["other"])
			if err := c.conn.Write(context.Background(), websocket.MessageText, []byte(text)); err != nil {
				diffs = []string{err.Error()}
			}
		case "received":
			diffs = r.received(c, x.Text)
		case "close":
			diffs = c.closed(&x)
		default:
			r.t.Fatalf("%s:%d: unknown direction %q", file, n, x.Dir)
		}
		r.count(file, n, x.Dir+" "+x.What+short(x.Text), diffs, false)
	}
}

func (r *replay) socketRequest(x *exchange) []string {
	method, path, _ := strings.Cut(x.What, " ")
	ask := exchange{}
	ask.Request.Method, ask.Request.Path = method, "/api/v1/"+path
	ask.Request.Headers = [][2]string{{"Authorization", "Bearer " + r.words["other"]}}
	got := r.ask(&ask)
	if got.Status != 200 {
		return []string{fmt.Sprintf("status %d", got.Status)}
	}
	if len(x.Body) == 0 {
		return nil
	}
	return compareJSON(x.Body, got.bytes())
}

func (r *replay) open(x *exchange) *wsClient {
	url := "ws" + strings.TrimPrefix(r.wire.URL, "http") + "/notifications"
	if strings.Contains(x.URL, "?token=") {
		url += "?token=" + r.words["other"]
	}
	conn, _, err := websocket.Dial(context.Background(), url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	c := &wsClient{conn: conn, in: make(chan string, 1000), last: map[string]string{}}
	go func() {
		defer close(c.in)
		for {
			_, raw, err := conn.Read(context.Background())
			if err != nil {
				c.end = err
				return
			}
			c.in <- string(raw)
		}
	}()
	r.t.Cleanup(func() { conn.CloseNow() })
	return c
}

// received compares the next message. Of progress, which is sampled, the last
// one counts again where the recording has more, and what the fake has more is
// passed over.
func (r *replay) received(c *wsClient, want string) []string {
	for {
		if isProgress(want) {
			if next, ok := c.peek(); !ok || !isProgress(next) {
				if c.last["progress"] == "" {
					return []string{"no progress, but " + short(next)}
				}
				return compareProgress(want, c.last["progress"])
			}
		}
		got, ok := c.next(socketWait)
		if !ok {
			return []string{"nothing received"}
		}
		if isProgress(got) {
			c.last["progress"] = got
			if isProgress(want) {
				return compareProgress(want, got)
			}
			continue
		}
		return compareJSON([]byte(want), []byte(got))
	}
}

func isProgress(s string) bool { return strings.HasPrefix(s, `{"Type":"progress"`) }

// compareProgress compares everything but how far it has come.
func compareProgress(want, got string) []string {
	w, errW := parseNode([]byte(want))
	g, errG := parseNode([]byte(got))
	if errW != nil || errG != nil {
		return []string{fmt.Sprintf("progress: %v, recorded %v", errG, errW)}
	}
	var diffs []string
	for _, n := range []node{w, g} {
		data := n.member("Data")
		if phase := data.member("Phase").text; !slices.Contains(sampled, phase) {
			diffs = append(diffs, fmt.Sprintf("phase %q", phase))
		}
	}
	loose := func(n node) node {
		i := slices.Index(n.names, "Data")
		data := n.members[i].withoutNumbers()
		for j, name := range data.names {
			switch name {
			case "Phase", "BackendAction", "CurrentFilename", "BackendPath", "EstimatedTimeToCompletion", "StillCounting", "CurrentFilecomplete":
				data.members[j] = node{kind: "string", text: "?"}
			}
		}
		n.members = slices.Clone(n.members)
		n.members[i] = data
		return n
	}
	w, g = loose(w), loose(g)
	if a, b := w.member("Data").member("ActiveTransfers"), g.member("Data").member("ActiveTransfers"); len(a.members) != len(b.members) {
		for _, n := range []node{w, g} {
			data := n.member("Data")
			data.members[slices.Index(data.names, "ActiveTransfers")] = node{kind: "array"}
		}
	}
	return append(diffs, compareNodes("", "", w, g)...)
}

const socketWait = 20 * time.Second

func (c *wsClient) next(patience time.Duration) (string, bool) {
	if held, ok := c.last["held"]; ok {
		delete(c.last, "held")
		return held, true
	}
	select {
	case m, ok := <-c.in:
		return m, ok
	case <-time.After(patience):
		return "", false
	}
}

// peek looks at the next message and leaves it.
func (c *wsClient) peek() (string, bool) {
	m, ok := c.next(100 * time.Millisecond)
	if ok {
		c.last["held"] = m
	}
	return m, ok
}

// closed compares the end of a connection: by the server with a code and a
// reason, or by the client.
func (c *wsClient) closed(x *exchange) []string {
	if x.Code == 1000 {
		for m, ok := c.drain(); ok; m, ok = c.drain() {
			if !isProgress(m) {
				return []string{"not recorded: " + short(m)}
			}
		}
		c.conn.Close(websocket.StatusNormalClosure, "")
		return nil
	}
	if m, ok := c.next(socketWait); ok {
		return []string{"received " + short(m)}
	}
	var e websocket.CloseError
	if !errors.As(c.end, &e) || int(e.Code) != x.Code || e.Reason != x.Reason {
		return []string{fmt.Sprintf("end %v, recorded %d %q", c.end, x.Code, x.Reason)}
	}
	return nil
}

func (c *wsClient) drain() (string, bool) {
	select {
	case m, ok := <-c.in:
		return m, ok
	case <-time.After(50 * time.Millisecond):
		return "", false
	}
}
