package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

func size(_ context.Context, s *stage, _ int, t *table) error {
	info, err := os.Stat(s.binary)
	if err != nil {
		return err
	}
	t.add("size of the program", "MB", series{float64(info.Size()) / 1e6}, 25)
	return nil
}

// assistant is the client of a `duplibot mcp`.
type assistant struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	id  int
}

func (s *stage) assistant(ctx context.Context) (*assistant, error) {
	cmd := s.command(ctx, "mcp")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &assistant{cmd: cmd, in: in, out: bufio.NewReaderSize(out, 1<<20)}, nil
}

// ask sends a request and reads up to its answer.
func (a *assistant) ask(method string, params, result any) error {
	a.id++
	text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": a.id, "method": method, "params": params})
	if err != nil {
		return err
	}
	if _, err := a.in.Write(append(text, '\n')); err != nil {
		return err
	}
	for {
		line, err := a.out.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		var m struct {
			ID     int
			Result json.RawMessage
			Error  json.RawMessage
		}
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		if m.ID != a.id {
			continue // a notification
		}
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error)
		}
		return json.Unmarshal(m.Result, result)
	}
}

// say sends one message and reads one line.
func (a *assistant) say(message []byte) ([]byte, error) {
	if _, err := a.in.Write(append(message, '\n')); err != nil {
		return nil, err
	}
	return a.out.ReadBytes('\n')
}

// listed goes through the greeting up to the list of tools.
func (a *assistant) listed() (tools int, err error) {
	greeting := map[string]any{
		"protocolVersion": "2025-06-18", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "bench", "version": "1"},
	}
	var ignored json.RawMessage
	if err := a.ask("initialize", greeting, &ignored); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(a.in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n"); err != nil {
		return 0, err
	}
	var list struct{ Tools []json.RawMessage }
	err = a.ask("tools/list", map[string]any{}, &list)
	return len(list.Tools), err
}

func (a *assistant) end() error {
	a.in.Close()
	return a.cmd.Wait()
}

// start measures from the start of the process to the whole list of tools,
// and what it holds in memory then.
func start(ctx context.Context, s *stage, rounds int, t *table) error {
	var took, held, bare series
	for range rounds {
		began := time.Now()
		a, err := s.assistant(ctx)
		if err != nil {
			return err
		}
		n, err := a.listed()
		if err != nil || n == 0 {
			return fmt.Errorf("%d tools: %w", n, err)
		}
		took = append(took, millis(time.Since(began)))
		if runtime.GOOS == "linux" {
			m, err := memory(a.cmd.Process.Pid, "VmRSS")
			if err != nil {
				return err
			}
			held = append(held, m)
		}
		if err := a.end(); err != nil {
			return err
		}
		began = time.Now()
		if err := s.bareCommand(ctx).Run(); err != nil {
			return fmt.Errorf("bare: %w", err)
		}
		bare = append(bare, millis(time.Since(began)))
	}
	t.add("an assistant's start, to the list of tools", "ms", took, 25)
	t.beside("a bare program, one request", "ms", bare)
	if held != nil {
		t.add("memory after the list of tools", "MiB", held, 25)
	}
	return nil
}
