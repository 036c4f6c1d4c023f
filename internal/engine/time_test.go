package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

// endless is the context of a server whose contexts are never done, but may end all the same.
type endless struct {
	context.Context
}

func (endless) Done() <-chan struct{} { return nil }

func TestTimeLimit(t *testing.T) {
	cut := gate.Deny(gate.ReasonNotReady, nil)
	for _, test := range []struct {
		name  string
		run   func(t *testing.T, x *gate.Exchange, limit *timeLimit, end context.CancelCauseFunc)
		never bool // the server's contexts are never done
	}{
		{"nobody asks for Done", func(t *testing.T, x *gate.Exchange, limit *timeLimit, _ context.CancelCauseFunc) {
			t.Helper()
			if at, ok := x.Context.Deadline(); !ok || time.Until(at) != time.Second || !limit.OnlyDeadline() {
				t.Errorf("%v, %v, %v", at, ok, limit.OnlyDeadline())
			}
			if err := x.Context.Err(); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			if err := x.Context.Err(); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(context.Cause(x.Context), errTimeLimit) {
				t.Errorf("%v, because %v", err, context.Cause(x.Context))
			}
			if limit.inner != nil {
				t.Error("a timer was made")
			}
		}, true},
		{"those who wait are woken", func(t *testing.T, x *gate.Exchange, _ *timeLimit, _ context.CancelCauseFunc) {
			t.Helper()
			child, cancel := context.WithTimeout(x.Context, time.Hour)
			defer cancel()
			begin := time.Now()
			<-child.Done()
			if d := time.Since(begin); d != time.Second || !errors.Is(context.Cause(child), errTimeLimit) {
				t.Errorf("after %v, because %v", d, context.Cause(child))
			}
			if err := x.Context.Err(); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}, true},
		{"the server ends it", func(t *testing.T, x *gate.Exchange, limit *timeLimit, end context.CancelCauseFunc) {
			t.Helper()
			if limit.OnlyDeadline() {
				t.Error("nobody would notice")
			}
			end(cut)
			<-x.Context.Done()
			if !errors.Is(context.Cause(x.Context), error(cut)) || x.Context.Err() == nil {
				t.Errorf("%v, because %v", x.Context.Err(), context.Cause(x.Context))
			}
		}, false},
		{"a server whose contexts are never done ends it", func(t *testing.T, x *gate.Exchange, _ *timeLimit, end context.CancelCauseFunc) {
			t.Helper()
			end(cut)
			if !errors.Is(context.Cause(x.Context), error(cut)) || x.Context.Err() == nil {
				t.Errorf("%v, because %v", x.Context.Err(), context.Cause(x.Context))
			}
		}, true},
		{"another protocol", func(t *testing.T, x *gate.Exchange, _ *timeLimit, end context.CancelCauseFunc) {
			t.Helper()
			x.Writer = new(nobody)
			if err := x.WriteHead(101, 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if _, ok := x.Context.Deadline(); ok || x.Context.Err() != nil {
				t.Errorf("%v, %v", ok, x.Context.Err())
			}
			woken := make(chan struct{})
			defer context.AfterFunc(x.Context, func() { close(woken) })()
			time.Sleep(time.Hour)
			end(cut)
			<-woken
		}, false},
		{"another protocol, after somebody has asked for Done", func(t *testing.T, x *gate.Exchange, _ *timeLimit, _ context.CancelCauseFunc) {
			t.Helper()
			done := x.Context.Done()
			x.Writer = new(nobody)
			if err := x.WriteHead(101, 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			select {
			case <-done:
				t.Error(context.Cause(x.Context))
			default:
			}
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				served, end := context.WithCancelCause(t.Context())
				defer end(nil)
				x := &gate.Exchange{Context: served}
				if test.never {
					x.Context = endless{served}
				}
				before := x.Context
				limit := limitTime(x, time.Second)
				test.run(t, x, limit, end)
				limit.stop(x)
				if x.Context != before {
					t.Error("the exchange keeps the context")
				}
			})
		})
	}
}

// TestTimeLimitOver: what outlives the exchange sees its context end, and the memory is not used again.
func TestTimeLimitOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &gate.Exchange{Context: endless{t.Context()}}
		limit := limitTime(x, time.Second)
		child, cancel := context.WithCancel(x.Context)
		defer cancel()
		limit.stop(x)
		<-child.Done()
		if !errors.Is(context.Cause(child), errServed) {
			t.Error(context.Cause(child))
		}
		for range 10 {
			other := limitTime(x, time.Second)
			if other == limit {
				t.Fatal("a context that somebody holds was used again")
			}
			defer other.stop(x)
			x.Context = endless{t.Context()}
		}
	})
}
