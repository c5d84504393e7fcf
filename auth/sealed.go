package auth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

// box is what a sealed file holds in clear, once it is opened.
type box struct {
	Owner   tools.Identity `json:"owner"`
	Expires time.Time      `json:"expires"`

	// Where the content is, when it is not here.
	Item string `json:"item,omitempty"` // of the keyring
	File string `json:"file,omitempty"` // absolute
	Sum  string `json:"sum,omitempty"`  // SHA-256 of the file, hex
}

// sealed is a folder of sealed files, each a box and the content in it. A
// file's name and kind are part of the seal, so that one cannot be put in the
// place of another.
type sealed struct {
	dir string
	key func(context.Context) ([]byte, error)
}

// The kinds of sealed files, which their names end with.
const (
	heldKind = "held"
	keptKind = "kept"
)

var sealedName = regexp.MustCompile(`^[a-z2-7]{24}$`)

// errGone says that there is no such file, whatever the reason.
var errGone = errors.New("it is not there")

func (s *sealed) cipher(ctx context.Context) (cipher.AEAD, error) {
	key, err := s.key(ctx)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// put seals content and returns the name it has from now on.
func (s *sealed) put(ctx context.Context, kind string, b box, content secret.Value) (name string, err error) {
	aead, err := s.cipher(ctx)
	if err != nil {
		return "", err
	}
	if err := privateFolder(s.dir); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	head, err := json.Marshal(b)
	if err != nil {
		return "", err
	}
	name = randomName()
	file := name + "." + kind
	plain := append(append(head, '\n'), content.Reveal()...)
	return name, writeWhole(root, file, aead.Seal(nil, nil, plain, []byte(file)), false)
}

// open returns what is sealed under name. What is no such name, is gone or was
// sealed with another key is errGone.
func (s *sealed) open(ctx context.Context, kind, name string) (box, secret.Value, error) {
	if !sealedName.MatchString(name) {
		return box{}, secret.Value{}, errGone
	}
	file := name + "." + kind
	data, err := readFile(filepath.Join(s.dir, file), MaxFile+4096)
	if errors.Is(err, fs.ErrNotExist) {
		return box{}, secret.Value{}, errGone
	}
	if err != nil {
		return box{}, secret.Value{}, err
	}
	aead, err := s.cipher(ctx)
	if err != nil {
		return box{}, secret.Value{}, err
	}
	plain, err := aead.Open(nil, nil, data, []byte(file))
	if err != nil {
		return box{}, secret.Value{}, fmt.Errorf("%w: it was sealed with another key, or is damaged", errGone)
	}
	head, content, _ := strings.Cut(string(plain), "\n")
	var b box
	if err := json.Unmarshal([]byte(head), &b); err != nil {
		return box{}, secret.Value{}, fmt.Errorf("%w: it is damaged", errGone)
	}
	return b, secret.New(content), nil
}

// claim takes a file away for the one who gets it: of many that come at once,
// in whatever process, one does, and the others get errGone.
func (s *sealed) claim(kind, name string) error {
	err := os.Remove(filepath.Join(s.dir, name+"."+kind))
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	return err
}

func (s *sealed) remove(kind, name string) error {
	if !sealedName.MatchString(name) {
		return nil
	}
	if err := s.claim(kind, name); !errors.Is(err, errGone) {
		return err
	}
	return nil
}

// sweep removes what nobody came for in time, and what a killed writer left.
func (s *sealed) sweep(hold time.Duration) error {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var all []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // gone by now
		}
		old := hold
		if strings.HasPrefix(e.Name(), ".duplibot-") {
			old = time.Hour
		}
		if time.Since(info.ModTime()) > old {
			all = append(all, os.Remove(filepath.Join(s.dir, e.Name())))
		}
	}
	return errors.Join(all...)
}
