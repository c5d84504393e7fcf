package mcp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"sync"

	"github.com/mark3labs/mcp-go/server"

	"github.com/duplibot/duplibot/tools"
)

// What one client on stdio may keep busy, and the longest message it may send.
const (
	stdioWorkers = 32
	stdioQueue   = 256
	messageLimit = 1 << 20
)

// ServeStdio serves one client, which is caller, until in ends or ctx does. out
// is the protocol's alone. A process serves one client in its life.
func (s *Server) ServeStdio(ctx context.Context, caller tools.Caller, in io.Reader, out io.Writer) error {
	stdio := server.NewStdioServer(s.rpc)
	for _, option := range []server.StdioOption{
		server.WithWorkerPoolSize(stdioWorkers), server.WithQueueSize(stdioQueue),
		server.WithErrorLogger(log.New(warnings{s.Log}, "", 0)),
	} {
		option(stdio)
	}
	lines := &writer{out: out, acks: newAcks()}
	ctx = context.WithValue(withCaller(ctx, caller), senderKey{}, lines)
	err := stdio.Listen(context.WithValue(ctx, acksKey{}, lines.acks), newLines(in), lines)
	s.calls.Wait() // at most a grace
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// writer writes lines whole. Progress goes straight into it: by the library's
// queue it could come after the answer, when clients no longer listen.
type writer struct {
	acks *acks

	mu  sync.Mutex
	out io.Writer
}

// Write is called by the library with one line at a time.
func (w *writer) Write(p []byte) (int, error) {
	defer w.acks.saw(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}

func (w *writer) send(message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// warnings takes the library's own log. It can hold a message of the client,
// so only its length is kept.
type warnings struct{ log *slog.Logger }

func (w warnings) Write(p []byte) (int, error) {
	w.log.Warn("protocol trouble on stdio", "bytes", len(p))
	return len(p), nil
}

// lines passes on lines of a bounded length. A longer one becomes a line that
// is no message, which is answered with a parse error.
type lines struct {
	in   *bufio.Reader
	rest []byte
}

func newLines(in io.Reader) *lines { return &lines{in: bufio.NewReaderSize(in, 64<<10)} }

func (l *lines) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		line, err := l.next()
		if len(line) == 0 && err != nil {
			return 0, err
		}
		l.rest = line
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *lines) next() ([]byte, error) {
	var line []byte
	long := false
	for {
		piece, err := l.in.ReadSlice('\n')
		if len(line)+len(piece) > messageLimit {
			long = true
		}
		if !long {
			line = append(line, piece...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if long {
			line = []byte("too long\n")
		}
		if len(line) > 0 {
			return line, nil // an error comes again with the next call
		}
		return nil, err
	}
}
