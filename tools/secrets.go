package tools

import (
	"context"
	"strings"

	"github.com/duplibot/duplibot/secret"
)

// Secret is a parameter whose value is kept elsewhere. What a call holds is
// where it comes from, one of
//
//	""            not given: asked for at a terminal or on a one-time page
//	"page"        a one-time page of the bot
//	"generate"    the bot makes one
//	"env:NAME"    a reference, as secret.Ref; typed at a terminal, nowhere else
//	"held:ID"     given by the caller by another way, kept for this one call
//	"NAME"        an alias of the config's secrets
//
// Whatever else somebody types here is refused without being repeated: it may
// be the password itself.
type Secret string

// The words of a Secret that are not names.
const (
	SecretPage     Secret = "page"
	SecretGenerate Secret = "generate"
	heldPrefix            = "held:"
	madePrefix            = "made:"
)

// Handle returns the ID of a held secret.
func (s Secret) Handle() (id string, held bool) {
	if id, made := strings.CutPrefix(string(s), madePrefix); made {
		return id, true
	}
	return strings.CutPrefix(string(s), heldPrefix)
}

// Made reports whether the bot makes this secret, or has made it: nobody has
// seen it yet, and whoever may needs to be shown it.
func (s Secret) Made() bool {
	return s == SecretGenerate || strings.HasPrefix(string(s), madePrefix)
}

// Held returns the parameter that stands for a held secret or file.
func Held(id string) Secret { return Secret(heldPrefix + id) }

// Ref returns the reference, if s is one.
func (s Secret) Ref() (secret.Ref, bool) {
	if _, held := s.Handle(); held || !strings.Contains(string(s), ":") {
		return secret.Ref{}, false
	}
	ref, err := secret.ParseRef(string(s))
	return ref, err == nil
}

// File is a parameter that names a file to read: a path at a terminal that
// works by itself, a name in the import folder everywhere else, "page" to give
// it on a one-time page, or "held:ID".
type File string

// Handle returns the ID of a held file.
func (f File) Handle() (id string, held bool) { return Secret(f).Handle() }

// Use says what a secret or a file is wanted for.
type Use struct {
	Operation string
	Server    string
	Caller    Caller
	Approval  string // the request's ID, "" when there is none
}

// Parcel is something secret that comes out of an operation: a token, a
// generated password, an exported file.
type Parcel struct {
	Kind      string // "token", "password", "export"
	Name      string // a file name without a folder, or the item's name
	Content   secret.Value
	Folder    string // where a terminal wants it, an absolute path; "" is the export folder or the keyring
	Overwrite bool
}

// Kept says where a Parcel is, in words that hold nothing of it.
type Kept struct {
	Where  string `json:"where"`            // "keyring item duplibot.kept.…", a path, "the export folder"
	Page   bool   `json:"page,omitempty"`   // it can be seen once on a page
	Handle string `json:"handle,omitempty"` // for the page or the terminal that fetches it; not a secret
	Name   string `json:"name,omitempty"`   // the file's name, without a folder
	// Folder is where a terminal wants it that the bot itself cannot write to:
	// the terminal fetches it by its Handle and writes it there.
	Folder    string `json:"folder,omitempty"`
	Overwrite bool   `json:"overwrite,omitempty"`
	SHA256    string `json:"sha256,omitempty"` // of a file, hex
	Bytes     int    `json:"bytes,omitempty"`
}

// Vault is where secrets and files come from and where they go. It never
// gives one of the bot's own items to an alias or a reference.
type Vault interface {
	// Hold keeps what a person gave until Drop. Only owner can use it again.
	Hold(ctx context.Context, owner Identity, v secret.Value) (id string, err error)
	Held(ctx context.Context, owner Identity, id string) (secret.Value, error)
	Drop(ctx context.Context, id string) error

	Alias(ctx context.Context, use Use, name string) (secret.Value, error)
	Resolve(ctx context.Context, use Use, ref secret.Ref) (secret.Value, error)
	Generate(ctx context.Context) (secret.Value, error)

	// File reads the named file for use: see File for what a name may be.
	File(ctx context.Context, use Use, name string) (secret.Value, error)
	// Keep stores a Parcel and has read it back when it returns. Where the
	// caller works under the bot's own account it writes into Parcel.Folder.
	Keep(ctx context.Context, use Use, p Parcel) (Kept, error)
	// Fetch gives what Keep returned a Handle for to its owner, once.
	Fetch(ctx context.Context, owner Identity, handle string) (secret.Value, error)
}

// Env is what an operation gets beside its input.
type Env struct {
	Caller   Caller
	Subject  Subject
	Server   string
	Approval string // the ID of the agreed request, "" when none was needed
	Planned  Plan   // what was agreed to, read again just now; zero when nothing was

	op       string
	gate     *gate
	kept     *[]Kept
	vault    Vault
	progress func(Progress)
	now      Clock
}

// Use is what this call uses secrets for.
func (e Env) Use() Use {
	return Use{Operation: e.op, Server: e.Server, Caller: e.Caller, Approval: e.Approval}
}

// Secret resolves a Secret parameter. An empty one is an error of code
// SecretNeeded.
func (e Env) Secret(ctx context.Context, s Secret) (secret.Value, error) {
	if e.vault == nil {
		return secret.Value{}, Errorf(SecretNeeded, "no secrets can be used here; nothing was done")
	}
	owner := e.Caller.Identity
	switch id, held := s.Handle(); {
	case s == "" || s == SecretPage:
		return secret.Value{}, Errorf(SecretNeeded, "a secret is needed and was not given; nothing was done").
			WithHint("name an alias of the config's secrets, or give it at a terminal")
	case s == SecretGenerate:
		return e.vault.Generate(ctx)
	case held:
		return e.vault.Held(ctx, owner, id)
	}
	if strings.Contains(string(s), ":") {
		ref, ok := s.Ref()
		if !ok {
			return secret.Value{}, Errorf(InvalidArgument, "that is not a reference to a secret; nothing was done").
				WithHint("a reference begins with env:, file:, keyring:, credential: or pass:")
		}
		if e.Caller.Surface != CLI {
			return secret.Value{}, refusedReference()
		}
		return e.vault.Resolve(ctx, e.Use(), ref)
	}
	return e.vault.Alias(ctx, e.Use(), string(s))
}

// File reads a File parameter.
func (e Env) File(ctx context.Context, f File) (secret.Value, error) {
	if e.vault == nil {
		return secret.Value{}, Errorf(SecretNeeded, "no files can be read here; nothing was done")
	}
	if id, held := f.Handle(); held {
		return e.vault.Held(ctx, e.Caller.Identity, id)
	}
	return e.vault.File(ctx, e.Use(), string(f))
}

// Keep stores something secret that came out.
func (e Env) Keep(ctx context.Context, p Parcel) (Kept, error) {
	if e.vault == nil {
		return Kept{}, Errorf(SecretNeeded, "there is no place to keep a secret here; nothing was done")
	}
	k, err := e.vault.Keep(ctx, e.Use(), p)
	if err == nil && e.kept != nil {
		*e.kept = append(*e.kept, k)
	}
	return k, err
}

// Request finds a stored request, for somebody who may at least look.
func (e Env) Request(ctx context.Context, id string) (Approval, Waiting, error) {
	a, err := e.gate.Approvals.Approval(ctx, id)
	if err != nil {
		return Approval{}, Waiting{}, err
	}
	return a, e.gate.Policy.Waiting(a), nil
}

// Requests lists stored requests.
func (e Env) Requests(ctx context.Context, f Filter) ([]Waiting, error) {
	list, err := e.gate.Approvals.Approvals(ctx, f)
	if err != nil {
		return nil, err
	}
	waiting := make([]Waiting, len(list))
	for i, a := range list {
		waiting[i] = e.gate.Policy.Waiting(a)
	}
	return waiting, nil
}

// Servers is which servers there are and which of them is meant by default.
func (e Env) Servers() (names []string, byDefault string) {
	return e.gate.Servers.Names(), e.gate.Servers.Default(e.Caller)
}

// Progress tells the caller how far the operation is.
func (e Env) Progress(p Progress) {
	if e.progress != nil {
		e.progress(p)
	}
}

// Now is the time.
func (e Env) Now() Clock { return e.now }

func refusedReference() *Error {
	return Errorf(InvalidArgument, "a secret cannot be referred to from here; nothing was done").
		WithHint("name an alias of the config's secrets, or leave it out to enter it on a one-time page")
}
