package soak_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/test/hostile"
	"github.com/jotgate/jotgate/test/program"
)

const (
	// hostileClients are the clients of each kind.
	hostileClients = 20
	// hostileBytes bounds what the gateway's memory may grow by for each of them. What reads or writes at the time holds a buffer of 16 to 36 kB on each side, beside stacks.
	hostileBytes = 192 << 10
	// firstHeap is what the first requests of a gateway take for good.
	firstHeap = 2 << 20
	// hostileLimits are short time limits, the longest of which is hostileLimit.
	hostileLimits = "headerTimeout: 1s, bodyTimeout: 1s, idleTimeout: 4s"
	hostileLimit  = 4 * time.Second
)

// TestHostile lets hundreds of hostile clients loose on a gateway. The others do not notice, each hostile connection is ended by the gateway in time, and nothing of them is left.
func TestHostile(t *testing.T) {
	binary := program.Build(t)
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel() // most of the time it waits for time limits
			w := startWith(t, binary, engine, hostileLimits)
			fresh := read(t, w.admin)
			crowd := hostile.Gather(t.Context(), hostile.Options{
				Address: w.gateway.Addresses["web"], Fields: "Host: slow.test\r\nAuthorization: Bearer " + w.token + "\r\n",
				Path: "/echo", Large: "/large", Pace: 50 * time.Millisecond, Clients: hostileClients, Once: true,
			})
			over := make(chan []hostile.Report)
			go func() { over <- crowd.Wait() }()
			stop := w.politely(t)
			<-crowd.Ready()
			during := read(t, w.admin)
			reports := <-over
			if answered := stop(); answered < 100 {
				t.Errorf("only %d good requests were answered meanwhile", answered)
			}
			for _, r := range reports {
				t.Logf("%-30s %d lives, the longest took %s", r.Kind, r.Lives, r.Longest.Round(time.Millisecond))
				switch {
				case r.Errors > 0 || r.Lives != hostileClients:
					t.Errorf("%s: %d lives, and %d without a connection: %s", r.Kind, r.Lives, r.Errors, r.First)
				case r.Patient && r.Longest > hostileLimit+program.Patience/2:
					t.Errorf("%s: connections are ended after %s", r.Kind, r.Longest)
				}
			}
			growth := (w.gateway.PeakMemory(t) - int64(fresh.resident)) / int64(crowd.Size())
			t.Logf("%d clients; while they were there: %s; memory grew by at most %d kB for each", crowd.Size(), during, growth>>10)
			if growth > hostileBytes && !program.RaceEnabled {
				t.Errorf("a hostile client takes %d bytes", growth)
			}
			if after := w.settled(t, fresh); after.heap > fresh.heap+firstHeap+heapSlack && !program.RaceEnabled {
				t.Errorf("memory was lost: %s; before %s", after, fresh)
			}
			w.complaints(t)
		})
	}
}

// politely has a few clients send good requests, at an even pace, until stop is called, which returns how many were answered. A wrong answer fails the test.
func (w *world) politely(t *testing.T) (stop func() int) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	answered := 0
	quit := make(chan struct{})
	for name := range 8 {
		c := &client{world: w, t: t, name: name, random: rand.New(rand.NewPCG(*seed, uint64(name)))}
		all.Go(func() {
			defer c.drop()
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for {
				if err := c.get("/echo"); err != nil {
					t.Errorf("a good client: %v", err)
					return
				}
				select {
				case <-tick.C:
				case <-quit:
					mu.Lock()
					answered += c.sent
					mu.Unlock()
					return
				}
			}
		})
	}
	return func() int {
		close(quit)
		all.Wait()
		return answered
	}
}

// complaints fails the test for what the servers and the log have to complain about.
func (w *world) complaints(t *testing.T) {
	t.Helper()
	for name, u := range map[string]*upstream{"good": w.good, "bad": w.bad} {
		for _, complaint := range u.takeComplaints() {
			t.Errorf("the %s server: %s", name, complaint)
		}
	}
	if log := w.gateway.Log.Text(); strings.Contains(log, "panic") || strings.Contains(log, "DATA RACE") || strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("logged: %.2000s", log)
	}
}
