package observe_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/observe"
)

// Thousands of APIs must not make a scrape that no scraper waits for, nor fill the memory.
func TestManyAPIs(t *testing.T) {
	const n = 10_000
	m := observe.NewMetrics("v0")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		m.API(fmt.Sprintf("api%d", i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > 1024 {
		t.Errorf("an API without requests takes %d bytes", each)
	}
	if got := strings.Count(scrape(t, m), `api="api`); got != 0 {
		t.Errorf("%d series of APIs without requests", got)
	}
	api := m.API("api7")
	api.Begin()
	api.Record(exchange(), time.Millisecond)
	if got := strings.Count(scrape(t, m), `{api="api7",code="`); got != 1 {
		t.Errorf("%d series of counters after one request", got)
	}
}

// Every reason has its counter, and a reason that there is not does no harm.
func TestEveryReasonIsCounted(t *testing.T) {
	m := observe.NewMetrics("v0")
	api := m.API("tickets")
	for _, reason := range append(gate.Reasons(), "unheard_of") {
		x := exchange()
		x.Denial = gate.Deny(reason, nil)
		api.Begin()
		api.Record(x, time.Millisecond)
	}
	for _, status := range []int{-1, 0, 999, 1000} {
		x := exchange()
		x.Status = status
		api.Begin()
		api.Record(x, time.Millisecond)
	}
	text := scrape(t, m)
	for _, reason := range gate.Reasons() {
		want := fmt.Sprintf(`jotgate_requests_total{api="tickets",code="%d",reason="%s"} 1`, reason.Kind().Status(), reason)
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

// The first requests of an API may come at once; none is lost.
func TestFirstRequestsTogether(t *testing.T) {
	const n = 50
	m := observe.NewMetrics("v0")
	api := m.API("tickets")
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			api.Begin()
			api.Record(exchange(), time.Millisecond)
			x := exchange()
			x.Denial = gate.Deny(gate.ReasonExpired, nil)
			api.Begin()
			api.Record(x, time.Millisecond)
		})
	}
	all.Wait()
	text := scrape(t, m)
	for _, want := range []string{
		`jotgate_requests_total{api="tickets",code="200",reason="passed"} 50`,
		`jotgate_requests_total{api="tickets",code="401",reason="token_expired"} 50`,
		`jotgate_request_duration_seconds_count{api="tickets"} 100`,
		`jotgate_requests_in_flight 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	api := observe.NewMetrics("v0").API("tickets")
	passed, refused := exchange(), exchange()
	refused.Denial = gate.Deny(gate.ReasonExpired, nil)
	record := func() {
		for _, x := range []*gate.Exchange{passed, refused} {
			api.Begin()
			api.Record(x, time.Millisecond)
		}
	}
	record()
	if n := testing.AllocsPerRun(100, record); n > 0 {
		t.Errorf("%v allocations for two requests", n)
	}
}

// What reading the metrics of many APIs costs must not show as noise in the count of allocations: it is read before the others.
func TestAllocationsAreReadFirst(t *testing.T) {
	m := observe.NewMetrics("v0")
	for i := range 2000 {
		api := m.API(fmt.Sprintf("api%d", i))
		api.Begin()
		api.Record(exchange(), time.Millisecond)
	}
	allocations := func() (n float64) {
		for line := range strings.Lines(scrape(t, m)) {
			if text, ok := strings.CutPrefix(line, "go_memstats_mallocs_total "); ok {
				if _, err := fmt.Sscan(text, &n); err != nil {
					t.Fatal(err)
				}
			}
		}
		return n
	}
	allocations()
	last := allocations()
	var costs []float64
	for range 8 {
		next := allocations()
		costs, last = append(costs, next-last), next
	}
	if least, most := slices.Min(costs), slices.Max(costs); least < 2000 || most-least > least/20 {
		t.Errorf("the allocations between readings differ: %v", costs)
	}
}
