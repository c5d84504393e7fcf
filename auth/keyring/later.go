package keyring

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/duplibot/duplibot/secret"
)

// Later is a Ring that is opened when it is first used, so that a program that
// needs no secret does not wait for it. While opening fails, each call tries
// again and answers with the reason.
func Later(open func(context.Context) (Ring, error)) Ring { return &later{open: open} }

type later struct {
	open func(context.Context) (Ring, error)

	mu   sync.Mutex
	ring Ring
}

func (l *later) opened(ctx context.Context) (Ring, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ring != nil {
		return l.ring, nil
	}
	ring, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	l.ring = ring
	return ring, nil
}

func (l *later) Get(ctx context.Context, key string) (secret.Value, error) {
	r, err := l.opened(ctx)
	if err != nil {
		return secret.Value{}, err
	}
	return r.Get(ctx, key)
}

func (l *later) Fresh(ctx context.Context, key string) (secret.Value, error) {
	r, err := l.opened(ctx)
	if err != nil {
		return secret.Value{}, err
	}
	return r.Fresh(ctx, key)
}

func (l *later) Put(ctx context.Context, key string, value secret.Value) error {
	r, err := l.opened(ctx)
	if err != nil {
		return err
	}
	return r.Put(ctx, key, value)
}

func (l *later) Delete(ctx context.Context, key string) error {
	r, err := l.opened(ctx)
	if err != nil {
		return err
	}
	return r.Delete(ctx, key)
}

func (l *later) List(ctx context.Context, prefix string) ([]string, error) {
	r, err := l.opened(ctx)
	if err != nil {
		return nil, err
	}
	return r.List(ctx, prefix)
}

func (l *later) Probe(ctx context.Context) Report {
	r, err := l.opened(ctx)
	if err != nil {
		report := Report{Locked: errors.Is(err, ErrLocked)}
		report.Detail, report.Hint, _ = strings.Cut(err.Error(), "; ")
		return report
	}
	return r.Probe(ctx)
}
