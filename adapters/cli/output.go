package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// output is stdout, and remembers that it could not be written to.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.err = err
	return n, err
}

// closed reports whether whoever read it has gone away.
func (o *output) closed() bool {
	return errors.Is(o.err, syscall.EPIPE) || errors.Is(o.err, io.ErrClosedPipe)
}

// arrived is the exit code of a command that has ended with code. An answer
// that could not be written is no success; who closes a pipe early has seen
// enough.
func (r *Run) arrived(code int) int {
	if r.out.err == nil || r.out.closed() {
		return code
	}
	words := "the answer could not be written: " + reason(r.out.err)
	if code != ExitDone {
		r.line("error", words)
		return code
	}
	r.line("error", words+"; what was asked for was done")
	return ExitUsage
}

// reason is an error without the path, which stands before it.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err.Error()
	}
	return err.Error()
}

// write puts text on w as it is.
func write(w io.Writer, text string) { io.WriteString(w, text) }
