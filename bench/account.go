package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// snapshot is the state of all counters at one moment.
type snapshot struct {
	count    int   // of the upstream
	subject  usage // CPU time
	upstream usage
	self     time.Duration
	machine  uint64 // clock ticks
	time     time.Time
	own      gatewayCounts
	scrape   float64 // allocations that reading own costs
}

// gatewayCounts are what jotgate says about itself.
type gatewayCounts struct{ allocs, hits, misses float64 }

// snapshot reads all counters, the CPU time of the subject last.
func (r *run) snapshot() (snapshot, error) {
	var s snapshot
	var err error
	if s.own, s.scrape, err = r.gatewayState(); err != nil {
		return s, err
	}
	if r.cell.subject.Kind == kindJotgate {
		time.Sleep(r.sizes.calm) // what reading its counters leaves to clean up is not the cost of a request
	}
	if s.count, err = r.counter.read(); err != nil {
		return s, err
	}
	if s.machine, err = machineBusy(); err != nil {
		return s, err
	}
	s.time = time.Now()
	if s.self, err = cpuClock(os.Getpid()); err != nil {
		return s, err
	}
	if s.upstream, err = usageOf(r.upstream.pid()); err != nil {
		return s, err
	}
	s.subject, err = usageOf(r.server.pid())
	return s, err
}

// gatewayState reads jotgate's counters twice, so that what the reading itself allocates is known: it counts the allocations before it reads anything else, so
// between two readings lies exactly one. Of other subjects it is zero.
func (r *run) gatewayState() (gatewayCounts, float64, error) {
	if r.cell.subject.Kind != kindJotgate {
		return gatewayCounts{}, 0, nil
	}
	first, err := r.gatewayCounts()
	if err != nil {
		return gatewayCounts{}, 0, err
	}
	second, err := r.gatewayCounts()
	return second, second.allocs - first.allocs, err
}

func (r *run) gatewayCounts() (gatewayCounts, error) {
	status, _, body, err := newProbe(r.spec.admin, nil).ask("admin", "/metrics", "")
	if err != nil {
		return gatewayCounts{}, fmt.Errorf("reading the metrics: %w", err)
	}
	if status != 200 {
		return gatewayCounts{}, fmt.Errorf("reading the metrics: status %d", status)
	}
	var c gatewayCounts
	err = errors.Join(
		metricValue(body, "go_memstats_mallocs_total", &c.allocs),
		metricValue(body, "jotgate_token_cache_hits_total", &c.hits),
		metricValue(body, "jotgate_token_cache_misses_total", &c.misses),
	)
	return c, err
}

// metricValue finds the value of a metric without labels in the text format of Prometheus.
func metricValue(text []byte, name string, value *float64) error {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			v, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				return fmt.Errorf("reading the metric %s: %w", name, err)
			}
			*value = v
			return nil
		}
	}
	return errors.Join(lines.Err(), fmt.Errorf("the metric %s is missing", name))
}

// account reads the counters again, checks that exactly n requests went through, and takes down what they cost.
func (r *run) account(prefix string, n int, before snapshot) error {
	return r.accountWithin(prefix, n, 0, before)
}

// accountWithin is account for a generator that leaves up to extra requests unfinished at its end: these reached the upstream and are not counted in n.
func (r *run) accountWithin(prefix string, n, extra int, before snapshot) error {
	subject, err := usageOf(r.server.pid())
	if err != nil {
		return err
	}
	used, err := subject.since(before.subject)
	if err != nil {
		return err
	}
	upstream, err := usageOf(r.upstream.pid())
	if err != nil {
		return err
	}
	self, err := cpuClock(os.Getpid())
	if err != nil {
		return err
	}
	machine, err := machineBusy()
	if err != nil {
		return err
	}
	elapsed := time.Since(before.time)
	count, err := r.counter.read()
	if err != nil {
		return err
	}
	if got := count - before.count - 1; got < n || got > n+extra { // the question counts too
		return fmt.Errorf("the upstream has answered %d requests, not %d", got, n)
	}
	r.sample[prefix+metricCPU] = float64(used.total.Nanoseconds()) / 1e3 / float64(n)
	if share, ok := used.userShare(); ok {
		r.sample[prefix+metricUser] = share
	}
	known := used.total + (upstream.total - before.upstream.total) + (self - before.self)
	foreign := time.Duration(machine-before.machine)*tick - known
	r.sample[prefix+metricForeign] = max(foreign.Seconds()/elapsed.Seconds()/float64(r.cpus), 0)
	return r.accountGateway(prefix, n, before)
}

// accountGateway checks that tokens that count as seen were found in jotgate's cache, and the others were not, and takes down the allocations.
func (r *run) accountGateway(prefix string, n int, before snapshot) error {
	s := r.cell.scenario
	if r.cell.subject.Kind != kindJotgate || s.Wrk {
		return nil
	}
	after, err := r.gatewayCounts()
	if err != nil {
		return err
	}
	if before.scrape <= float64(n) { // readings differ by about one percent: where one allocates as much as there are requests or more, the difference says nothing
		r.sample[prefix+metricAllocs] = max(after.allocs-before.own.allocs-before.scrape, 0) / float64(n)
	}
	if r.spec.key == nil || s.Memory {
		return nil
	}
	hits, misses := int(after.hits-before.own.hits), int(after.misses-before.own.misses)
	wantHits := n
	if s.Tokens == tokensUnseen {
		wantHits = 0
	}
	if hits != wantHits || misses != n-wantHits {
		return fmt.Errorf("of %d tokens %d were in the cache and %d were not, instead of %d and %d", n, hits, misses, wantHits, n-wantHits)
	}
	return nil
}
