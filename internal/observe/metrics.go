package observe

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/jotgate/jotgate/internal/gate"
)

const namespace = "jotgate"

// reasonPassed is the reason label of requests that were forwarded.
const reasonPassed = "passed"

// Metrics are the gateway's counters. The handles of APIs are resolved when a configuration is compiled.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight atomic.Int64

	reloads        *prometheus.CounterVec
	reloadOK       prometheus.Gauge
	reloadTime     prometheus.Gauge
	generation     prometheus.Gauge
	configurations *prometheus.GaugeVec

	reasons map[gate.Reason]int // their places in counters

	mu   sync.Mutex
	apis map[string]*APIMetrics
}

// NewMetrics makes a registry with the gateway's, the process's and Go's metrics.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		apis:     make(map[string]*APIMetrics),
		reasons:  make(map[gate.Reason]int),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "requests_total",
			Help: "Finished requests by API, status code and reason (passed, or the code of the check that refused).",
		}, []string{"api", "code", "reason"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "request_duration_seconds",
			Help:    "Time from the request's header to the end of the response, by API.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"api"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "config_reloads_total", Help: "Attempts to take over a configuration, by result.",
		}, []string{"result"}),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_successful", Help: "1 if the last configuration was taken over, 0 if it was refused.",
		}),
		reloadTime: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_success_timestamp_seconds", Help: "When a configuration was last taken over.",
		}),
		generation: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_generation", Help: "How many configurations were taken over since the start.",
		}),
		configurations: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_info", Help: "1 for the hash of the configuration in use.",
		}, []string{"hash"}),
	}
	for i, r := range gate.Reasons() {
		m.reasons[r] = i
	}
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "requests_in_flight", Help: "Requests under way.",
	}, func() float64 { return float64(m.inFlight.Load()) })
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1 for the version that runs.",
	}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	m.registry.MustRegister(m.requests, m.seconds, inFlight, m.reloads, m.reloadOK, m.reloadTime, m.generation, m.configurations, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics in the Prometheus formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Reloaded records that the configuration with hash was taken over as generation at t.
func (m *Metrics) Reloaded(hash string, generation uint64, t time.Time) {
	m.reloads.WithLabelValues("success").Inc()
	m.reloadOK.Set(1)
	m.reloadTime.Set(float64(t.UnixNano()) / 1e9)
	m.generation.Set(float64(generation))
	m.configurations.Reset()
	m.configurations.WithLabelValues(hash).Set(1)
}

// ReloadFailed records that a configuration was refused.
func (m *Metrics) ReloadFailed() {
	m.reloads.WithLabelValues("failure").Inc()
	m.reloadOK.Set(0)
}

// APIMetrics are the counters of one API. A series begins to exist with the first request that it counts: an API has dozens of them, and there may be thousands of APIs.
// After that, a request only adds to numbers.
type APIMetrics struct {
	parent  *Metrics
	name    string
	seconds atomic.Pointer[prometheus.Observer]
	passed  [10]atomic.Pointer[counters] // by the hundreds of the status, and then by the rest of it
	refused atomic.Pointer[counters]     // by the reason's place in parent.reasons
}

// counters are made when they are first needed, all of them and then each.
type counters [100]atomic.Pointer[prometheus.Counter]

// at returns the counter i of the counters at p, which first makes if need be.
func at(p *atomic.Pointer[counters], i int, first func() prometheus.Counter) prometheus.Counter {
	all := p.Load()
	if all == nil {
		p.CompareAndSwap(nil, new(counters))
		all = p.Load()
	}
	if c := all[i].Load(); c != nil {
		return *c
	}
	c := first() // the same one for everybody who asks
	all[i].Store(&c)
	return c
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
	a.observe(d)
	if x.Denial != nil {
		i, known := a.parent.reasons[x.Denial.Reason]
		if !known {
			return
		}
		at(&a.refused, i, func() prometheus.Counter {
			return a.parent.requests.WithLabelValues(a.name, strconv.Itoa(x.Denial.Reason.Kind().Status()), string(x.Denial.Reason))
		}).Inc()
		return
	}
	if x.Status < 0 || x.Status >= len(a.passed)*len(counters{}) {
		return
	}
	at(&a.passed[x.Status/len(counters{})], x.Status%len(counters{}), func() prometheus.Counter {
		return a.parent.requests.WithLabelValues(a.name, strconv.Itoa(x.Status), reasonPassed)
	}).Inc()
}

func (a *APIMetrics) observe(d time.Duration) {
	seconds := a.seconds.Load()
	if seconds == nil {
		o := a.parent.seconds.WithLabelValues(a.name) // the same one for everybody who asks
		seconds = &o
		a.seconds.Store(seconds)
	}
	(*seconds).Observe(d.Seconds())
}
