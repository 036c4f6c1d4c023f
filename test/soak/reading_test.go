package soak_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/test/program"
)

const (
	// settleTime bounds the wait for the gateway to come to rest: idle connections to servers are closed after three seconds.
	settleTime = 30 * time.Second
	// heapSlack is how much more the heap may hold afterwards: the counters of answers that were seen for the first time, maps that have grown, tokens that are remembered. A buffer that is lost with
	// every two hundredth request of the short run would be as much.
	heapSlack = 2 << 20
	// collections is how many times garbage is collected before the heap is looked at: what pools hold survives two.
	collections = 3
)

// reading is what the gateway says of itself.
type reading struct {
	goroutines, descriptors, connections int
	inFlight                             int // requests, as clients and as servers see them
	heap                                 int // bytes that are allocated
	resident                             int // bytes of memory
	collected                            int // collections of garbage so far
	cpu                                  float64
}

func (r reading) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, %d connections, %d requests under way, %d kB of heap", r.goroutines, r.descriptors, r.connections, r.inFlight, r.heap>>10)
}

// quiet reports whether nothing is going on.
func (r reading) quiet() bool { return r.connections == 0 && r.inFlight == 0 }

// operator asks over a connection of its own each time, so that it counts in every reading as the same.
var operator = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: program.Patience}

func page(t *testing.T, admin, path string) string {
	t.Helper()
	response, err := operator.Get("http://" + admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", path, response.StatusCode, err)
	}
	return string(text)
}

// read takes a reading.
func read(t *testing.T, admin string) reading {
	t.Helper()
	var r reading
	for line := range strings.Lines(page(t, admin, "/metrics")) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue // a comment
		}
		switch name, _, _ = strings.Cut(name, "{"); name {
		case "go_goroutines":
			r.goroutines = int(value)
		case "process_open_fds":
			r.descriptors = int(value)
		case "go_memstats_heap_alloc_bytes":
			r.heap = int(value)
		case "process_resident_memory_bytes":
			r.resident = int(value)
		case "go_gc_duration_seconds_count":
			r.collected = int(value)
		case "process_cpu_seconds_total":
			r.cpu = value
		case "jotgate_requests_in_flight", "jotgate_upstream_server_requests_in_flight":
			r.inFlight += int(value)
		}
	}
	var status struct {
		Listeners []struct {
			Connections int `json:"connections"`
		} `json:"listeners"`
	}
	if err := json.Unmarshal([]byte(page(t, admin, "/status")), &status); err != nil || len(status.Listeners) == 0 {
		t.Fatalf("the status cannot be read: %v", err)
	}
	for _, l := range status.Listeners {
		r.connections += l.Connections
	}
	if r.goroutines == 0 || r.descriptors == 0 || r.heap == 0 {
		t.Fatalf("the metrics lack something: %s", r)
	}
	return r
}

// settled waits until nothing is going on any more, no connection to a server is left, and goroutines and descriptors are as few as they were before; and then for collections of garbage, which reading
// itself brings about. It returns what was seen last, with the smallest heap.
func (w *world) settled(t *testing.T, before reading) reading {
	t.Helper()
	r := read(t, w.admin)
	for begin := time.Now(); time.Since(begin) < settleTime; r = read(t, w.admin) {
		if r.quiet() && r.goroutines <= before.goroutines && r.descriptors <= before.descriptors && w.good.connections() == 0 && w.bad.connections() == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if open := w.good.connections() + w.bad.connections(); open > 0 {
		t.Errorf("%d connections to servers are left", open)
	}
	if r.goroutines > before.goroutines || r.descriptors > before.descriptors || !r.quiet() {
		t.Errorf("something was lost: %s; before %s", r, before)
	}
	least := r // the connection of the question before is not always gone
	for begin := time.Now(); least.collected < r.collected+collections; {
		if time.Since(begin) > settleTime {
			t.Fatalf("garbage was not collected: %d and then %d times", r.collected, least.collected)
		}
		now := read(t, w.admin)
		least.heap, least.collected = min(least.heap, now.heap), now.collected
		least.goroutines, least.descriptors = min(least.goroutines, now.goroutines), min(least.descriptors, now.descriptors)
	}
	return least
}
