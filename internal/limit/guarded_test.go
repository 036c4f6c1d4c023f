package limit_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/limit/limittest"
)

func TestGuarded(t *testing.T) {
	limittest.Run(t, limittest.Subject{Counters: limit.NewGuarded(limit.NewMemory(0), limit.GuardOptions{Timeout: time.Minute})})
}

func fixed(n int64, mode limit.Failure) limit.Use {
	k := limittest.Key()
	return limit.Use{Key: k, Group: k.Group(), Rule: limit.Rule{Algorithm: limit.FixedWindow, Limit: n, Period: time.Hour}, OnFailure: mode}
}

// TestFailureModes: what happens to each use while the shared counters fail.
func TestFailureModes(t *testing.T) {
	local, allow, deny := fixed(1, limit.FailureLocal), fixed(1, limit.FailureAllow), fixed(1, limit.FailureDeny)
	dryDeny := deny
	dryDeny.DryRun = true
	plain := fixed(1, limit.FailureDefault)
	allowed := limit.Outcome{Allowed: true, Limit: 1, Remaining: 1}
	counted := limit.Outcome{Allowed: true, Limit: 1, Remaining: 0, Reset: time.Hour}
	spent := limit.Outcome{Limit: 1, Reset: time.Hour, RetryAfter: time.Hour}
	unused := limit.Outcome{Allowed: true, Limit: 1, Remaining: 1}
	for _, tt := range []struct {
		name      string
		otherwise limit.Failure
		uses      []limit.Use
		first     []limit.Outcome // nil: an error
		refused   int             // the second time
		second    []limit.Outcome
	}{
		{"local", 0, []limit.Use{local}, []limit.Outcome{counted}, 0, []limit.Outcome{spent}},
		{"allow", 0, []limit.Use{allow}, []limit.Outcome{allowed}, -1, []limit.Outcome{allowed}},
		{"deny", 0, []limit.Use{deny}, nil, -1, nil},
		{"deny one of several", 0, []limit.Use{local, allow, deny}, nil, -1, nil},
		{"deny in dry run", 0, []limit.Use{dryDeny, local}, []limit.Outcome{allowed, counted}, 1, []limit.Outcome{allowed, spent}},
		{"mixed", 0, []limit.Use{allow, local, allow}, []limit.Outcome{allowed, counted, allowed}, 1, []limit.Outcome{allowed, spent, allowed}},
		{"all or nothing locally", 0, []limit.Use{fixed(1, limit.FailureLocal), fixed(0, limit.FailureLocal)}, []limit.Outcome{unused, {RetryAfter: -1}}, 1, []limit.Outcome{unused, {RetryAfter: -1}}},
		{"default: local", 0, []limit.Use{plain}, []limit.Outcome{counted}, 0, []limit.Outcome{spent}},
		{"default: allow", limit.FailureAllow, []limit.Use{plain}, []limit.Outcome{allowed}, -1, []limit.Outcome{allowed}},
		{"default: deny", limit.FailureDeny, []limit.Use{plain}, nil, -1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRemote()
			r.trouble.Store(failing)
			g := limit.NewGuarded(r, limit.GuardOptions{OnFailure: tt.otherwise})
			for i, want := range [][]limit.Outcome{tt.first, tt.second} {
				out := make([]limit.Outcome, len(tt.uses))
				refused, err := g.Take(t.Context(), noon, tt.uses, out)
				if want == nil {
					if !errors.Is(err, limit.ErrUnavailable) {
						t.Errorf("take %d: %v", i, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, out); diff != "" || i == 1 && refused != tt.refused {
					t.Errorf("take %d: refused by %d (-want +got):\n%s", i, refused, diff)
				}
				if err := g.Peek(t.Context(), noon, tt.uses, out); err != nil {
					t.Error("Peek: ", err)
				}
			}
		})
	}
}

// TestOutage: shared counters that hang cost few requests the timeout, no request more than that, and are asked again by themselves when they answer.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		g := limit.NewGuarded(r, limit.GuardOptions{Timeout: 100 * time.Millisecond})
		uses := []limit.Use{fixed(1_000_000, limit.FailureDefault)}
		out := make([]limit.Outcome, 1)
		take := func() time.Duration {
			begun := time.Now()
			if _, err := g.Take(t.Context(), begun, uses, out); err != nil {
				t.Fatal(err)
			}
			return time.Since(begun)
		}
		if take() != 0 || g.State() != (limit.GuardState{}) {
			t.Errorf("%+v", g.State())
		}
		r.trouble.Store(hanging)
		slow := 0
		for range 1000 { // of 10 ms and more
			switch took := take(); took {
			case 0:
			case 100 * time.Millisecond:
				slow++
			default:
				t.Fatalf("a call took %v", took)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if slow < 3 || slow > 20 {
			t.Errorf("%d of 1000 requests in an outage of at least 10 s waited", slow)
		}
		if s := g.State(); !s.Open || s.Fallbacks != 1000 || s.Failures != uint64(slow) {
			t.Errorf("%+v with %d slow calls", s, slow)
		}
		r.trouble.Store(fine)
		time.Sleep(time.Second)
		calls := r.calls.Load()
		for range 10 {
			take()
		}
		if n := r.calls.Load() - calls; n != 10 || g.State().Open {
			t.Errorf("%d of 10 requests asked the counters that answer again, %+v", n, g.State())
		}
		if out[0].Remaining != 1_000_000-11 { // what was counted locally is not in the shared counter
			t.Errorf("%+v", out[0])
		}
	})
}

// TestManyInAnOutage: of many at once, one at a time tries.
func TestManyInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		g := limit.NewGuarded(r, limit.GuardOptions{Timeout: 100 * time.Millisecond})
		uses := []limit.Use{fixed(1_000_000, limit.FailureDefault)}
		r.trouble.Store(hanging)
		crowd := func() (waited int64) {
			var n atomic.Int64
			var wait sync.WaitGroup
			for range 100 {
				wait.Go(func() {
					begun := time.Now()
					if _, err := g.Take(t.Context(), begun, uses, make([]limit.Outcome, 1)); err != nil {
						t.Error(err)
					}
					if time.Since(begun) > 0 {
						n.Add(1)
					}
				})
			}
			wait.Wait()
			return n.Load()
		}
		crowd()
		time.Sleep(10 * time.Second)
		for range 3 {
			if n := crowd(); n != 1 {
				t.Errorf("%d of 100 waited", n)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// TestGivenUp: a caller that goes says nothing about the shared counters, and leaves the way free for the next that tries.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		g := limit.NewGuarded(r, limit.GuardOptions{Timeout: 100 * time.Millisecond})
		uses := []limit.Use{fixed(10, limit.FailureDeny)}
		out := make([]limit.Outcome, 1)
		r.trouble.Store(hanging)
		goes := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := g.Take(ctx, time.Now(), uses, out); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		for range 10 {
			goes()
		}
		if s := g.State(); s.Open || s.Failures != 0 {
			t.Errorf("%+v", s)
		}
		for range 3 {
			_, _ = g.Take(t.Context(), time.Now(), uses, out)
		}
		if !g.State().Open {
			t.Errorf("%+v", g.State())
		}
		time.Sleep(time.Second)
		goes()
		r.trouble.Store(fine)
		if _, err := g.Take(t.Context(), time.Now(), uses, out); err != nil || g.State().Open {
			t.Errorf("%v, %+v", err, g.State())
		}
	})
}

// TestReturnAfterAnOutage: what was taken locally is not given back to the shared counters.
func TestReturnAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		g := limit.NewGuarded(r, limit.GuardOptions{})
		uses := []limit.Use{fixed(10, limit.FailureDefault)}
		out := make([]limit.Outcome, 1)
		take := func() {
			if _, err := g.Take(t.Context(), time.Now(), uses, out); err != nil {
				t.Fatal(err)
			}
		}
		take()
		r.trouble.Store(failing)
		for range 4 {
			take()
		}
		time.Sleep(2 * time.Second)
		r.trouble.Store(fine)
		if err := g.Peek(t.Context(), time.Now(), uses, out); err != nil || g.State().Open {
			t.Fatal(err, g.State())
		}
		if err := g.Return(t.Context(), time.Now(), 2*time.Second, uses); err != nil {
			t.Fatal(err)
		}
		if err := g.Peek(t.Context(), time.Now(), uses, out); err != nil || out[0].Remaining != 9 {
			t.Errorf("%+v, %v", out, err)
		}
	})
}
