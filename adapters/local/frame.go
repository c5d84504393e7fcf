package local

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/duplibot/duplibot/secret"
)

// kind is what a frame holds.
type kind byte

const (
	helloFrame    kind = 'h'
	welcomeFrame  kind = 'w'
	requestFrame  kind = 'r'
	cancelFrame   kind = 'c'
	progressFrame kind = 'p'
	beatFrame     kind = 'b'
	answerFrame   kind = 'a'
	secretFrame   kind = 's'
)

// MaxSecret is how large a secret or a file can be that travels here, in bytes.
const MaxSecret = 16 << 20

// limits is how long the payload of a frame can be, in bytes.
var limits = map[kind]uint32{
	helloFrame:    16 << 10,
	welcomeFrame:  16 << 10,
	requestFrame:  1 << 20,
	cancelFrame:   0,
	progressFrame: 64 << 10,
	beatFrame:     0,
	answerFrame:   16 << 20,
	secretFrame:   MaxSecret,
}

// tooLong says that a frame is longer than its kind allows.
type tooLong struct {
	kind kind
	size int
}

func (e tooLong) Error() string {
	return fmt.Sprintf("a frame of kind %q holds %d bytes; the limit is %d", byte(e.kind), e.size, limits[e.kind])
}

// writeFrame writes one frame in a single write.
func writeFrame(w io.Writer, k kind, payload []byte) error {
	if len(payload) > int(limits[k]) {
		return tooLong{k, len(payload)}
	}
	frame := make([]byte, 5, 5+len(payload))
	frame[0] = byte(k)
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	frame = append(frame, payload...)
	_, err := w.Write(frame)
	if k == secretFrame {
		clear(frame)
	}
	return err
}

// readFrame reads one frame of one of the kinds that are due. Memory is taken
// as bytes arrive, not as the length promises.
func readFrame(r io.Reader, due ...kind) (kind, []byte, error) {
	var payload bytes.Buffer
	k, err := copyFrame(&payload, r, due...)
	if err != nil {
		return 0, nil, err
	}
	return k, payload.Bytes(), nil
}

func copyFrame(w io.Writer, r io.Reader, due ...kind) (kind, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	k, size := kind(head[0]), binary.BigEndian.Uint32(head[1:])
	if !slices.Contains(due, k) {
		return 0, fmt.Errorf("a frame of kind %q came where another was due", byte(k))
	}
	if size > limits[k] {
		return 0, tooLong{k, int(size)}
	}
	if n, err := io.CopyN(w, r, int64(size)); err != nil {
		return 0, fmt.Errorf("a frame of %d bytes ended after %d: %w", size, n, io.ErrUnexpectedEOF)
	}
	return k, nil
}

// passOver reads one frame and keeps nothing of it.
func passOver(r io.Reader, due kind) error {
	_, err := copyFrame(io.Discard, r, due)
	return err
}

func writeJSON(w io.Writer, k kind, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write a frame of kind %q: %w", byte(k), err)
	}
	return writeFrame(w, k, payload)
}

func readJSON(r io.Reader, k kind, into any) error {
	_, payload, err := readFrame(r, k)
	if err != nil {
		return err
	}
	return json.Unmarshal(payload, into)
}

func writeSecret(w io.Writer, v secret.Value) error {
	return writeFrame(w, secretFrame, []byte(v.Reveal()))
}

func readSecret(r io.Reader) (secret.Value, error) {
	_, payload, err := readFrame(r, secretFrame)
	if err != nil {
		return secret.Value{}, err
	}
	v := secret.New(string(payload))
	clear(payload)
	return v, nil
}
