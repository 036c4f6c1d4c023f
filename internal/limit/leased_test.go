package limit_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/limit/limittest"
)

// processes are several Leased over one remote.
func processes(t *testing.T, r *remote, n int) []*limit.Leased {
	t.Helper()
	all := make([]*limit.Leased, n)
	for i := range all {
		all[i] = limit.NewLeased(r)
		t.Cleanup(all[i].Close)
	}
	return all
}

func TestOvershoot(t *testing.T) {
	for _, tt := range []struct {
		rule limit.Rule
		want int64
	}{
		{limit.Rule{Limit: 19, Period: time.Second}, 0},
		{limit.Rule{Limit: 20, Period: time.Second}, 1},
		{limit.Rule{Limit: 1000, Period: time.Second}, 50},
		{limit.Rule{Limit: 1000, Period: time.Second, Burst: 10}, 0},
		{limit.Rule{Algorithm: limit.FixedWindow, Limit: 1_000_000}, limit.MaxLease},
		{limit.Rule{Limit: -1}, 0},
	} {
		if got := limit.Overshoot(tt.rule); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.rule, got, tt.want)
		}
	}
}

// TestLeasedSmall: limits of which nothing is taken ahead are as exact as ever.
func TestLeasedSmall(t *testing.T) {
	l := processes(t, newRemote(), 1)[0]
	u := fixed(19, 0)
	out := make([]limit.Outcome, 1)
	for i := range 25 {
		refused, err := l.Take(t.Context(), noon, []limit.Use{u}, out)
		if err != nil || (refused < 0) != (i < 19) || out[0].Remaining != max(int64(18-i), 0) {
			t.Fatalf("take %d: %d, %v, %+v", i, refused, err, out)
		}
	}
}

// TestLeasedTogether: 50 callers of four processes get what a window has and nothing more, with far fewer calls than requests.
func TestLeasedTogether(t *testing.T) {
	const limited, callers = 20_000, 50
	r := newRemote()
	all := processes(t, r, 4)
	wide, u := fixed(1<<40, 0), fixed(limited, 0)
	var got, refusals atomic.Int64
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			l, out := all[i%len(all)], make([]limit.Outcome, 2)
			for range 2 * limited / callers {
				refused, err := l.Take(t.Context(), time.Now(), []limit.Use{wide, u}, out)
				switch {
				case err != nil:
					t.Error(err)
					return
				case refused < 0:
					got.Add(1)
				case refused != 1:
					t.Errorf("refused by %d", refused)
				default:
					refusals.Add(1)
				}
			}
		})
	}
	wait.Wait()
	calls := r.calls.Load()
	for _, l := range all {
		l.Close()
	}
	if got.Load() > limited || got.Load() < limited-int64(len(all))*limit.Overshoot(u.Rule) {
		t.Errorf("%d passed, the limit is %d", got.Load(), limited)
	}
	t.Logf("%d requests passed and %d were refused with %d calls", got.Load(), refusals.Load(), calls)
	if asked := calls - refusals.Load(); asked > got.Load()/5 {
		t.Errorf("%d calls for %d requests that passed", asked, got.Load())
	}
	// What was not needed is back.
	out := make([]limit.Outcome, 2)
	if err := r.Peek(t.Context(), time.Now(), []limit.Use{wide, u}, out); err != nil || out[1].Remaining != limited-got.Load() || out[0].Limit-out[0].Remaining != got.Load() {
		t.Errorf("%d passed, and %+v, %v", got.Load(), out, err)
	}
}

// TestLeasedBound: whatever several processes are asked for, in no stretch of time do more pass than the rule says and what they may have taken ahead.
func TestLeasedBound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rule := limit.Rule{
			Algorithm: limit.Algorithm(rapid.IntRange(0, 1).Draw(rt, "algorithm")),
			Limit:     rapid.Int64Range(20, 400).Draw(rt, "limit"),
			Period:    rapid.SampledFrom([]time.Duration{100 * time.Millisecond, time.Second, 3 * time.Second, time.Minute}).Draw(rt, "period"),
		}
		n := rapid.IntRange(1, 4).Draw(rt, "processes")
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 100).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			r := newRemote()
			var all []*limit.Leased
			for range n {
				all = append(all, limit.NewLeased(r))
			}
			k := limittest.Key()
			uses, out := []limit.Use{{Key: k, Rule: rule}}, make([]limit.Outcome, 1)
			var passed []time.Time
			for i, step := range steps {
				if step == 0 {
					time.Sleep(rule.Period / 3)
				}
				time.Sleep(rule.Period / 50)
				for range step * int(rule.Limit) / 20 {
					now := time.Now()
					refused, err := all[(i+step)%n].Take(t.Context(), now, uses, out)
					if err != nil {
						t.Fatal(err)
					}
					if refused < 0 {
						passed = append(passed, now)
					}
				}
			}
			for _, l := range all {
				l.Close()
			}
			check(t, rule, passed, int64(n)*limit.Overshoot(rule))
		})
		if t.Failed() {
			rt.FailNow()
		}
	})
}

// check compares the requests of every stretch of time with what the rule allows there.
func check(t *testing.T, rule limit.Rule, passed []time.Time, overshoot int64) {
	t.Helper()
	for i := 0; i < len(passed); i += 1 + len(passed)/100 {
		for j := i; j < len(passed); j += 1 + len(passed)/100 {
			took := passed[j].Sub(passed[i])
			most := rule.Limit + overshoot
			switch rule.Algorithm {
			case limit.Bucket:
				most += int64(took)*rule.Limit/int64(rule.Period) + 1
			case limit.FixedWindow:
				most += rule.Limit * (int64(took/rule.Period) + 1)
			}
			if n := int64(j - i + 1); n > most {
				t.Errorf("%d passed in %v, at most %d may: %+v", n, took, most, rule)
				return
			}
		}
	}
}

// TestLeasedLosesNothing: whatever is refused, fails and is given back, every counter has lost exactly what has passed.
func TestLeasedLosesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		uses := make([]limit.Use, 3)
		for i := range uses {
			uses[i] = fixed(rapid.Int64Range(20, 2000).Draw(rt, "limit"), 0)
			uses[i].Rule.Period = 0
		}
		type action struct{ process, from, to, times, trouble int }
		draw := func(name string, most int) int { return rapid.IntRange(0, most).Draw(rt, name) }
		var steps []action
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			steps = append(steps, action{draw("process", 1), draw("from", 2), draw("to", 2), draw("times", 100), draw("trouble", 6)})
		}
		synctest.Test(t, func(t *testing.T) {
			r := newRemote()
			all := []*limit.Leased{limit.NewLeased(r), limit.NewLeased(r)}
			passed := make(map[limit.Key]int64)
			for _, step := range steps {
				r.trouble.Store(fine)
				switch step.trouble {
				case 0:
					time.Sleep(time.Duration(step.times) * 20 * time.Millisecond)
				case 1:
					r.trouble.Store(failing)
				}
				group := uses[min(step.from, step.to) : max(step.from, step.to)+1]
				out := make([]limit.Outcome, len(group))
				for range step.times {
					refused, err := all[step.process].Take(t.Context(), time.Now(), group, out)
					if err != nil || refused >= 0 {
						continue
					}
					for i := range group {
						passed[group[i].Key]++
					}
				}
			}
			r.trouble.Store(fine)
			for _, l := range all {
				l.Close()
			}
			out := make([]limit.Outcome, len(uses))
			if err := r.Peek(t.Context(), time.Now(), uses, out); err != nil {
				t.Fatal(err)
			}
			for i := range uses {
				if used := out[i].Limit - out[i].Remaining; used != passed[uses[i].Key] {
					t.Errorf("counter %d of %d: %d were taken and %d have passed", i, out[i].Limit, used, passed[uses[i].Key])
				}
			}
		})
		if t.Failed() {
			rt.FailNow()
		}
	})
}

// TestLeasedIdle: what nobody needs is given back within two seconds, and a rule that changes is asked for anew.
func TestLeasedIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		l := limit.NewLeased(r)
		defer l.Close()
		u, out := fixed(1000, 0), make([]limit.Outcome, 1)
		u.Rule.Period = 0
		take := func() {
			if refused, err := l.Take(t.Context(), time.Now(), []limit.Use{u}, out); refused >= 0 || err != nil {
				t.Fatal(refused, err)
			}
		}
		remains := func() int64 {
			if err := r.Memory.Peek(t.Context(), time.Now(), []limit.Use{u}, out); err != nil {
				t.Fatal(err)
			}
			return out[0].Remaining
		}
		for range 100 {
			take()
		}
		if out[0].Remaining != 900 {
			t.Errorf("%+v", out[0])
		}
		if n := remains(); n >= 900 {
			t.Errorf("%d remain: nothing was taken ahead", n)
		}
		if err := l.Peek(t.Context(), time.Now(), []limit.Use{u}, out); err != nil || out[0].Remaining != 900 {
			t.Errorf("Peek: %+v, %v", out, err)
		}
		time.Sleep(2 * time.Second)
		if n := remains(); n != 900 {
			t.Errorf("%d remain", n)
		}
		u.Rule.Limit = 2000
		for range 100 {
			take()
		}
		u.Rule.Limit = 1000
		take()
		if err := l.Reset(t.Context(), []limit.Use{u}); err != nil || remains() != 1000 {
			t.Errorf("%d remain after Reset, %v", remains(), err)
		}
	})
}

// TestLeasedDryRun: limits in dry-run are counted exactly.
func TestLeasedDryRun(t *testing.T) {
	l := processes(t, newRemote(), 1)[0]
	dry, u, out := fixed(30, 0), fixed(1000, 0), make([]limit.Outcome, 2)
	dry.DryRun = true
	for i := range 100 {
		refused, err := l.Take(t.Context(), noon, []limit.Use{u, dry}, out)
		if refused >= 0 || err != nil || out[1].Allowed != (i < 30) || out[0].Remaining != int64(999-i) {
			t.Fatalf("take %d: %d, %v, %+v", i, refused, err, out)
		}
	}
}

// TestLeasedGuarded: what was taken ahead is used without a call, and trouble is Guarded's.
func TestLeasedGuarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		l := limit.NewLeased(r)
		defer l.Close()
		g := limit.NewGuarded(l, limit.GuardOptions{OnFailure: limit.FailureDeny})
		u, out := fixed(10_000, 0), make([]limit.Outcome, 1)
		passed := 0
		for i := range 2000 {
			if i == 1000 {
				r.trouble.Store(hanging)
			}
			if refused, err := g.Take(t.Context(), time.Now(), []limit.Use{u}, out); refused < 0 && err == nil {
				passed++
			}
		}
		if passed < 1000 || passed > 1000+int(limit.Overshoot(u.Rule)) {
			t.Errorf("%d passed", passed)
		}
		if calls := r.calls.Load(); calls > 30 {
			t.Errorf("%d calls", calls)
		}
		r.trouble.Store(fine)
	})
}

func TestTakeHeldDoesNotAllocate(t *testing.T) {
	l := processes(t, newRemote(), 1)[0]
	g := limit.NewGuarded(l, limit.GuardOptions{})
	uses, out := []limit.Use{fixed(1<<40, 0), fixed(1<<40, 0)}, make([]limit.Outcome, 2)
	for range 3000 { // portions are as large as they get
		if _, err := g.Take(t.Context(), noon, uses, out); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := g.Take(t.Context(), noon, uses, out); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
