package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/duplibot/duplibot/auth/keyring"
	"github.com/duplibot/duplibot/secret"
	"github.com/duplibot/duplibot/tools"
)

const (
	// largestWord is how large what a reference names may be.
	largestWord = 64 << 10

	passWithin = 30 * time.Second // gpg may have to reach a card
)

// References finds the words that references name, on this machine and as this
// account.
type References struct{ ring keyring.Ring }

// NewReferences returns one that reads "keyring:" from ring; nil has none.
func NewReferences(ring keyring.Ring) *References { return &References{ring} }

// Resolve returns the word. One newline at its end is not part of it. Errors
// name the reference and never what is behind it: NotFound, Denied for an item
// of the bot's own, Unavailable where it cannot be read.
func (r *References) Resolve(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	if ref.IsZero() {
		return secret.Value{}, tools.Errorf(tools.SecretNeeded, "there is no reference to a secret; nothing was done")
	}
	if ownItem(ref.Scheme(), ref.Name()) {
		return secret.Value{}, tools.Errorf(tools.Denied, "%s belongs to the bot itself and is not given out; nothing was done", ref)
	}
	word, err := r.read(ctx, ref)
	if err != nil {
		return secret.Value{}, err
	}
	text, ended := strings.CutSuffix(word.Reveal(), "\n")
	if ended {
		text = strings.TrimSuffix(text, "\r")
	}
	if text == "" {
		return secret.Value{}, tools.Errorf(tools.NotFound, "what %s refers to is empty; nothing was done", ref).
			WithHint("put the secret there, or name another place in the configuration")
	}
	if strings.Contains(text, "\x00") {
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "what %s refers to is no word: it holds zero bytes; nothing was done", ref)
	}
	return secret.New(text), nil
}

func (r *References) read(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	switch ref.Scheme() {
	case "env":
		word, set := os.LookupEnv(ref.Name())
		if !set {
			return secret.Value{}, tools.Errorf(tools.NotFound, "the environment variable %s is not set; nothing was done", ref.Name()).
				WithHint("set it for the process that uses it: a service has an environment of its own")
		}
		return secret.New(word), nil
	case "file":
		return readWord(ref, ref.Name())
	case "credential":
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return secret.Value{}, tools.Errorf(tools.NotFound, "this process was started without systemd credentials, so there is no %s; nothing was done", ref).
				WithHint("put LoadCredentialEncrypted=%s:… into its unit", ref.Name())
		}
		return readWord(ref, filepath.Join(dir, ref.Name()))
	case "keyring":
		if r.ring == nil {
			return secret.Value{}, tools.Errorf(tools.Unavailable, "%s cannot be used here: the keyring is not open yet; nothing was done", ref)
		}
		word, err := r.ring.Get(ctx, ref.Name())
		if errors.Is(err, keyring.ErrNotFound) {
			return secret.Value{}, tools.Errorf(tools.NotFound, "the keyring has no item %s; nothing was done", ref.Name()).
				WithHint("store it at a terminal: duplibot secret set %s", ref.Name()).Because(err)
		}
		return word, err
	case "pass":
		return passWord(ctx, ref)
	}
	return secret.Value{}, tools.Errorf(tools.InvalidArgument, "%s is of a kind that is not known; nothing was done", ref)
}

func readWord(ref secret.Ref, path string) (secret.Value, error) {
	data, err := readFile(path, largestWord)
	switch {
	case err == nil:
		return secret.New(string(data)), nil
	case errors.Is(err, fs.ErrNotExist):
		return secret.Value{}, tools.Errorf(tools.NotFound, "there is no file behind %s; nothing was done", ref).Because(err)
	case errors.Is(err, errNoFile):
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "what %s names is not a file; nothing was done", ref).Because(err)
	case errors.Is(err, errTooLarge):
		return secret.Value{}, tools.Errorf(tools.InvalidArgument, "the file behind %s is larger than a secret word can be (%d kB); nothing was done", ref, largestWord>>10).Because(err)
	}
	return secret.Value{}, tools.Errorf(tools.Unavailable, "the file behind %s cannot be read; nothing was done", ref).
		WithHint("make it readable for the account that uses it, and for no other").Because(err)
}

// passWord asks the program pass for the first line of an entry. What the
// program writes beside it is dropped: it may quote the entry.
func passWord(ctx context.Context, ref secret.Ref) (secret.Value, error) {
	// pass shows a folder as well, as a list of names.
	if _, err := os.Stat(filepath.Join(passStore(), filepath.FromSlash(ref.Name())+".gpg")); errors.Is(err, fs.ErrNotExist) {
		return secret.Value{}, tools.Errorf(tools.NotFound, "the password store has no entry %s; nothing was done", ref.Name()).
			WithHint("see in a terminal of this account: pass ls").Because(err)
	}
	ctx, cancel := context.WithTimeout(ctx, passWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "pass", "show", "--", ref.Name())
	// Without a terminal: gpg must not ask somebody.
	cmd.Env = append(os.Environ(), "PASSWORD_STORE_GPG_OPTS="+strings.TrimSpace(os.Getenv("PASSWORD_STORE_GPG_OPTS")+" --batch --no-tty --pinentry-mode error"))
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	first, _, _ := strings.Cut(out.String(), "\n")
	var ended *exec.ExitError
	switch {
	case err == nil:
		return secret.New(first), nil
	case errors.Is(err, exec.ErrNotFound):
		return secret.Value{}, tools.Errorf(tools.Unavailable, "%s cannot be read: the program pass is not installed; nothing was done", ref).Because(err)
	case ctx.Err() != nil:
		return secret.Value{}, tools.Errorf(tools.Timeout, "pass did not answer for %s; nothing was done", ref).Retryable().Because(ctx.Err())
	case errors.As(err, &ended):
		return secret.Value{}, tools.Errorf(tools.Unavailable, "pass did not give %s: the passphrase of its gpg key may be wanted; nothing was done", ref).
			WithHint("unlock it in a terminal of this account: pass show %s", ref.Name()).Because(err)
	}
	return secret.Value{}, fmt.Errorf("run pass for %s: %w", ref, err)
}

// passStore is where pass has its entries.
func passStore() string {
	if dir := os.Getenv("PASSWORD_STORE_DIR"); dir != "" {
		return dir
	}
	home, _ := os.UserHomeDir()
	return filepath.Join(home, ".password-store")
}
