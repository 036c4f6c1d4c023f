package observe

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jotgate/jotgate/internal/gate"
)

// reasonPassed is the reason label of requests that were forwarded.
const reasonPassed = "passed"

// limits are the upper ends of the buckets of durations; the last bucket has none.
var limits = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

var (
	descRequests = desc("requests_total", "Finished requests by API, status code and reason (passed, or the code of the check that refused).", "api", "code", "reason")
	descDryRun   = desc("dry_run_refusals_total", "Requests that would have been refused by a limit, policy or rule, if it were not in dry-run, by API and reason.", "api", "reason")
	descDuration = desc("request_duration_seconds", "Time from the request's header to the end of the response, by API.", "api")
)

// APIMetrics are the counters of one API. A series begins to exist with the first request that it counts: an API has dozens of them, and there may be thousands of APIs.
// They lie close together for the same reason: where requests are spread over many APIs, the cost of counting one is that of the memory that it touches.
type APIMetrics struct {
	parent  *Metrics
	name    string
	nanos   atomic.Int64 // of all requests
	buckets [len(limits) + 1]atomic.Uint64
	passed  [10]atomic.Pointer[counters] // by the hundreds of the status, and then by the rest of it
	refused atomic.Pointer[counters]     // by the reason's place in parent.reasons
	dry     atomic.Pointer[counters]     // so, too: those that would have been refused
}

// counters are made when one of them is first needed.
type counters [100]atomic.Uint64

// at returns the counter i of the counters at p.
func at(p *atomic.Pointer[counters], i int) *atomic.Uint64 {
	all := p.Load()
	if all == nil {
		p.CompareAndSwap(nil, new(counters))
		all = p.Load()
	}
	return &all[i]
}

// API returns the counters of the API called name; "" is for requests that match none.
func (m *Metrics) API(name string) *APIMetrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.apis[name]; a != nil {
		return a
	}
	a := &APIMetrics{parent: m, name: name}
	m.apis[name] = a
	return a
}

// Begin counts a request under way; Record ends it, or Abandon.
func (a *APIMetrics) Begin() { a.parent.inFlight.Add(1) }

// Abandon takes Begin back, for a request that is counted elsewhere.
func (a *APIMetrics) Abandon() { a.parent.inFlight.Add(-1) }

// Record counts the finished exchange x, which took d.
func (a *APIMetrics) Record(x *gate.Exchange, d time.Duration) {
	a.parent.inFlight.Add(-1)
	i := 0
	for i < len(limits) && d > limits[i] {
		i++
	}
	a.buckets[i].Add(1)
	a.nanos.Add(int64(d))
	if x.DryRun != "" {
		if i, known := a.parent.reasons[x.DryRun]; known {
			at(&a.dry, i).Add(1)
		}
	}
	if x.Denial != nil {
		if i, known := a.parent.reasons[x.Denial.Reason]; known {
			at(&a.refused, i).Add(1)
		}
		return
	}
	if x.Status >= 0 && x.Status < len(a.passed)*len(counters{}) {
		at(&a.passed[x.Status/len(counters{})], x.Status%len(counters{})).Add(1)
	}
}

// apiCollector collects the counters of all APIs.
type apiCollector struct{ metrics *Metrics }

// Describe says what the collector may send.
func (apiCollector) Describe(out chan<- *prometheus.Desc) {
	out <- descRequests
	out <- descDryRun
	out <- descDuration
}

// Collect sends the series that exist.
func (c apiCollector) Collect(out chan<- prometheus.Metric) {
	c.metrics.mu.Lock()
	all := make([]*APIMetrics, 0, len(c.metrics.apis))
	for _, a := range c.metrics.apis {
		all = append(all, a)
	}
	c.metrics.mu.Unlock()
	reasons := gate.Reasons()
	for _, a := range all {
		a.collectDuration(out)
		for hundreds := range a.passed {
			if passed := a.passed[hundreds].Load(); passed != nil {
				for rest := range passed {
					a.collectRequests(out, &passed[rest], hundreds*len(passed)+rest, reasonPassed)
				}
			}
		}
		if refused := a.refused.Load(); refused != nil {
			for i, reason := range reasons {
				a.collectRequests(out, &refused[i], reason.Kind().Status(), string(reason))
			}
		}
		if dry := a.dry.Load(); dry != nil {
			for i, reason := range reasons {
				if n := dry[i].Load(); n > 0 {
					out <- prometheus.MustNewConstMetric(descDryRun, prometheus.CounterValue, float64(n), a.name, string(reason))
				}
			}
		}
	}
}

func (a *APIMetrics) collectRequests(out chan<- prometheus.Metric, n *atomic.Uint64, status int, reason string) {
	if n := n.Load(); n > 0 {
		out <- prometheus.MustNewConstMetric(descRequests, prometheus.CounterValue, float64(n), a.name, strconv.Itoa(status), reason)
	}
}

func (a *APIMetrics) collectDuration(out chan<- prometheus.Metric) {
	var each [len(limits) + 1]uint64
	var count uint64
	for i := range each {
		each[i] = a.buckets[i].Load()
		count += each[i]
	}
	if count == 0 {
		return
	}
	upTo, sum := make(map[float64]uint64, len(limits)), uint64(0)
	for i, limit := range limits {
		sum += each[i]
		upTo[limit.Seconds()] = sum
	}
	out <- prometheus.MustNewConstHistogram(descDuration, count, time.Duration(a.nanos.Load()).Seconds(), upTo, a.name)
}
