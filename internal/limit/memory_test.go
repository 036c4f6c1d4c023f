package limit_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/limit/limittest"
)

func TestMemory(t *testing.T) {
	limittest.Run(t, limittest.Subject{Counters: limit.NewMemory(0)})
}

// TestHostileFill: whoever makes counters without end neither gets rid of what was counted for him nor takes more memory.
func TestHostileFill(t *testing.T) {
	const maximum = 64 * 100
	m := limit.NewMemory(maximum)
	now := time.Unix(1_800_000_000, 0)
	rule := limit.Rule{Algorithm: limit.Bucket, Limit: 1, Period: time.Minute}
	mine := limit.Use{Key: limittest.Key(), Rule: rule}
	out := make([]limit.Outcome, 1)
	take := func(u limit.Use) (int, error) { return m.Take(t.Context(), now, []limit.Use{u}, out) }
	if refused, err := take(mine); refused != -1 || err != nil {
		t.Fatal(refused, err)
	}
	full := 0
	for range 2 * maximum {
		if _, err := take(limit.Use{Key: limittest.Key(), Rule: rule}); errors.Is(err, limit.ErrFull) {
			full++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if m.Len() > maximum || full < maximum {
		t.Errorf("%d counters of %d, %d were refused", m.Len(), maximum, full)
	}
	if refused, err := take(mine); refused != 0 || err != nil {
		t.Errorf("the first counter was forgotten: %d, %v", refused, err)
	}
	now = now.Add(time.Minute) // all of them are as if they had never been used
	for range 2 * maximum {
		now = now.Add(time.Minute)
		if refused, err := take(limit.Use{Key: limittest.Key(), Rule: rule}); refused != -1 || err != nil {
			t.Fatal(refused, err)
		}
	}
	if m.Len() > maximum {
		t.Errorf("%d counters of %d", m.Len(), maximum)
	}
}

// TestIdleCountersGo: counters of identities that do not come back go while others come.
func TestIdleCountersGo(t *testing.T) {
	m := limit.NewMemory(0)
	now := time.Unix(1_800_000_000, 0)
	out := make([]limit.Outcome, 1)
	for range 50_000 {
		now = now.Add(time.Millisecond)
		u := limit.Use{Key: limittest.Key(), Rule: limit.Rule{Algorithm: limit.Bucket, Limit: 1, Period: time.Second}}
		if _, err := m.Take(t.Context(), now, []limit.Use{u}, out); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.Len(); n > 25_000 { // 1000 are in use at a time, and 10000 kept for those who are late
		t.Errorf("%d counters are kept", n)
	}
}

// TestAnything: no rule, count, moment or state makes a panic or nonsense, whoever has written the configuration.
func TestAnything(t *testing.T) {
	numbers := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2, 10), rapid.SampledFrom([]int64{math.MaxInt64, math.MinInt64, limit.MaxLimit, limit.MaxSlidingLimit, int64(limit.MaxPeriod), int64(limit.MaxFill), 1e6, 1e9}))
	rapid.Check(t, func(rt *rapid.T) {
		m := limit.NewMemory(0)
		k := limittest.Key()
		out := make([]limit.Outcome, 1)
		for range 20 {
			u := limit.Use{Key: k, Count: numbers.Draw(rt, "count"), Rule: limit.Rule{
				Algorithm: limit.Algorithm(rapid.ByteRange(0, 4).Draw(rt, "algorithm")), Limit: numbers.Draw(rt, "limit"), Period: time.Duration(numbers.Draw(rt, "period")), Burst: numbers.Draw(rt, "burst"),
			}}
			if rapid.Bool().Draw(rt, "whole") {
				u.Rule.Period = u.Rule.Period / time.Microsecond * time.Microsecond
				u.Rule.Burst = 0
			}
			now := time.Unix(numbers.Draw(rt, "now"), 0)
			refused, err := m.Take(t.Context(), now, []limit.Use{u}, out)
			if err != nil {
				rt.Fatal(err)
			}
			o := out[0]
			if o.Allowed != (refused < 0) || o.Allowed != (o.RetryAfter == 0) || o.RetryAfter < -1 || o.Reset < -1 || o.Remaining < 0 || o.Remaining > o.Limit || o.Allowed && u.Rule.Valid() != nil {
				rt.Fatalf("%+v: %+v", u.Rule, o)
			}
			if err := m.Return(t.Context(), now, time.Duration(numbers.Draw(rt, "held")), []limit.Use{u}); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

func TestTakeDoesNotAllocate(t *testing.T) {
	m := limit.NewMemory(0)
	uses := session(1, nil)
	out := make([]limit.Outcome, len(uses))
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		now = now.Add(time.Second)
		if refused, err := m.Take(t.Context(), now, uses, out); refused != -1 || err != nil {
			t.Fatal(refused, err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestValid(t *testing.T) {
	for name, r := range map[string]limit.Rule{
		"algorithm":        {Algorithm: 3, Limit: 1, Period: time.Second},
		"below 0":          {Limit: -1, Period: time.Second},
		"too many":         {Algorithm: limit.FixedWindow, Limit: limit.MaxLimit + 1, Period: time.Second},
		"too many sliding": {Algorithm: limit.SlidingWindow, Limit: limit.MaxSlidingLimit + 1, Period: time.Second},
		"no period":        {Limit: 1},
		"no period, zero":  {Algorithm: limit.SlidingWindow},
		"short":            {Limit: 1, Period: time.Millisecond - time.Microsecond},
		"long":             {Limit: 1, Period: limit.MaxPeriod + time.Microsecond},
		"fraction":         {Limit: 1, Period: time.Second + 1},
		"negative period":  {Limit: 1, Period: -time.Second},
		"burst":            {Algorithm: limit.FixedWindow, Limit: 1, Period: time.Second, Burst: 1},
		"negative burst":   {Limit: 1, Period: time.Second, Burst: -1},
		"slow":             {Limit: 1, Period: 60 * 24 * time.Hour, Burst: 2},
		"slow, overflow":   {Limit: 1, Period: limit.MaxPeriod, Burst: limit.MaxLimit},
	} {
		if r.Valid() == nil {
			t.Errorf("%s: %+v is valid", name, r)
		}
	}
	for _, r := range []limit.Rule{
		{Algorithm: limit.FixedWindow, Limit: 1}, {Algorithm: limit.FixedWindow}, {Limit: 0, Period: time.Second}, {Limit: 1_000_000_000, Period: time.Millisecond},
		{Limit: 1, Period: time.Millisecond, Burst: 1000}, {Algorithm: limit.SlidingWindow, Limit: limit.MaxSlidingLimit, Period: limit.MaxPeriod},
	} {
		if err := r.Valid(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestThrottleValid(t *testing.T) {
	for _, tt := range []struct {
		throttle limit.Throttle
		valid    bool
	}{
		{limit.Throttle{}, true},
		{limit.Throttle{Wait: time.Second, Retries: 3}, true},
		{limit.Throttle{Wait: time.Second}, false},
		{limit.Throttle{Retries: 1}, false},
		{limit.Throttle{Wait: time.Hour, Retries: 1}, false},
		{limit.Throttle{Wait: time.Second, Retries: limit.MaxRetries + 1}, false},
	} {
		if err := tt.throttle.Valid(); (err == nil) != tt.valid {
			t.Errorf("%+v: %v", tt.throttle, err)
		}
	}
}

func TestKeys(t *testing.T) {
	seen := make(map[limit.Key]string)
	for _, parts := range [][]string{{"a"}, {"a", ""}, {"a", "b"}, {"ab"}, {"a", "b", ""}, {"", "ab"}, {"a\x00b"}} {
		k := limit.NewKey(parts[0], parts[1:]...)
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %s have the same key", parts, other)
		}
		seen[k] = parts[0]
	}
	if n := testing.AllocsPerRun(10, func() { limit.NewKey("identity", "https://id.example.com/", "alice", "tickets") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
