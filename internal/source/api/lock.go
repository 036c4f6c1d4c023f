package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jotgate/jotgate/internal/store"
)

// LockTime is how long a gateway may take for a change; the lock of one that died in the middle ends after it.
const LockTime = 10 * time.Second

const (
	// lockKey is there while a gateway changes a noun: two changes that are good one by one may be bad together.
	lockKey = "locks/nouns"
	// lockPause is the time between two tries to get the lock.
	lockPause = 25 * time.Millisecond
)

// locked calls change while no other gateway changes nouns. Its ctx ends before the lock does.
func (n *Nouns) locked(ctx context.Context, change func(context.Context) error) error {
	var version uint64
	var end time.Time
	for {
		var err error
		end = time.Now().Add(LockTime * 9 / 10)
		version, err = n.options.Store.Put(ctx, lockKey, []byte{'1'}, LockTime, store.IfVersion(0))
		if err == nil {
			break
		}
		if !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("locking the nouns: %w", err)
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return fmt.Errorf("another gateway is changing something: %w", ctx.Err())
		}
	}
	// Whoever asked may go away meanwhile; the lock is let go of all the same.
	held, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	err := change(held)
	release, cancelRelease := context.WithTimeout(context.WithoutCancel(ctx), LockTime/10)
	defer cancelRelease()
	if failed := n.options.Store.Delete(release, lockKey, store.IfVersion(version)); failed != nil && !errors.Is(failed, store.ErrNotFound) && !errors.Is(failed, store.ErrConflict) {
		n.options.Log.Warn("the lock of the nouns ends by itself", "error", failed)
	}
	return err
}
