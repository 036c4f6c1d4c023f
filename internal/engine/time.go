package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// Why the context of an exchange with a time limit has ended.
var (
	errServed    = errors.New("the exchange is over")
	errTimeLimit = fmt.Errorf("the exchange took longer than allowed: %w", context.DeadlineExceeded)
)

// timeLimit is the context of an exchange with a time limit. Most exchanges need nobody who is woken at its end: the upstream client waits no longer than until the deadline. A timer and a channel are only made when somebody asks
// for Done.
type timeLimit struct {
	parent context.Context
	end    time.Time

	mu     sync.Mutex
	lifted bool // the connection speaks another protocol now: there is no limit any more
	over   bool // the exchange is
	inner  context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// timeLimits holds no state, only memory.
var timeLimits = sync.Pool{New: func() any { return new(timeLimit) }}

// limitTime ends x's context after d, unless the connection speaks another protocol by then. The caller calls stop when the exchange is over.
func limitTime(x *gate.Exchange, d time.Duration) *timeLimit {
	t := timeLimits.Get().(*timeLimit)
	t.parent, t.end = x.Context, time.Now().Add(d)
	x.Context = t
	x.Observe(t)
	return t
}

// stop ends the context and gives x its former one back. The memory is used again unless somebody may still hold on to it.
func (t *timeLimit) stop(x *gate.Exchange) {
	x.Context = t.parent
	t.mu.Lock()
	asked := t.inner != nil
	if t.over = true; asked {
		t.timer.Stop()
		t.cancel(errServed)
	}
	t.mu.Unlock()
	if asked {
		return
	}
	t.parent, t.lifted, t.over = nil, false, false
	timeLimits.Put(t)
}

// Respond lifts the limit from a connection that changes its protocol.
func (t *timeLimit) Respond(x *gate.Exchange) {
	if x.Status != 101 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lifted = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// OnlyDeadline reports that nothing but its deadline ends the context: who keeps that need not ask for Done.
func (t *timeLimit) OnlyDeadline() bool { return t.parent.Done() == nil }

// Deadline is context.Context's.
func (t *timeLimit) Deadline() (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	end, ok := t.parent.Deadline()
	switch {
	case t.lifted:
		return end, ok
	case ok && end.Before(t.end):
		return end, true
	}
	return t.end, true
}

// Done is context.Context's.
func (t *timeLimit) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inner == nil {
		inner, cancel := context.WithCancelCause(t.parent)
		t.inner, t.cancel = inner, cancel
		t.timer = time.AfterFunc(time.Until(t.end), func() { cancel(errTimeLimit) })
		if t.lifted || t.over {
			t.timer.Stop()
		}
		if t.over {
			cancel(errServed)
		}
	}
	return t.inner.Done()
}

// Err is context.Context's. The cause is the same, where it is for parent to say.
func (t *timeLimit) Err() error {
	if err := t.parent.Err(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.lifted && !t.over && !time.Now().Before(t.end):
		return errTimeLimit
	case t.inner != nil:
		return t.inner.Err()
	case t.over:
		return errServed
	}
	return nil
}

// Value is context.Context's.
func (t *timeLimit) Value(key any) any {
	t.mu.Lock()
	inner := t.inner
	t.mu.Unlock()
	if inner != nil {
		return inner.Value(key)
	}
	return t.parent.Value(key)
}
