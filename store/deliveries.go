package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Deliveries remember what has come in, so that what is delivered twice is
// done once and answered alike.
type Deliveries struct{ db *DB }

// Delivery is something that has come in before.
type Delivery struct {
	// Answered is false while the first one is still being worked on, or when
	// its process died; then nobody can tell what it has done.
	Answered bool
	Answer   string
}

// Begin takes the delivery id for the caller, for as long as keep says. first
// is true for exactly one of many; the others get what that one answered.
func (s *Deliveries) Begin(ctx context.Context, id string, keep time.Duration) (before Delivery, first bool, err error) {
	err = s.db.write(ctx, "store delivery "+id, func(tx *sql.Tx) error {
		now := s.db.now()
		var answered int
		var expires int64
		err := tx.QueryRowContext(ctx, `SELECT answered, answer, expires FROM deliveries WHERE id = $1`, id).
			Scan(&answered, &before.Answer, &expires)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if err == nil && expires > millis(now) {
			before.Answered = answered == 1
			return nil
		}
		before, first = Delivery{}, true
		_, err = tx.ExecContext(ctx, `
			INSERT INTO deliveries (id, answered, answer, expires) VALUES ($1, 0, '', $2)
			ON CONFLICT (id) DO UPDATE SET answered = 0, answer = '', expires = excluded.expires`,
			id, millis(now.Add(keep)))
		return err
	})
	if err != nil {
		return Delivery{}, false, err
	}
	return before, first, nil
}

// Answer keeps what the delivery was answered with. It must hold no secret.
func (s *Deliveries) Answer(ctx context.Context, id, answer string) error {
	n, err := s.db.exec(ctx, "store the answer to delivery "+id,
		`UPDATE deliveries SET answered = 1, answer = $1 WHERE id = $2 AND answered = 0`, answer, id)
	if err == nil && n == 0 {
		return fmt.Errorf("store the answer to delivery %s: it was not begun, or has an answer", id)
	}
	return err
}

// Release gives a delivery back that was begun and of which nothing was done,
// so that it is first when it comes again.
func (s *Deliveries) Release(ctx context.Context, id string) error {
	_, err := s.db.exec(ctx, "release delivery "+id, `DELETE FROM deliveries WHERE id = $1 AND answered = 0`, id)
	return err
}
