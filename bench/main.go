// Command bench measures jotgate beside HAProxy, nginx and Go's reverse proxy on one machine, and writes what it has found as tables and charts.
// docs/benchmarks/README.md says how, and how to read it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/jotgate/jotgate/jose"
)

// options are the command line.
type options struct {
	only     *regexp.Regexp
	rounds   int
	requests int
	unseen   int
	short    bool
	spin     bool
	out      string
	jotgate  string
	engines  []string
	list     bool
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("run", "", "measure only the cases whose name (subject/case) matches this `regexp`")
	flags.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	flags.IntVar(&o.requests, "requests", 30_000, "requests of each closed loop")
	flags.IntVar(&o.unseen, "unseen", 100_000, "tokens, and so requests, of the cases that send each token once")
	flags.BoolVar(&o.short, "short", false, "a few hundred requests for each case, only to see that everything works")
	flags.BoolVar(&o.spin, "spin", false, "wait busily between the requests of open loops, so that the processors are never idle")
	flags.StringVar(&o.out, "out", "", "`folder` for results.md and the charts; empty: only print the table")
	flags.StringVar(&o.jotgate, "jotgate", "", "the jotgate `program` to measure; empty: build the one of this repository")
	engines := flags.String("engines", "jotgate,net/http", "values of listeners[].engine to measure, as far as the program knows them")
	flags.BoolVar(&o.list, "list", false, "print the names of the cases")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if o.rounds < 1 || o.requests < 1 || o.unseen < 1 {
		return o, errors.New("rounds, requests and unseen must be at least 1")
	}
	o.engines = strings.Split(*engines, ",")
	var err error
	o.only, err = regexp.Compile(*only)
	return o, err
}

func main() {
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if err := measureAll(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measureAll does what the command line says.
func measureAll(o options) (err error) {
	raiseFileLimit()
	folder, err := os.MkdirTemp("", "jotgate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	programs, skipped, err := findPrograms(o, folder)
	if err != nil {
		return err
	}
	subjects, unknown, err := allSubjects(o, programs, folder)
	if err != nil {
		return err
	}
	skipped = append(skipped, unknown...)
	cells, err := plan(subjects, o.only)
	if err != nil {
		return err
	}
	if o.list {
		for _, c := range cells {
			fmt.Println(c.name())
		}
		return nil
	}
	b := &bench{folder: folder, programs: programs, sizes: fullSizes(o.rounds, o.requests, o.unseen), cpus: runtime.NumCPU()}
	if o.short {
		b.sizes = shortSizes()
	}
	b.sizes.spin = o.spin
	if programs[kindNginx] == "" {
		fmt.Fprintln(os.Stderr, "bench: nginx, which is the upstream of all cases, is not installed: nothing is measured")
		return nil
	}
	defer b.servers.close()
	defer b.endOnSignal()()
	results, err := b.measureCells(cells)
	if err != nil {
		return err
	}
	if err := publish(o, b, subjects, skipped, results); err != nil {
		return err
	}
	var failures []error
	for _, r := range results {
		failures = append(failures, r.failure)
	}
	if !o.short {
		failures = append(failures, unmoved(results)...)
	}
	return errors.Join(failures...)
}

// endOnSignal has an interruption end the servers and then the program. The function that it returns stops waiting for one.
func (b *bench) endOnSignal() (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			b.servers.close()
			_ = os.RemoveAll(b.folder)
			os.Exit(1)
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// allSubjects lists the proxies that are there.
func allSubjects(o options, programs map[string]string, folder string) ([]subject, []string, error) {
	var subjects []subject
	for _, kind := range []string{kindNginx, kindHAProxy, kindReverseProxy} {
		if programs[kind] != "" {
			subjects = append(subjects, subject{Name: kind, Kind: kind})
		}
	}
	own, skipped, err := jotgateSubjects(programs[kindJotgate], o.engines, folder)
	return append(subjects, own...), skipped, err
}

// raiseFileLimit takes as many descriptors as are allowed; the servers inherit the limit.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // without it there are fewer idle connections
	}
}

// findPrograms builds what is ours and looks for what is others'. A peer that is not installed is named in skipped, and is an error when CI=true.
func findPrograms(o options, folder string) (programs map[string]string, skipped []string, err error) {
	programs = make(map[string]string)
	for _, peer := range []string{kindNginx, kindHAProxy, "wrk"} {
		path, err := exec.LookPath(peer)
		if err != nil {
			path, err = exec.LookPath("/usr/sbin/" + peer)
		}
		switch {
		case err == nil:
			programs[peer] = path
		case os.Getenv("CI") == "true":
			return nil, nil, fmt.Errorf("%s is not installed", peer)
		default:
			skipped = append(skipped, peer+": not installed")
		}
	}
	builds := map[string]string{kindReverseProxy: "./reverseproxy", kindJotgate: "github.com/jotgate/jotgate/cmd/jotgate"}
	if o.jotgate != "" {
		programs[kindJotgate] = o.jotgate
		delete(builds, kindJotgate)
	}
	for kind, pkg := range builds {
		programs[kind] = filepath.Join(folder, kind)
		build := exec.Command("go", "build", "-trimpath", "-o", programs[kind], pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if pkg != builds[kindReverseProxy] {
			build.Dir = ".." // with the requirements of the main module
		}
		if output, err := build.CombinedOutput(); err != nil {
			return nil, nil, fmt.Errorf("building %s: %w\n%s", pkg, err, output)
		}
	}
	return programs, skipped, nil
}

// result is all rounds of one cell.
type result struct {
	cell    cell
	samples []sample
	failure error // of a case that did not go right in every round: it has no samples
}

// measureCells runs all rounds: A B C ... A B C, so that what changes on the machine in the meantime changes for all. A case that fails is left out from then on.
func (b *bench) measureCells(cells []cell) ([]result, error) {
	if err := b.prepare(cells); err != nil {
		return nil, err
	}
	results := make([]result, len(cells))
	for round := range b.sizes.rounds {
		for i, c := range cells {
			r := &results[i]
			r.cell = c
			if r.failure != nil || c.scenario.Wrk && b.programs["wrk"] == "" {
				continue
			}
			begin := time.Now()
			s, err := b.measure(c)
			if err != nil {
				*r = result{cell: c, failure: fmt.Errorf("%s: %w", c.name(), err)}
				fmt.Fprintln(os.Stderr, r.failure)
				continue
			}
			r.samples = append(r.samples, s)
			figure := fmt.Sprintf("%6.1f µs a request", s[metricCPU])
			if ratio, ok := s[metricHostile]; ok {
				figure = fmt.Sprintf("p99 of the others times %.2f", ratio)
			}
			fmt.Fprintf(os.Stderr, "round %d/%d  %-32s %s, measured in %.1f s\n", round+1, b.sizes.rounds, c.name(), figure, time.Since(begin).Seconds())
		}
	}
	return results, nil
}

// prepare makes keys, tokens and certificate, and starts the upstream.
func (b *bench) prepare(cells []cell) error {
	now := time.Now()
	var err error
	if b.cert, err = newCertificate(b.folder, now); err != nil {
		return err
	}
	b.keys = make(map[jose.Algorithm]*issuerKey)
	for _, algorithm := range []jose.Algorithm{jose.RS256, jose.ES256, jose.HS256} {
		if b.keys[algorithm], err = newIssuerKey(algorithm, b.folder, now); err != nil {
			return err
		}
	}
	for _, c := range cells {
		if key := b.keys[c.scenario.Algorithm]; key != nil && c.scenario.Tokens == tokensUnseen {
			if _, err := key.fresh(b.sizes.unseen); err != nil { // before anything is measured
				return err
			}
		}
	}
	return b.startUpstream()
}

func (b *bench) startUpstream() error {
	var err error
	if b.address, err = freeAddress(); err != nil {
		return err
	}
	config, err := upstreamConfig(b.folder, b.address)
	if err != nil {
		return err
	}
	file := filepath.Join(b.folder, "upstream.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	if b.upstream, err = b.servers.start(nil, nil, b.programs[kindNginx], "-p", b.folder, "-e", "stderr", "-c", file); err != nil {
		return err
	}
	b.counter = counter{newProbe(b.address, nil)}
	if _, err := b.counter.probe.untilGood(b.upstream, serverName, "/", "", 10*time.Second); err != nil {
		return fmt.Errorf("the upstream: %w", err)
	}
	return nil
}
