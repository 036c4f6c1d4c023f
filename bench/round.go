package main

import (
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jotgate/jotgate/jose"
)

// sample is what one round has measured of a cell, by the names of the metrics below.
type sample map[string]float64

// Names of metrics. A rate is put before some of them: "5000/cpu".
const (
	metricCPU        = "cpu"        // µs a request, of the whole proxy
	metricUser       = "user"       // the share of it outside of the kernel
	metricThroughput = "throughput" // requests a second
	metricP50        = "p50"        // µs
	metricP99        = "p99"        // µs
	metricAllocs     = "allocs"     // allocations a request
	metricIdle       = "pss-idle"   // bytes
	metricLoaded     = "pss-loaded" // bytes
	metricConnection = "connection" // bytes for each idle connection
	metricFirst      = "first"      // ms from exec to the first 200
	metricForeign    = "foreign"    // processors' share that others used meanwhile
	metricHeld       = "rate-held"  // share of the open loop's rate that was reached
)

// sizes are how much of everything is measured.
type sizes struct {
	short       bool
	spin        bool // see load
	rounds      int
	requests    int // of a closed loop
	warmup      int
	seconds     float64 // of an open loop
	large       int     // requests with large bodies
	connections int
	unseen      int           // tokens that are sent once, which is also the number of requests there
	idle        int           // idle connections
	settle      time.Duration // before memory is read
	calm        time.Duration // between reading jotgate's counters and reading its CPU clock
	poolLimit   int           // of token pools and APIs, in short mode
	wrkSeconds  int
	crowd       int // hostile clients
	tries       int // loads with hostile clients, and as many without, of a round
}

func fullSizes(rounds, requests, unseen int) sizes {
	return sizes{rounds: rounds, requests: requests, warmup: 2000, seconds: 2, large: max(requests/10, 1), connections: 64, unseen: unseen, idle: idleLimit(9500), settle: 500 * time.Millisecond, calm: 300 * time.Millisecond, poolLimit: math.MaxInt, wrkSeconds: 3, crowd: min(4000, idleLimit(9500)/2), tries: 5}
}

func shortSizes() sizes {
	return sizes{short: true, rounds: 1, requests: 300, warmup: 64, seconds: 0.05, large: 100, connections: 16, unseen: 300, idle: idleLimit(200), settle: 50 * time.Millisecond, calm: 20 * time.Millisecond, poolLimit: 100, wrkSeconds: 1, crowd: 48, tries: 1}
}

// bench is everything that the rounds share.
type bench struct {
	folder   string
	programs map[string]string // by kind of subject, and "wrk"
	sizes    sizes
	cpus     int
	servers  servers
	upstream *process
	address  netip.AddrPort // of the upstream
	counter  counter
	keys     map[jose.Algorithm]*issuerKey
	cert     *certificate
}

// run is one subject while it is measured in one round.
type run struct {
	*bench
	cell    cell
	spec    spec
	server  *process
	probe   *probe
	traffic traffic
	output  *os.File
	sample  sample
}

// measure starts the subject of a cell anew, checks that it is honest, and measures it.
func (b *bench) measure(c cell) (sample, error) {
	r := &run{bench: b, cell: c, sample: sample{}}
	folder, err := os.MkdirTemp(b.folder, "run-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }() // the folder around it goes too, and there it is checked
	if err := r.prepare(folder); err != nil {
		return nil, err
	}
	defer func() { _ = r.output.Close() }()
	if err := r.start(); err != nil {
		return nil, err
	}
	defer func() { r.server.stop() }() // the last one, if there are several
	if err := r.refusals(); err != nil {
		return nil, fmt.Errorf("checking refusals: %w", err)
	}
	s := c.scenario
	switch {
	case s.Memory:
		err = r.memory()
	case s.Hostile:
		err = r.hostile()
	case s.Wrk:
		err = r.wrk()
	default:
		err = r.loads()
	}
	if err == nil {
		err = r.server.running()
	}
	if err == nil && s.Full {
		err = r.accessLines()
	}
	return r.sample, err
}

// prepare fills in the spec and the traffic.
func (r *run) prepare(folder string) error {
	s := r.cell.scenario
	s.APIs = min(s.APIs, r.sizes.poolLimit)
	r.cell.scenario = s
	r.spec = spec{folder: folder, upstream: r.address, scenario: s, key: r.keys[s.Algorithm], cert: r.cert, cpus: r.cpus}
	var err error
	if r.spec.address, err = freeAddress(); err != nil {
		return err
	}
	if r.spec.admin, err = freeAddress(); err != nil {
		return err
	}
	if r.output, err = os.Create(filepath.Join(folder, "stdout")); err != nil {
		return err
	}
	r.traffic = traffic{host: serverName, paths: []string{"/tickets/42"}, body: len(smallBody())}
	if s.Large {
		r.traffic.paths, r.traffic.body = []string{"/large"}, largeSize
	}
	if s.APIs > 0 {
		r.traffic.paths = nil
		for i := range s.APIs {
			r.traffic.paths = append(r.traffic.paths, apiPath(i))
		}
	}
	r.probe = newProbe(r.spec.address, nil)
	if s.TLS {
		r.probe = newProbe(r.spec.address, r.cert.client)
	}
	return nil
}

// command returns how the subject is started, after writing its configuration.
func (r *run) command() (program string, args []string, err error) {
	kind := r.cell.subject.Kind
	program = r.programs[kind]
	file := filepath.Join(r.spec.folder, "config")
	var config []byte
	switch kind {
	case kindNginx:
		config, args = []byte(nginxConfig(&r.spec)), []string{"-p", r.spec.folder, "-e", "stderr", "-c", file}
	case kindHAProxy:
		config, args = []byte(haproxyConfig(&r.spec)), []string{"-db", "-f", file}
	case kindReverseProxy:
		return program, []string{r.spec.address.String(), "http://" + r.address.String()}, nil
	case kindJotgate:
		args = []string{"serve", "--config", file, "--watch=false"}
		config, err = jotgateConfig(&r.spec, r.cell.subject.Engine)
	default:
		err = fmt.Errorf("no subject of the kind %q", kind)
	}
	if err != nil {
		return "", nil, err
	}
	return program, args, os.WriteFile(file, config, 0o600)
}

func (r *run) start() error {
	program, args, err := r.command()
	if err != nil {
		return err
	}
	token := ""
	if r.spec.key != nil {
		pool, err := r.spec.key.pool(1)
		if err != nil {
			return err
		}
		token = pool[0]
	}
	var env []string
	if r.cell.scenario.One {
		env = []string{"GOMAXPROCS=1"}
	}
	if r.server, err = r.servers.start(r.output, env, program, args...); err != nil {
		return err
	}
	first, err := r.probe.untilGood(r.server, serverName, r.traffic.paths[0], token, 30*time.Second)
	if err != nil {
		r.server.stop()
		return err
	}
	r.sample[metricFirst] = float64(first.Microseconds()) / 1000
	return nil
}

// refusals is the honesty check before every run with tokens: bad ones are refused and do not reach the upstream.
func (r *run) refusals() error {
	if r.spec.key == nil {
		return nil
	}
	bad, err := r.spec.key.bad()
	if err != nil {
		return err
	}
	before, err := r.counter.read()
	if err != nil {
		return err
	}
	for _, b := range bad {
		status, marked, _, err := r.probe.ask(serverName, r.traffic.paths[0], b.token)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		if !slices.Contains(b.status, status) || marked {
			return fmt.Errorf("%s: the status is %d, from the upstream: %t", b.name, status, marked)
		}
	}
	return r.counter.moved(before, 0)
}

// loads measures CPU time, throughput and latency: first at saturation, then at fixed rates.
func (r *run) loads() error {
	s := r.cell.scenario
	n := r.sizes.requests
	switch {
	case s.Large:
		n = r.sizes.large
	case s.Tokens == tokensUnseen:
		n = r.sizes.unseen
	}
	if err := r.warm(); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	if s.Tokens == tokensUnseen {
		var err error
		if r.traffic.tokens, err = r.spec.key.fresh(n); err != nil {
			return err
		}
	}
	if err := r.load("", n, 0); err != nil {
		return fmt.Errorf("at saturation: %w", err)
	}
	for _, rate := range s.Rates {
		if err := r.load(fmt.Sprintf("%d/", rate), max(int(float64(rate)*r.sizes.seconds), 100), rate); err != nil {
			return fmt.Errorf("at %d requests a second: %w", rate, err)
		}
	}
	return nil
}

// warm sends every token and every path once at least, and leaves the tokens of the scenario in the traffic.
func (r *run) warm() error {
	s := r.cell.scenario
	n := max(r.sizes.warmup, s.APIs)
	if r.spec.key != nil {
		size := 1
		if s.Tokens > 0 {
			size = min(s.Tokens, r.sizes.poolLimit)
		}
		var err error
		if r.traffic.tokens, err = r.spec.key.pool(size); err != nil {
			return err
		}
		n = max(n, size)
	}
	_, err := r.drive(n, 0)
	return err
}

func (r *run) drive(n, rate int) (outcome, error) {
	l := load{address: r.spec.address, connections: r.sizes.connections, requests: n, rate: rate, spin: r.sizes.spin, traffic: &r.traffic}
	if r.cell.scenario.TLS {
		return generateTLS(l, r.cert.client)
	}
	return generate(l)
}

// load is one measured load, with the honesty checks around it.
func (r *run) load(prefix string, n, rate int) error {
	before, err := r.snapshot()
	if err != nil {
		return err
	}
	out, err := r.drive(n, rate)
	if err != nil {
		return err
	}
	if err := r.account(prefix, n, before); err != nil {
		return err
	}
	r.sample[prefix+metricThroughput] = float64(n) / out.elapsed.Seconds()
	r.sample[prefix+metricP50] = float64(percentile(out.latencies, 0.50)) / 1e3
	r.sample[prefix+metricP99] = float64(percentile(out.latencies, 0.99)) / 1e3
	if rate > 0 {
		r.sample[prefix+metricHeld] = min(float64(n)/out.elapsed.Seconds()/float64(rate), 1)
	}
	return nil
}

// accessLines ends the subject and checks that its access log has a line for each answer.
func (r *run) accessLines() error {
	r.server.stop()
	text, err := os.ReadFile(r.output.Name())
	if err != nil {
		return err
	}
	if lines := strings.Count(string(text), "\n"); lines < r.sizes.requests {
		return fmt.Errorf("the access log has %d lines for more than %d requests", lines, r.sizes.requests)
	}
	return nil
}
