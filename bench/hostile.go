package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Names of the metrics of the hostile case. The latencies are those of good requests at hostileRate.
const (
	metricCalmP99     = "calm-p99"     // µs, without hostile clients
	metricHostileP99  = "hostile-p99"  // µs, with them
	metricHostile     = "hostile"      // the ratio of the two
	metricCrowd       = "crowd"        // hostile clients
	metricCrowdBytes  = "crowd-bytes"  // memory for each of them
	metricCrowdEnded  = "crowd-ended"  // connections that the gateway has ended
	metricCrowdResets = "crowd-resets" // connections that clients have reset
)

const (
	// hostileRate is how many good requests are sent in a second.
	hostileRate = 5000
	// hostileMost is by how much their p99 may grow in the best round: in the others something else may have happened.
	hostileMost = 2
	// hostilePatience bounds the wait for descriptors to come back: idle connections to the upstream are closed after three seconds.
	hostilePatience = 30 * time.Second
)

// hostileLimits are limits of a listener that are short enough for hostile clients to meet them during a load.
func hostileLimits(listener object) {
	listener["headerTimeout"], listener["bodyTimeout"], listener["idleTimeout"] = "5s", "10s", "10s"
}

// crowdProgram builds the hostile clients, which are a program of the tests' module, when they are first needed.
func (b *bench) crowdProgram() (string, error) {
	const name = "crowd"
	if path := b.programs[name]; path != "" {
		return path, nil
	}
	path := filepath.Join(b.folder, name)
	build := exec.Command("go", "build", "-o", path, "./hostile/crowd")
	build.Dir = filepath.Join("..", "test")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the hostile clients: %w\n%s", err, output)
	}
	b.programs[name] = path
	return path, nil
}

// hostile measures how long good requests take without and with hostile clients, what these cost in memory, and whether their descriptors come back.
func (r *run) hostile() error {
	descriptors, err := r.descriptors()
	if err != nil {
		return err
	}
	if err := r.warm(); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	var calm, crowded []float64
	n := max(int(hostileRate*r.sizes.seconds/2), 100)
	for range r.sizes.tries {
		out, err := r.drive(n, hostileRate)
		if err != nil {
			return fmt.Errorf("without hostile clients: %w", err)
		}
		calm = append(calm, float64(percentile(out.latencies, 0.99))/1e3)
		out, err = r.crowded(n)
		if err != nil {
			return fmt.Errorf("with hostile clients: %w", err)
		}
		crowded = append(crowded, float64(percentile(out.latencies, 0.99))/1e3)
	}
	// The best of each: whatever else goes on on the machine only makes them worse.
	r.sample[metricCalmP99], r.sample[metricHostileP99] = slices.Min(calm), slices.Min(crowded)
	r.sample[metricHostile] = r.sample[metricHostileP99] / r.sample[metricCalmP99]
	return r.descriptorsBack(descriptors)
}

// crowded drives a load while there are hostile clients.
func (r *run) crowded(n int) (out outcome, err error) {
	program, err := r.crowdProgram()
	if err != nil {
		return out, err
	}
	before, err := pssOf(r.server.pid())
	if err != nil {
		return out, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return out, err
	}
	defer func() { _ = reader.Close() }()
	fields := "Host: " + serverName
	if len(r.traffic.tokens) > 0 {
		fields += "|Authorization: Bearer " + r.traffic.tokens[0]
	}
	crowd, err := r.servers.start(writer, nil, program, "-address", r.spec.address.String(), "-fields", fields, "-path", r.traffic.paths[0], "-large", "/large",
		"-pace", "4s", "-clients", strconv.Itoa(r.sizes.crowd))
	_ = writer.Close() // the program has its own
	if err != nil {
		return out, err
	}
	defer crowd.stop()
	lines := bufio.NewReader(reader)
	line, err := lines.ReadString('\n')
	size, failed := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "ready")))
	if err != nil || failed != nil {
		return out, fmt.Errorf("the hostile clients are not there: %q: %w", line, errors.Join(err, failed, crowd.running()))
	}
	if out, err = r.drive(n, hostileRate); err != nil {
		return out, err
	}
	after, err := pssOf(r.server.pid())
	if err != nil {
		return out, err
	}
	r.sample[metricCrowd] = float64(size)
	r.sample[metricCrowdBytes] = max(r.sample[metricCrowdBytes], float64(after-before)/float64(size))
	if err := syscall.Kill(crowd.pid(), syscall.SIGTERM); err != nil {
		return out, fmt.Errorf("ending the hostile clients: %w", err)
	}
	return out, r.crowdReport(lines) // it takes a while to end thousands of connections
}

// crowdReport takes down what became of the hostile clients.
func (r *run) crowdReport(lines io.Reader) error {
	var reports []struct {
		Kind    string `json:"kind"`
		Patient bool   `json:"patient"`
		Lives   int    `json:"lives"`
		Errors  int    `json:"errors"`
		First   string `json:"first_error"`
	}
	if err := json.NewDecoder(lines).Decode(&reports); err != nil {
		return fmt.Errorf("the hostile clients do not say what became of them: %w", err)
	}
	for _, k := range reports {
		switch {
		case k.Errors > 0:
			return fmt.Errorf("%d clients of the kind %q could not connect: %s", k.Errors, k.Kind, k.First)
		case k.Patient:
			r.sample[metricCrowdEnded] += float64(k.Lives)
		default:
			r.sample[metricCrowdResets] += float64(k.Lives)
		}
	}
	return nil
}

// descriptors counts the open files of the subject.
func (r *run) descriptors() (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.server.pid()))
	if err != nil {
		return 0, fmt.Errorf("counting descriptors: %w", err)
	}
	return len(entries), nil
}

// descriptorsBack waits until the subject has no more open files than at first.
func (r *run) descriptorsBack(first int) error {
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		now, err := r.descriptors()
		if err != nil || now <= first {
			return err
		}
		if time.Since(begin) > hostilePatience {
			return fmt.Errorf("%d files are open, and were %d at first", now, first)
		}
	}
}

// unmoved returns an error for each subject whose good clients had to wait for longer than they may in every round.
func unmoved(results []result) (failures []error) {
	for _, result := range results {
		var ratios []float64
		for _, s := range result.samples {
			if ratio, ok := s[metricHostile]; ok {
				ratios = append(ratios, ratio)
			}
		}
		if len(ratios) > 0 && slices.Min(ratios) > hostileMost {
			failures = append(failures, fmt.Errorf("%s: hostile clients let the others wait %.1f times as long, at best", result.cell.name(), slices.Min(ratios)))
		}
	}
	return failures
}

func (r *report) writeHostile(b *strings.Builder) {
	fmt.Fprintf(b, "Good requests at %s a second, while clients drip, fall silent, close one half, reset and hardly read; and the same just before and after, without them.\n\n", thousands(hostileRate))
	b.WriteString("| Subject | hostile clients | p99 µs, without | with | ratio | memory for each, kB | connections ended by the gateway | reset by clients |\n|---|---|---|---|---|---|---|---|\n")
	for _, result := range r.results {
		if !result.has(metricHostile) {
			continue
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", result.cell.subject.Name, number(result.spread(metricCrowd).Median), cellText(result.spread(metricCalmP99)),
			cellText(result.spread(metricHostileP99)), cellText(result.spread(metricHostile)), cellText(result.spread(metricCrowdBytes).times(1e-3)),
			cellText(result.spread(metricCrowdEnded)), cellText(result.spread(metricCrowdResets)))
	}
}
