package keyring

import (
	"context"
	"time"
)

// OpenLimited opens what cfg names as if its items could hold limit bytes at
// most, as those of Windows do, with the files of larger ones in dir.
func OpenLimited(ctx context.Context, cfg Config, limit int, dir string) (Ring, error) {
	r, err := Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	opened := r.(*ring)
	return newRing(opened.backend, &sealing{place: opened.place, limit: limit, dir: dir}, opened.gate), nil
}

// Through runs calls through one gate, for tests of the gate.
func Through(limit time.Duration) func(context.Context, func(context.Context) error) error {
	g := newGate(limit)
	return func(ctx context.Context, f func(context.Context) error) error {
		_, err := run(ctx, g, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
		return err
	}
}
