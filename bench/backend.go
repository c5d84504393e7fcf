package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// backend is the process that stands for a Duplicati server.
type backend struct {
	url string
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startBackend(ctx context.Context, program string) (*backend, error) {
	b := &backend{cmd: exec.CommandContext(ctx, program)}
	b.cmd.Env, b.cmd.Stderr = append(os.Environ(), "BACKEND_PASSWORD="+password), os.Stderr
	var err error
	if b.in, err = b.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	b.out = bufio.NewReader(out)
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	if b.url, err = b.line(); err != nil {
		b.end()
		return nil, fmt.Errorf("backend: %w", err)
	}
	return b, nil
}

func (b *backend) line() (string, error) {
	text, err := b.out.ReadString('\n')
	return strings.TrimSpace(text), err
}

// requests counts those since it was called last.
func (b *backend) requests() (int, error) {
	if _, err := io.WriteString(b.in, "\n"); err != nil {
		return 0, err
	}
	text, err := b.line()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

func (b *backend) end() {
	_ = b.in.Close()
	_ = b.cmd.Wait()
}
