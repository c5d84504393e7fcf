package watch_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/watch"
)

// ticking is a post whose clock runs, with a watcher at work.
func ticking(t *testing.T, generation string, change func(*watch.Options)) (p *post, end func()) {
	t.Helper()
	clock := duplicatitest.NewClock()
	p = station(t, generation, func(o *duplicatitest.Options) { o.Clock, o.TaskTime = clock, 50*time.Millisecond })
	p.o.Now = clock.Now
	if change != nil {
		change(&p.o)
	}
	p.restartBot()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.w.Run(ctx) }()
	var ended bool
	end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Run ended with %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Run does not end")
		}
	}
	t.Cleanup(end)
	return p, end
}

// hears waits until a problem was told, or its end.
func (p *post) hears(key string, over bool) watch.Problem {
	p.t.Helper()
	for range 600 {
		p.mu.Lock()
		for _, x := range p.told {
			if x.Key == key && x.Over() == over {
				p.mu.Unlock()
				return x
			}
		}
		p.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	p.t.Fatalf("%s was not told (over: %v)", key, over)
	return watch.Problem{}
}

func (p *post) subscribed() {
	p.t.Helper()
	for range 600 {
		if p.Count("GET", "/notifications") > 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.t.Fatal("no websocket was opened")
}

func TestWhatHappensIsHeardWithoutPolling(t *testing.T) {
	everyGeneration(t, func(t *testing.T, g string) {
		moved, changed := make(chan watch.Movement, 100), make(chan string, 100)
		p, _ := ticking(t, g, func(o *watch.Options) {
			o.Poll = time.Hour
			o.Moved = func(m watch.Movement) {
				select {
				case moved <- m:
				default:
				}
			}
			o.Changed = func(s string) {
				select {
				case changed <- s:
				default:
				}
			}
		})
		id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
		p.subscribed()
		p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"}, duplicatitest.Outcome{})
		c, _ := p.o.Clients.Client(context.Background(), "nas")
		if _, err := c.Run(context.Background(), id, false); err != nil {
			t.Fatal(err)
		}
		x := p.hears("nas/"+id+"/failed", false)
		if x.Name != "Photos" || len(x.Said) == 0 || !strings.Contains(x.Said[0], "no disk") {
			t.Errorf("%+v", x)
		}
		if _, err := c.Run(context.Background(), id, false); err != nil {
			t.Fatal(err)
		}
		p.hears("nas/"+id+"/failed", true)
		if len(changed) == 0 {
			t.Error("no change was told")
		}
		if g == "2.1" {
			return // it pushes its state only
		}
		select {
		case m := <-moved:
			if m.Server != "nas" || m.Backup != id || m.Progress.Task == 0 {
				t.Errorf("%+v", m)
			}
		case <-time.After(5 * time.Second):
			t.Error("no progress was told")
		}
	})
}

func TestABrokenWebsocketIsOpenedAgain(t *testing.T) {
	p, _ := ticking(t, "", func(o *watch.Options) { o.Poll = time.Hour })
	id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
	p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Fails, Message: "no disk"})
	p.subscribed()
	p.ForgetRequests()
	p.Restart(duplicatitest.RestartOptions{ResetKeys: true})
	p.subscribed()
	c, _ := p.o.Clients.Client(context.Background(), "nas")
	if _, err := c.Run(context.Background(), id, false); err != nil {
		t.Fatal(err)
	}
	p.hears("nas/"+id+"/failed", false)
}

func TestWithoutAWebsocketPollingFindsIt(t *testing.T) {
	p, _ := ticking(t, "", func(o *watch.Options) { o.Poll = 50 * time.Millisecond })
	p.Inject(duplicatitest.Fault{Prefix: "/notifications", Status: 502, Body: "<html>no upgrade here</html>"})
	id := p.AddBackup(duplicatitest.Backup{Name: "Photos"})
	p.SetOutcome(id, duplicatitest.Outcome{Result: duplicatitest.Warns})
	c, _ := p.o.Clients.Client(context.Background(), "nas")
	if _, err := c.Run(context.Background(), id, false); err != nil {
		t.Fatal(err)
	}
	p.hears("nas/"+id+"/warned", false)
}

func TestNothingIsLeftBehindWhenWatchingEnds(t *testing.T) {
	p, end := ticking(t, "", nil)
	p.subscribed()
	before := runtime.NumGoroutine()
	end()
	time.Sleep(100 * time.Millisecond)
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before the end, %d after it", before, after)
	}
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for _, o := range []watch.Options{{}, {Clients: clients{}, Tell: func(watch.Problem) {}}} {
		if _, err := watch.New(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	p := station(t, "", nil)
	o := p.o
	o.Poll = -1
	if _, err := watch.New(o); err == nil {
		t.Error("a negative time was accepted")
	}
	o = p.o
	o.Servers = []string{"nas", "nas"}
	if _, err := watch.New(o); err == nil {
		t.Error("a server that is there twice was accepted")
	}
	if err := p.w.Look(context.Background(), "other"); err == nil {
		t.Error("an unknown server was looked at")
	}
}

func TestAServerWithoutLoginIsTold(t *testing.T) {
	p := station(t, "", nil)
	bare, err := duplicati.New(duplicati.Options{URL: p.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	p.o.Clients = clients{"nas": bare}
	p.restartBot()
	p.want("at first", "")
	p.Advance(3 * time.Minute)
	p.want("beyond the patience", "+nas/login")
}
