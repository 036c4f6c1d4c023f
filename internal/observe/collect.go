package observe

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/jotgate/jotgate/internal/gate"
)

// Sources are the states that are asked for at each scrape. Every function must be set.
type Sources struct {
	Keys          func() []gate.KeySourceStatus
	Upstreams     func() []gate.UpstreamStatus
	Tokens        func() gate.TokenCacheStatus
	AccessDropped func() uint64
	Limits        func() gate.LimitStatus
	Store         func() gate.StoreStatus
	// Usage are the usage records that were lost.
	Usage func() (overload, failed uint64)
	// Revocations and APIKeys are how many are known.
	Revocations, APIKeys func() int
	// Management are the requests to change something through the management API.
	Management func() (done, refused uint64)
}

// Collect adds what s says to the metrics.
func (m *Metrics) Collect(s Sources) { m.registry.MustRegister(stateCollector{s}) }

type stateCollector struct{ sources Sources }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

var (
	descReady         = desc("key_source_ready", "1 if the provider's keys are known.", "provider")
	descKeys          = desc("key_source_keys", "Keys in use, by provider.", "provider")
	descGeneration    = desc("key_source_generation", "How often the provider's keys have changed.", "provider")
	descUnknownFetch  = desc("key_source_unknown_key_fetches_total", "Fetches caused by tokens with an unknown kid.", "provider")
	descUnknownRefuse = desc("key_source_unknown_key_refused_total", "Tokens refused for an unknown kid.", "provider")
	descFetches       = desc("key_source_fetches_total", "Fetches of a document with keys.", "provider", "location")
	descFailures      = desc("key_source_fetch_failures_total", "Fetches of a document with keys that failed.", "provider", "location")
	descSuccess       = desc("key_source_last_success_timestamp_seconds", "When a document with keys was last fetched or read (its age is now minus this).", "provider", "location")
	descChange        = desc("key_source_last_change_timestamp_seconds", "When a document with keys last changed.", "provider", "location")
	descStale         = desc("key_source_stale", "1 if the keys in use should have been renewed already.", "provider", "location")
	descTokens        = desc("key_tokens_total", "Accepted tokens by the key that verified them.", "provider", "kid", "kty")
	descHealthy       = desc("upstream_server_healthy", "1 if the server gets requests.", "upstream", "server")
	descServerReqs    = desc("upstream_server_requests_total", "Requests sent to a server.", "upstream", "server")
	descServerFails   = desc("upstream_server_failures_total", "Requests that a server failed to answer.", "upstream", "server")
	descServerActive  = desc("upstream_server_requests_in_flight", "Requests that a server is working on.", "upstream", "server")
	descTokenHits     = desc("token_cache_hits_total", "Tokens that were found in the cache of verified tokens.")
	descTokenMisses   = desc("token_cache_misses_total", "Tokens that were looked for in the cache and had to be verified.")
	descTokenEvicted  = desc("token_cache_evictions_total", "Tokens that were still good and left the cache to make room for others.")
	descTokenEntries  = desc("token_cache_entries", "Tokens in the cache.")
	descTokenBytes    = desc("token_cache_bytes", "Memory taken by the cache, its tables included.")
	descTokenMaxBytes = desc("token_cache_max_bytes", "Memory that the cache may take; 0 if there is none.")
	descCounters      = desc("limit_counters", "Counters of limits in the memory of this process.")
	descHeld          = desc("limit_held_requests", "Requests that throttles hold now.")
	descSharedOpen    = desc("limit_store_open", "1 while limits are judged without the shared store, because it could not be asked.")
	descSharedFails   = desc("limit_store_failures_total", "Questions about limits that the shared store has not answered in time.")
	descFallbacks     = desc("limit_store_fallbacks_total", "Requests whose limits were judged without the shared store, as onStoreFailure says.")
	descStoreHealthy  = desc("store_healthy", "1 if the store answers.", "driver")
	descUsageDropped  = desc("usage_dropped_total", "Usage records that were lost: by overload, or because a sink or the store failed.", "cause")
	descRevocations   = desc("revocations", "Revocations that are known.")
	descAPIKeys       = desc("api_keys", "API keys that are known.")
	descManagement    = desc("management_changes_total", "Requests to change something through the management API: done, or refused and failed.", "result")
	descDropped       = desc("access_log_dropped_total", "Access lines lost because their writer was too slow or failed.")
)

// Describe sends nothing: the set of series depends on the configuration, so the collector is unchecked.
func (stateCollector) Describe(chan<- *prometheus.Desc) {}

// Collect asks the sources.
func (c stateCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	seen := make(map[string]bool) // two configurations may overlap for a moment; a series must appear once
	for _, s := range c.sources.Keys() {
		if seen[s.Provider] {
			continue
		}
		seen[s.Provider] = true
		gauge(descReady, flag(s.Ready), s.Provider)
		gauge(descKeys, float64(len(s.Keys)), s.Provider)
		counter(descGeneration, s.Generation, s.Provider)
		counter(descUnknownFetch, s.UnknownKeyFetches, s.Provider)
		counter(descUnknownRefuse, s.UnknownKeyRefused, s.Provider)
		collectParts(s, gauge, counter)
		tokens := make(map[[2]string]uint64)
		for _, k := range s.Keys {
			tokens[[2]string{k.KeyID, k.Type}] += k.Tokens
		}
		for k, n := range tokens {
			counter(descTokens, n, s.Provider, k[0], k[1])
		}
	}
	seen = make(map[string]bool)
	for _, u := range c.sources.Upstreams() {
		for _, s := range u.Servers {
			if seen[u.Upstream+" "+s.URL] {
				continue
			}
			seen[u.Upstream+" "+s.URL] = true
			gauge(descHealthy, flag(s.Healthy), u.Upstream, s.URL)
			counter(descServerReqs, s.Requests, u.Upstream, s.URL)
			counter(descServerFails, s.Failures, u.Upstream, s.URL)
			gauge(descServerActive, float64(s.Active), u.Upstream, s.URL)
		}
	}
	tokens := c.sources.Tokens()
	counter(descTokenHits, tokens.Hits)
	counter(descTokenMisses, tokens.Misses)
	counter(descTokenEvicted, tokens.Evictions)
	gauge(descTokenEntries, float64(tokens.Entries))
	gauge(descTokenBytes, float64(tokens.Bytes))
	gauge(descTokenMaxBytes, float64(tokens.MaxBytes))
	counter(descDropped, c.sources.AccessDropped())
	limits := c.sources.Limits()
	gauge(descCounters, float64(limits.Counters))
	gauge(descHeld, float64(limits.Held))
	gauge(descSharedOpen, flag(limits.StoreOpen))
	counter(descSharedFails, limits.StoreFailures)
	counter(descFallbacks, limits.StoreFallbacks)
	store := c.sources.Store()
	gauge(descStoreHealthy, flag(store.Healthy), store.Driver)
	overload, failed := c.sources.Usage()
	counter(descUsageDropped, overload, "overload")
	counter(descUsageDropped, failed, "failure")
	gauge(descRevocations, float64(c.sources.Revocations()))
	gauge(descAPIKeys, float64(c.sources.APIKeys()))
	done, refused := c.sources.Management()
	counter(descManagement, done, "done")
	counter(descManagement, refused, "refused")
}

func collectParts(s gate.KeySourceStatus, gauge func(*prometheus.Desc, float64, ...string), counter func(*prometheus.Desc, uint64, ...string)) {
	seen := make(map[string]bool)
	for _, p := range s.Parts {
		if seen[p.Location] {
			continue
		}
		seen[p.Location] = true
		counter(descFetches, p.Fetches, s.Provider, p.Location)
		counter(descFailures, p.Failures, s.Provider, p.Location)
		gauge(descStale, flag(p.Stale), s.Provider, p.Location)
		if !p.LastSuccess.IsZero() {
			gauge(descSuccess, float64(p.LastSuccess.Unix()), s.Provider, p.Location)
		}
		if !p.LastChange.IsZero() {
			gauge(descChange, float64(p.LastChange.Unix()), s.Provider, p.Location)
		}
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
