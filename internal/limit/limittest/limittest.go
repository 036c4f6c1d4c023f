// Package limittest is what every implementation of limit.Counters must pass.
package limittest

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/limit"
)

// Subject is an implementation under test.
type Subject struct {
	Counters limit.Counters
	// At sets the clock of counters that have one of their own; nil for those that use the now that they are given.
	At func(now time.Time)
}

func (s Subject) at(us int64) time.Time {
	now := time.UnixMicro(us)
	if s.At != nil {
		s.At(now)
	}
	return now
}

// Run tests s. Its counters are used under keys that nothing else uses.
func Run(t *testing.T, s Subject) {
	t.Helper()
	t.Run("cases", func(t *testing.T) { cases(t, s) })
	t.Run("returns", func(t *testing.T) { returns(t, s) })
	t.Run("model", func(t *testing.T) { rapid.Check(t, func(r *rapid.T) { compare(t.Context(), r, s) }) })
	t.Run("as memory", func(t *testing.T) { rapid.Check(t, func(r *rapid.T) { asMemory(t.Context(), r, s) }) })
	t.Run("all or nothing", func(t *testing.T) { allOrNothing(t, s) })
	t.Run("parallel", func(t *testing.T) { parallel(t, s) })
}

// start is where clocks of tests start, in microseconds since 1970.
const start = 1_800_000_000_000_000

var keys atomic.Uint64

// Key is a key that no test has used.
func Key() limit.Key {
	var unique [8]byte
	binary.LittleEndian.PutUint64(unique[:], keys.Add(1))
	return limit.NewKey("test", string(unique[:]), time.Now().String())
}

// use is a use of a new counter.
func use(rule limit.Rule) limit.Use {
	k := Key()
	return limit.Use{Key: k, Group: k.Group(), Rule: rule, Name: "limit"}
}

func take(ctx context.Context, t rapid.TB, s Subject, us int64, uses ...limit.Use) (int, []limit.Outcome) {
	t.Helper()
	out := make([]limit.Outcome, len(uses))
	refused, err := s.Counters.Take(ctx, s.at(us), uses, out)
	if err != nil {
		t.Fatal("Take: ", err)
	}
	return refused, out
}

func peek(ctx context.Context, t rapid.TB, s Subject, us int64, uses ...limit.Use) []limit.Outcome {
	t.Helper()
	out := make([]limit.Outcome, len(uses))
	if err := s.Counters.Peek(ctx, s.at(us), uses, out); err != nil {
		t.Fatal("Peek: ", err)
	}
	return out
}

// rules draws rules, nearly all of them valid.
func rules() *rapid.Generator[limit.Rule] {
	return rapid.Custom(func(t *rapid.T) limit.Rule {
		r := limit.Rule{
			Algorithm: limit.Algorithm(rapid.IntRange(0, 2).Draw(t, "algorithm")),
			Limit: rapid.OneOf(rapid.Int64Range(1, 5), rapid.Int64Range(1, 5000), rapid.SampledFrom([]int64{999_999, limit.MaxSlidingLimit, limit.MaxSlidingLimit - 1, 1 << 40, limit.MaxLimit})).
				Draw(t, "limit"),
			Period: rapid.SampledFrom([]time.Duration{
				time.Millisecond, 1048577 * time.Microsecond, 1500 * time.Microsecond, time.Second, 3 * time.Second, 65 * time.Second, time.Hour, 30 * 24 * time.Hour,
			}).Draw(t, "period"),
		}
		switch r.Algorithm {
		case limit.Bucket:
			r.Burst = rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 7), rapid.Int64Range(1, 10_000)).Draw(t, "burst")
		case limit.FixedWindow:
			if rapid.IntRange(0, 4).Draw(t, "end") == 0 {
				r.Period = 0
			}
		}
		return r
	}).Filter(func(r limit.Rule) bool { return r.Valid() == nil })
}

// waits draws times that pass between two requests: around those at which something happens.
func waits(r limit.Rule) *rapid.Generator[int64] {
	period := max(int64(r.Period/time.Microsecond), 1000)
	each := max(period/r.Limit, 1)
	return rapid.Custom(func(t *rapid.T) int64 {
		d := rapid.SampledFrom([]int64{0, 0, 1, each, 3 * each, period / 7, period / 2, period, 2 * period, 3 * period}).Draw(t, "about")
		return max(d+rapid.Int64Range(-1, 1).Draw(t, "and"), 0)
	})
}

// counts draws how many requests are taken at once.
func counts(r limit.Rule) *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Just(int64(1)), rapid.Just(int64(1)), rapid.Int64Range(1, 4), rapid.SampledFrom([]int64{max(r.Limit/2, 1), r.Limit, r.Limit + 1}))
}

// compare takes from one counter at random moments and compares every outcome with the model's.
func compare(ctx context.Context, t *rapid.T, s Subject) {
	u := use(rules().Draw(t, "rule"))
	m := &model{rule: u.Rule}
	now := int64(start)
	for range rapid.IntRange(1, 40).Draw(t, "requests") {
		now += waits(u.Rule).Draw(t, "wait")
		u.Count = counts(u.Rule).Draw(t, "count")
		check(t, m, peek(ctx, t, s, now, u)[0], now, u.Count, false)
		want := m.passes(now, u.Count)
		refused, out := take(ctx, t, s, now, u)
		if (refused < 0) != want {
			t.Fatalf("Take of %d: %+v, the model says %v (%d are free)", u.Count, out[0], want, m.free(now))
		}
		if want {
			m.log = append(m.log, passed{now, u.Count})
		}
		check(t, m, out[0], now, u.Count, want)
	}
}

// check compares an outcome with what the model says at the moments that the outcome is about.
func check(t *rapid.T, m *model, o limit.Outcome, now, n int64, taken bool) {
	t.Helper()
	if free := max(m.free(now), 0); o.Remaining != free || o.Limit != m.size() {
		t.Fatalf("%+v: %d of %d are free", o, free, m.size())
	}
	reset := int64(o.Reset / time.Microsecond)
	switch {
	case o.Reset < 0:
		if m.rule.Period != 0 || len(m.log) == 0 {
			t.Fatalf("%+v: never is never only without a period", o)
		}
	case m.free(now+reset) != m.size(), reset > 0 && m.free(now+reset-1) == m.size():
		t.Fatalf("%+v: free then %d, and before %d", o, m.free(now+reset), m.free(now+reset-1))
	}
	wait := int64(o.RetryAfter / time.Microsecond)
	switch {
	case taken:
		if !o.Allowed || o.RetryAfter != 0 {
			t.Fatalf("%+v: it was taken", o)
		}
	case o.Allowed != m.passes(now, n), o.Allowed != (o.RetryAfter == 0):
		t.Fatalf("%+v: the model says %v", o, m.passes(now, n))
	case o.RetryAfter < 0:
		if n <= m.size() && m.rule.Period != 0 {
			t.Fatalf("%+v: it will pass some time", o)
		}
	case !m.passes(now+wait, n), wait > 0 && m.passes(now+wait-1, n):
		t.Fatalf("%+v: it passes then: %v, and before: %v", o, m.passes(now+wait, n), m.passes(now+wait-1, n))
	}
}

// asMemory does anything at all with a few counters, and the same with limit.Memory: clocks that go back, rules that change, requests that are given back.
func asMemory(ctx context.Context, t *rapid.T, s Subject) {
	memory := Subject{Counters: limit.NewMemory(0)}
	pool := make([]limit.Use, 3)
	for i := range pool {
		pool[i] = use(rules().Draw(t, "rule"))
		pool[i].Group = pool[0].Group
	}
	now, newest := int64(start), int64(start)
	for range rapid.IntRange(1, 30).Draw(t, "steps") {
		uses := append([]limit.Use(nil), pool[:rapid.IntRange(1, len(pool)).Draw(t, "uses")]...)
		for i := range uses {
			uses[i].Count = counts(uses[i].Rule).Draw(t, "count")
			uses[i].DryRun = rapid.IntRange(0, 5).Draw(t, "dry") == 0
		}
		now += waits(uses[0].Rule).Draw(t, "wait")
		newest = max(newest, now)
		switch rapid.IntRange(0, 9).Draw(t, "step") {
		case 0:
			const late = 9_000_000 // further back, counters may be forgotten or not
			now = max(now-waits(uses[0].Rule).Draw(t, "back"), newest-late)
		case 1:
			pool[0].Rule = rules().Draw(t, "another rule")
		case 2:
			pool[1].Rule.Limit = rapid.Int64Range(-1, 3).Draw(t, "another limit")
		case 3:
			held := time.Duration(waits(uses[0].Rule).Draw(t, "held")) * time.Microsecond
			for _, x := range []Subject{s, memory} {
				if err := x.Counters.Return(ctx, x.at(now), held, uses); err != nil {
					t.Fatal(err)
				}
			}
		case 4:
			if diff := cmp.Diff(peek(ctx, t, memory, now, uses...), peek(ctx, t, s, now, uses...)); diff != "" {
				t.Fatalf("Peek (-memory +this):\n%s", diff)
			}
		case 5:
			for _, x := range []Subject{s, memory} {
				if err := x.Counters.Reset(ctx, uses[:1]); err != nil {
					t.Fatal(err)
				}
			}
		default:
			wantRefused, want := take(ctx, t, memory, now, uses...)
			refused, out := take(ctx, t, s, now, uses...)
			if diff := cmp.Diff(want, out); diff != "" || refused != wantRefused {
				t.Fatalf("Take: refused %d, want %d (-memory +this):\n%s", refused, wantRefused, diff)
			}
		}
	}
}

// parallel lets 50 callers have what they can get.
func parallel(t *testing.T, s Subject) {
	t.Helper()
	const callers, limited = 50, 137
	for _, rule := range []limit.Rule{
		{Algorithm: limit.Bucket, Limit: limited, Period: time.Hour},
		{Algorithm: limit.FixedWindow, Limit: limited},
		{Algorithm: limit.SlidingWindow, Limit: limited, Period: time.Hour},
	} {
		first := use(rule)
		wide := use(limit.Rule{Algorithm: limit.FixedWindow, Limit: 1 << 30, Period: time.Hour})
		wide.Group = first.Group
		uses := []limit.Use{wide, first}
		now := s.at(start)
		var got atomic.Int64
		var wait sync.WaitGroup
		for range callers {
			wait.Go(func() {
				out := make([]limit.Outcome, len(uses))
				for range 2 * limited / callers {
					refused, err := s.Counters.Take(t.Context(), now, uses, out)
					if err != nil {
						t.Error(err)
						return
					}
					if refused < 0 {
						got.Add(1)
					}
				}
			})
		}
		wait.Wait()
		if got.Load() != limited {
			t.Errorf("%d passed, the limit is %d", got.Load(), limited)
		}
		if o := peek(t.Context(), t, s, start, uses...); o[0].Limit-o[0].Remaining != limited {
			t.Errorf("%d were taken from the other counter, and %d have passed", o[0].Limit-o[0].Remaining, limited)
		}
	}
}
