package limittest

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/limit"
)

// step is one call of a case: at a moment after the start, with what is to come of it.
type step struct {
	at    time.Duration
	count int64
	want  limit.Outcome
}

// passes is the outcome of a request that passes, refusal that of one that does not.
func passes(size, remaining int64, reset time.Duration) limit.Outcome {
	return limit.Outcome{Allowed: true, Limit: size, Remaining: remaining, Reset: reset}
}

func refusal(size, remaining int64, reset, retry time.Duration) limit.Outcome {
	return limit.Outcome{Limit: size, Remaining: remaining, Reset: reset, RetryAfter: retry}
}

const second = time.Second

// table are cases that were worked out by hand.
var table = []struct {
	name  string
	rule  limit.Rule
	steps []step
}{
	{"bucket", limit.Rule{Algorithm: limit.Bucket, Limit: 2, Period: 2 * second}, []step{
		{0, 1, passes(2, 1, second)},
		{0, 1, passes(2, 0, 2*second)},
		{0, 1, refusal(2, 0, 2*second, second)},
		{second - time.Microsecond, 1, refusal(2, 0, second+time.Microsecond, time.Microsecond)},
		{second, 1, passes(2, 0, 2*second)},
		{10 * second, 1, passes(2, 1, second)},
	}},
	{"2000 in 65 s", limit.Rule{Algorithm: limit.Bucket, Limit: 2000, Period: 65 * second}, []step{{0, 1, passes(2000, 1999, 32500*time.Microsecond)}}},
	{"bucket with a burst", limit.Rule{Algorithm: limit.Bucket, Limit: 1, Period: second, Burst: 3}, []step{
		{0, 3, passes(3, 0, 3*second)},
		{second, 2, refusal(3, 1, 2*second, second)},
		{second, 4, refusal(3, 1, 2*second, -1)},
		{second, 1, passes(3, 0, 3*second)},
	}},
	{"a third of a second", limit.Rule{Algorithm: limit.Bucket, Limit: 3, Period: second}, []step{
		{0, 3, passes(3, 0, 1000001*time.Microsecond)}, // 333333334 ns each: never faster than the rule
		{0, 1, refusal(3, 0, 1000001*time.Microsecond, 333334*time.Microsecond)},
		{333333 * time.Microsecond, 1, refusal(3, 0, 666668*time.Microsecond, time.Microsecond)},
		{333334 * time.Microsecond, 1, passes(3, 0, second)},
	}},
	{"fixed window", limit.Rule{Algorithm: limit.FixedWindow, Limit: 2, Period: 10 * second}, []step{
		{0, 1, passes(2, 1, 10*second)},
		{9 * second, 1, passes(2, 0, second)},
		{9 * second, 1, refusal(2, 0, second, second)},
		{10 * second, 1, passes(2, 1, 10*second)},
		{25 * second, 1, passes(2, 1, 10*second)},
	}},
	{"for ever", limit.Rule{Algorithm: limit.FixedWindow, Limit: 2}, []step{
		{0, 1, passes(2, 1, -1)},
		{1000 * time.Hour, 1, passes(2, 0, -1)},
		{20000 * time.Hour, 1, refusal(2, 0, -1, -1)},
	}},
	{"sliding window", limit.Rule{Algorithm: limit.SlidingWindow, Limit: 4, Period: 1 << 20 * time.Microsecond}, []step{
		{0, 4, passes(4, 0, 2<<20*time.Microsecond)},
		{0, 1, refusal(4, 0, 2<<20*time.Microsecond, (1<<20+1<<18)*time.Microsecond)}, // a quarter into the next window
		{(1<<20 + 1<<18) * time.Microsecond, 1, passes(4, 0, (2<<20-1<<18)*time.Microsecond)},
		{(1<<20 + 1<<19) * time.Microsecond, 2, refusal(4, 1, (2<<20-1<<19)*time.Microsecond, 1<<18*time.Microsecond)},
		{(1<<20 + 3<<18) * time.Microsecond, 2, passes(4, 0, (2<<20-3<<18)*time.Microsecond)},
		{4 << 20 * time.Microsecond, 1, passes(4, 3, 2<<20*time.Microsecond)},
	}},
	{"a sliding window of one", limit.Rule{Algorithm: limit.SlidingWindow, Limit: 1, Period: second}, []step{
		{0, 1, passes(1, 0, 2*second)},
		{second, 1, refusal(1, 0, second, second)},
		{2 * second, 1, passes(1, 0, 2*second)},
	}},
	{"nothing", limit.Rule{Algorithm: limit.Bucket, Limit: 0, Period: second}, []step{{0, 1, refusal(0, 0, 0, -1)}}},
	{"nothing for ever", limit.Rule{Algorithm: limit.FixedWindow}, []step{{0, 1, refusal(0, 0, 0, -1)}}},
	{"not valid: below nothing", limit.Rule{Algorithm: limit.FixedWindow, Limit: -5, Period: second}, []step{{0, 1, refusal(0, 0, 0, -1)}}},
	{"not valid: no period", limit.Rule{Algorithm: limit.Bucket, Limit: 5}, []step{{0, 1, refusal(0, 0, 0, -1)}}},
	{"not valid: algorithm", limit.Rule{Algorithm: 9, Limit: 5, Period: second}, []step{{0, 1, refusal(0, 0, 0, -1)}}},
	{"not valid: largest numbers", limit.Rule{Algorithm: limit.Bucket, Limit: math.MaxInt64, Burst: math.MaxInt64, Period: math.MaxInt64}, []step{{0, 1, refusal(0, 0, 0, -1)}}},
	{"huge", limit.Rule{Algorithm: limit.FixedWindow, Limit: limit.MaxLimit, Period: limit.MaxPeriod}, []step{
		{0, limit.MaxLimit, passes(limit.MaxLimit, 0, limit.MaxPeriod)},
		{0, 1, refusal(limit.MaxLimit, 0, limit.MaxPeriod, limit.MaxPeriod)},
		{0, math.MaxInt64, refusal(limit.MaxLimit, 0, limit.MaxPeriod, -1)},
	}},
	{"the fastest bucket", limit.Rule{Algorithm: limit.Bucket, Limit: limit.MaxLimit, Period: second, Burst: limit.MaxLimit}, []step{
		{0, limit.MaxLimit, passes(limit.MaxLimit, 0, ceilMicros(limit.MaxLimit))},
		{0, 1, refusal(limit.MaxLimit, 0, ceilMicros(limit.MaxLimit), time.Microsecond)},
	}},
	{"attack: a request that was overtaken by the one that filled the bucket", limit.Rule{Algorithm: limit.Bucket, Limit: 10, Period: second}, []step{
		{second, 10, passes(10, 0, second)},
		{0, 1, refusal(10, 0, 2*second, second+second/10)},
		{second, 1, refusal(10, 0, second, second/10)}, // and takes nothing back
	}},
	{"attack: a request that was overtaken by the one that began the window", limit.Rule{Algorithm: limit.SlidingWindow, Limit: 10, Period: second}, []step{
		{second, 10, passes(10, 0, 2*second)},
		{0, 1, refusal(10, 0, 3*second, 2*second+second/10)},
		{2 * second, 1, refusal(10, 0, second, second/10)},
	}},
	{"attack: the clock goes back, and gives nothing back", limit.Rule{Algorithm: limit.FixedWindow, Limit: 1, Period: second}, []step{
		{0, 1, passes(1, 0, second)},
		{-time.Hour, 1, refusal(1, 0, second, second)},
		{-time.Hour + second/2, 1, refusal(1, 0, second/2, second/2)}, // and holds nobody up for more than a period
		{-time.Hour + second, 1, passes(1, 0, second)},
	}},
	{"attack: the clock goes back with a bucket", limit.Rule{Algorithm: limit.Bucket, Limit: 2, Period: 2 * second}, []step{
		{0, 1, passes(2, 1, second)},
		{-time.Hour, 1, refusal(2, 0, 2*second, second)},
		{-time.Hour + second, 1, passes(2, 0, 2*second)},
	}},
	{"attack: the clock goes back with a sliding window", limit.Rule{Algorithm: limit.SlidingWindow, Limit: 1, Period: second}, []step{
		{0, 1, passes(1, 0, 2*second)},
		{-time.Hour, 1, refusal(1, 0, 2*second, 2*second)},
		{-time.Hour + 2*second, 1, passes(1, 0, 2*second)},
	}},
}

// giveBacks are cases of returning 5 requests: taken at the start, then another number at a moment, then 5 returned that were held for some time, and what remains.
var giveBacks = []struct {
	name        string
	rule        limit.Rule
	then        int64
	at, held    time.Duration
	want        int64
	untilUnused time.Duration
}{
	{"bucket, at once", limit.Rule{Algorithm: limit.Bucket, Limit: 10, Period: 10 * second}, 0, 0, 0, 10, 0},
	{"bucket, what has come back since is not given twice", limit.Rule{Algorithm: limit.Bucket, Limit: 10, Period: 10 * second}, 3, 2 * second, 2 * second, 7, 3 * second},
	{"bucket, all has come back since", limit.Rule{Algorithm: limit.Bucket, Limit: 10, Period: 10 * second}, 3, 6 * second, 6 * second, 7, 3 * second},
	{"bucket, held for ever", limit.Rule{Algorithm: limit.Bucket, Limit: 10, Period: 10 * second}, 3, 6 * second, math.MaxInt64, 7, 3 * second},
	{"fixed window", limit.Rule{Algorithm: limit.FixedWindow, Limit: 10, Period: 10 * second}, 1, 9 * second, 9 * second, 9, second},
	{"fixed window, in the next", limit.Rule{Algorithm: limit.FixedWindow, Limit: 10, Period: 10 * second}, 1, 11 * second, 11 * second, 9, 10 * second},
	{"for ever", limit.Rule{Algorithm: limit.FixedWindow, Limit: 10}, 1, 1000 * time.Hour, 1000 * time.Hour, 9, -1},
	{"sliding window", limit.Rule{Algorithm: limit.SlidingWindow, Limit: 10, Period: 10 * second}, 1, 9 * second, 9 * second, 9, 11 * second},
	{"sliding window, in the next", limit.Rule{Algorithm: limit.SlidingWindow, Limit: 10, Period: 10 * second}, 1, 15 * second, 15 * second, 6, 15 * second},
	{"more than was taken", limit.Rule{Algorithm: limit.FixedWindow, Limit: 4, Period: second}, 0, 0, 0, 4, 0},
}

func returns(t *testing.T, s Subject) {
	t.Helper()
	for _, tt := range giveBacks {
		t.Run(tt.name, func(t *testing.T) {
			u := use(tt.rule)
			u.Count = 5
			take(t.Context(), t, s, start, u)
			later := start + tt.at.Microseconds()
			if u.Count = tt.then; u.Count > 0 {
				take(t.Context(), t, s, later, u)
			}
			u.Count = 5
			if err := s.Counters.Return(t.Context(), s.at(later), tt.held, []limit.Use{u}); err != nil {
				t.Fatal(err)
			}
			u.Count = 1
			if o := peek(t.Context(), t, s, later, u)[0]; o.Remaining != tt.want || o.Reset != tt.untilUnused {
				t.Errorf("%+v, want %d and %v", o, tt.want, tt.untilUnused)
			}
		})
	}
}

func ceilMicros(ns int64) time.Duration { return time.Duration((ns + 999) / 1000 * 1000) }

func cases(t *testing.T, s Subject) {
	t.Helper()
	for _, tt := range table {
		t.Run(tt.name, func(t *testing.T) {
			u := use(tt.rule)
			for i, step := range tt.steps {
				u.Count = step.count
				refused, out := take(t.Context(), t, s, start+step.at.Microseconds(), u)
				if diff := cmp.Diff(step.want, out[0]); diff != "" {
					t.Errorf("step %d (-want +got):\n%s", i, diff)
				}
				if (refused == -1) != step.want.Allowed || refused > 0 {
					t.Errorf("step %d: refused is %d", i, refused)
				}
			}
		})
	}
}

func allOrNothing(t *testing.T, s Subject) {
	t.Helper()
	ctx := t.Context()
	wide, narrow, dry, none := use(limit.Rule{Algorithm: limit.FixedWindow, Limit: 10}), use(limit.Rule{Algorithm: limit.FixedWindow, Limit: 1}), use(limit.Rule{Algorithm: limit.FixedWindow, Limit: 2}), use(limit.Rule{Limit: 0})
	dry.DryRun, none.DryRun = true, true
	uses := []limit.Use{wide, none, dry, narrow}
	for i := range uses {
		uses[i].Group = wide.Group
	}
	nothing := refusal(0, 0, 0, -1)
	for i, want := range [][]limit.Outcome{
		{passes(10, 9, -1), nothing, passes(2, 1, -1), passes(1, 0, -1)},
		{passes(10, 9, -1), nothing, passes(2, 1, -1), refusal(1, 0, -1, -1)}, // nothing was taken from the others
	} {
		refused, out := take(ctx, t, s, start, uses...)
		if diff := cmp.Diff(want, out); diff != "" || refused != []int{-1, 3}[i] {
			t.Errorf("take %d: refused %d (-want +got):\n%s", i, refused, diff)
		}
	}
	for i, want := range [][]limit.Outcome{
		{passes(10, 8, -1), nothing, passes(2, 0, -1)},
		{passes(10, 7, -1), nothing, refusal(2, 0, -1, -1)}, // a dry run refuses nobody, and counts no request that it would have refused
	} {
		refused, out := take(ctx, t, s, start, uses[:3]...)
		if diff := cmp.Diff(want, out); diff != "" || refused != -1 {
			t.Errorf("take without the narrow one %d: refused %d (-want +got):\n%s", i, refused, diff)
		}
	}
	if diff := cmp.Diff([]limit.Outcome{passes(10, 7, -1), refusal(1, 0, -1, -1)}, peek(ctx, t, s, start, uses[0], uses[3])); diff != "" {
		t.Errorf("Peek (-want +got):\n%s", diff)
	}
	if err := s.Counters.Return(ctx, s.at(start), 0, uses[3:]); err != nil {
		t.Fatal(err)
	}
	if refused, out := take(ctx, t, s, start, uses[3]); refused != -1 {
		t.Errorf("after it was returned: %+v", out)
	}
	if err := s.Counters.Reset(ctx, uses); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]limit.Outcome{passes(10, 10, 0), nothing, passes(2, 2, 0), passes(1, 1, 0)}, peek(ctx, t, s, start, uses...)); diff != "" {
		t.Errorf("after Reset (-want +got):\n%s", diff)
	}
	if refused, _ := take(ctx, t, s, start); refused != -1 {
		t.Error("nothing to take from has refused")
	}
}
