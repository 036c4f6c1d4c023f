package limits_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/store/redis/redistest"
	"github.com/jotgate/jotgate/test/program"
)

func startUpstream(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	return server.URL
}

// mode is an API whose limit does something of its own while Redis is away.
type mode struct {
	path                string
	passed, unavailable atomic.Int64
}

// load are callers who call all the time.
type load struct {
	modes [3]mode // local, allow, deny
	stop  chan struct{}
	all   sync.WaitGroup
}

// begin starts callers of every mode. None of their requests may take longer than Redis is waited for, and all must be answered as their mode says.
func begin(t *testing.T, w *world, gateways []*program.Gateway) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	for i, path := range []string{"/local", "/allow", "/deny"} {
		m := &l.modes[i]
		m.path = path
		for k := range 2 * len(gateways) {
			l.all.Go(func() {
				for {
					select {
					case <-l.stop:
						return
					case <-time.After(2 * time.Millisecond):
					}
					begun := time.Now()
					status, reason, _ := w.ask(t, gateways[k%len(gateways)], m.path, "")
					if took := time.Since(begun); took > storeTimeout+slack {
						t.Errorf("%s took %v", m.path, took)
					}
					switch {
					case status == http.StatusOK:
						m.passed.Add(1)
					case status == http.StatusServiceUnavailable && reason == "store_unavailable" && m.path == "/deny":
						m.unavailable.Add(1)
					default:
						t.Errorf("%s: %d %s", m.path, status, reason)
						return
					}
				}
			})
		}
	}
	return l
}

func (l *load) end() {
	close(l.stop)
	l.all.Wait()
}

// passes waits until n more requests of every mode that must pass have passed: of all if Redis is there, otherwise of those that do without it.
func (l *load) passes(t *testing.T, n int64, there bool) {
	t.Helper()
	modes := l.modes[:2]
	if there {
		modes = l.modes[:]
	}
	for i := range modes {
		from := l.modes[i].passed.Load()
		await(t, l.modes[i].path+" does not pass", func() bool { return l.modes[i].passed.Load() >= from+n })
	}
}

// refused waits until n more requests were refused because Redis is away.
func (l *load) refused(t *testing.T, n int64) {
	t.Helper()
	deny := &l.modes[2]
	from := deny.unavailable.Load()
	await(t, deny.path+" is not refused", func() bool { return deny.unavailable.Load() >= from+n })
}

func await(t *testing.T, complaint string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(program.Patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if t.Failed() {
			t.FailNow()
		}
		if time.Now().After(end) {
			t.Fatal(complaint)
		}
	}
}

// outages takes Redis away from two gateways under load, in every way that there is. Requests are answered in time and as onStoreFailure says, and everything is counted together again afterwards, without anybody having done anything.
func outages(t *testing.T, w *world) {
	t.Helper()
	server := redistest.Start(t)
	const much = "rate: {limit: 100000000, period: 1h}"
	apis := api("local", much+", onStoreFailure: local") + api("allow", much+", onStoreFailure: allow") + api("deny", much+", onStoreFailure: deny")
	reach := fmt.Sprintf("addresses: [%q]", server.Address)
	for _, settings := range []string{"exact: true", "exact: false"} {
		t.Run(settings, func(t *testing.T) {
			gateways := []*program.Gateway{w.gateway(t, reach, impatient+settings, apis), w.gateway(t, reach, impatient+settings, apis)}
			l := begin(t, w, gateways)
			defer l.end()
			l.passes(t, 20, true)
			for _, trouble := range []struct {
				name       string
				begin, end func()
			}{
				{"killed", server.Kill, server.Restart},
				{"stopped", server.Stop, server.Continue},
				{"busy", func() { server.Freeze(700 * time.Millisecond) }, func() {}},
				{"full", func() { server.Do("CONFIG", "SET", "maxmemory", "1") }, func() { server.Do("CONFIG", "SET", "maxmemory", "0") }},
			} {
				if settings != "exact: true" && trouble.name != "killed" {
					continue // what was taken ahead hides short outages
				}
				trouble.begin()
				if trouble.name != "busy" { // it ends by itself
					l.refused(t, 5)
				}
				l.passes(t, 20, false)
				trouble.end()
				l.passes(t, 20, true)
				if t.Failed() {
					t.Fatalf("while Redis was %s", trouble.name)
				}
			}
			server.Do("SCRIPT", "FLUSH")
			l.passes(t, 20, true)
		})
	}
}
