package duplicati_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/duplibot/duplibot/duplicati"
)

// TestEveryRecordedFrameIsUnderstood sends what real servers sent.
func TestEveryRecordedFrameIsUnderstood(t *testing.T) {
	for version, g := range recorded {
		if g == duplicati.G21 {
			continue
		}
		t.Run(version, func(t *testing.T) {
			file, err := os.Open(filepath.Join(wire, version, "websocket.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			var frames []string
			scan := bufio.NewScanner(file)
			scan.Buffer(nil, 16<<20)
			for scan.Scan() {
				var line struct{ Dir, Text string }
				if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
					t.Fatal(err)
				}
				if line.Dir == "received" && !strings.Contains(line.Text, `"Type":"reply"`) && !strings.Contains(line.Text, `"Type":"auth"`) && !strings.Contains(line.Text, `"Type":"serversettings"`) {
					frames = append(frames, line.Text)
				}
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, err := websocket.Accept(w, r, nil)
				if err != nil {
					return
				}
				defer conn.CloseNow()
				say := func(text string) { conn.Write(r.Context(), websocket.MessageText, []byte(text)) }
				conn.Read(r.Context())
				say(`{"Version":1,"Message":"Authenticated successfully","Success":true,"Type":"auth"}`)
				conn.Read(r.Context())
				say(`{"Version":1,"Id":"legacystatus","Service":"legacystatus","Message":"Subscribed successfully","Success":true,"Data":null,"Type":"reply"}`)
				for _, f := range frames {
					say(f)
				}
				conn.Read(r.Context())
			}))
			defer server.Close()
			c, err := duplicati.New(duplicati.Options{URL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			c.Assume(g)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			s, err := c.With(fixed{}).Subscribe(ctx, duplicati.OfState)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			count := make(map[duplicati.Topic]int)
			for i := range frames {
				e, err := s.Next(ctx)
				if err != nil {
					t.Fatalf("frame %d of %d: %v", i, len(frames), err)
				}
				count[e.Topic]++
			}
			for _, topic := range topics {
				if count[topic] == 0 {
					t.Errorf("no frame of %s among %v", topic, count)
				}
			}
		})
	}
}
