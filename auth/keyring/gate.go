package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// grace is how long a call waits for one that has gone over its time.
const grace = 200 * time.Millisecond

// gate lets one call at a time through to a library that takes no context,
// has data races and can panic.
type gate struct {
	turn  chan struct{} // holds a token while a call runs
	limit time.Duration
	late  atomic.Int32 // calls over their time that still run: 0 or 1
}

func newGate(limit time.Duration) *gate {
	return &gate{turn: make(chan struct{}, 1), limit: limit}
}

// run calls f when its turn comes and returns when f does, when the time limit
// is over or when ctx ends, whichever is first. An f that is not waited for any
// longer keeps its turn until it returns, so that a keyring that hangs holds
// one goroutine and not one for each call. The context that f gets ends with
// the limit but not with ctx: a write that has begun is finished.
func run[T any](ctx context.Context, g *gate, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	if ctx.Err() != nil {
		return none, givenUp(ctx) // a turn that is free at the same time is not taken
	}
	wait := g.limit
	if g.late.Load() > 0 {
		wait = min(wait, grace)
	}
	turn := time.NewTimer(wait)
	defer turn.Stop()
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return none, givenUp(ctx)
	case <-turn.C:
		return none, fmt.Errorf("%w: an earlier call to it has been running for too long; see whether it waits for a password in some window, or restart it", ErrTimeout)
	}

	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.limit)
	done := make(chan result, 1)
	ended := make(chan struct{})
	go func() {
		defer func() { <-g.turn }()
		defer close(ended)
		defer cancel()
		value, err := survive(limited, f)
		done <- result{value, err}
	}()

	tooLate := fmt.Errorf("%w within %s; see whether it waits for a password in some window, then try again", ErrTimeout, g.limit)
	ends := func(r result) (T, error) {
		if errors.Is(r.err, context.DeadlineExceeded) {
			return none, tooLate
		}
		return r.value, r.err
	}
	select {
	case r := <-done:
		return ends(r)
	case <-ctx.Done():
		select {
		case r := <-done: // both at once: it was done
			return ends(r)
		default:
			return none, givenUp(ctx)
		}
	case <-limited.Done():
	}
	select {
	case r := <-done: // cancel runs after the result is sent
		return ends(r)
	default:
	}
	g.late.Add(1)
	go func() {
		<-ended
		g.late.Add(-1)
	}()
	return none, tooLate
}

// givenUp is the answer to a caller whose own context has ended.
func givenUp(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrTimeout, ctx.Err())
	}
	return ctx.Err()
}

// survive turns a panic of f into an error: libsecret's client panics when the
// bus goes away under a prompt.
func survive[T any](ctx context.Context, f func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: its library gave up (%s); restart this program", ErrUnavailable, quoted(fmt.Sprint(p)))
		}
	}()
	return f(ctx)
}
