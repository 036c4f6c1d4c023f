package redis_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/limit"
	"github.com/jotgate/jotgate/internal/store/redis"
	"github.com/jotgate/jotgate/internal/store/redis/redistest"
)

// load has callers take all the time until the test ends, and fails it if one waits for longer than it may.
type load struct {
	stop   chan struct{}
	wait   sync.WaitGroup
	calls  atomic.Int64
	errors atomic.Int64
}

func begin(t *testing.T, g *limit.Guarded, timeout time.Duration, uses ...limit.Use) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	for range 8 {
		l.wait.Go(func() {
			out := make([]limit.Outcome, len(uses))
			for {
				select {
				case <-l.stop:
					return
				case <-time.After(time.Millisecond):
				}
				begun := time.Now()
				if _, err := g.Take(t.Context(), begun, uses, out); err != nil {
					l.errors.Add(1)
				}
				if took := time.Since(begun); took > timeout+500*time.Millisecond { // the machine may be busy
					t.Errorf("a call took %v", took)
				}
				l.calls.Add(1)
			}
		})
	}
	return l
}

// proceeds waits until n more calls have ended.
func (l *load) proceeds(t *testing.T, n int64) {
	t.Helper()
	from := l.calls.Load()
	await(t, func() bool { return l.calls.Load() >= from+n })
}

func (l *load) end() {
	close(l.stop)
	l.wait.Wait()
}

func await(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("what was waited for has not happened")
		}
	}
}

// TestOutageUnderLoad: while Redis is frozen, killed and full, requests are counted locally or refused, none of them waits for longer than the timeout, and all are counted together again afterwards.
func TestOutageUnderLoad(t *testing.T) {
	const timeout = 100 * time.Millisecond
	server := redistest.Start(t)
	counters := countersAt(t, redis.Options{Addresses: []string{server.Address}})
	leased := limit.NewLeased(counters)
	t.Cleanup(leased.Close)
	for name, remote := range map[string]limit.Counters{"exact": counters, "taken ahead": leased} {
		g := limit.NewGuarded(remote, limit.GuardOptions{Timeout: timeout, Local: limit.NewMemory(1000)})
		deny := limit.NewGuarded(remote, limit.GuardOptions{Timeout: timeout, OnFailure: limit.FailureDeny})
		local, refusing := begin(t, g, timeout, hourly(1_000_000)), begin(t, deny, timeout, hourly(1_000_000))
		for _, trouble := range []struct {
			name    string
			do, end func()
		}{
			{"frozen", server.Stop, server.Continue},
			{"killed", server.Kill, server.Restart},
			{"full", func() { server.Do("CONFIG", "SET", "maxmemory", "1") }, func() { server.Do("CONFIG", "SET", "maxmemory", "0") }},
		} {
			t.Run(name+", "+trouble.name, func(t *testing.T) {
				await(t, func() bool { return !g.State().Open && !deny.State().Open })
				local.proceeds(t, 100)
				errorsBefore, refusedBefore := local.errors.Load(), refusing.errors.Load()
				trouble.do()
				await(t, func() bool { return g.State().Open && deny.State().Open })
				local.proceeds(t, 200)
				if n := local.errors.Load() - errorsBefore; n > 0 {
					t.Errorf("%d requests were refused that are counted locally", n)
				}
				await(t, func() bool { return refusing.errors.Load() > refusedBefore })
				trouble.end()
				await(t, func() bool { return !g.State().Open && !deny.State().Open })
				refusing.proceeds(t, 100)
			})
		}
		local.end()
		refusing.end()
	}
}

// TestCountersFailover: when the primary is killed, the counters are those of the replica that takes its place.
func TestCountersFailover(t *testing.T) {
	servers := redistest.StartSentinel(t)
	c := countersAt(t, redis.Options{Addresses: []string{servers.Sentinel.Address}, PrimaryName: servers.Name})
	u := hourly(1000)
	for range 10 {
		recovers(t, c, u)
	}
	before := remaining(t, c, u)
	key := servers.Primary.Do("KEYS", "*")
	await(t, func() bool { return servers.Replica.Do("GET", key) == servers.Primary.Do("GET", key) })
	servers.Primary.Kill()
	for range 5 {
		_ = bounded(t, c, u, short)
	}
	servers.AwaitFailover()
	recovers(t, c, u)
	if after := remaining(t, c, u); after >= before || after < before-10 {
		t.Errorf("%d remained before the failover, %d after it", before, after)
	}
}
