package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// callGoal is by how many milliseconds a tool call may exceed the request.
const callGoal = 0.2

// calls measures the tool duplicati_status of an assistant that is there
// already, in turns with a bare request on a connection that is kept.
func calls(ctx context.Context, s *stage, rounds int, t *table) error {
	a, err := s.assistant(ctx)
	if err != nil {
		return err
	}
	if _, err := a.listed(); err != nil {
		return err
	}
	var tool, bare, empty series
	for i := range 20 * rounds {
		began := time.Now()
		var result struct{ IsError bool }
		err := a.ask("tools/call", map[string]any{"name": "duplicati_status", "arguments": map[string]any{}}, &result)
		called := time.Since(began)
		if err != nil || result.IsError {
			return fmt.Errorf("duplicati_status: error %v, %w", result.IsError, err)
		}
		began = time.Now()
		if err := s.ask(ctx); err != nil {
			return err
		}
		asked := time.Since(began)
		if i < rounds {
			continue // the first calls open connections and log in
		}
		began = time.Now()
		var nothing struct{}
		if err := a.ask("ping", map[string]any{}, &nothing); err != nil {
			return err
		}
		empty = append(empty, millis(time.Since(began)))
		tool, bare = append(tool, millis(called)), append(bare, millis(asked))
	}
	t.add("a tool call over a bare request", "ms", series{tool.median() - bare.median()}, callGoal)
	t.beside("the call", "ms", tool)
	t.beside("the request", "ms", bare)
	t.beside("a ping of the same assistant, which asks nobody", "ms", empty)
	return a.end()
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
