package main

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// idleLimit is how many idle connections can be opened, if n are wanted: subject and generator have a descriptor for each, and more for other things.
func idleLimit(n int) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return min(n, 400)
	}
	return min(n, int(limit.Cur/2)-100)
}

// memory measures the memory of the subject when it has just started, under load, and, started anew, for each idle connection.
func (r *run) memory() error {
	idle, err := pssOf(r.server.pid())
	if err != nil {
		return err
	}
	loaded, err := r.loaded()
	if err != nil {
		return fmt.Errorf("under load: %w", err)
	}
	r.sample[metricIdle], r.sample[metricLoaded] = float64(idle), float64(loaded)
	r.server.stop()
	first := r.sample[metricFirst]
	if err := r.start(); err != nil {
		return err
	}
	r.sample[metricFirst] = first
	each, err := r.idleConnections()
	if err != nil {
		return fmt.Errorf("with idle connections: %w", err)
	}
	r.sample[metricConnection] = each
	return nil
}

// loaded is the largest size that was seen while all connections were busy.
func (r *run) loaded() (int64, error) {
	if err := r.warm(); err != nil {
		return 0, err
	}
	before, err := r.snapshot()
	if err != nil {
		return 0, err
	}
	done := make(chan struct{})
	sizes := make(chan int64, 1)
	go func() {
		var largest int64
		for {
			size, err := pssOf(r.server.pid())
			if err == nil {
				largest = max(largest, size)
			}
			select {
			case <-done:
				sizes <- largest
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	_, err = r.drive(r.sizes.requests, 0)
	close(done)
	largest := <-sizes
	if err != nil {
		return 0, err
	}
	if largest == 0 {
		return 0, errors.New("the memory could not be read")
	}
	return largest, r.account("", r.sizes.requests, before)
}

// idleConnections opens connections that each carry one request and then stay open, and returns the memory that each one takes.
func (r *run) idleConnections() (float64, error) {
	if _, err := r.drive(r.sizes.connections, 0); err != nil {
		return 0, err
	}
	time.Sleep(r.sizes.settle)
	before, err := pssOf(r.server.pid())
	if err != nil {
		return 0, err
	}
	fds := make([]int, 0, r.sizes.idle)
	defer func() {
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
	}()
	in := make([]byte, 4096)
	for i := range r.sizes.idle {
		fd, err := dial(r.spec.address)
		if err != nil {
			return 0, err
		}
		fds = append(fds, fd)
		c := &connection{fd: fd, busy: true, out: r.traffic.request(nil, i)}
		if _, err := syscall.Write(fd, c.out); err != nil {
			return 0, fmt.Errorf("sending a request: %w", err)
		}
		for done := false; !done; {
			n, err := syscall.Read(fd, in)
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			if err != nil || n == 0 {
				return 0, fmt.Errorf("reading an answer: %d bytes, %w", n, err)
			}
			if done, err = c.take(in[:n], r.traffic.body); err != nil {
				return 0, err
			}
		}
	}
	time.Sleep(r.sizes.settle)
	after, err := pssOf(r.server.pid())
	if err != nil {
		return 0, err
	}
	return max(float64(after-before), 0) / float64(len(fds)), nil
}

// wrk drives the subject with wrk instead of our own generator: if the two disagree on what a request costs, one of them is wrong.
func (r *run) wrk() error {
	if err := r.warm(); err != nil {
		return err
	}
	before, err := r.snapshot()
	if err != nil {
		return err
	}
	args := []string{"-t1", fmt.Sprintf("-c%d", r.sizes.connections), fmt.Sprintf("-d%ds", r.sizes.wrkSeconds), "-H", "Host: " + serverName}
	if len(r.traffic.tokens) > 0 {
		args = append(args, "-H", "Authorization: Bearer "+r.traffic.tokens[0])
	}
	begin := time.Now()
	output, err := exec.Command(r.programs["wrk"], append(args, "http://"+r.spec.address.String()+r.traffic.paths[0])...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("running wrk: %w\n%s", err, output)
	}
	elapsed := time.Since(begin)
	n, err := parseWrk(string(output))
	if err != nil {
		return err
	}
	if err := r.accountWithin("", n, r.sizes.connections, before); err != nil {
		return err
	}
	delete(r.sample, metricForeign) // it would hold wrk
	r.sample[metricThroughput] = float64(n) / elapsed.Seconds()
	return nil
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	wrkTrouble  = regexp.MustCompile(`(?m)^\s*(Non-2xx or 3xx responses|Socket errors): .*$`)
)

// parseWrk returns the number of requests that wrk states. Any trouble that it states is an error.
func parseWrk(output string) (int, error) {
	if trouble := wrkTrouble.FindString(output); trouble != "" {
		return 0, fmt.Errorf("wrk says: %s", trouble)
	}
	found := wrkRequests.FindStringSubmatch(output)
	if found == nil {
		return 0, fmt.Errorf("wrk does not say how many requests it has sent:\n%s", output)
	}
	return strconv.Atoi(found[1])
}
