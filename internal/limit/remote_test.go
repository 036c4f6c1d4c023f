package limit_test

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/limit"
)

// remote are counters that others share: they count how often they are asked, and can be out of order.
type remote struct {
	*limit.Memory
	calls   atomic.Int64
	trouble atomic.Int32
	latency time.Duration
}

const (
	fine int32 = iota
	failing
	hanging
)

var errBroken = errors.New("broken")

func newRemote() *remote { return &remote{Memory: limit.NewMemory(0)} }

func (r *remote) ask(ctx context.Context) error {
	r.calls.Add(1)
	switch r.trouble.Load() {
	case failing:
		return errBroken
	case hanging:
		<-ctx.Done()
		return ctx.Err()
	}
	if r.latency > 0 {
		select {
		case <-time.After(r.latency):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (r *remote) Take(ctx context.Context, now time.Time, uses []limit.Use, out []limit.Outcome) (int, error) {
	if err := r.ask(ctx); err != nil {
		return -1, err
	}
	return r.Memory.Take(ctx, now, uses, out)
}

func (r *remote) Peek(ctx context.Context, now time.Time, uses []limit.Use, out []limit.Outcome) error {
	if err := r.ask(ctx); err != nil {
		return err
	}
	return r.Memory.Peek(ctx, now, uses, out)
}

func (r *remote) Return(ctx context.Context, now time.Time, held time.Duration, uses []limit.Use) error {
	if err := r.ask(ctx); err != nil {
		return err
	}
	return r.Memory.Return(ctx, now, held, uses)
}

func (r *remote) Reset(ctx context.Context, uses []limit.Use) error {
	if err := r.ask(ctx); err != nil {
		return err
	}
	return r.Memory.Reset(ctx, uses)
}
