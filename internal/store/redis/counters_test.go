package redis_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/limit/limittest"
	"github.com/jotgate/jotgate/internal/store/redis"
	"github.com/jotgate/jotgate/internal/store/redis/redistest"
)

func countersAt(tb testing.TB, o redis.Options) *redis.Counters {
	tb.Helper()
	client, err := redis.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := client.Close(); err != nil {
			tb.Error(err)
		}
	})
	return redis.NewCounters(client)
}

func TestCounters(t *testing.T) {
	server := redistest.Start(t, "appendonly no")
	c := countersAt(t, redis.Options{Addresses: []string{server.Address}, Prefix: "a:"})
	limittest.Run(t, limittest.Subject{Counters: c, At: c.SetClock()})
}

// hourly is a limit that does not come back while a test runs.
func hourly(n int64) limit.Use {
	k := limittest.Key()
	return limit.Use{Key: k, Group: k.Group(), Rule: limit.Rule{Algorithm: limit.FixedWindow, Limit: n, Period: time.Hour}}
}

// crowd has callers parallel callers of each of counters take from uses until each of them was refused, and returns how many passed.
func crowd(t *testing.T, callers int, uses []limit.Use, counters ...*redis.Counters) int64 {
	t.Helper()
	var got atomic.Int64
	var wait sync.WaitGroup
	for i, c := range counters {
		clock := time.Now().Add(time.Duration(i-1) * 5 * time.Minute) // of the process: it changes nothing
		for range callers {
			wait.Go(func() {
				out := make([]limit.Outcome, len(uses))
				for {
					refused, err := c.Take(t.Context(), clock, uses, out)
					if err != nil {
						t.Error(err)
						return
					}
					if refused >= 0 {
						return
					}
					got.Add(1)
				}
			})
		}
	}
	wait.Wait()
	return got.Load()
}

// TestCountersTogether: clients whose clocks are five minutes apart keep one limit together, of one group and of two.
func TestCountersTogether(t *testing.T) {
	server := redistest.Start(t, "appendonly no")
	var all []*redis.Counters
	for range 3 {
		all = append(all, countersAt(t, redis.Options{Addresses: []string{server.Address}}))
	}
	const limited = 300
	if got := crowd(t, 17, []limit.Use{hourly(limited)}, all...); got != limited {
		t.Errorf("%d passed, the limit is %d", got, limited)
	}
	wide, narrow := hourly(1_000_000), hourly(limited)
	if got := crowd(t, 17, []limit.Use{wide, narrow}, all...); got != limited {
		t.Errorf("in two groups: %d passed, the limit is %d", got, limited)
	}
	out := make([]limit.Outcome, 1)
	if err := all[0].Peek(t.Context(), time.Time{}, []limit.Use{wide}, out); err != nil || out[0].Limit-out[0].Remaining != limited {
		t.Errorf("what was taken from the first group was not given back: %+v, %v", out, err)
	}
}

// TestCountersOfACluster: groups are in different places there.
func TestCountersOfACluster(t *testing.T) {
	nodes := redistest.StartCluster(t)
	c := countersAt(t, redis.Options{Addresses: redistest.Addresses(nodes...), Cluster: true})
	const limited = 50
	uses := []limit.Use{hourly(1000), hourly(1000), hourly(limited), hourly(1000)}
	uses[3].Group = uses[0].Group
	if got := crowd(t, 10, uses, c); got != limited {
		t.Errorf("%d passed, the limit is %d", got, limited)
	}
	out := make([]limit.Outcome, len(uses))
	if err := c.Peek(t.Context(), time.Time{}, uses, out); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{950, 950, 0, 950} {
		if out[i].Remaining != want {
			t.Errorf("use %d: %d remain, want %d", i, out[i].Remaining, want)
		}
	}
}

// TestRefusalInSeveralGroups: what refuses first is named, wherever it is kept.
func TestRefusalInSeveralGroups(t *testing.T) {
	server := redistest.Start(t, "appendonly no")
	c := countersAt(t, redis.Options{Addresses: []string{server.Address}})
	uses := []limit.Use{hourly(5), hourly(0), hourly(0), hourly(7)}
	uses[1].DryRun = true
	uses[2].Group, uses[3].Group = uses[0].Group, uses[1].Group
	out := make([]limit.Outcome, len(uses))
	refused, err := c.Take(t.Context(), time.Time{}, uses, out)
	if refused != 2 || err != nil {
		t.Errorf("refused by %d, %v", refused, err)
	}
	never := limit.Outcome{RetryAfter: -1}
	if diff := cmp.Diff([]limit.Outcome{{Allowed: true, Limit: 5, Remaining: 5}, never, never, {Allowed: true, Limit: 7, Remaining: 7}}, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCountersVanish(t *testing.T) {
	server := redistest.Start(t, "appendonly no")
	c := countersAt(t, redis.Options{Addresses: []string{server.Address}, Prefix: "p:"})
	u := hourly(5)
	u.Rule.Period = 10 * time.Second
	ever := hourly(5)
	ever.Rule.Period = 0
	out := make([]limit.Outcome, 2)
	if _, err := c.Take(t.Context(), time.Time{}, []limit.Use{u, ever}, out); err != nil {
		t.Fatal(err)
	}
	found := 0
	for key := range strings.FieldsSeq(server.Do("KEYS", "*")) {
		found++
		if !strings.HasPrefix(key, "p:limit:{") {
			t.Errorf("key %q", key)
		}
		ttl, err := strconv.Atoi(server.Do("TTL", key))
		if err != nil {
			t.Fatal(err)
		}
		if ttl != -1 && (ttl < 60 || ttl > 71) {
			t.Errorf("%s goes in %d s", key, ttl)
		}
	}
	if found != 2 {
		t.Errorf("%d keys", found)
	}
	if err := c.Reset(t.Context(), []limit.Use{u, ever}); err != nil || server.Do("DBSIZE") != "0" {
		t.Errorf("%s keys are left, %v", server.Do("DBSIZE"), err)
	}
}

// short is how long a call may take while there is trouble; where there is none, it may take longer on a machine that is busy.
const short = 200 * time.Millisecond

// bounded takes once, and fails the test if that takes longer than it may.
func bounded(t *testing.T, c *redis.Counters, u limit.Use, timeout time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	begun := time.Now()
	_, err := c.Take(ctx, time.Time{}, []limit.Use{u}, make([]limit.Outcome, 1))
	if took := time.Since(begun); took > timeout+500*time.Millisecond { // the machine may be busy
		t.Errorf("a call took %v", took)
	}
	return err
}

// recovers waits until calls succeed by themselves.
func recovers(t *testing.T, c *redis.Counters, u limit.Use) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := bounded(t, c, u, short)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("it does not recover: ", err)
		}
	}
}

// TestCountersInTrouble: no call takes longer than its context, whatever happens to the server, and all is well again afterwards.
func TestCountersInTrouble(t *testing.T) {
	server := redistest.Start(t)
	c := countersAt(t, redis.Options{Addresses: []string{server.Address}})
	u := hourly(1_000_000)
	for _, trouble := range []struct {
		name string
		do   func()
		end  func()
		fail bool
	}{
		{"flushed script cache", func() { server.Do("SCRIPT", "FLUSH") }, func() {}, false},
		{"DEBUG SLEEP", func() { server.Freeze(time.Second) }, func() {}, true},
		{"CLIENT PAUSE", func() { server.Do("CLIENT", "PAUSE", "600", "ALL") }, func() {}, true},
		{"frozen process", server.Stop, server.Continue, true},
		{"kill -9", server.Kill, server.Restart, true},
	} {
		t.Run(trouble.name, func(t *testing.T) {
			recovers(t, c, u)
			before := remaining(t, c, u)
			trouble.do()
			timeout := short
			if !trouble.fail {
				timeout = 10 * time.Second
			}
			var failed, passed atomic.Int64
			var wait sync.WaitGroup
			for range 20 {
				wait.Go(func() {
					if err := bounded(t, c, u, timeout); err != nil {
						failed.Add(1)
					} else {
						passed.Add(1)
					}
				})
			}
			wait.Wait()
			if trouble.fail && failed.Load() == 0 || !trouble.fail && failed.Load() > 0 {
				t.Errorf("%d calls failed", failed.Load())
			}
			trouble.end()
			recovers(t, c, u)
			if after := remaining(t, c, u); after > before-passed.Load()-1 {
				t.Errorf("counts were lost: %d remained before %d calls, %d now", before, passed.Load()+1, after)
			}
		})
	}
}

func remaining(t *testing.T, c *redis.Counters, u limit.Use) int64 {
	t.Helper()
	out := make([]limit.Outcome, 1)
	if err := c.Peek(t.Context(), time.Time{}, []limit.Use{u}, out); err != nil {
		t.Fatal(err)
	}
	return out[0].Remaining
}

// TestCountersInFullMemory: a server without room says so, takes nothing, and goes on when there is room.
func TestCountersInFullMemory(t *testing.T) {
	server := redistest.Start(t, "appendonly no", "maxmemory-policy noeviction")
	c := countersAt(t, redis.Options{Addresses: []string{server.Address}})
	uses := []limit.Use{hourly(10), hourly(10)}
	uses[1].Group = uses[0].Group
	out := make([]limit.Outcome, 2)
	if _, err := c.Take(t.Context(), time.Time{}, uses, out); err != nil {
		t.Fatal(err)
	}
	server.Do("CONFIG", "SET", "maxmemory", "1")
	if _, err := c.Take(t.Context(), time.Time{}, uses, out); err == nil {
		t.Error("a server without memory has counted")
	}
	if got := remaining(t, c, uses[0]); got != 9 {
		t.Errorf("%d remain", got)
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	if refused, err := c.Take(t.Context(), time.Time{}, uses, out); refused != -1 || err != nil || out[1].Remaining != 8 {
		t.Errorf("%d, %v, %+v", refused, err, out)
	}
}

// TestForeignValue: what somebody else has written under the key is an error, and no fresh counter.
func TestForeignValue(t *testing.T) {
	server := redistest.Start(t, "appendonly no")
	c := countersAt(t, redis.Options{Addresses: []string{server.Address}})
	u := hourly(10)
	out := make([]limit.Outcome, 1)
	if _, err := c.Take(t.Context(), time.Time{}, []limit.Use{u}, out); err != nil {
		t.Fatal(err)
	}
	key := server.Do("KEYS", "*")
	server.Do("SET", key, "nonsense")
	if _, err := c.Take(t.Context(), time.Time{}, []limit.Use{u}, out); err == nil {
		t.Error("nonsense was counted on")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Take(ctx, time.Time{}, []limit.Use{u}, out); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that is over: %v", err)
	}
}

// TestLeasedCounters: three processes that take ahead pass no more than the limit and what they may have taken ahead, with far fewer calls than requests.
func TestLeasedCounters(t *testing.T) {
	server := redistest.Start(t, "appendonly no")
	const limited = 6000
	u := hourly(limited)
	var got atomic.Int64
	var wait sync.WaitGroup
	var all []*limit.Leased
	for range 3 {
		l := limit.NewLeased(countersAt(t, redis.Options{Addresses: []string{server.Address}}))
		all = append(all, l)
		for range 10 {
			wait.Go(func() {
				out := make([]limit.Outcome, 1)
				for got.Load() < limited/2 {
					if refused, err := l.Take(t.Context(), time.Now(), []limit.Use{u}, out); err != nil || refused >= 0 {
						t.Error(refused, err)
						return
					}
					got.Add(1)
				}
			})
		}
	}
	wait.Wait()
	_, calls, _ := strings.Cut(server.Do("INFO", "commandstats"), "cmdstat_evalsha:calls=")
	calls, _, _ = strings.Cut(calls, ",")
	t.Logf("%s calls for %d requests", calls, got.Load())
	if n, err := strconv.Atoi(calls); err != nil || n > int(got.Load())/5 {
		t.Errorf("%s calls for %d requests, %v", calls, got.Load(), err)
	}
	for _, l := range all { // until all of it is used up
		wait.Go(func() {
			out := make([]limit.Outcome, 1)
			for misses := 0; misses < 3; {
				refused, err := l.Take(t.Context(), time.Now(), []limit.Use{u}, out)
				switch {
				case err != nil:
					t.Error(err)
					return
				case refused >= 0:
					misses++
				default:
					got.Add(1)
				}
			}
		})
	}
	wait.Wait()
	for _, l := range all {
		l.Close()
	}
	if most := int64(limited) + 3*limit.Overshoot(u.Rule); got.Load() > most || got.Load() < limited-3*limit.Overshoot(u.Rule) {
		t.Errorf("%d passed, the limit is %d, at most %d may", got.Load(), limited, most)
	}
	if left := remaining(t, countersAt(t, redis.Options{Addresses: []string{server.Address}}), u); left != max(limited-got.Load(), 0) {
		t.Errorf("%d passed, %d are left of %d", got.Load(), left, limited)
	}
}
