package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// By how many milliseconds a tool call may exceed the request that it makes.
const (
	stdioGoal = 0.2
	httpGoal  = 0.4
)

// calls measures the tool duplicati_status in turns with the request that it
// makes, on connections that are kept, and with a ping, which asks no server.
// The clients do nothing but write a message and read its answer.
func calls(ctx context.Context, s *stage, rounds int, t *table) error {
	a, err := s.assistant(ctx)
	if err != nil {
		return err
	}
	if _, err := a.listed(); err != nil {
		return err
	}
	if err := s.inTurns(ctx, "a tool call over stdio, over its request", stdioGoal, a.say, 20*rounds, 0, t); err != nil {
		return err
	}
	if err := a.end(); err != nil {
		return err
	}
	return s.httpCalls(ctx, rounds, t)
}

func (s *stage) httpCalls(ctx context.Context, rounds int, t *table) (err error) {
	daemon := s.daemonCommand(ctx, "serve")
	var said bytes.Buffer
	daemon.Stderr = &said
	if err := daemon.Start(); err != nil {
		return err
	}
	defer func() {
		end := daemon.Process.Signal(os.Interrupt)
		if err = errors.Join(err, end, daemon.Wait()); err != nil {
			err = fmt.Errorf("duplibot serve: %w\n%s", err, &said)
		}
	}()
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	// A token may ask 50 times a second, and 200 times after a rest.
	return s.inTurns(ctx, "a tool call over HTTP, over its request", httpGoal, c.say, 10*rounds, 90, t)
}

// inTurns measures calls times. After every rest of them, if that is not 0, it
// waits.
func (s *stage) inTurns(ctx context.Context, name string, goal float64, say func([]byte) ([]byte, error), calls, rest int, t *table) error {
	tool := func() error {
		answer, err := say([]byte(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"duplicati_status","arguments":{}}}`))
		if err == nil && (!bytes.Contains(answer, []byte(`"status":"done"`)) || bytes.Contains(answer, []byte(`"isError":true`))) {
			err = fmt.Errorf("duplicati_status: %s", answer)
		}
		return err
	}
	ping := func() error {
		answer, err := say([]byte(`{"jsonrpc":"2.0","id":7,"method":"ping"}`))
		if err == nil && !bytes.Contains(answer, []byte(`"result"`)) {
			err = fmt.Errorf("ping: %s", answer)
		}
		return err
	}
	things := []func() error{tool, func() error { return s.ask(ctx) }, ping}
	took := make([]series, len(things))
	for i := range calls {
		warm := i >= 20
		if rest > 0 && i%rest == 0 {
			time.Sleep(4 * time.Second)
			warm = false // what has slept is slow
		}
		for j, thing := range things {
			began := time.Now()
			if err := thing(); err != nil {
				return err
			}
			if warm {
				took[j] = append(took[j], millis(time.Since(began)))
			}
		}
	}
	t.add(name, "ms", series{took[0].median() - took[1].median()}, goal)
	t.beside("the call", "ms", took[0])
	t.beside("the request", "ms", took[1])
	t.beside("a ping, which asks no server", "ms", took[2])
	return nil
}

func (s *stage) ask(ctx context.Context) error {
	req, err := s.request(ctx)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err = io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the server answered %s", resp.Status)
	}
	return err
}

// connection is a client of `duplibot serve`.
type connection struct {
	ctx                      context.Context
	endpoint, token, session string
}

// connect waits for the daemon, makes a token and starts a session.
func (s *stage) connect(ctx context.Context) (*connection, error) {
	at, err := url.Parse(s.endpoint)
	if err != nil {
		return nil, err
	}
	for tries := 0; ; tries++ {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", at.Host)
		if err == nil {
			_ = c.Close()
			break
		}
		if tries == 100 {
			return nil, fmt.Errorf("duplibot serve does not listen: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	file := filepath.Join(s.dir, "token")
	if out, err := s.daemonCommand(ctx, "token", "create", "--for", "me", "--name", "bench", "--to", file).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("duplibot token create: %w\n%s", err, out)
	}
	token, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c := &connection{ctx: ctx, endpoint: s.endpoint, token: strings.TrimSpace(string(token))}
	_, err = c.say([]byte(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`))
	return c, err
}

func (c *connection) say(message []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.endpoint, bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Authorization", "Bearer "+c.token)
	if c.session != "" {
		req.Header.Set("Mcp-Session-Id", c.session)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	if c.session == "" {
		c.session = resp.Header.Get("Mcp-Session-Id")
	}
	return answer, err
}
