package local

import (
	"io"
	"net"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// What tests of the wire need of it.
const (
	Protocol      = protocol
	MaxClientsUID = maxClientsUID
)

func Digest(s *Server) string { return s.digest }

func DigestOf(ops ...tools.Operation) string { return digest(tools.NewRegistry(ops...)) }

// Patient reads as a client does that waits for wait.
func Patient(c *net.UnixConn, wait time.Duration) io.Reader { return &patient{conn: c, wait: wait} }

// WriteFrame and ReadFrame put frames on the wire as the package does.
func WriteFrame(w io.Writer, k byte, payload []byte) error { return writeFrame(w, kind(k), payload) }

func ReadFrame(r io.Reader) (byte, []byte, error) {
	k, payload, err := readFrame(r, welcomeFrame, progressFrame, beatFrame, answerFrame, secretFrame)
	return byte(k), payload, err
}
