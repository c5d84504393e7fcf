package keyring

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	sealedFolder = "sealed"

	// What an item begins with in a keyring that has a limit.
	itself  = '=' // the secret
	pointer = '>' // the name of a file, idBytes long, and the key it is sealed with
	idBytes = 16
)

// sealing is a place whose items may have limit bytes at most. What is larger
// goes into a file, sealed by AES-256-GCM with a key of its own, and the item
// holds that key: without the keyring the file is nothing. The item is written
// after the file and points at it, so that a process that is killed in between
// leaves the old secret in force.
type sealing struct {
	place
	limit int
	dir   string // "" when there is no folder for the files
}

func (s *sealing) read(ctx context.Context, name string) ([]byte, error) {
	item, err := s.place.read(ctx, name)
	for {
		if err != nil {
			return nil, err
		}
		if len(item) > 1 && item[0] == itself {
			return item[1:], nil
		}
		if len(item) != 1+idBytes+keyBytes || item[0] != pointer {
			return nil, damaged(name)
		}
		data, err := s.unseal(name, item[1:1+idBytes], item[1+idBytes:])
		if !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
		// A writer may have replaced both since the item was read.
		var now []byte
		now, err = s.place.read(ctx, name)
		if err == nil && bytes.Equal(now, item) {
			return nil, fmt.Errorf("%w: it is too large for the keyring itself and its file in %s is gone; put the file back, or delete the item and store it again", ErrCorrupt, filepath.Join(s.dir, sealedFolder))
		}
		item = now
	}
}

func (s *sealing) unseal(name string, id, key []byte) ([]byte, error) {
	if s.dir == "" {
		return nil, fmt.Errorf("%w: the secret is in a file and no folder for such files is set; set it to where it was when the secret was stored", ErrUnavailable)
	}
	if _, err := openFolder(s.dir); err != nil {
		return nil, err
	}
	box, err := os.ReadFile(s.file(name, id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the file of a large secret cannot be read; see the rights of %s (%w)", ErrUnavailable, s.dir, err)
	}
	aead, err := sealer(key)
	if err != nil {
		return nil, err
	}
	data, err := aead.Open(nil, nil, box, []byte(name))
	if err != nil {
		return nil, damaged(name)
	}
	return data, nil
}

func (s *sealing) write(ctx context.Context, name string, data []byte) error {
	large := 1+len(data) > s.limit
	if s.dir == "" {
		if large {
			return fmt.Errorf("%w: %d bytes, and it takes %d; give the keyring a folder, where larger ones are kept sealed", ErrTooLarge, len(data), s.limit-1)
		}
		return s.keep(ctx, name, append([]byte{itself}, data...), data)
	}
	dir, unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	item, keep := append([]byte{itself}, data...), ""
	if large {
		fresh := make([]byte, idBytes+keyBytes)
		rand.Read(fresh)
		id, key := fresh[:idBytes], fresh[idBytes:]
		aead, err := sealer(key)
		if err != nil {
			return err
		}
		keep = hex.EncodeToString(id)
		err = dir.replace(filepath.Join(sealedFolder, name, keep), func(stage string) error {
			return os.WriteFile(filepath.Join(stage, keep), aead.Seal(nil, nil, data, []byte(name)), 0o600)
		})
		if err != nil {
			return err
		}
		item = append([]byte{pointer}, fresh...)
	}
	if err := s.keep(ctx, name, item, data); err != nil {
		return err // the files stay: which of them the item points at is not known
	}
	s.sweep(name, keep)
	return nil
}

// keep writes the item and reads the whole secret back.
func (s *sealing) keep(ctx context.Context, name string, item, data []byte) error {
	if err := s.place.write(ctx, name, item); err != nil {
		return err
	}
	return readBack(ctx, s, name, data)
}

func (s *sealing) remove(ctx context.Context, name string) error {
	if s.dir == "" {
		return s.place.remove(ctx, name)
	}
	_, unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.place.remove(ctx, name); err != nil {
		return err
	}
	s.sweep(name, "")
	return nil
}

// lock takes the turn among all that write here. Two writers of one secret
// would else sweep each other's file away.
func (s *sealing) lock(ctx context.Context) (folder, func(), error) {
	dir, err := openFolder(s.dir)
	if err != nil {
		return "", nil, err
	}
	unlock, err := dir.lock(ctx)
	return dir, unlock, err
}

// sweep removes the files of a secret, all but the one in use. Without their
// key they are noise, so one that stays behind is no harm.
func (s *sealing) sweep(name, keep string) {
	dir := filepath.Join(s.dir, sealedFolder, name)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != keep {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	if keep == "" {
		os.Remove(dir)
	}
}

func (s *sealing) file(name string, id []byte) string {
	return filepath.Join(s.dir, sealedFolder, name, hex.EncodeToString(id))
}

func sealer(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
