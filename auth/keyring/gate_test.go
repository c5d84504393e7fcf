package keyring_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/duplibot/duplibot/auth/keyring"
)

func TestAPanicOfTheLibraryIsAnError(t *testing.T) {
	call := keyring.Through(time.Second)
	err := call(t.Context(), func(context.Context) error {
		var c chan int
		close(c)
		return nil
	})
	fails(t, err, keyring.ErrUnavailable, "close of nil channel", "restart")
	if err := call(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

func TestAKeyringThatHangsHoldsOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := keyring.Through(10 * time.Second)
		wake := make(chan struct{})
		began := time.Now()
		fails(t, call(t.Context(), func(context.Context) error { <-wake; return nil }), keyring.ErrTimeout, "10s")
		if waited := time.Since(began); waited != 10*time.Second {
			t.Errorf("the call ended after %s", waited)
		}

		began = time.Now()
		for range 5 {
			err := call(t.Context(), func(context.Context) error { t.Error("a second call got through"); return nil })
			fails(t, err, keyring.ErrTimeout, "earlier call")
		}
		if waited := time.Since(began); waited > 2*time.Second {
			t.Errorf("five calls to a keyring that hangs took %s", waited)
		}

		close(wake)
		synctest.Wait()
		if err := call(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("after it woke up: %v", err)
		}
	})
}

func TestCallsRunOneAtATime(t *testing.T) {
	call := keyring.Through(10 * time.Second)
	inside := 0 // no lock: the race detector watches
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			err := call(t.Context(), func(context.Context) error {
				inside++
				defer func() { inside-- }()
				if inside != 1 {
					return errors.New("two at a time")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestAWriteThatHasBegunIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := keyring.Through(10 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		began, left, finished := make(chan struct{}), make(chan struct{}), false
		go func() { <-began; cancel() }()
		err := call(ctx, func(work context.Context) error {
			close(began)
			<-left
			finished = work.Err() == nil
			return nil
		})
		fails(t, err, context.Canceled)
		close(left)
		synctest.Wait()
		if !finished {
			t.Error("the work ended with its caller's context")
		}
	})
}
