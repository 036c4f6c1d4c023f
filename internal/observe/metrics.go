package observe

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/jotgate/jotgate/internal/gate"
)

const namespace = "jotgate"

// Metrics are the gateway's counters. The handles of APIs are resolved when a configuration is compiled.
type Metrics struct {
	registry *prometheus.Registry
	runtime  *prometheus.Registry // of Go and the process: it is read before all else, so that it does not count what reading the rest costs
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
		runtime:  prometheus.NewRegistry(),
		apis:     make(map[string]*APIMetrics),
		reasons:  make(map[gate.Reason]int),
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
	m.registry.MustRegister(apiCollector{m}, inFlight, m.reloads, m.reloadOK, m.reloadTime, m.generation, m.configurations, build)
	m.runtime.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics in the Prometheus formats.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{m.runtime, m.registry}, promhttp.HandlerOpts{Registry: m.registry})
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
